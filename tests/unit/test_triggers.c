/*
 * The triggers of schema.sql: what the log says of each change, and the promise that
 * the site's own statement never fails on our account, whatever it is and whatever
 * the site's connection is set to.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "buf.h"
#include "clock.h"
#include "log.h"
#include "siteproc.h"
#include "testdb.h"

static struct testdb db;
static int64_t mark;	/* the log's head before the statements under test */

static int64_t
number(const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t n;

	if (sqlite3_prepare_v2(db.site, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db.site));
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

static void
set_mark(void)
{
	mark = number("SELECT coalesce(max(id), 0) FROM events");
}

static int
setup(void **state)
{
	(void)state;
	testdb_open(&db, NULL);
	testdb_site(&db, "INSERT INTO users(id, name) VALUES ('u', 'U'), ('v', 'V');"
	    "INSERT INTO rooms(id, name, is_private, created_by) VALUES "
	    "('open', 'O', 0, 'u'), ('shut', 'S', 1, 'u');"
	    "INSERT INTO messages(id, room_id, sender_id, content) VALUES "
	    "('m', 'open', 'u', 'x');"
	    "INSERT INTO user_relationships(id, user_id, target_id, "
	    "relationship_type) VALUES ('1', 'u', 'v', 'blocked')");
	set_mark();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	testdb_close(&db);
	return 0;
}

/* The rows since the mark: type room private user actor entity, NULL as "-". */
static void
print_log(struct buf *ret)
{
	sqlite3_stmt *stmt;
	int64_t last = mark;
	int i;

	assert_int_equal(sqlite3_prepare_v2(db.site, "SELECT id, type, room_id, "
	    "private, user_id, actor_id, entity_id FROM events WHERE id > :after "
	    "ORDER BY id", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_bind_int64(stmt, 1, mark), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		assert_true(sqlite3_column_int64(stmt, 0) > last);
		last = sqlite3_column_int64(stmt, 0);
		for (i = 1; i < 7; i++)
			buf_addf(ret, "%s%s", i > 1 ? " " : "",
			    sqlite3_column_type(stmt, i) == SQLITE_NULL ? "-" :
			    (const char *)sqlite3_column_text(stmt, i));
		buf_addc(ret, ';');
	}
	(void)sqlite3_finalize(stmt);
	assert_int_equal(buf_err(ret), 0);
}

static void
expect_log(const char *sql, const char *expect)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	print_log(&b);
	if (strcmp(buf_str(&b), expect) != 0)
		fail_msg("%s:\n%s\nexpected\n%s", sql, buf_str(&b), expect);
	buf_release(&b);
	set_mark();
}

static void
test_events(void **state)
{
	static const struct {
		const char	*sql;
		const char	*log;
	} cases[] = {
		/* messages */
		{ "INSERT INTO messages(id, room_id, sender_id) VALUES ('n', 'shut', 'v')",
		  "NEW_MESSAGE shut 1 - v n;" },
		{ "UPDATE messages SET content = 'y' WHERE id = 'm'",
		  "MESSAGE_UPDATED open 0 - u m;" },
		{ "UPDATE messages SET content = 'y' WHERE id = 'm'", "" },
		{ "UPDATE messages SET sender_name = 'N' WHERE id = 'm'",
		  "MESSAGE_UPDATED open 0 - u m;" },
		{ "UPDATE messages SET room_id = 'shut', content = 'z' WHERE id = 'm'",
		  "MESSAGE_DELETED open 0 - u m;NEW_MESSAGE shut 1 - u m;" },
		{ "UPDATE messages SET id = 'k' WHERE id = 'm'",
		  "MESSAGE_DELETED shut 1 - u m;NEW_MESSAGE shut 1 - u k;" },
		{ "DELETE FROM messages WHERE id = 'k'", "MESSAGE_DELETED shut 1 - u k;" },
		{ "INSERT OR REPLACE INTO messages(id, room_id, sender_id) VALUES "
		  "('n', 'open', 'v')", "NEW_MESSAGE open 0 - v n;" },
		{ "INSERT OR IGNORE INTO messages(id, room_id, sender_id) VALUES "
		  "('n', 'open', 'v')", "" },
		/* rooms; a creator is a member, once */
		{ "INSERT INTO rooms(id, is_private, created_by) VALUES ('p', 1, 'v')",
		  "ROOM_CREATED - 1 - - p;ROOM_JOINED - 0 v - p;" },
		{ "INSERT INTO room_members VALUES ('p', 'v')", "" },
		{ "INSERT INTO rooms(id) VALUES ('q')", "ROOM_CREATED - 0 - - q;" },
		{ "UPDATE rooms SET is_private = 0 WHERE id = 'p'",
		  "ROOM_UPDATED - 0 - - p;" },
		{ "UPDATE rooms SET is_private = 1, created_by = 'u' WHERE id = 'p'",
		  "ROOM_UPDATED - 1 - - p;ROOM_JOINED - 0 u - p;" },
		{ "UPDATE rooms SET created_by = 'v' WHERE id = 'p'",
		  "ROOM_UPDATED - 1 - - p;" },
		{ "UPDATE rooms SET updated_at = 'x'", "" },
		{ "UPDATE rooms SET id = 'pp' WHERE id = 'p'",
		  "ROOM_DELETED - 0 - - p;ROOM_CREATED - 1 - - pp;"
		  "ROOM_JOINED - 0 u - pp;ROOM_JOINED - 0 v - pp;"
		  "ROOM_LEFT - 0 v - p;ROOM_LEFT - 0 u - p;" },
		{ "INSERT INTO messages(id, room_id, sender_id) VALUES ('o', 'pp', 'v')",
		  "NEW_MESSAGE pp 1 - v o;" },
		{ "DELETE FROM rooms WHERE id = 'pp'",
		  "ROOM_DELETED - 0 - - pp;ROOM_LEFT - 0 u - pp;ROOM_LEFT - 0 v - pp;" },
		{ "INSERT INTO messages(id, room_id, sender_id) VALUES ('oo', 'pp', 'v')",
		  "NEW_MESSAGE pp 0 - v oo;" },
		{ "INSERT OR REPLACE INTO rooms(id, is_private, created_by) VALUES "
		  "('shut', 0, 'u')", "ROOM_CREATED - 0 - - shut;" },
		/* members */
		{ "INSERT INTO room_members VALUES ('q', 'v')", "ROOM_JOINED - 0 v - q;" },
		{ "UPDATE room_members SET user_id = 'u' WHERE room_id = 'q'",
		  "ROOM_LEFT - 0 v - q;ROOM_JOINED - 0 u - q;" },
		{ "DELETE FROM room_members WHERE room_id = 'q'", "ROOM_LEFT - 0 u - q;" },
		/* users */
		{ "INSERT INTO users(id) VALUES ('w')", "USER_JOINED - 0 - - w;" },
		{ "UPDATE users SET bio = 'b' WHERE id = 'w'", "USER_UPDATE - 0 - w w;" },
		{ "UPDATE users SET updated_at = 'x', password_hash = 'y'", "" },
		{ "UPDATE users SET is_online = 1 WHERE id = 'w'", "USER_UPDATE - 0 - w -;" },
		{ "UPDATE users SET is_online = 2 WHERE id = 'w'", "" },
		{ "UPDATE users SET is_online = 0 WHERE id = 'w'", "USER_LEFT - 0 - w -;" },
		{ "INSERT INTO room_members VALUES ('q', 'w')", "ROOM_JOINED - 0 w - q;" },
		{ "UPDATE users SET id = 'ww' WHERE id = 'w'",
		  "USER_LEFT - 0 - w -;USER_JOINED - 0 - - ww;"
		  "ROOM_JOINED - 0 ww - q;ROOM_LEFT - 0 w - q;" },
		{ "DELETE FROM users WHERE id = 'ww'",
		  "USER_LEFT - 0 - ww -;ROOM_LEFT - 0 ww - q;" },
		/* relationships: to their owner alone */
		{ "INSERT INTO user_relationships(id, user_id, target_id, "
		  "relationship_type) VALUES ('2', 'v', 'u', 'favorite')",
		  "USER_UPDATE - 0 v - v;" },
		{ "UPDATE user_relationships SET relationship_type = 'blocked' "
		  "WHERE id = '2'", "USER_UPDATE - 0 v - v;" },
		{ "UPDATE user_relationships SET user_id = 'w' WHERE id = '2'",
		  "USER_UPDATE - 0 v - v;USER_UPDATE - 0 w - w;" },
		{ "UPDATE user_relationships SET created_at = 'x'", "" },
		{ "DELETE FROM user_relationships WHERE id = '2'",
		  "USER_UPDATE - 0 w - w;" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		testdb_site(&db, cases[i].sql);
		expect_log(cases[i].sql, cases[i].log);
	}
}

/* A site's tables without any constraint, where rows may hold anything. */
static const char loose_site[] =
	"CREATE TABLE users (id, name COLLATE NOCASE, email, avatar, is_online, bio);"
	"CREATE TABLE rooms (id, name, is_private, created_by, description);"
	"CREATE TABLE messages (id, room_id, sender_id, sender_name, sender_avatar, "
	"content, type, timestamp);"
	"CREATE TABLE user_relationships (user_id, target_id, relationship_type);";

static int
setup_loose(void **state)
{
	char why[512] = "";
	int made;

	(void)state;
	memset(&db, 0, sizeof(db));
	testdb_mkdir(db.dir, sizeof(db.dir));
	testdb_conf(db.dir, NULL, &db.conf);
	(void)snprintf(db.path, sizeof(db.path), "%s/sidewire.db", db.dir);
	assert_int_equal(sqlite3_open(db.path, &db.site), SQLITE_OK);
	testdb_site(&db, loose_site);
	if (store_open(&db.conf, STORE_CREATE, &db.st, why, sizeof(why)) < 0 ||
	    schema_init(db.st, &made, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	set_mark();
	return 0;
}

/* Inserts, updates and deletes a row that is value throughout. */
static void
write_value(const char *table, const char *columns, int n, const char *value)
{
	struct buf b, row;
	int i;

	buf_init(&b, 8192);
	buf_init(&row, 1024);
	for (i = 0; i < n; i++)
		buf_addf(&row, "%s%s", i > 0 ? ", " : "", value);
	buf_addf(&b, "INSERT INTO %s(%s) VALUES (%s);", table, columns,
	    buf_str(&row));
	buf_addf(&b, "UPDATE %s SET (%s) = (%s);", table, columns, buf_str(&row));
	buf_addf(&b, "UPDATE %s SET %.*s = 'i';", table,
	    (int)strcspn(columns, ","), columns);
	buf_addf(&b, "UPDATE %s SET (%s) = (%s);", table, columns, buf_str(&row));
	buf_addf(&b, "DELETE FROM %s", table);
	assert_int_equal(buf_err(&b), 0);
	testdb_site(&db, buf_str(&b));
	buf_release(&b);
	buf_release(&row);
}

/* Every value in every column, by insert, update and delete, under every setting: the
 * statement works, and what has no id, room or user is told to nobody. */
static void
test_any_value(void **state)
{
	static const char *const settings[] = {
		"PRAGMA trusted_schema = OFF", "PRAGMA foreign_keys = ON",
		"PRAGMA recursive_triggers = ON", "PRAGMA foreign_keys = OFF",
		"PRAGMA case_sensitive_like = ON", "PRAGMA reverse_unordered_selects = ON",
	};
	static const char *const values[] = {
		"NULL", "''", "x''", "x'00ff80'", "zeroblob(100000)", "1", "-1.5e300",
		"9223372036854775807", "'\xff\xfe'", "'a' || char(0) || 'b'", "9e999",
	};
	static const struct {
		const char	*name;
		const char	*columns;
		int		 n;
	} tables[] = {
		{ "users", "id, name, email, avatar, is_online, bio", 6 },
		{ "rooms", "id, name, is_private, created_by, description", 5 },
		{ "messages", "id, room_id, sender_id, sender_name, sender_avatar, "
		  "content, type, timestamp", 8 },
		{ "messages", "room_id, id", 2 },
		{ "messages", "id, content", 2 },
		{ "room_members", "room_id, user_id", 2 },
		{ "room_members", "user_id", 1 },
		{ "user_relationships", "user_id, target_id, relationship_type", 3 },
	};
	size_t s, v, t;

	(void)state;
	for (s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
		testdb_site(&db, settings[s]);
		for (v = 0; v < sizeof(values) / sizeof(values[0]); v++)
			for (t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
				write_value(tables[t].name, tables[t].columns,
				    tables[t].n, values[v]);
	}
	/* Nothing without audience has become an event for everyone. */
	assert_true(number("SELECT count(*) FROM events") > 100);
	assert_int_equal(number("SELECT count(*) FROM events WHERE type LIKE "
	    "'%MESSAGE%' AND room_id IS NULL OR type LIKE 'ROOM!_%T' ESCAPE '!' AND "
	    "user_id IS NULL OR coalesce(actor_id, entity_id, user_id) IS NULL"), 0);
	assert_int_equal(number("SELECT count(*) FROM events WHERE typeof(room_id) "
	    "NOT IN ('text', 'null') OR typeof(actor_id) NOT IN ('text', 'null') OR "
	    "typeof(entity_id) NOT IN ('text', 'null') OR typeof(user_id) NOT IN "
	    "('text', 'null')"), 0);
	/* A change of case in a NOCASE column is one. */
	testdb_site(&db, "INSERT INTO users(id, name) VALUES ('u', 'ann')");
	set_mark();
	testdb_site(&db, "UPDATE users SET name = 'Ann'");
	expect_log("case", "USER_UPDATE - 0 - u u;");
}

/* Conflict clauses of the site's statement rule ours too: no row may be lost by them. */
static void
test_conflicts(void **state)
{
	static const char *const verbs[] = { "INSERT", "INSERT OR IGNORE",
	    "INSERT OR REPLACE", "INSERT OR ROLLBACK", "INSERT OR ABORT",
	    "INSERT OR FAIL", "REPLACE" };
	char sql[1024];
	size_t i;
	int recursive;

	(void)state;
	for (recursive = 0; recursive < 2; recursive++) {
		testdb_site(&db, recursive ? "PRAGMA recursive_triggers = ON" :
		    "PRAGMA recursive_triggers = OFF");
		for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
			testdb_site(&db, "DELETE FROM messages; DELETE FROM rooms;"
			    "DELETE FROM users; DELETE FROM user_relationships");
			set_mark();
			(void)snprintf(sql, sizeof(sql), "%1$s INTO messages(id, "
			    "room_id, sender_id) VALUES ('1', 'r', 'u'), "
			    "('2', 'r', 'u'), ('3', 'r', 'u'), ('4', 'r', 'u');"
			    "%1$s INTO users(id) VALUES ('a'), ('b'), ('c');"
			    "%1$s INTO rooms(id, created_by, is_private) VALUES "
			    "('x', 'a', 1), ('y', 'a', 0);"
			    "%1$s INTO user_relationships(user_id, target_id, "
			    "relationship_type) VALUES ('a', 'b', 'blocked'), "
			    "('a', 'c', 'blocked')", verbs[i]);
			testdb_site(&db, sql);
			expect_log(sql,
			    "NEW_MESSAGE r 0 - u 1;NEW_MESSAGE r 0 - u 2;"
			    "NEW_MESSAGE r 0 - u 3;NEW_MESSAGE r 0 - u 4;"
			    "USER_JOINED - 0 - - a;USER_JOINED - 0 - - b;"
			    "USER_JOINED - 0 - - c;"
			    "ROOM_CREATED - 1 - - x;ROOM_JOINED - 0 a - x;"
			    "ROOM_CREATED - 0 - - y;ROOM_JOINED - 0 a - y;"
			    "USER_UPDATE - 0 a - a;USER_UPDATE - 0 a - a;");
		}
	}
	/* The creator joined by the site as well, under the strictest clause. */
	testdb_site(&db, "INSERT OR ROLLBACK INTO rooms(id, created_by) VALUES "
	    "('z', 'a'); INSERT INTO room_members VALUES ('z', 'a');"
	    "INSERT OR REPLACE INTO room_members VALUES ('z', 'a')");
	assert_int_equal(number("SELECT count(*) FROM room_members "
	    "WHERE room_id = 'z'"), 1);
	set_mark();
	/* An upsert is what it does. */
	testdb_site(&db, "INSERT INTO messages(id, room_id, sender_id, content) VALUES "
	    "('1', 'r', 'u', 'new'), ('5', 'r', 'u', 'x') ON CONFLICT (id) DO UPDATE "
	    "SET content = excluded.content");
	expect_log("upsert", "MESSAGE_UPDATED r 0 - u 1;NEW_MESSAGE r 0 - u 5;");
	/* A REPLACE under recursive triggers is a removal and an insertion. */
	testdb_site(&db, "REPLACE INTO messages(id, room_id, sender_id) VALUES "
	    "('1', 'r', 'u')");
	expect_log("replace", "MESSAGE_DELETED r 0 - u 1;NEW_MESSAGE r 0 - u 1;");
	/* Without WHERE. */
	testdb_site(&db, "UPDATE messages SET content = 'all'");
	assert_int_equal(number("SELECT count(*) FROM events WHERE type = "
	    "'MESSAGE_UPDATED'"), 1 + 5);
	set_mark();
	testdb_site(&db, "DELETE FROM messages");
	expect_log("delete", "MESSAGE_DELETED r 0 - u 2;MESSAGE_DELETED r 0 - u 3;"
	    "MESSAGE_DELETED r 0 - u 4;MESSAGE_DELETED r 0 - u 5;"
	    "MESSAGE_DELETED r 0 - u 1;");
}

/* Ids rise whatever the clock and the log look like. */
static void
test_ids(void **state)
{
	int64_t now = clock_wall_us(), id;
	char sql[256];

	(void)state;
	id = number("SELECT max(id) FROM events");
	assert_true(id > now - 60 * 1000000LL && id < now + 1000000LL);

	/* The last event an hour in the future, as after a clock set back. */
	(void)snprintf(sql, sizeof(sql), "INSERT INTO events(id, type) VALUES "
	    "(%lld, 'X')", (long long)now + 3600 * 1000000LL);
	testdb_site(&db, sql);
	set_mark();
	testdb_site(&db, "INSERT INTO messages(id, room_id, sender_id) VALUES "
	    "('1', 'r', 'u'), ('2', 'r', 'u')");
	assert_true(number("SELECT max(id) FROM events") == mark + 2);
	expect_log("back", "NEW_MESSAGE r 0 - u 1;NEW_MESSAGE r 0 - u 2;");

	/* Its newest rows, then all of them removed by hand. */
	testdb_site(&db, "DELETE FROM events WHERE id = (SELECT max(id) FROM events)");
	testdb_site(&db, "INSERT INTO users(id) VALUES ('a')");
	assert_true(number("SELECT max(id) FROM events") == mark + 1);
	testdb_site(&db, "DELETE FROM events");
	testdb_site(&db, "INSERT INTO users(id) VALUES ('b'), ('c')");
	assert_true(number("SELECT min(id) FROM events") == mark + 2);
	assert_true(number("SELECT max(id) FROM events") == mark + 3);
	/* Even with the sequence gone. */
	testdb_site(&db, "DELETE FROM events; DELETE FROM sqlite_sequence");
	testdb_site(&db, "INSERT INTO users(id) VALUES ('d'), ('e')");
	assert_int_equal(number("SELECT count(*) FROM events"), 2);
	/* A thousand in one statement. */
	set_mark();
	testdb_site(&db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	    "WHERE i < 1000) INSERT INTO messages(id, room_id, sender_id) "
	    "SELECT 'k' || i, 'r', 'u' FROM n");
	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE id > %lld",
	    (long long)mark);
	assert_int_equal(number(sql), 1000);
	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT entity_id AS e, "
	    "'k' || row_number() OVER (ORDER BY id) AS k FROM events WHERE id > %lld) "
	    "WHERE e <> k", (long long)mark);
	assert_int_equal(number(sql), 0);
}

/* What the site asks its connection afterwards is about its own statement. */
static void
test_counters(void **state)
{
	(void)state;
	testdb_site(&db, "CREATE TABLE own (id INTEGER PRIMARY KEY)");
	testdb_site(&db, "INSERT INTO own VALUES (123456)");
	assert_true(sqlite3_last_insert_rowid(db.site) == 123456);
	testdb_site(&db, "INSERT INTO rooms(id, created_by, is_private) VALUES "
	    "('x', 'u', 1), ('y', 'u', 1)");
	assert_true(sqlite3_last_insert_rowid(db.site) ==
	    number("SELECT max(rowid) FROM rooms"));
	assert_int_equal(sqlite3_changes(db.site), 2);
	testdb_site(&db, "UPDATE rooms SET name = 'n'");
	assert_int_equal(sqlite3_changes(db.site), 4);
	testdb_site(&db, "DELETE FROM rooms");
	assert_int_equal(sqlite3_changes(db.site), 4);
	testdb_site(&db, "DELETE FROM users WHERE id = 'u'");
	assert_int_equal(sqlite3_changes(db.site), 1);
}

/* A statement that fails, or is rolled back, leaves nothing in the log. */
static void
test_rollback(void **state)
{
	(void)state;
	testdb_site(&db, "BEGIN; INSERT INTO messages(id, room_id, sender_id) VALUES "
	    "('1', 'r', 'u'); ROLLBACK");
	expect_log("rollback", "");
	assert_int_not_equal(sqlite3_exec(db.site, "INSERT INTO messages(id, room_id, "
	    "sender_id) VALUES ('1', 'r', 'u'), ('m', 'r', 'u')", NULL, NULL, NULL),
	    SQLITE_OK);
	expect_log("abort", "");
	/* OR FAIL keeps what came before, in both. */
	assert_int_not_equal(sqlite3_exec(db.site, "INSERT OR FAIL INTO messages(id, "
	    "room_id, sender_id) VALUES ('1', 'r', 'u'), ('m', 'r', 'u')", NULL,
	    NULL, NULL), SQLITE_OK);
	expect_log("fail", "NEW_MESSAGE r 0 - u 1;");
	testdb_site(&db, "SAVEPOINT a; DELETE FROM messages; ROLLBACK TO a; RELEASE a");
	expect_log("savepoint", "");
}

/* Foreign keys that cascade tell what they remove. */
static void
test_cascade(void **state)
{
	char why[512] = "";
	int made = 0;

	(void)state;
	testdb_site(&db, "PRAGMA foreign_keys = ON; CREATE TABLE m2 AS SELECT * FROM "
	    "messages; DROP TABLE messages; CREATE TABLE messages (id TEXT PRIMARY KEY, "
	    "room_id TEXT REFERENCES rooms(id) ON DELETE CASCADE ON UPDATE CASCADE, "
	    "sender_id TEXT REFERENCES users(id) ON DELETE SET NULL, sender_name TEXT, "
	    "sender_avatar TEXT, content TEXT, type TEXT, timestamp TEXT);"
	    "INSERT INTO messages SELECT * FROM m2; DROP TABLE m2");
	assert_int_equal(schema_repair(db.st, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 5);
	set_mark();
	testdb_site(&db, "UPDATE rooms SET id = 'other' WHERE id = 'open'");
	assert_int_equal(number("SELECT count(*) FROM events WHERE type = 'NEW_MESSAGE' "
	    "AND room_id = 'other' AND entity_id = 'm'"), 1);
	testdb_site(&db, "DELETE FROM users WHERE id = 'u'");
	assert_int_equal(number("SELECT count(*) FROM events WHERE type = "
	    "'MESSAGE_UPDATED' AND actor_id IS NULL AND entity_id = 'm'"), 1);
	testdb_site(&db, "DELETE FROM rooms WHERE id = 'other'");
	assert_int_equal(number("SELECT count(*) FROM events WHERE type = "
	    "'MESSAGE_DELETED' AND room_id = 'other' AND entity_id = 'm'"), 1);
	assert_int_equal(number("SELECT count(*) FROM messages"), 0);
}

/* Connections of this process and of others write at once: nothing lost, all in order. */
static void
test_many_writers(void **state)
{
	struct siteproc p[3];
	char line[200];
	int64_t head = mark;
	sqlite3_stmt *stmt;
	int i, n = 0;

	(void)state;
	for (i = 0; i < 3; i++) {
		siteproc_open(&p[i], db.path);
		(void)snprintf(line, sizeof(line), "100 INSERT INTO messages(room_id, "
		    "sender_id) VALUES ('r', 'p%d'), ('r', 'p%d')", i, i);
		siteproc_tell(&p[i], line);
	}
	assert_int_equal(sqlite3_prepare_v2(db.site, "SELECT id FROM events WHERE id > "
	    ":after ORDER BY id", -1, &stmt, NULL), SQLITE_OK);
	/* Meanwhile write as well, and read on from the last position, as a poller does. */
	for (i = 0; i < 100; i++) {
		testdb_site(&db, "INSERT INTO messages(room_id, sender_id) VALUES "
		    "('r', 'me')");
		assert_int_equal(sqlite3_bind_int64(stmt, 1, head), SQLITE_OK);
		for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
			assert_true(sqlite3_column_int64(stmt, 0) > head);
			head = sqlite3_column_int64(stmt, 0);
		}
		(void)sqlite3_reset(stmt);
	}
	for (i = 0; i < 3; i++) {
		siteproc_join(&p[i]);
		(void)fclose(p[i].in);
		(void)fclose(p[i].out);
		(void)waitpid(p[i].pid, NULL, 0);
	}
	assert_int_equal(sqlite3_bind_int64(stmt, 1, head), SQLITE_OK);
	for (; sqlite3_step(stmt) == SQLITE_ROW; n++)
		continue;
	(void)sqlite3_finalize(stmt);
	assert_int_equal(n, 3 * 200 + 100);
	assert_int_equal(number("SELECT count(*) FROM messages m WHERE NOT EXISTS "
	    "(SELECT 1 FROM events WHERE entity_id = m.id)"), 0);
}

#define UNIT(f)		cmocka_unit_test_setup_teardown(f, setup, teardown)
#define LOOSE(f)	cmocka_unit_test_setup_teardown(f, setup_loose, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		UNIT(test_events),
		LOOSE(test_any_value),
		UNIT(test_conflicts),
		UNIT(test_ids),
		UNIT(test_counters),
		UNIT(test_rollback),
		UNIT(test_cascade),
		UNIT(test_many_writers),
	};
	int rc = siteproc_main(argc, argv);

	if (rc >= 0)
		return rc;
	log_init("test_triggers", LOG_ERR_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
