/*
 * worker - threads that read requests, and answer them or hand them to be held.
 *
 * The keeper gives them connections that have something to read; they give back
 * connections that are kept or could not be written at once, and holds.
 * Threads: as said at each function.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define WORKER_BACKLOG	1024	/* connections waiting for a worker; then accepting rests */
#define WORKER_READ_MS	5000	/* for a whole request, however its bytes trickle */

struct app;
struct conn;
struct hold;
struct workers;

/* How the keeper gets back what a worker is done with; called on the worker's thread. */
struct worker_ops {
	void	(*give_conn)(struct conn *c, void *arg);	/* CONN_KEPT or CONN_WRITING */
	void	(*give_hold)(struct hold *hold, void *arg);
	void	(*ended)(void *arg);				/* a connection was closed */
};

/* Opens n handlers, each with its keys and database; why as handler_open().  app and ops
 * are borrowed. */
int	 workers_open(struct app *app, int n, struct workers **ret, char *why,
	    size_t size) ATTR_MUST_CHECK;
/* Starts the threads (signals blocked by the caller).  ERR_NOMEM. */
int	 workers_start(struct workers *ws, const struct worker_ops *ops, void *arg)
	    ATTR_MUST_CHECK;
/* Lets the threads finish what is queued, joins them.  NULL is fine. */
void	 workers_close(struct workers *ws);

/* Any thread: queues a connection that is readable. */
void	 workers_put(struct workers *ws, struct conn *c);
/* Any thread: idle workers look whether their databases are to be closed. */
void	 workers_wake(struct workers *ws);
/* Any thread: how many are queued. */
size_t	 workers_backlog(struct workers *ws);
/* Keeper: interrupts workers whose peer takes too long to say its request. */
void	 workers_watch(struct workers *ws, int64_t now_mono_ms);

#endif
