/*
 * eventlog: cursors and the reasons why they cannot be resumed, state, append, scan,
 * pruning, and what the statements cost.  Pages are in test_eventlog_page.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>

#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "query.h"
#include "store_impl.h"
#include "testdb.h"

#define MAX_SEEN	64

/* What a walk gave. */
struct seen {
	struct event	*ev[MAX_SEEN];
	size_t		 len;
	int		 stop_at;	/* returns stop with this event (1-based); 0: never */
	int		 stop;
};

static int
see(struct event *ev, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->len < MAX_SEEN);
	seen->ev[seen->len++] = event_ref(ev);
	return (int)seen->len == seen->stop_at ? seen->stop : 0;
}

static void
forget(struct seen *seen)
{
	while (seen->len > 0)
		event_unref(seen->ev[--seen->len]);
}

static int
setup(void **state)
{
	static struct testdb db;

	testdb_open(&db, NULL);
	*state = &db;
	return 0;
}

static int
teardown(void **state)
{
	testdb_close(*state);
	return 0;
}

static int64_t
number(struct testdb *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db->site, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

/* An empty log with rows at these positions, all for everyone. */
static void
rows_at(struct testdb *db, int from, int n)
{
	char sql[256];

	(void)snprintf(sql, sizeof(sql), "DELETE FROM events; WITH RECURSIVE "
	    "c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c LIMIT %d) "
	    "INSERT INTO events(id, type, payload) "
	    "SELECT i * 1000000, 'x', '{}' FROM c", from, n);
	testdb_site(db, sql);
}

/* --- cursors --- */

#define T(s)	"1970-01-01T00:00:" s "Z"

static void
test_resume(void **state)
{
	static const struct {
		const char		*id, *time;
		enum eventlog_reset	 want;
		int64_t			 pos_s;		/* seconds; head is 20 */
	} cases[] = {
		{ NULL, NULL, EVENTLOG_FIRST, 20 },
		{ NULL, T("10"), EVENTLOG_RESUMED, 10 },	/* the oldest */
		{ NULL, T("20"), EVENTLOG_RESUMED, 20 },	/* the head */
		{ NULL, T("15"), EVENTLOG_RESUMED, 15 },
		{ NULL, T("09.999999"), EVENTLOG_PRUNED, 20 },
		{ NULL, T("20.000001"), EVENTLOG_AHEAD, 20 },
		{ NULL, "yesterday", EVENTLOG_UNKNOWN, 20 },
		{ NULL, "", EVENTLOG_UNKNOWN, 20 },
		{ "m12", NULL, EVENTLOG_RESUMED, 12 },
		{ "again", NULL, EVENTLOG_RESUMED, 18 },	/* the newest of two */
		{ "edited", NULL, EVENTLOG_UNKNOWN, 20 },	/* no NEW_MESSAGE */
		{ "m99", NULL, EVENTLOG_UNKNOWN, 20 },
		{ "", NULL, EVENTLOG_UNKNOWN, 20 },
		{ "\xc3\xa9-\xe2\x82\xac", NULL, EVENTLOG_RESUMED, 16 },
		{ T("13"), NULL, EVENTLOG_RESUMED, 13 },	/* an id that SYNC gave */
		{ T("05"), NULL, EVENTLOG_PRUNED, 20 },
		{ T("30"), NULL, EVENTLOG_AHEAD, 20 },
		/* both: the later that can be resolved */
		{ "m12", T("15"), EVENTLOG_RESUMED, 15 },
		{ "again", T("15"), EVENTLOG_RESUMED, 18 },
		{ "m99", T("15"), EVENTLOG_RESUMED, 15 },
		{ "m12", T("30"), EVENTLOG_RESUMED, 12 },
		{ "m12", T("05"), EVENTLOG_RESUMED, 12 },
		{ "m12", "", EVENTLOG_RESUMED, 12 },
		{ T("13"), T("12"), EVENTLOG_RESUMED, 13 },
		/* neither: the reason of lastTimestamp */
		{ "m99", T("30"), EVENTLOG_AHEAD, 20 },
		{ "m99", T("05"), EVENTLOG_PRUNED, 20 },
		{ T("30"), T("05"), EVENTLOG_PRUNED, 20 },
		{ T("30"), "?", EVENTLOG_UNKNOWN, 20 },
	};
	struct testdb *db = *state;
	enum eventlog_reset reset;
	struct query q;
	int64_t pos;
	size_t i;

	rows_at(db, 10, 11);
	testdb_site(db, "UPDATE events SET type = 'NEW_MESSAGE', "
	    "entity_id = 'm12' WHERE id = 12000000; "
	    "UPDATE events SET type = 'NEW_MESSAGE', entity_id = 'again' "
	    "WHERE id IN (14000000, 18000000); "
	    "UPDATE events SET type = 'MESSAGE_UPDATED', entity_id = 'edited' "
	    "WHERE id = 17000000; "
	    "UPDATE events SET type = 'NEW_MESSAGE', "
	    "entity_id = '\xc3\xa9-\xe2\x82\xac' WHERE id = 16000000");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&q, 0, sizeof(q));
		q.last_message_id = (char *)(uintptr_t)cases[i].id;
		q.last_timestamp = (char *)(uintptr_t)cases[i].time;
		q.has_last_message_id = cases[i].id != NULL;
		q.has_last_timestamp = cases[i].time != NULL;
		assert_int_equal(eventlog_resume(db->st, &q, &pos, &reset), 0);
		assert_int_equal(reset, cases[i].want);
		assert_int_equal(pos, cases[i].pos_s * 1000000);
	}
	assert_false(store_is_open(db->st));
}

