/*
 * Deadlines: the order they are taken in, whatever was set, moved and
 * cancelled.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "timer.h"

#define MANY	500

static void
test_empty(void **state)
{
	struct timers ts;
	struct timer t;

	(void)state;
	memset(&t, 0, sizeof(t));
	timers_init(&ts);
	assert_null(timers_take(&ts, INT64_MAX));
	assert_int_equal(timers_wait_ms(&ts, 0), -1);
	timers_cancel(&ts, &t);
	assert_int_equal(timers_set(&ts, &t, &ts, 100), 0);
	assert_int_equal(timers_wait_ms(&ts, 40), 60);
	assert_int_equal(timers_wait_ms(&ts, 140), 0);
	assert_null(timers_take(&ts, 99));
	assert_ptr_equal(timers_take(&ts, 100), &t);
	assert_ptr_equal(t.owner, &ts);
	assert_null(timers_take(&ts, 100));
	timers_release(&ts);
}

/* A fixed sequence that looks like chance. */
static unsigned
next(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16 & 0x7fff;
}

static void
test_order(void **state)
{
	struct timer t[MANY], *taken;
	unsigned seed = 1, i, n = 0, set = MANY;
	struct timers ts;
	int64_t last = -1;

	(void)state;
	memset(t, 0, sizeof(t));
	timers_init(&ts);
	for (i = 0; i < MANY; i++)
		assert_int_equal(timers_set(&ts, &t[i], NULL,
		    next(&seed) % 300), 0);
	for (i = 0; i < MANY; i += 3)		/* moved */
		assert_int_equal(timers_set(&ts, &t[i], NULL,
		    next(&seed) % 300), 0);
	for (i = 0; i < MANY; i += 7, set--)	/* cancelled */
		timers_cancel(&ts, &t[i]);
	for (taken = timers_take(&ts, 300); taken != NULL;
	    taken = timers_take(&ts, 300), n++) {
		assert_true(taken->at_ms >= last);
		assert_int_equal(taken->place, 0);
		assert_int_not_equal((taken - t) % 7, 0);
		last = taken->at_ms;
	}
	assert_int_equal(n, set);
	timers_release(&ts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
