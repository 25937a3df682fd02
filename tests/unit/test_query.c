/*
 * Query strings: decoding, each parameter's rule, limits; random input, and
 * each allocation failing in turn.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "err.h"

static int mallocs_left = -1;	/* before one fails; -1: none does */

static void *
malloc_or_fail(size_t size)
{
	if (mallocs_left == 0)
		return NULL;
	if (mallocs_left > 0)
		mallocs_left--;
	return (malloc)(size);
}

#define malloc(size)	malloc_or_fail(size)
#include "query.c"
#undef malloc

/* Parses s from memory of exactly its length. */
static int
parse_n(const char *s, size_t len, struct query *q, const char **why)
{
	char *exact = malloc(len > 0 ? len : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, s, len);
	*why = NULL;
	r = query_parse(exact, len, q, why);
	free(exact);
	return r;
}

static struct query
parse(const char *s)
{
	const char *why;
	struct query q;

	if (parse_n(s, strlen(s), &q, &why) != 0)
		fail_msg("\"%s\": %s", s, why != NULL ? why : "?");
	return q;
}

static void
assert_same(const char *got, const char *want)
{
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void
test_defaults(void **state)
{
	static const char *const row[] = {
		"", "&", "&&&", "=", "x=1&y", "lastMessageId", "lastMessageId=",
		"lastTimestamp=&lastMessageId=", "rooms=", "rooms=,,", "token=",
		"roomId=&before=", "LASTMESSAGEID=5", "lastMessageId2=5",
		"%6castMessageI=5", "=lastMessageId", "limits=0", "%=%",
		"aVeryLongNameThatNobodyKnowsAndThatIsLongerThanAnyNameThatIs"
		    "Known=1",
	};
	struct query q;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		q = parse(row[i]);
		assert_null(q.last_message_id);
		assert_null(q.last_timestamp);
		assert_false(q.has_last_message_id || q.has_last_timestamp);
		assert_true(q.timeout_ms == 0);
		assert_int_equal(q.limit, QUERY_LIMIT_DEFAULT);
		assert_null(q.rooms);
		assert_int_equal(q.n_rooms, 0);
		assert_null(q.client);
		assert_null(q.token);
		assert_null(q.room_id);
		assert_null(q.before);
		query_release(&q);
	}
}

static void
test_all(void **state)
{
	struct query q;

	(void)state;
	q = parse("lastMessageId=m1&lastTimestamp=2025-11-30T16%3A00%3A00.5"
	    "+00:00&timeout=2.5&limit=7&rooms=b,a&client=tab-1_X&token=e.y.J"
	    "&roomId=r%2F1&before=m0&unknown=%00");
	assert_same(q.last_message_id, "m1");
	assert_same(q.last_timestamp, "2025-11-30T16:00:00.5 00:00");
	assert_true(q.has_last_message_id && q.has_last_timestamp);
	assert_true(q.timeout_ms == 2500);
	assert_int_equal(q.limit, 7);
	assert_int_equal(q.n_rooms, 2);
	assert_same(q.rooms[0], "a");
	assert_same(q.rooms[1], "b");
	assert_same(q.client, "tab-1_X");
	assert_same(q.token, "e.y.J");
	assert_same(q.room_id, "r/1");
	assert_same(q.before, "m0");
	query_release(&q);
	assert_null(q.token);
	query_release(&q);
}

static void
test_decode(void **state)
{
	static const struct {
		const char	*text;
		const char	*id;
	} row[] = {
		{ "lastMessageId=a+b", "a b" },
		{ "lastMessageId=a%2Bb", "a+b" },
		{ "lastMessageId=a%2bb", "a+b" },
		{ "lastMessageId=%41%7a", "Az" },
		{ "lastMessageId=%e2%82%AC", "\xe2\x82\xac" },
		{ "lastMessageId=a=b==", "a=b==" },
		{ "lastMessageId=100%", "100%" },
		{ "lastMessageId=100%4", "100%4" },
		{ "lastMessageId=%zz%4g%g4", "%zz%4g%g4" },
		{ "lastMessageId=%%41", "%A" },
		{ "lastMessageId=%26%3D", "&=" },
		{ "last%4dessage%49d=x", "x" },
		{ "lastMessageId=1&lastMessageId=2", "1" },
		{ "lastMessageId=&lastMessageId=2", NULL },
		{ "lastMessageId&lastMessageId=2", NULL },
		{ "x&&y=&lastMessageId=3&", "3" },
		/* Given, and not to be read. */
		{ "lastMessageId=a%00b", "" },
		{ "lastMessageId=%00", "" },
	};
	struct query q;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		q = parse(row[i].text);
		assert_same(q.last_message_id, row[i].id);
		assert_int_equal(q.has_last_message_id, row[i].id != NULL);
		query_release(&q);
	}
	/* A NUL makes a token none, not a shorter one. */
	q = parse("token=abc%00def&roomId=r%00&before=%00b&lastTimestamp=2%00");
	assert_same(q.token, "");
	assert_same(q.room_id, "");
	assert_same(q.before, "");
	assert_same(q.last_timestamp, "");
	assert_true(q.has_last_timestamp);
	query_release(&q);
}