static void
test_reset_names(void **state)
{
	(void)state;
	assert_null(eventlog_reset_name(EVENTLOG_RESUMED));
	assert_null(eventlog_reset_name(EVENTLOG_FIRST));
	assert_string_equal(eventlog_reset_name(EVENTLOG_UNKNOWN), "unknown");
	assert_string_equal(eventlog_reset_name(EVENTLOG_PRUNED), "expired");
	assert_string_equal(eventlog_reset_name(EVENTLOG_AHEAD), "ahead");
}

/* A fresh log, and one that somebody emptied by hand. */
static void
test_ends(void **state)
{
	struct testdb *db = *state;
	struct seen seen = { .len = 0 };
	int64_t head, rows, oldest, pos;
	int more;

	assert_int_equal(eventlog_head(db->st, &head), 0);
	assert_true(head > 0);
	assert_int_equal(eventlog_size(db->st, &rows, &oldest), 0);
	assert_int_equal(rows, 1);
	assert_int_equal(oldest, head);
	/* The first row is nobody's. */
	assert_int_equal(eventlog_page(db->st, "ann", NULL, 0, 0, 10, see,
	    &seen, &pos, &more), 0);
	assert_int_equal(pos, head);
	assert_int_equal(more, 0);

	testdb_site(db, "DELETE FROM events");
	assert_int_equal(eventlog_head(db->st, &head), 0);
	assert_int_equal(head, 0);
	assert_int_equal(eventlog_size(db->st, &rows, &oldest), 0);
	assert_int_equal(rows, 0);
	assert_int_equal(oldest, 0);
	assert_int_equal(eventlog_page(db->st, "ann", NULL, 0, 5, 10, see,
	    &seen, &pos, &more), 0);
	assert_int_equal(pos, 5);
	assert_int_equal(more, 0);
	assert_int_equal(eventlog_prune(db->st, clock_wall_us(), 0, 0, 10), 0);
}

/* --- state --- */

static const char *
payload_string(struct event *ev, const char *key, char *ret, size_t size)
{
	struct json_object *json, *payload, *value;

	json = json_tokener_parse(ev->text);
	assert_non_null(json);
	assert_true(json_object_object_get_ex(json, "payload", &payload));
	assert_true(json_object_object_get_ex(payload, key, &value));
	(void)snprintf(ret, size, "%s", json_object_get_string(value));
	json_object_put(json);
	return ret;
}

