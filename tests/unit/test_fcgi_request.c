/*
 * Requests from an environment, and from FastCGI records on a socket.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../fcgi-poll/plain.h"
#include "../../fcgi-poll/request.h"
#include "err.h"

static int
takes_body(const struct request *req)
{
	return req->method == METHOD_POST;
}

/* --- environments --- */

static void
parse(const char *const *env, struct request *ret)
{
	char *envp[16];
	size_t i;

	for (i = 0; env[i] != NULL; i++)
		envp[i] = (char *)(uintptr_t)env[i];
	envp[i] = NULL;
	assert_int_equal(request_parse(envp, ret), 0);
}

static void
test_env(void **state)
{
	static const struct {
		const char *env[10];
		enum request_method method;
		const char *path, *query, *auth;
	} table[] = {
		{ { "REQUEST_METHOD=GET", "REQUEST_URI=/api/realtime/poll?a=1",
		    "QUERY_STRING=a=1", "SCRIPT_NAME=/x.fcgi", NULL },
		    METHOD_GET, "/api/realtime/poll", "a=1", "" },
		/* the query of the URI, where there is no other */
		{ { "REQUEST_METHOD=HEAD", "REQUEST_URI=/p?b=?c", NULL },
		    METHOD_HEAD, "/p", "b=?c", "" },
		/* rewriting added to the query */
		{ { "REQUEST_METHOD=GET", "REQUEST_URI=/p?b=2",
		    "QUERY_STRING=r=1&b=2", NULL },
		    METHOD_GET, "/p", "r=1&b=2", "" },
		{ { "REQUEST_METHOD=OPTIONS", "SCRIPT_NAME=/cgi-bin/p",
		    "PATH_INFO=/api/realtime/poll", NULL },
		    METHOD_OPTIONS, "/cgi-bin/p/api/realtime/poll", "", "" },
		{ { "REQUEST_METHOD=POST", NULL }, METHOD_POST, "", "", "" },
		{ { "REQUEST_METHOD=get", NULL }, METHOD_OTHER, "", "", "" },
		{ { "REQUEST_METHOD=GETS", NULL }, METHOD_OTHER, "", "", "" },
		/* the first that is not empty */
		{ { "REQUEST_METHOD=GET", "Authorization=c",
		    "REDIRECT_HTTP_AUTHORIZATION=b", "HTTP_AUTHORIZATION=a",
		    NULL }, METHOD_GET, "", "", "a" },
		{ { "REQUEST_METHOD=GET", "Authorization=c",
		    "REDIRECT_HTTP_AUTHORIZATION=b", "HTTP_AUTHORIZATION=",
		    NULL }, METHOD_GET, "", "", "b" },
		{ { "REQUEST_METHOD=GET", "Authorization=c", "nonsense",
		    "HTTP_AUTHORIZATIO=x", "HTTP_AUTHORIZATIONS=x", NULL },
		    METHOD_GET, "", "", "c" },
	};
	struct request req;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		parse(table[i].env, &req);
		assert_int_equal(req.method, table[i].method);
		assert_string_equal(req.path, table[i].path);
		assert_string_equal(req.query, table[i].query);
		assert_string_equal(req.authorization, table[i].auth);
		request_release(&req);
	}
}

static void
test_flags(void **state)
{
	static const struct {
		const char *env[4];
		int is_apache, is_forwarded;
	} table[] = {
		{ { "REQUEST_METHOD=GET", NULL }, 0, 0 },
		{ { "REQUEST_METHOD=GET", "SERVER_SOFTWARE=Apache/2.4.62",
		    NULL }, 1, 0 },
		{ { "REQUEST_METHOD=GET", "SERVER_SOFTWARE=hidden",
		    "CONTEXT_DOCUMENT_ROOT=/var/www", NULL }, 1, 0 },
		{ { "REQUEST_METHOD=GET", "SERVER_SOFTWARE=nginx/1.22",
		    "HTTP_X_FORWARDED_FOR=::1", NULL }, 0, 1 },
		{ { "REQUEST_METHOD=GET", "HTTP_FORWARDED=for=a", NULL },
		    0, 1 },
		{ { "REQUEST_METHOD=GET", "HTTP_X_REAL_IP=a", NULL }, 0, 1 },
	};
	struct request req;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		parse(table[i].env, &req);
		assert_int_equal(req.is_apache, table[i].is_apache);
		assert_int_equal(req.is_forwarded, table[i].is_forwarded);
		assert_string_equal(req.origin, "");
		assert_string_equal(req.remote_addr, "");
		request_release(&req);
	}
}

