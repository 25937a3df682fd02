/*
 * Publishing (publish.h).  Requests follow each other on one connection without waiting
 * for the answers, so that the order is that of the numbers and the rate is ours.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "fail.h"
#include "http.h"
#include "load.h"
#include "publish.h"
#include "template.h"

#define LINE_SIZE	4096		/* PIPE_BUF: written in one piece */
#define MAX_WAITING	65536		/* bytes of requests */
#define MAX_ANSWERS	(1024UL * 1024)

static void
read_line(struct publisher *p, const char *path)
{
	size_t len;
	FILE *f;

	p->line = calloc(1, LINE_SIZE);
	if (p->line == NULL)
		fail("out of memory");
	f = path != NULL ? fopen(path, "r") : NULL;
	if (f == NULL)
		fail("--line: no such file");
	len = fread(p->line, 1, LINE_SIZE - 1, f);
	(void)fclose(f);
	if (len == 0 || p->line[len - 1] != '\n')
		fail("%s: not one line", path);
	if (p->is_http)
		p->line[len - 1] = '\0';
}

static int
connect_to(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd, one = 1;

	addr.sin_port = htons((uint16_t)port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		fail("port %d: %s", port, strerror(errno));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

void
publish_open(struct publisher *p, const struct options *o)
{
	memset(p, 0, sizeof(*p));
	p->fd = -1;
	buf_init(&p->out, MAX_WAITING + 2UL * LINE_SIZE);
	buf_init(&p->in, MAX_ANSWERS);
	buf_init(&p->chunks, MAX_ANSWERS);
	if (o->publish_path == NULL && o->post_path == NULL)
		return;
	p->post_path = o->post_path;
	p->is_http = o->post_path != NULL;
	read_line(p, o->line_path);
	if (p->is_http) {
		p->fd = connect_to(o->port);
		return;
	}
	p->fd = open(o->publish_path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		fail("%s: %s", o->publish_path, strerror(errno));
}

void
publish_close(struct publisher *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
	free(p->line);
	buf_release(&p->out);
	buf_release(&p->in);
	buf_release(&p->chunks);
}

static void
take_answers(struct publisher *p)
{
	struct http_answer a;
	long used;

	for (;;) {
		used = http_parse(buf_str(&p->in), p->in.len, 0, &p->chunks, &a);
		if (used == ERR_AGAIN)
			return;
		if (used < 0)
			fail("publish: that is no HTTP");
		if (a.status < 200 || a.status > 299)
			p->n_refused++;
		buf_drop(&p->in, (size_t)used);
	}
}

void
publish_tend(struct publisher *p)
{
	ssize_t n;

	if (!p->is_http)
		return;
	for (;;) {
		buf_reserve(&p->in, 65536);
		if (buf_err(&p->in) != 0)
			fail("publish: the answers are too long");
		n = recv(p->fd, p->in.p + p->in.len, 65536, 0);
		if (n == 0)
			fail("publish: the server has closed the connection");
		if (n < 0)
			break;
		p->in.len += (size_t)n;
		take_answers(p);
	}
	if (errno != EAGAIN)
		fail("publish: %s", strerror(errno));
	while (p->out.len > 0) {
		n = send(p->fd, p->out.p, p->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			fail("publish: %s", strerror(errno));
		buf_drop(&p->out, (size_t)n);
	}
}

static int
post(struct publisher *p, const struct buf *line)
{
	publish_tend(p);
	if (p->out.len > MAX_WAITING)
		return 0;
	buf_addf(&p->out, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
	    p->post_path, line->len);
	buf_add(&p->out, buf_str(line), line->len);
	publish_tend(p);
	return 1;
}

int
publish_next(struct publisher *p, uint64_t due_ns)
{
	struct template_values v = { "", "", due_ns, p->n + 1 };
	struct buf line;
	ssize_t n = 0;

	buf_init(&line, LINE_SIZE);
	template_print(&line, p->line, &v);
	if (buf_err(&line) != 0)
		fail("the published line is too long");
	if (p->is_http)
		n = post(p, &line) ? 0 : -1;
	else
		n = write(p->fd, line.p, line.len);
	if (n < 0 && !p->is_http && errno != EAGAIN)
		fail("publish: %s", strerror(errno));
	if (n >= 0)
		p->n++;
	buf_release(&line);
	return n >= 0;
}