static void
test_numbers(void **state)
{
	static const struct {
		const char	*text;
		int64_t		 timeout_ms;
		int		 limit;
	} row[] = {
		{ "timeout=0", 0, 100 },
		{ "timeout=25", 25000, 100 },
		{ "timeout=0.001", 1, 100 },
		{ "timeout=0.0009", 0, 100 },
		{ "timeout=1.2345678901234567890", 1234, 100 },
		{ "timeout=007", 7000, 100 },
		{ "timeout=86400", 86400000, 100 },
		{ "timeout=99999999999999999999999999", 86400000, 100 },
		{ "timeout=%32%35", 25000, 100 },
		{ "limit=1", 0, 1 },
		{ "limit=500", 0, 500 },
		{ "limit=0010", 0, 10 },
		{ "limit=5&limit=bad", 0, 5 },
	};
	struct query q;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		q = parse(row[i].text);
		assert_true(q.timeout_ms == row[i].timeout_ms);
		assert_int_equal(q.limit, row[i].limit);
		query_release(&q);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char	*text;
		const char	*about;		/* begins the reason */
	} row[] = {
		{ "timeout=", "timeout " }, { "timeout", "timeout " },
		{ "timeout=-1", "timeout " }, { "timeout=+1", "timeout " },
		{ "timeout=x", "timeout " }, { "timeout=1x", "timeout " },
		{ "timeout=1.", "timeout " }, { "timeout=.5", "timeout " },
		{ "timeout=1.5.5", "timeout " }, { "timeout=1e3", "timeout " },
		{ "timeout=1%00", "timeout " }, { "timeout=%00", "timeout " },
		{ "timeout=inf", "timeout " }, { "timeout=1,5", "timeout " },
		{ "limit=", "limit " }, { "limit=0", "limit " },
		{ "limit=501", "limit " }, { "limit=-5", "limit " },
		{ "limit=5.0", "limit " }, { "limit=4294967297", "limit " },
		{ "limit=99999999999999999999", "limit " },
		{ "limit=5%00", "limit " }, { "limit=+5", "limit " },
		{ "client=", "client " }, { "client=a+b", "client " },
		{ "client=a.b", "client " }, { "client=%C3%BC", "client " },
		{ "client=a%00", "client " },
		{ "client=1234567890123456789012345678901234567890"
		    "1234567890123456789012345", "client " },
		{ "rooms=a,b%00c", "rooms " },
		{ "token=t&rooms=a&client=c&before=b&limit=no", "limit " },
	};
	const char *why;
	struct query q;
	size_t i;

	(void)state;
	memset(&q, 0x5a, sizeof(q));
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (parse_n(row[i].text, strlen(row[i].text), &q, &why) !=
		    ERR_INVAL)
			fail_msg("\"%s\" was read", row[i].text);
		assert_non_null(why);
		assert_memory_equal(why, row[i].about, strlen(row[i].about));
		assert_int_equal(why[strlen(why) - 1], '.');
	}
	/* The output stays as it was. */
	assert_int_equal(q.limit, 0x5a5a5a5a);
}

static void
test_rooms(void **state)
{
	static const struct {
		const char	*text;
		size_t		 n;
		const char	*id[4];
	} row[] = {
		{ "rooms=a", 1, { "a" } },
		{ "rooms=c,a,b", 3, { "a", "b", "c" } },
		{ "rooms=a,a,b,a,b", 2, { "a", "b" } },
		{ "rooms=,a,,b,", 2, { "a", "b" } },
		{ "rooms=10%2C9,1", 3, { "1", "10", "9" } },
		{ "rooms=%C3%A9,z", 2, { "z", "\xc3\xa9" } },
		{ "rooms=a%20b,a+c", 2, { "a b", "a c" } },
		{ "rooms=a&rooms=b", 1, { "a" } },
	};
	struct query q;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		q = parse(row[i].text);
		assert_int_equal(q.n_rooms, row[i].n);
		for (j = 0; j < row[i].n; j++)
			assert_same(q.rooms[j], row[i].id[j]);
		query_release(&q);
	}
}

