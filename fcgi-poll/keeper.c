/*
 * The keeper (keeper.h).
 *
 * Connections are registered one-shot: an event hands the connection over, and
 * whoever is done with it gives it back. While the events of one round are
 * looked at, no connection but the event's own may be freed, for a later event
 * of the round may be its; so what workers gave back, the tail and timers come
 * after the round.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "clock.h"
#include "conf.h"
#include "conn.h"
#include "duty.h"
#include "err.h"
#include "hold.h"
#include "keeper.h"
#include "log.h"
#include "park.h"
#include "stats.h"
#include "worker.h"

#define ROUND		256	/* events taken at once */
#define ACCEPT_MAX	64	/* connections taken in one turn */
#define WATCH_MS	1000

struct keeper {
	struct app		*app;
	struct workers		*workers;
	struct duty		*duty;
	pthread_t		 thread;
	int			 epfd, wakefd, listen_fd;
	int			 max_conns;
	pthread_mutex_t		 lock;
	struct conn_queue	 conns;		/* {lock} given back */
	struct hold_queue	 holds;		/* {lock} given */
	int			 is_woken;	/* {lock} wakefd is set */
	_Atomic int		 is_asked_to_drain;
	/* The thread's own: */
	LIST_HEAD(, conn)	 idle;
	struct timers		 timers;
	struct timer		 rest;		/* accepting goes on then */
	int			 is_accepting, is_resting, is_draining;
	int			 tail_fd;	/* registered; -1: none */
	unsigned		 tail_version;
	unsigned		 generation;	/* the workers were told of */
	uint64_t		 seq;
	int64_t			 duty_ms, watch_ms;	/* when next */
	int64_t			 drain_ms;		/* when at last */
	int			 rc;
};

/* --- what others give --- */

static void
wake(struct keeper *k)
{
	const uint64_t one = 1;

	/* Fails only when it is full, and then it is readable. */
	(void)!write(k->wakefd, &one, sizeof(one));
}

static void
unlock_and_wake(struct keeper *k)
{
	int was_woken = k->is_woken;

	k->is_woken = 1;
	(void)pthread_mutex_unlock(&k->lock);
	if (!was_woken)
		wake(k);
}

static void
on_give_conn(struct conn *c, void *arg)
{
	struct keeper *k = arg;

	(void)pthread_mutex_lock(&k->lock);
	TAILQ_INSERT_TAIL(&k->conns, c, link);
	unlock_and_wake(k);
}

static void
on_give_hold(struct hold *hold, void *arg)
{
	struct keeper *k = arg;

	(void)pthread_mutex_lock(&k->lock);
	STAILQ_INSERT_TAIL(&k->holds, hold, queue);
	unlock_and_wake(k);
}

/* The keeper counts connections when it waits for the last. */
static void
on_ended(void *arg)
{
	struct keeper *k = arg;

	if (atomic_load(&k->is_asked_to_drain))
		wake(k);
}

void
keeper_drain(struct keeper *k)
{
	atomic_store(&k->is_asked_to_drain, 1);
	wake(k);
}

/* --- connections --- */

static void
drop(struct keeper *k, struct conn *c)
{
	timers_cancel(&k->timers, &c->timer);
	conn_free(c);
}

/*
 * Waits for events on c. Where that fails (no memory) c is dropped, but a held
 * one goes on: its hold ends some time.
 */
static void
watch(struct keeper *k, struct conn *c, uint32_t events, int wait_s)
{
	struct epoll_event ev = {
		.events = events | EPOLLONESHOT, .data.ptr = c
	};

	if (epoll_ctl(k->epfd, c->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
	    c->wire.fd, &ev) < 0 ||
	    (wait_s > 0 && timers_set(&k->timers, &c->timer, c,
	    clock_mono_ms() + wait_s * 1000LL) < 0)) {
		log_warn("[LongPoll] cannot watch a connection");
		if (c->state == CONN_NEW || c->state == CONN_KEPT)
			LIST_REMOVE(c, idle);
		if (c->state != CONN_HELD)
			drop(k, c);
		return;
	}
	c->is_watched = 1;
}

static void
idle(struct keeper *k, struct conn *c)
{
	LIST_INSERT_HEAD(&k->idle, c, idle);
	watch(k, c, EPOLLIN, c->state == CONN_NEW ? KEEPER_FIRST_S : 0);
}

static void
employ(struct keeper *k, struct conn *c)
{
	c->seq = ++k->seq;
	workers_put(k->workers, c);
}

/* An answer is through. */
static void
after_answer(struct keeper *k, struct conn *c)
{
	timers_cancel(&k->timers, &c->timer);
	if (!c->wire.is_kept || k->is_draining) {
		drop(k, c);
		return;
	}
	c->state = CONN_KEPT;
	idle(k, c);
}

