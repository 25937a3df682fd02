/*
 * payload: what each type of event tells, letter for letter as protocol.md table 1
 * has it; what is in a row that no site should have written; the gate for payloads
 * that others wrote.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>

#include "buf.h"
#include "err.h"
#include "event.h"
#include "payload.h"
#include "testdb.h"

static const char world[] =
    "INSERT INTO users(id, name, email, avatar, is_online, bio) VALUES"
    "('ann', 'Ann', 'ann@example.org', 'a.png', 1, 'hi'),"
    "('bob', 'Bob', 'bob@example.org', NULL, 0, NULL),"
    "('cy\xc3\xa9', 'C\"y', NULL, '', 0, '');"
    "INSERT INTO rooms(id, name, is_private, created_by, description) VALUES"
    "('hall', 'The hall', 0, 'ann', 'for all'), ('den', 'Den', 1, 'bob', NULL);"
    "INSERT INTO messages(id, room_id, sender_id, sender_name, sender_avatar, "
    "content, type, timestamp) VALUES"
    "('m1', 'hall', 'ann', 'Ann', 'a.png', 'one\ntwo', 'text', '2025-01-01');"
    "INSERT INTO user_relationships(user_id, target_id, relationship_type) VALUES"
    "('ann', 'cy\xc3\xa9', 'favorite'), ('ann', 'bob', 'favorite'),"
    "('ann', 'bob', 'blocked'), ('ann', 'ann', 'blocked');";

static int
setup(void **state)
{
	static struct testdb db;

	testdb_open(&db, NULL);
	testdb_site(&db, world);
	*state = &db;
	return 0;
}

static int
teardown(void **state)
{
	testdb_close(*state);
	return 0;
}

/* Prints what an event of these columns tells, and checks that it is a JSON object. */
static int
tell(struct store *st, const char *type, const char *room, const char *user,
    const char *actor, const char *entity, const char *stored, int is_self,
    struct buf *b)
{
	struct json_object *json;
	struct event *ev;
	int rc;

	assert_int_equal(event_new(1, type, room, user, actor, entity, &ev), 0);
	buf_reset(b);
	rc = payload_print(st, ev, stored, stored == NULL ? 0 : strlen(stored),
	    is_self, b);
	event_unref(ev);
	if (rc == 1) {
		json = json_tokener_parse(buf_str(b));
		assert_true(json_object_is_type(json, json_type_object));
		json_object_put(json);
	}
	return rc;
}

#define M1 "{\"id\":\"m1\",\"roomId\":\"hall\",\"senderId\":\"ann\"," \
	"\"senderName\":\"Ann\",\"senderAvatar\":\"a.png\"," \
	"\"content\":\"one\\ntwo\",\"type\":\"text\"," \
	"\"timestamp\":\"2025-01-01\"}"
#define HALL "{\"id\":\"hall\",\"name\":\"The hall\",\"isPrivate\":false," \
	"\"createdBy\":\"ann\",\"description\":\"for all\"}"
#define DEN "{\"id\":\"den\",\"name\":\"Den\",\"isPrivate\":true," \
	"\"createdBy\":\"bob\",\"description\":\"\"}"
#define ANN "{\"id\":\"ann\",\"name\":\"Ann\",\"email\":\"\"," \
	"\"avatar\":\"a.png\",\"isOnline\":true,\"bio\":\"hi\"," \
	"\"favorites\":[],\"blocked\":[]}"
#define ANN_SELF "{\"id\":\"ann\",\"name\":\"Ann\"," \
	"\"email\":\"ann@example.org\",\"avatar\":\"a.png\"," \
	"\"isOnline\":true,\"bio\":\"hi\"," \
	"\"favorites\":[\"bob\",\"cy\xc3\xa9\"],\"blocked\":[\"bob\"]}"
#define BOB "{\"id\":\"bob\",\"name\":\"Bob\",\"email\":\"\"," \
	"\"avatar\":\"\",\"isOnline\":false,\"bio\":\"\"," \
	"\"favorites\":[],\"blocked\":[]}"
