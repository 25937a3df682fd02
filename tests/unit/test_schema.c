/*
 * Installing on new and foreign files, checking, repairing after the site's migrations,
 * and the TEMP views.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "err.h"
#include "log.h"
#include "schema.h"
#include "store_impl.h"
#include "testdb.h"

/* A site of its own making: numbers as ids, rows, constraints, its own user_version. */
static const char number_site[] =
	"CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name VARCHAR(50) NOT NULL, email TEXT UNIQUE NOT NULL,"
	" password_hash TEXT NOT NULL, avatar TEXT, is_online BOOLEAN DEFAULT FALSE,"
	" bio TEXT NOT NULL DEFAULT '', created_at DATETIME DEFAULT CURRENT_TIMESTAMP,"
	" updated_at DATETIME);"
	"CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
	" is_private BOOLEAN DEFAULT 0, password_hash TEXT, created_by INTEGER"
	" REFERENCES users(id), description TEXT);"
	"CREATE TABLE messages (id INTEGER PRIMARY KEY, room_id INTEGER NOT NULL"
	" REFERENCES rooms(id) ON DELETE CASCADE, sender_id INTEGER REFERENCES users(id),"
	" sender_name TEXT, sender_avatar TEXT, content TEXT, type TEXT,"
	" timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);"
	"CREATE TABLE user_relationships (id INTEGER PRIMARY KEY, user_id INTEGER,"
	" target_id INTEGER, relationship_type TEXT);"
	"INSERT INTO users(id, name, email, password_hash) VALUES (1, 'A', 'a@x', 'h'),"
	" (2, 'B', 'b@x', 'h');"
	"INSERT INTO rooms(id, name, is_private, created_by) VALUES (7, 'open', 0, 1),"
	" (8, 'closed', 1, 2), (9, 'shut', 'true', NULL), (10, 'free', 'false', NULL);"
	"INSERT INTO messages(id, room_id, sender_id, content) VALUES (5, 7, 1, 'x');"
	"INSERT INTO user_relationships VALUES (1, 1, 2, 'blocked'), (2, 2, 2, 'blocked');"
	"PRAGMA user_version = 99; PRAGMA application_id = 4711;";

struct site {
	char		 dir[256];
	char		 path[300];
	struct conf	 conf;
	sqlite3		*db;
	struct store	*st;
};

/* A site's file with sql run on it; no schema of ours yet. */
static void
site_open(struct site *s, const char *sql)
{
	memset(s, 0, sizeof(*s));
	testdb_mkdir(s->dir, sizeof(s->dir));
	testdb_conf(s->dir, "db.busy_ms = 20\n", &s->conf);
	(void)snprintf(s->path, sizeof(s->path), "%s/sidewire.db", s->dir);
	assert_int_equal(sqlite3_open(s->path, &s->db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(s->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void
site_close(struct site *s)
{
	store_close(s->st);
	(void)sqlite3_close(s->db);
	conf_release(&s->conf);
	testdb_rmdir(s->dir);
}

static void
site_run(struct site *s, const char *sql)
{
	char *msg = NULL;

	if (sqlite3_exec(s->db, sql, NULL, NULL, &msg) != SQLITE_OK)
		fail_msg("%s: %s", sql, msg);
}

/* The first column of the first row as text; borrowed until the next call. */
static const char *
ask(sqlite3 *db, const char *sql)
{
	static char text[2][4096];
	static int turn;
	const char *value = NULL;
	sqlite3_stmt *stmt;

	turn = !turn;
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = (const char *)sqlite3_column_text(stmt, 0);
	(void)snprintf(text[turn], sizeof(text[turn]), "%s",
	    value != NULL ? value : "(null)");
	(void)sqlite3_finalize(stmt);
	return text[turn];
}

/* Everything of the file but its journal mode: definitions, rows, header numbers. */
static void
dump(sqlite3 *db, struct buf *ret)
{
	sqlite3_stmt *table, *row;
	char *sql;
	int i;

	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name, type, tbl_name, sql "
	    "FROM sqlite_master ORDER BY rowid", -1, &table, NULL), SQLITE_OK);
	while (sqlite3_step(table) == SQLITE_ROW) {
		for (i = 0; i < 4; i++)
			buf_addf(ret, "%s|", sqlite3_column_text(table, i) != NULL ?
			    (const char *)sqlite3_column_text(table, i) : "-");
		if (strcmp((const char *)sqlite3_column_text(table, 1), "table") != 0)
			continue;
		sql = sqlite3_mprintf("SELECT * FROM \"%w\"",
		    (const char *)sqlite3_column_text(table, 0));
		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL),
		    SQLITE_OK);
		while (sqlite3_step(row) == SQLITE_ROW)
			for (i = 0; i < sqlite3_column_count(row); i++)
				buf_addf(ret, "%s|",
				    sqlite3_column_text(row, i) != NULL ?
				    (const char *)sqlite3_column_text(row, i) : "-");
		(void)sqlite3_finalize(row);
		sqlite3_free(sql);
	}
	(void)sqlite3_finalize(table);
	buf_addf(ret, "%s,", ask(db, "PRAGMA user_version"));
	buf_addf(ret, "%s,", ask(db, "PRAGMA application_id"));
	buf_addf(ret, "%s", ask(db, "PRAGMA schema_version"));
	assert_int_equal(buf_err(ret), 0);
}

