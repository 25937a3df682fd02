/*
 * frame - what is read of client frames, and the exact text of the answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "frame.h"

static void
test_ignored(void **state)
{
	static const char *const cases[] = {
		"", " ", "ping", "[]", "null", "\"type\"", "17", "{}",
		"{\"type\":1}", "{\"type\":null}", "{\"type\":[\"ping\"]}",
		"{\"type\":\"ping\"", "{\"type\":\"ping\"} x",
		"{\"type\":\"ping\"}{}", "{'type':'ping'}",
		"{\"type\":\"ping\",}", "/**/{\"type\":\"ping\"}",
		"{\"type\":\"ping\",\"payload\":NaN}",
		"{\"type\":\"ping\",\"payload\":-Infinity}",
		"{\"type\":\"pi\xff\"}",
		"{\"type\":\"ping\",\"payload\":\"\xc3\x28\"}"
	};
	struct frame f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(frame_parse(cases[i], strlen(cases[i]), &f),
		    ERR_INVAL);
	assert_int_equal(frame_parse("{\"type\":\"ping\"}\0", 16, &f),
	    ERR_INVAL);
}

static void
test_types(void **state)
{
	static const struct {
		const char	*text;
		enum frame_type	 type;
		int		 has_why;
	} cases[] = {
		{ "{\"type\":\"ping\"}", FRAME_PING, 0 },
		{ " \n{ \"type\" : \"ping\" }\n ", FRAME_PING, 0 },
		{ "{\"type\":\"bye\"}", FRAME_BYE, 0 },
		{ "{\"type\":\"PING\"}", FRAME_UNKNOWN, 0 },
		{ "{\"type\":\"send\",\"payload\":{}}", FRAME_SEND, 1 },
		{ "{\"type\":\"auth\"}", FRAME_AUTH, 1 },
		{ "{\"type\":\"auth\",\"payload\":[]}", FRAME_AUTH, 1 },
		{ "{\"type\":\"auth\",\"payload\":{\"token\":1}}",
		    FRAME_AUTH, 1 },
		{ "{\"type\":\"auth\",\"payload\":{\"token\":\"a\\u0000b\"}}",
		    FRAME_AUTH, 1 },
		{ "{\"type\":\"auth\",\"payload\":{\"token\":\"abc\"}}",
		    FRAME_AUTH, 0 },
		{ "{\"type\":\"subscribe\"}", FRAME_SUBSCRIBE, 1 },
		{ "{\"type\":\"subscribe\",\"payload\":{\"rooms\":\"a\"}}",
		    FRAME_SUBSCRIBE, 1 },
		{ "{\"type\":\"subscribe\","
		    "\"payload\":{\"rooms\":[\"a\",null]}}",
		    FRAME_SUBSCRIBE, 1 },
		{ "{\"type\":\"subscribe\",\"payload\":{\"rooms\":null}}",
		    FRAME_SUBSCRIBE, 0 }
	};
	struct frame f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(frame_parse(cases[i].text,
		    strlen(cases[i].text), &f), 0);
		assert_int_equal(f.type, cases[i].type);
		assert_int_equal(f.why != NULL, cases[i].has_why);
		frame_release(&f);
	}
}

static void
test_pong(void **state)
{
	static const struct {
		const char	*in, *out;
	} cases[] = {
		{ "{\"type\":\"ping\"}", "{\"type\":\"pong\"}" },
		{ "{\"type\":\"ping\",\"payload\":1.00}",
		    "{\"type\":\"pong\",\"payload\":1.00}" },
		{ "{\"payload\" : {\"a\": [1,{\"payload\":2}], "
		    "\"s\":\"},\\\"\"} ,\"type\":\"ping\"}",
		    "{\"type\":\"pong\",\"payload\":"
		    "{\"a\": [1,{\"payload\":2}], \"s\":\"},\\\"\"}}" },
		{ "{\"x\":{\"payload\":1},\"type\":\"ping\",\"payload\":null}",
		    "{\"type\":\"pong\",\"payload\":null}" },
		{ "{\"type\":\"ping\",\"payload\":1,\"payload\":2}",
		    "{\"type\":\"pong\",\"payload\":2}" },
		{ "{\"type\":\"ping\",\"payload\":12345678901234567890123}",
		    "{\"type\":\"pong\",\"payload\":12345678901234567890123}" },
		{ "{\"type\":\"ping\",\"p\\u0061yload\":[7]}",
		    "{\"type\":\"pong\",\"payload\":[7]}" },
		{ "{\"type\":\"ping\",\"payload\":\"NaN I N\"}",
		    "{\"type\":\"pong\",\"payload\":\"NaN I N\"}" }
	};
	struct frame f;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1000);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(frame_parse(cases[i].in, strlen(cases[i].in),
		    &f), 0);
		buf_reset(&b);
		frame_print_pong(&b, f.payload, f.payload_len);
		assert_int_equal(buf_err(&b), 0);
		assert_string_equal(buf_str(&b), cases[i].out);
		frame_release(&f);
	}
	buf_release(&b);
}

