/*
 * GET /api/realtime/metrics: the counters of all processes as Prometheus text
 * (protocol.md, section 6).
 *
 * For loopback, or a token with scope metrics. Behind a second proxy on the
 * same machine every address is loopback: where a header says that somebody
 * else is meant, the address proves nothing.
 */
#include <string.h>

#include "app.h"
#include "auth.h"
#include "conf.h"
#include "handler.h"
#include "park.h"
#include "reply.h"
#include "request.h"
#include "stats.h"

static int
is_loopback(const struct request *req)
{
	const char *addr = req->remote_addr;

	if (req->is_forwarded)
		return 0;
	if (strncmp(addr, "::ffff:", 7) == 0)
		addr += 7;
	return strncmp(addr, "127.", 4) == 0 || strcmp(addr, "::1") == 0;
}

static int
check(struct handler *h, const struct request *req, struct reply *rep)
{
	struct auth_claims claims;
	int rc;

	if (is_loopback(req))
		return 0;
	rc = handler_check_token(h, req, rep, &claims);
	if (rc == 0)
		rc = handler_check_revoked(h, &claims, rep);
	if (rc < 0 || auth_has_scope(&claims, "metrics"))
		return rc;
	rep->scope = "metrics";
	reply_problem(rep, PROBLEM_FORBIDDEN_SCOPE, NULL);
	return -1;
}

void
metrics_get(struct handler *h, const struct request *req, struct reply *rep,
    struct later *later)
{
	const struct app *app = h->app;
	const struct stats_gauge gauge[] = {
		{ "poll_database_up", "The answering process can read the log",
		    app->park == NULL || park_health(app->park) == 0 },
		{ "poll_held_here", "Requests held by the answering process",
		    app->park == NULL ? 0 : park_held(app->park) },
		{ "poll_max_held", "Requests that may be held in all",
		    app->conf->poll_max_held },
	};

	(void)later;
	if (check(h, req, rep) < 0)
		return;
	rep->content_type = "text/plain; version=0.0.4; charset=utf-8";
	stats_print(&rep->body, app->shm, gauge,
	    sizeof(gauge) / sizeof(gauge[0]));
}
