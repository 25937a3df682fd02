/*
 * The gate (gate.h).
 *
 * A connection is registered for one event (EPOLLONESHOT), so that exactly one
 * thread gets it, and nothing is reported of it until that thread has put it
 * back. Its state is stored before it is registered and loaded after the event,
 * which is what hands the rest of it over.
 *
 * Only two things are done to a connection that waits here by others: shutting
 * down one that is silent for too long, and one that is kept when the process
 * drains. Both under the lock, which whoever takes the connection passes through
 * first: so it is never a descriptor of the same number that is hit. It is then
 * readable, and a worker ends it.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "err.h"
#include "gate.h"
#include "log.h"
#include "stats.h"

#define QUEUE_MAX	4096	/* connections taken from the kernel's queue at the end */

struct gate {
	struct app		*app;
	int			 epfd, endfd, listen_fd;
	int			 max_conns;
	gate_wake_fn		*wake;
	void			*arg;
	_Atomic uint64_t	 seq;
	_Atomic int		 count;
	_Atomic int		 is_draining;
	pthread_mutex_t		 lock;
	LIST_HEAD(, conn)	 all;		/* {lock} */
	struct conn_queue	 silent;	/* {lock} CONN_NEW, the longest first */
	int			 is_accepting;	/* {lock} */
	int64_t			 rest_end_ms;	/* {lock} 0: it does not rest */
	int64_t			 calm_ms;	/* {lock} when resting, which was logged, is
						 * over; 0: nothing was */
};

/* --- connections --- */

static void
lock(struct gate *g)
{
	(void)pthread_mutex_lock(&g->lock);
}

static void
unlock(struct gate *g)
{
	(void)pthread_mutex_unlock(&g->lock);
}

static void
enter(struct gate *g, struct conn *c)
{
	atomic_fetch_add(&g->count, 1);
	lock(g);
	LIST_INSERT_HEAD(&g->all, c, all);
	unlock(g);
}

void
gate_drop(struct gate *g, struct conn *c)
{
	lock(g);
	LIST_REMOVE(c, all);
	unlock(g);
	conn_free(c);
	atomic_fetch_sub(&g->count, 1);
	if (atomic_load(&g->is_draining))
		g->wake(g->arg);
}

int
gate_count(const struct gate *g)
{
	return atomic_load(&g->count);
}

/* Whether it waits among the silent ones is for the lock to say. */
static void
set_silent(struct gate *g, struct conn *c, int is_silent)
{
	lock(g);
	if (is_silent && !c->is_silent) {
		c->since_mono_ms = clock_mono_ms();
		TAILQ_INSERT_TAIL(&g->silent, c, link);
	} else if (!is_silent && c->is_silent) {
		TAILQ_REMOVE(&g->silent, c, link);
	}
	c->is_silent = (unsigned char)is_silent;
	unlock(g);
}

/* The connection is the caller's from here on; what state was it in? */
static enum conn_state
own(struct gate *g, struct conn *c)
{
	enum conn_state was = atomic_load(&c->state);

	atomic_store(&c->state, CONN_BUSY);
	if (was == CONN_NEW || atomic_load(&g->is_draining))
		set_silent(g, c, 0);
	return was;
}

/*
 * Registers c as CONN_NEW or CONN_KEPT. From the call on it may be another
 * thread's, or gone. Where that fails (no memory) the connection ends.
 */
static void
watch(struct gate *g, struct conn *c, enum conn_state state)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c
	};
	int op = c->is_at_gate ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int fd = c->wire.fd;

	c->is_at_gate = 1;
	atomic_store(&c->state, state);
	/* Either gate_drain() saw that, or its flag is seen here. */
	if (state == CONN_KEPT && atomic_load(&g->is_draining)) {
		(void)own(g, c);
		gate_drop(g, c);
	} else if (epoll_ctl(g->epfd, op, fd, &ev) < 0) {
		log_warn("[LongPoll] cannot watch a connection");
		(void)own(g, c);
		gate_drop(g, c);
	}
}

static void
put_silent(struct gate *g, struct conn *c)
{
	set_silent(g, c, 1);
	watch(g, c, CONN_NEW);
}

void
gate_put(struct gate *g, struct conn *c)
{
	if (c->wire.is_kept)
		watch(g, c, CONN_KEPT);
	else
		gate_drop(g, c);
}

/*
 * Looks at one of the caller's; NULL: it went back, or is gone. Nearly always a
 * new one has its request already, or its web server was just about to send it
 * when this thread was given the CPU.
 */
