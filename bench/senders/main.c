/*
 * senders - the load of row 8 of `make bench': clients that send messages, each its next
 * one when the one before was acknowledged, with a key.
 *
 *   senders ws|post PORT TOKENS CONNECTIONS SECONDS
 *
 * TOKENS is a file with a token a line, one for each connection.  ws are sockets that ask
 * for no room's events; post are kept HTTP connections.  Prints a line: ok (0: an answer
 * was no acknowledgement of a new message, or none came), n, per_s, p50_ms, p99_ms.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_TOKEN	4096
#define MAX_REQUEST	(2 * MAX_TOKEN)
#define MAX_ANSWER	65536
#define MAX_TIMES	4000000
#define QUIET_MS	10000	/* without any answer it is given up */

struct client {
	int	 fd;
	int	 number;
	int	 is_open;	/* ws: the handshake is done */
	long	 seq;
	double	 sent_s;
	size_t	 len;
	char	 token[MAX_TOKEN];
	char	 in[MAX_ANSWER];
};

static int is_ws, is_ok = 1;
static float *times_ms;
static size_t n_times;

static _Noreturn void
fail(const char *what)
{
	perror(what);
	exit(2);
}

static double
now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
put(struct client *c, const void *p, size_t len)
{
	if (send(c->fd, p, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send");
}

/* A text frame with a mask of zeroes (RFC 6455 section 5.2). */
static void
put_frame(struct client *c, const char *text, size_t len)
{
	unsigned char head[8] = { 0x81, (unsigned char)(0x80 | len) };
	char out[MAX_REQUEST];
	size_t n = 6;

	if (len > 125) {
		head[1] = 0x80 | 126;
		head[2] = (unsigned char)(len >> 8);
		head[3] = (unsigned char)len;
		n = 8;
	}
	memcpy(out, head, n);
	memcpy(out + n, text, len);
	put(c, out, n + len);
}

static void
send_next(struct client *c)
{
	char body[512], out[MAX_REQUEST];
	int len;

	len = snprintf(body, sizeof(body), "{\"type\":\"send\",\"payload\":{"
	    "\"key\":\"%ld-%d-%ld\",\"roomId\":\"lobby\",\"content\":\"It is a "
	    "message as people write them, of some seventy bytes or so.\"}}",
	    (long)getpid(), c->number, c->seq++);
	c->sent_s = now_s();
	if (is_ws) {
		put_frame(c, body, (size_t)len);
		return;
	}
	len = snprintf(out, sizeof(out), "POST /api/realtime/send HTTP/1.1\r\n"
	    "Host: localhost\r\nAuthorization: Bearer %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	    c->token, len, body);
	put(c, out, (size_t)len);
}

static void
open_client(struct client *c, int port, int epfd)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port) };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	const int on = 1;
	char out[MAX_REQUEST];
	int len;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		fail("epoll_ctl");
	if (!is_ws) {
		c->is_open = 1;
		return;
	}
	len = snprintf(out, sizeof(out), "GET /ws?rooms=none&token=%s HTTP/1.1"
	    "\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade"
	    "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n\r\n", c->token);
	put(c, out, (size_t)len);
}

/* Bytes of the first whole answer, its text in *ret; 0: not yet. */
static size_t
first_frame(const struct client *c, const char **ret, size_t *ret_len)
{
	const unsigned char *p = (const unsigned char *)c->in;
	size_t head = 2, len;

	if (c->len < 4)
		return 0;
	len = p[1];
	if (len == 126) {
		head = 4;
		len = (size_t)p[2] << 8 | p[3];
	}
	*ret = c->in + head;
	*ret_len = p[0] == 0x81 ? len : 0;	/* what is no text is none */
	return c->len < head + len ? 0 : head + len;
}

static size_t
first_http(const struct client *c, const char **ret, size_t *ret_len)
{
	const char *end = memmem(c->in, c->len, "\r\n\r\n", 4), *length;
	size_t head, len;

	if (end == NULL)
		return 0;
	head = (size_t)(end + 4 - c->in);
	length = memmem(c->in, head, "Content-Length: ", 16);
	len = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
	*ret = end + 4;
	*ret_len = len;
	return c->len < head + len ? 0 : head + len;
}