/* schema_init() on the site's file; returns its code. */
static int
init(struct site *s, int *ret_made, char *why, size_t size)
{
	struct store *st = NULL;
	int rc;

	rc = store_open(&s->conf, STORE_CREATE, &st, why, size);
	if (rc == 0)
		rc = schema_init(st, ret_made, why, size);
	store_close(st);
	return rc;
}

/* The same where it must work; then a handle as the services have it. */
static void
install(struct site *s)
{
	char why[1024] = "";
	int made = 0;

	if (init(s, &made, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_true(made > 0);
	if (store_open(&s->conf, STORE_SERVE, &s->st, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	assert_int_equal(schema_check(s->st, why, sizeof(why)), 0);
}

static void
expect_twice_the_same(struct site *s)
{
	struct buf before, after;
	char why[1024] = "";
	int made = -1;

	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	dump(s->db, &before);
	assert_int_equal(init(s, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 0);
	dump(s->db, &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	buf_release(&before);
	buf_release(&after);
}

static void
test_new_file(void **state)
{
	struct site s;

	(void)state;
	site_open(&s, "");
	install(&s);
	assert_string_equal(ask(s.db, "SELECT count(*) FROM events"), "1");
	assert_string_equal(ask(s.db, "SELECT type || user_id FROM events"),
	    "LOG_CREATED");
	assert_string_equal(ask(s.db, "SELECT value FROM sw_meta "
	    "WHERE key = 'version'"), "2");
	/* Any program may insert without an id. */
	site_run(&s, "INSERT INTO users(name) VALUES ('a');"
	    "INSERT INTO rooms(name) VALUES ('r');"
	    "INSERT INTO messages(room_id, sender_id, content) "
	    "SELECT r.id, u.id, 'x' FROM rooms r, users u;"
	    "INSERT INTO user_relationships(user_id, target_id, relationship_type) "
	    "SELECT id, 'x', 'favorite' FROM users");
	assert_string_equal(ask(s.db, "SELECT length(id) || type || "
	    "(timestamp GLOB '2*T*:*.*Z') FROM messages"), "32text1");
	assert_string_equal(ask(s.db, "SELECT is_online FROM users"), "0");
	assert_string_equal(ask(s.db, "SELECT is_private FROM rooms"), "0");
	expect_twice_the_same(&s);
	site_close(&s);
}

static void
test_site_file(void **state)
{
	struct site s;
	char before[4096];

	(void)state;
	site_open(&s, number_site);
	(void)snprintf(before, sizeof(before), "%s", ask(s.db, "SELECT "
	    "group_concat(sql, ';') FROM sqlite_master WHERE type = 'table'"));
	install(&s);
	assert_string_equal(ask(s.db, "SELECT group_concat(sql, ';') FROM "
	    "sqlite_master WHERE type = 'table' AND name IN ('users', 'rooms', "
	    "'messages', 'user_relationships', 'sqlite_sequence')"), before);
	assert_string_equal(ask(s.db, "PRAGMA user_version"), "99");
	assert_string_equal(ask(s.db, "PRAGMA application_id"), "4711");
	assert_string_equal(ask(s.db, "SELECT name || is_private FROM rooms "
	    "WHERE id = 8"), "closed1");
	/* Filled in once, and told to nobody. */
	assert_string_equal(ask(s.db, "SELECT group_concat(room_id) FROM "
	    "sw_private_rooms"), "8,9");
	assert_string_equal(ask(s.db, "SELECT group_concat(room_id || ':' || "
	    "user_id || typeof(user_id)) FROM room_members"),
	    "7:1text,8:2text");
	assert_string_equal(ask(s.db, "SELECT count(*) FROM events"), "1");
	site_run(&s, "INSERT INTO messages(room_id, sender_id, content) VALUES "
	    "(8, 2, 'y')");
	assert_string_equal(ask(s.db, "SELECT room_id || ',' || private || ',' || "
	    "actor_id || ',' || entity_id || typeof(entity_id) FROM events "
	    "WHERE type = 'NEW_MESSAGE'"), "8,1,2,6text");
	/* The creator who left stays away. */
	site_run(&s, "DELETE FROM room_members WHERE room_id = '7'");
	expect_twice_the_same(&s);
	assert_string_equal(ask(s.db, "SELECT count(*) FROM room_members"), "1");
	site_close(&s);
}

/* Lacking columns and tables in the way: named, told how, nothing changed. */
static void
test_lacks(void **state)
{
	static const struct {
		const char	*sql;
		const char	*part[4];
	} cases[] = {
		{ "CREATE TABLE users (id TEXT, name TEXT, email TEXT, is_online INT)",
		  { "table users lacks avatar, bio; run:",
		    "ALTER TABLE users ADD COLUMN avatar TEXT;",
		    "ALTER TABLE users ADD COLUMN bio TEXT;", NULL } },
		{ "CREATE TABLE rooms (id TEXT); CREATE TABLE messages (id, room_id, "
		  "sender_id, sender_name, sender_avatar, content, timestamp)",
		  { "table rooms lacks name, is_private, created_by, description",
		    "ALTER TABLE rooms ADD COLUMN is_private INTEGER NOT NULL "
		    "DEFAULT 0;", "table messages lacks type", NULL } },
		{ "CREATE TABLE user_relationships (id, user_id, relationship_type)",
		  { "ADD COLUMN target_id TEXT;", NULL } },
		{ "CREATE TABLE room_members (room TEXT)",
		  { "room_members ADD COLUMN room_id TEXT;", NULL } },
		{ "CREATE TABLE messages (body TEXT)",
		  { "its id must be added by hand", NULL } },
		{ "CREATE TABLE events (id INTEGER, title TEXT)",
		  { "table events lacks type", "rename the one that is there", NULL } },
		{ "CREATE TABLE t (id); CREATE VIEW users AS SELECT id FROM t",
		  { "users is not an ordinary table", NULL } },
		{ "CREATE VIRTUAL TABLE rooms USING fts5(id, name, is_private, "
		  "created_by, description)",
		  { "rooms is not an ordinary table", NULL } },
	};
	struct buf before, after;
	struct site s;
	char why[2048];
	size_t i, j;
	int made;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		site_open(&s, cases[i].sql);
		buf_init(&before, 1 << 20);
		buf_init(&after, 1 << 20);
		dump(s.db, &before);
		made = -1;
		assert_int_equal(init(&s, &made, why, sizeof(why)), ERR_SCHEMA);
		assert_int_equal(made, -1);
		assert_non_null(strstr(why, s.path));
		for (j = 0; cases[i].part[j] != NULL; j++)
			if (strstr(why, cases[i].part[j]) == NULL)
				fail_msg("%s: %s", cases[i].part[j], why);
		dump(s.db, &after);
		assert_string_equal(buf_str(&before), buf_str(&after));
		buf_release(&before);
		buf_release(&after);
		site_close(&s);
	}
}

/* The statements that the message names are those that help. */
static void
test_lacks_cure(void **state)
{
	struct site s;
	char why[2048] = "";
	int made = 0;

	(void)state;
	site_open(&s, "CREATE TABLE users (id TEXT PRIMARY KEY);"
	    "INSERT INTO users VALUES ('u')");
	assert_int_equal(init(&s, &made, why, sizeof(why)), ERR_SCHEMA);
	site_run(&s, strstr(why, "ALTER"));
	install(&s);
	assert_string_equal(ask(s.db, "SELECT is_online || name FROM users"), "0");
	site_close(&s);
}

static void
test_versions(void **state)
{
	struct site s;
	struct store *st = NULL;
	char why[512] = "";
	int made = -1;

	(void)state;
	site_open(&s, "");
	install(&s);
	site_run(&s, "UPDATE sw_meta SET value = '3' WHERE key = 'version'");
	assert_int_equal(init(&s, &made, why, sizeof(why)), ERR_SCHEMA);
	assert_non_null(strstr(why, "version 3"));
	assert_int_equal(schema_check(s.st, why, sizeof(why)), ERR_SCHEMA);
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), ERR_SCHEMA);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)),
	    ERR_SCHEMA);
	assert_int_equal(made, -1);
	site_run(&s, "DELETE FROM sw_meta WHERE key = 'version'");
	assert_int_equal(schema_check(s.st, why, sizeof(why)), ERR_SCHEMA);
	assert_non_null(strstr(why, "sidewire init"));
	site_close(&s);
}

