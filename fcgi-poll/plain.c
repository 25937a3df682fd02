/*
 * Reading a plain request (plain.h): the records of FastCGI 1.0, sections 3.3, 3.4, 5.1
 * to 5.3.
 */
#include <sys/socket.h>

#include "err.h"
#include "plain.h"
#include "request.h"
#include "request_impl.h"

enum {
	FCGI_VERSION = 1, FCGI_BEGIN_REQUEST = 1, FCGI_PARAMS = 4,
	FCGI_STDIN = 5, FCGI_HEADER = 8, FCGI_RESPONDER = 1,
	FCGI_KEEP_CONN = 1, FCGI_NULL_REQUEST_ID = 0
};

static unsigned
two_bytes(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

int
plain_scan(const unsigned char *p, size_t len, size_t *ret_plain_len)
{
	unsigned want = FCGI_BEGIN_REQUEST, content;
	size_t at = 0;
	int n_params = 0, has_body = 0, is_misread = 0;

	*ret_plain_len = 0;
	while (len - at >= FCGI_HEADER) {
		content = two_bytes(p + at + 4);
		if (p[at] != FCGI_VERSION || p[at + 1] != want ||
		    two_bytes(p + at + 2) != two_bytes(p + 2))
			return 0;
		if (at + FCGI_HEADER + content + p[at + 6] > len)
			return 0;
		if (want == FCGI_BEGIN_REQUEST && (content != 8 ||
		    two_bytes(p + 2) == FCGI_NULL_REQUEST_ID ||
		    two_bytes(p + FCGI_HEADER) != FCGI_RESPONDER))
			return 0;
		n_params += want == FCGI_PARAMS && content > 0;
		has_body |= want == FCGI_STDIN && content > 0;
		/* By the library, which may then wait for more. */
		is_misread |= p[at + 6] > 0 && (want == FCGI_BEGIN_REQUEST ||
		    (want == FCGI_PARAMS && content == 0));
		at += FCGI_HEADER + content + p[at + 6];
		if (want == FCGI_STDIN && content == 0) {
			if (n_params == 1 && !has_body)
				*ret_plain_len = at;
			return *ret_plain_len > 0 || !is_misread;
		}
		if (want == FCGI_BEGIN_REQUEST)
			want = FCGI_PARAMS;
		else if (want == FCGI_PARAMS && content == 0)
			want = FCGI_STDIN;
	}
	return 0;
}

/* The length of a name or a value, in one byte or four; 0: it is not there. */
static int
get_length(const unsigned char **at, const unsigned char *end, size_t *ret)
{
	const unsigned char *p = *at;

	if (p < end && p[0] < 0x80) {
		*ret = p[0];
		*at += 1;
		return 1;
	}
	if (end - p < 4)
		return 0;
	*ret = (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 |
	    two_bytes(p + 2);
	*at += 4;
	return 1;
}

/* What is cut off is no request, as in the library. */
static int
read_pairs(const unsigned char *p, size_t len, struct request_text ret[P_COUNT])
{
	const unsigned char *end = p + len;
	size_t name_len, value_len;

	while (p < end) {
		if (!get_length(&p, end, &name_len) ||
		    !get_length(&p, end, &value_len) ||
		    name_len > (size_t)(end - p) ||
		    value_len > (size_t)(end - p) - name_len)
			return ERR_INVAL;
		request_set_param(ret, (const char *)p, name_len,
		    (const char *)p + name_len, value_len);
		p += name_len + value_len;
	}
	return 0;
}

int
plain_parse(const unsigned char *p, struct request_wire *wire,
    struct request *ret)
{
	const unsigned char *record = p + FCGI_HEADER + 8 + p[6];
	struct request_text params[P_COUNT];
	int rc;

	request_init_params(params);
	if (read_pairs(record + FCGI_HEADER, two_bytes(record + 4), params) < 0)
		return ERR_CLOSED;
	rc = request_build(params, ret);
	if (rc < 0)
		return rc == ERR_INVAL ? ERR_CLOSED : rc;
	wire->id = (int)two_bytes(p + 2);
	wire->is_kept = (p[FCGI_HEADER + 2] & FCGI_KEEP_CONN) != 0;
	return 0;
}

int
plain_read(struct request_wire *wire, size_t len, struct request *ret)
{
	unsigned char p[PLAIN_MAX];

	if (recv(wire->fd, p, len, MSG_DONTWAIT) != (ssize_t)len)
		return ERR_CLOSED;
	return plain_parse(p, wire, ret);
}
