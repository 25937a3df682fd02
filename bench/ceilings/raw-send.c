/*
 * raw-send - the ceiling of fan-out: an epoll server that frames a line from stdin once
 * and calls send() for each client, and nothing else.
 *
 *   raw-send PORT
 *
 * Handshakes are answered without a look, with the accept key of RFC 6455's example.
 * What the kernel does not take is kept and sent when it can be.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"

#define MAX_CLIENTS	20000
#define MAX_BACKLOG	(16UL * 1024 * 1024)

struct client {
	int		 fd;
	int		 is_open;	/* its handshake was answered */
	unsigned	 place;		/* in clients */
	struct buf	 rest;
};

struct server {
	int		 epoll;
	int		 listener;
	struct client	*clients[MAX_CLIENTS];
	unsigned	 n_clients;
	struct buf	 input;		/* of stdin */
};

static void
drop_client(struct server *s, struct client *c)
{
	struct client *last = s->clients[--s->n_clients];

	s->clients[c->place] = last;
	last->place = c->place;
	(void)close(c->fd);
	buf_release(&c->rest);
	free(c);
}

static void
send_rest(struct client *c)
{
	ssize_t n;

	n = send(c->fd, buf_str(&c->rest), c->rest.len, MSG_NOSIGNAL);
	if (n > 0)
		buf_drop(&c->rest, (size_t)n);
	if (c->rest.len == 0)
		buf_release(&c->rest);
}

static void
send_to(struct client *c, const char *data, size_t len)
{
	ssize_t n = 0;

	if (c->rest.len == 0)
		n = send(c->fd, data, len, MSG_NOSIGNAL);
	if (n < 0)
		n = 0;		/* full, or gone: epoll tells */
	if ((size_t)n < len)
		buf_add(&c->rest, data + n, len - (size_t)n);
}

static void
on_listener(struct server *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
	    EPOLLET };
	struct client *c;
	int fd, one = 1;

	for (;;) {
		fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd < 0)
			return;
		c = s->n_clients < MAX_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
		if (c == NULL) {
			(void)close(fd);
			return;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
		c->fd = fd;
		buf_init(&c->rest, MAX_BACKLOG);
		c->place = s->n_clients;
		s->clients[s->n_clients++] = c;
		ev.data.ptr = c;
		(void)epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void
on_client(struct server *s, struct client *c, uint32_t events)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	char data[4096];
	ssize_t n = -1;

	errno = EAGAIN;
	if ((events & EPOLLIN) != 0)
		n = recv(c->fd, data, sizeof(data), 0);
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 || n == 0 ||
	    (n < 0 && errno != EAGAIN)) {
		drop_client(s, c);
		return;
	}
	if (n > 0 && !c->is_open) {
		send_to(c, answer, sizeof(answer) - 1);
		c->is_open = 1;
	}
	if ((events & EPOLLOUT) != 0 && c->rest.len > 0)
		send_rest(c);
}

static void
broadcast(struct server *s, const char *text, size_t len)
{
	char frame[4096 + 4];
	unsigned i;

	if (len < 126 || len > 4096)
		return;		/* lines of other lengths are not published */
	frame[0] = (char)0x81;
	frame[1] = 126;
	frame[2] = (char)(len >> 8);
	frame[3] = (char)len;
	memcpy(frame + 4, text, len);
	for (i = 0; i < s->n_clients; i++) {
		if (s->clients[i]->is_open)
			send_to(s->clients[i], frame, len + 4);
	}
}

/* 0: stdin has ended. */
static int
on_stdin(struct server *s)
{
	const char *eol;
	ssize_t n;

	buf_reserve(&s->input, 65536);
	if (buf_err(&s->input) != 0)
		return 0;
	n = read(STDIN_FILENO, s->input.p + s->input.len, 65536);
	if (n <= 0)
		return 0;
	s->input.len += (size_t)n;
	for (;;) {
		eol = memchr(s->input.p, '\n', s->input.len);
		if (eol == NULL)
			return 1;
		n = eol - s->input.p;
		broadcast(s, s->input.p, (size_t)n);
		buf_drop(&s->input, (size_t)n + 1);
	}
}

static int
listen_on(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd, one = 1;

	addr.sin_port = htons((uint16_t)strtol(port, NULL, 10));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    listen(fd, 4096) != 0)
		return -1;
	return fd;
}

int
main(int argc, char **argv)
{
	static struct server s;
	struct epoll_event events[512], ev = { .events = EPOLLIN };
	struct rlimit rl;
	int i, n;

	if (argc != 2) {
		(void)fputs("usage: raw-send PORT <LINES\n", stderr);
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	buf_init(&s.input, MAX_BACKLOG);
	s.epoll = epoll_create1(0);
	s.listener = listen_on(argv[1]);
	ev.data.ptr = &s.listener;
	if (s.listener < 0 ||
	    epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &ev) != 0)
		return 1;
	ev.data.ptr = &s.input;
	if (epoll_ctl(s.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ev) != 0)
		return 1;
	for (;;) {
		n = epoll_wait(s.epoll, events, 512, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == &s.listener)
				on_listener(&s);
			else if (events[i].data.ptr != &s.input)
				on_client(&s, events[i].data.ptr,
				    events[i].events);
			else if (!on_stdin(&s))
				return 0;
		}
	}
}
