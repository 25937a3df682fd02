/*
 * frame - what is read of client frames, and the exact text of the answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
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

#define P(text)	"{\"type\":\"send\",\"payload\":" text "}"

static void
test_send(void **state)
{
	static const struct {
		const char	*text;
		const char	*why;		/* a word of it; NULL: good */
		const char	*room, *content, *type, *key;
	} cases[] = {
		{ P("{\"roomId\":\"r\",\"content\":\"x\"}"), NULL, "r", "x",
		    "text", NULL },
		{ P("{\"roomId\":12,\"content\":\"a\\nb\",\"type\":\"image\","
		    "\"key\":\"k\",\"more\":[]}"), NULL, "12", "a\nb", "image",
		    "k" },
		{ P("{\"roomId\":\"r\",\"content\":\"x\",\"key\":null,"
		    "\"type\":null}"), NULL, "r", "x", "text", NULL },
		{ P("null"), "roomId", NULL, NULL, NULL, NULL },
		{ P("[]"), "roomId", NULL, NULL, NULL, NULL },
		{ P("{\"content\":\"x\"}"), "roomId", NULL, NULL, NULL, NULL },
		{ P("{\"roomId\":1.5,\"content\":\"x\"}"), "roomId", NULL,
		    NULL, NULL, NULL },
		{ P("{\"roomId\":\"r\",\"content\":\"\"}"), "content", NULL,
		    NULL, NULL, NULL },
		{ P("{\"roomId\":\"r\",\"content\":\"a\\u0000\"}"), "content",
		    NULL, NULL, NULL, NULL },
		{ P("{\"roomId\":\"r\",\"content\":\"x\",\"key\":\"\"}"),
		    "key", NULL, NULL, NULL, NULL },
		{ P("{\"roomId\":\"r\",\"content\":\"x\",\"key\":7}"), "key",
		    NULL, NULL, NULL, NULL },
		{ P("{\"roomId\":\"r\",\"content\":\"x\",\"type\":[]}"),
		    "type", NULL, NULL, NULL, NULL }
	};
	struct frame f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(frame_parse(cases[i].text,
		    strlen(cases[i].text), &f), 0);
		assert_int_equal(f.type, FRAME_SEND);
		if (cases[i].why != NULL) {
			assert_non_null(f.why);
			assert_non_null(strstr(f.why, cases[i].why));
		} else {
			assert_null(f.why);
			assert_string_equal(f.room_id, cases[i].room);
			assert_string_equal(f.content, cases[i].content);
			assert_int_equal(f.content_len, strlen(f.content));
			assert_string_equal(f.message_type, cases[i].type);
			assert_int_equal(f.key != NULL, cases[i].key != NULL);
		}
		frame_release(&f);
	}
}

static void
test_typing(void **state)
{
	static const struct {
		const char	*payload;
		int		 is_good, is_on;
	} cases[] = {
		{ "{\"roomId\":\"r\",\"on\":true}", 1, 1 },
		{ "{\"roomId\":\"r\",\"on\":false}", 1, 0 },
		{ "{\"roomId\":\"r\",\"on\":1}", 0, 0 },
		{ "{\"roomId\":\"r\"}", 0, 0 },
		{ "{\"on\":true}", 0, 0 },
		{ "7", 0, 0 }
	};
	struct frame f;
	char text[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "{\"type\":\"typing\","
		    "\"payload\":%s}", cases[i].payload);
		assert_int_equal(frame_parse(text, strlen(text), &f), 0);
		assert_int_equal(f.type, FRAME_TYPING);
		assert_int_equal(f.why == NULL, cases[i].is_good);
		assert_int_equal(f.is_on, cases[i].is_on);
		frame_release(&f);
	}
}

static void
test_list(void **state)
{
	static const char text[] = "[{\"type\":\"bye\"},7,null,{\"type\":2},"
	    "{\"type\":\"ping\",\"payload\":[1]},[],"
	    "{\"type\":\"typing\",\"payload\":{\"roomId\":1,\"on\":true}}]";
	static const enum frame_type types[] = { FRAME_BYE, FRAME_UNKNOWN,
	    FRAME_UNKNOWN, FRAME_UNKNOWN, FRAME_PING, FRAME_UNKNOWN,
	    FRAME_TYPING };
	struct frame *list;
	size_t i, n;
	int is_list;
	char big[1000];

	(void)state;
	assert_int_equal(frame_parse_list(text, strlen(text), &list, &n,
	    &is_list), 0);
	assert_true(is_list);
	assert_int_equal(n, 7);
	for (i = 0; i < n; i++) {
		assert_int_equal(list[i].type, types[i]);
		assert_int_equal(list[i].why != NULL,
		    types[i] == FRAME_UNKNOWN);
	}
	frame_free_list(list, n);
	assert_int_equal(frame_parse_list("[]", 2, &list, &n, &is_list), 0);
	assert_true(is_list && n == 0);
	frame_free_list(list, n);
	assert_int_equal(frame_parse_list("{\"type\":\"bye\"}", 14, &list, &n,
	    &is_list), 0);
	assert_true(!is_list && n == 1 && list->type == FRAME_BYE);
	frame_free_list(list, n);
	assert_int_equal(frame_parse_list("7", 1, &list, &n, &is_list),
	    ERR_INVAL);
	assert_int_equal(frame_parse_list("[7", 2, &list, &n, &is_list),
	    ERR_INVAL);
	/* One more than may be. */
	memset(big, '0', sizeof(big));
	for (i = 0; i <= FRAME_MAX_LIST; i++)
		big[2 * i] = i == 0 ? '[' : ',';
	big[2 * i] = ']';
	assert_int_equal(frame_parse_list(big, 2 * i + 1, &list, &n, &is_list),
	    ERR_TOOBIG);
	big[2 * i - 2] = ']';
	assert_int_equal(frame_parse_list(big, 2 * i - 1, &list, &n, &is_list),
	    0);
	assert_int_equal(n, FRAME_MAX_LIST);
	frame_free_list(list, n);
	frame_free_list(NULL, 0);
}

static void
test_ack(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	frame_print_ack(&b, "k\"", "m\\", 1, 1);
	frame_print_ack(&b, NULL, "m", 0, 0);
	assert_string_equal(buf_str(&b), "{\"type\":\"ack\",\"payload\":"
	    "{\"key\":\"k\\\"\",\"id\":\"m\\\\\","
	    "\"timestamp\":\"1970-01-01T00:00:00.000001Z\",\"duplicate\":true}}"
	    "{\"type\":\"ack\",\"payload\":{\"id\":\"m\","
	    "\"timestamp\":\"1970-01-01T00:00:00.000000Z\","
	    "\"duplicate\":false}}");
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
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_typing),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_ack)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
