/*
 * Checks that come before a handler's own work (handler.h), and the worker's
 * handles on keys and database.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app.h"
#include "auth.h"
#include "clock.h"
#include "conf.h"
#include "err.h"
#include "eventlog.h"
#include "handler.h"
#include "log.h"
#include "park.h"
#include "rate.h"
#include "reply.h"
#include "request.h"
#include "revocation.h"
#include "seen.h"
#include "shm.h"
#include "site.h"
#include "stats.h"
#include "store.h"

#define BURST	2	/* seconds' worth of polls that may come at once */

int
handler_open(struct app *app, const struct handler *peer, struct handler *ret,
    char *why, size_t size)
{
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->app = app;
	ret->generation = atomic_load(&app->generation);
	rc = auth_open_peer(app->conf, peer != NULL ? peer->auth : NULL,
	    &ret->auth, why, size);
	if (rc == 0)
		rc = store_open(app->conf, STORE_SERVE, &ret->st, why, size);
	if (rc < 0)
		handler_close(ret);
	return rc;
}

void
handler_close(struct handler *h)
{
	store_close(h->st);
	auth_close(h->auth);
	memset(h, 0, sizeof(*h));
}

int
handler_is_outdated(const struct handler *h)
{
	return h->generation != atomic_load(&h->app->generation);
}

void
handler_let_go(struct handler *h)
{
	h->generation = atomic_load(&h->app->generation);
	store_close(h->st);
	h->st = NULL;
	if (h->app->seen != NULL)
		seen_forget(h->app->seen, h->generation);
}

int
handler_has_tail(const struct handler *h)
{
	return h->app->park != NULL && park_health(h->app->park) == 0;
}

int64_t
handler_head(const struct handler *h)
{
	return park_head(h->app->park);
}

/*
 * A held request keeps a thread of Apache's, or one of its processes, and it
 * never tells that a client went away: that is for the administrator to choose.
 */
int
handler_max_wait_s(const struct handler *h, const struct request *req)
{
	const struct conf *conf = h->app->conf;

	if (h->app->park == NULL ||
	    (req->is_apache && conf->poll_apache_max_held == 0))
		return 0;
	return conf->poll_max_wait_s;
}

/* --- the database --- */

int
handler_note(struct handler *h, int rc, struct reply *rep)
{
	struct app *app = h->app;

	if (rc >= 0) {
		if (atomic_load_explicit(&app->is_db_down,
		    memory_order_relaxed) != 0 &&
		    atomic_exchange(&app->is_db_down, 0) != 0)
			log_info("[LongPoll] database works again");
		return rc;
	}
	if (atomic_exchange(&app->is_db_down, 1) == 0)
		log_errx("[LongPoll] database fails: error=%s detail=\"%s\"",
		    err_name(rc), h->st != NULL ? store_errmsg(h->st) : "");
	reply_problem(rep, PROBLEM_BUSY, NULL);
	return rc;
}

struct store *
handler_store(struct handler *h, struct reply *rep)
{
	char why[512];
	int rc;

	if (handler_is_outdated(h))
		handler_let_go(h);
	if (h->st != NULL)
		return h->st;
	/* The tail tries already, and opening may take long. */
	if (h->app->park != NULL && park_health(h->app->park) != 0) {
		reply_problem(rep, PROBLEM_BUSY, NULL);
		return NULL;
	}
	rc = store_open(h->app->conf, STORE_SERVE, &h->st, why, sizeof(why));
	if (rc < 0) {
		if (atomic_load(&h->app->is_db_down) == 0)
			log_errx("[LongPoll] %s", why);
		(void)handler_note(h, rc, rep);
		return NULL;
	}
	return h->st;
}

/* --- the token --- */

#define WHY_APACHE \
	"No Authorization header arrived. Apache keeps it from FastCGI and " \
	"CGI programs: set \"CGIPassAuth On\" for this location."

int
handler_check_token(struct handler *h, const struct request *req,
    struct reply *rep, struct auth_claims *ret)
{
	enum problem p = PROBLEM_MISSING_TOKEN;
	const char *token, *why = NULL;
	size_t len = 0;

	if (req->authorization[0] == '\0') {
		if (req->is_apache)
			why = WHY_APACHE;
	} else {
		token = auth_parse_bearer(req->authorization, &len);
		if (token == NULL)
			why = "The Authorization header holds no bearer token.";
		else
			p = auth_verify(h->auth, token, len, clock_wall_s(),
			    ret, &why);
	}
	if (p == PROBLEM_NONE)
		return 0;
	rep->is_anonymous = p == PROBLEM_MISSING_TOKEN;
	reply_problem(rep, p, why);
	return ERR_DENIED;
}