static void
test_no_method(void **state)
{
	char *none[] = { NULL };
	char empty[] = "REQUEST_METHOD=";
	char *envp[] = { empty, NULL };
	struct request req;

	(void)state;
	assert_int_equal(request_parse(none, &req), ERR_INVAL);
	assert_int_equal(request_parse(envp, &req), ERR_INVAL);
}

/* --- records --- */

struct wire {
	unsigned char	p[4096];
	size_t		len;
};

static void
add(struct wire *w, const void *p, size_t len)
{
	assert_true(w->len + len <= sizeof(w->p));
	if (len > 0)
		memcpy(w->p + w->len, p, len);
	w->len += len;
}

static void
add_record(struct wire *w, int type, int id, const void *p, size_t len)
{
	const unsigned char h[8] = { 1, (unsigned char)type, 0,
		(unsigned char)id, (unsigned char)(len >> 8),
		(unsigned char)len, 0, 0 };

	add(w, h, sizeof(h));
	add(w, p, len);
}

/* GET /p with a body, up to the end of `parts` parts. */
static void
make(struct wire *w, int flags, int parts, const char *body)
{
	const unsigned char begin[8] = { 0, 1, (unsigned char)flags };
	static const char params[] =
	    "\x0e\x03REQUEST_METHODGET\x0b\x02REQUEST_URI/p";

	w->len = 0;
	if (parts > 0)
		add_record(w, 1, 7, begin, sizeof(begin));
	if (parts > 1)
		add_record(w, 4, 7, params, sizeof(params) - 1);
	if (parts > 2)
		add_record(w, 4, 7, NULL, 0);
	if (parts > 3)
		add_record(w, 5, 7, body, strlen(body));
	if (parts > 4)
		add_record(w, 5, 7, NULL, 0);
}

static void
pair(int fd[2], struct request_wire *ret)
{
	const struct timeval tv = { .tv_usec = 50000 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv,
	    sizeof(tv)), 0);
	memset(ret, 0, sizeof(*ret));
	ret->fd = fd[0];
}

static void
test_read(void **state)
{
	struct request_wire wire;
	struct request req;
	struct wire w;
	int fd[2], flags;
	char c;

	(void)state;
	for (flags = 0; flags <= 1; flags++) {
		pair(fd, &wire);
		make(&w, flags, 5, "some body");
		assert_int_equal(write(fd[1], w.p, w.len), (ssize_t)w.len);
		assert_int_equal(request_read(&wire, takes_body, &req), 0);
		assert_int_equal(wire.fd, fd[0]);
		assert_int_equal(wire.id, 7);
		assert_int_equal(wire.is_kept, flags);
		assert_string_equal(req.path, "/p");
		assert_int_equal(req.is_too_large, 0);
		/* Nothing was left: the socket of a held request is silent. */
		assert_int_equal(recv(fd[0], &c, 1, MSG_DONTWAIT), -1);
		request_release(&req);
		(void)close(fd[0]);
		(void)close(fd[1]);
	}
}

