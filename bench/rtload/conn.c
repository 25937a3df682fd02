/*
 * One connection: connect, send, receive, lose (load.h).  What its bytes mean is for
 * poll.c and socket.c.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "fail.h"
#include "load.h"
#include "template.h"

#define MAX_FAILED	1000

/* Without the four-way close: thousands in TIME_WAIT would run out of ports. */
void
conn_close(struct conn *c)
{
	struct linger now = { 1, 0 };

	if (c->fd >= 0) {
		(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now,
		    sizeof(now));
		(void)close(c->fd);
	}
	c->fd = -1;
	c->state = CONN_DEAD;
	buf_release(&c->in);
	buf_release(&c->out);
}

void
conn_lost(struct load *l, struct conn *c)
{
	enum conn_state was = c->state;

	conn_close(c);
	if (was == CONN_CONNECTING || was == CONN_SHAKING ||
	    was == CONN_JOINING) {
		l->n_opening--;
		if (++l->n_failed > MAX_FAILED)
			fail("cannot connect to port %d", l->o->port);
	} else {
		l->n_open--;
		l->n_lost++;
	}
	if (l->is_running && l->o->kind != LOAD_SOCKET)
		conn_start(l, c);
}

void
conn_start(struct load *l, struct conn *c)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct epoll_event ev;
	int one = 1;

	addr.sin_port = htons((uint16_t)l->o->port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket: %s", strerror(errno));
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->state = CONN_CONNECTING;
	l->n_opening++;
	ev.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	ev.data.ptr = c;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		fail("epoll_ctl: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 &&
	    errno != EINPROGRESS)
		fail("port %d: %s", l->o->port, strerror(errno));
}

void
conn_flush(struct load *l, struct conn *c)
{
	ssize_t n;

	if (buf_err(&c->out) != 0)
		fail("out of memory");
	while (c->out.len > 0) {
		n = send(c->fd, c->out.p, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			conn_lost(l, c);
			return;
		}
		buf_drop(&c->out, (size_t)n);
	}
}

void
conn_add_headers(struct load *l, struct conn *c, const char *path)
{
	struct template_values v = { load_token(l, c->index), c->cursor, 0, 0 };
	int i;

	buf_adds(&c->out, "GET ");
	template_print(&c->out, path, &v);
	buf_addf(&c->out, " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", l->o->port);
	for (i = 0; i < l->o->n_headers; i++) {
		template_print(&c->out, l->o->headers[i], &v);
		buf_adds(&c->out, "\r\n");
	}
	for (i = 0; i < l->o->n_echoes; i++) {
		if (c->echoes[i][0] != '\0')
			buf_addf(&c->out, "%s: %s\r\n", l->o->echoes[i][1],
			    c->echoes[i]);
	}
}

static void
on_connected(struct load *l, struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		conn_lost(l, c);
	} else if (l->o->kind == LOAD_SOCKET) {
		socket_shake(l, c);
	} else {
		l->n_opening--;
		l->n_open++;
		poll_ask(l, c);
	}
}

static long
take(struct load *l, struct conn *c, const char *data, size_t len, int is_eof)
{
	uint64_t now_ns = load_now_ns();

	if (l->o->kind == LOAD_SOCKET)
		return socket_take(l, c, data, len, now_ns);
	return poll_take(l, c, data, len, is_eof, now_ns);
}

/* What was received, after what was left over.  0: the connection goes on. */
static int
take_all(struct load *l, struct conn *c, size_t n)
{
	long used;

	if (c->in.len == 0 && n > 0) {
		used = take(l, c, l->read, n, 0);
		if (used >= 0 && (size_t)used < n)
			buf_add(&c->in, l->read + used, n - (size_t)used);
	} else {
		buf_add(&c->in, l->read, n);
		used = take(l, c, buf_str(&c->in), c->in.len, n == 0);
		if (used >= 0)
			buf_drop(&c->in, (size_t)used);
	}
	if (used == -1)
		conn_lost(l, c);
	else if (used >= 0 && c->in.len == 0)
		buf_release(&c->in);
	return used < 0;
}

static void
on_readable(struct load *l, struct conn *c)
{
	ssize_t n;
	int fd = c->fd;

	for (;;) {
		n = recv(c->fd, l->read, sizeof(l->read), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			conn_lost(l, c);
			return;
		}
		if (take_all(l, c, (size_t)n) || c->fd != fd)
			return;
		if (n == 0) {
			conn_lost(l, c);
			return;
		}
		conn_flush(l, c);
		if (c->fd != fd || (size_t)n < sizeof(l->read))
			return;
	}
}

void
conn_event(struct load *l, struct conn *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (c->state == CONN_CONNECTING) {
		if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
			on_connected(l, c);
		if (c->fd < 0 || c->state == CONN_CONNECTING)
			return;
	}
	if ((events & EPOLLOUT) != 0 && c->out.len > 0)
		conn_flush(l, c);
	if (c->fd >= 0 &&
	    (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		on_readable(l, c);
}