/* What version 1 had not. */
static const char to_version_1[] =
	"DROP TABLE sw_sends; DROP TABLE sw_revoked;"
	"UPDATE sw_meta SET value = '1' WHERE key = 'version';";

/* A database of the version before is brought up to date, by init and by a service. */
static void
test_upgrade(void **state)
{
	struct store *st = NULL;
	struct site s;
	char why[512] = "";
	int i, made = -1;

	(void)state;
	site_open(&s, "");
	install(&s);
	site_run(&s, "INSERT INTO users(id) VALUES ('a'); INSERT INTO rooms(id) "
	    "VALUES ('r'); INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('m', 'r', 'a')");
	for (i = 0; i < 2; i++) {
		site_run(&s, to_version_1);
		assert_int_equal(schema_check(s.st, why, sizeof(why)),
		    ERR_SCHEMA);
		assert_non_null(strstr(why, "version 1"));
		if (i == 0) {
			assert_int_equal(init(&s, &made, why, sizeof(why)), 0);
			assert_true(made > 0);
		} else {
			assert_int_equal(store_open(&s.conf, STORE_SERVE, &st,
			    why, sizeof(why)), 0);
			store_close(st);
		}
		assert_int_equal(schema_check(s.st, why, sizeof(why)), 0);
		assert_string_equal(ask(s.db, "SELECT value FROM sw_meta "
		    "WHERE key = 'version'"), "2");
		assert_string_equal(ask(s.db, "SELECT count(*) FROM events"),
		    "4");
		site_run(&s, "INSERT INTO sw_sends VALUES (1, 'a', 'k', 2, 'm');"
		    "INSERT INTO sw_revoked VALUES ('a', 3)");
	}
	assert_int_equal(init(&s, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 0);
	/* While the site writes, nothing is half done. */
	site_run(&s, to_version_1);
	site_run(&s, "BEGIN IMMEDIATE");
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why,
	    sizeof(why)), ERR_BUSY);
	site_run(&s, "COMMIT");
	assert_string_equal(ask(s.db, "SELECT count(*) FROM sqlite_master "
	    "WHERE name IN ('sw_sends', 'sw_revoked')"), "0");
	site_close(&s);
}

