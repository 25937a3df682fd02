/*
 * Answers that wait for the writer (errand.h).
 *
 * The answer is only printed here: sending it would keep the writer from its
 * next commit, and a peer that does not take it is the keeper's to wait for.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "conn.h"
#include "err.h"
#include "errand.h"
#include "reply.h"
#include "route.h"
#include "worker.h"

int
errand_init(struct errand *e, struct app *app, const struct errand_ops *ops,
    const char *origin)
{
	memset(e, 0, sizeof(*e));
	if (origin != NULL) {
		e->origin = strdup(origin);
		if (e->origin == NULL)
			return ERR_NOMEM;
	}
	e->app = app;
	e->ops = ops;
	return 0;
}

void
errand_release(struct errand *e)
{
	free(e->origin);
}

static void
finish(struct errand *e)
{
	const struct worker_ops *worker_ops = e->worker_ops;
	struct conn *c = e->conn;
	void *arg = e->arg;
	struct reply rep;

	reply_init(&rep);
	rep.origin = e->origin;
	e->ops->answer(e, &rep);
	route_count(e->app->shm, &rep);
	conn_print(c, &rep);
	reply_release(&rep);
	e->ops->free(e);
	atomic_store(&c->state, CONN_WRITING);
	worker_ops->give_conn(c, arg);
}

void
errand_start(struct errand *e, struct conn *c,
    const struct worker_ops *worker_ops, void *arg)
{
	e->conn = c;
	e->worker_ops = worker_ops;
	e->arg = arg;
	atomic_store(&e->left, 1);
	e->ops->start(e);
	errand_done(e);
}

void
errand_add(struct errand *e)
{
	atomic_fetch_add(&e->left, 1);
}

void
errand_done(struct errand *e)
{
	if (atomic_fetch_sub(&e->left, 1) == 1)
		finish(e);
}