static void
go_on_writing(struct keeper *k, struct conn *c)
{
	int rc;

	rc = conn_write(c);
	if (rc < 0)
		drop(k, c);
	else if (rc == 1)
		after_answer(k, c);
	else
		watch(k, c, EPOLLOUT, KEEPER_WRITE_S);
}

static void
on_answer(struct conn *c, struct reply *rep, void *arg)
{
	struct keeper *k = arg;
	int rc;

	c->hold = NULL;
	c->state = CONN_WRITING;
	rc = conn_answer(c, rep);
	if (rc < 0)
		drop(k, c);
	else if (rc == 1)
		after_answer(k, c);
	else
		watch(k, c, EPOLLOUT, KEEPER_WRITE_S);
}

static void
on_idle_event(struct keeper *k, struct conn *c)
{
	enum conn_peek peek = conn_peek(c);

	LIST_REMOVE(c, idle);
	timers_cancel(&k->timers, &c->timer);
	if (peek == CONN_GONE)
		drop(k, c);
	else if (peek == CONN_SILENT)
		idle(k, c);
	else
		employ(k, c);
}

/*
 * A client that only shut down its sending side may still read: where the web
 * server passes that on (lighttpd), it gets its answer.
 */
static void
on_held_event(struct keeper *k, struct conn *c, uint32_t events)
{
	enum conn_peek peek = conn_peek(c);

	if (peek == CONN_GONE || peek == CONN_ABORTED ||
	    (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
		c->wire.is_kept = 0;
		park_abandon(k->app->park, c->hold);
	} else if (peek == CONN_READABLE) {
		/* Not to be read yet: only its end matters. */
		watch(k, c, EPOLLRDHUP, 0);
	} else {
		watch(k, c, EPOLLIN | EPOLLRDHUP, 0);
	}
}

static void
on_conn_event(struct keeper *k, struct conn *c, uint32_t events)
{
	switch (c->state) {
	case CONN_NEW:
	case CONN_KEPT:
		on_idle_event(k, c);
		break;
	case CONN_HELD:
		on_held_event(k, c, events);
		break;
	case CONN_WRITING:
		go_on_writing(k, c);
		break;
	case CONN_BUSY:
		break;		/* cannot be: its registration is spent */
	}
}

/* --- accepting --- */

static void
set_accepting(struct keeper *k, int is_accepting)
{
	struct epoll_event ev = {
		/* Of several processes on one socket, one wakes. */
		.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &k->listen_fd
	};

	if (is_accepting == k->is_accepting)
		return;
	if (epoll_ctl(k->epfd, is_accepting ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
	    k->listen_fd, &ev) < 0)
		log_warn("[LongPoll] cannot watch the listening socket");
	k->is_accepting = is_accepting;
}

/* Who wants to connect waits in the kernel's queue meanwhile. */
static void
rest(struct keeper *k, const char *why)
{
	if (timers_set(&k->timers, &k->rest, k,
	    clock_mono_ms() + KEEPER_REST_MS) < 0)
		return;		/* accept() fails again */
	set_accepting(k, 0);
	stats_add(k->app->shm, STATS_accept_rests, 1);
	if (!k->is_resting)
		log_warnx("[LongPoll] accepting rests: %s", why);
	k->is_resting = 1;
}

static int
is_short_of(const struct keeper *k, const char **ret_why)
{
	if (conn_count() >= k->max_conns)
		*ret_why = "no descriptors left (raise LimitNOFILE)";
	else if (workers_backlog(k->workers) >= WORKER_BACKLOG)
		*ret_why = "all workers are busy (raise poll.threads)";
	else
		return 0;
	return 1;
}

/* 0: there is nobody (now), or accepting rests. */
static int
accept_one(struct keeper *k)
{
	const char *why;
	struct conn *c;
	int fd;

	if (is_short_of(k, &why)) {
		rest(k, why);
		return 0;
	}
	fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			rest(k, strerror(errno));
		return errno == EINTR || errno == ECONNABORTED;
	}
	if (conn_new(fd, &c) < 0) {
		rest(k, "no memory");
		return 0;
	}
	/* Nearly always the request is there already. */
	if (conn_peek(c) == CONN_SILENT)
		idle(k, c);
	else
		employ(k, c);
	return 1;
}

static void
accept_some(struct keeper *k)
{
	int i;

	for (i = 0; i < ACCEPT_MAX && accept_one(k); i++)
		continue;
	if (i > 0 && k->is_accepting && k->is_resting) {
		k->is_resting = 0;
		log_info("[LongPoll] accepting goes on");
	}
}