/* POST /p with a body that is wanted, announced or not. */
static void
test_body(void **state)
{
	static const char params[] =
	    "\x0e\x04REQUEST_METHODPOST\x0b\x02REQUEST_URI/p"
	    "\x0c\x10""CONTENT_TYPEapplication/json\x14\x03"
	    "HTTP_IDEMPOTENCY_KEY\"k\"";
	const unsigned char begin[8] = { 0, 1, 1 };
	static const char *const bodies[] = { "", "x", "{\"a\":\"b\"}" };
	struct request_wire wire;
	struct request req;
	struct wire w;
	size_t i;
	int fd[2];

	(void)state;
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		pair(fd, &wire);
		w.len = 0;
		add_record(&w, 1, 7, begin, sizeof(begin));
		add_record(&w, 4, 7, params, sizeof(params) - 1);
		add_record(&w, 4, 7, NULL, 0);
		if (bodies[i][0] != '\0')
			add_record(&w, 5, 7, bodies[i], strlen(bodies[i]));
		add_record(&w, 5, 7, NULL, 0);
		assert_int_equal(write(fd[1], w.p, w.len), (ssize_t)w.len);
		assert_int_equal(request_read(&wire, takes_body, &req), 0);
		assert_int_equal(req.body_len, strlen(bodies[i]));
		assert_string_equal(req.body, bodies[i]);
		assert_string_equal(req.content_type, "application/json");
		assert_string_equal(req.key, "\"k\"");
		assert_int_equal(req.announced, -1);
		assert_true(wire.is_kept);
		request_release(&req);
		(void)close(fd[0]);
		(void)close(fd[1]);
	}
}

/* As CGI: what is announced, and not a byte more. */
static void
test_body_cgi(void **state)
{
	static const struct {
		const char	*length;
		int		 rc, is_too_large;
		const char	*body;		/* NULL: it is not wanted */
	} cases[] = {
		{ "CONTENT_LENGTH=4", 0, 0, "some" },
		{ "CONTENT_LENGTH=9", 0, 0, "some body" },
		{ "CONTENT_LENGTH=10", ERR_CLOSED, 0, NULL },
		{ "CONTENT_LENGTH=", 0, 0, "" },
		{ "CONTENT_LENGTH=0", 0, 0, "" },
		{ "CONTENT_LENGTH=-5", 0, 0, "" },
		{ "CONTENT_LENGTH=1048577", 0, 1, NULL },
		{ "CONTENT_LENGTH=99999999999999999999999", 0, 1, NULL },
	};
	struct request req;
	size_t i;
	int fd[2];

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(pipe(fd), 0);
		assert_int_equal(write(fd[1], "some body", 9), 9);
		(void)close(fd[1]);
		parse((const char *const[]){ "REQUEST_METHOD=POST",
		    cases[i].length, NULL }, &req);
		assert_int_equal(request_read_body(&req, fd[0], takes_body),
		    cases[i].rc);
		assert_int_equal(req.is_too_large, cases[i].is_too_large);
		if (cases[i].body != NULL)
			assert_string_equal(req.body, cases[i].body);
		else
			assert_null(req.body);
		request_release(&req);
		(void)close(fd[0]);
	}
}

static void *
feed(void *arg)
{
	int fd = *(int *)arg;
	struct wire w;
	size_t i;

	make(&w, 1, 5, "x");
	for (i = 0; i < w.len; i++)
		if (write(fd, w.p + i, 1) != 1)
			return NULL;
	return arg;
}

