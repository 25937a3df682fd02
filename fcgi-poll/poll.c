/*
 * The poll (poll.h). Cheap answers first: a cursor that is the tail's head
 * needs no page of the log, and a user who was there when the head was this is
 * still there. Otherwise one read transaction gives the position and the page,
 * or the position and the present state.
 */
#include <stdatomic.h>
#include <string.h>

#include "answer.h"
#include "app.h"
#include "auth.h"
#include "buf.h"
#include "clock.h"
#include "conf.h"
#include "err.h"
#include "eventlog.h"
#include "hold.h"
#include "log.h"
#include "poll.h"
#include "presence.h"
#include "query.h"
#include "reply.h"
#include "request.h"
#include "shm.h"
#include "stats.h"
#include "store.h"

/* One poll on its way through the functions below. */
struct polling {
	struct handler		*h;
	const struct request	*req;
	struct reply		*rep;
	struct query		 q;
	int			 max_wait_s;
	struct auth_claims	 claims;
	struct answer		 answer;
	struct answer_end	 end;
	int64_t			 cursor;	/* where the client is */
	enum eventlog_reset	 reset;
};

int
poll_is_legacy(const struct query *q, const char *raw)
{
	static const char name[] = "lastMessageId";
	size_t len = sizeof(name) - 1;

	if (q->has_last_timestamp)
		return 0;
	if (q->has_last_message_id)
		return 1;
	while (raw != NULL) {
		if (strncmp(raw, name, len) == 0 &&
		    (raw[len] == '=' || raw[len] == '&' || raw[len] == '\0'))
			return 1;
		raw = strchr(raw, '&');
		if (raw != NULL)
			raw++;
	}
	return 0;
}

int
poll_is_at(const struct query *q, int64_t pos)
{
	const char *s;
	int64_t at;

	s = q->has_last_timestamp ? q->last_timestamp : q->last_message_id;
	return s != NULL && clock_parse_pos(s, strlen(s), &at) == 0 &&
	    at == pos;
}

int64_t
poll_wait_ms(int64_t asked_ms, int max_wait_s, uint32_t chance, int64_t left_ms)
{
	int64_t wait = (int64_t)max_wait_s * 1000;

	if (asked_ms < wait)
		wait = asked_ms;
	wait -= (int64_t)((double)wait / 10 * chance / UINT32_MAX);
	if (wait > left_ms)
		wait = left_ms;
	return wait > 0 ? wait : 0;
}

static int
parse(struct polling *p)
{
	const char *why = NULL;
	int rc;

	rc = query_parse(p->req->query, strlen(p->req->query), &p->q, &why);
	if (rc < 0)
		reply_problem(p->rep, problem_of_err(rc), why);
	return rc;
}

static int
give(struct event *ev, void *arg)
{
	struct polling *p = arg;
	const char *text;
	size_t len;

	text = event_get_text(ev, p->claims.user_id, &len);
	return text != NULL ? answer_add(&p->answer, ev, text, len) : 0;
}

/* Position and events, of one transaction that the caller opened. */
static int
read_log(struct polling *p, struct store *st)
{
	int rc;

	rc = eventlog_resume(st, &p->q, &p->cursor, &p->reset);
	if (rc < 0)
		return rc;
	if (p->reset == EVENTLOG_RESUMED)
		return eventlog_page(st, p->claims.user_id, p->q.rooms,
		    p->q.n_rooms, p->cursor, p->q.limit, give, p, &p->end.pos,
		    &p->end.is_more);
	p->answer.max_bytes = ANSWER_STATE;
	return eventlog_state(st, p->claims.user_id, give, p, &p->end.pos);
}

static int
may_wait(const struct polling *p)
{
	return p->q.timeout_ms > 0 && p->max_wait_s > 0 &&
	    p->req->method == METHOD_GET;
}

/* Once, when the first client would have waited. */
static void
tell_of_apache(const struct polling *p)
{
	struct app *app = p->h->app;

	if (p->req->is_apache && app->park != NULL && p->q.timeout_ms > 0 &&
	    p->max_wait_s == 0 && app->conf->poll_max_wait_s > 0 &&
	    atomic_exchange(&app->is_apache_told, 1) == 0)
		log_info("[LongPoll] polls are answered at once, for Apache "
		    "would spend a thread on each that waits (see "
		    "poll.apache_max_held)");
}

/*
 * Whether the client has everything, by the tail. That may be a moment late:
 * one who waits is told when it comes, but one who does not has just committed
 * something, perhaps, and looks for it, so the log itself is asked; as of one
 * with two cursors, of which the other may be the later.
 */
static int
is_up_to_date(struct polling *p)
{
	if (!may_wait(p) || !handler_has_tail(p->h) ||
	    (p->q.has_last_timestamp && p->q.has_last_message_id))
		return 0;
	p->cursor = p->end.pos = handler_head(p->h);
	return poll_is_at(&p->q, p->cursor);
}

static void
begin_answer(struct polling *p)
{
	buf_reset(&p->rep->body);
	answer_begin(&p->answer, &p->rep->body, ANSWER_BYTES);
	p->end = (struct answer_end){
		.is_legacy = poll_is_legacy(&p->q, p->req->query)
	};
}

/*
 * Without a transaction while nobody writes; 0: somebody did, so that position
 * and events may not belong together.
 */
static int
read_at_rest(struct polling *p, struct store *st, int *ret_rc)
{
	if (!eventlog_is_at_rest(st))
		return 0;
	*ret_rc = read_log(p, st);
	return eventlog_is_at_rest(st);
}

static int
read_in_transaction(struct polling *p, struct store *st)
{
	int rc;

	begin_answer(p);
	rc = store_read(st);
	if (rc == 0)
		rc = read_log(p, st);
	store_rollback(st);
	return rc;
}

