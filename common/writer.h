/*
 * writer - one thread that commits what many callers bring at the same moment.
 *
 * Whatever arrives while a commit (and its fsync) runs goes into the next one.  Each
 * job runs at a mark of its own, so that one that fails is undone alone.
 * Threads: writer_put() from any; run and done are called on the writer's thread.
 */
#ifndef WRITER_H
#define WRITER_H

#include <stddef.h>

#include "attr.h"

#define WRITER_MAX_JOBS	10000	/* waiting at once; more are refused */

struct conf;
struct shm;
struct store;
struct writer;

/* Embedded first in the caller's own struct; the writer's from writer_put() to done. */
struct writer_job {
	/* Writes through st, in a transaction; 0 or a count, else the job is undone. */
	int	(*run)(struct writer_job *job, struct store *st);
	/* err: 0 committed and durable, else why not.  Frees the job. */
	void	(*done)(struct writer_job *job, int err);
	struct writer_job *next;
};

/* Opens its own store; why as store_open().  Starts the thread (all signals blocked).
 * shm, for the counters, may be NULL. */
int	 writer_open(const struct conf *conf, struct shm *shm, struct writer **ret, char *why,
	    size_t size) ATTR_MUST_CHECK;
/* Commits what is waiting, joins the thread; NULL is fine. */
void	 writer_close(struct writer *w);
/* Any thread: has the writer close its store where another file took its place; it opens the
 * new one with its next job. */
void	 writer_let_go(struct writer *w);
/* Hands the job over.  ERR_FULL, ERR_CLOSED: it is still the caller's. */
int	 writer_put(struct writer *w, struct writer_job *job) ATTR_MUST_CHECK;

#endif