#define CY "{\"id\":\"cy\xc3\xa9\",\"name\":\"C\\\"y\",\"email\":\"\"," \
	"\"avatar\":\"\",\"isOnline\":false,\"bio\":\"\"," \
	"\"favorites\":[],\"blocked\":[]}"

static void
test_each_type(void **state)
{
	static const struct {
		const char	*type, *room, *user, *actor, *entity, *stored;
		int		 is_self;
		const char	*want;		/* NULL: nothing to tell */
	} cases[] = {
		{ "NEW_MESSAGE", "hall", NULL, "ann", "m1", NULL, 0, M1 },
		{ "NEW_MESSAGE", "hall", NULL, "ann", "gone", NULL, 0, NULL },
		{ "NEW_MESSAGE", "den", NULL, "ann", "m1", NULL, 0, NULL },
		{ "NEW_MESSAGE", "hall", NULL, NULL, NULL, NULL, 0, NULL },
		{ "MESSAGE_UPDATED", "hall", NULL, "ann", "m1", NULL, 0, M1 },
		{ "MESSAGE_DELETED", "hall", NULL, "ann", "m\"0", NULL, 0,
		    "{\"id\":\"m\\\"0\",\"roomId\":\"hall\"}" },
		{ "ROOM_CREATED", NULL, NULL, NULL, "hall", NULL, 0, HALL },
		{ "ROOM_UPDATED", NULL, NULL, NULL, "den", NULL, 0, DEN },
		{ "ROOM_UPDATED", NULL, NULL, NULL, "gone", NULL, 0, NULL },
		{ "ROOM_DELETED", NULL, NULL, NULL, "gone", NULL, 0,
		    "{\"roomId\":\"gone\"}" },
		{ "USER_JOINED", NULL, NULL, NULL, "bob", NULL, 0, BOB },
		{ "USER_UPDATE", NULL, NULL, "ann", "ann", NULL, 0, ANN },
		{ "USER_UPDATE", NULL, NULL, "ann", "ann", NULL, 1, ANN_SELF },
		{ "USER_UPDATE", NULL, NULL, "cy\xc3\xa9", NULL, NULL, 0, CY },
		{ "USER_UPDATE", NULL, "bob", NULL, NULL, NULL, 0, BOB },
		{ "USER_UPDATE", NULL, NULL, "gone", NULL, NULL, 0, NULL },
		{ "USER_LEFT", NULL, NULL, "gone", NULL, NULL, 0,
		    "{\"userId\":\"gone\"}" },
		{ "ROOM_JOINED", NULL, "ann", NULL, "den", NULL, 0,
		    "{\"roomId\":\"den\",\"userId\":\"ann\"}" },
		{ "ROOM_LEFT", NULL, "ann", NULL, "den", NULL, 0,
		    "{\"roomId\":\"den\",\"userId\":\"ann\"}" },
		{ "TYPING", "hall", NULL, "ann", NULL,
		    "{\"roomId\":\"hall\",\"userId\":\"ann\",\"on\":true}", 0,
		    "{\"roomId\":\"hall\",\"userId\":\"ann\",\"on\":true}" },
		{ "TYPING", "hall", NULL, "ann", NULL, NULL, 0, NULL },
		{ "NEW_MESSAGE", "hall", NULL, NULL, "m1", "{\"a\":1}", 0,
		    "{\"a\":1}" },
		{ "weather", NULL, NULL, NULL, NULL, "{}", 0, "{}" },
		{ "weather", NULL, NULL, NULL, NULL, "[]", 0, NULL },
		{ "weather", NULL, NULL, NULL, NULL, "{\"a\":", 0, NULL },
		{ "LOG_CREATED", NULL, "", NULL, NULL, NULL, 0, NULL },
	};
	struct testdb *db = *state;
	struct buf b;
	size_t i;
	int rc;

	buf_init(&b, EVENT_MAX_TEXT);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rc = tell(db->st, cases[i].type, cases[i].room, cases[i].user,
		    cases[i].actor, cases[i].entity, cases[i].stored,
		    cases[i].is_self, &b);
		assert_int_equal(rc, cases[i].want != NULL);
		if (cases[i].want != NULL)
			assert_string_equal(buf_str(&b), cases[i].want);
	}
	buf_release(&b);
}

