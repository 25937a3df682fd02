/*
 * eventlog_page: a long random history, walked by pages of random size for random
 * users, against the rule evaluated row by row from the tables as they are.  And the
 * cases by hand: windows that hold nothing, one's own presence, blocks, narrowing.
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
#include "store_impl.h"
#include "testdb.h"

#define USERS		7
#define ROOMS		6
#define MAX_SEEN	8000

static const char *const users[USERS] = { "ann", "bob", "c\xc3\xa9sar", "dan",
	"\xe6\x84\x9b", "0", "o'hara" };
static const char *const rooms[ROOMS] = { "hall", "den", "r\xc3\xa9",
	"7", "x y", "none" };

struct seen {
	int64_t	id[MAX_SEEN];
	size_t	len;
	int	stop_after;		/* in this walk: 0 never */
	int	stop;
	char	last[4096];		/* text of the last one */
	const char *user;
};

/* Every text is one JSON object of the three keys, at its place. */
static int
see(struct event *ev, void *arg)
{
	struct seen *seen = arg;
	struct json_object *json, *value;
	char at[CLOCK_POS_SIZE];
	const char *text;
	size_t len;

	text = event_get_text(ev, seen->user, &len);
	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	json = json_tokener_parse(text);
	assert_int_equal(json_object_object_length(json), 3);
	assert_true(json_object_object_get_ex(json, "type", &value));
	assert_string_equal(json_object_get_string(value), ev->type);
	assert_true(json_object_object_get_ex(json, "payload", &value));
	assert_true(json_object_is_type(value, json_type_object));
	assert_true(json_object_object_get_ex(json, "timestamp", &value));
	assert_string_equal(json_object_get_string(value),
	    clock_print_pos(ev->id, at));
	json_object_put(json);
	(void)snprintf(seen->last, sizeof(seen->last), "%s", text);
	assert_true(seen->len < MAX_SEEN);
	seen->id[seen->len++] = ev->id;
	return seen->len == (size_t)seen->stop_after ? seen->stop : 0;
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

/* As testdb_site(), its text built as SQLite's own printf does (%Q quotes). */
static void
site(struct testdb *db, const char *fmt, ...)
{
	va_list ap;
	char *sql;

	va_start(ap, fmt);
	sql = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	assert_non_null(sql);
	testdb_site(db, sql);
	sqlite3_free(sql);
}

/* --- a long random history --- */

static const char *
any_user(unsigned *seed)
{
	return users[rand_r(seed) % USERS];
}

static const char *
any_room(unsigned *seed)
{
	return rooms[rand_r(seed) % ROOMS];
}

/* A row that somebody published or typed, alive or over. */
static void
publish(struct testdb *db, unsigned *seed)
{
	static const char *const payloads[] = { "{}", "{\"a\":[1]}", "{\"a\"",
		"[]", "{\"a\":NaN}" };
	int kind = rand_r(seed) % 4, life = rand_r(seed) % 3;

	site(db, "INSERT INTO events(id, type, room_id, private, user_id, "
	    "actor_id, expires_at, payload) SELECT id, %Q, %Q, %d, %Q, %Q, "
	    "%s, %Q FROM sw_next", kind == 3 ? "TYPING" : "weather",
	    kind == 0 || kind == 3 ? any_room(seed) : NULL,
	    rand_r(seed) % 2, kind == 1 ? any_user(seed) : NULL,
	    kind == 3 ? any_user(seed) : NULL,
	    life == 0 ? "NULL" : life == 1 ? "1" : "9000000000000000",
	    payloads[rand_r(seed) % 5]);
}

/* One act of the site. */
static void
act(struct testdb *db, unsigned *seed, int i)
{
	switch (rand_r(seed) % 13) {
	case 0:
		site(db, "INSERT INTO room_members VALUES (%Q, %Q)",
		    any_room(seed), any_user(seed));
		break;
	case 1:
		site(db, "DELETE FROM room_members WHERE room_id = %Q AND "
		    "user_id = %Q", any_room(seed), any_user(seed));
		break;
	case 2:
		site(db, "INSERT OR IGNORE INTO user_relationships(user_id, "
		    "target_id, relationship_type) VALUES (%Q, %Q, %Q)",
		    any_user(seed), any_user(seed),
		    rand_r(seed) % 2 ? "blocked" : "favorite");
		break;
	case 3:
		site(db, "DELETE FROM user_relationships WHERE user_id = %Q "
		    "AND target_id = %Q", any_user(seed), any_user(seed));
		break;
	case 4:
		site(db, "UPDATE rooms SET is_private = 1 - is_private, "
		    "name = name || '!' WHERE id = %Q", any_room(seed));
		break;
	case 5:
		site(db, "UPDATE users SET is_online = 1 - is_online "
		    "WHERE id = %Q", any_user(seed));
		break;
	case 6:
		site(db, "UPDATE users SET bio = '%d' WHERE id = %Q", i,
		    any_user(seed));
		break;
	case 7:
		site(db, "DELETE FROM messages WHERE id = 'm%d'",
		    rand_r(seed) % (i + 1));
		break;
	case 8:
		site(db, "UPDATE messages SET room_id = %Q WHERE id = 'm%d'",
		    any_room(seed), rand_r(seed) % (i + 1));
		break;
	case 9:
		publish(db, seed);
		break;
	default:
		site(db, "INSERT INTO messages(id, room_id, sender_id, content)"
		    " VALUES ('m%d', %Q, %Q, x'61ff62')", i, any_room(seed),
		    any_user(seed));
	}
}

static void
make_history(struct testdb *db, unsigned *seed, int n)
{
	int i;

	testdb_site(db, "BEGIN");
	for (i = 0; i < USERS; i++)
		site(db, "INSERT INTO users(id, name) VALUES (%Q, %Q)", users[i],
		    users[i]);
	for (i = 0; i < ROOMS - 1; i++)
		site(db, "INSERT INTO rooms(id, name, is_private, created_by) "
		    "VALUES (%Q, 'room', %d, %Q)", rooms[i], i % 2, users[i]);
	for (i = 0; i < n; i++)
		act(db, seed, i);
	/* One room and one user are gone in the end. */
	site(db, "DELETE FROM rooms WHERE id = %Q", rooms[4]);
	site(db, "DELETE FROM users WHERE id = %Q", users[3]);
	testdb_site(db, "COMMIT");
}

static int
exists(struct testdb *db, const char *sql, const char *a, const char *b)
{
	sqlite3_stmt *stmt;
	int rc;

	assert_int_equal(sqlite3_prepare_v2(db->site, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	(void)sqlite3_bind_text(stmt, 1, a, -1, SQLITE_TRANSIENT);
	if (b != NULL)
		(void)sqlite3_bind_text(stmt, 2, b, -1, SQLITE_TRANSIENT);
	rc = sqlite3_step(stmt);
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_ROW;
}

/* A row of the log, as the test reads it. */
struct row {
	int64_t		 id;
	const char	*type, *room, *user, *actor, *entity, *payload;
	int		 is_private, is_over;
};

/* The rule, in the words of the contract. */
static int
may_see(struct testdb *db, const struct row *r, const char *me)
{
	if (r->is_over)
		return 0;
	if (r->actor != NULL && strcmp(r->actor, me) != 0 && exists(db,
	    "SELECT 1 FROM user_relationships WHERE user_id = ? AND "
	    "target_id = ? AND relationship_type = 'blocked'", me, r->actor))
		return 0;
	if (r->actor != NULL && r->entity == NULL && strcmp(r->actor, me) == 0)
		return 0;
	if (r->user != NULL)
		return strcmp(r->user, me) == 0;
	if (r->room == NULL)
		return 1;
	if (exists(db, "SELECT 1 FROM room_members WHERE room_id = ? AND "
	    "user_id = ?", r->room, me))
		return 1;
	return !r->is_private && exists(db,
	    "SELECT 1 FROM rooms WHERE id = ? AND is_private = 0", r->room, NULL);
}

/* Is there anything to tell of it? */
static int
is_told(struct testdb *db, const struct row *r)
{
	const char *subject = r->entity != NULL ? r->entity : r->actor;

	if (r->payload != NULL)
		return strcmp(r->payload, "{}") == 0
		    || strcmp(r->payload, "{\"a\":[1]}") == 0;
	if (strcmp(r->type, "NEW_MESSAGE") == 0
	    || strcmp(r->type, "MESSAGE_UPDATED") == 0)
		return exists(db, "SELECT 1 FROM messages WHERE id = ? AND "
		    "room_id = ?", r->entity, r->room);
	if (strcmp(r->type, "ROOM_CREATED") == 0
	    || strcmp(r->type, "ROOM_UPDATED") == 0)
		return exists(db, "SELECT 1 FROM rooms WHERE id = ?", r->entity,
		    NULL);
	if (strcmp(r->type, "USER_JOINED") == 0
	    || strcmp(r->type, "USER_UPDATE") == 0)
		return exists(db, "SELECT 1 FROM users WHERE id = ?", subject,
		    NULL);
	return strcmp(r->type, "LOG_CREATED") != 0;
}

static int
is_in(char *const *list, size_t n, const char *id)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i], id) == 0)
			return 1;
	return n == 0;
}

