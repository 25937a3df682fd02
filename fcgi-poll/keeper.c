/*
 * The keeper (keeper.h).
 *
 * Connections are registered one-shot. While the events of one round are looked
 * at, no connection but the event's own may be freed or given back, for a later
 * event of the round may be its; so what workers gave, the tail and timers come
 * after the round.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "app.h"
#include "clock.h"
#include "conn.h"
#include "duty.h"
#include "err.h"
#include "gate.h"
#include "hold.h"
#include "keeper.h"
#include "log.h"
#include "park.h"
#include "worker.h"

#define ROUND		256	/* events taken at once */
#define WATCH_MS	1000
#define HELD_MS		1000	/* held for so long, a connection is watched */
#define HELD_STEP_MS	250	/* how many begin to be watched at once */

struct keeper {
	struct app		*app;
	struct gate		*gate;
	struct workers		*workers;
	struct duty		*duty;
	pthread_t		 thread;
	int			 epfd, wakefd;
	pthread_mutex_t		 lock;
	struct conn_queue	 conns;		/* {lock} given: CONN_WRITING */
	struct hold_queue	 holds;		/* {lock} given */
	int			 is_woken;	/* {lock} wakefd is set */
	_Atomic int		 is_asked_to_drain;
	/* The thread's own: */
	struct timers		 timers;
	struct conn_queue	 fresh;		/* held, not watched yet; the longest first */
	int			 is_draining;
	int			 tail_fd;	/* registered; -1: none */
	unsigned		 tail_version;
	unsigned		 generation;	/* the workers were told of */
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

static void
on_gate(void *arg)
{
	wake(arg);
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
	gate_drop(k->gate, c);
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
		if (c->state != CONN_HELD)
			drop(k, c);
		return;
	}
	c->is_watched = 1;
}

/* An answer is through. The gate is to be the only one that hears of c. */
static void
after_answer(struct keeper *k, struct conn *c)
{
	timers_cancel(&k->timers, &c->timer);
	if (c->is_watched && c->wire.is_kept)
		(void)epoll_ctl(k->epfd, EPOLL_CTL_DEL, c->wire.fd, NULL);
	c->is_watched = 0;
	gate_put(k->gate, c);
}

static void
go_on(struct keeper *k, struct conn *c, int rc)
{
	if (rc < 0)
		drop(k, c);
	else if (rc == 1)
		after_answer(k, c);
	else
		watch(k, c, EPOLLOUT, KEEPER_WRITE_S);
}

/*
 * Most that are held while much happens are answered within a second, and to watch each
 * would be a tenth of what it costs: who goes away so soon is noticed at its end.
 */
static void
watch_later(struct keeper *k, struct conn *c)
{
	c->since_mono_ms = clock_mono_ms();
	c->is_fresh = 1;
	TAILQ_INSERT_TAIL(&k->fresh, c, link);
}

static void
leave_fresh(struct keeper *k, struct conn *c)
{
	if (c->is_fresh)
		TAILQ_REMOVE(&k->fresh, c, link);
	c->is_fresh = 0;
}

static void
watch_fresh(struct keeper *k, int64_t now_ms)
{
	struct conn *c = TAILQ_FIRST(&k->fresh);

	if (c == NULL || now_ms - c->since_mono_ms < HELD_MS)
		return;
	for (; c != NULL && now_ms - c->since_mono_ms >=
	    HELD_MS - HELD_STEP_MS; c = TAILQ_FIRST(&k->fresh)) {
		leave_fresh(k, c);
		watch(k, c, EPOLLIN | EPOLLRDHUP, 0);
	}
}

static int64_t
fresh_wait_ms(const struct keeper *k, int64_t now_ms)
{
	const struct conn *c = TAILQ_FIRST(&k->fresh);
	int64_t wait;

	if (c == NULL)
		return -1;
	wait = c->since_mono_ms + HELD_MS - now_ms;
	return wait > 0 ? wait : 0;
}