static void
test_busy(void **state)
{
	struct site s;
	char why[512] = "";
	int made = -1;

	(void)state;
	site_open(&s, "");
	install(&s);
	site_run(&s, "DROP TRIGGER sw_users_insert; BEGIN IMMEDIATE");
	assert_int_equal(init(&s, &made, why, sizeof(why)), ERR_BUSY);
	assert_non_null(strstr(why, s.path));
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), ERR_BUSY);
	assert_int_equal(made, -1);
	site_run(&s, "COMMIT");
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 1);
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 0);
	site_close(&s);
}

/* A log emptied by hand gets its row for nobody again, and ids go on. */
static void
test_emptied(void **state)
{
	struct site s;
	char why[512] = "";
	int made = -1;

	(void)state;
	site_open(&s, "");
	install(&s);
	site_run(&s, "INSERT INTO events(id, type) VALUES (9000000000000000, 'X');"
	    "DELETE FROM events");
	assert_int_equal(init(&s, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 1);
	assert_string_equal(ask(s.db, "SELECT id FROM events"),
	    "9000000000000001");
	site_close(&s);
}

/* What a migration of the site does to a table, step by step, as everybody does it. */
static void
rebuild(struct site *s, const char *table, int rename_first)
{
	char *sql, *definition;

	sql = sqlite3_mprintf("SELECT substr(sql, instr(sql, '(')) FROM sqlite_master "
	    "WHERE type = 'table' AND name = %Q", table);
	definition = sqlite3_mprintf("%s", ask(s->db, sql));
	sqlite3_free(sql);
	sql = rename_first ? sqlite3_mprintf(
	    "BEGIN; ALTER TABLE %s RENAME TO old_t; CREATE TABLE %s %s;"
	    "INSERT INTO %s SELECT * FROM old_t; COMMIT;",
	    table, table, definition, table) : sqlite3_mprintf(
	    "CREATE TABLE new_t %s; INSERT INTO new_t SELECT * FROM %s;"
	    "DROP TABLE %s; ALTER TABLE new_t RENAME TO %s;",
	    definition, table, table, table);
	site_run(s, sql);
	sqlite3_free(sql);
	sqlite3_free(definition);
}

/* Triggers and indexes that stand on table by schema.sql. */
static int
parts_on(struct site *s, const char *table)
{
	char *sql = sqlite3_mprintf("SELECT count(*) FROM sqlite_master WHERE type IN "
	    "('trigger', 'index') AND name LIKE 'sw!_%%' ESCAPE '!' AND "
	    "tbl_name = %Q", table);
	int n = atol(ask(s->db, sql));

	sqlite3_free(sql);
	return n;
}

static void
test_rebuild(void **state)
{
	static const char *const tables[] = { "users", "rooms", "messages",
	    "user_relationships" };
	struct site s;
	char why[512] = "", schema[4096];
	int made, n, first;
	size_t i;

	(void)state;
	for (first = 0; first < 2; first++) {
		site_open(&s, number_site);
		install(&s);
		(void)snprintf(schema, sizeof(schema), "%s", ask(s.db, "SELECT "
		    "group_concat(name || tbl_name) FROM (SELECT * FROM "
		    "sqlite_master WHERE name NOT LIKE 'old%' ORDER BY name)"));
		for (i = 0; i < 4; i++) {
			n = parts_on(&s, tables[i]);
			assert_true(n >= 4);
			rebuild(&s, tables[i], first);
			assert_int_equal(parts_on(&s, tables[i]), 0);
			/* Our open handle notices, names one and mends. */
			assert_int_equal(schema_check(s.st, why, sizeof(why)),
			    ERR_SCHEMA);
			assert_non_null(strstr(why, "sw_"));
			made = -1;
			assert_int_equal(schema_repair(s.st, &made, why,
			    sizeof(why)), 0);
			assert_int_equal(made, n);
			assert_int_equal(parts_on(&s, tables[i]), n);
			assert_int_equal(schema_check(s.st, why, sizeof(why)), 0);
			if (first)
				site_run(&s, "DROP TABLE old_t");
		}
		assert_string_equal(ask(s.db, "SELECT "
		    "group_concat(name || tbl_name) FROM (SELECT * FROM "
		    "sqlite_master WHERE name NOT LIKE 'old%' ORDER BY name)"),
		    schema);
		assert_string_equal(ask(s.db, "SELECT count(*) FROM events"), "1");
		expect_twice_the_same(&s);
		site_close(&s);
	}
}

/* What happened to rooms while their triggers were away is made up for. */
static void
test_resync(void **state)
{
	struct site s;
	struct store *st = NULL;
	char why[512] = "";
	int made = -1;

	(void)state;
	site_open(&s, number_site);
	install(&s);
	rebuild(&s, "rooms", 0);
	site_run(&s, "UPDATE rooms SET is_private = 1 - is_private WHERE id IN (7, 8);"
	    "DELETE FROM rooms WHERE id = 9");
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), 0);
	assert_true(made > 0);
	assert_string_equal(ask(s.db, "SELECT group_concat(room_id) FROM "
	    "sw_private_rooms"), "7");
	/* A service that starts after a migration mends it by itself. */
	rebuild(&s, "messages", 0);
	assert_int_equal(store_open(&s.conf, STORE_SERVE, &st, why, sizeof(why)), 0);
	assert_int_equal(schema_check(st, why, sizeof(why)), 0);
	store_close(st);
	/* A table or column that is gone cannot be mended. */
	site_run(&s, "ALTER TABLE users RENAME COLUMN bio TO vita");
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), ERR_SCHEMA);
	assert_non_null(strstr(why, "ALTER TABLE users ADD COLUMN bio"));
	site_run(&s, "ALTER TABLE users RENAME COLUMN vita TO bio;"
	    "ALTER TABLE users RENAME TO people");
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), ERR_SCHEMA);
	assert_non_null(strstr(why, "table users is missing"));
	site_close(&s);
}

