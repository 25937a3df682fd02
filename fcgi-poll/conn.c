/*
 * Connections (conn.h).  Nothing here ever waits but conn_read() for the rest of a
 * request: a peer that does not take its answer is the keeper's to come back to.
 */
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "conn.h"
#include "err.h"
#include "plain.h"
#include "reply.h"
#include "route.h"

#define MAX_OUT		(REPLY_MAX_BODY + REPLY_MAX_BODY / 1024 + 65536)

enum { FCGI_ABORT_REQUEST = 2, FCGI_HEADER = 8 };

int
conn_new(int fd, struct conn **ret)
{
	struct conn *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		return ERR_NOMEM;
	}
	c->wire.fd = fd;
	c->state = CONN_BUSY;
	buf_init(&c->out, MAX_OUT);
	*ret = c;
	return 0;
}

void
conn_free(struct conn *c)
{
	if (c == NULL)
		return;
	if (c->wire.fd >= 0)
		(void)close(c->wire.fd);
	buf_release(&c->out);
	free(c);
}

enum conn_peek
conn_peek(struct conn *c)
{
	unsigned char p[PLAIN_MAX];
	ssize_t n;

	c->plain_len = 0;
	n = recv(c->wire.fd, p, sizeof(p), MSG_PEEK | MSG_DONTWAIT);
	if (n == 0)
		return CONN_GONE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ?
		    CONN_SILENT : CONN_GONE;
	if (n >= FCGI_HEADER && p[1] == FCGI_ABORT_REQUEST)
		return CONN_ABORTED;
	return plain_scan(p, (size_t)n, &c->plain_len) ?
	    CONN_WHOLE : CONN_PART;
}

int
conn_read(struct conn *c, struct request *ret)
{
	const struct timeval tv = { .tv_sec = CONN_READ_S };
	int rc;

	if (c->plain_len > 0)
		return plain_read(&c->wire, c->plain_len, ret);
	if (!c->is_whole && !c->is_timed) {
		/* It fails on no socket that accept() gives; a peer that is
		 * gone is noticed by the next call. */
		(void)setsockopt(c->wire.fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
		    sizeof(tv));
		(void)setsockopt(c->wire.fd, SOL_SOCKET, SO_SNDTIMEO, &tv,
		    sizeof(tv));
		c->is_timed = 1;
	}
	rc = request_read(&c->wire, route_takes_body, ret);
	/* A long body has a time-out of its own, which stays. */
	if (rc == 0 && ret->announced > REQUEST_LONG_BODY)
		c->is_timed = 0;
	return rc;
}

int
conn_write(struct conn *c)
{
	ssize_t n;

	while (c->out_done < c->out.len) {
		n = send(c->wire.fd, c->out.p + c->out_done,
		    c->out.len - c->out_done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : ERR_CLOSED;
		c->out_done += (size_t)n;
	}
	buf_release(&c->out);
	c->out_done = 0;
	return 1;
}

static int
print(struct conn *c, struct reply *rep)
{
	buf_reset(&c->out);
	c->out_done = 0;
	reply_print_fcgi(rep, c->wire.id, &c->out);
	return buf_err(&c->out) != 0 ? ERR_NOMEM : 0;
}

int
conn_answer(struct conn *c, struct reply *rep)
{
	int rc;

	rc = print(c, rep);
	return rc < 0 ? rc : conn_write(c);
}

void
conn_print(struct conn *c, struct reply *rep)
{
	if (print(c, rep) == 0)
		return;
	buf_reset(&c->out);
	c->wire.is_kept = 0;
}