/* --- the rounds --- */

static void
take_hold(struct keeper *k, struct hold *hold)
{
	if (hold->conn != NULL)
		watch(k, hold->conn, EPOLLIN | EPOLLRDHUP, 0);
	park_enter(k->app->park, hold);
}

/* What the workers gave. */
static void
take_given(struct keeper *k)
{
	struct conn_queue conns = TAILQ_HEAD_INITIALIZER(conns);
	struct hold_queue holds = STAILQ_HEAD_INITIALIZER(holds);
	struct hold *hold;
	struct conn *c;

	(void)pthread_mutex_lock(&k->lock);
	TAILQ_CONCAT(&conns, &k->conns, link);
	STAILQ_CONCAT(&holds, &k->holds);
	k->is_woken = 0;
	(void)pthread_mutex_unlock(&k->lock);
	while (!TAILQ_EMPTY(&conns)) {
		c = TAILQ_FIRST(&conns);
		TAILQ_REMOVE(&conns, c, link);
		if (c->state == CONN_WRITING)
			watch(k, c, EPOLLOUT, KEEPER_WRITE_S);
		else
			after_answer(k, c);
	}
	while (!STAILQ_EMPTY(&holds)) {
		hold = STAILQ_FIRST(&holds);
		STAILQ_REMOVE_HEAD(&holds, queue);
		take_hold(k, hold);
	}
	if (k->is_draining)
		park_drain(k->app->park);
}

static void
run_timers(struct keeper *k, int64_t now_ms)
{
	struct conn *c;
	struct timer *t;

	for (t = timers_take(&k->timers, now_ms); t != NULL;
	    t = timers_take(&k->timers, now_ms)) {
		if (t == &k->rest) {
			if (!k->is_draining) {
				set_accepting(k, 1);
				accept_some(k);
			}
			continue;
		}
		c = t->owner;
		if (c->state == CONN_NEW || c->state == CONN_KEPT)
			LIST_REMOVE(c, idle);
		drop(k, c);
	}
}

/* Registers the tail's descriptor, again when it is another one. */
static void
watch_tail(struct keeper *k)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &k->tail_fd };
	unsigned version;
	int fd;

	fd = park_fd(k->app->park, &version);
	if (fd == k->tail_fd && version == k->tail_version)
		return;
	if (fd >= 0 && epoll_ctl(k->epfd, EPOLL_CTL_ADD, fd, &ev) < 0 &&
	    errno != EEXIST)
		log_warn("[LongPoll] cannot watch the database's directory");
	k->tail_fd = fd;
	k->tail_version = version;
}

/* Idle workers must not keep a file open that was replaced. */
static void
tell_workers(struct keeper *k)
{
	unsigned now = atomic_load(&k->app->generation);

	if (now == k->generation)
		return;
	k->generation = now;
	workers_wake(k->workers);
}

/* Kept connections are closed; on a new one the request is on its way. */
static void
begin_drain(struct keeper *k, int64_t now_ms)
{
	struct conn *c, *next;

	accept_some(k);		/* the kernel's queue gets answers */
	set_accepting(k, 0);
	k->is_draining = 1;
	k->drain_ms = now_ms + KEEPER_DRAIN_S * 1000LL;
	atomic_store(&k->app->is_draining, 1);
	for (c = LIST_FIRST(&k->idle); c != NULL; c = next) {
		next = LIST_NEXT(c, idle);
		if (c->state == CONN_NEW && timers_set(&k->timers, &c->timer,
		    c, now_ms + CONN_READ_S * 500LL) == 0)
			continue;
		LIST_REMOVE(c, idle);
		drop(k, c);
	}
	park_drain(k->app->park);
}

static int64_t
wait_us(const struct keeper *k, int64_t now_us)
{
	int64_t wait = park_wait_us(k->app->park, now_us);
	int64_t own = timers_wait_ms(&k->timers, now_us / 1000) * 1000;
	int64_t duty = k->duty_ms * 1000 - now_us;

	if (own >= 0 && own < wait)
		wait = own;
	if (duty < wait)
		wait = duty;
	return wait > 0 ? wait : 0;
}

/* epoll_wait() counts milliseconds, and the tail sometimes less. */
static int
wait_for_events(struct keeper *k, struct epoll_event *ev, int64_t wait)
{
	struct pollfd pfd = { .fd = k->epfd, .events = POLLIN };
	struct timespec ts = { .tv_nsec = (long)(wait * 1000) };

	if (wait >= 1000)
		return epoll_wait(k->epfd, ev, ROUND,
		    (int)((wait + 999) / 1000));
	if (wait > 0)
		(void)ppoll(&pfd, 1, &ts, NULL);
	return epoll_wait(k->epfd, ev, ROUND, 0);
}