/* A site that has room_members already: its rows are its own business, and so are its
 * constraints; we only listen. */
static void
test_members_of_the_site(void **state)
{
	struct site s;
	int made = -1;
	char why[512];

	(void)state;
	site_open(&s, "CREATE TABLE room_members (room_id TEXT NOT NULL REFERENCES "
	    "rooms(id), user_id TEXT NOT NULL REFERENCES users(id), role TEXT NOT NULL,"
	    " PRIMARY KEY (room_id, user_id))");
	install(&s);
	site_run(&s, "PRAGMA foreign_keys = ON;"
	    "INSERT INTO users(id) VALUES ('u');"
	    "INSERT INTO rooms(id, created_by) VALUES ('r', 'u');"
	    "INSERT INTO room_members VALUES ('r', 'u', 'owner');"
	    "UPDATE rooms SET created_by = 'nobody'");
	assert_string_equal(ask(s.db, "SELECT group_concat(type) FROM events"),
	    "LOG_CREATED,USER_JOINED,ROOM_CREATED,ROOM_JOINED,ROOM_UPDATED");
	assert_string_equal(ask(s.db, "SELECT count(*) FROM room_members"), "1");
	rebuild(&s, "room_members", 0);
	assert_int_equal(schema_repair(s.st, &made, why, sizeof(why)), 0);
	assert_int_equal(made, 4);
	expect_twice_the_same(&s);
	site_close(&s);
}

