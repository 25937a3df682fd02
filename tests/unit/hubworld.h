/*
 * hubworld - a hub on a real database, fed as the tail feeds it, and readers that keep
 * what they were given.
 *
 * Included after cmocka.h.
 */
#ifndef HUBWORLD_H
#define HUBWORLD_H

#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "hub.h"
#include "testworld.h"

#define MAX_SEEN	30000

/* A subscriber of the test: what it was given. */
struct reader {
	struct hub_sub	 sub;		/* first */
	int		 wakes;
	int		 gone;
	size_t		 n;
	int64_t		 id[MAX_SEEN];
	char		 last[4096];
};

struct world {
	struct testdb	 db;
	struct hub	*hub;
	struct event	*ev[HUB_RING];
	size_t		 n;
};

static inline void
on_wake(struct hub_sub *sub, void *arg)
{
	(void)arg;
	((struct reader *)sub)->wakes++;
}

static inline void
on_gone(struct hub_sub *sub, void *arg)
{
	(void)arg;
	((struct reader *)sub)->gone++;
}

static inline int
on_event(const struct event *ev, const char *text, size_t len, void *arg)
{
	struct reader *rd = arg;

	assert_true(rd->n < MAX_SEEN);
	assert_true(rd->n == 0 || rd->id[rd->n - 1] < ev->id);
	assert_int_equal(text[0], '{');
	assert_int_equal(text[len - 1], '}');
	rd->id[rd->n++] = ev->id;
	(void)snprintf(rd->last, sizeof(rd->last), "%.*s", (int)len, text);
	return 0;
}

static inline void
world_open(struct world *w)
{
	static const struct hub_ops ops = { on_wake, on_gone };
	int64_t head;

	memset(w, 0, sizeof(*w));
	testdb_open(&w->db, NULL);
	world_make(&w->db);
	assert_int_equal(eventlog_head(w->db.st, &head), 0);
	assert_int_equal(hub_new(&ops, w, w->db.st, head, &w->hub), 0);
}

static inline void
world_close(struct world *w)
{
	hub_free(w->hub);
	testdb_close(&w->db);
}

static inline int
world_take(struct event *ev, void *arg)
{
	struct world *w = arg;

	w->ev[w->n++] = event_ref(ev);
	return 0;
}

/* What the tail does: new rows to the hub, in batches. */
static inline void
world_pump(struct world *w)
{
	size_t i;
	int rc;

	do {
		w->n = 0;
		rc = eventlog_scan(w->db.st, hub_head(w->hub), 500, world_take, w);
		assert_true(rc >= 0);
		if (w->n > 0)
			hub_feed(w->hub, w->ev, w->n);
		for (i = 0; i < w->n; i++)
			event_unref(w->ev[i]);
	} while (rc == 500);
}

static inline struct reader *
reader_join(struct world *w, const char *user, int64_t after,
    char *const *rooms, size_t n)
{
	struct reader *rd;

	rd = calloc(1, sizeof(*rd));
	assert_non_null(rd);
	assert_int_equal(hub_join(w->hub, &rd->sub, user, after, rooms, n), 0);
	return rd;
}

static inline void
reader_leave(struct world *w, struct reader *rd)
{
	hub_leave(w->hub, &rd->sub);
	free(rd);
}

static inline void
reader_read(struct world *w, struct reader *rd, int max)
{
	assert_true(hub_read(w->hub, &rd->sub, max, 1 << 20, on_event, rd) >= 0);
}

static inline void
reader_read_all(struct world *w, struct reader *rd)
{
	while (hub_has_news(&rd->sub))
		reader_read(w, rd, 7);
}

static inline void
post(struct world *w, const char *room, const char *user, const char *text)
{
	char sql[256];

	(void)snprintf(sql, sizeof(sql), "INSERT INTO messages(room_id, "
	    "sender_id, sender_name, content) VALUES('%s','%s','x','%s')",
	    room, user, text);
	testdb_site(&w->db, sql);
}

/* Compares what a reader got after `after` with what SQL says that he may see. */
struct expect {
	struct reader	*rd;
	size_t		 at;
};

static inline int
expect_one(struct event *ev, void *arg)
{
	struct expect *ex = arg;

	assert_true(ex->at < ex->rd->n);
	assert_int_equal(ex->rd->id[ex->at++], ev->id);
	return 0;
}

static inline void
assert_has_all(struct world *w, struct reader *rd, const char *user,
    char *const *rooms, size_t n, int64_t after)
{
	struct expect ex = { rd, 0 };
	int more = 1;

	while (more)
		assert_true(eventlog_page(w->db.st, user, rooms, n, after, 100,
		    expect_one, &ex, &after, &more) >= 0);
	assert_int_equal(ex.at, rd->n);
}

/* How often the hub looked at anybody for what a site did. */
static inline uint64_t
looks_for(struct world *w, const char *sql)
{
	struct hub_sizes before, after;

	hub_get_sizes(w->hub, &before);
	testdb_site(&w->db, sql);
	world_pump(w);
	hub_get_sizes(w->hub, &after);
	return after.looks - before.looks;
}

#endif
