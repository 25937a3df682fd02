/*
 * Polls: a GET as soon as the last one is answered (load.h).
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "http.h"
#include "load.h"

void
poll_ask(struct load *l, struct conn *c)
{
	c->state = CONN_ASKING;
	c->asked_ns = load_now_ns();
	conn_add_headers(l, c, l->o->path);
	buf_adds(&c->out, "\r\n");
	conn_flush(l, c);
}

/* The answer's timestamp stands behind its events, which have one each. */
static void
follow(struct conn *c, const struct http_answer *a)
{
	static const char key[] = "\"timestamp\":\"";
	const char *p = a->body, *end = a->body + a->body_len, *last = NULL;
	const char *quote;

	for (;;) {
		p = memmem(p, (size_t)(end - p), key, sizeof(key) - 1);
		if (p == NULL)
			break;
		p += sizeof(key) - 1;
		last = p;
	}
	quote = last != NULL ? memchr(last, '"', (size_t)(end - last)) : NULL;
	if (quote != NULL && (size_t)(quote - last) < sizeof(c->cursor)) {
		memcpy(c->cursor, last, (size_t)(quote - last));
		c->cursor[quote - last] = '\0';
	}
}

/* What the next request says in headers. */
static void
keep_echoes(const struct load *l, struct conn *c, const struct http_answer *a)
{
	const char *value;
	size_t len = 0;
	int i;

	for (i = 0; i < l->o->n_echoes; i++) {
		value = http_header(a, l->o->echoes[i][0], &len);
		if (value == NULL || len >= LOAD_ECHO_SIZE)
			continue;
		memcpy(c->echoes[i], value, len);
		c->echoes[i][len] = '\0';
	}
}

static void
on_answer(struct load *l, struct conn *c, const struct http_answer *a,
    uint64_t now_ns)
{
	int n;

	l->n_answers++;
	c->n_answers++;
	l->n_bytes += a->body_len;
	if (l->o->kind == LOAD_POLL) {
		hist_add(&l->hist, now_ns - c->asked_ns);
		/* Each answer starts where the cursor stands. */
		if (!l->o->is_following)
			c->last_number = 0;
	}
	n = load_take_marks(l, c, a->body, a->body_len, now_ns);
	if (a->status != l->o->status ||
	    (l->o->n_events >= 0 && n != l->o->n_events)) {
		l->n_bad++;
		l->bad_status = a->status;
	}
	if (l->o->is_following)
		follow(c, a);
	keep_echoes(l, c, a);
}

long
poll_take(struct load *l, struct conn *c, const char *data, size_t len,
    int is_eof, uint64_t now_ns)
{
	struct http_answer a;
	size_t used = 0;
	long n;

	while (used < len) {
		if (c->state != CONN_ASKING)
			return -1;	/* bytes that nobody asked for */
		n = http_parse(data + used, len - used, is_eof, &l->chunks, &a);
		if (n == ERR_AGAIN)
			break;
		if (n < 0)
			return -1;
		on_answer(l, c, &a, now_ns);
		used += (size_t)n;
		if (a.is_last) {
			conn_close(c);
			l->n_open--;
			if (l->is_running)
				conn_start(l, c);
			return -2;
		}
		c->state = CONN_OPEN;
		if (l->is_running) {
			poll_ask(l, c);
			if (c->state != CONN_ASKING)
				return -2;
		}
	}
	return (long)used;
}
