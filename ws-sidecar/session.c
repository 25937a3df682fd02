/*
 * session - the life of one client: admitted by its token, resumed at its
 * cursor, watched by its deadlines, ended with a code that tells it what to do.
 *
 * What it sends us is in session_in.c, what it is sent in session_out.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "err.h"
#include "eventlog.h"
#include "log.h"
#include "presence.h"
#include "revocation.h"
#include "session_impl.h"
#include "shm.h"
#include "site.h"
#include "stats.h"

#define STALL_LOOK_MS	3000		/* when progress is looked at first */
#define EXPIRY_LOOK_MS	3600000		/* the clock may be set meanwhile */

static void
earlier(int64_t *at, int64_t other)
{
	if (other < *at)
		*at = other;
}

static int64_t
stall_at(const struct session *s)
{
	return s->want_ms +
	    (s->has_progress ? SESSION_STALL_MS : STALL_LOOK_MS);
}

/*
 * On whole seconds, for all: ten thousand who came at ten thousand moments are
 * pinged in one turn of the loop each second, and their pongs come together.
 */
static int64_t
silence_at(const struct session *s)
{
	const struct conf *conf = s->clients->env.conf;
	int64_t after_s = conf->ws_ping_s;

	if (s->is_pinged)
		after_s += conf->ws_hangup_s;
	return (s->heard_ms + 999) / 1000 * 1000 + after_s * 1000;
}

static int64_t
expiry_at(const struct session *s)
{
	const struct clients *c = s->clients;
	int64_t left_s = s->expires_at_s - c->wall_s;

	if (s->is_v1 && !s->is_noticed)
		left_s -= SESSION_NOTICE_S;
	if (left_s < 0)
		left_s = 0;
	if (left_s > EXPIRY_LOOK_MS / 1000)
		left_s = EXPIRY_LOOK_MS / 1000;
	return c->mono_ms + left_s * 1000;
}

static void
set_deadline(struct session *s, int64_t at_ms)
{
	/* Cannot fail: session_new() reserved its place. */
	(void)!timers_set(&s->clients->deadlines, &s->deadline, s, at_ms);
}

/* Sets the deadline anew from all that may become due. */
static void
plan(struct session *s)
{
	int64_t at = INT64_MAX;

	if (s->phase == SESSION_WAITING || s->phase == SESSION_CLOSING)
		earlier(&at, s->until_ms);
	if (s->phase == SESSION_LIVE) {
		earlier(&at, expiry_at(s));
		earlier(&at, silence_at(s));
		if (s->is_wanted)
			earlier(&at, stall_at(s));
		if (s->is_v1)
			earlier(&at, s->sync_ms);
	}
	if (at <= s->clients->mono_ms)
		at = s->clients->mono_ms + 1;
	set_deadline(s, at);
}

/*
 * A deadline is only ever brought forward here.  One that moved back stays in
 * its place, fires once for nothing, and is planned anew: cheaper than moving
 * it with every event.
 */
void
session_plan_by(struct session *s, int64_t at_ms)
{
	if (s->deadline.place == 0 || at_ms < s->deadline.at_ms)
		set_deadline(s, at_ms);
}

void
session_want(struct session *s)
{
	if (!s->is_wanted) {
		s->is_wanted = 1;
		s->has_progress = 0;
		s->want_ms = s->clients->mono_ms;
		session_plan_by(s, stall_at(s));
	}
	s->clients->env.ops->want_write(s->conn);
}

void
session_news(struct session *s)
{
	if (s->phase == SESSION_LIVE)
		session_want(s);
}

void
session_close(struct session *s, int code, const char *reason)
{
	if (s->phase == SESSION_CLOSING)
		return;
	s->phase = SESSION_CLOSING;
	s->close_code = code;
	s->until_ms = s->clients->mono_ms + SESSION_CLOSE_MS;
	session_drop_state(s);
	plan(s);
	s->clients->env.ops->close(s->conn, code, reason);
}

void
session_end(struct session *s, enum problem problem)
{
	const struct problem_info *info = problem_info(problem);

	if (info->close != 0)
		session_close(s, info->close,
		    info->reason != NULL ? info->reason : "");
	else
		session_close(s, problem_info(PROBLEM_INTERNAL)->close, "");
}

static void
refuse(struct session *s, enum problem problem)
{
	stats_add(s->clients->env.shm, STATS_ws_refused, 1);
	session_end(s, problem);
}

