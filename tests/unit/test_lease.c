/*
 * Leases as rows: beat, take, retire, adopt, sweep, and what the world is told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "err.h"
#include "lease.h"
#include "log.h"
#include "store_impl.h"
#include "testdb.h"

static struct testdb db;

static int
setup(void **state)
{
	(void)state;
	testdb_open(&db, "db.busy_ms = 20\n");
	testdb_site(&db, "INSERT INTO users(id, name) VALUES ('u', 'U'), "
	    "('v', 'V'), ('w', 'W')");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	testdb_close(&db);
	return 0;
}

static int64_t
number(const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db.site, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

static int
is_online(const char *user)
{
	char sql[100];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT is_online FROM users WHERE id = '%s'", user);
	return (int)number(sql);
}

static int
told(const char *type, const char *actor)
{
	char sql[200];

	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE "
	    "type = '%s' AND actor_id = '%s' AND entity_id IS NULL", type, actor);
	return (int)number(sql);
}

static int
sweep(int64_t now_ms, int64_t expect_next)
{
	int64_t next = -1;
	int rc = lease_sweep(db.st, now_ms, &next);

	assert_true(next == expect_next);
	return rc;
}

static void
test_take_and_sweep(void **state)
{
	int64_t at = -1;

	(void)state;
	assert_int_equal(lease_get(db.st, "u", LEASE_POLL, &at), ERR_NOTFOUND);
	assert_true(at == -1);
	assert_int_equal(sweep(0, 0), 0);
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), 1);
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 2000, 0), 0);
	assert_int_equal(lease_get(db.st, "u", LEASE_POLL, &at), 0);
	assert_true(at == 2000);
	assert_true(is_online("u"));
	assert_int_equal(told("USER_UPDATE", "u"), 1);
	assert_int_equal(sweep(1999, 2000), 0);
	assert_true(is_online("u"));
	assert_int_equal(sweep(2000, 0), 1);
	assert_false(is_online("u"));
	assert_int_equal(told("USER_LEFT", "u"), 1);
	assert_int_equal(sweep(3000, 0), 0);

	/* One of two leases ends: he is still here. */
	assert_int_equal(lease_take(db.st, "v", LEASE_POLL, 1000, 0), 1);
	assert_int_equal(lease_take(db.st, "v", "ws:1", LEASE_OPEN, 0), 0);
	assert_int_equal(sweep(5000, 0), 0);
	assert_true(is_online("v"));
	assert_int_equal(lease_take(db.st, "v", "ws:1", 6000, 0), 0);
	assert_int_equal(sweep(5000, 6000), 0);
	assert_int_equal(sweep(6001, 0), 1);
	assert_false(is_online("v"));

	/* Both end in one sweep: told once. */
	assert_int_equal(lease_take(db.st, "w", LEASE_POLL, 1000, 0), 1);
	assert_int_equal(lease_take(db.st, "w", "ws:1", 1001, 0), 0);
	assert_int_equal(sweep(2000, 0), 1);
	assert_int_equal(told("USER_LEFT", "w"), 1);
}

/* What the site sets by itself is the site's. */
static void
test_site_state(void **state)
{
	(void)state;
	testdb_site(&db, "UPDATE users SET is_online = 1 WHERE id = 'w'");
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), 1);
	assert_int_equal(sweep(1000, 0), 1);
	assert_true(is_online("w"));
	/* Set offline by the site meanwhile: he stays so while he is connected. */
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), 1);
	testdb_site(&db, "UPDATE users SET is_online = 0 WHERE id = 'u'");
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1500, 500), 0);
	assert_int_equal(lease_take(db.st, "u", "ws:1", LEASE_OPEN, 600), 0);
	assert_int_equal(lease_take(db.st, "u", "ws:1", LEASE_OPEN, 1600), 0);
	assert_int_equal(lease_take(db.st, "u", "ws:1", 2600, 1600), 0);
	assert_false(is_online("u"));
	assert_int_equal(told("USER_LEFT", "u"), 2);
	/* A grace is no connection, nor is a poll's lease that has ended. */
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 3000, 2000), 1);
	testdb_site(&db, "UPDATE users SET is_online = 0 WHERE id = 'u'");
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 4000, 3000), 1);
	/* Whoever has left already when it is written does not come. */
	testdb_site(&db, "UPDATE users SET is_online = 0 WHERE id = 'u'");
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 4000, 4000), 0);
	assert_int_equal(sweep(4000, 0), 0);
	assert_int_equal(told("USER_LEFT", "u"), 4);
	/* A user who is gone, or never was. */
	assert_int_equal(lease_take(db.st, "nobody", LEASE_POLL, 1000, 0), 0);
	assert_int_equal(lease_take(db.st, "v", LEASE_POLL, 1000, 0), 1);
	testdb_site(&db, "DELETE FROM users WHERE id = 'v'");
	assert_int_equal(sweep(1000, 0), 0);
	assert_int_equal(number("SELECT count(*) FROM sw_leases"), 0);
}

static int
count_instance(const char *instance, int64_t pid, int64_t seen_at, void *arg)
{
	int *n = arg;

	assert_non_null(instance);
	assert_true(pid > 0 && seen_at > 0);
	return ++*n == 2 ? 42 : 0;
}