/* The views: look-ups by id use the table's own index, and writes go through. */
static void
test_views_plans(void **state)
{
	static const struct {
		const char	*sql;
		const char	*plan;
	} cases[] = {
		{ "SELECT * FROM sw_users WHERE id = :x", "SEARCH" },
		{ "SELECT id FROM sw_users WHERE is_online", "sw_users_online_index" },
		{ "SELECT * FROM sw_rooms WHERE id = :x", "SEARCH" },
		{ "SELECT * FROM sw_messages WHERE id = :x", "SEARCH" },
		{ "SELECT * FROM sw_messages WHERE room_id = :x AND seq < :y "
		  "ORDER BY seq DESC LIMIT 9", "sw_messages_room (room_id=? AND rowid<?)" },
		{ "SELECT 1 FROM sw_members WHERE room_id = :x AND user_id = :y",
		  "SEARCH" },
		{ "SELECT room_id FROM sw_members WHERE user_id = :x",
		  "COVERING INDEX sw_members_user" },
		{ "SELECT user_id FROM sw_members WHERE room_id = :x", "SEARCH" },
		{ "SELECT 1 FROM sw_blocks WHERE user_id = :x AND target_id = :y",
		  "COVERING INDEX" },
		{ "SELECT target_id FROM sw_favorites WHERE user_id = :x",
		  "COVERING INDEX sw_relationships_user" },
		{ "SELECT id FROM events WHERE type = 'NEW_MESSAGE' AND entity_id = :x",
		  "sw_events_message" },
	};
	const char *setup[] = { "", number_site };
	sqlite3_stmt *stmt;
	struct site s;
	char *sql;
	const char *plan;
	size_t i, k;

	(void)state;
	for (k = 0; k < 2; k++) {
		site_open(&s, setup[k]);
		install(&s);
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", cases[i].sql);
			assert_int_equal(sqlite3_prepare_v2(s.st->db, sql, -1,
			    &stmt, NULL), SQLITE_OK);
			assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
			plan = (const char *)sqlite3_column_text(stmt, 3);
			if (strstr(plan, cases[i].plan) == NULL)
				fail_msg("%s: %s", cases[i].sql, plan);
			/* Flattened, one loop, nothing sorted. */
			assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
			(void)sqlite3_finalize(stmt);
			sqlite3_free(sql);
		}
		site_close(&s);
	}
}