/* --- the user --- */

#define WHY_REVOKED	"The token was revoked; get a new one."
#define WHY_NO_USER	"The user of this token does not exist (any more)."

/* The last time his tokens were revoked: 0 and the time, or an error. */
static int
look_for_revocation(struct store *st, const char *user_id, int64_t *ret_at_s)
{
	int rc;

	*ret_at_s = AUTH_NOT_ISSUED;
	rc = revocation_get(st, user_id, ret_at_s);
	return rc < 0 ? rc : 0;
}

static int
is_revoked(int64_t revoked_at_s, const struct auth_claims *claims)
{
	return revoked_at_s != AUTH_NOT_ISSUED &&
	    claims->issued_at_s <= revoked_at_s;
}

static int
refuse_revoked(struct handler *h, struct reply *rep, const char *why)
{
	stats_add(h->app->shm, STATS_revoked, 1);
	reply_problem(rep, PROBLEM_REVOKED, why);
	return ERR_DENIED;
}

int
handler_check_revoked(struct handler *h, const struct auth_claims *claims,
    struct reply *rep)
{
	struct store *st;
	int rc;

	st = handler_store(h, rep);
	if (st == NULL)
		return ERR_IO;
	rc = handler_note(h, revocation_check(st, claims->user_id,
	    claims->issued_at_s), rep);
	return rc == 1 ? refuse_revoked(h, rep, WHY_REVOKED) : rc;
}

/* 1 he is there, 0 not, or an error. */
static int
look_for_user(struct handler *h, struct store *st,
    const struct auth_claims *claims)
{
	int rc;

	rc = site_has_user(st, claims->user_id);
	if (rc != 0 || !h->app->conf->auth_provision)
		return rc;
	rc = site_provision(st, claims);
	if (rc > 0)
		log_info("[LongPoll] User %s provisioned", claims->user_id);
	return rc < 0 ? rc : 1;
}

int
handler_check_user(struct handler *h, const struct auth_claims *claims,
    struct reply *rep)
{
	struct seen *all = h->app->seen;
	struct seen_user seen;
	struct store *st;
	int64_t head = 0, now_ms = clock_mono_ms();
	int rc;

	st = handler_store(h, rep);
	if (st == NULL)
		return ERR_IO;
	if (handler_has_tail(h)) {
		rc = handler_note(h, eventlog_head(st, &head), rep);
		if (rc < 0)
			return rc;
	}
	h->looked_pos = head;
	/* A revocation may have been lifted since, which is not in the log. */
	if (head != 0 && all != NULL &&
	    seen_get(all, h->generation, claims->user_id, now_ms, &seen) &&
	    park_is_same_user(h->app->park, claims->user_id, seen.head, head) &&
	    !is_revoked(seen.revoked_at_s, claims))
		return 0;
	rc = look_for_revocation(st, claims->user_id, &seen.revoked_at_s);
	if (rc == 0 && is_revoked(seen.revoked_at_s, claims))
		return refuse_revoked(h, rep, WHY_REVOKED);
	if (rc == 0)
		rc = look_for_user(h, st, claims);
	rc = handler_note(h, rc, rep);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return refuse_revoked(h, rep, WHY_NO_USER);
	seen.head = head;
	seen.looked_ms = now_ms;
	if (head != 0 && all != NULL)
		seen_put(all, h->generation, claims->user_id, &seen);
	return 0;
}

/* --- the body --- */

int
handler_check_json(const struct request *req, struct reply *rep)
{
	const char *type = req->content_type;
	size_t len = strlen(REPLY_JSON);

	if (strncasecmp(type, REPLY_JSON, len) == 0 &&
	    (type[len] == '\0' || strchr("; \t", type[len]) != NULL))
		return 0;
	reply_problem(rep, PROBLEM_MEDIA_TYPE, NULL);
	return ERR_INVAL;
}

/* --- the rate --- */

int
handler_check_rate(struct handler *h, const char *user_id, struct reply *rep)
{
	int per_s = h->app->conf->limit_poll_per_s;
	struct shm_user *user;
	int wait_ms;

	if (per_s == 0)
		return 0;
	user = shm_user(h->app->shm, user_id);
	if (user == NULL)
		return 0;	/* the table is full: counted there */
	wait_ms = rate_take(shm_user_bucket(user, 0), per_s, per_s * BURST,
	    clock_mono_ms());
	if (wait_ms == 0)
		return 0;
	rep->retry_after_s = (wait_ms + 999) / 1000;
	reply_problem(rep, PROBLEM_RATE_LIMITED, NULL);
	return ERR_AGAIN;
}