static void
test_share_email(void **state)
{
	struct testdb db;
	struct buf b;

	(void)state;
	testdb_open(&db, "privacy.share_email = yes\n");
	testdb_site(&db, world);
	buf_init(&b, EVENT_MAX_TEXT);
	assert_int_equal(tell(db.st, "USER_JOINED", NULL, NULL, NULL, "ann",
	    NULL, 0, &b), 1);
	assert_non_null(strstr(buf_str(&b), "\"email\":\"ann@example.org\""));
	assert_non_null(strstr(buf_str(&b), "\"favorites\":[],\"blocked\":[]"));
	buf_release(&b);
	testdb_close(&db);
}

static void
test_personal(void **state)
{
	static const struct {
		const char	*type, *actor, *entity;
		const char	*want;
	} cases[] = {
		{ "USER_UPDATE", "ann", "ben", "ben" },
		{ "USER_UPDATE", "ann", NULL, NULL },
		{ "USER_JOINED", NULL, "ann", "ann" },
		{ "USER_LEFT", "ann", "ann", NULL },
		{ "NEW_MESSAGE", "ann", "m1", "ann" },
		{ "NEW_MESSAGE", NULL, "m1", NULL },
		{ "MESSAGE_UPDATED", "ann", "m1", NULL },
		{ "weather", "ann", "ann", NULL },
	};
	struct event *ev;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(event_new(1, cases[i].type, NULL, NULL,
		    cases[i].actor, cases[i].entity, &ev), 0);
		if (cases[i].want == NULL)
			assert_null(payload_self_id(ev));
		else
			assert_string_equal(payload_self_id(ev), cases[i].want);
		event_unref(ev);
	}
}

/* The site's columns hold anything: the answer is JSON in UTF-8 all the same. */
static void
test_odd_columns(void **state)
{
	static const char want[] = "{\"id\":\"odd\",\"roomId\":\"hall\","
	    "\"senderId\":\"7\",\"senderName\":\"\",\"senderAvatar\":\"\","
	    "\"content\":\"a\xef\xbf\xbd\\u0000z\",\"type\":\"1.5\","
	    "\"timestamp\":\"1700000000\"}";
	struct testdb *db = *state;
	struct buf b;

	testdb_site(db, "INSERT INTO messages VALUES ('odd', 'hall', 7, NULL, "
	    "printf('%.*c', 2049, 'x'), x'61ff007a', 1.5, 1700000000)");
	buf_init(&b, EVENT_MAX_TEXT);
	assert_int_equal(tell(db->st, "NEW_MESSAGE", "hall", NULL, NULL, "odd",
	    NULL, 0, &b), 1);
	assert_string_equal(buf_str(&b), want);

	testdb_site(db, "UPDATE messages SET sender_avatar = "
	    "printf('%.*c', 2048, 'x'), content = x'', type = x'e2' "
	    "WHERE id = 'odd'");
	assert_int_equal(tell(db->st, "NEW_MESSAGE", "hall", NULL, NULL, "odd",
	    NULL, 0, &b), 1);
	assert_non_null(strstr(buf_str(&b), "\"content\":\"\","
	    "\"type\":\"\xef\xbf\xbd\""));
	assert_true(b.len > 2048);

	/* A message that is over the ceiling of an event's text. */
	testdb_site(db, "UPDATE messages SET content = zeroblob(400000) "
	    "WHERE id = 'odd'");
	assert_int_equal(tell(db->st, "NEW_MESSAGE", "hall", NULL, NULL, "odd",
	    NULL, 0, &b), ERR_TOOBIG);
	buf_release(&b);
}

