/*
 * The plain reader of FastCGI records beside the library: what the one takes, the other
 * must have read alike; and what is said to be there to its end must not block.
 *
 * The first byte says whether the rest is records, or parameters to be put into some.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../fcgi-poll/plain.h"
#include "../../fcgi-poll/request.h"
#include "err.h"
#include "fuzz.h"

#define MAX	(PLAIN_MAX + 64)

/* The library leaks with each management record that it does not know. */
int	 __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return 1;
}

static int
takes_body(const struct request *req)
{
	return req->method == METHOD_POST;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	EXPECT(request_init() == 0);
	return 0;
}

/* The records of a request with these parameters; returns their length. */
static size_t
wrap(const uint8_t *p, size_t len, unsigned char *to)
{
	size_t n = 16;

	memcpy(to, "\1\1\1\2\0\10\0\0\0\1\1\0\0\0\0\0", 16);
	if (len > 0) {
		memcpy(to + n, "\1\4\1\2\0\0\0\0", 8);
		to[n + 4] = (unsigned char)(len >> 8);
		to[n + 5] = (unsigned char)len;
		memcpy(to + n + 8, p, len);
		n += 8 + len;
	}
	memcpy(to + n, "\1\4\1\2\0\0\0\0\1\5\1\2\0\0\0\0", 16);
	return n + 16;
}

/* A pair's length, what is left where it is cut off, or HUGE. */
#define HUGE	SIZE_MAX
static size_t
length(const unsigned char **at, const unsigned char *end)
{
	const unsigned char *p = *at;
	size_t n;

	if (p >= end || (p[0] >= 0x80 && end - p < 4)) {
		*at = end;
		return 0;
	}
	if (p[0] < 0x80) {
		*at += 1;
		return p[0];
	}
	if (p[0] > 0x80)
		return HUGE;
	n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	*at += 4;
	return n < (size_t)(end - *at) ? n : (size_t)(end - *at);
}

/* Whether the library is not followed (plain.h): padding, a name with a '='; or would not
 * survive it: lengths of gigabytes, which it asks malloc() for. */
static int
is_odd(const unsigned char *p)
{
	const unsigned char *at = p + 16 + p[6], *end;
	size_t name, value;

	end = at + 8 + (at[4] << 8 | at[5]);
	if (p[6] > 0 || end[at[6] + 6] > 0)
		return 1;
	at += 8;
	while (at < end) {
		name = length(&at, end);
		value = name == HUGE ? HUGE : length(&at, end);
		if (value == HUGE)
			return 1;
		if (name > (size_t)(end - at))
			name = (size_t)(end - at);
		if (memchr(at, '=', name) != NULL)
			return 1;
		at += name;
		at += value < (size_t)(end - at) ? value : (size_t)(end - at);
	}
	return 0;
}

/* The same of what is not plain, where any such byte might be of a length. */
static int
is_safe(const unsigned char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] > 0x80)
			return 0;
	return 1;
}

static void
expect_same(const struct request *a, const struct request *b)
{
	EXPECT(a->method == b->method);
	EXPECT(strcmp(a->path, b->path) == 0);
	EXPECT(strcmp(a->query, b->query) == 0);
	EXPECT(strcmp(a->authorization, b->authorization) == 0);
	EXPECT(strcmp(a->origin, b->origin) == 0);
	EXPECT(strcmp(a->remote_addr, b->remote_addr) == 0);
	EXPECT(strcmp(a->content_type, b->content_type) == 0);
	EXPECT(strcmp(a->key, b->key) == 0);
	EXPECT(a->body_len == b->body_len);
	EXPECT(a->announced == b->announced);
	EXPECT(a->is_apache == b->is_apache);
	EXPECT(a->is_forwarded == b->is_forwarded);
	EXPECT(a->is_too_large == b->is_too_large);
}

static void
read_plain(const unsigned char *p, size_t len, int *ret_rc,
    struct request_wire *wire, struct request *ret)
{
	unsigned char *copy = malloc(len);

	/* No byte more, for the sanitizer. */
	EXPECT(copy != NULL);
	memcpy(copy, p, len);
	*ret_rc = plain_parse(copy, wire, ret);
	free(copy);
}

/* By the library. Of a whole one nothing is missing: the fuzzer's time-out would tell. */
static int
read_records(const unsigned char *p, size_t len, int is_whole,
    struct request_wire *wire, struct request *ret)
{
	int fd[2], rc;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	EXPECT(write(fd[1], p, len) == (ssize_t)len);
	if (!is_whole)
		(void)shutdown(fd[1], SHUT_WR);
	wire->fd = fd[0];
	rc = request_read(wire, takes_body, ret);
	if (wire->fd >= 0)
		(void)close(wire->fd);
	(void)close(fd[1]);
	return rc;
}

static void
compare(const unsigned char *p, size_t len)
{
	struct request_wire plain_wire = { .fd = -1 }, wire = { .fd = -1 };
	struct request plain, req;
	int plain_rc, rc;

	read_plain(p, len, &plain_rc, &plain_wire, &plain);
	if (!is_odd(p)) {
		rc = read_records(p, len, 1, &wire, &req);
		EXPECT(plain_rc == rc);
		if (rc == 0) {
			expect_same(&plain, &req);
			EXPECT(plain_wire.id == wire.id);
			EXPECT(!plain_wire.is_kept == !wire.is_kept);
			request_release(&req);
		}
	}
	if (plain_rc == 0)
		request_release(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	unsigned char records[MAX];
	struct request_wire wire = { .fd = -1 };
	struct request req;
	size_t n, plain_len;
	int is_whole;

	if (len < 1 || len - 1 > PLAIN_MAX - 64)
		return 0;
	if ((p[0] & 1) != 0) {
		n = wrap(p + 1, len - 1, records);
	} else {
		memcpy(records, p + 1, len - 1);
		n = len - 1;
	}
	is_whole = plain_scan(records, n, &plain_len);
	EXPECT(plain_len <= n && (is_whole || plain_len == 0));
	if (plain_len > 0)
		compare(records, plain_len);
	else if (is_safe(records, n) &&
	    read_records(records, n, is_whole, &wire, &req) == 0)
		request_release(&req);
	return 0;
}
