/*
 * strset: a sorted set of strings behaves as a set, in any order of operations.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strset.h"

static void
assert_sane(const struct strset *s)
{
	size_t i;

	assert_true(s->len <= s->cap);
	for (i = 1; i < s->len; i++)
		assert_true(strcmp(s->item[i - 1], s->item[i]) < 0);
}

static void
test_add_has_remove(void **state)
{
	struct strset s;

	(void)state;
	strset_init(&s);
	assert_false(strset_has(&s, "a"));
	assert_int_equal(strset_remove(&s, "a"), 0);
	assert_int_equal(strset_add(&s, "b"), 1);
	assert_int_equal(strset_add(&s, "a"), 1);
	assert_int_equal(strset_add(&s, "b"), 0);
	assert_int_equal(strset_add(&s, ""), 1);
	assert_sane(&s);
	assert_int_equal(s.len, 3);
	assert_true(strset_has(&s, ""));
	assert_int_equal(strset_remove(&s, "b"), 1);
	assert_false(strset_has(&s, "b"));
	strset_release(&s);
	assert_int_equal(s.len, 0);
}

static void
test_set_and_move(void **state)
{
	char r1[] = "room-1", r2[] = "room-2", r10[] = "room-10";
	char *const items[] = { r2, r1, r2, r10 };
	struct strset a, b;

	(void)state;
	strset_init(&a);
	strset_init(&b);
	assert_int_equal(strset_add(&a, "old"), 1);
	assert_int_equal(strset_set(&a, items, 4), 0);
	assert_sane(&a);
	assert_int_equal(a.len, 3);
	assert_false(strset_has(&a, "old"));
	strset_move(&b, &a);
	assert_int_equal(a.len, 0);
	assert_int_equal(b.len, 3);
	assert_int_equal(strset_set(&b, NULL, 0), 0);
	assert_int_equal(b.len, 0);
	strset_release(&b);
}

/* Against a table of flags. */
static void
test_random(void **state)
{
	char name[8], is_in[100] = { 0 };
	struct strset s;
	size_t n = 0;
	unsigned i, k;

	(void)state;
	srand(1);
	strset_init(&s);
	for (i = 0; i < 20000; i++) {
		k = (unsigned)rand() % 100;
		(void)snprintf(name, sizeof(name), "%u", k);
		assert_int_equal(strset_has(&s, name), is_in[k]);
		if (rand() % 2) {
			assert_int_equal(strset_add(&s, name), !is_in[k]);
			n += !is_in[k];
			is_in[k] = 1;
		} else {
			assert_int_equal(strset_remove(&s, name), is_in[k]);
			n -= (size_t)is_in[k];
			is_in[k] = 0;
		}
		assert_int_equal(s.len, n);
	}
	assert_sane(&s);
	strset_release(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_has_remove),
		cmocka_unit_test(test_set_and_move),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
