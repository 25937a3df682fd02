/*
 * hub - random changes of a site: whatever happened to rights, rooms and blocks, and in
 * whatever order, each reader gets what the SQL form of the rule lets it see.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hubworld.h"

static char r0[] = "r0", r1[] = "r1", r3[] = "r3";

/*
 * What a reader has yet to read is what SQL lets it see after its position: its rights
 * were turned while it was here, and it may be plain.
 */
static void
assert_rest(struct world *w, struct reader *rd, char *const *rooms, size_t n)
{
	int64_t after = hub_position(w->hub, &rd->sub);

	rd->n = 0;
	reader_read_all(w, rd);
	assert_has_all(w, rd, hub_user_id(&rd->sub), rooms, n, after);
}

/* Long-lived readers, some of whom change what they narrow to. */
static void
test_random_turns(void **state)
{
	char *const rooms[] = { r0, r1, r3 };
	struct reader *wide[WORLD_USERS], *narrow[WORLD_USERS];
	size_t n_rooms[WORLD_USERS] = { 0 };
	struct world w;
	unsigned i, round;
	char id[8];

	(void)state;
	srand(11);
	world_open(&w);
	for (i = 0; i < WORLD_USERS; i++) {
		(void)snprintf(id, sizeof(id), "u%u", i);
		wide[i] = reader_join(&w, id, HUB_HEAD, NULL, 0);
		narrow[i] = reader_join(&w, id, HUB_HEAD, NULL, 0);
	}
	for (round = 0; round < 400; round++) {
		for (i = world_random(6); i > 0; i--)
			world_step(&w.db);
		world_pump(&w);
		for (i = 0; i < WORLD_USERS; i++) {
			if (world_random(2) == 0)
				assert_rest(&w, wide[i], NULL, 0);
			if (world_random(4) == 0) {
				n_rooms[i] = world_random(4);
				assert_int_equal(hub_narrow(w.hub,
				    &narrow[i]->sub, rooms, n_rooms[i]), 0);
			}
			if (world_random(2) == 0)
				assert_rest(&w, narrow[i], rooms, n_rooms[i]);
		}
	}
	for (i = 0; i < WORLD_USERS; i++) {
		reader_leave(&w, wide[i]);
		reader_leave(&w, narrow[i]);
	}
	world_close(&w);
}

/*
 * Readers who leave as the last of their user and come back where they were, also to a
 * hub that has yet to be told what was committed.
 */
static void
test_random_returns(void **state)
{
	struct reader *rd[WORLD_USERS] = { NULL };
	int64_t pos[WORLD_USERS];
	struct world w;
	unsigned i, round, returns = 0;
	char id[8];

	(void)state;
	srand(13);
	world_open(&w);
	for (i = 0; i < WORLD_USERS; i++)
		pos[i] = hub_head(w.hub);
	for (round = 0; round < 600; round++) {
		for (i = world_random(6); i > 0; i--)
			world_step(&w.db);
		for (i = 0; i < WORLD_USERS; i++) {
			if (world_random(2) == 0)
				continue;
			(void)snprintf(id, sizeof(id), "u%u", i);
			returns += rd[i] == NULL;
			if (rd[i] == NULL)
				rd[i] = reader_join(&w, id, pos[i], NULL, 0);
			world_pump(&w);
			assert_rest(&w, rd[i], NULL, 0);
			pos[i] = hub_position(w.hub, &rd[i]->sub);
			if (world_random(2) == 0)
				continue;
			reader_leave(&w, rd[i]);
			rd[i] = NULL;
		}
	}
	assert_true(returns > 500);
	for (i = 0; i < WORLD_USERS; i++) {
		if (rd[i] != NULL)
			reader_leave(&w, rd[i]);
	}
	world_close(&w);
}

/*
 * Random changes of the site; a reader from the start sees in the end what SQL says. Every
 * second user is gone in between, so that his rights are those that lingered.
 */
static void
test_random_world(void **state)
{
	char *const rooms[] = { r0, r1, r3 };
	struct reader *idle[WORLD_USERS], *all, *some;
	struct hub_sizes sizes;
	struct world w;
	size_t lingered = 0;
	int64_t start;
	unsigned i, round;
	char id[8];

	(void)state;
	srand(7);
	world_open(&w);
	start = hub_head(w.hub);
	for (i = 0; i < WORLD_USERS; i += 2) {
		(void)snprintf(id, sizeof(id), "u%u", i);
		idle[i] = reader_join(&w, id, HUB_HEAD, NULL, 0);
	}
	for (round = 0; round < 150; round++) {
		for (i = world_random(8); i > 0; i--)
			world_step(&w.db);
		world_pump(&w);
		for (i = 0; i < WORLD_USERS; i++) {
			(void)snprintf(id, sizeof(id), "u%u", i);
			if (world_random(3) == 0 && i % 2 == 0)
				reader_read(&w, idle[i], 5);
			if (round % 10 != 0 &&
			    (i % 2 == 0 || world_random(4) != 0))
				continue;
			hub_get_sizes(w.hub, &sizes);
			lingered += sizes.lingering;
			all = reader_join(&w, id, start, NULL, 0);
			some = reader_join(&w, id, start, rooms, 3);
			assert_int_equal(hub_user_subs(&all->sub),
			    i % 2 == 0 ? 3 : 2);
			reader_read_all(&w, all);
			reader_read_all(&w, some);
			assert_has_all(&w, all, id, NULL, 0, start);
			assert_has_all(&w, some, id, rooms, 3, start);
			reader_leave(&w, all);
			reader_leave(&w, some);
		}
	}
	assert_true(lingered > 100);
	for (i = 0; i < WORLD_USERS; i += 2) {
		reader_read_all(&w, idle[i]);
		assert_true(hub_position(w.hub, &idle[i]->sub) == hub_head(w.hub));
		assert_true(idle[i]->n > 50);
		reader_leave(&w, idle[i]);
	}
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_turns),
		cmocka_unit_test(test_random_returns),
		cmocka_unit_test(test_random_world)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
