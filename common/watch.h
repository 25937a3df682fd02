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
#define WATCH_INLINE_US	300	/* longest that watch_look() sleeps */

struct store;
struct watch;

enum watch_result {
	WATCH_QUIET,		/* nothing new; proven until the next event */
	WATCH_CHANGED,		/* read the log; then wait as always */
	WATCH_PENDING,		/* not proven yet (a writer holds the lock, or commits come so
				 * fast that they are taken together): wait as always */
	WATCH_REPLACED		/* another file is at the path (said until it is not so):
				 * reopen everything */
};

/*
 * Opens the watch on st's database: call it before the position is read from which the
 * log is followed.  st is borrowed.  ERR_NOMEM, ERR_BUSY, ERR_IO.  Where inotify cannot be
 * had the watch is opened all the same, and is one by time.
 *
 * The descriptor on -shm that the lock is asked through is never closed while the process
 * lives: closing it would drop every lock that SQLite holds on that file in this process
 * (POSIX).  It is kept for the next watch on the same file.
 */
int	 watch_open(struct store *st, struct watch **ret) ATTR_MUST_CHECK;
void	 watch_close(struct watch *w);

/* Readable when something happened in the directory; -1: there is none, only time. */
int	 watch_fd(const struct watch *w);
/* Longest time in microseconds until the next watch_look(); a loop of coarser time rounds
 * up. */
int64_t	 watch_wait_us(const struct watch *w, int64_t now_mono_us);
/* Drains the descriptor and looks; takes up to WATCH_INLINE_US where a commit is about to
 * become visible.  An error of the store is returned (ERR_BUSY, ERR_IO); nothing is lost
 * by it, the next call looks again. */
int	 watch_look(struct watch *w, int64_t now_mono_us, enum watch_result *ret)
	    ATTR_MUST_CHECK;
/* Non-zero: when watch_look() last compared, no file was at the path.  What the store has
 * open can be read on, and nobody else will write to it. */
int	 watch_is_gone(const struct watch *w);
/* Another floor than WATCH_FLOOR_MS or WATCH_BLIND_MS (-1: these); 0: none.  For tests, and for
 * network file systems where looking is dear. */
void	 watch_set_floor_ms(struct watch *w, int floor_ms);
/* How commits are noticed: "inotify" or "timer", for stats and the log. */
const char *watch_method(const struct watch *w);

#endif