static void
test_state(void **state)
{
	static const char *const want[][2] = {
		{ "ROOM_CREATED", "den" }, { "ROOM_CREATED", "hall" },
		{ "USER_UPDATE", "bob" }, { "USER_UPDATE", "dan" },
	};
	struct testdb *db = *state;
	struct seen seen = { .len = 0 };
	char at[CLOCK_POS_SIZE], id[64];
	int64_t head, pos;
	size_t i;

	testdb_site(db, "INSERT INTO users(id, name, email, is_online) VALUES "
	    "('ann', 'Ann', 'a@x', 1), ('bob', 'Bob', 'b@x', 1), "
	    "('cat', 'Cat', 'c@x', 1), ('dan', 'Dan', 'd@x', 1), "
	    "('eve', 'Eve', 'e@x', 0); "
	    "INSERT INTO rooms(id, name, is_private) VALUES "
	    "('hall', 'Hall', 0), ('den', 'Den', 1); "
	    "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('ann', 'cat', 'blocked'), "
	    "('ann', 'bob', 'favorite'), ('dan', 'ann', 'blocked')");
	assert_int_equal(eventlog_head(db->st, &head), 0);
	assert_int_equal(eventlog_state(db->st, "ann", see, &seen, &pos), 4);
	assert_int_equal(pos, head);
	(void)clock_print_pos(head, at);
	for (i = 0; i < seen.len; i++) {
		assert_int_equal(seen.ev[i]->id, head);
		assert_non_null(strstr(seen.ev[i]->text, at));
		assert_null(strstr(seen.ev[i]->text, "@x"));
		(void)payload_string(seen.ev[i], "id", id, sizeof(id));
		assert_string_equal(seen.ev[i]->entity_id, id);
	}
	/* Neither rooms nor users have an order of their own. */
	for (i = 0; i < 4; i++) {
		size_t j;

		for (j = 0; j < 4; j++)
			if (strcmp(seen.ev[j]->entity_id, want[i][1]) == 0)
				break;
		assert_true(j < 4);
		assert_string_equal(seen.ev[j]->type, want[i][0]);
		assert_int_equal(j < 2, i < 2);		/* rooms come first */
	}
	forget(&seen);

	seen.stop_at = 3;
	seen.stop = 7;
	assert_int_equal(eventlog_state(db->st, "ann", see, &seen, &pos), 7);
	assert_int_equal(seen.len, 3);
	forget(&seen);
	pos = -1;
	seen.stop = ERR_TOOBIG;
	assert_int_equal(eventlog_state(db->st, "ann", see, &seen, &pos),
	    ERR_TOOBIG);
	assert_int_equal(pos, -1);
	assert_false(store_is_open(db->st));
	forget(&seen);
}

/* --- append, scan --- */

static int
append(struct store *st, const char *type, const char *room, const char *user,
    const char *payload, int64_t ttl_ms, int64_t *ret)
{
	return eventlog_append(st, type, room, user, NULL, payload,
	    strlen(payload), ttl_ms, ret);
}

