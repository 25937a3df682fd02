/*
 * The loop, the opening of all connections, and the counting of marks (load.h).
 */
#include <sys/epoll.h>
#include <sys/resource.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "fail.h"
#include "load.h"

#define MAX_OPENING	128
#define OPEN_TIMEOUT_NS	30000000000ULL
#define MAX_BODY	(64UL * 1024 * 1024)

uint64_t
load_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

const char *
load_token(const struct load *l, unsigned index)
{
	if (l->n_tokens == 0)
		return "";
	return l->tokens[index % (unsigned)l->n_tokens];
}

static void
read_tokens(struct load *l, const char *path)
{
	char *line = NULL, **tokens;
	size_t size = 0;
	ssize_t len;
	FILE *f;

	f = fopen(path, "r");
	if (f == NULL)
		fail("%s: %s", path, strerror(errno));
	for (;;) {
		len = getline(&line, &size, f);
		if (len < 0)
			break;
		line[strcspn(line, "\r\n")] = '\0';
		tokens = realloc(l->tokens,
		    sizeof(*tokens) * (size_t)(l->n_tokens + 1));
		if (tokens == NULL)
			fail("out of memory");
		l->tokens = tokens;
		tokens[l->n_tokens] = strdup(line);
		if (tokens[l->n_tokens++] == NULL)
			fail("out of memory");
	}
	free(line);
	(void)fclose(f);
}

static void
raise_files(int want)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
		if (rl.rlim_cur < (rlim_t)want)
			fail("the limit of open files is too low");
	}
}

/* Once, so that a command that waits for its turn does not keep the loop busy. */
void
load_watch_input(struct load *l, int op)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };

	/* A file cannot be watched, and needs no waiting. */
	l->has_input = epoll_ctl(l->epoll, op, STDIN_FILENO, &ev) != 0;
}

void
load_open(struct load *l, const struct options *o)
{
	int i;

	memset(l, 0, sizeof(*l));
	l->o = o;
	buf_init(&l->chunks, MAX_BODY);
	raise_files(o->n_conns + 64);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->conns = calloc((size_t)o->n_conns, sizeof(*l->conns));
	if (l->epoll < 0 || l->conns == NULL)
		fail("cannot start: %s", strerror(errno));
	for (i = 0; i < o->n_conns; i++) {
		l->conns[i].fd = -1;
		l->conns[i].index = (unsigned)i;
		buf_init(&l->conns[i].in, MAX_BODY);
		buf_init(&l->conns[i].out, MAX_BODY);
		(void)snprintf(l->conns[i].cursor, sizeof(l->conns[i].cursor),
		    "%s", o->cursor);
		l->conns[i].echoes = calloc(LOAD_ECHOES, LOAD_ECHO_SIZE);
		if (l->conns[i].echoes == NULL)
			fail("out of memory");
	}
	if (o->tokens_path != NULL)
		read_tokens(l, o->tokens_path);
	publish_open(&l->publisher, o);
	if (o->kind != LOAD_POLL)
		load_watch_input(l, EPOLL_CTL_ADD);
}

void
load_close(struct load *l)
{
	int i;

	for (i = 0; i < l->o->n_conns; i++) {
		conn_close(&l->conns[i]);
		free(l->conns[i].echoes);
	}
	free(l->conns);
	for (i = 0; i < l->n_tokens; i++)
		free(l->tokens[i]);
	free(l->tokens);
	buf_release(&l->chunks);
	publish_close(&l->publisher);
	(void)close(l->epoll);
}

void
load_connect(struct load *l)
{
	uint64_t until;
	int i, n = 0;

	until = load_now_ns() + OPEN_TIMEOUT_NS;
	while ((n < l->o->n_conns || l->n_opening > 0) &&
	    load_now_ns() < until) {
		while (n < l->o->n_conns && l->n_opening < MAX_OPENING)
			conn_start(l, &l->conns[n++]);
		load_wait(l, 5);
	}
	for (i = 0; i < n; i++) {
		if (l->conns[i].state == CONN_CONNECTING ||
		    l->conns[i].state == CONN_SHAKING ||
		    l->conns[i].state == CONN_JOINING)
			conn_lost(l, &l->conns[i]);
	}
	l->n_failed += l->o->n_conns - n;
}

void
load_wait(struct load *l, int ms)
{
	struct epoll_event events[512];
	int i, n;

	n = epoll_wait(l->epoll, events, 512, ms);
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)	/* stdin */
			l->has_input = 1;
		else
			conn_event(l, events[i].data.ptr, events[i].events);
	}
}

void
load_run(struct load *l, double secs)
{
	uint64_t end, now;

	end = load_now_ns() + (uint64_t)(secs * 1e9);
	for (;;) {
		now = load_now_ns();
		if (now >= end)
			return;
		load_wait(l, end - now > 50000000 ? 50 :
		    (int)((end - now) / 1000000) + 1);
	}
}

void
load_reset(struct load *l)
{
	int i;

	hist_reset(&l->hist);
	l->n_answers = l->n_bad = l->n_events = l->n_disorder = l->n_measured = 0;
	l->n_bytes = l->n_frames = l->first_ns = l->last_ns = 0;
	for (i = 0; i < l->o->n_conns; i++) {
		l->conns[i].n_answers = 0;
		l->conns[i].n_events = 0;
	}
}

int
load_take_marks(struct load *l, struct conn *c, const char *text, size_t len,
    uint64_t now_ns)
{
	static const char mark[] = "bench_ts=";
	const char *p = text, *end = text + len;
	uint64_t at, number;
	int n = 0;

	for (;;) {
		p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1);
		if (p == NULL)
			break;
		p += sizeof(mark) - 1;
		for (at = 0; p < end && *p >= '0' && *p <= '9'; p++)
			at = at * 10 + (uint64_t)(*p - '0');
		if (p < end && *p == ',')
			p++;
		for (number = 0; p < end && *p >= '0' && *p <= '9'; p++)
			number = number * 10 + (uint64_t)(*p - '0');
		if (number != c->last_number + 1)
			l->n_disorder++;
		c->last_number = number;
		c->n_events++;
		if (l->o->kind != LOAD_POLL)
			hist_add(&l->hist, now_ns > at ? now_ns - at : 0);
		n++;
	}
	if (n > 0) {
		l->n_events += (uint64_t)n;
		if (l->first_ns == 0)
			l->first_ns = now_ns;
		l->last_ns = now_ns;
	}
	return n;
}
