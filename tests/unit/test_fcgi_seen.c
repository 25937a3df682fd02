/*
 * seen: what was remembered of a user is what comes back, of this database alone, and of
 * a bounded number of users.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "../../fcgi-poll/seen.h"

#define NOW	1000000

static void
put(struct seen *s, unsigned generation, const char *id, int64_t head,
    int64_t revoked_at_s)
{
	const struct seen_user user = { head, NOW, revoked_at_s };

	seen_put(s, generation, id, &user);
}

static void
test_round_trip(void **state)
{
	struct seen_user user;
	struct seen *s;
	char id[16];
	int i;

	(void)state;
	assert_int_equal(seen_new(&s), 0);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		assert_int_equal(seen_get(s, 0, id, NOW, &user), 0);
		put(s, 0, id, i, -i);
	}
	for (i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		assert_int_equal(seen_get(s, 0, id, NOW, &user), 1);
		assert_int_equal(user.head, i);
		assert_int_equal(user.revoked_at_s, -i);
	}
	/* A slower worker does not bring back what was. */
	put(s, 0, "u7", 2000, 5);
	put(s, 0, "u7", 1999, 4);
	assert_int_equal(seen_get(s, 0, "u7", NOW, &user), 1);
	assert_int_equal(user.head, 2000);
	assert_int_equal(user.revoked_at_s, 5);
	assert_int_equal(seen_count(s), 1000);
	seen_free(s);
	seen_free(NULL);
}

/* He is looked up again some time, though nothing was told of him. */
static void
test_age(void **state)
{
	struct seen_user user = { 8, NOW + SEEN_FRESH_MS, 0 };
	struct seen *s;

	(void)state;
	assert_int_equal(seen_new(&s), 0);
	put(s, 0, "alice", 7, 0);
	assert_int_equal(seen_get(s, 0, "alice", NOW + SEEN_FRESH_MS - 1,
	    &user), 1);
	assert_int_equal(seen_get(s, 0, "alice", NOW + SEEN_FRESH_MS, &user), 0);
	user.looked_ms = NOW + SEEN_FRESH_MS;
	seen_put(s, 0, "alice", &user);
	assert_int_equal(seen_get(s, 0, "alice", NOW + SEEN_FRESH_MS, &user), 1);
	assert_int_equal(seen_count(s), 1);
	seen_free(s);
}

static void
test_generations(void **state)
{
	struct seen_user user;
	struct seen *s;

	(void)state;
	assert_int_equal(seen_new(&s), 0);
	put(s, 1, "u", 1, 0);
	assert_int_equal(seen_get(s, 1, "u", NOW, &user), 1);
	/* Of the one before nothing is known, and nothing is taken. */
	assert_int_equal(seen_get(s, 0, "u", NOW, &user), 0);
	put(s, 0, "v", 1, 0);
	assert_int_equal(seen_get(s, 1, "v", NOW, &user), 0);
	seen_forget(s, 0);
	assert_int_equal(seen_count(s), 1);
	assert_int_equal(seen_get(s, 2, "u", NOW, &user), 0);
	assert_int_equal(seen_count(s), 0);
	put(s, 2, "u", 1, 0);
	seen_forget(s, 3);
	assert_int_equal(seen_count(s), 0);
	seen_free(s);
}

static void
test_bounds(void **state)
{
	struct seen_user user;
	struct seen *s;
	char id[16];
	int i;

	(void)state;
	assert_int_equal(seen_new(&s), 0);
	for (i = 0; i <= SEEN_MAX; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		put(s, 0, id, 1, 0);
		assert_true(seen_count(s) <= SEEN_MAX);
	}
	assert_int_equal(seen_count(s), 1);
	assert_int_equal(seen_get(s, 0, id, NOW, &user), 1);
	seen_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