static void
test_append(void **state)
{
	struct testdb *db = *state;
	struct seen seen = { .len = 0 };
	int64_t head, a = 0, b = 0, c = -1;
	char type[200];

	assert_int_equal(eventlog_head(db->st, &head), 0);
	assert_int_equal(append(db->st, "we\"ather", NULL, NULL,
	    "{ \"rain\" : true }", 0, &a), 0);
	assert_true(a > head);
	/* In a transaction of the caller's, who takes it back. */
	assert_int_equal(store_write(db->st), 0);
	assert_int_equal(append(db->st, "x", NULL, "ann", "{}", 5000, &b), 0);
	assert_true(b > a);
	store_rollback(db->st);
	assert_int_equal(append(db->st, "x", NULL, "ann", "{}", 5000, &b), 0);

	assert_int_equal(append(db->st, "", NULL, NULL, "{}", 0, &c), ERR_INVAL);
	assert_int_equal(append(db->st, "x", NULL, NULL, "{}", -1, &c),
	    ERR_INVAL);
	assert_int_equal(append(db->st, "x", NULL, NULL, "{}", INT64_MAX, &c),
	    ERR_INVAL);
	assert_int_equal(append(db->st, "x", NULL, NULL, "[]", 0, &c),
	    ERR_INVAL);
	memset(type, 'x', sizeof(type));
	type[sizeof(type) - 1] = '\0';
	assert_int_equal(append(db->st, type, NULL, NULL, "{}", 0, &c),
	    ERR_TOOBIG);
	assert_int_equal(c, -1);

	assert_int_equal(eventlog_scan(db->st, head, 10, see, &seen), 2);
	assert_int_equal(seen.ev[0]->id, a);
	assert_int_equal(seen.ev[0]->expires_at, 0);
	assert_non_null(strstr(seen.ev[0]->text,
	    "{\"type\":\"we\\\"ather\",\"payload\":{\"rain\":true},\"timesta"));
	assert_int_equal(seen.ev[1]->id, b);
	assert_string_equal(seen.ev[1]->user_id, "ann");
	assert_true(seen.ev[1]->expires_at > clock_wall_us());
	assert_true(seen.ev[1]->expires_at <= clock_wall_us() + 5000000);
	forget(&seen);
}

static void
test_scan(void **state)
{
	static const struct {
		const char	*type, *room_id, *user_id, *actor_id, *entity_id;
		int		 is_private, is_open, has_text, has_self;
	} want[] = {
		{ "USER_JOINED", NULL, NULL, NULL, "ann", 0, 0, 1, 1 },
		{ "ROOM_CREATED", NULL, NULL, NULL, "hall", 0, 0, 1, 0 },
		{ "ROOM_CREATED", NULL, NULL, NULL, "den", 1, 0, 1, 0 },
		{ "ROOM_JOINED", NULL, "ann", NULL, "den", 0, 0, 1, 0 },
		{ "NEW_MESSAGE", "hall", NULL, "ann", "m1", 0, 1, 1, 0 },
		{ "NEW_MESSAGE", "den", NULL, "ann", "m2", 1, 0, 1, 0 },
		{ "NEW_MESSAGE", "hall", NULL, "ann", "m3", 0, 1, 0, 0 },
		{ "MESSAGE_DELETED", "hall", NULL, "ann", "m3", 0, 1, 1, 0 },
		{ "NEW_MESSAGE", "none", NULL, "ann", "m4", 0, 0, 1, 0 },
		{ "USER_UPDATE", NULL, "ann", NULL, "ann", 0, 0, 1, 1 },
		{ "USER_UPDATE", NULL, NULL, "ann", NULL, 0, 0, 1, 0 },
		{ "USER_UPDATE", NULL, NULL, "ann", "ann", 0, 0, 1, 1 },
		{ "x", NULL, NULL, NULL, NULL, 0, 0, 0, 0 },
		{ "y", "den", NULL, NULL, NULL, 0, 0, 1, 0 },
	};
	struct testdb *db = *state;
	struct seen seen = { .len = 0 };
	struct event *ev;
	int64_t head;
	size_t i;

	assert_int_equal(eventlog_head(db->st, &head), 0);
	testdb_site(db, "INSERT INTO users(id, name, email) "
	    "VALUES ('ann', 'Ann', 'a@x');"
	    "INSERT INTO rooms(id, name, is_private) VALUES ('hall', 'H', 0);"
	    "INSERT INTO rooms(id, name, is_private) VALUES ('den', 'D', 1);"
	    "INSERT INTO room_members VALUES ('den', 'ann');"
	    "INSERT INTO messages(id, room_id, sender_id) VALUES "
	    "('m1', 'hall', 'ann'), ('m2', 'den', 'ann'), "
	    "('m3', 'hall', 'ann');"
	    "DELETE FROM messages WHERE id = 'm3';"
	    "INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('m4', 'none', 'ann');"
	    "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('ann', 'bob', 'favorite');"
	    "UPDATE users SET is_online = 1;"
	    "UPDATE users SET name = 'Anna';"
	    /* by a program that writes to the log as it pleases */
	    "INSERT INTO events(id, type, payload) "
	    "SELECT id, 'x', 'no json' FROM sw_next;"
	    "INSERT INTO events(id, type, room_id, private, payload) "
	    "SELECT id, 'y', 'den', 0, '{}' FROM sw_next");
	assert_int_equal(eventlog_scan(db->st, head, 100, see, &seen),
	    sizeof(want) / sizeof(want[0]));
	for (i = 0; i < seen.len; i++) {
		ev = seen.ev[i];
		assert_string_equal(ev->type, want[i].type);
#define SAME(field)	do {						\
			assert_int_equal(ev->field == NULL,		\
			    want[i].field == NULL);			\
			if (want[i].field != NULL)			\
				assert_string_equal(ev->field,		\
				    want[i].field);			\
		} while (0)
		SAME(room_id);
		SAME(user_id);
		SAME(actor_id);
		SAME(entity_id);
#undef SAME
		assert_int_equal(ev->is_private, want[i].is_private);
		assert_int_equal(ev->is_open, want[i].is_open);
		assert_int_equal(ev->text != NULL, want[i].has_text);
		assert_int_equal(ev->self != NULL, want[i].has_self);
		if (ev->self != NULL) {
			assert_non_null(strstr(ev->self, "\"a@x\""));
			assert_null(strstr(ev->text, "\"a@x\""));
		}
	}
	forget(&seen);

	assert_int_equal(eventlog_scan(db->st, head, 5, see, &seen), 5);
	forget(&seen);
	seen.stop_at = 2;
	seen.stop = 1;
	assert_int_equal(eventlog_scan(db->st, head, 5, see, &seen), 1);
	assert_int_equal(seen.len, 2);
	forget(&seen);
	seen.stop = ERR_NOMEM;
	assert_int_equal(eventlog_scan(db->st, head, 5, see, &seen), ERR_NOMEM);
	forget(&seen);
}

