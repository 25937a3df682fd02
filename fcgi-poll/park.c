/*
 * Held polls (park.h).
 *
 * The hub wakes while it is being fed and may not be changed then: whoever is
 * woken is queued, and answered when the batch is through.
 */
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "app.h"
#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "hash.h"
#include "hold.h"
#include "hub.h"
#include "log.h"
#include "park.h"
#include "reply.h"
#include "revocation.h"
#include "shm.h"
#include "site.h"
#include "stats.h"
#include "tail.h"
#include "writer.h"

#define ENDED		256		/* so that one user's end is doubt for few others */
#define HELD_BYTES	(128 * 1024)	/* of one answer: what a socket takes */
#define KEPT_BYTES	(16 * 1024)	/* kept for the next one */

struct park {
	struct app		*app;
	struct tail		*tail;
	struct hub		*hub;
	struct timers		 timers;
	LIST_HEAD(, hold)	 all;
	struct hold_queue	 queue;		/* is_queued: to be looked at */
	void			*by_client;	/* tsearch(3): named holds */
	_Atomic int		 held;
	_Atomic int64_t		 ended[ENDED];	/* by a hash of the user: position; */
	_Atomic int64_t		 noted;		/* complete up to there */
	unsigned		 fd_version;
	struct buf		 body;		/* of the last answer, for its memory */
	park_answer_fn		*answer;
	void			*arg;
};

/* --- ending a hold --- */

/*
 * Queues it to be looked at; a reason to end is not replaced by a mere waking.
 */
static void
look_at(struct park *p, struct hold *hold, enum hold_end why)
{
	if (hold->end == HOLD_WAITS || hold->end == HOLD_WOKEN)
		hold->end = why;
	if (hold->is_queued)
		return;
	hold->is_queued = 1;
	STAILQ_INSERT_TAIL(&p->queue, hold, queue);
}

static int
compare(const void *a, const void *b)
{
	const struct hold *x = a, *y = b;
	int c;

	c = strcmp(x->client, y->client);
	return c != 0 ? c : strcmp(x->user_id, y->user_id);
}

static int
give(const struct event *ev, const char *text, size_t len, void *arg)
{
	/* Refused: it stays unread, and the client asks again. */
	return answer_add(arg, ev, text, len) == 0 ? 0 : ERR_TOOBIG;
}

/* Reads what there is; the number of events or an error. */
static int
read_news(struct park *p, struct hold *hold, struct answer *a)
{
	int rc;

	if (hold->end == HOLD_VOID || hold->end == HOLD_REVOKED ||
	    !hub_has_news(&hold->sub))
		return 0;
	if (tail_store(p->tail) == NULL)
		return 0;	/* the database is gone for good */
	rc = hub_read(p->hub, &hold->sub, hold->limit, HELD_BYTES, give, a);
	return rc == ERR_TOOBIG ? a->n_events : rc;
}

static void
compose(struct park *p, struct hold *hold, struct answer *a)
{
	struct answer_end end = { .is_legacy = hold->is_legacy };

	end.pos = hold->end == HOLD_VOID ? hold->cursor : hold->pos;
	if (hold->end != HOLD_VOID && hold->is_joined &&
	    hub_position(p->hub, &hold->sub) > end.pos)
		end.pos = hub_position(p->hub, &hold->sub);
	end.is_moved = end.pos != hold->cursor;
	end.is_more = a->n_events > 0 && hub_has_news(&hold->sub);
	answer_end(a, &end);
}

static void
count(const struct park *p, const struct hold *hold, int n_events)
{
	struct shm *shm = p->app->shm;

	stats_add(shm, STATS_poll_events, (uint64_t)n_events);
	if (hold->end == HOLD_EXPIRED && n_events == 0)
		stats_add(shm, STATS_polls_expired, 1);
	else if (hold->end == HOLD_SUPERSEDED)
		stats_add(shm, STATS_polls_superseded, 1);
	else if (hold->end == HOLD_ABANDONED)
		stats_add(shm, STATS_polls_abandoned, 1);
	else if (hold->end == HOLD_REVOKED) {
		stats_add(shm, STATS_auth_failures, 1);
		stats_add(shm, STATS_revoked, 1);
	}
}

