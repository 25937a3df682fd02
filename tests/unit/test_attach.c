/*
 * A map held against a schema, and the plans of what is read through its views: an id
 * is found by the site's own index.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "attach.h"
#include "buf.h"
#include "err.h"
#include "log.h"
#include "schema.h"
#include "sitemap.h"
#include "store_impl.h"
#include "testdb.h"

static const char forum[] =
	"CREATE TABLE members (no INTEGER PRIMARY KEY, nick TEXT, mail TEXT);"
	"CREATE TABLE boards (no INTEGER PRIMARY KEY, title TEXT, hidden INT);"
	"CREATE TABLE posts (no INTEGER PRIMARY KEY, board INT NOT NULL,"
	" who INT NOT NULL, body TEXT NOT NULL, posted INT NOT NULL);"
	"CREATE TABLE ignores (who INT, whom INT);"
	"CREATE TABLE bills (no TEXT PRIMARY KEY, who INT, old INT);"
	"INSERT INTO bills VALUES ('7', 2, 0), ('007', 1, 0);"
	"INSERT INTO members VALUES (1, 'Ann', 'a@x'), (2, 'Ben', 'b@x');"
	"INSERT INTO boards VALUES (1, 'open', 0), (2, 'shut', 1);";
static const char map[] =
	"users = members\nusers.id = no\nusers.name = nick\nusers.email = mail\n"
	"rooms = boards\nrooms.id = no\nrooms.name = title\n"
	"rooms.is_private = hidden\n"
	"messages = posts\nmessages.id = no\nmessages.room_id = board\n"
	"messages.sender_id = who\nmessages.content = body\n"
	"messages.timestamp = unix(posted)\n"
	"user_relationships = ignores\nuser_relationships.user_id = who\n"
	"user_relationships.target_id = whom\n"
	"event.BOARD = boards\nevent.BOARD.on = update\nevent.BOARD.id = no\n"
	"event.BOARD.room = no\nevent.BOARD.payload = no, title\n"
	"event.BILL = bills\nevent.BILL.id = no\nevent.BILL.user = who\n"
	"event.BILL.payload = no\n";

struct site {
	char		 dir[256];
	char		 path[300];
	struct conf	 conf;
	sqlite3		*db;
};

static void
site_open(struct site *s)
{
	memset(s, 0, sizeof(*s));
	testdb_mkdir(s->dir, sizeof(s->dir));
	testdb_conf(s->dir, "db.busy_ms = 20\n", &s->conf);
	(void)snprintf(s->path, sizeof(s->path), "%s/sidewire.db", s->dir);
	assert_int_equal(sqlite3_open(s->path, &s->db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(s->db, forum, NULL, NULL, NULL), SQLITE_OK);
}

static void
site_close(struct site *s)
{
	sqlite3_close(s->db);
	conf_release(&s->conf);
	testdb_rmdir(s->dir);
}

/* attach_make() with a handle of its own; why gets at most size bytes. */
static int
attach(struct site *s, const char *text, int is_dry, char *why, size_t size)
{
	struct store *st;
	struct buf sql, b;
	int rc;

	assert_int_equal(store_open(&s->conf, STORE_BARE, &st, why, size), 0);
	buf_init(&sql, 1 << 20);
	buf_init(&b, 4096);
	rc = attach_make(st, text, is_dry, &sql, &b);
	assert_int_equal(b.len > 0, rc < 0);
	(void)snprintf(why, size, "%s", buf_str(&b));
	buf_release(&sql);
	buf_release(&b);
	store_close(st);
	return rc;
}