static struct conn *
look(struct gate *g, struct conn *c, enum conn_state was)
{
	enum conn_peek peek = conn_peek(c);

	if (peek == CONN_SILENT && !c->is_at_gate) {
		(void)sched_yield();
		peek = conn_peek(c);
	}
	if (peek == CONN_GONE) {
		gate_drop(g, c);
		return NULL;
	}
	if (peek == CONN_SILENT) {
		if (was == CONN_NEW)
			put_silent(g, c);
		else
			gate_put(g, c);
		return NULL;
	}
	c->is_whole = peek == CONN_WHOLE;
	return c;
}

/* --- accepting --- */

/* {lock} */
static void
watch_listener(struct gate *g)
{
	struct epoll_event ev = {
		.events = EPOLLONESHOT, .data.ptr = &g->listen_fd
	};

	if (g->is_accepting && g->rest_end_ms == 0)
		ev.events |= EPOLLIN;
	if (epoll_ctl(g->epfd, EPOLL_CTL_MOD, g->listen_fd, &ev) < 0)
		log_warn("[LongPoll] cannot watch the listening socket");
}

/* Who wants to connect waits in the kernel's queue meanwhile. */
static void
rest(struct gate *g, const char *why)
{
	int was_calm;

	stats_add(g->app->shm, STATS_accept_rests, 1);
	lock(g);
	was_calm = g->calm_ms == 0;
	g->rest_end_ms = clock_mono_ms() + GATE_REST_MS;
	g->calm_ms = g->rest_end_ms + GATE_CALM_MS;
	unlock(g);
	if (was_calm)
		log_warnx("[LongPoll] accepting rests: %s", why);
	g->wake(g->arg);
}

/* 1: *ret; 0: there is nobody (now), or a reason to rest in *ret_why. */
static int
accept_one(struct gate *g, struct conn **ret, const char **ret_why)
{
	int fd;

	*ret_why = NULL;
	if (gate_count(g) >= g->max_conns) {
		*ret_why = "no descriptors left (raise LimitNOFILE)";
		return 0;
	}
	fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			*ret_why = strerror(errno);
		return 0;
	}
	if (conn_new(fd, ret) < 0) {
		*ret_why = "no memory";
		return 0;
	}
	enter(g, *ret);
	return 1;
}

static struct conn *
take_new(struct gate *g)
{
	struct conn *c = NULL;
	const char *why;
	int is_there;

	is_there = accept_one(g, &c, &why);
	if (why != NULL) {
		rest(g, why);
		return NULL;
	}
	/* The next one may wake somebody else already. */
	lock(g);
	watch_listener(g);
	unlock(g);
	return is_there ? look(g, c, CONN_NEW) : NULL;
}

/*
 * Who has just served a new connection nearly always finds the next one behind it
 * when many come at once, without asking the epoll; now and then the others get
 * their turn. Where there was nobody it is not tried again for a while.
 */
static struct conn *
take_next(struct gate *g, struct gate_turn *turn)
{
	struct conn *c = NULL;
	const char *why;

	if (turn->accepted == 0 || turn->accepted >= GATE_IN_A_ROW ||
	    atomic_load(&g->is_draining))
		return NULL;
	if (accept_one(g, &c, &why)) {
		turn->accepted++;
		return look(g, c, CONN_NEW);
	}
	/* A reason to rest is met again by who is told of the next one. */
	turn->accepted = 0;
	turn->pause = GATE_PAUSE;
	return NULL;
}

static void
note_accept(struct gate_turn *turn)
{
	if (turn->pause > 0)
		turn->pause--;
	turn->accepted = turn->pause == 0;
}

struct conn *
gate_take(struct gate *g, struct gate_turn *turn)
{
	struct epoll_event ev;
	struct conn *c;

	c = take_next(g, turn);
	if (c == NULL)
		turn->accepted = 0;
	while (c == NULL) {
		if (epoll_wait(g->epfd, &ev, 1, -1) != 1)
			continue;	/* a signal */
		if (ev.data.ptr == &g->endfd)
			return NULL;
		if (ev.data.ptr == &g->listen_fd) {
			c = take_new(g);
			note_accept(turn);
		} else {
			c = look(g, ev.data.ptr, own(g, ev.data.ptr));
		}
	}
	c->seq = atomic_fetch_add(&g->seq, 1) + 1;
	return c;
}

/* --- by time, and at the end --- */

static int64_t
silent_ms(const struct gate *g)
{
	return atomic_load(&g->is_draining) ? GATE_LAST_MS :
	    GATE_FIRST_S * 1000LL;
}

int64_t
gate_wait_ms(struct gate *g, int64_t now_mono_ms)
{
	const struct conn *c;
	int64_t at = INT64_MAX;

	lock(g);
	if (g->calm_ms != 0)
		at = g->rest_end_ms != 0 ? g->rest_end_ms : g->calm_ms;
	c = TAILQ_FIRST(&g->silent);
	if (c != NULL && c->since_mono_ms + silent_ms(g) < at)
		at = c->since_mono_ms + silent_ms(g);
	unlock(g);
	if (at == INT64_MAX)
		return -1;
	return at > now_mono_ms ? at - now_mono_ms : 0;
}