/* Passing failures send the client away to come back later. */
void
session_fail(struct session *s, int err)
{
	switch (err) {
	case ERR_BUSY:
		session_end(s, PROBLEM_OVERLOADED);
		break;
	case ERR_TOOBIG:		/* no message of the client's */
		session_end(s, PROBLEM_INTERNAL);
		break;
	default:
		session_end(s, problem_of_err(err));
	}
}

static int
enter_user(struct session *s, const char *user_id)
{
	struct clients *c = s->clients;
	struct client_user *u;
	int n = 0;

	u = client_user_enter(c, user_id);
	if (u == NULL) {
		session_end(s, PROBLEM_INTERNAL);
		return 0;
	}
	if (u->row != NULL)
		n = shm_add_user_connections(c->env.shm, u->row, 1);
	s->user = u;
	c->n_live++;
	if (n > c->env.conf->ws_max_per_user) {
		refuse(s, PROBLEM_RATE_LIMITED);
		return 0;
	}
	return 1;
}

/*
 * Where to begin.  Without a cursor, or with one that cannot be resumed, a
 * legacy client gets what comes from now on, and one that opted in the present
 * state, which is read with the first write.  One that opted in and resumes has
 * missed what was committed up to now, whether or not the tail has read it: the
 * sync comes behind that.
 */
static int
resume(struct session *s)
{
	struct clients *c = s->clients;
	const struct query *q = s->wish;
	enum eventlog_reset reset = EVENTLOG_FIRST;
	int64_t pos = HUB_HEAD;
	int rc;

	if (q->has_last_message_id || q->has_last_timestamp) {
		rc = eventlog_resume(c->store, q, &pos, &reset);
		if (rc < 0)
			return rc;
		if (reset != EVENTLOG_RESUMED)
			stats_add(c->env.shm, STATS_resets, 1);
	}
	s->reset = eventlog_reset_name(reset);
	s->needs_sync = s->is_v1;
	s->needs_state = s->is_v1 && reset != EVENTLOG_RESUMED;
	if (s->is_v1 && !s->needs_state) {
		rc = eventlog_head(c->store, &s->sync_pos);
		if (rc < 0)
			return rc;
	}
	rc = hub_join(c->hub, &s->sub, s->user->id, pos, q->rooms, q->n_rooms);
	if (rc < 0)
		return rc;
	s->told_pos = hub_position(c->hub, &s->sub);
	return 0;
}

/* The token is good and the user exists. */
static void
start(struct session *s, const char *user_id)
{
	struct clients *c = s->clients;
	int rc;

	if (!enter_user(s, user_id))
		return;
	rc = resume(s);
	if (rc < 0) {
		session_fail(s, rc);
		return;
	}
	query_release(s->wish);
	free(s->wish);
	s->wish = NULL;
	s->phase = SESSION_LIVE;
	s->sync_ms = c->mono_ms + SESSION_SYNC_MS;
	s->heard_ms = c->mono_ms;
	plan(s);
	stats_add(c->env.shm, STATS_ws_opened, 1);
	log_info("[WebSocket] User %s connected ip=%s total=%zu", s->user->id,
	    s->ip, c->n_live);
	if (s->is_v1 || s->control.len > 0 || hub_has_news(&s->sub))
		session_want(s);
}

int
session_is_revoked(struct session *s, const char *user_id, int64_t issued_at_s)
{
	struct clients *c = s->clients;
	int rc;

	rc = revocation_check(c->store, user_id, issued_at_s);
	if (rc == 1) {
		stats_add(c->env.shm, STATS_revoked, 1);
		stats_add(c->env.shm, STATS_auth_failures, 1);
	}
	return rc;
}

void
session_made(struct session *s, const char *user_id, int err)
{
	if (s->phase != SESSION_MAKING)
		return;
	if (err == 0)
		err = session_is_revoked(s, user_id, s->issued_at_s);
	if (err < 0)
		session_fail(s, err);
	else if (err > 0)
		session_end(s, PROBLEM_REVOKED);
	else
		start(s, user_id);
}

