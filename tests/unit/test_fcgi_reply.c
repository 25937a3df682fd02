/*
 * The bytes of an answer, as CGI and as FastCGI records.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../fcgi-poll/reply.h"
#include "../../fcgi-poll/request.h"

#define ALWAYS \
	"Cache-Control: no-store\r\n" \
	"X-Content-Type-Options: nosniff\r\n" \
	"Vary: Authorization, Origin\r\n"

static void
assert_cgi(struct reply *rep, const char *want)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	reply_print_cgi(rep, &out);
	assert_int_equal(buf_err(&out), 0);
	assert_string_equal(buf_str(&out), want);
	buf_release(&out);
	reply_release(rep);
}

static void
test_ok(void **state)
{
	struct reply rep;

	(void)state;
	reply_init(&rep);
	buf_adds(&rep.body, "{}");
	rep.origin = "https://a.example";
	assert_cgi(&rep, "Status: 200 OK\r\nContent-Type: application/json\r\n"
	    "Content-Length: 2\r\n" ALWAYS
	    "Access-Control-Allow-Origin: https://a.example\r\n"
	    "Access-Control-Expose-Headers: Retry-After, WWW-Authenticate\r\n"
	    "\r\n{}");
}

static void
test_head(void **state)
{
	struct reply rep;

	(void)state;
	reply_init(&rep);
	buf_adds(&rep.body, "{}");
	rep.is_head = 1;
	assert_cgi(&rep, "Status: 200 OK\r\nContent-Type: application/json\r\n"
	    "Content-Length: 2\r\n" ALWAYS "\r\n");
}

static void
test_preflight(void **state)
{
	struct reply rep;

	(void)state;
	reply_init(&rep);
	rep.status = 204;
	rep.is_preflight = 1;
	rep.allow = METHOD_GET | METHOD_OPTIONS;
	rep.origin = "*";
	assert_cgi(&rep, "Status: 204 No Content\r\n"
	    "Content-Type: application/json\r\n" ALWAYS
	    "Allow: GET, OPTIONS\r\n"
	    "Access-Control-Allow-Origin: *\r\n"
	    "Access-Control-Allow-Methods: GET, OPTIONS\r\n"
	    "Access-Control-Allow-Headers: Authorization, Content-Type, "
	    "Idempotency-Key\r\n"
	    "Access-Control-Max-Age: 600\r\n\r\n");
}

/* Headers that a refusal has besides the usual ones. */
static void
test_problems(void **state)
{
	static const struct {
		enum problem p;
		int is_anonymous, retry_after_s;
		const char *scope, *status, *header;
	} table[] = {
		{ PROBLEM_MISSING_TOKEN, 1, 0, NULL, "401 Unauthorized",
		    "WWW-Authenticate: Bearer realm=\"sidewire\"\r\n" },
		{ PROBLEM_TOKEN_EXPIRED, 0, 0, NULL, "401 Unauthorized",
		    "WWW-Authenticate: Bearer realm=\"sidewire\", "
		    "error=\"invalid_token\"\r\n" },
		{ PROBLEM_FORBIDDEN_SCOPE, 0, 0, "metrics", "403 Forbidden",
		    "WWW-Authenticate: Bearer realm=\"sidewire\", "
		    "error=\"insufficient_scope\", scope=\"metrics\"\r\n" },
		{ PROBLEM_RATE_LIMITED, 0, 7, NULL, "429 Too Many Requests",
		    "Retry-After: 7\r\n" },
		{ PROBLEM_BUSY, 0, 0, NULL, "503 Service Unavailable",
		    "Retry-After: 1\r\n" },
	};
	struct reply rep;
	struct buf out;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		reply_init(&rep);
		buf_adds(&rep.body, "half an answer");
		rep.is_anonymous = table[i].is_anonymous;
		rep.retry_after_s = table[i].retry_after_s;
		rep.scope = table[i].scope;
		reply_problem(&rep, table[i].p, "why \"not\"");
		buf_init(&out, 1 << 20);
		reply_print_cgi(&rep, &out);
		assert_non_null(strstr(buf_str(&out), table[i].status));
		assert_non_null(strstr(buf_str(&out), table[i].header));
		assert_non_null(strstr(buf_str(&out),
		    "Content-Type: application/problem+json\r\n"));
		assert_non_null(strstr(buf_str(&out), "why \\\"not\\\""));
		assert_null(strstr(buf_str(&out), "half"));
		buf_release(&out);
		reply_release(&rep);
	}
}

/* A body that could not be built is a refusal, not half a body. */
static void
test_body_failed(void **state)
{
	struct reply rep;
	struct buf out;

	(void)state;
	reply_init(&rep);
	rep.body.max = 200;
	buf_adds(&rep.body, "{\"events\":[");
	buf_reserve(&rep.body, 1000);
	buf_init(&out, 1 << 20);
	reply_print_cgi(&rep, &out);
	assert_non_null(strstr(buf_str(&out), "Status: 503"));
	assert_null(strstr(buf_str(&out), "events"));
	buf_release(&out);
	reply_release(&rep);
}

/* Reads records back: the stream's bytes, and what ends them. */
static size_t
unpack(const struct buf *out, int id, char *ret, size_t size)
{
	const unsigned char *p = (const unsigned char *)out->p;
	const unsigned char *end = p + out->len;
	size_t n, len = 0;
	int is_eof = 0;

	while (end - p >= 8 && p[1] == 6) {
		assert_int_equal(p[0], 1);
		assert_int_equal(p[2] << 8 | p[3], id);
		n = (size_t)(p[4] << 8 | p[5]);
		assert_int_equal(p[6], 0);
		assert_false(is_eof);
		is_eof = n == 0;
		assert_true(len + n < size);
		memcpy(ret + len, p + 8, n);
		len += n;
		p += 8 + n;
	}
	assert_true(is_eof);
	assert_int_equal(end - p, 16);
	assert_int_equal(p[1], 3);
	assert_int_equal(p[4] << 8 | p[5], 8);
	assert_memory_equal(p + 8, "\0\0\0\0\0\0\0\0", 8);
	return len;
}

static void
test_records(void **state)
{
	static const size_t sizes[] = {
		0, 1, 65000, 65535, 65536, 70000, 131070, 200000
	};
	struct buf cgi, fcgi;
	struct reply rep;
	char *back;
	size_t i, j, len;

	(void)state;
	back = malloc(1 << 20);
	assert_non_null(back);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		reply_init(&rep);
		for (j = 0; j < sizes[i]; j++)
			buf_addc(&rep.body, (char)('a' + j % 23));
		buf_init(&cgi, 1 << 20);
		buf_init(&fcgi, 1 << 20);
		reply_print_cgi(&rep, &cgi);
		reply_print_fcgi(&rep, 0x1234, &fcgi);
		len = unpack(&fcgi, 0x1234, back, 1 << 20);
		assert_int_equal(len, cgi.len);
		assert_memory_equal(back, cgi.p, len);
		buf_release(&cgi);
		buf_release(&fcgi);
		reply_release(&rep);
	}
	free(back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ok),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_preflight),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_body_failed),
		cmocka_unit_test(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