static void
through(struct site *s, const char *sql)
{
	assert_int_equal(store_write(s->st), 0);
	if (store_exec(s->st, sql) < 0 || store_commit(s->st) < 0)
		fail_msg("%s: %s", sql, store_errmsg(s->st));
}

static void
test_views_write(void **state)
{
	static const char plain_site[] =	/* no password, no rowid */
	    "CREATE TABLE users (id TEXT PRIMARY KEY, name, email, avatar, is_online, "
	    "bio) WITHOUT ROWID;"
	    "CREATE TABLE messages (id TEXT PRIMARY KEY, room_id, sender_id, "
	    "sender_name, sender_avatar, content, type, timestamp) WITHOUT ROWID";
	const char *setup[] = { "", number_site, plain_site };
	struct site s;
	size_t k;

	(void)state;
	for (k = 0; k < 3; k++) {
		site_open(&s, setup[k]);
		install(&s);
		through(&s, "INSERT INTO sw_users(id, name) VALUES ('100', 'N');"
		    "INSERT INTO sw_users(name, is_online) VALUES ('M', '1')");
		assert_string_equal(ask(s.db, "SELECT name || is_online FROM users "
		    "WHERE id = '100'"), "N0");
		assert_string_equal(ask(s.db, "SELECT id IS NOT NULL AND is_online "
		    "FROM users WHERE name = 'M'"), "1");
		through(&s, "UPDATE sw_users SET is_online = '1' WHERE id = '100'");
		assert_string_equal(ask(s.st->db, "SELECT typeof(is_online) || "
		    "is_online FROM sw_users WHERE id = '100' AND is_online = '1'"),
		    "integer1");
		through(&s, "INSERT INTO sw_rooms(id, name, is_private, created_by) "
		    "VALUES ('200', 'R', '1', '100');"
		    "INSERT INTO sw_rooms(name) VALUES ('Q')");
		assert_string_equal(ask(s.st->db, "SELECT is_private FROM sw_rooms "
		    "WHERE id = '200'"), "1");
		assert_string_equal(ask(s.st->db, "SELECT is_private FROM sw_rooms "
		    "WHERE name = 'Q' AND id IS NOT NULL"), "0");
		through(&s, "INSERT INTO sw_members VALUES ('200', '100');"
		    "INSERT INTO sw_members VALUES ('200', '101')");
		assert_string_equal(ask(s.st->db, "SELECT count(*) FROM sw_members "
		    "WHERE room_id = '200'"), "2");
		through(&s, "DELETE FROM sw_members WHERE room_id = '200' AND "
		    "user_id = '101'");
		through(&s, "INSERT INTO sw_messages(id, room_id, sender_id, content, "
		    "type) VALUES ('300', '200', '100', 'x', 'image');"
		    "INSERT INTO sw_messages(room_id, sender_id, content) VALUES "
		    "('200', '100', 'y')");
		assert_string_equal(ask(s.st->db, "SELECT type || (seq > 0) FROM "
		    "sw_messages WHERE id = '300'"), "image1");
		assert_string_equal(ask(s.st->db, "SELECT type || (seq > 0) FROM "
		    "sw_messages WHERE content = 'y'"), "text1");
		assert_string_equal(ask(s.st->db, "SELECT group_concat(typeof(seq)) "
		    "FROM sw_messages WHERE room_id = '200'"), "integer,integer");
		through(&s, "DELETE FROM sw_rooms WHERE id = '200';"
		    "DELETE FROM sw_users WHERE id = '100'");
		assert_string_equal(ask(s.st->db, "SELECT count(*) FROM sw_members "
		    "WHERE room_id = '200'"), "0");
		assert_string_equal(ask(s.db, "SELECT count(*) FROM users "
		    "WHERE id = '100'"), "0");
		site_close(&s);
	}
}