/* Fills the answer; leaves it without its end. */
static int
look(struct polling *p)
{
	struct store *st;
	int rc = 0;

	begin_answer(p);
	st = handler_store(p->h, p->rep);
	if (st == NULL)
		return ERR_IO;
	if (is_up_to_date(p))
		return 0;
	if (!read_at_rest(p, st, &rc))
		rc = read_in_transaction(p, st);
	rc = handler_note(p->h, rc, p->rep);
	if (rc < 0)
		return rc;
	p->end.reset = eventlog_reset_name(p->reset);
	p->end.is_moved = p->end.pos != p->cursor;
	if (p->end.reset != NULL)
		stats_add(p->h->app->shm, STATS_resets, 1);
	return 0;
}

/*
 * The token's end; one that has passed within the leeway counts to the leeway's
 * end.
 */
static int64_t
left_ms(const struct polling *p)
{
	int64_t ends_ms = p->claims.expires_at_s * 1000;
	int64_t now_ms = clock_wall_ms();

	if (ends_ms <= now_ms)
		ends_ms += p->h->app->conf->jwt_leeway_s * 1000LL;
	return ends_ms - now_ms;
}

/* Spreads well enough to keep clients apart. */
static uint32_t
chance(void)
{
	uint64_t x = (uint64_t)clock_mono_us() * 0x9e3779b97f4a7c15ULL;

	return (uint32_t)(x >> 32);
}

static int
may_hold(const struct polling *p)
{
	return may_wait(p) && p->reset == EVENTLOG_RESUMED &&
	    p->answer.n_events == 0 && !p->end.is_more &&
	    atomic_load(&p->h->app->is_draining) == 0;
}

static int
max_held(const struct polling *p)
{
	const struct conf *conf = p->h->app->conf;

	return p->req->is_apache &&
	    conf->poll_apache_max_held < conf->poll_max_held ?
	    conf->poll_apache_max_held : conf->poll_max_held;
}

/*
 * Counts one more that is held; park.c counts it off. 0: there are too many.
 */
static int
reserve(struct app *app, int max)
{
	int here = atomic_fetch_add(&app->held_here, 1) + 1;

	if (shm_add_held(app->shm, 1) <= max && here <= app->max_held_here)
		return 1;
	(void)shm_add_held(app->shm, -1);
	atomic_fetch_sub(&app->held_here, 1);
	return 0;
}

/* A hold for this poll, or NULL: it is answered now. */
static struct hold *
hold(struct polling *p)
{
	struct app *app = p->h->app;
	struct hold *hold;
	int64_t wait_ms;

	if (!may_hold(p))
		return NULL;
	wait_ms = poll_wait_ms(p->q.timeout_ms, p->max_wait_s, chance(),
	    left_ms(p));
	if (wait_ms == 0 || hold_new(p->claims.user_id, p->q.client,
	    p->rep->origin, p->q.rooms, p->q.n_rooms, &hold) < 0)
		return NULL;
	if (!reserve(app, max_held(p))) {
		stats_add(app->shm, STATS_polls_refused_hold, 1);
		hold_free(hold);
		return NULL;
	}
	stats_add(app->shm, STATS_polls_held, 1);
	hold->cursor = p->cursor;
	hold->pos = p->end.pos;
	hold->looked_pos = p->h->looked_pos;
	hold->issued_at_s = p->claims.issued_at_s;
	hold->deadline_mono_ms = clock_mono_ms() + wait_ms;
	hold->generation = p->h->generation;
	hold->limit = p->q.limit;
	hold->is_legacy = p->end.is_legacy;
	return hold;
}

/* Tells the keeper that this client has polled, if that can matter. */
static struct hold *
notice(const struct polling *p)
{
	struct hold *hold;

	if (p->q.client == NULL || p->h->app->park == NULL ||
	    atomic_load(&p->h->app->held_here) == 0)
		return NULL;
	/* Without memory an older hold just stays to its deadline. */
	if (hold_new(p->claims.user_id, p->q.client, NULL, NULL, 0, &hold) < 0)
		return NULL;
	hold->is_notice = 1;
	return hold;
}

static int
check(struct polling *p)
{
	struct app *app = p->h->app;
	const char *id = p->claims.user_id;
	int rc;

	rc = handler_check_token(p->h, p->req, p->rep, &p->claims);
	if (rc == 0)
		rc = handler_check_user(p->h, &p->claims, p->rep);
	if (rc == 0)
		rc = handler_check_rate(p->h, id, p->rep);
	if (rc < 0)
		return rc;
	stats_add(app->shm, STATS_polls, 1);
	if (log_is_enabled(LOG_DEBUG_LEVEL))
		log_debug("[LongPoll] User %s polling, lastMessageId: %s", id,
		    p->q.last_message_id != NULL ? p->q.last_message_id : "");
	if (app->presence != NULL)
		presence_poll(app->presence, id, clock_wall_ms());
	else if (presence_poll_once(app->conf, p->h->st, id,
	    clock_wall_ms()) < 0)
		/* Reading may work where writing does not. */
		log_warnx("[LongPoll] presence: %s", store_errmsg(p->h->st));
	return 0;
}

void
poll_get(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	struct polling p = { .h = h, .req = req, .rep = rep };

	if (parse(&p) < 0)
		return;
	p.max_wait_s = handler_max_wait_s(h, req);
	if (check(&p) == 0 && look(&p) == 0) {
		later->hold = hold(&p);
		if (later->hold == NULL) {
			tell_of_apache(&p);
			answer_end(&p.answer, &p.end);
			stats_add(h->app->shm, STATS_poll_events,
			    (uint64_t)p.answer.n_events);
			later->hold = notice(&p);
		}
	}
	query_release(&p.q);
}
