/*
 * loop - libev watchers around what the other modules want to be called for.
 *
 * Before the loop sleeps, one timer is set to the earliest moment that anybody
 * asked for; when it wakes, whoever is due is called.  So nothing polls, and a
 * module only has to say when.
 */
#include <ev.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include "acceptor.h"
#include "clients.h"
#include "clock.h"
#include "duty.h"
#include "err.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "server.h"
#include "tail.h"

#define TICK_S		1.0

struct loop {
	struct ev_loop	*ev;
	struct loop_env	 env;
	ev_prepare	 prepare;
	ev_check	 check;
	ev_timer	 next;		/* the earliest of what follows */
	ev_timer	 tick;
	ev_io		 tail;
	ev_async	 async;
	ev_signal	 term, interrupt, restart;
	int64_t		 tail_us;	/* monotonic */
	int64_t		 duty_ms;
	int64_t		 drain_ms;	/* end of the drain; 0: serving */
	int		 err;
};

static void
watch_tail(struct loop *l)
{
	int fd = tail_fd(l->env.tail);

	if (ev_is_active(&l->tail) && l->tail.fd == fd)
		return;
	ev_io_stop(l->ev, &l->tail);
	if (fd < 0)
		return;
	ev_io_set(&l->tail, fd, EV_READ);
	ev_io_start(l->ev, &l->tail);
}

static void
step_tail(struct loop *l)
{
	int rc;

	rc = tail_step(l->env.tail);
	if (rc < 0) {
		l->err = rc;
		ev_break(l->ev, EVBREAK_ALL);
		return;
	}
	watch_tail(l);
	l->tail_us = tail_wait_us(l->env.tail, clock_mono_us());
	if (l->tail_us < INT64_MAX / 2)
		l->tail_us += clock_mono_us();
}

static void
on_tail(struct ev_loop *ev, ev_io *w, int revents)
{
	(void)ev;
	(void)revents;
	step_tail(w->data);
}

/* First of all in each turn: what time it is. */
static void
on_check(struct ev_loop *ev, ev_check *w, int revents)
{
	struct loop *l = w->data;

	(void)ev;
	(void)revents;
	clients_set_time(l->env.clients, clock_mono_ms(), clock_wall_s());
}

static void
run_due(struct loop *l)
{
	int64_t now_ms = clock_mono_ms();

	if (clock_mono_us() >= l->tail_us)
		step_tail(l);
	if (clients_next_ms(l->env.clients) <= now_ms)
		clients_expire(l->env.clients);
	if (now_ms >= l->duty_ms)
		l->duty_ms = now_ms + duty_tick(l->env.duty, now_ms);
	if (l->drain_ms != 0 && (now_ms >= l->drain_ms ||
	    clients_count(l->env.clients) == 0))
		ev_break(l->ev, EVBREAK_ALL);
}

static void
on_next(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	run_due(w->data);
}

/* Last of all in each turn: what there is to write, and until when to sleep. */
static void
on_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct loop *l = w->data;
	int64_t at_us, now_us, ms;
	int is_busy;

	(void)revents;
	is_busy = server_write(l->env.server);
	at_us = is_busy ? 0 : l->tail_us;
	now_us = clock_mono_us();
	ms = clients_next_ms(l->env.clients);
	if (l->duty_ms < ms)
		ms = l->duty_ms;
	if (l->drain_ms != 0) {
		if (l->drain_ms < ms)
			ms = l->drain_ms;
		if (clients_count(l->env.clients) == 0)
			ms = 0;
	}
	if (ms < at_us / 1000)
		at_us = ms * 1000;
	ev_timer_stop(ev, &l->next);
	ev_now_update(ev);
	ev_timer_set(&l->next, at_us <= now_us ? 0. :
	    (double)(at_us - now_us) / 1e6, 0.);
	ev_timer_start(ev, &l->next);
}

/* The library looks at its time-outs. */
static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct loop *l = w->data;

	(void)ev;
	(void)revents;
	server_tick(l->env.server);
}

static void
on_async(struct ev_loop *ev, ev_async *w, int revents)
{
	struct loop *l = w->data;

	(void)ev;
	(void)revents;
	clients_collect(l->env.clients);
}

static void
on_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct loop *l = w->data;
	int code;

	(void)revents;
	if (l->drain_ms != 0) {
		ev_break(ev, EVBREAK_ALL);
		return;
	}
	code = w->signum == SIGUSR1 ? SESSION_CLOSE_RESTART :
	    SESSION_CLOSE_AWAY;
	log_info("draining signal=%d connections=%zu code=%d", w->signum,
	    clients_count(l->env.clients), code);
	(void)notify_send("STOPPING=1");
	acceptor_stop(l->env.acceptor);
	l->drain_ms = clock_mono_ms() + LOOP_DRAIN_MS;
	clients_drain(l->env.clients, code);
}

int
loop_new(struct loop **ret)
{
	struct loop *l;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return ERR_NOMEM;
	l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (l->ev == NULL) {
		free(l);
		return ERR_IO;
	}
	ev_async_init(&l->async, on_async);
	l->async.data = l;
	ev_async_start(l->ev, &l->async);
	*ret = l;
	return 0;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	ev_async_stop(l->ev, &l->async);
	ev_loop_destroy(l->ev);
	free(l);
}

struct ev_loop *
loop_ev(struct loop *l)
{
	return l->ev;
}

void
loop_notify(void *arg)
{
	struct loop *l = arg;

	ev_async_send(l->ev, &l->async);
}

static void
start(struct loop *l)
{
	ev_prepare_init(&l->prepare, on_prepare);
	ev_set_priority(&l->prepare, EV_MINPRI);
	ev_check_init(&l->check, on_check);
	ev_set_priority(&l->check, EV_MAXPRI);
	ev_init(&l->next, on_next);
	ev_timer_init(&l->tick, on_tick, TICK_S, TICK_S);
	ev_init(&l->tail, on_tail);
	ev_signal_init(&l->term, on_signal, SIGTERM);
	ev_signal_init(&l->interrupt, on_signal, SIGINT);
	ev_signal_init(&l->restart, on_signal, SIGUSR1);
	l->prepare.data = l->check.data = l->next.data = l->tail.data = l;
	l->tick.data = l;
	l->term.data = l->interrupt.data = l->restart.data = l;
	ev_prepare_start(l->ev, &l->prepare);
	ev_check_start(l->ev, &l->check);
	ev_timer_start(l->ev, &l->tick);
	ev_signal_start(l->ev, &l->term);
	ev_signal_start(l->ev, &l->interrupt);
	ev_signal_start(l->ev, &l->restart);
}

static void
stop(struct loop *l)
{
	ev_prepare_stop(l->ev, &l->prepare);
	ev_check_stop(l->ev, &l->check);
	ev_timer_stop(l->ev, &l->next);
	ev_timer_stop(l->ev, &l->tick);
	ev_io_stop(l->ev, &l->tail);
	ev_signal_stop(l->ev, &l->term);
	ev_signal_stop(l->ev, &l->interrupt);
	ev_signal_stop(l->ev, &l->restart);
}

int
loop_run(struct loop *l, const struct loop_env *env)
{
	l->env = *env;
	start(l);
	step_tail(l);
	if (l->err == 0)
		ev_run(l->ev, 0);
	stop(l);
	return l->err;
}

void
loop_settle(struct loop *l)
{
	ev_run(l->ev, EVRUN_NOWAIT);
}
