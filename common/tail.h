/*
 * tail - new events in batches, read once for a whole process.
 *
 * Ties store, eventlog and watch together: learns that somebody committed, fetches
 * the new rows in one transaction, and hands them to its owner in log order.  Keeps
 * the head where other threads may read it.  Puts triggers back that a migration of
 * the site dropped, and opens everything anew when another file takes the
 * database's place.
 * Threads: belongs to one thread; tail_head() from any.
 */
#ifndef TAIL_H
#define TAIL_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define TAIL_BATCH	500	/* rows handed over at a time, at most */
#define TAIL_BUSY_MS	100	/* longest wait for a lock of the database */

struct conf;
struct event;
struct store;
struct tail;

struct tail_ops {
	/* n events in log order (n > 0); borrowed, event_ref() to keep one. */
	void	(*batch)(struct event *const *ev, size_t n, void *arg);
	/* The database was replaced: rights, positions and ring are void. */
	void	(*replaced)(void *arg);
	/* n triggers were put back; may be NULL. */
	void	(*repaired)(int n, void *arg);
	/* Something may have changed that the log does not tell of (triggers were missing for a
	 * time, a backup was restored in place): rights are to be loaded anew; may be NULL. */
	void	(*doubt)(void *arg);
	/* Another file is at the path: whoever else in this process has a store on the one before
	 * is to close it (STORE_HANDOVER_MS).  Called again until all have; may be NULL. */
	void	(*replacing)(void *arg);
};

/* Opens its own store on conf->database; why as store_open().  Starts at the head.  conf
 * and ops are borrowed until tail_close(). */
int	 tail_open(const struct conf *conf, const struct tail_ops *ops, void *arg,
	    struct tail **ret, char *why, size_t size) ATTR_MUST_CHECK;
void	 tail_close(struct tail *t);

/* The store of this thread; for the hub.  Borrowed; changes when `replaced` is called.  It
 * waits for locks for TAIL_BUSY_MS at most. */
struct store *tail_store(struct tail *t);
/* For the owner's event loop: wait for readable fd (-1: none; may change after `replaced`)
 * or for the time, then call tail_step(). */
int	 tail_fd(const struct tail *t);
int64_t	 tail_wait_us(const struct tail *t, int64_t now_mono_us);
/* Looks and delivers.  A passing failure of the database is logged when it begins and when
 * it ends, and retried; returns 0 or, for the owner to give up, ERR_NOMEM, or the error
 * after which there is no store any more (a replaced database that could be opened once
 * and then not again). */
int	 tail_step(struct tail *t) ATTR_MUST_CHECK;
/* Position of the newest event handed over.  Any thread. */
int64_t	 tail_head(const struct tail *t);
/* 0 while the database can be read, else the error; any thread (for /readyz). */
int	 tail_health(const struct tail *t);

#endif