static int
count(struct site *s, const char *sql)
{
	sqlite3_stmt *stmt;
	int n;

	assert_int_equal(sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

#define OURS	"SELECT count(*) FROM sqlite_master WHERE name LIKE 'sw%'"

/* No step of the statement's plan may read a table of the site from end to end. */
static void
check_plan(struct store *st, enum sql which)
{
	sqlite3_stmt *stmt, *plan;
	const char *step;
	struct buf b;
	int rc;

	stmt = store_stmt(st, which, &rc);
	assert_non_null(stmt);
	buf_init(&b, 100000);
	buf_addf(&b, "EXPLAIN QUERY PLAN %s", sqlite3_sql(stmt));
	assert_int_equal(sqlite3_prepare_v2(st->db, buf_str(&b), -1, &plan, NULL),
	    SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		step = (const char *)sqlite3_column_text(plan, 3);
		if (strcmp(step, "SCAN s") == 0 || strncmp(step, "SCAN s ", 7) == 0
		    || strstr(step, "AUTOMATIC") != NULL)
			fail_msg("%s: %s", sqlite3_sql(stmt), step);
	}
	sqlite3_finalize(plan);
	buf_release(&b);
}

static void
test_plans(void **state)
{
	static const enum sql by_id[] = { SQL_PAGE, SQL_SCAN, SQL_STATE_USERS,
	    SQL_APPEND, SQL_EVENT_MESSAGE, SQL_EVENT_ROOM, SQL_EVENT_USER,
	    SQL_EVENT_ENTITY, SQL_EVENT_FAVORITES, SQL_EVENT_BLOCKED,
	    SQL_USER_NAMED, SQL_ROOM_NAMED, SQL_MESSAGE_NAMED, SQL_MEMBER_NAMED,
	    SQL_CHECK_ROOM, SQL_MEMBERSHIPS, SQL_BLOCKS, SQL_ONLINE_DIFFERS,
	    SQL_SET_ONLINE, SQL_ADD_MESSAGE, SQL_MESSAGE_SEQ, SQL_HISTORY,
	    SQL_LIST_MEMBERS };
	struct store *st;
	struct site s;
	char why[1024];
	size_t i;

	(void)state;
	site_open(&s);
	assert_int_equal(attach(&s, map, 0, why, sizeof(why)), 0);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)),
	    0);
	assert_int_equal(store_write(st), 0);
	for (i = 0; i < sizeof(by_id) / sizeof(by_id[0]); i++)
		check_plan(st, by_id[i]);
	store_rollback(st);
	store_close(st);
	site_close(&s);
}

/* Ids of numbers and of text in one view: each is compared as its own column is. */
static void
test_entities(void **state)
{
	static const struct { const char *type, *id, *user, *room, *want; } cases[] = {
		{ "BILL", "007", "1", NULL, "{\"no\":\"007\"}" },
		{ "BILL", "7", "2", NULL, "{\"no\":\"7\"}" },
		{ "BILL", "7", "1", NULL, NULL },
		{ "BILL", "8", "1", NULL, NULL },
		{ "BOARD", "2", NULL, "2", "{\"no\":2,\"title\":\"shut\"}" },
		{ "BOARD", "2", NULL, NULL, NULL },
		{ "OTHER", "2", NULL, NULL, NULL },
	};
	struct store *st;
	struct site s;
	sqlite3_stmt *row;
	char why[1024];
	size_t i;
	int rc;

	(void)state;
	site_open(&s);
	assert_int_equal(attach(&s, map, 0, why, sizeof(why)), 0);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)),
	    0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		row = store_stmt(st, SQL_EVENT_ENTITY, &rc);
		assert_non_null(row);
		assert_int_equal(store_bind_text(st, row, ":type", cases[i].type), 0);
		assert_int_equal(store_bind_text(st, row, ":id", cases[i].id), 0);
		assert_int_equal(store_bind_text(st, row, ":user", cases[i].user), 0);
		assert_int_equal(store_bind_text(st, row, ":room", cases[i].room), 0);
		rc = store_step(st, row);
		assert_int_equal(rc, cases[i].want != NULL);
		if (rc == 1)
			assert_string_equal((const char *)
			    sqlite3_column_text(row, 0), cases[i].want);
		store_done(row);
	}
	store_close(st);
	site_close(&s);
}

/* Columns by which rows are looked up must have an index, those of events too. */
static void
test_index(void **state)
{
	static const char by[] = "users = members\nusers.id = no\n"
	    "users.name = nick\nevent.E = ignores\nevent.E.id = who\n"
	    "event.E.user = whom\nevent.E.payload = who\n";
	struct site s;
	char why[1024];

	(void)state;
	site_open(&s);
	assert_int_equal(attach(&s, by, 0, why, sizeof(why)), ERR_SCHEMA);
	assert_string_equal(why,
	    "event.E: ignores.who has no index: make a UNIQUE one");
	assert_int_equal(sqlite3_exec(s.db, "CREATE INDEX i ON ignores(who)", NULL,
	    NULL, NULL), SQLITE_OK);
	assert_int_equal(attach(&s, by, 0, why, sizeof(why)), 0);
	site_close(&s);
}

