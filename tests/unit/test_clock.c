/*
 * Positions in print: round trips against the C library's calendar, what is
 * read and what is refused; the clocks go forward.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "err.h"

#define S	1000000LL

static void
test_known(void **state)
{
	static const struct {
		int64_t		 pos;
		const char	*text;
	} row[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 1, "1970-01-01T00:00:00.000001Z" },
		{ 68169599999999LL, "1972-02-28T23:59:59.999999Z" },
		{ 68169600000000LL, "1972-02-29T00:00:00.000000Z" },
		{ 951782400 * S, "2000-02-29T00:00:00.000000Z" },
		{ 1764518400 * S + 123, "2025-11-30T16:00:00.000123Z" },
		{ 4107542400 * S, "2100-03-01T00:00:00.000000Z" },
		{ CLOCK_POS_MAX, "9999-12-31T23:59:59.999999Z" },
	};
	char text[CLOCK_POS_SIZE];
	int64_t pos;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_ptr_equal(clock_print_pos(row[i].pos, text), text);
		assert_string_equal(text, row[i].text);
		assert_int_equal(strlen(text), CLOCK_POS_LEN);
		assert_int_equal(clock_parse_pos(text, CLOCK_POS_LEN, &pos), 0);
		assert_true(pos == row[i].pos);
	}
	assert_string_equal(clock_print_pos(-5, text), row[0].text);
	assert_string_equal(clock_print_pos(INT64_MIN, text), row[0].text);
	assert_string_equal(clock_print_pos(CLOCK_POS_MAX + 1, text),
	    "9999-12-31T23:59:59.999999Z");
	assert_string_equal(clock_print_pos(INT64_MAX, text),
	    "9999-12-31T23:59:59.999999Z");
}

static void
check_against_libc(int64_t pos)
{
	char text[CLOCK_POS_SIZE], want[64];
	time_t seconds = (time_t)(pos / S);
	int64_t back = -1;
	struct tm tm;

	assert_non_null(gmtime_r(&seconds, &tm));
	(void)snprintf(want, sizeof(want),
	    "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (int)(pos % S));
	assert_string_equal(clock_print_pos(pos, text), want);
	assert_int_equal(clock_parse_pos(text, CLOCK_POS_LEN, &back), 0);
	assert_true(back == pos);
}

/* Every day until 2401, and random moments until 9999. */
static void
test_calendar(void **state)
{
	uint64_t x = 88172645463325252ULL;
	int64_t day;
	int i;

	(void)state;
	for (day = 0; day < 157500; day++)
		check_against_libc(day * 86400 * S + day % 86400 * S + day);
	for (i = 0; i < 20000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		check_against_libc((int64_t)(x % (CLOCK_POS_MAX + 1ULL)));
	}
}

static void
test_read(void **state)
{
	static const struct {
		const char	*text;
		int64_t		 us;	/* after 2025-11-30T16:00:00 */
	} row[] = {
		{ "2025-11-30T16:00:00", 0 },
		{ "2025-11-30T16:00:00Z", 0 },
		{ "2025-11-30t16:00:00z", 0 },
		{ "2025-11-30 16:00:00", 0 },
		{ "2025-11-30T16:00:00+00:00", 0 },
		{ "2025-11-30T16:00:00 00:00", 0 },
		{ "2025-11-30T16:00:00.1", 100000 },
		{ "2025-11-30T16:00:00.12Z", 120000 },
		{ "2025-11-30T16:00:00.123Z", 123000 },
		{ "2025-11-30T16:00:00.1234Z", 123400 },
		{ "2025-11-30T16:00:00.12345Z", 123450 },
		{ "2025-11-30T16:00:00.123456+00:00", 123456 },
		{ "2025-11-30T16:00:00.123456 00:00", 123456 },
		{ "2025-11-30T16:00:00.1234567Z", 123456 },
		{ "2025-11-30T16:00:00.000000999", 0 },
		{ "2025-11-30T16:00:00.999999999Z", 999999 },
		{ "2025-11-30T16:00:60Z", 59 * S },
	};
	int64_t pos;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		pos = -1;
		if (clock_parse_pos(row[i].text, strlen(row[i].text),
		    &pos) != 0 ||
		    pos != 1764518400 * S + row[i].us)
			fail_msg("%s", row[i].text);
	}
}