static void
test_byte_by_byte(void **state)
{
	struct request_wire wire;
	struct request req;
	pthread_t thread;
	int fd[2];
	void *fed;

	(void)state;
	pair(fd, &wire);
	assert_int_equal(pthread_create(&thread, NULL, feed, &fd[1]), 0);
	assert_int_equal(request_read(&wire, takes_body, &req), 0);
	assert_int_equal(pthread_join(thread, &fed), 0);
	assert_ptr_equal(fed, &fd[1]);
	assert_string_equal(req.path, "/p");
	request_release(&req);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* What stops anywhere, or is something else, is closed and never answered. */
static void
test_broken(void **state)
{
	struct request_wire wire;
	struct request req;
	struct wire w;
	int fd[2], parts, is_closed;
	char c;

	(void)state;
	for (parts = 0; parts <= 5; parts++) {
		for (is_closed = 0; is_closed <= 1; is_closed++) {
			pair(fd, &wire);
			if (parts == 5) {
				w.len = 0;
				add(&w, "GET / HTTP/1.0\r\n\r\n", 18);
			} else {
				make(&w, 1, parts, "x");
			}
			assert_int_equal(write(fd[1], w.p, w.len),
			    (ssize_t)w.len);
			if (is_closed)
				(void)shutdown(fd[1], SHUT_WR);
			assert_int_equal(request_read(&wire, takes_body, &req),
			    ERR_CLOSED);
			assert_int_equal(wire.fd, -1);
			assert_true(read(fd[1], &c, 1) <= 0);
			(void)close(fd[1]);
		}
	}
}

/* --- without the library --- */

static unsigned seed = 20251130;

static unsigned
chance(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % below;
}

/* A pair of parameters, its lengths in one byte or in four; sometimes wrong. */
static void
add_pair(struct wire *w, const char *name, const char *value, size_t len)
{
	const size_t lens[2] = { strlen(name), len };
	unsigned char b[4];
	int i;

	for (i = 0; i < 2; i++) {
		b[0] = 0x80;
		b[1] = 0;
		b[2] = (unsigned char)(lens[i] >> 8);
		b[3] = (unsigned char)lens[i];
		if (lens[i] > 127 || chance(8) == 0)
			add(w, b, 4);
		else
			add(w, b + 3, 1);
	}
	add(w, name, lens[0]);
	add(w, value, len);
}

static void
make_random(struct wire *ret)
{
	static const char *const name[] = {
		"REQUEST_METHOD", "REQUEST_METHOD", "REQUEST_URI",
		"REQUEST_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING",
		"HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION",
		"Authorization", "HTTP_ORIGIN", "REMOTE_ADDR",
		"SERVER_SOFTWARE", "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED",
		"CONTEXT_DOCUMENT_ROOT", "HTTP_X_REAL_IP", "HTTP_X_REAL_I", "HTTP_COOKIE", "",
		"REQUEST_METHODS"
	};
	static const char *const value[] = {
		"GET", "POST", "", "/p?q=1", "/p", "?", "a\0b", "Apache/2",
		"Apach", "Bearer x", "*"
	};
	const unsigned char begin[8] = { 0, 1, (unsigned char)chance(2) };
	char text[300];
	struct wire params = { .len = 0 };
	unsigned i, n = chance(12), v;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < n; i++) {
		v = chance(sizeof(value) / sizeof(value[0]) + 1);
		if (v == sizeof(value) / sizeof(value[0]))
			add_pair(&params, name[chance(sizeof(name) /
			    sizeof(name[0]))], text, chance(sizeof(text)));
		else
			add_pair(&params, name[chance(sizeof(name) /
			    sizeof(name[0]))], value[v], v == 6 ? 3 :
			    strlen(value[v]));
	}
	/* Now and then something is cut off. */
	if (params.len > 0 && chance(10) == 0)
		params.len -= 1 + chance((unsigned)params.len);
	ret->len = 0;
	add_record(ret, 1, 7, begin, sizeof(begin));
	if (params.len > 0)
		add_record(ret, 4, 7, params.p, params.len);
	add_record(ret, 4, 7, NULL, 0);
	add_record(ret, 5, 7, NULL, 0);
}

static void
assert_same(const struct request *a, const struct request *b)
{
	assert_int_equal(a->method, b->method);
	assert_string_equal(a->path, b->path);
	assert_string_equal(a->query, b->query);
	assert_string_equal(a->authorization, b->authorization);
	assert_string_equal(a->origin, b->origin);
	assert_string_equal(a->remote_addr, b->remote_addr);
	assert_int_equal(a->is_apache, b->is_apache);
	assert_int_equal(a->is_forwarded, b->is_forwarded);
}

