/*
 * Refusals against the contract (protocol.md, sections 3 and 4), the JSON form
 * as json-c reads it, and that every error of ours means something.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "problem.h"

static void
test_contract(void **state)
{
	static const struct {
		enum problem	 p;
		const char	*code;
		int		 status;
		int		 close;
		const char	*reason;
	} row[] = {
		{ PROBLEM_MISSING_TOKEN, "missing_token", 401, 1008,
		    "Authentication required" },
		{ PROBLEM_INVALID_TOKEN, "invalid_token", 401, 1008,
		    "Invalid token" },
		{ PROBLEM_TOKEN_EXPIRED, "token_expired", 401, 1008,
		    "Token expired" },
		{ PROBLEM_REVOKED, "revoked", 401, 1008, "Revoked" },
		{ PROBLEM_FORBIDDEN_ROOM, "forbidden_room", 403, 0, NULL },
		{ PROBLEM_FORBIDDEN_SCOPE, "forbidden_scope", 403, 0, NULL },
		{ PROBLEM_ORIGIN_DENIED, "origin_denied", 403, 1008,
		    "Origin not allowed" },
		{ PROBLEM_BAD_REQUEST, "bad_request", 400, 0, NULL },
		{ PROBLEM_NOT_FOUND, "not_found", 404, 0, NULL },
		{ PROBLEM_METHOD, "method", 405, 0, NULL },
		{ PROBLEM_TOO_LARGE, "too_large", 413, 1009,
		    "Message too large" },
		{ PROBLEM_MEDIA_TYPE, "media_type", 415, 0, NULL },
		{ PROBLEM_KEY_REUSED, "key_reused", 422, 0, NULL },
		{ PROBLEM_RATE_LIMITED, "rate_limited", 429, 4429,
		    "Too many requests" },
		{ PROBLEM_BUSY, "busy", 503, 0, NULL },
		{ PROBLEM_OVERLOADED, "overloaded", 503, 1013, "Overloaded" },
		{ PROBLEM_DRAINING, "draining", 503, 1001, "Going away" },
		{ PROBLEM_INTERNAL, "internal", 500, 1011, "Internal error" },
	};
	const struct problem_info *info;
	size_t i;

	(void)state;
	assert_int_equal(sizeof(row) / sizeof(row[0]), PROBLEM_COUNT - 1);
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		info = problem_info(row[i].p);
		assert_string_equal(info->code, row[i].code);
		assert_int_equal(info->status, row[i].status);
		assert_int_equal(info->close, row[i].close);
		if (row[i].reason == NULL)
			assert_null(info->reason);
		else
			assert_string_equal(info->reason, row[i].reason);
		/* A control frame has 125 bytes, 2 of them the code. */
		assert_true(info->reason == NULL ||
		    strlen(info->reason) <= 123);
		assert_true(*info->title != '\0' && *info->detail != '\0');
		/* RFC 6585 section 4, RFC 9110 section 15.6.4 */
		assert_int_equal(info->retry_after_s > 0,
		    info->status == 429 || info->status == 503);
	}
}

static void
test_outside(void **state)
{
	(void)state;
	assert_ptr_equal(problem_info(PROBLEM_COUNT),
	    problem_info(PROBLEM_INTERNAL));
	assert_ptr_equal(problem_info((enum problem)-1),
	    problem_info(PROBLEM_INTERNAL));
	assert_string_equal(problem_info(PROBLEM_NONE)->code, "none");
}

static void
test_errors(void **state)
{
	static const struct {
		int		 err;
		const char	*name;
		enum problem	 p;
	} row[] = {
		{ 0, "OK", PROBLEM_NONE },
		{ 7, "OK", PROBLEM_NONE },
		{ ERR_INVAL, "ERR_INVAL", PROBLEM_BAD_REQUEST },
		{ ERR_AGAIN, "ERR_AGAIN", PROBLEM_BUSY },
		{ ERR_NOMEM, "ERR_NOMEM", PROBLEM_OVERLOADED },
		{ ERR_IO, "ERR_IO", PROBLEM_INTERNAL },
		{ ERR_TOOBIG, "ERR_TOOBIG", PROBLEM_TOO_LARGE },
		{ ERR_BUSY, "ERR_BUSY", PROBLEM_BUSY },
		{ ERR_NOTFOUND, "ERR_NOTFOUND", PROBLEM_NOT_FOUND },
		{ ERR_SCHEMA, "ERR_SCHEMA", PROBLEM_INTERNAL },
		{ ERR_FULL, "ERR_FULL", PROBLEM_OVERLOADED },
		{ ERR_READONLY, "ERR_READONLY", PROBLEM_INTERNAL },
		{ ERR_EXISTS, "ERR_EXISTS", PROBLEM_BAD_REQUEST },
		{ ERR_DENIED, "ERR_DENIED", PROBLEM_FORBIDDEN_ROOM },
		{ ERR_EXPIRED, "ERR_EXPIRED", PROBLEM_TOKEN_EXPIRED },
		{ ERR_CLOSED, "ERR_CLOSED", PROBLEM_DRAINING },
		{ ERR_CLOSED - 1, "ERR_UNKNOWN", PROBLEM_INTERNAL },
		{ INT32_MIN, "ERR_UNKNOWN", PROBLEM_INTERNAL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_string_equal(err_name(row[i].err), row[i].name);
		assert_int_equal(problem_of_err(row[i].err), row[i].p);
	}
}

static const char *
member(struct json_object *o, const char *name)
{
	struct json_object *v;

	assert_true(json_object_object_get_ex(o, name, &v));
	return json_object_get_string(v);
}

static void
test_print(void **state)
{
	static const char detail[] = "say \"no\"\n</script>\x01 \xc3\xa9";
	struct json_object *o;
	struct buf b;
	int p;

	(void)state;
	buf_init(&b, 4096);
	for (p = 0; p <= PROBLEM_COUNT; p++) {
		buf_reset(&b);
		problem_print(&b, (enum problem)p, p % 2 ? detail : NULL);
		assert_int_equal(buf_err(&b), 0);
		o = json_tokener_parse(buf_str(&b));
		assert_non_null(o);
		assert_int_equal(json_object_object_length(o), 5);
		assert_string_equal(member(o, "type"), "about:blank");
		assert_string_equal(member(o, "title"),
		    problem_info((enum problem)p)->title);
		assert_string_equal(member(o, "code"),
		    problem_info((enum problem)p)->code);
		assert_string_equal(member(o, "detail"), p % 2 ? detail :
		    problem_info((enum problem)p)->detail);
		assert_int_equal(json_object_get_int(
		    json_object_object_get(o, "status")),
		    problem_info((enum problem)p)->status);
		json_object_put(o);
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contract),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