static void
test_instances(void **state)
{
	int64_t at = -1;
	int n = 0;

	(void)state;
	assert_int_equal(lease_last_beat(db.st, &at), 0);
	assert_true(at == 0);
	assert_int_equal(lease_beat(db.st, "a", 10, 1000), 1);
	assert_int_equal(lease_beat(db.st, "a", 10, 1500), 0);
	assert_int_equal(lease_beat(db.st, "b", 11, 1200), 1);
	assert_int_equal(lease_last_beat(db.st, &at), 0);
	assert_true(at == 1500);
	assert_int_equal(lease_each_instance(db.st, count_instance, &n), 42);
	assert_int_equal(lease_beat(db.st, "c", 12, 1300), 1);
	n = -10;
	assert_int_equal(lease_each_instance(db.st, count_instance, &n), 0);
	assert_int_equal(n, -7);

	assert_int_equal(lease_take(db.st, "u", "a", LEASE_OPEN, 0), 1);
	assert_int_equal(lease_take(db.st, "u", "b", LEASE_OPEN, 0), 0);
	assert_int_equal(lease_take(db.st, "v", "a", 1700, 0), 1);
	assert_int_equal(lease_retire(db.st, "a", 2000), 0);
	assert_int_equal(lease_retire(db.st, "a", 3000), 0);	/* nothing left */
	assert_int_equal(lease_get(db.st, "u", "a", &at), 0);
	assert_true(at == 2000);
	assert_int_equal(lease_get(db.st, "u", "b", &at), 0);
	assert_true(at == LEASE_OPEN);
	assert_int_equal(lease_get(db.st, "v", "a", &at), 0);
	assert_true(at == 1700);		/* ended before: kept */
	assert_int_equal(sweep(2000, 0), 1);
	assert_true(is_online("u"));
	assert_false(is_online("v"));
}

static void
test_adopt(void **state)
{
	int64_t at = -1;

	(void)state;
	assert_int_equal(lease_beat(db.st, "dead", 10, 1000), 1);
	assert_int_equal(lease_beat(db.st, "alive", 11, 9000), 1);
	assert_int_equal(lease_take(db.st, "u", "dead", LEASE_OPEN, 0), 1);
	assert_int_equal(lease_take(db.st, "v", "alive", LEASE_OPEN, 0), 1);
	assert_int_equal(lease_take(db.st, "w", LEASE_POLL, 99000, 0), 1);
	assert_int_equal(lease_adopt(db.st, 10999, 9999, 30000), 0);
	assert_int_equal(lease_adopt(db.st, 11000, 9999, 30000), 1);
	assert_int_equal(lease_adopt(db.st, 11000, 9999, 40000), 0);
	assert_int_equal(lease_get(db.st, "u", "dead", &at), 0);
	assert_true(at == 30000);
	assert_int_equal(lease_get(db.st, "v", "alive", &at), 0);
	assert_true(at == LEASE_OPEN);
	assert_int_equal(lease_get(db.st, "w", LEASE_POLL, &at), 0);
	assert_true(at == 99000);
	/* Its next beat tells it that it was taken for dead. */
	assert_int_equal(lease_beat(db.st, "dead", 10, 11001), 1);
	assert_true(is_online("u"));
	assert_int_equal(sweep(30000, 99000), 1);
	assert_false(is_online("u"));
}

/* More than one sweep's worth: the rest is for the next, which is due at once. */
static void
test_sweep_bound(void **state)
{
	int64_t next = 0;
	char user[20];
	int i;

	(void)state;
	assert_int_equal(store_write(db.st), 0);
	for (i = 0; i < LEASE_SWEEP_MAX + 5; i++) {
		(void)snprintf(user, sizeof(user), "x%d", i);
		assert_int_equal(lease_take(db.st, user, LEASE_POLL, 1000 + i, 0), 0);
	}
	assert_int_equal(store_commit(db.st), 0);
	assert_int_equal(lease_sweep(db.st, 100000, &next), 0);
	assert_true(next == 1000 + LEASE_SWEEP_MAX);
	assert_int_equal(number("SELECT count(*) FROM sw_leases"), 5);
	assert_int_equal(sweep(100000, 0), 0);
}

/* Within the caller's transaction nothing is committed; without the lock nothing is done. */
static void
test_transaction(void **state)
{
	int64_t next = -1;

	(void)state;
	assert_int_equal(store_write(db.st), 0);
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), 1);
	assert_int_equal(sweep(500, 1000), 0);
	assert_true(store_is_open(db.st));
	store_rollback(db.st);
	assert_false(is_online("u"));

	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), 1);
	testdb_site(&db, "BEGIN IMMEDIATE");
	assert_int_equal(lease_beat(db.st, "a", 1, 1), ERR_BUSY);
	assert_int_equal(lease_take(db.st, "v", "a", 1, 0), ERR_BUSY);
	assert_int_equal(lease_retire(db.st, "a", 1), ERR_BUSY);
	assert_int_equal(lease_adopt(db.st, 1, 1, 1), ERR_BUSY);
	assert_int_equal(lease_sweep(db.st, 2000, &next), ERR_BUSY);
	assert_true(next == -1);
	assert_int_equal(lease_sweep(db.st, 500, &next), 0);	/* nothing due: no lock */
	assert_true(next == 1000);
	testdb_site(&db, "COMMIT");
	assert_false(store_is_open(db.st));
	assert_int_equal(sweep(2000, 0), 1);
}