/* --- pruning --- */

static void
test_prune_by_age(void **state)
{
	struct testdb *db = *state;

	rows_at(db, 10, 11);			/* 10 s .. 20 s */
	assert_int_equal(eventlog_prune(db->st, 25000000, 10, 1000, 100), 5);
	assert_int_equal(number(db, "SELECT min(id) FROM events"), 15000000);
	assert_int_equal(eventlog_prune(db->st, 25000000, 10, 1000, 100), 0);
	/* In batches; never the newest, whatever its age. */
	assert_int_equal(eventlog_prune(db->st, 99000000, 10, 1000, 2), 2);
	assert_int_equal(eventlog_prune(db->st, 99000000, 10, 1000, 100), 3);
	assert_int_equal(eventlog_prune(db->st, 99000000, 0, 0, 100), 0);
	assert_int_equal(number(db, "SELECT min(id) FROM events"), 20000000);
	/* A span longer than the age of the world. */
	rows_at(db, 10, 11);
	assert_int_equal(eventlog_prune(db->st, 25000000, INT64_MAX, 1000, 100),
	    0);
}

static void
test_prune_by_rows(void **state)
{
	struct testdb *db = *state;
	int64_t rows, oldest;

	rows_at(db, 10, 11);
	assert_int_equal(eventlog_prune(db->st, 25000000, 100, 4, 3), 3);
	assert_int_equal(eventlog_prune(db->st, 25000000, 100, 4, 3), 3);
	assert_int_equal(eventlog_prune(db->st, 25000000, 100, 4, 3), 1);
	assert_int_equal(eventlog_prune(db->st, 25000000, 100, 4, 3), 0);
	assert_int_equal(eventlog_size(db->st, &rows, &oldest), 0);
	assert_int_equal(rows, 4);
	assert_int_equal(oldest, 17000000);
	assert_int_equal(eventlog_prune(db->st, 25000000, 100, 0, 3), 3);
	assert_int_equal(eventlog_prune(db->st, 25000000, 100, 0, 3), 0);
}

/* Random growth, limits, hands of others and transactions taken back: the rows that
 * are left are always those that a plain count says. */