static void
on_answer(struct conn *c, struct reply *rep, void *arg)
{
	leave_fresh(arg, c);
	c->hold = NULL;
	c->state = CONN_WRITING;
	go_on(arg, c, conn_answer(c, rep));
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
	} else if (peek == CONN_SILENT) {
		watch(k, c, EPOLLIN | EPOLLRDHUP, 0);
	} else {
		/* Not to be read yet: only its end matters. */
		watch(k, c, EPOLLRDHUP, 0);
	}
}

static void
on_conn_event(struct keeper *k, struct conn *c, uint32_t events)
{
	if (c->state == CONN_HELD)
		on_held_event(k, c, events);
	else
		go_on(k, c, conn_write(c));
}

/* --- the rounds --- */

static void
take_hold(struct keeper *k, struct hold *hold)
{
	if (hold->conn != NULL)
		watch_later(k, hold->conn);
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
		go_on(k, c, conn_write(c));
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
	struct timer *t;

	for (t = timers_take(&k->timers, now_ms); t != NULL;
	    t = timers_take(&k->timers, now_ms))
		drop(k, t->owner);
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

/* Idle workers may not keep a file open that was replaced. */
static void
tell_workers(struct keeper *k)
{
	unsigned now = atomic_load(&k->app->generation);

	if (now == k->generation)
		return;
	k->generation = now;
	workers_let_go(k->workers);
}

static void
begin_drain(struct keeper *k, int64_t now_ms)
{
	k->is_draining = 1;
	k->drain_ms = now_ms + KEEPER_DRAIN_S * 1000LL;
	atomic_store(&k->app->is_draining, 1);
	gate_drain(k->gate);
	park_drain(k->app->park);
}

/* The earlier of two waits, of which the second may be none (-1). */
static int64_t
earlier(int64_t a, int64_t b)
{
	return b >= 0 && b < a ? b : a;
}

static int64_t
wait_us(const struct keeper *k, int64_t now_us)
{
	int64_t now_ms = now_us / 1000, wait = k->duty_ms - now_ms;

	wait = earlier(wait, timers_wait_ms(&k->timers, now_ms));
	wait = earlier(wait, fresh_wait_ms(k, now_ms));
	wait = earlier(wait, gate_wait_ms(k->gate, now_ms));
	if (k->is_draining)
		wait = earlier(wait, k->drain_ms - now_ms);
	wait = wait > 0 ? wait * 1000 : 0;
	return earlier(wait, park_wait_us(k->app->park, now_us));
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
		if (ev[i].data.ptr == &k->wakefd) {
			(void)!read(k->wakefd, &count, sizeof(count));
			/* Who gives one hold is often about to give more,
			 * and wakes nobody until they are taken. */
			(void)sched_yield();
		} else if (ev[i].data.ptr != &k->tail_fd)
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
	watch_fresh(k, now_ms);
	gate_tick(k->gate, now_ms);
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

	while (!k->is_draining || (gate_count(k->gate) > 0 &&
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

static int
open_epoll(struct keeper *k)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &k->wakefd };

	k->epfd = epoll_create1(EPOLL_CLOEXEC);
	k->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->epfd < 0 || k->wakefd < 0 ||
	    epoll_ctl(k->epfd, EPOLL_CTL_ADD, k->wakefd, &ev) < 0)
		return ERR_IO;
	return 0;
}

int
keeper_open(struct app *app, struct gate *gate, struct workers *workers,
    struct duty *duty, struct keeper **ret)
{
	struct keeper *k;

	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return ERR_NOMEM;
	k->app = app;
	k->gate = gate;
	k->workers = workers;
	k->duty = duty;
	k->epfd = k->wakefd = k->tail_fd = -1;
	TAILQ_INIT(&k->conns);
	TAILQ_INIT(&k->fresh);
	STAILQ_INIT(&k->holds);
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
	static const struct worker_ops ops = { on_give_conn, on_give_hold };
	int rc;

	gate_start(k->gate, on_gate, k);
	rc = workers_start(k->workers, &ops, k);
	if (rc < 0)
		return rc;
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
	if (k == NULL)
		return;
	timers_release(&k->timers);
	if (k->wakefd >= 0)
		(void)close(k->wakefd);
	if (k->epfd >= 0)
		(void)close(k->epfd);
	(void)pthread_mutex_destroy(&k->lock);
	free(k);
}
