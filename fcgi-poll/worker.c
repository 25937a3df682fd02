/*
 * Workers (worker.h): threads that take connections at the gate.
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
#include "errand.h"
#include "gate.h"
#include "handler.h"
#include "hold.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "stats.h"
#include "worker.h"

struct worker {
	struct workers		*all;
	pthread_mutex_t		 lock;		/* held while it answers */
	struct handler		 handler;	/* {lock} */
	pthread_t		 thread;
	int			 is_started;
	_Atomic int64_t		 reading_since_ms;	/* 0: it does not */
};

struct workers {
	struct app		*app;
	struct gate		*gate;
	const struct worker_ops	*ops;
	void			*arg;
	int			 n;
	struct worker		 worker[];
};

/* --- one request --- */

static void
send_reply(struct worker *w, struct conn *c, struct reply *rep)
{
	int rc;

	rc = conn_answer(c, rep);
	if (rc < 0) {
		gate_drop(w->all->gate, c);
	} else if (rc == 1) {
		gate_put(w->all->gate, c);
	} else {
		c->state = CONN_WRITING;
		w->all->ops->give_conn(c, w->all->arg);
	}
}

static void
serve(struct worker *w, struct conn *c, const struct request *req)
{
	struct later later;
	struct hold *hold;
	struct reply rep;
	uint64_t seq = c->seq;

	reply_init(&rep);
	route_handle(&w->handler, req, &rep, &later);
	hold = later.hold;
	if (hold != NULL)
		hold->seq = seq;
	if (hold != NULL && !hold->is_notice) {
		hold->conn = c;
		c->hold = hold;
		c->state = CONN_HELD;
	} else if (later.errand != NULL) {
		errand_start(later.errand, c, w->all->ops, w->all->arg);
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
	rc = conn_read(c, &req);
	atomic_store(&w->reading_since_ms, 0);
	if (rc < 0) {
		stats_add(w->all->app->shm, STATS_requests_broken, 1);
		gate_drop(w->all->gate, c);
		return;
	}
	serve(w, c, &req);
	request_release(&req);
}

/* {lock} */
static void
let_go(struct worker *w)
{
	if (handler_is_outdated(&w->handler))
		handler_let_go(&w->handler);
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct gate_turn turn = { 0, 0 };
	struct conn *c;
	unsigned generation;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	for (c = gate_take(w->all->gate, &turn); c != NULL;
	    c = gate_take(w->all->gate, &turn)) {
		(void)pthread_mutex_lock(&w->lock);
		work(w, c);
		generation = w->handler.generation;
		(void)pthread_mutex_unlock(&w->lock);
		/* Whoever looked meanwhile found it busy. */
		if (generation != atomic_load(&w->all->app->generation)) {
			(void)pthread_mutex_lock(&w->lock);
			let_go(w);
			(void)pthread_mutex_unlock(&w->lock);
		}
	}
	return NULL;
}

void
workers_let_go(struct workers *ws)
{
	struct worker *w;
	int i;

	for (i = 0; i < ws->n; i++) {
		w = &ws->worker[i];
		if (pthread_mutex_trylock(&w->lock) != 0)
			continue;
		let_go(w);
		(void)pthread_mutex_unlock(&w->lock);
	}
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
workers_open(struct app *app, struct gate *gate, int n, struct workers **ret,
    char *why, size_t size)
{
	struct workers *ws;
	int rc = 0;

	ws = calloc(1, sizeof(*ws) + (size_t)n * sizeof(ws->worker[0]));
	if (ws == NULL)
		return ERR_NOMEM;
	ws->app = app;
	ws->gate = gate;
	for (ws->n = 0; ws->n < n && rc == 0; ws->n++) {
		ws->worker[ws->n].all = ws;
		(void)pthread_mutex_init(&ws->worker[ws->n].lock, NULL);
		rc = handler_open(app, ws->n > 0 ? &ws->worker[0].handler :
		    NULL, &ws->worker[ws->n].handler, why, size);
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
	gate_end(ws->gate);
	for (i = 0; i < ws->n; i++)
		if (ws->worker[i].is_started)
			(void)pthread_join(ws->worker[i].thread, NULL);
	for (i = 0; i < ws->n; i++) {
		handler_close(&ws->worker[i].handler);
		(void)pthread_mutex_destroy(&ws->worker[i].lock);
	}
	free(ws);
}