static void
test_prune_random(void **state)
{
	struct testdb *db = *state;
	int64_t at = 1000, left, keep, age, now, oldest, want;
	unsigned seed = 7;
	char sql[256];
	int i, n, rc, max;

	rows_at(db, 1000, 50);
	at += 50;
	for (i = 0; i < 400; i++) {
		n = rand_r(&seed) % 8;
		while (n-- > 0) {
			(void)snprintf(sql, sizeof(sql), "INSERT INTO events"
			    "(id, type, payload) VALUES (%lld, 'x', '{}')",
			    (long long)(at++ * 1000000));
			testdb_site(db, sql);
		}
		if (rand_r(&seed) % 20 == 0)
			testdb_site(db, "DELETE FROM events WHERE id < (SELECT "
			    "id FROM events ORDER BY id LIMIT 1 OFFSET 3)");
		keep = i % 100 < 80 ? 40 : 20 + rand_r(&seed) % 40;
		age = i % 150 < 75 ? 1000 : 30;
		max = 1 + rand_r(&seed) % 12;
		now = at * 1000000;
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT "
		    "id, row_number() OVER (ORDER BY id DESC) AS n FROM events)"
		    " WHERE n > 1 AND (n > %lld OR id < %lld)",
		    (long long)keep, (long long)(now - age * 1000000));
		want = number(db, sql);
		want = want < max ? want : max;
		left = number(db, "SELECT count(*) FROM events") - want;
		(void)snprintf(sql, sizeof(sql), "SELECT id FROM events "
		    "ORDER BY id LIMIT 1 OFFSET %lld", (long long)want);
		oldest = number(db, sql);
		if (rand_r(&seed) % 10 == 0) {
			assert_int_equal(store_write(db->st), 0);
			rc = eventlog_prune(db->st, now, age, keep, max);
			assert_int_equal(rc, want);
			store_rollback(db->st);
		}
		rc = eventlog_prune(db->st, now, age, keep, max);
		assert_int_equal(rc, want);
		assert_int_equal(number(db, "SELECT count(*) FROM events"), left);
		assert_int_equal(number(db, "SELECT min(id) FROM events"),
		    oldest);
	}
}

/* What was counted in a transaction that was then taken back counts no more. */
static void
test_prune_undone(void **state)
{
	struct testdb *db = *state;

	rows_at(db, 1, 20);
	assert_int_equal(store_write(db->st), 0);
	assert_int_equal(store_exec(db->st, "INSERT INTO events(id, type) "
	    "VALUES (21000000, 'x'), (22000000, 'x'), (23000000, 'x')"), 0);
	assert_int_equal(eventlog_prune(db->st, 0, 1, 15, 100), 8);
	store_rollback(db->st);
	testdb_site(db, "INSERT INTO events(id, type) VALUES (30000000, 'x')");
	assert_int_equal(eventlog_prune(db->st, 0, 1, 15, 100), 6);
	assert_int_equal(number(db, "SELECT count(*) FROM events"), 15);
}

