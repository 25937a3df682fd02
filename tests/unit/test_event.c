/*
 * event: the struct and its strings, the texts and their free bytes in front, and
 * the string printer, whose output must be JSON and UTF-8 whatever it is given.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"

#define NO_LIMIT	(16 * 1024 * 1024)
#define R		"\xef\xbf\xbd"		/* U+FFFD */
#define TEXT(s)		s, sizeof(s) - 1

static struct event *
new_event(const char *entity_id)
{
	struct event *ev;

	assert_int_equal(event_new(1764518400000123, "NEW_MESSAGE", "r1", NULL,
	    "u1", entity_id, &ev), 0);
	return ev;
}

static void
test_new(void **state)
{
	char type[] = "T", room[] = "room", user[] = "", actor[] = "a";
	struct event *ev;

	(void)state;
	assert_int_equal(event_new(-5, type, room, user, actor, NULL, &ev), 0);
	memset(type, 'x', 1);
	memset(room, 'x', 4);
	memset(actor, 'x', 1);
	assert_int_equal(ev->id, -5);
	assert_string_equal(ev->type, "T");
	assert_string_equal(ev->room_id, "room");
	assert_string_equal(ev->user_id, "");
	assert_string_equal(ev->actor_id, "a");
	assert_null(ev->entity_id);
	assert_null(ev->text);
	assert_null(ev->self);
	assert_int_equal(ev->expires_at, 0);
	assert_int_equal(ev->is_private | ev->is_open | ev->is_self, 0);
	assert_int_equal(ev->refs, 1);
	assert_ptr_equal(event_ref(ev), ev);
	assert_int_equal(ev->refs, 2);
	event_unref(ev);
	assert_int_equal(ev->refs, 1);
	event_unref(ev);
	event_unref(NULL);
}

static void
test_texts(void **state)
{
	static const char want[] = "{\"type\":\"NEW_MESSAGE\",\"payload\":"
	    "{\"id\":\"7\"},\"timestamp\":\"2025-11-30T16:00:00.000123Z\"}";
	struct event *ev = new_event("u7");
	const char *got;
	size_t len;

	(void)state;
	assert_null(event_get_text(ev, "u7", &len));
	assert_int_equal(len, 0);
	assert_int_equal(event_set_text(ev, "NEW_MESSAGE",
	    TEXT("{\"id\":\"7\"}"), 0), 0);
	assert_int_equal(ev->text_len, sizeof(want) - 1);
	assert_string_equal(ev->text, want);
	/* What is in front is ours to write. */
	memset(ev->text - EVENT_PRE, 0xa5, EVENT_PRE);
	assert_string_equal(event_get_text(ev, "u7", &len), want);

	assert_int_equal(event_set_text(ev, "A\"B", TEXT("{}"), 1), 0);
	assert_int_equal(ev->is_self, 1);
	memset(ev->self - EVENT_PRE, 0xa5, EVENT_PRE);
	got = event_get_text(ev, "u7", &len);
	assert_string_equal(got, "{\"type\":\"A\\\"B\",\"payload\":{},"
	    "\"timestamp\":\"2025-11-30T16:00:00.000123Z\"}");
	assert_int_equal(len, strlen(got));
	assert_string_equal(event_get_text(ev, "u8", &len), want);
	assert_int_equal(len, sizeof(want) - 1);
	assert_string_equal(event_get_text(ev, "u", &len), want);
	assert_string_equal(event_get_text(ev, NULL, &len), want);

	/* A second text replaces the first. */
	assert_int_equal(event_set_text(ev, "X", TEXT("{}"), 0), 0);
	assert_int_equal(event_set_text(ev, "X", TEXT("{}"), 1), 0);
	event_unref(ev);

	/* Nobody is meant, so nobody is himself. */
	ev = new_event(NULL);
	assert_int_equal(event_set_text(ev, "X", TEXT("{}"), 1), 0);
	assert_null(event_get_text(ev, "u7", &len));
	event_unref(ev);
}

static void
test_too_big(void **state)
{
	static char payload[EVENT_MAX_TEXT];
	struct event *ev = new_event("u7");
	char type[] = "\"";
	size_t most;

	(void)state;
	memset(payload, ' ', sizeof(payload));
	assert_int_equal(event_set_text(ev, "X", TEXT("{}"), 0), 0);
	most = EVENT_MAX_TEXT - (ev->text_len - 2);
	assert_int_equal(event_set_text(ev, "X", payload, most, 0), 0);
	assert_int_equal(ev->text_len, EVENT_MAX_TEXT);
	assert_int_equal(event_set_text(ev, "X", payload, most + 1, 0),
	    ERR_TOOBIG);
	/* It is the escape that is too much here. */
	assert_int_equal(event_set_text(ev, type, payload, most, 0),
	    ERR_TOOBIG);
	assert_int_equal(event_set_text(ev, "X", payload, sizeof(payload), 1),
	    ERR_TOOBIG);
	/* The text is the one from before. */
	assert_int_equal(ev->text_len, EVENT_MAX_TEXT);
	assert_int_equal(ev->is_self, 0);
	event_unref(ev);
}