static void
test_refused(void **state)
{
	static const char *const row[] = {
		"", "2", "0", "1764518400000000",
		"2025-11-30", "2025-11-30T16:00", "2025-11-30T16:00:0",
		"2025-11-30T16:00:00.", "2025-11-30T16:00:00.Z",
		"2025-11-30T16:00:00.0123456789Z", "2025-11-30T16:00:00,5Z",
		"2025-11-30T16:00:00.12 3", "2025-11-30T16:00:00ZZ",
		"2025-11-30T16:00:00Z ", " 2025-11-30T16:00:00Z",
		"2025-11-30T16:00:00+01:00", "2025-11-30T16:00:00-00:00",
		"2025-11-30T16:00:00+0000", "2025-11-30T16:00:00+00",
		"2025-11-30T16:00:00+00:00:00", "2025-11-30T16:00:00x",
		"2025-11-30X16:00:00Z", "2025/11/30T16:00:00Z",
		"2025-11-30T16.00.00Z", "2025-1-30T16:00:00.00",
		"+025-11-30T16:00:00Z", "2025-+1-30T16:00:00Z",
		"2025- 1-30T16:00:00Z", "2025-11-30T-6:00:00Z",
		"2025-11-30T16:-1:00Z", "2025-11-30T16:00:-1Z",
		"2025-00-30T16:00:00Z", "2025-13-30T16:00:00Z",
		"2025-11-00T16:00:00Z", "2025-11-31T16:00:00Z",
		"2025-01-32T16:00:00Z", "2025-04-31T16:00:00Z",
		"2025-02-29T16:00:00Z", "2024-02-30T16:00:00Z",
		"2100-02-29T16:00:00Z", "2025-11-30T24:00:00Z",
		"2025-11-30T16:60:00Z", "2025-11-30T16:00:61Z",
		"1969-12-31T23:59:59Z", "0000-00-00T00:00:00Z",
		"2025-11-30T16:00:00.12\xc3\xa9",
	};
	char *exact;
	int64_t pos = 42;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		/* In memory of its own length, so that reading on is seen. */
		len = strlen(row[i]);
		exact = malloc(len + 1);
		assert_non_null(exact);
		memcpy(exact, row[i], len);
		if (clock_parse_pos(exact, len, &pos) != ERR_INVAL)
			fail_msg("\"%s\" was read", row[i]);
		free(exact);
	}
	assert_int_equal(clock_parse_pos("2025-11-30T16:00:00\0Z", 21, &pos),
	    ERR_INVAL);
	assert_true(pos == 42);
}

/* Every prefix, and every printed form with one byte changed: either refused,
 * or read as something that prints again. */
static void
test_mangled(void **state)
{
	static const char good[] = "2024-02-29T16:00:00.000123Z";
	char text[CLOCK_POS_SIZE], printed[CLOCK_POS_SIZE];
	int64_t pos, again;
	size_t i;
	int c;

	(void)state;
	for (i = 0; i < 19; i++)
		assert_int_equal(clock_parse_pos(good, i, &pos), ERR_INVAL);
	for (i = 0; i < CLOCK_POS_LEN; i++) {
		for (c = 0; c < 256; c++) {
			memcpy(text, good, sizeof(text));
			text[i] = (char)c;
			if (clock_parse_pos(text, CLOCK_POS_LEN, &pos) != 0)
				continue;
			assert_true(pos >= 0 && pos <= CLOCK_POS_MAX);
			(void)clock_print_pos(pos, printed);
			assert_int_equal(clock_parse_pos(printed, CLOCK_POS_LEN,
			    &again), 0);
			assert_true(again == pos);
		}
	}
}

static void
test_clocks(void **state)
{
	int64_t mono = clock_mono_us(), wall = clock_wall_us();
	time_t coarse;

	(void)state;
	assert_true(clock_mono_us() >= mono);
	assert_true(clock_mono_ms() >= mono / 1000);
	assert_true(clock_wall_ms() >= wall / 1000);
	assert_true(clock_wall_s() >= wall / S);
	/* time() is of a coarser clock, which is never ahead. */
	coarse = time(NULL);
	assert_true(clock_wall_s() >= coarse);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