static void
look_at_events(struct keeper *k, const struct epoll_event *ev, int n)
{
	uint64_t count;
	int i;

	for (i = 0; i < n; i++) {
		if (ev[i].data.ptr == &k->listen_fd)
			accept_some(k);
		else if (ev[i].data.ptr == &k->wakefd)
			(void)!read(k->wakefd, &count, sizeof(count));
		else if (ev[i].data.ptr != &k->tail_fd)
			on_conn_event(k, ev[i].data.ptr, ev[i].events);
	}
}

static int
round_once(struct keeper *k)
{
	struct epoll_event ev[ROUND];
	int64_t now_ms;
	int n, rc;

	n = wait_for_events(k, ev, wait_us(k, clock_mono_us()));
	look_at_events(k, ev, n);
	take_given(k);
	rc = park_step(k->app->park);
	if (rc < 0)
		return rc;
	watch_tail(k);
	tell_workers(k);
	now_ms = clock_mono_ms();
	run_timers(k, now_ms);
	if (now_ms >= k->duty_ms)
		k->duty_ms = now_ms + duty_tick(k->duty, now_ms);
	if (now_ms >= k->watch_ms) {
		workers_watch(k->workers, now_ms);
		k->watch_ms = now_ms + WATCH_MS;
	}
	if (atomic_load(&k->is_asked_to_drain) && !k->is_draining)
		begin_drain(k, now_ms);
	return 0;
}

static void *
run(void *arg)
{
	struct keeper *k = arg;

	while (!k->is_draining || (conn_count() > 0 &&
	    clock_mono_ms() < k->drain_ms)) {
		k->rc = round_once(k);
		if (k->rc < 0)
			break;
	}
	if (k->rc < 0) {
		log_errx("[LongPoll] the database is gone: error=%s",
		    err_name(k->rc));
		(void)kill(getpid(), SIGTERM);
		atomic_store(&k->app->is_draining, 1);
		park_drain(k->app->park);
	}
	return NULL;
}

/* --- start and stop --- */

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
open_epoll(struct keeper *k)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &k->wakefd };
	int flags;

	k->epfd = epoll_create1(EPOLL_CLOEXEC);
	k->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	flags = fcntl(k->listen_fd, F_GETFL);
	if (k->epfd < 0 || k->wakefd < 0 || flags < 0 ||
	    fcntl(k->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    epoll_ctl(k->epfd, EPOLL_CTL_ADD, k->wakefd, &ev) < 0)
		return ERR_IO;
	return 0;
}

int
keeper_open(struct app *app, int listen_fd, struct workers *workers,
    struct duty *duty, struct keeper **ret)
{
	struct keeper *k;

	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return ERR_NOMEM;
	k->app = app;
	k->workers = workers;
	k->duty = duty;
	k->listen_fd = listen_fd;
	k->epfd = k->wakefd = k->tail_fd = -1;
	k->max_conns = get_max_conns(KEEPER_SPARE_FDS +
	    app->conf->poll_threads * KEEPER_WORKER_FDS);
	/* Who is held must not keep the others from being answered. */
	app->max_held_here = k->max_conns - k->max_conns / 4;
	TAILQ_INIT(&k->conns);
	STAILQ_INIT(&k->holds);
	LIST_INIT(&k->idle);
	timers_init(&k->timers);
	(void)pthread_mutex_init(&k->lock, NULL);
	if (open_epoll(k) < 0) {
		keeper_close(k);
		return ERR_IO;
	}
	park_on_answer(app->park, on_answer, k);
	*ret = k;
	return 0;
}

int
keeper_start(struct keeper *k)
{
	static const struct worker_ops ops = {
		on_give_conn, on_give_hold, on_ended
	};
	int rc;

	rc = workers_start(k->workers, &ops, k);
	if (rc < 0)
		return rc;
	set_accepting(k, 1);
	watch_tail(k);
	return pthread_create(&k->thread, NULL, run, k) == 0 ? 0 : ERR_NOMEM;
}

int
keeper_join(struct keeper *k)
{
	(void)pthread_join(k->thread, NULL);
	return k->rc;
}

void
keeper_close(struct keeper *k)
{
	struct timer *t;

	if (k == NULL)
		return;
	/* Peers that did not take their answers before the drain's end. */
	for (t = timers_take(&k->timers, INT64_MAX); t != NULL;
	    t = timers_take(&k->timers, INT64_MAX))
		if (t != &k->rest)
			conn_free(t->owner);
	timers_release(&k->timers);
	if (k->wakefd >= 0)
		(void)close(k->wakefd);
	if (k->epfd >= 0)
		(void)close(k->epfd);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}
