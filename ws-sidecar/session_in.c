/*
 * session_in - what a client sends: pieces put together to messages, messages
 * read as frames, frames answered.
 */
#include <string.h>

#include "conf.h"
#include "err.h"
#include "frame.h"
#include "log.h"
#include "problem.h"
#include "rate.h"
#include "session_impl.h"
#include "stats.h"

void
session_answer(struct session *s, struct buf *text)
{
	if (buf_err(text) == 0)
		session_frame(&s->control, text->p, text->len);
	if (buf_err(text) != 0 || buf_err(&s->control) != 0) {
		/* It asks and does not read: what waits for it has an end. */
		stats_add(s->clients->env.shm, STATS_rate_limited, 1);
		buf_release(&s->control);
		session_end(s, PROBLEM_RATE_LIMITED);
	} else if (s->phase != SESSION_CLOSING) {
		session_want(s);
	}
	buf_release(text);
}

static void
answer_error(struct session *s, enum problem problem, const char *detail,
    const struct frame *f)
{
	struct buf text;

	if (!s->is_v1)
		return;
	buf_init(&text, 4096);
	frame_print_error(&text, problem, detail, f->key, 0);
	session_answer(s, &text);
}

void
session_answer_expiring(struct session *s)
{
	struct buf text;

	buf_init(&text, 256);
	frame_print_auth_expiring(&text, s->expires_at_s);
	session_answer(s, &text);
}

static void
answer_auth_ok(struct session *s)
{
	struct buf text;

	buf_init(&text, 256);
	frame_print_auth_ok(&text, s->expires_at_s);
	session_answer(s, &text);
}

static void
on_ping(struct session *s, const struct frame *f)
{
	struct buf text;

	if (s->user != NULL && log_is_enabled(LOG_DEBUG_LEVEL))
		log_debug("[WebSocket] Heartbeat from user %s", s->user->id);
	buf_init(&text, f->payload_len + 64);
	frame_print_pong(&text, f->payload, f->payload_len);
	session_answer(s, &text);
}

/* The first one admits; auth_ok comes before what the client missed. */
static void
on_first_auth(struct session *s, const struct frame *f)
{
	if (f->why != NULL)
		session_end(s, PROBLEM_MISSING_TOKEN);
	else if (session_authenticate(s, f->token, strlen(f->token)))
		answer_auth_ok(s);
}

static void
on_auth(struct session *s, const struct frame *f)
{
	struct auth_claims claims;
	const char *why = NULL;
	enum problem problem;
	int rc;

	if (f->why != NULL) {
		answer_error(s, PROBLEM_BAD_REQUEST, f->why, f);
		return;
	}
	problem = session_verify(s, f->token, strlen(f->token), &claims, &why);
	if (problem == PROBLEM_NONE &&
	    strcmp(claims.user_id, s->user->id) != 0) {
		problem = PROBLEM_INVALID_TOKEN;
		why = "The new token is of another user.";
	}
	rc = problem != PROBLEM_NONE ? 0 :
	    session_is_revoked(s, claims.user_id, claims.issued_at_s);
	if (rc < 0) {
		answer_error(s, problem_of_err(rc), NULL, f);
		return;
	}
	if (rc > 0)
		problem = PROBLEM_REVOKED;
	if (problem != PROBLEM_NONE) {
		answer_error(s, problem, why, f);
		session_end(s, problem);
		return;
	}
	session_extend(s, &claims);
	answer_auth_ok(s);
}

static void
on_subscribe(struct session *s, const struct frame *f)
{
	static char nowhere[] = "";
	char *const none[] = { nowhere };
	int rc;

	if (f->why != NULL) {
		answer_error(s, PROBLEM_BAD_REQUEST, f->why, f);
		return;
	}
	/* For the hub no list means every room; the empty one means no room. */
	if (f->is_all_rooms || f->n_rooms > 0)
		rc = hub_narrow(s->clients->hub, &s->sub, f->rooms, f->n_rooms);
	else
		rc = hub_narrow(s->clients->hub, &s->sub, none, 1);
	if (rc < 0) {
		session_fail(s, rc);
		return;
	}
	s->needs_sync = 1;		/* not before sync_pos, all the same */
	session_want(s);
}