/* Fills text with "rooms=" and n ids of len bytes each; returns the length. */
static size_t
many_rooms(char *text, int n, size_t len)
{
	size_t at = 6;
	int i;

	memcpy(text, "rooms=", 6);
	for (i = 0; i < n; i++) {
		memset(text + at, 'a' + i % 26, len);
		at += len;
		text[at++] = ',';
	}
	return at - 1;
}

static void
test_limits(void **state)
{
	static char text[QUERY_MAX_LEN + 2];
	const char *why;
	struct query q;
	size_t len;

	(void)state;
	len = many_rooms(text, QUERY_MAX_ROOMS, 1);
	assert_int_equal(parse_n(text, len, &q, &why), 0);
	assert_int_equal(q.n_rooms, 26);
	query_release(&q);
	len = many_rooms(text, QUERY_MAX_ROOMS + 1, 1);
	assert_int_equal(parse_n(text, len, &q, &why), ERR_INVAL);
	len = many_rooms(text, 2, QUERY_MAX_ID);
	assert_int_equal(parse_n(text, len, &q, &why), 0);
	assert_int_equal(strlen(q.rooms[1]), QUERY_MAX_ID);
	query_release(&q);
	len = many_rooms(text, 2, QUERY_MAX_ID + 1);
	assert_int_equal(parse_n(text, len, &q, &why), ERR_INVAL);

	memset(text, 'x', sizeof(text));
	memcpy(text, "lastMessageId=", 14);
	assert_int_equal(parse_n(text, 14 + QUERY_MAX_ID, &q, &why), 0);
	assert_int_equal(strlen(q.last_message_id), QUERY_MAX_ID);
	query_release(&q);
	assert_int_equal(parse_n(text, 15 + QUERY_MAX_ID, &q, &why), 0);
	assert_same(q.last_message_id, "");
	assert_true(q.has_last_message_id);
	query_release(&q);

	memcpy(text, "token=", 6);
	assert_int_equal(parse_n(text, QUERY_MAX_LEN, &q, &why), 0);
	assert_int_equal(strlen(q.token), QUERY_MAX_LEN - 6);
	query_release(&q);
	assert_int_equal(parse_n(text, QUERY_MAX_LEN + 1, &q, &why),
	    ERR_TOOBIG);
}

static void
test_no_memory(void **state)
{
	static const char text[] = "lastMessageId=1&rooms=a,b&token=t&client=c&"
	    "roomId=r&before=b&lastTimestamp=t&limit=4&timeout=3";
	const char *why;
	struct query q;
	int n, r;

	(void)state;
	for (n = 0;; n++) {
		mallocs_left = n;
		r = query_parse(text, sizeof(text) - 1, &q, &why);
		mallocs_left = -1;
		if (r == 0)
			break;
		assert_int_equal(r, ERR_NOMEM);
	}
	assert_int_equal(n, 10);	/* nine values, and the rooms */
	query_release(&q);
}

/* Whatever comes, an answer keeps the promises of struct query. */
static void
test_random(void **state)
{
	static const char *const piece[] = {
		"lastMessageId", "lastTimestamp", "timeout", "limit", "rooms",
		"client", "token", "roomId", "before", "=", "=", "=", "&", "&",
		"%", "%0", "%00", "%41", "+", ",", ",", "1", "25", ".", "-",
		"a", "zz", "\xff", "%C3%A9", "%3D", "%26",
	};
	uint64_t x = 0x9e3779b97f4a7c15ULL;
	int i, n, r, n_good = 0;
	const char *p, *why;
	char text[600];
	struct query q;
	size_t len, j;

	(void)state;
	for (i = 0; i < 50000; i++) {
		len = 0;
		for (n = (int)(x >> 20) & 31; n > 0; n--) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			p = piece[x % (sizeof(piece) / sizeof(piece[0]))];
			memcpy(text + len, p, strlen(p));
			len += strlen(p);
		}
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		r = parse_n(text, len, &q, &why);
		if (r != 0) {
			assert_int_equal(r, ERR_INVAL);
			assert_non_null(why);
			continue;
		}
		n_good++;
		assert_true(q.limit >= 1 && q.limit <= QUERY_LIMIT_MAX);
		assert_true(q.timeout_ms >= 0);
		assert_int_equal(q.rooms == NULL, q.n_rooms == 0);
		for (j = 1; j < q.n_rooms; j++)
			assert_true(strcmp(q.rooms[j - 1], q.rooms[j]) < 0);
		query_release(&q);
	}
	assert_true(n_good > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
