/*
 * The growing buffer: ceiling, remembered failure, termination; its invariants
 * are checked after every step, and each allocation gets its turn to fail.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

static int fail_realloc;

static void *
test_realloc_or_fail(void *p, size_t size)
{
	return fail_realloc ? NULL : (realloc)(p, size);
}

#define realloc(p, size)	test_realloc_or_fail(p, size)
#include "buf.c"
#undef realloc

static void
assert_sane(const struct buf *b)
{
	assert_true(b->len <= b->max);
	if (b->p == NULL) {
		assert_true(b->cap == 0 && b->len == 0);
		assert_string_equal(buf_str(b), "");
		return;
	}
	assert_true(b->cap > b->len);
	assert_true(b->cap <= b->max + 1);
	assert_int_equal(b->p[b->len], '\0');
	assert_ptr_equal(buf_str(b), b->p);
}

static void
test_append(void **state)
{
	struct buf b;
	char *p;
	size_t len = 99;

	(void)state;
	buf_init(&b, 1000);
	assert_sane(&b);
	buf_adds(&b, "one");
	buf_addc(&b, ' ');
	buf_add(&b, "t\0o", 3);
	buf_addf(&b, " %d%%%s", 3, "");
	assert_sane(&b);
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(b.len, 10);
	assert_memory_equal(b.p, "one t\0o 3%", 11);
	p = buf_take(&b, &len);
	assert_int_equal(len, 10);
	assert_memory_equal(p, "one t\0o 3%", 11);
	free(p);
	assert_sane(&b);
	assert_int_equal(b.max, 1000);

	/* What was taken from an empty buffer is an empty string. */
	p = buf_take(&b, NULL);
	assert_string_equal(p, "");
	free(p);
	buf_release(&b);
}

static void
test_empty_appends(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_add(&b, NULL, 0);
	buf_adds(&b, "");
	buf_addf(&b, "%s", "");
	assert_sane(&b);
	assert_int_equal(buf_err(&b), 0);
	buf_addc(&b, 'x');
	assert_int_equal(buf_err(&b), ERR_TOOBIG);
	buf_release(&b);
	assert_int_equal(buf_err(&b), 0);
}

static void
test_ceiling(void **state)
{
	size_t max, len;
	struct buf b;

	(void)state;
	for (max = 0; max < 600; max++) {
		buf_init(&b, max);
		for (len = 0; len < max; len++)
			buf_addc(&b, (char)('a' + len % 26));
		assert_int_equal(buf_err(&b), 0);
		assert_int_equal(b.len, max);
		assert_sane(&b);
		buf_addc(&b, '!');
		assert_int_equal(buf_err(&b), ERR_TOOBIG);
		/* It sticks, even for what would fit, and nothing changes. */
		buf_cut(&b, 0);
		buf_addc(&b, '!');
		buf_addf(&b, "%d", 1);
		assert_int_equal(b.len, 0);
		assert_int_equal(buf_err(&b), ERR_TOOBIG);
		assert_sane(&b);
		buf_reset(&b);
		assert_int_equal(buf_err(&b), 0);
		buf_release(&b);
	}
}

/* A format whose result ends just below, at and above each edge. */
static void
test_format_edges(void **state)
{
	char want[700];
	struct buf b;
	int n;

	(void)state;
	memset(want, 'w', sizeof(want));
	for (n = 0; n < 600; n++) {
		buf_init(&b, 512);
		buf_addf(&b, "%.*s", n, want);
		assert_sane(&b);
		if (n <= 512) {
			assert_int_equal(buf_err(&b), 0);
			assert_int_equal(b.len, n);
			assert_memory_equal(b.p, want, (size_t)n);
		} else {
			assert_int_equal(buf_err(&b), ERR_TOOBIG);
			assert_int_equal(b.len, 0);
		}
		buf_release(&b);
	}
}

static void
test_failure_hands_nothing_over(void **state)
{
	struct buf b;
	size_t len = 7;

	(void)state;
	buf_init(&b, 4);
	buf_adds(&b, "1234");
	buf_adds(&b, "5");
	assert_null(buf_take(&b, &len));
	assert_int_equal(len, 7);
	/* It is empty and usable again. */
	assert_int_equal(buf_err(&b), 0);
	assert_sane(&b);
	buf_adds(&b, "1234");
	assert_string_equal(buf_str(&b), "1234");
	buf_release(&b);
}

static void
test_drop_and_cut(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_drop(&b, 5);
	buf_cut(&b, 5);
	assert_sane(&b);
	buf_adds(&b, "0123456789");
	buf_drop(&b, 0);
	buf_cut(&b, 10);
	assert_string_equal(buf_str(&b), "0123456789");
	buf_drop(&b, 3);
	assert_string_equal(buf_str(&b), "3456789");
	buf_cut(&b, 2);
	assert_string_equal(buf_str(&b), "34");
	assert_sane(&b);
	buf_drop(&b, 2);
	assert_string_equal(buf_str(&b), "");
	buf_adds(&b, "again");
	buf_drop(&b, 50);
	assert_int_equal(b.len, 0);
	assert_sane(&b);
	buf_release(&b);
}

static void
test_reserve(void **state)
{
	struct buf b;
	char *p;

	(void)state;
	buf_init(&b, 5000);
	buf_adds(&b, "head:");
	buf_reserve(&b, 4000);
	p = b.p;
	memset(b.p + b.len, 'x', 4000);
	b.len += 4000;
	b.p[b.len] = '\0';
	assert_sane(&b);
	/* Memory is kept by reset. */
	buf_reset(&b);
	buf_reserve(&b, 4000);
	assert_ptr_equal(b.p, p);
	assert_string_equal(buf_str(&b), "");
	buf_reserve(&b, 5001);
	assert_int_equal(buf_err(&b), ERR_TOOBIG);
	buf_release(&b);

	/* Sums that would wrap around. */
	buf_init(&b, SIZE_MAX);
	buf_addc(&b, 'x');
	buf_reserve(&b, SIZE_MAX);
	assert_int_equal(buf_err(&b), ERR_TOOBIG);
	buf_release(&b);
}

static void
test_no_memory(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	fail_realloc = 1;
	buf_addf(&b, "%d", 5);
	assert_int_equal(buf_err(&b), ERR_NOMEM);
	assert_sane(&b);
	buf_reset(&b);
	fail_realloc = 0;
	buf_adds(&b, "kept");
	fail_realloc = 1;
	buf_addf(&b, "%1000d", 5);
	assert_int_equal(buf_err(&b), ERR_NOMEM);
	/* The first failure stays the one that is told. */
	buf_reserve(&b, 20000);
	assert_int_equal(buf_err(&b), ERR_NOMEM);
	assert_string_equal(buf_str(&b), "kept");
	fail_realloc = 0;
	assert_sane(&b);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_empty_appends),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_format_edges),
		cmocka_unit_test(test_failure_hands_nothing_over),
		cmocka_unit_test(test_drop_and_cut),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