static void
on_bye(struct session *s)
{
	s->is_bye = 1;
	session_close(s, SESSION_CLOSE_NORMAL, "");
}

static void
dispatch_live(struct session *s, struct frame *f)
{
	switch (f->type) {
	case FRAME_PING:
		on_ping(s, f);
		return;
	case FRAME_BYE:
		on_bye(s);
		return;
	case FRAME_AUTH:
		if (s->is_v1) {
			on_auth(s, f);
			return;
		}
		break;
	case FRAME_SUBSCRIBE:
		if (s->is_v1) {
			on_subscribe(s, f);
			return;
		}
		break;
	case FRAME_SEND:
	case FRAME_TYPING:
		/* A legacy client may mean something of its own by that. */
		if (!s->is_v1 && f->why != NULL)
			break;
		session_send(s, f);
		return;
	case FRAME_UNKNOWN:
		break;
	}
	stats_add(s->clients->env.shm, STATS_ws_ignored, 1);
	answer_error(s, PROBLEM_BAD_REQUEST,
	    "This type of frame is not supported by this server.", f);
}

/* Before the session is live there is nothing to ask for but to get in. */
static void
dispatch_early(struct session *s, const struct frame *f)
{
	if (f->type == FRAME_PING)
		on_ping(s, f);
	else if (f->type == FRAME_BYE)
		on_bye(s);
	else if (s->phase == SESSION_MAKING)
		answer_error(s, PROBLEM_BUSY, NULL, f);
	else if (f->type == FRAME_AUTH)
		on_first_auth(s, f);
	else
		session_end(s, PROBLEM_MISSING_TOKEN);
}

/* A whole message came, whatever it is; 0: it was one too many. */
static int
admit_message(struct session *s)
{
	const struct clients *c = s->clients;

	stats_add(c->env.shm, STATS_ws_frames_in, 1);
	if (rate_take(&s->frames, c->env.conf->limit_frame_per_s,
	    c->env.conf->limit_frame_per_s * 2, c->mono_ms) == 0)
		return 1;
	stats_add(c->env.shm, STATS_rate_limited, 1);
	session_end(s, PROBLEM_RATE_LIMITED);
	return 0;
}

static void
on_message(struct session *s, const char *text, size_t len)
{
	struct clients *c = s->clients;
	struct frame f;
	int rc;

	if (!admit_message(s))
		return;
	rc = frame_parse(text, len, &f);
	if (rc == ERR_NOMEM) {
		session_end(s, PROBLEM_INTERNAL);
		return;
	}
	if (rc < 0) {
		stats_add(c->env.shm, STATS_ws_ignored, 1);
		return;
	}
	if (s->phase == SESSION_LIVE)
		dispatch_live(s, &f);
	else
		dispatch_early(s, &f);
	frame_release(&f);
}

static size_t
max_message(const struct session *s)
{
	size_t max = (size_t)s->clients->env.conf->ws_max_message;

	if (s->phase == SESSION_WAITING && max > SESSION_AUTH_MAX)
		return SESSION_AUTH_MAX;
	return max;
}

void
session_receive(struct session *s, const char *data, size_t len, int is_first,
    int is_final, int is_binary)
{
	session_heard(s);
	if (s->phase == SESSION_CLOSING)
		return;
	if (is_first) {
		buf_reset(&s->rx);
		s->rx_len = 0;
	}
	s->rx_len += len;
	if (s->rx_len > max_message(s)) {
		stats_add(s->clients->env.shm, STATS_ws_too_large, 1);
		buf_release(&s->rx);
		session_end(s, PROBLEM_TOO_LARGE);
		return;
	}
	if (is_binary) {
		if (is_final && admit_message(s))
			stats_add(s->clients->env.shm, STATS_ws_ignored, 1);
		return;
	}
	if (is_first && is_final) {
		on_message(s, data, len);
		return;
	}
	buf_add(&s->rx, data, len);
	if (buf_err(&s->rx) != 0) {
		session_end(s, PROBLEM_INTERNAL);
		return;
	}
	if (is_final) {
		on_message(s, buf_str(&s->rx), s->rx.len);
		buf_release(&s->rx);
	}
}