/* What a truth value may look like, and what it means. */
static void
test_views_truth(void **state)
{
	static const struct {
		const char	*value;
		const char	*is_private;
		const char	*is_online;
	} cases[] = {
		{ "0", "0", "0" }, { "1", "1", "1" }, { "NULL", "0", "0" },
		{ "'0'", "0", "0" }, { "'1'", "1", "1" }, { "''", "0", "0" },
		{ "'false'", "0", "0" }, { "'FALSE'", "0", "0" },
		{ "'true'", "1", "0" }, { "'strange'", "1", "0" },
		{ "2", "1", "1" }, { "0.0", "0", "0" }, { "x'30'", "0", "0" },
		{ "x'31'", "1", "1" }, { "x'ff'", "1", "0" },
	};
	struct site s;
	char *sql;
	size_t i;

	(void)state;
	site_open(&s, "CREATE TABLE users (id, name, email, avatar, is_online, bio);"
	    "CREATE TABLE rooms (id, name, is_private, created_by, description)");
	install(&s);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sql = sqlite3_mprintf("DELETE FROM users; DELETE FROM rooms;"
		    "INSERT INTO users(id, is_online) VALUES ('a', %s);"
		    "INSERT INTO rooms(id, is_private) VALUES ('r', %s);",
		    cases[i].value, cases[i].value);
		site_run(&s, sql);
		sqlite3_free(sql);
		if (strcmp(ask(s.st->db, "SELECT is_private FROM sw_rooms"),
		    cases[i].is_private) != 0 ||
		    strcmp(ask(s.db, "SELECT count(*) FROM sw_private_rooms"),
		    cases[i].is_private) != 0 ||
		    strcmp(ask(s.st->db, "SELECT is_online FROM sw_users"),
		    cases[i].is_online) != 0)
			fail_msg("%s", cases[i].value);
		site_run(&s, "UPDATE rooms SET is_private = NOT is_private;"
		    "UPDATE rooms SET name = 'x'");
		assert_string_equal(ask(s.db, "SELECT count(*) FROM "
		    "sw_private_rooms"), ask(s.st->db, "SELECT is_private FROM "
		    "sw_rooms"));
	}
	site_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_file),
		cmocka_unit_test(test_site_file),
		cmocka_unit_test(test_lacks),
		cmocka_unit_test(test_lacks_cure),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_emptied),
		cmocka_unit_test(test_rebuild),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_members_of_the_site),
		cmocka_unit_test(test_views_plans),
		cmocka_unit_test(test_views_write),
		cmocka_unit_test(test_views_truth),
	};

	log_init("test_schema", LOG_ERR_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