/* Whatever is plain is read as the library reads it. */
static void
test_plain(void **state)
{
	struct request_wire wire, plain_wire;
	struct request req, plain;
	size_t plain_len;
	struct wire w;
	int fd[2], plain_fd[2], i, rc, n_plain = 0, n_good = 0;

	(void)state;
	for (i = 0; i < 4000; i++) {
		make_random(&w);
		assert_int_equal(plain_scan(w.p, w.len, &plain_len), 1);
		assert_true(plain_len == 0 || plain_len == w.len);
		if (plain_len == 0)
			continue;
		n_plain++;
		pair(fd, &wire);
		pair(plain_fd, &plain_wire);
		assert_int_equal(write(fd[1], w.p, w.len), (ssize_t)w.len);
		assert_int_equal(write(plain_fd[1], w.p, w.len),
		    (ssize_t)w.len);
		rc = request_read(&wire, takes_body, &req);
		assert_int_equal(plain_read(&plain_wire, plain_len, &plain),
		    rc);
		if (rc == 0) {
			n_good++;
			assert_int_equal(plain_wire.id, wire.id);
			assert_int_equal(plain_wire.is_kept, wire.is_kept);
			assert_same(&req, &plain);
			request_release(&req);
			request_release(&plain);
			(void)close(wire.fd);
		}
		(void)close(plain_wire.fd);
		(void)close(fd[1]);
		(void)close(plain_fd[1]);
	}
	assert_true(n_plain > 3000 && n_good > 1000 && n_good < n_plain);
}

/* What is not there to its end, or is not as usual, is not for us. */
static void
test_scan(void **state)
{
	static const struct {
		size_t at;
		unsigned char to;
	} flip[] = {
		{ 0, 2 }, { 1, 2 }, { 3, 8 }, { 5, 7 }, { 9, 2 }, { 16, 0 },
		{ 17, 5 }, { 19, 8 }, { 6, 8 },
	};
	size_t len, plain_len, i;
	struct wire w;

	(void)state;
	make(&w, 1, 5, "");
	/* With an empty body the first record of STDIN is its end. */
	w.len -= 8;
	for (len = 0; len <= w.len; len++) {
		assert_int_equal(plain_scan(w.p, len, &plain_len),
		    len == w.len);
		assert_int_equal(plain_len, len == w.len ? len : 0);
	}
	for (i = 0; i < sizeof(flip) / sizeof(flip[0]); i++) {
		make(&w, 1, 5, "");
		w.p[flip[i].at] = flip[i].to;
		assert_int_equal(plain_scan(w.p, w.len - 8, &plain_len), 0);
	}
	/* Number 0 is no request's (FastCGI 1.0, section 3.3). */
	make(&w, 1, 5, "");
	for (i = 0; i < w.len; i += 8 + w.p[i + 5])
		w.p[i + 3] = 0;
	assert_int_equal(plain_scan(w.p, w.len - 8, &plain_len), 0);
	/* Behind it another begins: that is not this one's. */
	make(&w, 1, 5, "");
	assert_int_equal(plain_scan(w.p, w.len, &plain_len), 1);
	assert_int_equal(plain_len, w.len - 8);
	make(&w, 1, 5, "a body");
	assert_int_equal(plain_scan(w.p, w.len, &plain_len), 1);
	assert_int_equal(plain_len, 0);
	/* With padding that the library does not see it is not whole to it. */
	make(&w, 1, 3, "");
	w.p[w.len - 2] = 8;
	add(&w, "\1\5\0\7\0\1\0\0", 8);
	add_record(&w, 5, 7, "x", 1);
	add_record(&w, 5, 7, NULL, 0);
	assert_int_equal(plain_scan(w.p, w.len, &plain_len), 0);
}

static int
setup(void **state)
{
	(void)state;
	return request_init();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_no_method),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_body_cgi),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_scan),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