static void
brute_force(struct testdb *db, const char *me, char *const *list, size_t n,
    int64_t after, struct seen *ret)
{
	sqlite3_stmt *s;
	struct row r;

	assert_int_equal(sqlite3_prepare_v2(db->site, "SELECT id, type, "
	    "room_id, user_id, actor_id, entity_id, payload, private, "
	    "coalesce(expires_at, 9000000000000000) < 9000000000000000 "
	    "FROM events WHERE id > ? ORDER BY id", -1, &s, NULL), SQLITE_OK);
	(void)sqlite3_bind_int64(s, 1, after);
	ret->len = 0;
	while (sqlite3_step(s) == SQLITE_ROW) {
		r.id = sqlite3_column_int64(s, 0);
		r.type = (const char *)sqlite3_column_text(s, 1);
		r.room = (const char *)sqlite3_column_text(s, 2);
		r.user = (const char *)sqlite3_column_text(s, 3);
		r.actor = (const char *)sqlite3_column_text(s, 4);
		r.entity = (const char *)sqlite3_column_text(s, 5);
		r.payload = (const char *)sqlite3_column_text(s, 6);
		r.is_private = sqlite3_column_int(s, 7);
		r.is_over = sqlite3_column_int(s, 8);
		if (may_see(db, &r, me) && is_told(db, &r)
		    && (r.room == NULL || is_in(list, n, r.room)))
			ret->id[ret->len++] = r.id;
	}
	(void)sqlite3_finalize(s);
}

