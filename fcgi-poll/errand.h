/*
 * errand - a request whose answer waits for the writer: what is to be written is on its
 * way, the request is long freed, and no thread waits.
 *
 * A handler makes one (embedded first in a struct of its own) and returns it; the worker
 * then gives it the connection and starts it.  Its jobs go to the writer; with the last
 * of them done the answer is composed on that thread, and the keeper writes it.
 * Threads: the worker's until errand_start(), then any.
 */
#ifndef ERRAND_H
#define ERRAND_H

#include "attr.h"

struct app;
struct conn;
struct errand;
struct reply;
struct request;
struct worker_ops;

/* What the owner of an errand knows. */
struct errand_ops {
	/* Puts its jobs to the writer: errand_add() before each, errand_done() at the end of
	 * each, also of one that the writer does not take. */
	void	(*start)(struct errand *e);
	/* All are done: what came of it. */
	void	(*answer)(struct errand *e, struct reply *rep);
	void	(*free)(struct errand *e);
};

struct errand {
	const struct errand_ops	*ops;
	struct app		*app;
	struct conn		*conn;
	const struct worker_ops	*worker_ops;
	void			*arg;
	char			*origin;	/* allowed by CORS; NULL */
	_Atomic int		 left;		/* jobs, and one until all were put */
};

/* origin is copied (NULL is kept).  ERR_NOMEM: nothing is held. */
int	 errand_init(struct errand *e, struct app *app, const struct errand_ops *ops,
	    const char *origin) ATTR_MUST_CHECK;
void	 errand_release(struct errand *e);	/* for ops->free */

/* Gives it the connection that its answer goes to; from here on both are the errand's.
 * worker_ops: how the keeper gets the connection back, arg its argument. */
void	 errand_start(struct errand *e, struct conn *c, const struct worker_ops *worker_ops,
	    void *arg);
void	 errand_add(struct errand *e);
void	 errand_done(struct errand *e);

#endif
