/*
 * watch - somebody committed: inotify on the database's directory, a probe of
 * SQLite's write lock, and a floor timer.
 *
 * The file event comes before the commit is visible, and the commit itself raises
 * none (the WAL index is shared memory).  So after an event: ask whether byte 120 of
 * -shm, SQLite's write lock, is held, then look whether the version moved; free and
 * unmoved is proof that nothing is pending.  While it is held, look again soon.
 * Every WATCH_FLOOR_MS the watch looks anyway (WATCH_BLIND_MS where inotify cannot
 * be had or the file system is a network one), and compares the inode at the path.
 * Threads: belongs to one thread, that of the store it was opened with.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

#include "attr.h"

#define WATCH_FLOOR_MS	500
#define WATCH_BLIND_MS	50

struct store;
struct watch;

enum watch_result {
	WATCH_QUIET,		/* nothing new; proven until the next event */
	WATCH_CHANGED,		/* read the log, then call again at once */
	WATCH_PENDING,		/* a writer holds the lock: call again within watch_wait_us() */
	WATCH_REPLACED		/* another file is at the path: reopen everything */
};

/* Opens the watch on st's database, before its first read.  st is borrowed. */
int	 watch_open(struct store *st, struct watch **ret) ATTR_MUST_CHECK;
void	 watch_close(struct watch *w);

/* Readable when something happened in the directory; -1: there is none, only time. */
int	 watch_fd(const struct watch *w);
/* Longest time in microseconds until the next watch_look(). */
int64_t	 watch_wait_us(const struct watch *w, int64_t now_mono_us);
/* Drains the descriptor and looks.  An error of the store is returned (ERR_BUSY, ERR_IO). */
int	 watch_look(struct watch *w, int64_t now_mono_us, enum watch_result *ret)
	    ATTR_MUST_CHECK;
/* How commits are noticed: "inotify" or "timer", for stats and the log. */
const char *watch_method(const struct watch *w);

#endif
