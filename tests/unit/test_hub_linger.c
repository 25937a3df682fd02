/*
 * hub: users whose last subscriber has left linger, with rights that are true.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hubworld.h"
#include "revocation.h"
#include "roster.h"

static size_t
count_lingering(const struct world *w)
{
	struct hub_sizes sizes;

	hub_get_sizes(w->hub, &sizes);
	return sizes.lingering;
}

/* Joins and leaves. */
static void
visit(struct world *w, const char *user)
{
	reader_leave(w, reader_join(w, user, HUB_HEAD, NULL, 0));
}

/* What u2, who lingered, gets of a message to r1, which is private. */
static size_t
events_of_r1(struct world *w)
{
	struct reader *rd;
	size_t n;

	rd = reader_join(w, "u2", HUB_HEAD, NULL, 0);
	post(w, "r1", "u1", "private");
	world_pump(w);
	reader_read_all(w, rd);
	n = rd->n;
	reader_leave(w, rd);
	return n;
}

/* Who comes back has the rights of now, without being looked up. */
static void
test_lingering(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	visit(&w, "u2");
	assert_int_equal(count_lingering(&w), 1);
	testdb_site(&w.db, "ALTER TABLE room_members RENAME TO hidden");
	assert_int_equal(events_of_r1(&w), 0);
	testdb_site(&w.db, "ALTER TABLE hidden RENAME TO room_members");
	testdb_site(&w.db, "INSERT INTO room_members(room_id, user_id) "
	    "VALUES ('r1', 'u2')");
	world_pump(&w);
	assert_int_equal(count_lingering(&w), 0);
	assert_int_equal(events_of_r1(&w), 1);
	testdb_site(&w.db, "ALTER TABLE room_members RENAME TO hidden");
	assert_int_equal(events_of_r1(&w), 1);
	testdb_site(&w.db, "ALTER TABLE hidden RENAME TO room_members");
	testdb_site(&w.db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('u2', 'u1', 'blocked')");
	world_pump(&w);
	assert_int_equal(events_of_r1(&w), 0);
	testdb_site(&w.db, "DELETE FROM user_relationships; "
	    "DELETE FROM room_members WHERE user_id = 'u2'");
	world_pump(&w);
	assert_int_equal(events_of_r1(&w), 0);
	world_close(&w);
}

/* He is not looked at while he is away, and forgotten for good reasons alone. */
static void
test_lingering_ends(void **state)
{
	static const char said[] = "INSERT INTO messages(room_id, sender_id, "
	    "sender_name, content) VALUES ('r1', 'u1', 'User', 'hello')";
	struct world w;
	int64_t pos;

	(void)state;
	world_open(&w);
	testdb_site(&w.db, "UPDATE users SET is_online = 1");
	world_pump(&w);
	visit(&w, "u1");
	visit(&w, "u2");
	visit(&w, "u3");
	visit(&w, "u4");
	assert_int_equal(looks_for(&w, said), 0);
	assert_int_equal(count_lingering(&w), 4);
	testdb_site(&w.db, "UPDATE users SET is_online = 0 WHERE id = 'u1'");
	world_pump(&w);
	assert_int_equal(count_lingering(&w), 3);
	testdb_site(&w.db, "DELETE FROM users WHERE id = 'u2'");
	world_pump(&w);
	assert_int_equal(count_lingering(&w), 2);
	assert_int_equal(revocation_set(w.db.st, "u3", 1000, &pos), 0);
	world_pump(&w);
	assert_int_equal(count_lingering(&w), 1);
	hub_doubt(w.hub);
	assert_int_equal(count_lingering(&w), 0);
	visit(&w, "u4");
	hub_reset(w.hub, w.db.st, hub_head(w.hub));
	assert_int_equal(count_lingering(&w), 0);
	world_close(&w);
}

/* Of too many the one who left first goes; in users, and in their rooms. */
static void
test_lingering_is_bounded(void **state)
{
	struct hub_sizes sizes;
	struct hub_sub sub;
	struct world w;
	char id[16];
	int i;

	(void)state;
	world_open(&w);
	memset(&sub, 0, sizeof(sub));
	for (i = 0; i < ROSTER_LINGER + 10; i++) {
		(void)snprintf(id, sizeof(id), "v%d", i);
		assert_int_equal(hub_join(w.hub, &sub, id, HUB_HEAD, NULL, 0),
		    0);
		hub_leave(w.hub, &sub);
	}
	assert_int_equal(count_lingering(&w), ROSTER_LINGER);
	testdb_site(&w.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
	    "i + 1 FROM n WHERE i < 30000) INSERT INTO room_members(room_id, "
	    "user_id) SELECT 'x' || i, 'u' || u FROM n, "
	    "(SELECT 1 AS u UNION SELECT 2 UNION SELECT 3)");
	world_pump(&w);
	visit(&w, "u1");
	visit(&w, "u2");
	hub_get_sizes(w.hub, &sizes);
	assert_true(sizes.rooms >= 30000);
	visit(&w, "u3");
	assert_int_equal(count_lingering(&w), 2);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lingering),
		cmocka_unit_test(test_lingering_ends),
		cmocka_unit_test(test_lingering_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
