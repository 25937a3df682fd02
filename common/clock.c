/*
 * clock - the two clocks, and the printed form of a position in the log.
 *
 * Printing and parsing are on the path of every poll and every event, so they
 * are integer arithmetic on fixed columns: no strftime, no locale, no zone.
 */
#include <string.h>
#include <time.h>

#include "clock.h"
#include "err.h"

#define US_PER_S	1000000LL
#define S_PER_DAY	86400LL
/* Days from 0000-03-01, where the reckoning below begins, to 1970-01-01. */
#define DAYS_TO_1970	719468
#define DAYS_PER_ERA	146097	/* 400 years */

static int64_t
read_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);	/* cannot fail for these two clocks */
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t
clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t
clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t
clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

int64_t
clock_wall_s(void)
{
	return clock_wall_us() / US_PER_S;
}

/* Years counted from March put the leap day last, and the calendar repeats
 * every 400 of them: the months then follow (153 * m + 2) / 5. */
static int
days_of_date(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	/* Year 0 in January would be era -1; callers pass 1970 and later. */
	int era = y / 400;
	int of_era = y - era * 400;
	int from_march = month > 2 ? month - 3 : month + 9;
	int of_year = (153 * from_march + 2) / 5 + day - 1;

	return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 +
	    of_year - DAYS_TO_1970;
}

static void
date_of_days(int days, int *year, int *month, int *day)
{
	int z = days + DAYS_TO_1970;
	int era = z / DAYS_PER_ERA;
	int doe = z - era * DAYS_PER_ERA;
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int from_march = (5 * doy + 2) / 153;

	*day = doy - (153 * from_march + 2) / 5 + 1;
	*month = from_march < 10 ? from_march + 3 : from_march - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

static void
put_digits(char *p, int n, int value)
{
	while (n-- > 0) {
		p[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

char *
clock_print_pos(int64_t pos, char ret[CLOCK_POS_SIZE])
{
	int year, month, day, second;
	int64_t s;

	if (pos < 0)
		pos = 0;
	if (pos > CLOCK_POS_MAX)
		pos = CLOCK_POS_MAX;
	s = pos / US_PER_S;
	date_of_days((int)(s / S_PER_DAY), &year, &month, &day);
	second = (int)(s % S_PER_DAY);
	memcpy(ret, "0000-00-00T00:00:00.000000Z", CLOCK_POS_SIZE);
	put_digits(ret, 4, year);
	put_digits(ret + 5, 2, month);
	put_digits(ret + 8, 2, day);
	put_digits(ret + 11, 2, second / 3600);
	put_digits(ret + 14, 2, second / 60 % 60);
	put_digits(ret + 17, 2, second % 60);
	put_digits(ret + 20, 6, (int)(pos % US_PER_S));
	return ret;
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The n digits at p as a number, or -1 where one of them is none. */
static int
get_digits(const char *p, int n)
{
	int i, value = 0;

	for (i = 0; i < n; i++) {
		if (!is_digit(p[i]))
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

static int
days_in_month(int year, int month)
{
	static const unsigned char days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

/* "YYYY-MM-DDTHH:MM:SS" -> seconds since 1970, or -1. */
static int64_t
parse_seconds(const char *s)
{
	int year = get_digits(s, 4), month = get_digits(s + 5, 2);
	int day = get_digits(s + 8, 2), hour = get_digits(s + 11, 2);
	int minute = get_digits(s + 14, 2), second = get_digits(s + 17, 2);

	if (s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' ||
	    (s[10] != 'T' && s[10] != 't' && s[10] != ' '))
		return -1;
	/* Positions begin in 1970; 60 is a leap second. */
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
	    second < 0 || second > 60)
		return -1;
	if (day > days_in_month(year, month))
		return -1;
	if (second == 60)
		second = 59;
	return days_of_date(year, month, day) * S_PER_DAY + hour * 3600 +
	    minute * 60 + second;
}

static int
is_utc(const char *zone, size_t len)
{
	if (len == 0)
		return 1;
	if (len == 1)
		return *zone == 'Z' || *zone == 'z';
	return len == 6 && (*zone == '+' || *zone == ' ') &&
	    memcmp(zone + 1, "00:00", 5) == 0;
}

int
clock_parse_pos(const char *s, size_t len, int64_t *ret)
{
	size_t i = 19, first;
	int us = 0, scale = 100000;
	int64_t seconds;

	if (len < i)
		return ERR_INVAL;
	seconds = parse_seconds(s);
	if (seconds < 0)
		return ERR_INVAL;
	if (i < len && s[i] == '.') {
		first = ++i;
		for (; i < len && is_digit(s[i]); i++) {
			us += (s[i] - '0') * scale;
			scale /= 10;
		}
		if (i == first || i - first > 9)
			return ERR_INVAL;
	}
	if (!is_utc(s + i, len - i))
		return ERR_INVAL;
	*ret = seconds * US_PER_S + us;
	return 0;
}