/* Takes it out of everything and frees it. */
static void
forget(struct park *p, struct hold *hold)
{
	timers_cancel(&p->timers, &hold->timer);
	if (hold->is_named)
		(void)tdelete(hold, &p->by_client, compare);
	if (hold->is_queued)
		STAILQ_REMOVE(&p->queue, hold, hold, queue);
	if (hold->is_joined) {
		hub_leave(p->hub, &hold->sub);
		LIST_REMOVE(hold, all);
		atomic_fetch_sub(&p->held, 1);
	}
	(void)shm_add_held(p->app->shm, -1);
	atomic_fetch_sub(&p->app->held_here, 1);
	hold_free(hold);
}

static void
refuse(struct park *p, struct hold *hold, enum problem problem)
{
	struct reply rep;

	reply_init(&rep);
	rep.origin = hold->origin;
	reply_problem(&rep, problem, NULL);
	p->answer(hold->conn, &rep, p->arg);
	reply_release(&rep);
	forget(p, hold);
}

/* A body that is not of a giant keeps its memory for the next one. */
static void
begin_reply(struct park *p, const struct hold *hold, struct reply *rep)
{
	reply_init(rep);
	rep->origin = hold->origin;
	p->body.max = rep->body.max;
	rep->body = p->body;
	buf_reset(&rep->body);
}

static void
end_reply(struct park *p, struct reply *rep)
{
	if (rep->body.cap > KEPT_BYTES)
		buf_release(&rep->body);
	p->body = rep->body;
}

/* Answers and forgets a hold, unless it was only woken and sees nothing. */
static void
settle(struct park *p, struct hold *hold)
{
	struct reply rep;
	struct answer a;
	int n;

	if (hold->end == HOLD_REVOKED) {
		count(p, hold, 0);
		refuse(p, hold, PROBLEM_REVOKED);
		return;
	}
	begin_reply(p, hold, &rep);
	answer_begin(&a, &rep.body, HELD_BYTES);
	n = read_news(p, hold, &a);
	if (n < 0) {
		end_reply(p, &rep);
		refuse(p, hold, PROBLEM_BUSY);
		return;
	}
	if (n == 0 && (hold->end == HOLD_WOKEN || hold->end == HOLD_WAITS)) {
		hold->end = HOLD_WAITS;
		end_reply(p, &rep);
		/* A long stretch that it may not see: on with the next part. */
		if (hub_has_news(&hold->sub))
			look_at(p, hold, HOLD_WOKEN);
		return;
	}
	compose(p, hold, &a);
	count(p, hold, n);
	p->answer(hold->conn, &rep, p->arg);
	end_reply(p, &rep);
	forget(p, hold);
}

static void
settle_queue(struct park *p)
{
	struct hold_queue now = STAILQ_HEAD_INITIALIZER(now);
	struct hold *hold;

	/* Who is queued again meanwhile waits for the next round. */
	STAILQ_CONCAT(&now, &p->queue);
	while (!STAILQ_EMPTY(&now)) {
		hold = STAILQ_FIRST(&now);
		STAILQ_REMOVE_HEAD(&now, queue);
		hold->is_queued = 0;
		settle(p, hold);
	}
}

/* --- what the tail and the hub report --- */

static size_t
ended_at(const char *user_id)
{
	return hash_text(user_id) & (ENDED - 1);
}

/* Going offline and being deleted look the same here. */
static void
note_end(struct park *p, const struct event *ev)
{
	const char *id = revocation_is_event(ev) ? ev->user_id :
	    strcmp(ev->type, "USER_LEFT") == 0 ? ev->actor_id : NULL;

	if (id != NULL)
		atomic_store(&p->ended[ended_at(id)], ev->id);
}