/* Steps of SQLite's machine that a statement took since the last call. */
static int
steps(struct store *st, enum sql which)
{
	return st->stmt[which] == NULL ? 0 : sqlite3_stmt_status(
	    st->stmt[which], SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* Once it has counted, pruning costs what is new and what goes, not what is there. */
static void
test_prune_cost(void **state)
{
	struct testdb *db = *state;

	rows_at(db, 1, 20000);
	assert_int_equal(eventlog_prune(db->st, 0, 1, 15000, 100000), 5000);
	testdb_site(db, "INSERT INTO events(id, type) VALUES "
	    "(20001000000, 'x'), (20002000000, 'x')");
	assert_true(steps(db->st, SQL_COUNT_FROM) > 15000);
	(void)steps(db->st, SQL_SKIP_FROM);
	(void)steps(db->st, SQL_PRUNE);
	assert_int_equal(eventlog_prune(db->st, 0, 1, 15000, 100000), 2);
	assert_true(steps(db->st, SQL_COUNT_FROM) < 100);
	assert_true(steps(db->st, SQL_SKIP_FROM) < 100);
	assert_true(steps(db->st, SQL_PRUNE) < 200);
}

/* --- cost --- */

/* The plan of a statement, its lines joined by '\n'. */
static void
plan(struct store *st, enum sql which, char *ret, size_t size)
{
	sqlite3_stmt *stmt, *explain;
	char sql[4096];
	int err;

	stmt = store_stmt(st, which, &err);
	assert_non_null(stmt);
	(void)snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s",
	    sqlite3_sql(stmt));
	assert_int_equal(sqlite3_prepare_v2(st->db, sql, -1, &explain, NULL),
	    SQLITE_OK);
	*ret = '\0';
	while (sqlite3_step(explain) == SQLITE_ROW)
		(void)snprintf(ret + strlen(ret), size - strlen(ret), "%s\n",
		    (const char *)sqlite3_column_text(explain, 3));
	(void)sqlite3_finalize(explain);
}

/* No statement of ours walks a table whose rows are not its answer, or sorts one. */
static void
test_plans(void **state)
{
	static const struct {
		enum sql	 which;
		const char	*want;		/* NULL: only no SCAN */
	} cases[] = {
		{ SQL_HEAD, "SEARCH events" },
		{ SQL_OLDEST, "SEARCH events" },
		{ SQL_CURSOR_MESSAGE, "INDEX sw_events_message" },
		{ SQL_PAGE, "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)" },
		{ SQL_SCAN, "SEARCH e USING INTEGER PRIMARY KEY (rowid>?)" },
		{ SQL_STATE_USERS, "sw_users_online_index" },
		{ SQL_HAS_ROW, NULL },
		{ SQL_COUNT_FROM, NULL },
		{ SQL_SKIP_FROM, NULL },
		{ SQL_PRUNE, NULL },
		{ SQL_EVENT_MESSAGE, NULL },
		{ SQL_EVENT_ROOM, NULL },
		{ SQL_EVENT_USER, NULL },
		{ SQL_EVENT_FAVORITES, "sw_relationships_user" },
		{ SQL_EVENT_BLOCKED, "sw_relationships_user" },
		{ SQL_USER_NAMED, NULL },
		{ SQL_ROOM_NAMED, NULL },
		{ SQL_MEMBER_NAMED, NULL },
		{ SQL_MESSAGE_NAMED, NULL },
		{ SQL_CHECK_ROOM, NULL },
		{ SQL_MEMBERSHIPS, NULL },
		{ SQL_BLOCKS, "sw_relationships_user" },
		{ SQL_ONLINE_DIFFERS, NULL },
		{ SQL_MESSAGE_SEQ, NULL },
		{ SQL_HISTORY, "sw_messages_room (room_id=? AND rowid<?)" },
		{ SQL_LIST_MEMBERS, NULL },
	};
	struct testdb *db = *state;
	char lines[4096], *line;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		plan(db->st, cases[i].which, lines, sizeof(lines));
		if (cases[i].want != NULL
		    && strstr(lines, cases[i].want) == NULL)
			fail_msg("%s", lines);
		if (strstr(lines, "TEMP B-TREE") != NULL)
			fail_msg("%s", lines);
		for (line = lines; *line != '\0'; line = strchr(line, '\n') + 1)
			if (strncmp(line, "SCAN ", 5) == 0
			    && strncmp(line, "SCAN CONSTANT ROW", 17) != 0
			    && strstr(line, "sw_users_online_index") == NULL)
				fail_msg("%s", lines);
	}
}

int
main(void)
{
#define IN_DB(test)	cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_DB(test_resume),
		cmocka_unit_test(test_reset_names),
		IN_DB(test_ends),
		IN_DB(test_state),
		IN_DB(test_append),
		IN_DB(test_scan),
		IN_DB(test_prune_by_age),
		IN_DB(test_prune_by_rows),
		IN_DB(test_prune_random),
		IN_DB(test_prune_undone),
		IN_DB(test_prune_cost),
		IN_DB(test_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
