/*
 * Workers (worker.h): a queue of readable connections, and threads that take
 * them.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "clock.h"
#include "conn.h"
#include "err.h"
#include "handler.h"
#include "hold.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "stats.h"
#include "worker.h"

struct worker {
	struct workers		*all;
	struct handler		 handler;
	pthread_t		 thread;
	int			 is_started;
	_Atomic int64_t		 reading_since_ms;	/* 0: it does not */
};

struct workers {
	struct app		*app;
	const struct worker_ops	*ops;
	void			*arg;
	pthread_mutex_t		 lock;
	pthread_cond_t		 ready;
	struct conn_queue	 queue;		/* {lock} */
	size_t			 backlog;	/* {lock} */
	int			 is_closing;	/* {lock} */
	int			 n;
	struct worker		 worker[];
};

/* --- the queue --- */

void
workers_put(struct workers *ws, struct conn *c)
{
	c->state = CONN_BUSY;
	(void)pthread_mutex_lock(&ws->lock);
	TAILQ_INSERT_TAIL(&ws->queue, c, link);
	ws->backlog++;
	(void)pthread_cond_signal(&ws->ready);
	(void)pthread_mutex_unlock(&ws->lock);
}

size_t
workers_backlog(struct workers *ws)
{
	size_t n;

	(void)pthread_mutex_lock(&ws->lock);
	n = ws->backlog;
	(void)pthread_mutex_unlock(&ws->lock);
	return n;
}

void
workers_wake(struct workers *ws)
{
	(void)pthread_mutex_lock(&ws->lock);
	(void)pthread_cond_broadcast(&ws->ready);
	(void)pthread_mutex_unlock(&ws->lock);
}

/* The next connection; NULL: the end. */
static struct conn *
take(struct worker *w)
{
	struct workers *ws = w->all;
	struct conn *c;

	(void)pthread_mutex_lock(&ws->lock);
	while (TAILQ_EMPTY(&ws->queue) && !ws->is_closing) {
		if (handler_is_outdated(&w->handler)) {
			(void)pthread_mutex_unlock(&ws->lock);
			handler_let_go(&w->handler);
			(void)pthread_mutex_lock(&ws->lock);
			continue;
		}
		(void)pthread_cond_wait(&ws->ready, &ws->lock);
	}
	c = TAILQ_FIRST(&ws->queue);
	if (c != NULL) {
		TAILQ_REMOVE(&ws->queue, c, link);
		ws->backlog--;
	}
	(void)pthread_mutex_unlock(&ws->lock);
	return c;
}

/* --- one request --- */

static void
end_conn(struct worker *w, struct conn *c)
{
	conn_free(c);
	w->all->ops->ended(w->all->arg);
}

static void
send_reply(struct worker *w, struct conn *c, struct reply *rep)
{
	int rc;

	rc = conn_answer(c, rep);
	if (rc < 0 || (rc == 1 && !c->wire.is_kept)) {
		end_conn(w, c);
		return;
	}
	c->state = rc == 1 ? CONN_KEPT : CONN_WRITING;
	w->all->ops->give_conn(c, w->all->arg);
}

static void
serve(struct worker *w, struct conn *c, const struct request *req)
{
	struct hold *hold = NULL;
	struct reply rep;
	uint64_t seq = c->seq;

	reply_init(&rep);
	route_handle(&w->handler, req, &rep, &hold);
	if (hold != NULL)
		hold->seq = seq;
	if (hold != NULL && !hold->is_notice) {
		hold->conn = c;
		c->hold = hold;
		c->state = CONN_HELD;
	} else {
		send_reply(w, c, &rep);
	}
	if (hold != NULL)
		w->all->ops->give_hold(hold, w->all->arg);
	reply_release(&rep);
}

static void
work(struct worker *w, struct conn *c)
{
	struct request req;
	int rc;

	atomic_store(&w->reading_since_ms, clock_mono_ms());
	rc = request_read(&c->wire, &req);
	atomic_store(&w->reading_since_ms, 0);
	if (rc < 0) {
		stats_add(w->all->app->shm, STATS_requests_broken, 1);
		end_conn(w, c);
		return;
	}
	serve(w, c, &req);
	request_release(&req);
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct conn *c;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (c = take(w); c != NULL; c = take(w))
		work(w, c);
	return NULL;
}

/*
 * A peer that sends a byte now and then keeps each read within its time-out.
 * The signal makes the read fail, whatever descriptor it is on by now: closing
 * or shutting it down from here could hit a newer one of the same number. One
 * that comes between two reads is repeated with the next look.
 */
void
workers_watch(struct workers *ws, int64_t now_mono_ms)
{
	int64_t since;
	int i;

	for (i = 0; i < ws->n; i++) {
		since = atomic_load(&ws->worker[i].reading_since_ms);
		if (since != 0 && now_mono_ms - since > WORKER_READ_MS)
			(void)pthread_kill(ws->worker[i].thread, SIGUSR2);
	}
}

static void
on_interrupt(int sig)
{
	(void)sig;
}

/* --- start and stop --- */

int
workers_open(struct app *app, int n, struct workers **ret, char *why,
    size_t size)
{
	struct workers *ws;
	int rc = 0;

	ws = calloc(1, sizeof(*ws) + (size_t)n * sizeof(ws->worker[0]));
	if (ws == NULL)
		return ERR_NOMEM;
	ws->app = app;
	TAILQ_INIT(&ws->queue);
	(void)pthread_mutex_init(&ws->lock, NULL);
	(void)pthread_cond_init(&ws->ready, NULL);
	for (ws->n = 0; ws->n < n && rc == 0; ws->n++) {
		ws->worker[ws->n].all = ws;
		rc = handler_open(app, &ws->worker[ws->n].handler, why, size);
	}
	if (rc < 0) {
		workers_close(ws);
		return rc;
	}
	*ret = ws;
	return 0;
}

int
workers_start(struct workers *ws, const struct worker_ops *ops, void *arg)
{
	/* Without SA_RESTART: read() is to fail. */
	struct sigaction sa = { .sa_handler = on_interrupt };
	struct worker *w;
	int i;

	(void)sigaction(SIGUSR2, &sa, NULL);
	ws->ops = ops;
	ws->arg = arg;
	for (i = 0; i < ws->n; i++) {
		w = &ws->worker[i];
		if (pthread_create(&w->thread, NULL, run, w) != 0)
			return ERR_NOMEM;
		w->is_started = 1;
	}
	return 0;
}

void
workers_close(struct workers *ws)
{
	int i;

	if (ws == NULL)
		return;
	(void)pthread_mutex_lock(&ws->lock);
	ws->is_closing = 1;
	(void)pthread_cond_broadcast(&ws->ready);
	(void)pthread_mutex_unlock(&ws->lock);
	for (i = 0; i < ws->n; i++)
		if (ws->worker[i].is_started)
			(void)pthread_join(ws->worker[i].thread, NULL);
	for (i = 0; i < ws->n; i++)
		handler_close(&ws->worker[i].handler);
	(void)pthread_cond_destroy(&ws->ready);
	(void)pthread_mutex_destroy(&ws->lock);
	free(ws);
}