void
gate_tick(struct gate *g, int64_t now_mono_ms)
{
	struct conn *c;
	int is_over;

	lock(g);
	if (g->rest_end_ms != 0 && now_mono_ms >= g->rest_end_ms) {
		g->rest_end_ms = 0;
		watch_listener(g);
	}
	is_over = g->calm_ms != 0 && now_mono_ms >= g->calm_ms;
	if (is_over)
		g->calm_ms = 0;
	for (c = TAILQ_FIRST(&g->silent); c != NULL &&
	    now_mono_ms - c->since_mono_ms >= silent_ms(g);
	    c = TAILQ_FIRST(&g->silent)) {
		TAILQ_REMOVE(&g->silent, c, link);
		c->is_silent = 0;
		(void)shutdown(c->wire.fd, SHUT_RDWR);
	}
	unlock(g);
	if (is_over)
		log_info("[LongPoll] accepting goes on");
}

void
gate_drain(struct gate *g)
{
	struct conn *c;
	const char *why;
	int i;

	for (i = 0; i < QUEUE_MAX && accept_one(g, &c, &why); i++)
		put_silent(g, c);
	atomic_store(&g->is_draining, 1);
	lock(g);
	g->is_accepting = 0;
	watch_listener(g);
	LIST_FOREACH(c, &g->all, all)
		if (atomic_load(&c->state) == CONN_KEPT)
			(void)shutdown(c->wire.fd, SHUT_RD);
	unlock(g);
}

void
gate_end(struct gate *g)
{
	const uint64_t one = 1;

	(void)!write(g->endfd, &one, sizeof(one));	/* cannot fail */
}

/* --- opening --- */

/* Descriptors that connections may take; the soft limit is ours to raise. */
static int
get_max_conns(int spare)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 1024 - spare;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		(void)getrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_cur > 1024 * 1024)
		rl.rlim_cur = 1024 * 1024;
	return (int)rl.rlim_cur > spare * 2 ? (int)rl.rlim_cur - spare :
	    (int)rl.rlim_cur / 2;
}

static int
open_epoll(struct gate *g)
{
	struct epoll_event end = { .events = EPOLLIN, .data.ptr = &g->endfd };
	struct epoll_event listener = { .data.ptr = &g->listen_fd };
	const int on = 1;
	int flags;

	g->epfd = epoll_create1(EPOLL_CLOEXEC);
	g->endfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	flags = fcntl(g->listen_fd, F_GETFL);
	if (g->epfd < 0 || g->endfd < 0 || flags < 0 ||
	    fcntl(g->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    epoll_ctl(g->epfd, EPOLL_CTL_ADD, g->endfd, &end) < 0 ||
	    epoll_ctl(g->epfd, EPOLL_CTL_ADD, g->listen_fd, &listener) < 0)
		return ERR_IO;
	/* Those that are accepted have it from there (TCP). */
	(void)setsockopt(g->listen_fd, SOL_SOCKET, SO_KEEPALIVE, &on,
	    sizeof(on));
	return 0;
}

int
gate_open(struct app *app, int listen_fd, struct gate **ret)
{
	struct gate *g;

	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return ERR_NOMEM;
	g->app = app;
	g->epfd = g->endfd = -1;
	g->listen_fd = listen_fd;
	g->max_conns = get_max_conns(GATE_SPARE_FDS +
	    app->conf->poll_threads * GATE_WORKER_FDS);
	/* Who is held must not keep the others from being answered. */
	app->max_held_here = g->max_conns - g->max_conns / 4;
	LIST_INIT(&g->all);
	TAILQ_INIT(&g->silent);
	(void)pthread_mutex_init(&g->lock, NULL);
	if (open_epoll(g) < 0) {
		gate_close(g);
		return ERR_IO;
	}
	*ret = g;
	return 0;
}

void
gate_start(struct gate *g, gate_wake_fn *wake, void *arg)
{
	g->wake = wake;
	g->arg = arg;
	lock(g);
	g->is_accepting = 1;
	watch_listener(g);
	unlock(g);
}

void
gate_close(struct gate *g)
{
	struct conn *c;

	if (g == NULL)
		return;
	while (!LIST_EMPTY(&g->all)) {
		c = LIST_FIRST(&g->all);
		LIST_REMOVE(c, all);
		conn_free(c);
	}
	if (g->endfd >= 0)
		(void)close(g->endfd);
	if (g->epfd >= 0)
		(void)close(g->epfd);
	(void)pthread_mutex_destroy(&g->lock);
	free(g);
}
