/*
 * publication - what is read of a body, and what is written of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "err.h"
#include "eventlog.h"
#include "publication.h"
#include "testdb.h"

static void
test_parse(void **state)
{
	static const struct {
		const char	*text;
		const char	*why;		/* a word of it; NULL: good */
		const char	*type, *room, *user, *payload;
		int64_t		 ttl_ms;
	} cases[] = {
		{ "{\"type\":\"T\",\"payload\":{}}", NULL, "T", NULL, NULL,
		    "{}", 0 },
		{ " {\"payload\" : {\"n\":1.50,\"u\":\"a/\\u00e9\"}, \"type\":"
		    "\"T\", \"roomId\":\"r\", \"userId\":null, \"ttl\":0}\n",
		    NULL, "T", "r", NULL, "{\"n\":1.50,\"u\":\"a/\xc3\xa9\"}",
		    0 },
		{ "{\"type\":\"T\",\"payload\":{},\"userId\":17,\"ttl\":60}",
		    NULL, "T", NULL, "17", "{}", 60000 },
		{ "", "object", NULL, NULL, NULL, NULL, 0 },
		{ "[]", "object", NULL, NULL, NULL, NULL, 0 },
		{ "null", "object", NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{}", "object", NULL, NULL, NULL,
		    NULL, 0 },
		{ "{\"type\":\"\xff\",\"payload\":{}}", "object", NULL, NULL,
		    NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{\"n\":NaN}}", "object", NULL,
		    NULL, NULL, NULL, 0 },
		{ "{\"payload\":{}}", "type", NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"\",\"payload\":{}}", "type", NULL, NULL, NULL,
		    NULL, 0 },
		{ "{\"type\":\"a\\u0000b\",\"payload\":{}}", "type", NULL, NULL,
		    NULL, NULL, 0 },
		{ "{\"type\":{},\"payload\":{}}", "type", NULL, NULL, NULL,
		    NULL, 0 },
		{ "{\"type\":\"T\"}", "payload", NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":null}", "payload", NULL, NULL,
		    NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":[1]}", "payload", NULL, NULL,
		    NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},\"roomId\":\"\"}", "roomId",
		    NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},\"roomId\":1.5}", "roomId",
		    NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},\"userId\":[]}", "userId",
		    NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},\"roomId\":\"r\","
		    "\"userId\":\"u\"}", "choose", NULL, NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},\"ttl\":-1}", "ttl", NULL,
		    NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},\"ttl\":1.5}", "ttl", NULL,
		    NULL, NULL, NULL, 0 },
		{ "{\"type\":\"T\",\"payload\":{},"
		    "\"ttl\":99999999999999999999}", "ttl", NULL, NULL, NULL,
		    NULL, 0 },
	};
	struct publication p;
	const char *why;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why = "";
		rc = publication_parse(cases[i].text, strlen(cases[i].text), &p,
		    &why);
		if (cases[i].why != NULL) {
			assert_int_equal(rc, ERR_INVAL);
			if (strstr(why, cases[i].why) == NULL)
				fail_msg("%s: %s", cases[i].text, why);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(p.type, cases[i].type);
		assert_string_equal(p.payload, cases[i].payload);
		assert_int_equal(p.payload_len, strlen(p.payload));
		assert_int_equal(p.ttl_ms, cases[i].ttl_ms);
		assert_int_equal(p.room_id != NULL, cases[i].room != NULL);
		assert_int_equal(p.user_id != NULL, cases[i].user != NULL);
		if (cases[i].room != NULL)
			assert_string_equal(p.room_id, cases[i].room);
		if (cases[i].user != NULL)
			assert_string_equal(p.user_id, cases[i].user);
		publication_release(&p);
	}
}

static int
try(struct testdb *db, const char *text, const char **ret_why)
{
	struct publication p;
	int64_t pos = -1, head;
	int rc;

	*ret_why = NULL;
	assert_int_equal(publication_parse(text, strlen(text), &p, ret_why), 0);
	*ret_why = NULL;
	assert_int_equal(store_write(db->st), 0);
	rc = publication_write(&p, db->st, &pos, ret_why);
	publication_release(&p);
	if (rc < 0) {
		store_rollback(db->st);
		assert_int_equal(pos, -1);
		return rc;
	}
	assert_int_equal(store_commit(db->st), 0);
	assert_int_equal(eventlog_head(db->st, &head), 0);
	assert_int_equal(head, pos);
	return rc;
}

static void
test_write(void **state)
{
	struct testdb db;
	const char *why;
	char *big;

	(void)state;
	testdb_open(&db, NULL);
	testdb_site(&db, "INSERT INTO users(id) VALUES ('u'); INSERT INTO "
	    "rooms(id, is_private) VALUES ('r', 1)");
	assert_int_equal(try(&db, "{\"type\":\"T\",\"payload\":{}}", &why), 0);
	assert_int_equal(try(&db, "{\"type\":\"T\",\"payload\":{},"
	    "\"roomId\":\"r\"}", &why), 0);
	assert_int_equal(try(&db, "{\"type\":\"T\",\"payload\":{},"
	    "\"userId\":\"u\",\"ttl\":5}", &why), 0);
	assert_int_equal(try(&db, "{\"type\":\"T\",\"payload\":{},"
	    "\"roomId\":\"x\"}", &why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "room"));
	assert_int_equal(try(&db, "{\"type\":\"T\",\"payload\":{},"
	    "\"userId\":\"x\"}", &why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "user"));
	big = malloc(70000);
	assert_non_null(big);
	(void)snprintf(big, 70000, "{\"type\":\"T\",\"payload\":{\"a\":\"%*s\"}}",
	    65536, "");
	assert_int_equal(try(&db, big, &why), ERR_TOOBIG);
	assert_non_null(why);
	(void)snprintf(big, 70000, "{\"type\":\"%*s\",\"payload\":{}}", 129, "");
	assert_int_equal(try(&db, big, &why), ERR_TOOBIG);
	free(big);
	testdb_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