/* Walks to the end by pages of random size; every page keeps its promises. */
static void
walk(struct testdb *db, const char *me, char *const *list, size_t n,
    int64_t after, unsigned *seed, struct seen *ret)
{
	int64_t pos = after, was, head;
	size_t len;
	int rc, limit, more = 1;

	assert_int_equal(eventlog_head(db->st, &head), 0);
	ret->len = 0;
	ret->stop_after = 0;
	ret->user = me;
	while (more) {
		limit = 1 + rand_r(seed) % (rand_r(seed) % 2 ? 10 : 500);
		was = pos;
		len = ret->len;
		rc = eventlog_page(db->st, me, list, n, was, limit, see, ret,
		    &pos, &more);
		assert_int_equal(rc, ret->len - len);
		assert_in_range(rc, 0, limit);
		assert_true(pos > was);
		assert_int_equal(more, pos < head);
		if (rc > 0)
			assert_true(ret->id[len] > was
			    && ret->id[ret->len - 1] <= pos);
		if (rc == limit)
			assert_int_equal(ret->id[ret->len - 1], pos);
	}
	assert_int_equal(pos, head);
	assert_false(store_is_open(db->st));
}

static void
test_walk(void **state)
{
	static struct seen want, got;
	struct testdb *db = *state;
	unsigned seed = 2024;
	char *list[ROOMS];
	const char *me;
	int64_t genesis, after;
	size_t i, n, total = 0;
	int round;

	assert_int_equal(eventlog_head(db->st, &genesis), 0);
	make_history(db, &seed, 4000);
	for (round = 0; round < 3 * USERS; round++) {
		me = users[round % USERS];
		n = 0;
		/* Sorted by strcmp, as a struct query has them. */
		if (round >= USERS) {
			static const int order[] = { 3, 1, 0, 5, 2, 4 };

			for (i = 0; i < ROOMS; i++)
				if (rand_r(&seed) % 2)
					list[n++] = (char *)(uintptr_t)
					    rooms[order[i]];
		}
		brute_force(db, me, list, n, genesis, &want);
		after = genesis;
		if (round >= 2 * USERS && want.len > 10) {
			after = want.id[want.len / 2];
			brute_force(db, me, list, n, after, &want);
		}
		walk(db, me, list, n, after, &seed, &got);
		assert_int_equal(got.len, want.len);
		for (i = 0; i < want.len; i++)
			assert_int_equal(got.id[i], want.id[i]);
		total += want.len;
	}
	assert_true(total > 10000);
}

