/*
 * hub: every subscriber gets what it may see once and in order, from the ring or from
 * the log, however fast it reads; and only those are touched whom an event is for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "hubworld.h"
#include "revocation.h"

static char r0[] = "r0", r1[] = "r1", r2[] = "r2";

static void
test_wakes_only_receivers(void **state)
{
	char *const only_r0[] = { r0 };
	char *const only_r2[] = { r2 };
	struct reader *member, *other, *narrow0, *narrow2;
	struct hub_sizes sizes;
	struct world w;

	(void)state;
	world_open(&w);
	member = reader_join(&w, "u1", HUB_HEAD, NULL, 0);
	other = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	narrow0 = reader_join(&w, "u3", HUB_HEAD, only_r0, 1);
	narrow2 = reader_join(&w, "u4", HUB_HEAD, only_r2, 1);
	post(&w, "r1", "u1", "private");	/* r1 is private, u1's */
	world_pump(&w);
	assert_int_equal(member->wakes, 1);
	assert_int_equal(other->wakes + narrow0->wakes + narrow2->wakes, 0);
	post(&w, "r1", "u1", "no second wake before a read");
	world_pump(&w);
	assert_int_equal(member->wakes, 1);
	reader_read(&w, member, 100);
	assert_int_equal(member->n, 2);
	assert_false(hub_has_news(&member->sub));
	post(&w, "r0", "u1", "public");
	world_pump(&w);
	assert_int_equal(member->wakes, 2);
	assert_int_equal(other->wakes, 1);
	assert_int_equal(narrow0->wakes, 1);
	assert_int_equal(narrow2->wakes, 0);
	assert_true(hub_position(w.hub, &narrow2->sub) == hub_head(w.hub));
	assert_true(hub_position(w.hub, &narrow0->sub) < hub_head(w.hub));
	/* Room events are narrowed, others are not. */
	testdb_site(&w.db, "UPDATE rooms SET name = 'new' WHERE id = 'r4'");
	world_pump(&w);
	reader_read(&w, narrow2, 100);
	assert_int_equal(narrow2->n, 1);
	assert_non_null(strstr(narrow2->last, "ROOM_UPDATED"));
	hub_get_sizes(w.hub, &sizes);
	assert_int_equal(sizes.subs, 4);
	assert_int_equal(sizes.users, 4);
	reader_leave(&w, member);
	reader_leave(&w, other);
	reader_leave(&w, narrow0);
	reader_leave(&w, narrow2);
	hub_get_sizes(w.hub, &sizes);
	assert_int_equal(sizes.subs + sizes.users, 0);
	assert_int_equal(sizes.lingering, 4);
	hub_doubt(w.hub);
	hub_get_sizes(w.hub, &sizes);
	assert_int_equal(sizes.lingering + sizes.rooms, 0);
	world_close(&w);
}

/* An event costs what its receivers are, however many others are connected. */
static void
test_cost(void **state)
{
	enum { IDLE = 2000 };
	static const char said[] = "INSERT INTO messages(room_id, sender_id, "
	    "sender_name, content) VALUES ('r1', 'u1', 'User', 'hello')";
	static const char let_in[] = "INSERT INTO room_members(room_id, "
	    "user_id) VALUES ('r3', 'u0')";
	struct reader *member[3], *narrowed;
	struct hub_sub *idle;
	struct world w;
	char id[16];
	int i, wakes;

	(void)state;
	world_open(&w);
	testdb_site(&w.db, "INSERT INTO room_members(room_id, user_id) "
	    "VALUES ('r1', 'u0'), ('r1', 'u2')");
	testdb_site(&w.db, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT "
	    "i + 1 FROM n WHERE i < 1999) INSERT INTO users(id, name) "
	    "SELECT 'idle' || i, 'Idle' FROM n");
	world_pump(&w);
	for (i = 0; i < 3; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		member[i] = reader_join(&w, id, HUB_HEAD, NULL, 0);
	}
	narrowed = reader_join(&w, "u0", HUB_HEAD, (char *const[]){ r0 }, 1);
	assert_int_equal(looks_for(&w, said), 4);
	idle = calloc(IDLE, sizeof(*idle));
	assert_non_null(idle);
	for (i = 0; i < IDLE; i++) {
		(void)snprintf(id, sizeof(id), "idle%d", i);
		assert_int_equal(hub_join(w.hub, &idle[i], id, HUB_HEAD, NULL,
		    0), 0);
	}
	for (i = 0; i < 3; i++)
		reader_read_all(&w, member[i]);
	wakes = member[0]->wakes;
	assert_int_equal(looks_for(&w, said), 4);
	assert_int_equal(member[0]->wakes, wakes + 1);
	assert_int_equal(narrowed->wakes, 0);
	/* To one user alone: both of his. */
	assert_int_equal(looks_for(&w, let_in), 2);
	for (i = 0; i < IDLE; i++) {
		assert_false(hub_has_news(&idle[i]));
		hub_leave(w.hub, &idle[i]);
	}
	free(idle);
	for (i = 0; i < 3; i++)
		reader_leave(&w, member[i]);
	reader_leave(&w, narrowed);
	world_close(&w);
}

