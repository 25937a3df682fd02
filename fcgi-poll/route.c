/*
 * Finding the handler of a request (route.h), and CORS.
 */
#include <string.h>

#include "app.h"
#include "conf.h"
#include "handler.h"
#include "hold.h"
#include "poll.h"
#include "reply.h"
#include "request.h"
#include "route.h"
#include "stats.h"

static const struct route {
	const char	*name;
	unsigned	 methods;	/* OPTIONS is answered here */
	handler_fn	*fn;
} routes[] = {
	{ "poll", METHOD_GET | METHOD_HEAD, poll_get },
	{ "history", METHOD_GET | METHOD_HEAD, history_get },
	{ "send", METHOD_POST, send_post },
	{ "publish", METHOD_POST, publish_post },
	{ "status", METHOD_GET | METHOD_HEAD, status_get },
	{ "metrics", METHOD_GET | METHOD_HEAD, metrics_get },
};

const char *
route_name(const char *path)
{
	const char *at, *found = NULL;

	for (at = strstr(path, ROUTE_BASE); at != NULL;
	    at = strstr(at + 1, ROUTE_BASE))
		found = at + strlen(ROUTE_BASE);
	return found;
}

static const struct route *
find(const char *path)
{
	const char *name = route_name(path);
	size_t i;

	if (name == NULL)
		return NULL;
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].name, name) == 0)
			return &routes[i];
	return NULL;
}

/*
 * A foreign origin gets its answer without CORS headers; its browser keeps it
 * back.
 */
static const char *
allowed_origin(const struct conf *conf, const char *origin)
{
	const struct conf_list *list = &conf->cors_origins;
	size_t i;

	if (origin[0] == '\0' || !conf_has_origin(list, origin))
		return NULL;
	for (i = 0; i < list->len; i++)
		if (strcmp(list->item[i], "*") == 0)
			return "*";
	return origin;
}

static void
handle(const struct route *route, struct handler *h, const struct request *req,
    struct reply *rep, struct later *later)
{
	if (route == NULL) {
		reply_problem(rep, PROBLEM_NOT_FOUND, NULL);
		return;
	}
	if (req->method == METHOD_OPTIONS) {
		rep->is_preflight = 1;
		rep->status = 204;
		rep->allow = route->methods | METHOD_OPTIONS;
	} else if ((req->method & route->methods) == 0) {
		reply_problem(rep, PROBLEM_METHOD, NULL);
		rep->allow = route->methods | METHOD_OPTIONS;
	} else if (req->is_too_large) {
		reply_problem(rep, PROBLEM_TOO_LARGE, NULL);
	} else {
		route->fn(h, req, rep, later);
	}
}

int
route_takes_body(const struct request *req)
{
	const struct route *route;

	if (req->method != METHOD_POST)
		return 0;
	route = find(req->path);
	return route != NULL && (route->methods & METHOD_POST) != 0;
}

void
route_count(struct shm *shm, const struct reply *rep)
{
	if (rep->status == 401)
		stats_add(shm, STATS_auth_failures, 1);
	else if (rep->status == 429)
		stats_add(shm, STATS_rate_limited, 1);
	else if (rep->status >= 400 && rep->status < 500)
		stats_add(shm, STATS_requests_bad, 1);
	else if (rep->status >= 500)
		stats_add(shm, STATS_requests_failed, 1);
}

void
route_handle(struct handler *h, const struct request *req, struct reply *rep,
    struct later *ret_later)
{
	memset(ret_later, 0, sizeof(*ret_later));
	rep->is_head = req->method == METHOD_HEAD;
	rep->origin = allowed_origin(h->app->conf, req->origin);
	handle(find(req->path), h, req, rep, ret_later);
	stats_add(h->app->shm, STATS_requests, 1);
	if (ret_later->errand == NULL && (ret_later->hold == NULL ||
	    ret_later->hold->is_notice))
		route_count(h->app->shm, rep);
}