static void
test_rooms(void **state)
{
	static const char text[] = "{\"type\":\"subscribe\",\"payload\":"
	    "{\"key\":\"k\",\"rooms\":[\"b\",12,\"a\",\"b\",\"12\"]}}";
	static const char none[] =
	    "{\"type\":\"subscribe\",\"payload\":{\"rooms\":[]}}";
	struct frame f;

	(void)state;
	assert_int_equal(frame_parse(text, strlen(text), &f), 0);
	assert_null(f.why);
	assert_int_equal(f.n_rooms, 3);
	assert_string_equal(f.rooms[0], "12");
	assert_string_equal(f.rooms[1], "a");
	assert_string_equal(f.rooms[2], "b");
	assert_false(f.is_all_rooms);
	assert_string_equal(f.key, "k");
	frame_release(&f);
	assert_int_equal(frame_parse(none, strlen(none), &f), 0);
	assert_int_equal(f.n_rooms, 0);
	assert_false(f.is_all_rooms);
	frame_release(&f);
}

/* Limits: depth, number of rooms, length of a key. */
static void
test_limits(void **state)
{
	struct frame f;
	struct buf b;
	int i, depth;

	(void)state;
	buf_init(&b, 100000);
	for (depth = FRAME_MAX_DEPTH - 2; depth <= FRAME_MAX_DEPTH + 2;
	    depth += 4) {
		buf_reset(&b);
		buf_adds(&b, "{\"type\":\"ping\",\"payload\":");
		for (i = 0; i < depth; i++)
			buf_addc(&b, '[');
		for (i = 0; i < depth; i++)
			buf_addc(&b, ']');
		buf_addc(&b, '}');
		if (depth < FRAME_MAX_DEPTH) {
			assert_int_equal(frame_parse(b.p, b.len, &f), 0);
			frame_release(&f);
		} else {
			assert_int_equal(frame_parse(b.p, b.len, &f),
			    ERR_INVAL);
		}
	}
	buf_reset(&b);
	buf_adds(&b, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"");
	for (i = 0; i <= FRAME_MAX_KEY; i++)
		buf_addc(&b, 'k');
	buf_adds(&b, "\",\"rooms\":[0");
	for (i = 1; i <= FRAME_MAX_ROOMS; i++)
		buf_addf(&b, ",%d", i);
	buf_adds(&b, "]}}");
	assert_int_equal(frame_parse(b.p, b.len, &f), 0);
	assert_non_null(f.why);
	assert_null(f.key);
	frame_release(&f);
	buf_release(&b);
}

static void
test_answers(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	frame_print_auth_ok(&b, 1764518400);
	assert_string_equal(buf_str(&b), "{\"type\":\"auth_ok\",\"payload\":"
	    "{\"expiresAt\":\"2025-11-30T16:00:00.000000Z\"}}");
	buf_reset(&b);
	frame_print_auth_expiring(&b, INT64_MAX);
	assert_string_equal(buf_str(&b), "{\"type\":\"auth_expiring\","
	    "\"payload\":{\"expiresAt\":\"9999-12-31T23:59:59.000000Z\"}}");
	buf_reset(&b);
	frame_print_sync(&b, 1764518400000123, NULL);
	assert_string_equal(buf_str(&b), "{\"type\":\"sync\",\"payload\":"
	    "{\"timestamp\":\"2025-11-30T16:00:00.000123Z\"}}");
	buf_reset(&b);
	frame_print_sync(&b, 1764518400000123, "ahead");
	assert_string_equal(buf_str(&b), "{\"type\":\"sync\",\"payload\":"
	    "{\"timestamp\":\"2025-11-30T16:00:00.000123Z\","
	    "\"reset\":\"ahead\"}}");
	buf_reset(&b);
	frame_print_error(&b, PROBLEM_RATE_LIMITED, "Say \"less\".", "k\n", 0);
	assert_non_null(strstr(buf_str(&b), "{\"type\":\"error\",\"payload\":"
	    "{\"code\":\"rate_limited\",\"status\":429,\"title\":"));
	assert_non_null(strstr(buf_str(&b), "\"detail\":\"Say \\\"less\\\".\","
	    "\"ref\":\"k\\n\",\"retryAfterMs\":"));
	buf_release(&b);
	/* A full buffer is remembered, as everywhere. */
	buf_init(&b, 10);
	frame_print_sync(&b, 1, NULL);
	assert_int_equal(buf_err(&b), ERR_TOOBIG);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_pong),
		cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_answers)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