static void
test_narrowing_changes(void **state)
{
	char *const only_r0[] = { r0 };
	char *const only_r2[] = { r2 };
	struct reader *rd;
	struct world w;

	(void)state;
	world_open(&w);
	rd = reader_join(&w, "u5", HUB_HEAD, only_r0, 1);
	assert_int_equal(hub_narrow(w.hub, &rd->sub, only_r2, 1), 0);
	post(&w, "r0", "u1", "a");
	post(&w, "r2", "u1", "b");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 1);
	assert_int_equal(hub_narrow(w.hub, &rd->sub, NULL, 0), 0);
	post(&w, "r0", "u1", "c");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 2);
	reader_leave(&w, rd);
	world_close(&w);
}

static void
test_removal_and_blocks(void **state)
{
	struct reader *rd;
	struct world w;

	(void)state;
	world_open(&w);
	rd = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	testdb_site(&w.db, "INSERT INTO room_members(room_id, user_id) "
	    "VALUES ('r1', 'u2')");
	post(&w, "r1", "u1", "seen");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 2);
	assert_non_null(strstr(rd->last, "\"seen\""));
	/* What commits after the removal is never delivered to the one removed. */
	testdb_site(&w.db, "DELETE FROM room_members WHERE user_id = 'u2'");
	post(&w, "r1", "u1", "secret");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_non_null(strstr(rd->last, "ROOM_LEFT"));
	testdb_site(&w.db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('u2', 'u1', 'blocked')");
	world_pump(&w);
	reader_read_all(&w, rd);
	rd->wakes = 0;
	post(&w, "r0", "u1", "unheard");
	testdb_site(&w.db, "UPDATE users SET is_online = 1 WHERE id = 'u1'");
	world_pump(&w);
	assert_int_equal(rd->wakes, 0);
	/* Private now: who was not woken in time may not read it any more. */
	post(&w, "r0", "u3", "was public");
	world_pump(&w);
	testdb_site(&w.db, "UPDATE rooms SET is_private = 1 WHERE id = 'r0'");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_non_null(strstr(rd->last, "ROOM_UPDATED"));
	assert_null(strstr(rd->last, "was public"));
	/* Deleted: whoever holds a place for him is told. */
	testdb_site(&w.db, "DELETE FROM users WHERE id = 'u2'");
	world_pump(&w);
	assert_int_equal(rd->gone, 1);
	reader_leave(&w, rd);
	world_close(&w);
}

/* What waits in the ring is told as it is when it is read. */
static void
test_edited_and_deleted(void **state)
{
	struct reader *rd;
	struct world w;

	(void)state;
	world_open(&w);
	rd = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	post(&w, "r0", "u1", "first");
	post(&w, "r0", "u1", "deleted");
	post(&w, "r0", "u1", "edited");
	post(&w, "r0", "u1", "last");
	world_pump(&w);
	testdb_site(&w.db, "DELETE FROM messages WHERE content = 'deleted'");
	testdb_site(&w.db, "UPDATE messages SET content = 'mended' WHERE "
	    "content = 'edited'");
	world_pump(&w);
	reader_read(&w, rd, 1);
	assert_non_null(strstr(rd->last, "\"first\""));
	reader_read(&w, rd, 1);
	assert_non_null(strstr(rd->last, "NEW_MESSAGE"));
	assert_non_null(strstr(rd->last, "\"mended\""));
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 5);
	reader_leave(&w, rd);
	world_close(&w);
}

/* An event whose text is over the limit is passed over, and counted. */
static void
test_too_big(void **state)
{
	struct hub_sizes sizes;
	struct reader *rd;
	struct world w;

	(void)state;
	world_open(&w);
	rd = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	testdb_site(&w.db, "INSERT INTO messages(room_id, sender_id, content) "
	    "VALUES ('r0', 'u1', printf('%.*c', 1100000, 'x'))");
	post(&w, "r0", "u1", "next");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 1);
	assert_non_null(strstr(rd->last, "\"next\""));
	hub_get_sizes(w.hub, &sizes);
	assert_int_equal(sizes.too_big, 1);
	reader_leave(&w, rd);
	world_close(&w);
}

