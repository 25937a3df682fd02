/*
 * clients - ties the sessions of this process to the hub, counts them by user
 * for presence and limits, and runs their deadlines.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "conf.h"
#include "err.h"
#include "presence.h"
#include "session_impl.h"
#include "shm.h"
#include "stats.h"

static struct session *
session_of_sub(struct hub_sub *sub)
{
	return (struct session *)((char *)sub - offsetof(struct session, sub));
}

static void
wake(struct hub_sub *sub, void *arg)
{
	(void)arg;
	session_news(session_of_sub(sub));
}

static void
gone(struct hub_sub *sub, void *arg)
{
	struct session *s = session_of_sub(sub);
	struct clients *c = arg;

	if (s->phase == SESSION_LIVE)
		stats_add(c->env.shm, STATS_revoked, 1);
	session_end(s, PROBLEM_REVOKED);
}

static const struct hub_ops hub_ops = { wake, gone };

int
clients_open(const struct clients_env *env, struct store *st, int64_t head,
    struct clients **ret)
{
	struct clients *c;
	int rc;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_NOMEM;
	c->env = *env;
	c->store = st;
	timers_init(&c->deadlines);
	STAILQ_INIT(&c->sent);
	rc = hub_new(&hub_ops, c, st, head, &c->hub);
	if (rc < 0) {
		free(c);
		return rc;
	}
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		hub_free(c->hub);
		free(c);
		return ERR_NOMEM;
	}
	clients_set_time(c, clock_mono_ms(), clock_wall_s());
	*ret = c;
	return 0;
}

void
clients_close(struct clients *c)
{
	if (c == NULL)
		return;
	provision_release(c);
	sends_collect(c);		/* there is nobody to be answered */
	hub_free(c->hub);
	timers_release(&c->deadlines);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
clients_set_time(struct clients *c, int64_t mono_ms, int64_t wall_s)
{
	c->mono_ms = mono_ms;
	c->wall_s = wall_s;
}

void
clients_feed(struct clients *c, struct event *const *ev, size_t n)
{
	hub_feed(c->hub, ev, n);
}

/* Spread over some seconds, so that not everybody is back in the same one. */
void
clients_print_retry(char *ret, size_t size)
{
	(void)snprintf(ret, size, "retry=%u", 1 + arc4random_uniform(5));
}

static void
close_all(struct clients *c, int code)
{
	struct session *s;
	char reason[24];

	for (s = c->first; s != NULL; s = s->next) {
		clients_print_retry(reason, sizeof(reason));
		session_close(s, code, reason);
	}
}

void
clients_replaced(struct clients *c, struct store *st, int64_t head)
{
	c->store = st;
	hub_reset(c->hub, st, head);
	close_all(c, SESSION_CLOSE_RESTART);
}

void
clients_doubt(struct clients *c)
{
	hub_doubt(c->hub);
}

void
clients_expire(struct clients *c)
{
	struct timer *t;

	for (t = timers_take(&c->deadlines, c->mono_ms); t != NULL;
	    t = timers_take(&c->deadlines, c->mono_ms))
		session_expire(t->owner);
}

int64_t
clients_next_ms(const struct clients *c)
{
	int64_t wait = timers_wait_ms(&c->deadlines, c->mono_ms);

	return wait < 0 ? INT64_MAX : c->mono_ms + wait;
}

void
clients_collect(struct clients *c)
{
	provision_collect(c);
	sends_collect(c);
}

void
clients_drain(struct clients *c, int code)
{
	c->drain_code = code;
	close_all(c, code);
}

int
clients_is_draining(const struct clients *c)
{
	return c->drain_code != 0;
}

size_t
clients_count(const struct clients *c)
{
	return c->n_sessions;
}

void
clients_get_sizes(const struct clients *c, struct hub_sizes *ret)
{
	hub_get_sizes(c->hub, ret);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct client_user *)a)->id,
	    ((const struct client_user *)b)->id);
}

static struct client_user *
user_find(struct clients *c, const char *user_id)
{
	struct client_user *u, **slot;

	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->id = strdup(user_id);
	if (u->id == NULL) {
		free(u);
		return NULL;
	}
	slot = tsearch(u, &c->users, compare);
	if (slot == NULL || *slot != u) {
		free(u->id);
		free(u);
		return slot == NULL ? NULL : *slot;
	}
	u->row = shm_user(c->env.shm, user_id);
	return u;
}

struct client_user *
client_user_enter(struct clients *c, const char *user_id)
{
	struct client_user *u;

	u = user_find(c, user_id);
	if (u == NULL)
		return NULL;
	u->sessions++;
	if (u->sessions == 1)
		presence_enter(c->env.presence, u->id, clock_wall_ms());
	return u;
}

void
client_user_leave(struct clients *c, struct client_user *u, int is_bye)
{
	u->sessions--;
	if (u->sessions > 0)
		return;
	presence_leave(c->env.presence, u->id, is_bye, clock_wall_ms());
	(void)tdelete(u, &c->users, compare);	/* it is there */
	free(u->id);
	free(u);
}