/* --- by hand --- */

/* 5,000 rows for somebody else, then one: three windows, none of them longer. */
static void
test_window(void **state)
{
	static struct seen seen;
	struct testdb *db = *state;
	int64_t head, pos;
	int more, rc;

	assert_int_equal(eventlog_head(db->st, &head), 0);
	site(db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM "
	    "c LIMIT 5000) INSERT INTO events(id, type, user_id, payload) "
	    "SELECT %lld + i, 'x', 'bob', '{}' FROM c", head);
	site(db, "INSERT INTO events(id, type, payload) "
	    "VALUES (%lld, 'x', '{}')", head + 5001);
	memset(&seen, 0, sizeof(seen));
	seen.user = "ann";
	rc = eventlog_page(db->st, "ann", NULL, 0, head, 10, see, &seen, &pos,
	    &more);
	assert_int_equal(rc, 0);
	assert_int_equal(pos, head + EVENTLOG_WINDOW);
	assert_int_equal(more, 1);
	rc = eventlog_page(db->st, "ann", NULL, 0, pos, 10, see, &seen, &pos,
	    &more);
	assert_int_equal(rc, 0);
	assert_int_equal(more, 1);
	rc = eventlog_page(db->st, "ann", NULL, 0, pos, 10, see, &seen, &pos,
	    &more);
	assert_int_equal(rc, 1);
	assert_int_equal(pos, head + 5001);
	assert_int_equal(more, 0);
	assert_int_equal(sqlite3_stmt_status(db->st->stmt[SQL_PAGE],
	    SQLITE_STMTSTATUS_FULLSCAN_STEP, 0), 0);

	/* A page at the end costs the same however long the log is. */
	(void)sqlite3_stmt_status(db->st->stmt[SQL_PAGE],
	    SQLITE_STMTSTATUS_VM_STEP, 1);
	rc = eventlog_page(db->st, "ann", NULL, 0, head + 5000, 10, see, &seen,
	    &pos, &more);
	assert_int_equal(rc, 1);
	assert_true(sqlite3_stmt_status(db->st->stmt[SQL_PAGE],
	    SQLITE_STMTSTATUS_VM_STEP, 0) < 200);
	rc = eventlog_page(db->st, "ann", NULL, 0, pos, 10, see, &seen, &pos,
	    &more);
	assert_int_equal(rc, 0);
	assert_int_equal(more, 0);
}

/* Types of what user gets after the position, joined by a space. */
struct types {
	char		 list[512];
	const char	*user;
};

static int
see_type(struct event *ev, void *arg)
{
	struct types *t = arg;
	size_t len, used = strlen(t->list);
	const char *text = event_get_text(ev, t->user, &len);

	assert_non_null(text);
	(void)snprintf(t->list + used, sizeof(t->list) - used, "%s%s%s",
	    used > 0 ? " " : "", ev->type,
	    strstr(text, "@x") != NULL ? "+" : "");
	return 0;
}

static void
expect(struct testdb *db, const char *user, int64_t after, const char *want)
{
	struct types t = { .list = "", .user = user };
	int64_t pos;
	int more;

	assert_true(eventlog_page(db->st, user, NULL, 0, after, 100, see_type,
	    &t, &pos, &more) >= 0);
	assert_string_equal(t.list, want);
}

static int64_t
now_at(struct testdb *db)
{
	int64_t head;

	assert_int_equal(eventlog_head(db->st, &head), 0);
	return head;
}