static void
admit(struct session *s, const struct auth_claims *claims)
{
	struct clients *c = s->clients;
	int rc;

	s->expires_at_s = claims->expires_at_s;
	s->issued_at_s = claims->issued_at_s;
	rc = session_is_revoked(s, claims->user_id, claims->issued_at_s);
	if (rc > 0) {
		session_end(s, PROBLEM_REVOKED);
		return;
	}
	if (rc == 0)
		rc = site_has_user(c->store, claims->user_id);
	if (rc > 0) {
		start(s, claims->user_id);
	} else if (rc < 0) {
		session_fail(s, rc);
	} else if (!c->env.conf->auth_provision) {
		stats_add(c->env.shm, STATS_revoked, 1);
		session_end(s, PROBLEM_REVOKED);
	} else {
		s->phase = SESSION_MAKING;
		rc = provision_start(s, claims);
		if (rc < 0)
			session_fail(s, rc);
		else
			timers_cancel(&c->deadlines, &s->deadline);
	}
}

enum problem
session_verify(struct session *s, const char *token, size_t len,
    struct auth_claims *ret, const char **ret_why)
{
	enum problem problem;

	problem = auth_verify(s->clients->env.auth, token, len,
	    s->clients->wall_s, ret, ret_why);
	/* No leeway: a session ends at exp, so this one would not begin. */
	if (problem == PROBLEM_NONE &&
	    ret->expires_at_s <= s->clients->wall_s) {
		*ret_why = "The token has expired.";
		problem = PROBLEM_TOKEN_EXPIRED;
	}
	if (problem != PROBLEM_NONE && problem != PROBLEM_MISSING_TOKEN)
		stats_add(s->clients->env.shm, STATS_auth_failures, 1);
	return problem;
}

int
session_authenticate(struct session *s, const char *token, size_t len)
{
	struct auth_claims claims;
	const char *why;
	enum problem problem;

	problem = session_verify(s, token, len, &claims, &why);
	if (problem != PROBLEM_NONE) {
		session_end(s, problem);
		return 0;
	}
	admit(s, &claims);
	return s->phase != SESSION_CLOSING;
}

/* A new token for a session that has one: its end moves. */
void
session_extend(struct session *s, const struct auth_claims *claims)
{
	s->expires_at_s = claims->expires_at_s;
	s->issued_at_s = claims->issued_at_s;
	s->is_noticed = 0;
	plan(s);
}

static void
begin(struct session *s, const struct session_request *req)
{
	struct clients *c = s->clients;
	const char *token = s->wish->token, *bearer;
	size_t len = token == NULL ? 0 : strlen(token), bearer_len;
	char retry[24];

	/* Other schemes (a site behind a password) are not for us. */
	bearer = auth_parse_bearer(req->authorization, &bearer_len);
	if (bearer != NULL) {
		token = bearer;
		len = bearer_len;
	}
	if (c->drain_code != 0) {
		clients_print_retry(retry, sizeof(retry));
		session_close(s, c->drain_code, retry);
	} else if (len == 0 && s->is_v1) {
		s->until_ms = c->mono_ms + SESSION_AUTH_MS;
		plan(s);
	} else if (len == 0) {
		session_end(s, PROBLEM_MISSING_TOKEN);
	} else {
		/* On failure it has ended itself. */
		(void)session_authenticate(s, token, len);
	}
}

int
session_new(struct clients *c, void *conn, const struct session_request *req,
    struct query *query, struct session **ret)
{
	struct session *s;

	s = calloc(1, sizeof(*s));
	if (s == NULL ||
	    timers_reserve(&c->deadlines, c->n_sessions + 1) < 0)
		goto fail;
	s->wish = malloc(sizeof(*s->wish));
	if (s->wish == NULL)
		goto fail;
	*s->wish = *query;
	memset(query, 0, sizeof(*query));
	s->clients = c;
	s->conn = conn;
	s->is_v1 = req->is_v1 != 0;
	s->opened_ms = s->heard_ms = c->mono_ms;
	(void)snprintf(s->ip, sizeof(s->ip), "%s", req->ip);
	buf_init(&s->rx, (size_t)c->env.conf->ws_max_message);
	buf_init(&s->control, SESSION_ANSWERS(c->env.conf->ws_max_message));
	buf_init(&s->state, SESSION_STATE_MAX);
	s->next = c->first;
	if (s->next != NULL)
		s->next->prev = s;
	c->first = s;
	c->n_sessions++;
	*ret = s;
	if (shm_add_connections(c->env.shm, 1) >
	    c->env.conf->ws_max_connections)
		refuse(s, PROBLEM_OVERLOADED);
	else
		begin(s, req);
	return 0;
fail:
	free(s);
	query_release(query);
	return ERR_NOMEM;
}