static void
take_answer(struct client *c, const char *text, size_t len)
{
	if (memmem(text, len, "\"type\":\"ack\"", 12) == NULL) {
		/* A socket is told of other things as well. */
		if (is_ws && memmem(text, len, "\"type\":\"error\"", 14) == NULL)
			return;
		(void)fprintf(stderr, "senders: %.*s\n", (int)len, text);
		is_ok = 0;
	} else if (memmem(text, len, "\"duplicate\":false", 17) == NULL) {
		is_ok = 0;
	}
	if (n_times < MAX_TIMES)
		times_ms[n_times++] = (float)((now_s() - c->sent_s) * 1e3);
	send_next(c);
}

/* The handshake is done: c->in goes on with frames. */
static void
take_handshake(struct client *c)
{
	const char *end = memmem(c->in, c->len, "\r\n\r\n", 4);
	size_t head;

	if (end == NULL)
		return;
	if (strncmp(c->in, "HTTP/1.1 101", 12) != 0)
		fail("no handshake");
	head = (size_t)(end + 4 - c->in);
	memmove(c->in, c->in + head, c->len - head);
	c->len -= head;
	c->is_open = 1;
}

static void
take(struct client *c)
{
	const char *text;
	size_t size, len;
	ssize_t n;

	n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, MSG_DONTWAIT);
	if (n <= 0)
		fail("closed");
	c->len += (size_t)n;
	if (!c->is_open)
		take_handshake(c);
	while (c->is_open) {
		size = is_ws ? first_frame(c, &text, &len) :
		    first_http(c, &text, &len);
		if (size == 0)
			return;
		if (len > 0)
			take_answer(c, text, len);
		memmove(c->in, c->in + size, c->len - size);
		c->len -= size;
	}
}

static int
by_value(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
report(double secs)
{
	size_t n = n_times;

	qsort(times_ms, n, sizeof(*times_ms), by_value);
	(void)printf("ok=%d n=%zu per_s=%.0f p50_ms=%.2f p99_ms=%.2f\n",
	    is_ok && n > 0, n, (double)n / secs,
	    n > 0 ? (double)times_ms[n / 2] : 0,
	    n > 0 ? (double)times_ms[n * 99 / 100] : 0);
}

static void
run(struct client *clients, int n, int epfd, double secs)
{
	struct epoll_event ev[64];
	double start = now_s(), end;
	int i, got;

	for (i = 0; i < n; i++)
		send_next(&clients[i]);
	for (end = start + secs; now_s() < end;) {
		got = epoll_wait(epfd, ev, 64, QUIET_MS);
		if (got <= 0)
			is_ok = 0;
		if (got <= 0)
			break;
		for (i = 0; i < got; i++)
			take(ev[i].data.ptr);
	}
	report(now_s() - start);
}

int
main(int argc, char **argv)
{
	struct client *clients;
	struct epoll_event ev[1];
	int i, n, epfd;
	FILE *tokens;

	if (argc != 6) {
		(void)fputs("usage: senders ws|post PORT TOKENS CONNECTIONS "
		    "SECONDS\n", stderr);
		return 2;
	}
	is_ws = strcmp(argv[1], "ws") == 0;
	tokens = fopen(argv[3], "r");
	n = (int)strtol(argv[4], NULL, 10);
	clients = calloc(n > 0 ? (size_t)n : 1, sizeof(*clients));
	times_ms = calloc(MAX_TIMES, sizeof(*times_ms));
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (tokens == NULL || n < 1 || clients == NULL || times_ms == NULL ||
	    epfd < 0)
		fail(argv[3]);
	for (i = 0; i < n; i++) {
		if (fscanf(tokens, "%4095s", clients[i].token) != 1)
			fail("tokens");
		clients[i].number = i;
		open_client(&clients[i], (int)strtol(argv[2], NULL, 10), epfd);
		while (!clients[i].is_open) {
			if (epoll_wait(epfd, ev, 1, QUIET_MS) != 1)
				fail("handshake");
			take(ev[0].data.ptr);
		}
	}
	run(clients, n, epfd, strtod(argv[5], NULL));
	return 0;
}