static void
test_presence_and_blocks(void **state)
{
	struct testdb *db = *state;
	int64_t at;

	testdb_site(db, "INSERT INTO users(id, name, email) VALUES "
	    "('ann', 'Ann', 'a@x'), ('bob', 'Bob', 'b@x'), ('cat', 'C', 'c@x');"
	    "INSERT INTO rooms(id, name) VALUES ('hall', 'Hall');"
	    "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('cat', 'ann', 'blocked'),"
	    "('ann', 'ann', 'blocked')");
	at = now_at(db);
	testdb_site(db, "UPDATE users SET is_online = 1 WHERE id = 'ann';"
	    "UPDATE users SET is_online = 0 WHERE id = 'ann'");
	expect(db, "ann", at, "");
	expect(db, "bob", at, "USER_UPDATE USER_LEFT");
	expect(db, "cat", at, "");

	/* A profile is told to its owner too: with what is his alone ("+"). */
	at = now_at(db);
	testdb_site(db, "UPDATE users SET bio = 'x' WHERE id = 'ann'");
	expect(db, "ann", at, "USER_UPDATE+");
	expect(db, "bob", at, "USER_UPDATE");
	expect(db, "cat", at, "");

	/* Favourites and blocks are told to their owner alone. */
	at = now_at(db);
	testdb_site(db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('bob', 'cat', 'favorite')");
	expect(db, "bob", at, "USER_UPDATE+");
	expect(db, "ann", at, "");

	/* Typing: the room, not oneself, not who blocked, not afterwards. */
	at = now_at(db);
	testdb_site(db, "INSERT INTO events(id, type, room_id, actor_id, "
	    "expires_at, payload) SELECT id, 'TYPING', 'hall', 'ann', "
	    "9000000000000000, '{}' FROM sw_next; "
	    "INSERT INTO events(id, type, room_id, actor_id, expires_at, "
	    "payload) SELECT id, 'TYPING', 'hall', 'bob', id - 1000000, '{}' "
	    "FROM sw_next; INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('m1', 'hall', 'ann')");
	expect(db, "ann", at, "NEW_MESSAGE");
	expect(db, "bob", at, "TYPING NEW_MESSAGE");
	expect(db, "cat", at, "");

	/* Forgiven: what is read from now on is seen. */
	testdb_site(db, "DELETE FROM user_relationships WHERE user_id = 'cat'");
	expect(db, "cat", at, "TYPING NEW_MESSAGE USER_UPDATE+");
}

static void
test_rooms_at_delivery(void **state)
{
	struct testdb *db = *state;
	int64_t at;

	testdb_site(db, "INSERT INTO users(id, name) VALUES ('ann', 'Ann'), "
	    "('bob', 'Bob'); INSERT INTO rooms(id, name, is_private, "
	    "created_by) VALUES ('den', 'Den', 1, 'ann'), "
	    "('hall', 'Hall', 0, 'ann')");
	at = now_at(db);
	testdb_site(db, "INSERT INTO messages(id, room_id, sender_id) VALUES "
	    "('m1', 'den', 'ann'), ('m2', 'hall', 'ann')");
	expect(db, "ann", at, "NEW_MESSAGE NEW_MESSAGE");
	expect(db, "bob", at, "NEW_MESSAGE");
	/* What was written in private stays so; what was open is not any more. */
	testdb_site(db, "UPDATE rooms SET is_private = 1 - is_private");
	expect(db, "ann", at, "NEW_MESSAGE NEW_MESSAGE ROOM_UPDATED "
	    "ROOM_UPDATED");
	expect(db, "bob", at, "ROOM_UPDATED ROOM_UPDATED");
	/* A member sees all that he has not read yet; one removed nothing. */
	testdb_site(db, "INSERT INTO room_members VALUES ('hall', 'bob')");
	expect(db, "bob", at, "NEW_MESSAGE ROOM_UPDATED ROOM_UPDATED "
	    "ROOM_JOINED");
	testdb_site(db, "DELETE FROM room_members WHERE user_id = 'bob'");
	expect(db, "bob", at, "ROOM_UPDATED ROOM_UPDATED ROOM_JOINED "
	    "ROOM_LEFT");
	/* A message that moved into a private room is not told by its old row. */
	testdb_site(db, "UPDATE rooms SET is_private = (id = 'den')");
	at = now_at(db);
	testdb_site(db, "INSERT INTO messages(id, room_id, sender_id) VALUES "
	    "('m3', 'hall', 'ann')");
	expect(db, "bob", at, "NEW_MESSAGE");
	testdb_site(db, "UPDATE messages SET room_id = 'den' WHERE id = 'm3'");
	expect(db, "bob", at, "MESSAGE_DELETED");
	expect(db, "ann", at, "MESSAGE_DELETED NEW_MESSAGE");
}

static void
test_narrowed(void **state)
{
	static char *both[] = { (char *)(uintptr_t)"den",
		(char *)(uintptr_t)"hall" };
	static char *other[] = { (char *)(uintptr_t)"attic" };
	struct testdb *db = *state;
	struct types t = { .list = "", .user = "ann" };
	int64_t at, pos;
	int more;

	testdb_site(db, "INSERT INTO users(id, name) VALUES ('ann', 'Ann');"
	    "INSERT INTO rooms(id, name, is_private) VALUES ('hall', 'H', 0),"
	    " ('den', 'Den', 1)");
	at = now_at(db);
	testdb_site(db, "INSERT INTO messages(id, room_id, sender_id) VALUES "
	    "('m1', 'hall', 'ann'), ('m2', 'den', 'ann');"
	    "UPDATE rooms SET name = 'Hall' WHERE id = 'hall'");
	/* It never widens, and only room events are narrowed. */
	assert_int_equal(eventlog_page(db->st, "ann", both, 2, at, 100,
	    see_type, &t, &pos, &more), 2);
	assert_string_equal(t.list, "NEW_MESSAGE ROOM_UPDATED");
	t.list[0] = '\0';
	assert_int_equal(eventlog_page(db->st, "ann", other, 1, at, 100,
	    see_type, &t, &pos, &more), 1);
	assert_string_equal(t.list, "ROOM_UPDATED");
	assert_int_equal(pos, now_at(db));
}

static void
test_stop(void **state)
{
	static struct seen seen;
	struct testdb *db = *state;
	int64_t at, pos = -1;
	int more = -1, rc;

	at = now_at(db);
	testdb_site(db, "INSERT INTO rooms(id, name) VALUES ('a', ''), "
	    "('b', ''), ('c', '')");
	memset(&seen, 0, sizeof(seen));
	seen.user = "ann";
	seen.stop_after = 2;
	seen.stop = ERR_FULL;
	rc = eventlog_page(db->st, "ann", NULL, 0, at, 10, see, &seen, &pos,
	    &more);
	assert_int_equal(rc, ERR_FULL);
	assert_int_equal(pos, -1);		/* as it was */
	assert_int_equal(more, -1);
	seen.len = 0;
	seen.stop = 5;
	rc = eventlog_page(db->st, "ann", NULL, 0, at, 10, see, &seen, &pos,
	    &more);
	assert_int_equal(rc, 5);
	assert_int_equal(seen.len, 2);
	assert_int_equal(pos, seen.id[1]);
	assert_int_equal(more, 1);
	assert_false(store_is_open(db->st));
}

/* Rows that nobody should have written, and a text over the ceiling: passed over. */
static void
test_odd_rows(void **state)
{
	static struct seen seen;
	struct testdb *db = *state;
	int64_t at, pos;
	int more;

	at = now_at(db);
	testdb_site(db, "INSERT INTO rooms(id, name, description) VALUES "
	    "('big', 'B', zeroblob(1000000)), ('small', x'ff00', 1.5);"
	    "INSERT INTO events(id, type, entity_id) "
	    "SELECT id, 'NO_SUCH_TYPE', 'x' FROM sw_next;"
	    "INSERT INTO events(id, type, entity_id) "
	    "SELECT id, 'ROOM_UPDATED', NULL FROM sw_next;"
	    "INSERT INTO events(id, type, payload) "
	    "SELECT id, x'7aff', CAST('{\"a\":\"' || x'ff' || '\"}' AS BLOB) "
	    "FROM sw_next; INSERT INTO events(id, type, payload) "
	    "SELECT id, 'y', 12 FROM sw_next");
	memset(&seen, 0, sizeof(seen));
	seen.user = "ann";
	assert_int_equal(eventlog_page(db->st, "ann", NULL, 0, at, 1, see,
	    &seen, &pos, &more), 1);
	assert_non_null(strstr(seen.last, "{\"id\":\"small\",\"name\":"
	    "\"\xef\xbf\xbd\\u0000\",\"isPrivate\":false,\"createdBy\":\"\","
	    "\"description\":\"1.5\"}"));
	testdb_site(db, "UPDATE events SET type = 'z' WHERE type = x'7aff'");
	assert_int_equal(eventlog_page(db->st, "ann", NULL, 0, pos, 10, see,
	    &seen, &pos, &more), 1);
	assert_non_null(strstr(seen.last, "{\"a\":\"\xef\xbf\xbd\"}"));
	assert_int_equal(pos, now_at(db));
}

int
main(void)
{
#define IN_DB(test)	cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_DB(test_walk),
		IN_DB(test_window),
		IN_DB(test_presence_and_blocks),
		IN_DB(test_rooms_at_delivery),
		IN_DB(test_narrowed),
		IN_DB(test_stop),
		IN_DB(test_odd_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
