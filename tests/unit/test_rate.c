/*
 * Token buckets: burst, refill, waiting time, clocks of other boots and threads,
 * and that takers who race never get more than there is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "rate.h"

#define DAY_MS	86400000LL

static void
test_no_limit(void **state)
{
	_Atomic uint64_t b = 0;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		assert_int_equal(rate_take(NULL, 1, 1, 0), 0);
		assert_int_equal(rate_take(&b, 0, 1, 0), 0);
	}
	assert_true(atomic_load(&b) == 0);
}

/* Each row takes once at a time; what is expected is the answer. */
static void
test_table(void **state)
{
	static const struct {
		int	per_s, burst;
		int64_t	at_ms;
		int	want;
		int	is_new;		/* starts with a full bucket */
	} row[] = {
		{ 10, 2, 5000, 0, 1 },
		{ 10, 2, 5000, 0, 0 },
		{ 10, 2, 5000, 100, 0 },
		{ 10, 2, 5099, 1, 0 },
		{ 10, 2, 5100, 0, 0 },
		{ 10, 2, 5150, 50, 0 },
		{ 10, 2, 5200, 0, 0 },
		/* No more than the burst is saved up. */
		{ 10, 2, 905200, 0, 0 },
		{ 10, 2, 905200, 0, 0 },
		{ 10, 2, 905200, 100, 0 },
		/* A refusal costs nothing. */
		{ 10, 2, 905250, 50, 0 },
		{ 10, 2, 905300, 0, 0 },
		/* A rate that does not divide a second: rounded up. */
		{ 3, 1, 1, 0, 1 },
		{ 3, 1, 1, 334, 0 },
		{ 3, 1, 335, 0, 0 },
		/* Time zero, the emptiest bucket: is not a full one. */
		{ 1, 1, 0, 0, 1 },
		{ 1, 1, 0, 1000, 0 },
		/* Two threads a little out of order: no refill. */
		{ 10, 1, 5000, 0, 1 },
		{ 10, 1, 4990, 110, 0 },
		{ 10, 1, 5000, 100, 0 },
		/* The clock of another boot: full, not locked out. */
		{ 1, 1, 40 * DAY_MS, 0, 1 },
		{ 1, 1, 40 * DAY_MS, 1000, 0 },
		{ 1, 1, 3000, 0, 0 },
		{ 1, 1, 3000, 1000, 0 },
		{ 1, 1, 4000, 0, 0 },
		/* Around 2^32 ms, and long after it. */
		{ 1, 1, 4294967290LL, 0, 1 },
		{ 1, 1, 4294967300LL, 990, 0 },
		{ 1, 1, 4294968290LL, 0, 0 },
		{ 1, 1, 2 * 4294968290LL, 0, 0 },
		/* Silly configurations still work. */
		{ 1, 0, 7, 0, 1 },
		{ 1, 0, 7, 1000, 0 },
		{ INT32_MAX, INT32_MAX, 7, 0, 1 },
		{ INT32_MAX, INT32_MAX, 9999999, 0, 0 },
		/* A limit that was lowered counts at once. */
		{ 1, 5, 7, 0, 1 },
		{ 1, 1, 7, 0, 0 },
		{ 1, 1, 7, 1000, 0 },
	};
	_Atomic uint64_t b = 0;
	size_t i;
	int got;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (row[i].is_new)
			atomic_store(&b, 0);
		got = rate_take(&b, row[i].per_s, row[i].burst, row[i].at_ms);
		if (got != row[i].want)
			fail_msg("row %zu: %d, not %d", i, got, row[i].want);
	}
}

/* Whatever a file may hold, nobody is locked out for longer than one token takes. */
static void
test_any_word(void **state)
{
	uint64_t word = 0x123456789abcdefULL;
	_Atomic uint64_t b;
	int64_t now = 12345678;
	int i, wait;

	(void)state;
	for (i = 0; i < 100000; i++) {
		word = word * 6364136223846793005ULL + 1442695040888963407ULL;
		atomic_store(&b, word);
		wait = rate_take(&b, 2, 4, now);
		assert_in_range(wait, 0, 1500);
		if (wait > 0)
			assert_int_equal(rate_take(&b, 2, 4, now + wait), 0);
	}
}

#define THREADS	4
#define TAKES	50000

static _Atomic uint64_t shared;
static _Atomic int taken;

static void *
taker(void *arg)
{
	int64_t now;
	int i;

	(void)arg;
	for (i = 0; i < TAKES; i++) {
		now = 1000 + i / 50;
		if (rate_take(&shared, 100, 10, now) == 0)
			atomic_fetch_add(&taken, 1);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t t[THREADS];
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, taker, NULL), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	/* A second, less a millisecond, at 100 a second, after a burst of 10. */
	assert_in_range(atomic_load(&taken), 10, 10 + 100);
}

static void
test_news(void **state)
{
	_Atomic uint64_t word = 0, other = 0;

	(void)state;
	assert_int_equal(rate_is_news(NULL, 7, 1000, 50), 1);
	assert_int_equal(rate_is_news(NULL, 7, 1000, 50), 1);
	assert_int_equal(rate_is_news(&word, 0, 1000, 0), 1);
	assert_int_equal(rate_is_news(&word, 7, 1000, 50000), 1);
	assert_int_equal(rate_is_news(&word, 7, 1000, 50000), 0);
	assert_int_equal(rate_is_news(&word, 7, 1000, 50999), 0);
	/* Not refreshed by what was left out. */
	assert_int_equal(rate_is_news(&word, 7, 1000, 51000), 1);
	assert_int_equal(rate_is_news(&word, 8, 1000, 51001), 1);
	assert_int_equal(rate_is_news(&word, 7, 1000, 51002), 1);
	assert_int_equal(rate_is_news(&other, 7, 1000, 51002), 1);
	/* The clock of another boot. */
	assert_int_equal(rate_is_news(&word, 7, 1000, 10), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_any_word),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_news),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
