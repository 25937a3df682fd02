/*
 * buf - the one growing buffer: every answer, frame and event is built in one.
 *
 * Memory grows by doubling and never beyond the ceiling, so that no peer can
 * size an allocation; a failure is remembered, so that code which appends
 * twenty times checks once.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"

#define FIRST_CAP	256

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4;
}

void
buf_release(struct buf *b)
{
	size_t max = b->max;

	free(b->p);
	buf_init(b, max);
}

void
buf_reset(struct buf *b)
{
	b->err = 0;
	b->len = 0;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void
buf_reserve(struct buf *b, size_t len)
{
	size_t cap;
	char *p;

	if (b->err != 0)
		return;
	if (len > b->max - b->len) {
		b->err = ERR_TOOBIG;
		return;
	}
	if (b->p != NULL && len < b->cap - b->len)
		return;
	cap = b->cap != 0 ? b->cap : FIRST_CAP;
	while (cap < b->len + len + 1)
		cap *= 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->err = ERR_NOMEM;
		return;
	}
	b->p = p;
	b->cap = cap;
	b->p[b->len] = '\0';
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	buf_reserve(b, len);
	if (b->err != 0 || len == 0)
		return;
	memcpy(b->p + b->len, data, len);
	b->len += len;
	b->p[b->len] = '\0';
}

void
buf_adds(struct buf *b, const char *str)
{
	buf_add(b, str, strlen(str));
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room;
	va_list again;
	int n;

	buf_reserve(b, 0);
	if (b->err != 0)
		return;
	room = b->cap - b->len;
	va_copy(again, ap);
	n = vsnprintf(b->p + b->len, room, fmt, again);
	va_end(again);
	if (n >= 0 && (size_t)n >= room) {
		b->p[b->len] = '\0';
		buf_reserve(b, (size_t)n);
		if (b->err != 0)
			return;
		n = vsnprintf(b->p + b->len, b->cap - b->len, fmt, ap);
	}
	if (n < 0) {
		/* Over INT_MAX bytes, or libc found no memory. */
		b->p[b->len] = '\0';
		b->err = ERR_NOMEM;
		return;
	}
	b->len += (size_t)n;
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void
buf_drop(struct buf *b, size_t len)
{
	if (len >= b->len) {
		buf_cut(b, 0);
		return;
	}
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->p, b->p + len, b->len + 1);
}

void
buf_cut(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->p[len] = '\0';
}

int
buf_err(const struct buf *b)
{
	return b->err;
}

const char *
buf_str(const struct buf *b)
{
	return b->p != NULL ? b->p : "";
}

char *
buf_take(struct buf *b, size_t *ret_len)
{
	size_t len;
	char *p;

	buf_reserve(b, 0);	/* an empty buffer gives "", not NULL */
	if (b->err != 0) {
		buf_release(b);
		return NULL;
	}
	p = b->p;
	len = b->len;
	buf_init(b, b->max);
	if (ret_len != NULL)
		*ret_len = len;
	return p;
}