static void
test_cursor_and_limits(void **state)
{
	struct reader *rd;
	struct world w;
	int64_t start, head;
	int i;

	(void)state;
	world_open(&w);
	start = hub_head(w.hub);
	for (i = 0; i < 20; i++)
		post(&w, "r0", "u1", "text");
	/* Ahead of the hub: the worker that read the cursor was faster than the tail. */
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	rd = reader_join(&w, "u2", head, NULL, 0);
	assert_false(hub_has_news(&rd->sub));
	world_pump(&w);
	assert_int_equal(rd->wakes, 0);
	assert_true(hub_position(w.hub, &rd->sub) == head);
	reader_leave(&w, rd);
	/* Behind: pending at once, served without a wake. */
	rd = reader_join(&w, "u2", start, NULL, 0);
	assert_true(hub_has_news(&rd->sub));
	reader_read(&w, rd, 5);
	assert_int_equal(rd->n, 5);
	assert_true(hub_has_news(&rd->sub));
	assert_true(hub_position(w.hub, &rd->sub) == rd->id[4]);
	/* At least one event, however few bytes are allowed. */
	assert_int_equal(hub_read(w.hub, &rd->sub, 100, 1, on_event, rd), 1);
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 20);
	assert_has_all(&w, rd, "u2", NULL, 0, start);
	reader_leave(&w, rd);
	world_close(&w);
}

/* Behind the ring: pages from the log, then the ring, nothing twice and nothing lost. */
static void
test_behind_the_ring(void **state)
{
	struct reader *slow, *fast, *late;
	struct hub_sizes sizes;
	struct world w;
	int64_t start;
	int i;

	(void)state;
	world_open(&w);
	start = hub_head(w.hub);
	slow = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	fast = reader_join(&w, "u3", HUB_HEAD, NULL, 0);
	for (i = 0; i < 3; i++) {
		testdb_site(&w.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
		    "SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO "
		    "messages(room_id, sender_id, sender_name, content) SELECT "
		    "'r' || (i % 5), 'u1', 'x', 'bulk' FROM n");
		world_pump(&w);
		reader_read(&w, slow, 10);
		reader_read_all(&w, fast);
	}
	late = reader_join(&w, "u4", start, NULL, 0);
	assert_int_equal(slow->n, 30);
	assert_int_equal(slow->wakes, 1);
	while (hub_has_news(&slow->sub)) {
		reader_read(&w, slow, 300);
		if (slow->n % 900 == 30) {
			post(&w, "r0", "u1", "meanwhile");
			world_pump(&w);
		}
	}
	reader_read_all(&w, fast);
	reader_read_all(&w, late);
	hub_get_sizes(w.hub, &sizes);
	assert_true(sizes.log_pages > 0);
	assert_has_all(&w, slow, "u2", NULL, 0, start);
	assert_has_all(&w, fast, "u3", NULL, 0, start);
	assert_has_all(&w, late, "u4", NULL, 0, start);
	reader_leave(&w, slow);
	reader_leave(&w, fast);
	reader_leave(&w, late);
	world_close(&w);
}

/* What is for everyone ends as well: a late reader gets it no more. */
static void
test_expired(void **state)
{
	struct reader *late, *prompt;
	struct world w;
	int64_t pos, until_us;

	(void)state;
	world_open(&w);
	prompt = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	late = reader_join(&w, "u3", HUB_HEAD, NULL, 0);
	assert_int_equal(eventlog_append(w.db.st, "LONG", NULL, NULL, NULL, "{}",
	    2, 3600000, &pos), 0);
	world_pump(&w);
	reader_read_all(&w, prompt);
	assert_int_equal(prompt->n, 1);
	assert_int_equal(eventlog_append(w.db.st, "SHORT", NULL, NULL, NULL,
	    "{}", 2, 1000, &pos), 0);
	until_us = clock_wall_us() + 1000000;
	world_pump(&w);
	while (clock_wall_us() <= until_us)
		continue;
	reader_read_all(&w, late);
	assert_int_equal(late->n, 1);
	assert_non_null(strstr(late->last, "LONG"));
	reader_leave(&w, prompt);
	reader_leave(&w, late);
	world_close(&w);
}

/* The database fails while rights change: nobody reads with old ones, nobody loses. */
static void
test_stale_rights(void **state)
{
	struct reader *rd;
	struct world w;
	int64_t head;

	(void)state;
	world_open(&w);
	rd = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	head = hub_head(w.hub);
	hub_reset(w.hub, w.db.st, head);
	assert_int_equal(rd->wakes, 1);
	testdb_site(&w.db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('u2', 'u1', 'blocked')");
	post(&w, "r0", "u1", "unheard");
	post(&w, "r0", "u3", "heard");
	world_pump(&w);
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 2);	/* the change of blocks, and "heard" */
	assert_non_null(strstr(rd->last, "\"heard\""));
	reader_leave(&w, rd);
	world_close(&w);
}

