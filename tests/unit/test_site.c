/*
 * site: users, rooms, members, blocks and messages through the views; history in
 * pages.  On our own tables, and on those of a site that numbers its rows.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>

#include "buf.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "query.h"
#include "site.h"
#include "testdb.h"

#define ODD	"\xe6\x84\x9b \"o'hara\" \xf0\x9f\x98\x80"	/* an id */

static int
setup(void **state)
{
	static struct testdb db;

	testdb_open(&db, NULL);
	testdb_site(&db, "INSERT INTO users(id, name, email, avatar) VALUES "
	    "('ann', 'Ann', 'a@x', 'a.png'), ('bob', 'Bob', NULL, NULL);"
	    "INSERT INTO rooms(id, name, is_private, created_by) VALUES "
	    "('hall', 'Hall', 0, NULL), ('den', 'Den', 1, 'ann')");
	*state = &db;
	return 0;
}

static int
teardown(void **state)
{
	assert_false(store_is_open(((struct testdb *)*state)->st));
	testdb_close(*state);
	return 0;
}

/* The first column of the first row; "-" where there is none, "NULL" for NULL. */
static const char *
value(struct testdb *db, const char *sql)
{
	static char ret[256];
	sqlite3_stmt *stmt;
	const char *s = "-";

	assert_int_equal(sqlite3_prepare_v2(db->site, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		s = (const char *)sqlite3_column_text(stmt, 0);
		if (s == NULL)
			s = "NULL";
	}
	(void)snprintf(ret, sizeof(ret), "%s", s);
	(void)sqlite3_finalize(stmt);
	return ret;
}

static void
test_users(void **state)
{
	struct testdb *db = *state;
	char id[AUTH_MAX_USER + 1] = "before", again[AUTH_MAX_USER + 1];
	char longest[AUTH_MAX_USER + 2], name[300];

	assert_int_equal(site_has_user(db->st, "ann"), 1);
	assert_int_equal(site_has_user(db->st, "nobody"), 0);
	assert_int_equal(site_has_user(db->st, ""), 0);

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(site_add_user(db->st, longest, "X", NULL, id),
	    ERR_TOOBIG);
	assert_int_equal(site_add_user(db->st, "", "X", NULL, id), ERR_INVAL);
	assert_int_equal(site_add_user(db->st, "x", "", NULL, id), ERR_INVAL);
	assert_int_equal(site_add_user(db->st, "x", name, NULL, id),
	    ERR_TOOBIG);
	assert_int_equal(site_add_user(db->st, "ann", "X", NULL, id),
	    ERR_EXISTS);
	assert_string_equal(id, "before");

	longest[AUTH_MAX_USER] = '\0';
	assert_int_equal(site_add_user(db->st, longest, "X", NULL, id), 0);
	assert_string_equal(id, longest);
	assert_int_equal(site_add_user(db->st, ODD, "Ai", "ai@x", id), 0);
	assert_string_equal(id, ODD);
	assert_string_equal(value(db,
	    "SELECT email FROM users WHERE name = 'Ai'"), "ai@x");
	assert_int_equal(site_has_user(db->st, ODD), 1);

	assert_int_equal(site_add_user(db->st, NULL, "X", NULL, id), 0);
	assert_int_equal(site_add_user(db->st, NULL, "X", NULL, again), 0);
	assert_int_equal(strlen(id), 32);
	assert_string_not_equal(id, again);
	assert_int_equal(site_has_user(db->st, id), 1);

	assert_int_equal(site_delete_user(db->st, id), 0);
	assert_int_equal(site_has_user(db->st, id), 0);
	assert_int_equal(site_delete_user(db->st, id), ERR_NOTFOUND);
}

static void
test_provision(void **state)
{
	struct testdb *db = *state;
	struct auth_claims claims = { .user_id = "new", .name = "N",
		.avatar = "n.png" };

	assert_int_equal(site_provision(db->st, &claims), 1);
	assert_int_equal(site_provision(db->st, &claims), 0);
	assert_string_equal(value(db, "SELECT name || avatar || is_online "
	    "FROM users WHERE id = 'new'"), "Nn.png0");
	/* A name is wanted by the site, a claim is not. */
	claims = (struct auth_claims){ .user_id = "other" };
	assert_int_equal(site_provision(db->st, &claims), 1);
	assert_string_equal(value(db, "SELECT name FROM users "
	    "WHERE id = 'other'"), "other");
	claims = (struct auth_claims){ .user_id = "ann", .name = "Not Ann" };
	assert_int_equal(site_provision(db->st, &claims), 0);
	assert_string_equal(value(db, "SELECT name FROM users "
	    "WHERE id = 'ann'"), "Ann");
}

static void
test_rooms(void **state)
{
	struct testdb *db = *state;
	char id[AUTH_MAX_USER + 1];

	assert_int_equal(site_check_room(db->st, "hall", "bob"), 0);
	assert_int_equal(site_check_room(db->st, "den", "ann"), 0);
	assert_int_equal(site_check_room(db->st, "den", "bob"), ERR_DENIED);
	assert_int_equal(site_check_room(db->st, "attic", "ann"), ERR_NOTFOUND);

	assert_int_equal(site_add_room(db->st, "hall", "H", 0, NULL, id),
	    ERR_EXISTS);
	assert_int_equal(site_add_room(db->st, "r", "", 0, NULL, id), ERR_INVAL);
	assert_int_equal(site_add_room(db->st, "r", "R", 0, "nobody", id),
	    ERR_NOTFOUND);
	assert_int_equal(site_add_room(db->st, ODD, "R", 1, "bob", id), 0);
	assert_string_equal(id, ODD);
	/* Its creator is in it. */
	assert_int_equal(site_check_room(db->st, ODD, "bob"), 0);
	assert_int_equal(site_check_room(db->st, ODD, "ann"), ERR_DENIED);
	assert_int_equal(site_add_room(db->st, NULL, "Open", 0, NULL, id), 0);
	assert_int_equal(strlen(id), 32);
	assert_int_equal(site_check_room(db->st, id, "ann"), 0);

	assert_int_equal(site_delete_room(db->st, ODD), 0);
	assert_int_equal(site_delete_room(db->st, ODD), ERR_NOTFOUND);
	assert_int_equal(site_check_room(db->st, ODD, "bob"), ERR_NOTFOUND);
	assert_string_equal(value(db, "SELECT count(*) FROM room_members "
	    "WHERE user_id = 'bob'"), "0");
}

/* site_each_fn: joins the ids by commas, or stops at a known one. */
static int
join(const char *id, void *arg)
{
	char *list = arg;
	size_t used = strlen(list);

	if (strcmp(id, "stop") == 0)
		return 9;
	(void)snprintf(list + used, 256 - used, "%s,", id);
	return 0;
}

static void
test_members_and_blocks(void **state)
{
	struct testdb *db = *state;
	char list[256] = "";

	assert_int_equal(site_add_member(db->st, "den", "bob"), 0);
	assert_int_equal(site_add_member(db->st, "den", "bob"), ERR_EXISTS);
	assert_int_equal(site_add_member(db->st, "attic", "bob"), ERR_NOTFOUND);
	assert_int_equal(site_add_member(db->st, "den", "nobody"),
	    ERR_NOTFOUND);
	assert_int_equal(site_check_room(db->st, "den", "bob"), 0);
	assert_int_equal(site_add_member(db->st, "hall", "bob"), 0);
	assert_int_equal(site_each_membership(db->st, "bob", join, list), 0);
	assert_string_equal(list, "den,hall,");
	assert_int_equal(site_delete_member(db->st, "den", "bob"), 0);
	assert_int_equal(site_delete_member(db->st, "den", "bob"),
	    ERR_NOTFOUND);
	assert_int_equal(site_check_room(db->st, "den", "bob"), ERR_DENIED);

	testdb_site(db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('ann', 'ann', 'blocked'), "
	    "('ann', 'bob', 'blocked'), ('ann', 'cat', 'favorite'), "
	    "('bob', 'ann', 'blocked')");
	list[0] = '\0';
	assert_int_equal(site_each_block(db->st, "ann", join, list), 0);
	assert_string_equal(list, "bob,");
	assert_int_equal(site_each_block(db->st, "nobody", join, list), 0);

	testdb_site(db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('cat', 'stop', 'blocked')");
	assert_int_equal(site_each_block(db->st, "cat", join, list), 9);
}

static void
test_online(void **state)
{
	struct testdb *db = *state;

	assert_int_equal(site_set_online(db->st, "ann", 0), 0);
	assert_int_equal(site_set_online(db->st, "ann", 1), 1);
	assert_int_equal(site_set_online(db->st, "ann", 1), 0);
	assert_string_equal(value(db, "SELECT is_online FROM users "
	    "WHERE id = 'ann'"), "1");
	assert_string_equal(value(db, "SELECT type FROM events "
	    "ORDER BY id DESC"), "USER_UPDATE");
	assert_int_equal(site_set_online(db->st, "ann", 0), 1);
	assert_string_equal(value(db, "SELECT type FROM events "
	    "ORDER BY id DESC"), "USER_LEFT");
	assert_int_equal(site_set_online(db->st, "nobody", 1), 0);
}

static void
test_post(void **state)
{
	struct testdb *db = *state;
	char id[AUTH_MAX_USER + 1] = "before";
	char sql[512];

	assert_int_equal(site_post(db->st, "hall", "nobody", "x", 1, "text",
	    id), ERR_NOTFOUND);
	assert_int_equal(site_post(db->st, "attic", "ann", "x", 1, "text", id),
	    ERR_NOTFOUND);
	assert_string_equal(id, "before");
	assert_int_equal(site_post(db->st, "hall", "ann", "it's \xe6\x84\x9b!",
	    8, "image", id), 0);
	(void)snprintf(sql, sizeof(sql), "SELECT room_id || sender_id || "
	    "sender_name || sender_avatar || content || type FROM messages "
	    "WHERE id = '%s' AND timestamp GLOB '2*-*T*:*.*Z'", id);
	assert_string_equal(value(db, sql),
	    "hallannAnna.pngit's \xe6\x84\x9bimage");
	assert_string_equal(value(db, "SELECT entity_id FROM events "
	    "ORDER BY id DESC"), id);

	/* In a transaction of the caller's, who takes it back. */
	assert_int_equal(store_write(db->st), 0);
	assert_int_equal(site_post(db->st, "hall", "bob", "", 0, NULL, id), 0);
	store_rollback(db->st);
	assert_string_equal(value(db, "SELECT count(*) FROM messages"), "1");
	assert_int_equal(site_post(db->st, "hall", "bob", "", 0, NULL, id), 0);
	assert_string_equal(value(db, "SELECT type FROM messages "
	    "WHERE sender_id = 'bob'"), "text");
}

/* --- history --- */

/* Reads a page; the ids, each ended by a comma, go to list.  Returns more. */
static int
history(struct testdb *db, const char *user, const char *before, int limit,
    char *list, size_t size)
{
	struct json_object *json, *messages, *more, *id;
	struct buf b;
	size_t i;
	int is_more;

	buf_init(&b, 8 * 1024 * 1024);
	assert_int_equal(site_print_history(db->st, "hall", user, before,
	    limit, &b), 0);
	json = json_tokener_parse(buf_str(&b));
	assert_int_equal(json_object_object_length(json), 2);
	assert_true(json_object_object_get_ex(json, "messages", &messages));
	assert_true(json_object_object_get_ex(json, "more", &more));
	assert_true(json_object_is_type(more, json_type_boolean));
	is_more = json_object_get_boolean(more);
	*list = '\0';
	for (i = 0; i < json_object_array_length(messages); i++) {
		assert_true(json_object_object_get_ex(
		    json_object_array_get_idx(messages, i), "id", &id));
		(void)snprintf(list + strlen(list), size - strlen(list), "%s,",
		    json_object_get_string(id));
	}
	json_object_put(json);
	buf_release(&b);
	return is_more;
}

static void
test_history(void **state)
{
	struct testdb *db = *state;
	char list[256];
	struct buf b;

	assert_int_equal(history(db, "ann", NULL, 3, list, sizeof(list)), 0);
	assert_string_equal(list, "");
	/* Order is that of writing, not of id or time. */
	testdb_site(db, "INSERT INTO messages(id, room_id, sender_id, "
	    "timestamp) VALUES ('m5', 'hall', 'ann', 5), "
	    "('m4', 'hall', 'bob', 6), ('x1', 'den', 'ann', 1), "
	    "('m3', 'hall', 'cat', 3), ('m2', 'hall', 'ann', 9), "
	    "('m1', 'hall', 'ann', 1);");
	assert_int_equal(history(db, "ann", NULL, 2, list, sizeof(list)), 1);
	assert_string_equal(list, "m2,m1,");
	assert_int_equal(history(db, "ann", "m2", 2, list, sizeof(list)), 1);
	assert_string_equal(list, "m4,m3,");
	assert_int_equal(history(db, "ann", "m4", 2, list, sizeof(list)), 0);
	assert_string_equal(list, "m5,");
	assert_int_equal(history(db, "ann", NULL, 5, list, sizeof(list)), 0);
	assert_string_equal(list, "m5,m4,m3,m2,m1,");

	testdb_site(db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('ann', 'bob', 'blocked'), "
	    "('ann', 'cat', 'blocked')");
	assert_int_equal(history(db, "ann", NULL, 3, list, sizeof(list)), 0);
	assert_string_equal(list, "m5,m2,m1,");
	assert_int_equal(history(db, "bob", "m2", 9, list, sizeof(list)), 0);
	assert_string_equal(list, "m5,m4,m3,");

	buf_init(&b, 100);
	assert_int_equal(site_print_history(db->st, "hall", "ann", "x1", 3, &b),
	    ERR_NOTFOUND);
	assert_int_equal(site_print_history(db->st, "hall", "ann", "m9", 3, &b),
	    ERR_NOTFOUND);
	assert_int_equal(site_print_history(db->st, "hall", "ann", NULL, 0, &b),
	    ERR_INVAL);
	assert_int_equal(site_print_history(db->st, "hall", "ann", NULL,
	    QUERY_LIMIT_MAX + 1, &b), ERR_INVAL);
	assert_int_equal(b.len, 0);
	assert_int_equal(site_print_history(db->st, "hall", "ann", NULL, 3, &b),
	    ERR_TOOBIG);
	buf_release(&b);
}

/* The page for one who sees nothing of 6,000 rows; the page of much too long texts. */
static void
test_history_bounds(void **state)
{
	struct testdb *db = *state;
	char list[256];

	testdb_site(db, "INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('first', 'hall', 'bob');"
	    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
	    "LIMIT 6000) INSERT INTO messages(id, room_id, sender_id) "
	    "SELECT 'c' || i, 'hall', 'cat' FROM c;"
	    "INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('last', 'hall', 'bob');"
	    "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('ann', 'cat', 'blocked')");
	/* A page with an answer ends early, one without goes on. */
	assert_int_equal(history(db, "ann", NULL, 9, list, sizeof(list)), 1);
	assert_string_equal(list, "last,");
	assert_int_equal(history(db, "ann", "last", 9, list, sizeof(list)), 0);
	assert_string_equal(list, "first,");

	testdb_site(db, "DELETE FROM messages; "
	    "INSERT INTO messages(id, room_id, sender_id, content) VALUES "
	    "('l1', 'hall', 'bob', printf('%.*c', 500000, 'x')), "
	    "('l2', 'hall', 'bob', printf('%.*c', 1100000, 'x')), "
	    "('l3', 'hall', 'bob', printf('%.*c', 500000, 'x')), "
	    "('l4', 'hall', 'bob', printf('%.*c', 600000, 'x'))");
	assert_int_equal(history(db, "ann", NULL, 9, list, sizeof(list)), 1);
	assert_string_equal(list, "l3,l4,");
	assert_int_equal(history(db, "ann", "l3", 9, list, sizeof(list)), 0);
	assert_string_equal(list, "l1,");
}

/* Every message once, whatever the size of the pages. */
static void
test_history_walk(void **state)
{
	struct testdb *db = *state;
	char list[8192], before[16], *first;
	unsigned seed = 5;
	int more = 1, next = 700;

	testdb_site(db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT "
	    "i + 1 FROM c LIMIT 700) INSERT INTO messages(id, room_id, "
	    "sender_id) SELECT 'm' || i, 'hall', CASE i % 3 WHEN 0 THEN 'cat' "
	    "ELSE 'bob' END FROM c");
	before[0] = '\0';
	while (more) {
		more = history(db, "ann", before[0] != '\0' ? before : NULL,
		    1 + rand_r(&seed) % 40, list, sizeof(list));
		first = strrchr(list, ',');
		while (first != NULL) {		/* from the newest to the oldest */
			*first = '\0';
			first = strrchr(list, ',');
			(void)snprintf(before, sizeof(before), "m%d", next--);
			assert_string_equal(first != NULL ? first + 1 : list,
			    before);
		}
	}
	assert_int_equal(next, 0);
}

/* --- lists --- */

struct rows {
	char	text[512];
	int	columns;
	int	stop;
};

static int
row(const char *const col[4], void *arg)
{
	struct rows *rows = arg;
	size_t used;
	int i;

	for (i = 0; i < rows->columns; i++) {
		used = strlen(rows->text);
		(void)snprintf(rows->text + used, sizeof(rows->text) - used,
		    "%s%c", col[i] != NULL ? col[i] : "NULL",
		    i < rows->columns - 1 ? '|' : ' ');
	}
	return rows->stop;
}

static void
test_lists(void **state)
{
	struct testdb *db = *state;
	struct rows rows = { .columns = 4 };

	assert_int_equal(site_list_users(db->st, row, &rows), 0);
	assert_string_equal(rows.text, "ann|Ann|0|a@x bob|Bob|0|NULL ");
	rows = (struct rows){ .columns = 4 };
	assert_int_equal(site_list_rooms(db->st, row, &rows), 0);
	assert_string_equal(rows.text, "den|Den|1|ann hall|Hall|0|NULL ");
	testdb_site(db, "INSERT INTO room_members VALUES ('den', 'ghost')");
	rows = (struct rows){ .columns = 2 };
	assert_int_equal(site_list_members(db->st, "den", row, &rows), 0);
	assert_string_equal(rows.text, "ann|Ann ghost|NULL ");
	rows = (struct rows){ .columns = 1, .stop = 4 };
	assert_int_equal(site_list_users(db->st, row, &rows), 4);
	assert_string_equal(rows.text, "ann ");
}

/* --- a site that numbers its rows --- */

static const char numbers[] =
    "CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
    " email TEXT, password_hash TEXT NOT NULL, avatar TEXT, is_online BOOLEAN, "
    "bio TEXT, created_at TEXT, updated_at TEXT);"
    "CREATE TABLE rooms(id INTEGER PRIMARY KEY, name TEXT, is_private BOOLEAN, "
    "password_hash TEXT, created_by INTEGER, description TEXT);"
    "CREATE TABLE messages(id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "room_id INTEGER NOT NULL REFERENCES rooms(id), sender_id INTEGER NOT NULL, "
    "sender_name TEXT, sender_avatar TEXT, content TEXT, type TEXT, "
    "timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);"
    "CREATE TABLE user_relationships(id INTEGER PRIMARY KEY, user_id INTEGER, "
    "target_id INTEGER, relationship_type TEXT);";

static int
count_message(struct event *ev, void *arg)
{
	if (strcmp(ev->type, "NEW_MESSAGE") == 0)
		++*(int *)arg;
	return 0;
}

/* How many NEW_MESSAGE events this user gets. */
static int
messages_for(struct testdb *db, const char *user)
{
	int64_t pos;
	int n = 0, more;

	assert_true(eventlog_page(db->st, user, NULL, 0, 0, 100, count_message,
	    &n, &pos, &more) >= 0);
	return n;
}

static void
test_numbered(void **state)
{
	struct testdb db;
	struct buf b;
	char user[AUTH_MAX_USER + 1], room[AUTH_MAX_USER + 1];
	char id[AUTH_MAX_USER + 1], why[512] = "", list[256] = "";
	int made;

	(void)state;
	memset(&db, 0, sizeof(db));
	testdb_mkdir(db.dir, sizeof(db.dir));
	testdb_conf(db.dir, NULL, &db.conf);
	(void)snprintf(db.path, sizeof(db.path), "%s/sidewire.db", db.dir);
	assert_int_equal(sqlite3_open(db.path, &db.site), SQLITE_OK);
	testdb_site(&db, numbers);
	assert_int_equal(store_open(&db.conf, STORE_CREATE, &db.st, why,
	    sizeof(why)), 0);
	assert_int_equal(schema_init(db.st, &made, why, sizeof(why)), 0);
	store_close(db.st);
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &db.st, why,
	    sizeof(why)), 0);

	assert_int_equal(site_add_user(db.st, NULL, "Ann", "a@x", user), 0);
	assert_string_equal(user, "1");
	assert_int_equal(site_add_user(db.st, "7", "Bob", NULL, user), 0);
	assert_string_equal(user, "7");
	assert_int_equal(site_add_user(db.st, "7", "Bob", NULL, user),
	    ERR_EXISTS);
	assert_int_equal(site_add_user(db.st, "bob", "Bob", NULL, user),
	    ERR_INVAL);
	assert_int_equal(site_add_room(db.st, NULL, "Den", 1, "7", room), 0);
	assert_string_equal(room, "1");
	assert_int_equal(site_check_room(db.st, room, "7"), 0);
	assert_int_equal(site_check_room(db.st, room, "1"), ERR_DENIED);
	assert_int_equal(site_each_membership(db.st, "7", join, list), 0);
	assert_string_equal(list, "1,");
	assert_int_equal(site_post(db.st, room, "7", "x", 1, "text", id), 0);
	assert_string_equal(id, "1");
	/* AUTOINCREMENT: an id is not given twice. */
	testdb_site(&db, "DELETE FROM messages");
	assert_int_equal(site_post(db.st, room, "7", "x", 1, "text", id), 0);
	assert_string_equal(id, "2");
	assert_int_equal(site_post(db.st, room, "7", "y", 1, "text", id), 0);
	buf_init(&b, 4096);
	assert_int_equal(site_print_history(db.st, room, "7", id, 9, &b), 0);
	assert_non_null(strstr(buf_str(&b), "{\"messages\":[{\"id\":\"2\","
	    "\"roomId\":\"1\",\"senderId\":\"7\",\"senderName\":\"Bob\","));
	buf_release(&b);
	assert_int_equal(messages_for(&db, "7"), 2);	/* the third is gone */
	assert_int_equal(messages_for(&db, "1"), 0);
	testdb_site(&db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES (7, 1, 'blocked')");
	list[0] = '\0';
	assert_int_equal(site_each_block(db.st, "7", join, list), 0);
	assert_string_equal(list, "1,");
	assert_int_equal(site_set_online(db.st, "7", 1), 1);
	assert_int_equal(site_set_online(db.st, "7", 1), 0);
	assert_int_equal(site_delete_member(db.st, room, "7"), 0);
	assert_int_equal(site_delete_user(db.st, "7"), 0);
	testdb_close(&db);
}

int
main(void)
{
#define IN_DB(test)	cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_DB(test_users),
		IN_DB(test_provision),
		IN_DB(test_rooms),
		IN_DB(test_members_and_blocks),
		IN_DB(test_online),
		IN_DB(test_post),
		IN_DB(test_history),
		IN_DB(test_history_bounds),
		IN_DB(test_history_walk),
		IN_DB(test_lists),
		cmocka_unit_test(test_numbered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