static const struct {
	const char	*in;
	size_t		 len;
	const char	*want;
} strings[] = {
	{ TEXT(""), "" },
	{ TEXT("abc"), "abc" },
	{ TEXT("exactly 8."), "exactly 8." },
	{ TEXT("a longer text, of several words of eight bytes"),
	    "a longer text, of several words of eight bytes" },
	{ TEXT("\"\\/"), "\\\"\\\\/" },
	{ TEXT("\b\f\n\r\t"), "\\b\\f\\n\\r\\t" },
	{ TEXT("\0\1\v\x1f\x7f"), "\\u0000\\u0001\\u000b\\u001f\x7f" },
	{ TEXT("1234567\"90123456\\89"), "1234567\\\"90123456\\\\89" },
	{ TEXT("<a href='x'>&amp;</a>"), "<a href='x'>&amp;</a>" },
	/* The first and last of each length, and around the surrogates. */
	{ TEXT("\xc2\x80\xdf\xbf"), "\xc2\x80\xdf\xbf" },
	{ TEXT("\xe0\xa0\x80\xef\xbf\xbf"), "\xe0\xa0\x80\xef\xbf\xbf" },
	{ TEXT("\xed\x9f\xbf\xee\x80\x80"), "\xed\x9f\xbf\xee\x80\x80" },
	{ TEXT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
	{ TEXT("\xe2\x80\xa8\xe2\x80\xa9"), "\xe2\x80\xa8\xe2\x80\xa9" },
	{ TEXT("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80!"),
	    "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80!" },
	/* The Unicode Standard, tables 3-8 to 3-11. */
	{ TEXT("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), R R R R R R R R "A" },
	{ TEXT("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), R R R R R R R R "A" },
	{ TEXT("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), R R R R R "A" R R "B" },
	{ TEXT("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), R R R R "A" },
	{ TEXT("\x80"), R },
	{ TEXT("\xc1\xbf"), R R },
	{ TEXT("\xf5\x80\x80\x80"), R R R R },
	{ TEXT("\xf0\x8f\xbf\xbf"), R R R R },
	{ TEXT("\xfe\xff"), R R },
	/* Cut off. */
	{ TEXT("a\xc3"), "a" R },
	{ TEXT("a\xe2\x82"), "a" R },
	{ TEXT("a\xf0\x9f\x98"), "a" R },
	{ TEXT("\xf0\x9f\x98\"\n"), R "\\\"\\n" },
	{ TEXT("12345678\xc3(12345678"), "12345678" R "(12345678" },
};

/* Prints from an allocation that ends with the string, for the sanitizer. */
static void
print(struct buf *b, const char *s, size_t len)
{
	char *copy = malloc(len + (len == 0));

	assert_non_null(copy);
	memcpy(copy, s, len);
	event_print_string(b, copy, len);
	free(copy);
	assert_int_equal(buf_err(b), 0);
}

static void
test_strings(void **state)
{
	struct buf b;
	size_t i, len;

	(void)state;
	buf_init(&b, NO_LIMIT);
	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		buf_reset(&b);
		print(&b, strings[i].in, strings[i].len);
		len = strlen(strings[i].want);
		if (b.len != len + 2 || b.p[0] != '"' || b.p[b.len - 1] != '"'
		    || memcmp(b.p + 1, strings[i].want, len) != 0)
			fail_msg("case %zu: %s", i, b.p);
	}
	buf_reset(&b);
	event_print_string(&b, NULL, 5);
	assert_string_equal(buf_str(&b), "null");
	buf_release(&b);
	/* A buffer that is full remembers it. */
	buf_init(&b, 8);
	event_print_string(&b, "123456", 6);
	assert_int_equal(buf_err(&b), 0);
	buf_reset(&b);
	event_print_string(&b, "12345\n", 6);
	assert_int_equal(buf_err(&b), ERR_TOOBIG);
	buf_release(&b);
}

/* Every byte at every place of a word, among others that are plain. */
static void
test_places(void **state)
{
	static const char pad[] = "abcdefghijklmnopqrstuvwx";
	char in[sizeof(pad)];
	struct buf b, alone;
	int c, at;

	(void)state;
	buf_init(&b, NO_LIMIT);
	buf_init(&alone, NO_LIMIT);
	for (c = 0; c < 256; c++) {
		in[0] = (char)c;
		buf_reset(&alone);
		print(&alone, in, 1);
		for (at = 0; at < (int)sizeof(pad) - 1; at++) {
			memcpy(in, pad, sizeof(in));
			in[at] = (char)c;
			buf_reset(&b);
			print(&b, in, sizeof(pad) - 1);
			assert_int_equal(b.len,
			    alone.len + sizeof(pad) - 2);
			assert_memory_equal(b.p + 1, pad, at);
			assert_memory_equal(b.p + 1 + at, alone.p + 1,
			    alone.len - 2);
			assert_memory_equal(b.p + 1 + at + alone.len - 2,
			    pad + at + 1, sizeof(pad) - 2 - (size_t)at);
		}
	}
	buf_release(&b);
	buf_release(&alone);
}

/* Appends a character of the given code point. */
static size_t
put_utf8(char *at, unsigned code)
{
	if (code < 0x80) {
		at[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		at[0] = (char)(0xc0 | code >> 6);
		at[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		at[0] = (char)(0xe0 | code >> 12);
		at[1] = (char)(0x80 | (code >> 6 & 63));
		at[2] = (char)(0x80 | (code & 63));
		return 3;
	}
	at[0] = (char)(0xf0 | code >> 18);
	at[1] = (char)(0x80 | (code >> 12 & 63));
	at[2] = (char)(0x80 | (code >> 6 & 63));
	at[3] = (char)(0x80 | (code & 63));
	return 4;
}

static int
is_surrogate(unsigned code)
{
	return code >= 0xd800 && code < 0xe000;
}

/* Parses what was printed; json-c checks that it is UTF-8. */
static struct json_object *
parse(struct json_tokener *tok, const struct buf *b)
{
	struct json_object *v;

	json_tokener_reset(tok);
	v = json_tokener_parse_ex(tok, b->p, (int)b->len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success
	    || !json_object_is_type(v, json_type_string))
		fail_msg("not a JSON string: %s", b->p);
	return v;
}

static struct json_tokener *
new_tokener(void)
{
	struct json_tokener *tok = json_tokener_new();

	assert_non_null(tok);
	json_tokener_set_flags(tok,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return tok;
}

/* Each code point there is comes back as it was; a surrogate does not. */
static void
test_code_points(void **state)
{
	struct json_tokener *tok = new_tokener();
	struct json_object *v;
	struct buf b;
	char in[16];
	unsigned code;
	size_t len;

	(void)state;
	buf_init(&b, NO_LIMIT);
	for (code = 0; code < 0x110000; code++) {
		len = put_utf8(in, code);
		buf_reset(&b);
		event_print_string(&b, in, len);
		if (is_surrogate(code)) {
			assert_string_equal(b.p, "\"" R R R "\"");
			continue;
		}
		if (code >= 0x80) {
			assert_int_equal(b.len, len + 2);
			assert_memory_equal(b.p + 1, in, len);
			if (code % 61 != 0)	/* json-c is slow */
				continue;
		}
		v = parse(tok, &b);
		assert_int_equal(json_object_get_string_len(v), len);
		assert_memory_equal(json_object_get_string(v), in, len);
		json_object_put(v);
	}
	buf_release(&b);
	json_tokener_free(tok);
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 33;
}

/* A character, or half of one, or a byte that is none. */
static size_t
put_random(uint64_t *seed, char *at)
{
	static const unsigned below[] = { 0x80, 0x80, 0x800, 0x10000, 0x110000 };
	static const char special[] = "\"\\\n\x7f\x80\xbf\xc0\xed\xf4\xff";
	uint64_t kind = next_random(seed) % 8;
	size_t len;

	if (kind < 5)
		return put_utf8(at, (unsigned)(next_random(seed)
		    % below[kind]));
	if (kind == 5) {
		*at = (char)next_random(seed);
		return 1;
	}
	if (kind == 6) {
		*at = special[next_random(seed) % (sizeof(special) - 1)];
		return 1;
	}
	len = put_utf8(at, (unsigned)(0x80 + next_random(seed) % 0x10ff80));
	return 1 + next_random(seed) % len;
}

/* Whatever goes in, JSON in UTF-8 comes out; and that goes through unchanged. */
static void
test_random(void **state)
{
	struct json_tokener *tok = new_tokener();
	struct json_object *v;
	uint64_t seed = 1;
	char in[128];
	struct buf b, again;
	size_t len, want;
	int i;

	(void)state;
	buf_init(&b, NO_LIMIT);
	buf_init(&again, NO_LIMIT);
	for (i = 0; i < 50000; i++) {
		want = next_random(&seed) % 100;
		for (len = 0; len < want; )
			len += put_random(&seed, in + len);
		buf_reset(&b);
		print(&b, in, len);
		v = parse(tok, &b);
		buf_reset(&again);
		print(&again, json_object_get_string(v),
		    (size_t)json_object_get_string_len(v));
		assert_int_equal(again.len, b.len);
		assert_memory_equal(again.p, b.p, b.len);
		json_object_put(v);
	}
	buf_release(&b);
	buf_release(&again);
	json_tokener_free(tok);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_code_points),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