/* The log cannot be read on in the middle of a page: nothing is given twice. */
static void
test_log_fails_midway(void **state)
{
	struct reader *rd;
	struct world w;
	int64_t start;
	int i;

	(void)state;
	world_open(&w);
	start = hub_head(w.hub);
	for (i = 0; i < 3; i++)
		post(&w, "r0", "u1", i == 2 ? "bad" : "good");
	world_pump(&w);
	/* A table that fails at one row, as a damaged page does. */
	testdb_site(&w.db, "ALTER TABLE messages RENAME TO m; CREATE VIEW "
	    "messages AS SELECT id, room_id, sender_id, sender_name, "
	    "sender_avatar, CASE content WHEN 'bad' THEN json(content) ELSE "
	    "content END AS content, type, timestamp, rowid FROM m");
	hub_reset(w.hub, w.db.st, hub_head(w.hub));
	rd = reader_join(&w, "u2", start, NULL, 0);
	assert_int_equal(hub_read(w.hub, &rd->sub, 100, 1 << 20, on_event, rd),
	    2);
	assert_true(hub_has_news(&rd->sub));
	assert_int_equal(hub_position(w.hub, &rd->sub), rd->id[1]);
	assert_true(hub_read(w.hub, &rd->sub, 100, 1 << 20, on_event, rd) < 0);
	assert_int_equal(rd->n, 2);
	testdb_site(&w.db, "DROP VIEW messages; "
	    "ALTER TABLE m RENAME TO messages");
	reader_read_all(&w, rd);
	assert_int_equal(rd->n, 3);
	reader_leave(&w, rd);
	world_close(&w);
}

/* What changed while there were no triggers is known after a doubt. */
static void
test_doubt(void **state)
{
	char *const only_r1[] = { r1 };
	struct reader *rd, *narrow, *lost;
	struct world w;

	(void)state;
	world_open(&w);
	testdb_site(&w.db, "INSERT INTO room_members(room_id, user_id) "
	    "VALUES ('r1', 'u2'), ('r1', 'u3')");
	world_pump(&w);
	rd = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	narrow = reader_join(&w, "u3", HUB_HEAD, only_r1, 1);
	lost = reader_join(&w, "u4", HUB_HEAD, NULL, 0);
	post(&w, "r1", "u1", "before");
	world_pump(&w);
	testdb_site(&w.db, "DROP TRIGGER sw_members_delete; DELETE FROM "
	    "room_members WHERE room_id = 'r1'; DROP TRIGGER sw_users_delete; "
	    "DELETE FROM users WHERE id = 'u4'");
	hub_doubt(w.hub);
	assert_int_equal(rd->gone + narrow->gone, 0);
	assert_int_equal(lost->gone, 1);
	post(&w, "r1", "u1", "secret");
	post(&w, "r0", "u1", "public");
	world_pump(&w);
	reader_read_all(&w, rd);
	reader_read_all(&w, narrow);
	assert_int_equal(rd->n, 1);
	assert_non_null(strstr(rd->last, "\"public\""));
	assert_int_equal(narrow->n, 0);
	/* The index of receivers is of the new rights as well. */
	rd->wakes = narrow->wakes = 0;
	post(&w, "r1", "u1", "secret");
	world_pump(&w);
	assert_int_equal(rd->wakes + narrow->wakes, 0);
	reader_leave(&w, rd);
	reader_leave(&w, narrow);
	reader_leave(&w, lost);
	world_close(&w);
}

/* Whose tokens are revoked is told to go, nobody else, and nothing is to be read. */
static void
test_revoked(void **state)
{
	struct reader *rd, *twin, *other;
	struct world w;
	int64_t pos;

	(void)state;
	world_open(&w);
	rd = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	twin = reader_join(&w, "u2", HUB_HEAD, NULL, 0);
	other = reader_join(&w, "u3", HUB_HEAD, NULL, 0);
	assert_int_equal(revocation_set(w.db.st, "u2", 1000, &pos), 0);
	assert_int_equal(revocation_set(w.db.st, "nobody", 1000, &pos), 0);
	world_pump(&w);
	assert_int_equal(rd->gone, 1);
	assert_int_equal(twin->gone, 1);
	assert_int_equal(other->gone, 0);
	assert_int_equal(rd->wakes + twin->wakes + other->wakes, 0);
	reader_leave(&w, rd);
	reader_leave(&w, twin);
	reader_leave(&w, other);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wakes_only_receivers),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_narrowing_changes),
		cmocka_unit_test(test_removal_and_blocks),
		cmocka_unit_test(test_edited_and_deleted),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_cursor_and_limits),
		cmocka_unit_test(test_behind_the_ring),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_stale_rights),
		cmocka_unit_test(test_log_fails_midway),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_revoked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
