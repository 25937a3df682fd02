/*
 * Just enough HTTP for a load generator that talks to servers of our own choice
 * (http.h): Content-Length, chunks, or up to the end of the connection.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "err.h"
#include "http.h"

#define MAX_HEAD	65536

const char *
http_header(const struct http_answer *a, const char *name, size_t *ret_len)
{
	const char *p = a->head, *end = a->head + a->head_len, *stop;
	size_t name_len = strlen(name);

	for (;;) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (p == NULL || (size_t)(end - ++p) <= name_len)
			return NULL;
		if (p[name_len] != ':' || strncasecmp(p, name, name_len) != 0)
			continue;
		p += name_len + 1;
		while (p < end && *p == ' ')
			p++;
		stop = memchr(p, '\r', (size_t)(end - p));
		*ret_len = (size_t)((stop != NULL ? stop : end) - p);
		return p;
	}
}

static int
is_word(const char *value, size_t len, const char *word)
{
	return value != NULL && len == strlen(word) &&
	    strncasecmp(value, word, len) == 0;
}

/* The chunks from data on; returns the bytes they take. */
static long
parse_chunks(const char *data, size_t len, struct buf *chunks)
{
	const char *p = data, *end = data + len, *eol;
	size_t size;

	buf_reset(chunks);
	for (;;) {
		eol = memmem(p, (size_t)(end - p), "\r\n", 2);
		if (eol == NULL)
			return ERR_AGAIN;
		size = strtoull(p, NULL, 16);
		p = eol + 2;
		if ((size_t)(end - p) < size + 2)
			return ERR_AGAIN;
		if (size == 0)
			return p + 2 - data;	/* nobody here sends trailers */
		buf_add(chunks, p, size);
		p += size + 2;
	}
}

long
http_parse(const char *data, size_t len, int is_eof, struct buf *chunks,
    struct http_answer *ret)
{
	const char *end, *value;
	size_t used, value_len = 0;
	long n;

	end = memmem(data, len, "\r\n\r\n", 4);
	if (end == NULL)
		return len > MAX_HEAD || is_eof ? ERR_INVAL : ERR_AGAIN;
	if (end - data < 12 || memcmp(data, "HTTP/1.", 7) != 0)
		return ERR_INVAL;
	used = (size_t)(end - data) + 4;
	ret->head = data;
	ret->head_len = used - 2;
	ret->status = (int)strtol(data + 9, NULL, 10);
	value = http_header(ret, "connection", &value_len);
	ret->is_last = is_word(value, value_len, "close") ||
	    (data[7] == '0' && !is_word(value, value_len, "keep-alive"));
	ret->body = data + used;
	ret->body_len = 0;
	if (ret->status == 101 || ret->status == 204 || ret->status == 304)
		return (long)used;
	value = http_header(ret, "content-length", &value_len);
	if (value != NULL) {
		ret->body_len = strtoull(value, NULL, 10);
		if (len - used < ret->body_len)
			return ERR_AGAIN;
		return (long)(used + ret->body_len);
	}
	value = http_header(ret, "transfer-encoding", &value_len);
	if (is_word(value, value_len, "chunked")) {
		n = parse_chunks(data + used, len - used, chunks);
		if (n < 0)
			return n;
		if (buf_err(chunks) != 0)
			return ERR_INVAL;
		ret->body = buf_str(chunks);
		ret->body_len = chunks->len;
		return (long)used + n;
	}
	if (!is_eof)
		return ERR_AGAIN;
	ret->body_len = len - used;
	ret->is_last = 1;
	return (long)len;
}
