/*
 * health - alive, ready, and the figures of this process.
 */
#include <string.h>

#include "buf.h"
#include "clients.h"
#include "err.h"
#include "health.h"
#include "stats.h"
#include "tail.h"

void
health_print_problem(enum problem problem, const char *detail, struct buf *body,
    struct health_answer *ret)
{
	ret->status = problem_info(problem)->status;
	ret->type = "application/problem+json";
	problem_print(body, problem, detail);
}

static void
print_ready(const struct health_env *env, struct buf *body,
    struct health_answer *ret)
{
	int err = tail_health(env->tail);

	ret->type = "text/plain; charset=utf-8";
	ret->status = 503;
	if (clients_is_draining(env->clients)) {
		buf_adds(body, "draining\n");
	} else if (err != 0) {
		buf_addf(body, "the database cannot be read: %s\n",
		    err_name(err));
	} else {
		ret->status = 200;
		buf_adds(body, "ready\n");
	}
}

static void
print_metrics(const struct health_env *env, struct buf *body,
    struct health_answer *ret)
{
	struct hub_sizes sizes;

	clients_get_sizes(env->clients, &sizes);
	const struct stats_gauge gauges[] = {
		{ "ws_sessions", "WebSocket connections of this process",
		    (double)clients_count(env->clients) },
		{ "hub_subscribers", "Subscribers of this process's hub",
		    (double)sizes.subs },
		{ "hub_users", "Users who are connected here",
		    (double)sizes.users },
		{ "hub_users_lingering", "Users who were, whose rights are "
		    "still in memory", (double)sizes.lingering },
		{ "hub_rooms", "Rooms that one of these users is a member of",
		    (double)sizes.rooms },
		{ "ring_events", "Events in the ring",
		    (double)sizes.ring_events },
		{ "ring_bytes", "Bytes of text in the ring",
		    (double)sizes.ring_bytes },
		{ "hub_looks", "Times that a subscriber was looked at for a new "
		    "event", (double)sizes.looks },
		{ "hub_log_pages", "Pages read from the database for sockets "
		    "behind the ring", (double)sizes.log_pages },
		{ "hub_events_too_big", "Events that were not delivered "
		    "because their text was too large",
		    (double)sizes.too_big },
		{ "head_timestamp_seconds", "Position of the newest event read",
		    (double)tail_head(env->tail) / 1e6 },
		{ "database_up", "1 while the database can be read",
		    tail_health(env->tail) == 0 }
	};

	ret->status = 200;
	ret->type = "text/plain; version=0.0.4; charset=utf-8";
	stats_print(body, env->shm, gauges,
	    (int)(sizeof(gauges) / sizeof(gauges[0])));
}

void
health_print(const struct health_env *env, const char *path, struct buf *body,
    struct health_answer *ret)
{
	if (strcmp(path, "/healthz") == 0) {
		ret->status = 200;
		ret->type = "text/plain; charset=utf-8";
		buf_adds(body, "ok\n");
	} else if (strcmp(path, "/readyz") == 0) {
		print_ready(env, body, ret);
	} else if (strcmp(path, "/metrics") == 0) {
		print_metrics(env, body, ret);
	} else {
		health_print_problem(PROBLEM_NOT_FOUND, NULL, body, ret);
	}
}
