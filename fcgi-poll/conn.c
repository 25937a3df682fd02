/*
 * Connections (conn.h).  Nothing here ever waits: a peer that does not take its
 * answer is the keeper's to come back to.
 */
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "conn.h"
#include "err.h"
#include "reply.h"

#define MAX_OUT		(REPLY_MAX_BODY + REPLY_MAX_BODY / 1024 + 65536)
#define FCGI_ABORT_REQUEST	2

static _Atomic int living;

int
conn_new(int fd, struct conn **ret)
{
	const struct timeval tv = { .tv_sec = CONN_READ_S };
	const int on = 1;
	struct conn *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		return ERR_NOMEM;
	}
	/* These fail on no socket that accept() gives; a peer that is gone is
	 * noticed by the next call. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	c->wire.fd = fd;
	c->state = CONN_NEW;
	buf_init(&c->out, MAX_OUT);
	atomic_fetch_add(&living, 1);
	*ret = c;
	return 0;
}

void
conn_free(struct conn *c)
{
	if (c == NULL)
		return;
	if (c->wire.fd >= 0) {
		(void)shutdown(c->wire.fd, SHUT_WR);
		(void)close(c->wire.fd);
	}
	buf_release(&c->out);
	free(c);
	atomic_fetch_sub(&living, 1);
}

int
conn_count(void)
{
	return atomic_load(&living);
}

enum conn_peek
conn_peek(const struct conn *c)
{
	unsigned char b[8];
	ssize_t n;

	n = recv(c->wire.fd, b, sizeof(b), MSG_PEEK | MSG_DONTWAIT);
	if (n == 0)
		return CONN_GONE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ?
		    CONN_SILENT : CONN_GONE;
	return n == sizeof(b) && b[1] == FCGI_ABORT_REQUEST ?
	    CONN_ABORTED : CONN_READABLE;
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

int
conn_answer(struct conn *c, struct reply *rep)
{
	buf_reset(&c->out);
	c->out_done = 0;
	reply_print_fcgi(rep, c->wire.id, &c->out);
	if (buf_err(&c->out) != 0)
		return ERR_NOMEM;
	return conn_write(c);
}