static void
leave_user(struct session *s, int code)
{
	struct clients *c = s->clients;

	c->n_live--;
	if (s->user->row != NULL)
		(void)shm_add_user_connections(c->env.shm, s->user->row, -1);
	if (s->wish == NULL) {		/* it was live */
		stats_add(c->env.shm, STATS_ws_closed, 1);
		log_info("[WebSocket] User %s disconnected code=%d "
		    "seconds=%lld", s->user->id, code,
		    (long long)((c->mono_ms - s->opened_ms) / 1000));
	}
	client_user_leave(c, s->user, s->is_bye);
}

void
session_free(struct session *s, int code)
{
	struct clients *c;

	if (s == NULL)
		return;
	c = s->clients;
	if (s->close_code != 0)
		code = s->close_code;
	else if (code == 0)
		code = SESSION_CLOSE_ABNORMAL;
	hub_leave(c->hub, &s->sub);
	if (s->user != NULL)
		leave_user(s, code);
	(void)shm_add_connections(c->env.shm, -1);
	timers_cancel(&c->deadlines, &s->deadline);
	if (s->making != NULL)
		s->making->session = NULL;
	session_forget_sends(s);
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		c->first = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	c->n_sessions--;
	if (s->wish != NULL) {
		query_release(s->wish);
		free(s->wish);
	}
	buf_release(&s->rx);
	buf_release(&s->control);
	session_drop_state(s);
	free(s);
}

void
session_heard(struct session *s)
{
	s->heard_ms = s->clients->mono_ms;
	s->is_pinged = 0;
}

/* Non-zero: the client takes nothing, and was told to go. */
static int
is_stalled(struct session *s)
{
	struct clients *c = s->clients;
	uint64_t progress;

	if (!s->is_wanted || c->mono_ms < stall_at(s))
		return 0;
	progress = c->env.ops->progress(s->conn);
	if (s->has_progress && progress == s->progress) {
		stats_add(c->env.shm, STATS_ws_slow, 1);
		session_close(s, SESSION_CLOSE_STALLED, "Too slow");
		return 1;
	}
	if (s->has_progress)
		s->want_ms = c->mono_ms;
	s->has_progress = 1;
	s->progress = progress;
	return 0;
}

/* Non-zero: the session is over. */
static int
is_silent(struct session *s)
{
	if (s->clients->mono_ms < silence_at(s))
		return 0;
	if (s->is_pinged) {
		s->close_code = SESSION_CLOSE_ABNORMAL;
		s->phase = SESSION_CLOSING;
		s->until_ms = INT64_MAX;
		s->clients->env.ops->kill(s->conn);
		return 1;
	}
	s->is_pinged = 1;
	s->needs_ping = 1;
	session_want(s);
	return 0;
}

/* Non-zero: the token's time is over. */
static int
is_expired(struct session *s)
{
	int64_t left_s = s->expires_at_s - s->clients->wall_s;

	if (left_s <= 0) {
		session_end(s, PROBLEM_TOKEN_EXPIRED);
		return 1;
	}
	if (s->is_v1 && !s->is_noticed && left_s <= SESSION_NOTICE_S) {
		s->is_noticed = 1;
		session_answer_expiring(s);
	}
	return 0;
}

/*
 * The position moves on with events that are not for this client.  It is told
 * at most every SESSION_SYNC_MS, and by its own turn in the heap: nobody walks
 * the idle ones.
 */
static void
sync_if_moved(struct session *s)
{
	struct clients *c = s->clients;

	if (!s->is_v1 || c->mono_ms < s->sync_ms)
		return;
	s->sync_ms = c->mono_ms + SESSION_SYNC_MS;
	if (!s->needs_sync && (hub_has_news(&s->sub) ||
	    hub_position(c->hub, &s->sub) <= s->told_pos))
		return;
	s->needs_sync = 1;
	session_want(s);
}

void
session_expire(struct session *s)
{
	struct clients *c = s->clients;

	switch (s->phase) {
	case SESSION_WAITING:
		if (c->mono_ms >= s->until_ms) {
			session_end(s, PROBLEM_MISSING_TOKEN);
			return;
		}
		break;
	case SESSION_MAKING:
		timers_cancel(&c->deadlines, &s->deadline);
		return;
	case SESSION_LIVE:
		if (is_expired(s) || is_stalled(s) || is_silent(s)) {
			plan(s);
			return;
		}
		sync_if_moved(s);
		break;
	case SESSION_CLOSING:
		if (c->mono_ms >= s->until_ms) {
			s->until_ms = INT64_MAX;
			c->env.ops->kill(s->conn);
		}
		break;
	}
	plan(s);
}