/* Our tables taken away: an error, and the handle goes on. */
static void
test_failing(void **state)
{
	int64_t n;

	(void)state;
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), 1);
	testdb_site(&db, "ALTER TABLE sw_leases RENAME TO gone");
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 1000, 0), ERR_SCHEMA);
	assert_int_equal(lease_get(db.st, "u", LEASE_POLL, &n), ERR_SCHEMA);
	assert_int_equal(lease_sweep(db.st, 1000, &n), ERR_SCHEMA);
	assert_int_equal(lease_adopt(db.st, 1000, 1, 1), ERR_SCHEMA);
	assert_int_equal(lease_retire(db.st, "a", 1), ERR_SCHEMA);
	assert_false(store_is_open(db.st));
	testdb_site(&db, "ALTER TABLE gone RENAME TO sw_leases");
	testdb_site(&db, "ALTER TABLE sw_instances RENAME TO gone");
	assert_int_equal(lease_beat(db.st, "a", 1, 1), ERR_SCHEMA);
	assert_int_equal(lease_last_beat(db.st, &n), ERR_SCHEMA);
	assert_int_equal(lease_each_instance(db.st, count_instance, NULL),
	    ERR_SCHEMA);
	testdb_site(&db, "ALTER TABLE gone RENAME TO sw_instances");
	assert_int_equal(lease_sweep(db.st, 1000, &n), 1);
}

/* Every statement on leases finds its rows by an index. */
static void
test_plans(void **state)
{
	sqlite3_stmt *stmt, *plan;
	char sql[2048];
	const char *detail;
	int i, err = 0;

	(void)state;
	assert_int_equal(lease_beat(db.st, "a", 1, 1), 1);
	for (i = SQL_LEASE_BEAT; i <= SQL_LEASE_NEXT; i++) {
		if (i == SQL_LEASE_EACH_INSTANCE || i == SQL_LEASE_LAST_BEAT ||
		    i == SQL_LEASE_END_DEAD || i == SQL_LEASE_DROP_DEAD)
			continue;	/* sw_instances has a row a process */
		stmt = store_stmt(db.st, (enum sql)i, &err);
		assert_non_null(stmt);
		(void)snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s",
		    sqlite3_sql(stmt));
		assert_int_equal(sqlite3_prepare_v2(db.st->db, sql, -1, &plan,
		    NULL), SQLITE_OK);
		while (sqlite3_step(plan) == SQLITE_ROW) {
			detail = (const char *)sqlite3_column_text(plan, 3);
			if (strstr(detail, "SCAN sw_") != NULL)
				fail_msg("%s: %s", sqlite3_sql(stmt), detail);
		}
		(void)sqlite3_finalize(plan);
	}
}

#define UNIT(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

struct holders {
	char	text[512];
	int	stop_after, n;
};

static int
add_holder(const struct lease_holder *h, void *arg)
{
	struct holders *holders = arg;
	size_t len = strlen(holders->text);

	(void)snprintf(holders->text + len, sizeof(holders->text) - len,
	    "%s(%s) %s %d %d%s;", h->user_id, h->name, h->instance,
	    (int)h->ends_at, (int)h->pid, h->came_us > 0 ? " came" : "");
	return ++holders->n == holders->stop_after;
}

static void
test_holders(void **state)
{
	struct holders all = { .stop_after = 0 }, one = { .stop_after = 1 };

	(void)state;
	assert_int_equal(lease_beat(db.st, "ws", 42, 1000), 1);
	assert_int_equal(lease_take(db.st, "v", "ws", LEASE_OPEN, 1000), 1);
	assert_int_equal(lease_take(db.st, "u", LEASE_POLL, 3000, 1000), 1);
	assert_int_equal(lease_take(db.st, "w", LEASE_POLL, 2000, 1000), 1);
	testdb_site(&db, "DELETE FROM users WHERE id = 'v';"
	    "DELETE FROM events WHERE actor_id = 'v'");
	assert_int_equal(lease_each_holder(db.st, 2000, add_holder, &all), 0);
	assert_string_equal(all.text, "u(U) poll 3000 0 came;v() ws 0 42;");
	assert_int_equal(lease_each_holder(db.st, 2000, add_holder, &one), 0);
	assert_int_equal(one.n, 1);
	assert_int_equal(lease_each_holder(db.st, 1999, add_holder, &one), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_take_and_sweep),
		UNIT(test_site_state),
		UNIT(test_instances),
		UNIT(test_adopt),
		UNIT(test_sweep_bound),
		UNIT(test_transaction),
		UNIT(test_failing),
		UNIT(test_plans),
		UNIT(test_holders),
	};

	log_init("test_lease", LOG_ERR_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