static void
on_batch(struct event *const *ev, size_t n, void *arg)
{
	struct park *p = arg;
	size_t i;

	stats_add(p->app->shm, STATS_tail_batches, 1);
	stats_add(p->app->shm, STATS_tail_events, n);
	for (i = 0; i < n; i++)
		note_end(p, ev[i]);
	atomic_store(&p->noted, ev[n - 1]->id);
	hub_feed(p->hub, ev, n);
}

static void
on_replaced(void *arg)
{
	struct park *p = arg;
	struct hold *hold;
	size_t i;

	log_info("[LongPoll] database replaced held=%d", park_held(p));
	p->fd_version++;
	atomic_fetch_add(&p->app->generation, 1);
	for (i = 0; i < ENDED; i++)
		atomic_store(&p->ended[i], 0);
	atomic_store(&p->noted, tail_head(p->tail));
	hub_reset(p->hub, tail_store(p->tail), tail_head(p->tail));
	LIST_FOREACH(hold, &p->all, all)
		look_at(p, hold, HOLD_VOID);
}

static void
on_repaired(int n, void *arg)
{
	struct park *p = arg;

	stats_add(p->app->shm, STATS_triggers_repaired, (uint64_t)n);
}

/* The workers close theirs as soon as they can, the writer as well. */
static void
on_replacing(void *arg)
{
	struct park *p = arg;

	atomic_fetch_add(&p->app->generation, 1);
	if (p->app->writer != NULL)
		writer_let_go(p->app->writer);
}

/* What the workers remember of users is void with their handles. */
static void
on_doubt(void *arg)
{
	struct park *p = arg;

	atomic_fetch_add(&p->app->generation, 1);
	hub_doubt(p->hub);
}

/* A subscriber is the first thing in its hold. */
static void
on_wake(struct hub_sub *sub, void *arg)
{
	look_at(arg, (struct hold *)sub, HOLD_WOKEN);
}

static void
on_gone(struct hub_sub *sub, void *arg)
{
	look_at(arg, (struct hold *)sub, HOLD_REVOKED);
}