static void
test_normalize(void **state)
{
	static const struct {
		const char	*in, *want;	/* NULL: ERR_INVAL */
	} cases[] = {
		{ "{}", "{}" },
		{ " { \"b\" : [ 1 , -2.50 , 1e400 , true , null ] } ",
		    "{\"b\":[1,-2.50,1e400,true,null]}" },
		{ "{\"a\":{\"a\":{}},\"\":\"/\\/\\u00e9\"}",
		    "{\"a\":{\"a\":{}},\"\":\"//\xc3\xa9\"}" },
		{ "{\"a\":\"\x01\t\"}", "{\"a\":\"\\u0001\\t\"}" },
		{ "{\"a\":\"\xff\"}", "{\"a\":\"\xef\xbf\xbd\"}" },
		{ "{\"a\":\"\xed\xa0\x80\"}",
		    "{\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}" },
		{ "{\"a\":\"\\ud83d\\ude00\\ud800\"}",
		    "{\"a\":\"\xf0\x9f\x98\x80\xef\xbf\xbd\"}" },
		{ "{\"a\":\"\\u0000\"}", "{\"a\":\"\\u0000\"}" },
		{ "{\"a\":1,\"a\":2}", "{\"a\":2}" },
		{ "{\"a\":-0.0}", "{\"a\":-0.0}" },
		{ "{\"a\":1E+5}", "{\"a\":1E+5}" },
		{ "{\"a\":NaN}", NULL },
		{ "{\"a\":[-Infinity]}", NULL },
		{ "{\"a\":01.5}", NULL },
		{ "{\"a\":1.}", NULL },
		{ "{\"a\":1e}", NULL },
		{ "{\"a\":1,}", NULL },
		{ "{\"a\":/**/1}", NULL },
		{ "{} {}", NULL },
		{ "{\"a\":1", NULL },
		{ "[1]", NULL },
		{ "\"a\"", NULL },
		{ "null", NULL },
		{ "", NULL },
	};
	struct buf b, again;
	size_t i;
	int rc;

	(void)state;
	buf_init(&b, EVENT_MAX_TEXT);
	buf_init(&again, EVENT_MAX_TEXT);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&b);
		rc = payload_normalize(cases[i].in, strlen(cases[i].in), &b);
		if (cases[i].want == NULL) {
			assert_int_equal(rc, ERR_INVAL);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(buf_str(&b), cases[i].want);
		buf_reset(&again);
		assert_int_equal(payload_normalize(b.p, b.len, &again), 0);
		assert_string_equal(buf_str(&again), buf_str(&b));
	}
	buf_release(&b);
	buf_release(&again);
}

/* Appends c n times. */
static void
repeat(struct buf *b, const char *s, int n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

static void
test_normalize_limits(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 1024 * 1024);
	buf_init(&out, 1024 * 1024);

	repeat(&in, "{\"a\":", PAYLOAD_DEPTH - 2);
	buf_adds(&in, "{}");
	repeat(&in, "}", PAYLOAD_DEPTH - 2);
	assert_int_equal(payload_normalize(in.p, in.len, &out), 0);
	buf_reset(&in);
	repeat(&in, "{\"a\":", 1000);
	assert_int_equal(payload_normalize(in.p, in.len, &out), ERR_INVAL);

	buf_reset(&in);
	buf_reset(&out);
	buf_adds(&in, "{\"a\":\"");
	repeat(&in, "x", PAYLOAD_MAX - 8);
	buf_adds(&in, "\"}");
	assert_int_equal(in.len, PAYLOAD_MAX);
	assert_int_equal(payload_normalize(in.p, in.len, &out), 0);
	buf_addc(&in, ' ');
	assert_int_equal(payload_normalize(in.p, in.len, &out), ERR_TOOBIG);

	/* Short enough, but not once it is escaped. */
	buf_reset(&in);
	buf_reset(&out);
	buf_adds(&in, "{\"a\":\"");
	repeat(&in, "\x01", PAYLOAD_MAX / 2);
	buf_adds(&in, "\"}");
	assert_int_equal(payload_normalize(in.p, in.len, &out), ERR_TOOBIG);
	buf_release(&in);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_type, setup, teardown),
		cmocka_unit_test(test_share_email),
		cmocka_unit_test(test_personal),
		cmocka_unit_test_setup_teardown(test_odd_columns, setup,
		    teardown),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_normalize_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