/* What the site could not write to any more is not attached to. */
static void
test_triggers(void **state)
{
	struct site s;
	char why[1024];

	(void)state;
	site_open(&s);
	assert_int_equal(sqlite3_exec(s.db, "CREATE TRIGGER t AFTER INSERT ON posts "
	    "BEGIN DELETE FROM gone; END", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(attach(&s, map, 0, why, sizeof(why)), ERR_SCHEMA);
	assert_string_equal(why, "posts: with Sidewire's triggers, or for a reason "
	    "of its own, it cannot be written to: no such table: main.gone");
	assert_int_equal(count(&s, OURS), 0);
	site_close(&s);
}

static void
test_dry(void **state)
{
	struct site s;
	char why[1024];

	(void)state;
	site_open(&s);
	assert_int_equal(attach(&s, map, 1, why, sizeof(why)), 0);
	assert_int_equal(count(&s, OURS), 0);
	/* A map that no program could work with is undone as a whole. */
	assert_int_equal(attach(&s, "users = members\n", 0, why, sizeof(why)),
	    ERR_INVAL);
	assert_int_equal(sqlite3_exec(s.db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(attach(&s, map, 0, why, sizeof(why)), ERR_BUSY);
	assert_non_null(strstr(why, "try again"));
	assert_int_equal(sqlite3_exec(s.db, "ROLLBACK", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(count(&s, OURS), 0);
	site_close(&s);
}

/* The site's table and a column of it go; with another map it is well again. */
static void
test_drift(void **state)
{
	struct store *st;
	struct site s;
	char why[1024];
	int made;

	(void)state;
	site_open(&s);
	assert_int_equal(attach(&s, map, 0, why, sizeof(why)), 0);
	assert_int_equal(sqlite3_exec(s.db, "ALTER TABLE posts RENAME TO entries",
	    NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)),
	    ERR_SCHEMA);
	assert_non_null(strstr(why, "table posts is missing; run: sidewire attach"));
	assert_int_equal(sqlite3_exec(s.db, "ALTER TABLE entries RENAME TO posts;"
	    "DROP INDEX IF EXISTS sw_x; ALTER TABLE posts RENAME COLUMN body TO said",
	    NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)),
	    ERR_SCHEMA);
	assert_non_null(strstr(why, "table posts lacks body; run: sidewire attach"));
	assert_int_equal(sqlite3_exec(s.db, "ALTER TABLE posts RENAME COLUMN said TO "
	    "body; DROP TRIGGER sw_event_BOARD; DROP TRIGGER sw_online_insert",
	    NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)), 0);
	assert_int_equal(count(&s, "SELECT count(*) FROM sqlite_master WHERE name IN "
	    "('sw_event_BOARD', 'sw_online_insert')"), 2);
	assert_int_equal(schema_repair(st, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 0);
	/* init puts right what it finds, in the site's names; it makes none of ours. */
	assert_int_equal(schema_init(st, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 0);
	assert_int_equal(count(&s, "SELECT count(*) FROM sqlite_master "
	    "WHERE name IN ('users', 'rooms', 'messages', 'room_members')"), 0);
	/* Another map under the feet of a handle: it says so. */
	assert_int_equal(attach(&s, "users = members\nusers.id = no\n"
	    "users.name = nick\n", 0, why, sizeof(why)), 0);
	assert_int_equal(schema_repair(st, &made, why, sizeof(why)), ERR_SCHEMA);
	assert_non_null(strstr(why, "attached or detached meanwhile"));
	store_close(st);
	site_close(&s);
}

static void
test_remove(void **state)
{
	struct store *st;
	struct site s;
	char why[1024];
	struct buf b;

	(void)state;
	site_open(&s);
	assert_int_equal(attach(&s, map, 0, why, sizeof(why)), 0);
	buf_init(&b, 4096);
	assert_int_equal(store_open(&s.conf, STORE_BARE, &st, why, sizeof(why)), 0);
	assert_true(attach_remove(st, 0, &b) > 20);
	assert_int_equal(count(&s, OURS " AND tbl_name IN ('members', 'boards', "
	    "'posts', 'ignores')"), 0);
	assert_true(count(&s, "SELECT count(*) FROM events") > 0);
	assert_int_equal(attach_remove(st, 1, &b), 0);
	assert_int_equal(count(&s, OURS), 0);
	assert_int_equal(attach_remove(st, 1, &b), ERR_NOTFOUND);
	assert_non_null(strstr(buf_str(&b), "has no Sidewire schema"));
	store_close(st);
	buf_release(&b);
	site_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_entities),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_triggers),
		cmocka_unit_test(test_dry),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_remove),
	};

	log_init("test_attach", LOG_ERR_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