int
park_open(struct app *app, struct park **ret, char *why, size_t size)
{
	static const struct tail_ops tail_ops = {
		on_batch, on_replaced, on_repaired, on_doubt,
		on_replacing
	};
	static const struct hub_ops hub_ops = { on_wake, on_gone };
	struct park *p;
	int rc;

	_Static_assert(offsetof(struct hold, sub) == 0, "hub_sub comes first");
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NOMEM;
	p->app = app;
	timers_init(&p->timers);
	buf_init(&p->body, REPLY_MAX_BODY);
	LIST_INIT(&p->all);
	STAILQ_INIT(&p->queue);
	rc = tail_open(app->conf, &tail_ops, p, &p->tail, why, size);
	if (rc == 0)
		p->noted = tail_head(p->tail);
	if (rc == 0)
		rc = hub_new(&hub_ops, p, tail_store(p->tail),
		    tail_head(p->tail), &p->hub);
	if (rc < 0) {
		park_close(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void
park_close(struct park *p)
{
	if (p == NULL)
		return;
	hub_free(p->hub);
	tail_close(p->tail);
	timers_release(&p->timers);
	buf_release(&p->body);
	free(p);
}

void
park_on_answer(struct park *p, park_answer_fn *fn, void *arg)
{
	p->answer = fn;
	p->arg = arg;
}

/* --- the event loop's side --- */

int
park_fd(const struct park *p, unsigned *ret_version)
{
	*ret_version = p->fd_version;
	return tail_fd(p->tail);
}

int64_t
park_wait_us(const struct park *p, int64_t now_mono_us)
{
	int64_t wait = tail_wait_us(p->tail, now_mono_us);
	int64_t own = timers_wait_ms(&p->timers, now_mono_us / 1000) * 1000;

	if (!STAILQ_EMPTY(&p->queue))
		return 0;
	return own >= 0 && own < wait ? own : wait;
}

int
park_step(struct park *p)
{
	int64_t now_us = clock_mono_us();
	struct timer *t;
	int rc;

	rc = tail_step(p->tail);
	if (rc < 0)
		return rc;
	for (t = timers_take(&p->timers, now_us / 1000); t != NULL;
	    t = timers_take(&p->timers, now_us / 1000))
		look_at(p, t->owner, HOLD_EXPIRED);
	settle_queue(p);
	return 0;
}

/* --- the workers' side --- */

/* Ends the older of two polls of one client; 0: that is not this one. */
static int
supersede(struct park *p, struct hold *hold)
{
	struct hold **found, *old;

	if (hold->client == NULL)
		return 0;
	found = tfind(hold, &p->by_client, compare);
	if (found == NULL)
		return 0;
	old = *found;
	if (old->seq > hold->seq)
		return 1;
	(void)tdelete(old, &p->by_client, compare);
	old->is_named = 0;
	look_at(p, old, HOLD_SUPERSEDED);
	return 0;
}

static int
join(struct park *p, struct hold *hold)
{
	int rc;

	rc = hub_join(p->hub, &hold->sub, hold->user_id, hold->pos, hold->rooms,
	    hold->n_rooms);
	if (rc < 0)
		return rc;
	hold->is_joined = 1;
	LIST_INSERT_HEAD(&p->all, hold, all);
	atomic_fetch_add(&p->held, 1);
	rc = timers_set(&p->timers, &hold->timer, hold, hold->deadline_mono_ms);
	if (rc < 0)
		return rc;
	if (hold->client != NULL)
		hold->is_named =
		    tsearch(hold, &p->by_client, compare) != NULL;
	return 0;
}

/* Whether its user was deleted or revoked between the worker's look and now. */
static int
is_ended(struct park *p, const struct hold *hold)
{
	struct store *st = tail_store(p->tail);

	if (st == NULL || hold->looked_pos >= p->ended[ended_at(hold->user_id)])
		return 0;
	return site_has_user(st, hold->user_id) == 0 ||
	    revocation_check(st, hold->user_id, hold->issued_at_s) == 1;
}

void
park_enter(struct park *p, struct hold *hold)
{
	int is_old, rc;

	is_old = supersede(p, hold);
	if (hold->is_notice) {
		hold_free(hold);
	} else if (hold->generation != atomic_load(&p->app->generation)) {
		/* What its worker read may be of another file: ask again. */
		hold->end = HOLD_VOID;
		settle(p, hold);
	} else if (is_old) {
		/* It was overtaken on its way here; the newer one stays. */
		hold->end = HOLD_SUPERSEDED;
		settle(p, hold);
	} else if (is_ended(p, hold)) {
		hold->end = HOLD_REVOKED;
		settle(p, hold);
	} else {
		rc = join(p, hold);
		if (rc < 0) {
			log_warnx("[LongPoll] cannot hold: error=%s",
			    err_name(rc));
			refuse(p, hold, PROBLEM_BUSY);
		} else if (hub_has_news(&hold->sub)) {
			look_at(p, hold, HOLD_WOKEN);
		}
	}
	settle_queue(p);
}

void
park_abandon(struct park *p, struct hold *hold)
{
	hold->end = HOLD_ABANDONED;
	settle(p, hold);
}

void
park_drain(struct park *p)
{
	struct hold *hold;

	LIST_FOREACH(hold, &p->all, all)
		look_at(p, hold, HOLD_DRAINED);
	while (!STAILQ_EMPTY(&p->queue))
		settle_queue(p);
}

/* --- any thread --- */

int
park_is_same_user(const struct park *p, const char *user_id,
    int64_t looked_pos, int64_t head)
{
	return head == atomic_load(&p->noted) &&
	    looked_pos >= atomic_load(&p->ended[ended_at(user_id)]);
}

int64_t
park_head(const struct park *p)
{
	return tail_head(p->tail);
}

int
park_health(const struct park *p)
{
	return tail_health(p->tail);
}

int
park_held(const struct park *p)
{
	return atomic_load(&p->held);
}
