/*
 * The gate: who gets a connection and when, those that are silent, descriptors
 * that run out, the end; and many threads at once.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../fcgi-poll/app.h"
#include "../../fcgi-poll/conn.h"
#include "../../fcgi-poll/gate.h"
#include "../../fcgi-poll/request.h"
#include "clock.h"
#include "conf.h"
#include "shm.h"
#include "stats.h"

#define THREADS	4
#define PEERS	16
#define ROUNDS	200

struct world {
	struct conf		 conf;
	struct app		 app;
	struct gate		*gate;
	int			 listen_fd;
	struct sockaddr_un	 addr;
	_Atomic int		 wakes;
};

static void
on_wake(void *arg)
{
	struct world *w = arg;

	atomic_fetch_add(&w->wakes, 1);
}

/* Of each thread that takes. */
static _Thread_local struct gate_turn turn;

static void
open_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	memset(&turn, 0, sizeof(turn));
	w->conf.poll_threads = THREADS;
	w->app.conf = &w->conf;
	assert_int_equal(shm_open_private(SHM_POLL, &w->app.shm), 0);
	w->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(w->listen_fd >= 0);
	/* An abstract name of the kernel's choice. */
	w->addr.sun_family = AF_UNIX;
	assert_int_equal(bind(w->listen_fd, (struct sockaddr *)&w->addr,
	    sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(w->listen_fd,
	    (struct sockaddr *)&w->addr, &(socklen_t){ sizeof(w->addr) }), 0);
	assert_int_equal(listen(w->listen_fd, 64), 0);
	assert_int_equal(gate_open(&w->app, w->listen_fd, &w->gate), 0);
	gate_start(w->gate, on_wake, w);
}

static void
close_world(struct world *w)
{
	gate_close(w->gate);
	(void)close(w->listen_fd);
	shm_close(w->app.shm);
}

static int
dial(const struct world *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	/* The name is as long as the kernel made it: a NUL and five digits. */
	assert_int_equal(connect(fd, (const struct sockaddr *)&w->addr,
	    sizeof(sa_family_t) + 6), 0);
	return fd;
}

/* GET /p on a kept connection, or not. */
static size_t
print_request(char *p, int is_kept)
{
	static const char params[] =
	    "\x0e\x03REQUEST_METHODGET\x0b\x02REQUEST_URI/p";
	const size_t len = sizeof(params) - 1;
	char *at = p;

	memcpy(at, "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0", 16);
	at[10] = (char)is_kept;
	memcpy(at + 16, "\1\4\0\1\0\0\0\0", 8);
	at[21] = (char)len;
	memcpy(at + 24, params, len);
	at += 24 + len;
	memcpy(at, "\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0", 16);
	return (size_t)(at + 16 - p);
}

static void
ask(int fd, int is_kept)
{
	char p[128];
	size_t len = print_request(p, is_kept);

	assert_int_equal(write(fd, p, len), (ssize_t)len);
}

/* Takes and reads the next request. */
static struct conn *
take(const struct world *w)
{
	struct request req;
	struct conn *c;

	c = gate_take(w->gate, &turn);
	assert_non_null(c);
	assert_int_equal(c->state, CONN_BUSY);
	assert_int_equal(conn_read(c, &req), 0);
	assert_string_equal(req.path, "/p");
	request_release(&req);
	return c;
}

static void
assert_closed(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_true(read(fd, &byte, 1) <= 0);
}

static void
test_kept(void **state)
{
	struct world w;
	struct conn *c, *again;
	uint64_t seq;
	int fd;

	(void)state;
	open_world(&w);
	fd = dial(&w);
	ask(fd, 1);
	c = take(&w);
	assert_true(c->is_whole);
	assert_true(c->wire.is_kept);
	seq = c->seq;
	gate_put(w.gate, c);
	ask(fd, 0);
	again = take(&w);
	assert_ptr_equal(again, c);
	assert_true(again->seq > seq);
	assert_int_equal(gate_count(w.gate), 1);
	/* Not kept this time. */
	gate_put(w.gate, again);
	assert_closed(fd);
	assert_int_equal(gate_count(w.gate), 0);
	(void)close(fd);
	close_world(&w);
}

/* What is only begun is given all the same; its rest is waited for. */
static void
test_part(void **state)
{
	struct request req;
	struct world w;
	struct conn *c;
	char p[128];
	size_t len = print_request(p, 1);
	int fd;

	(void)state;
	open_world(&w);
	fd = dial(&w);
	assert_int_equal(write(fd, p, len - 1), (ssize_t)len - 1);
	c = gate_take(w.gate, &turn);
	assert_false(c->is_whole);
	assert_int_equal(write(fd, p + len - 1, 1), 1);
	assert_int_equal(conn_read(c, &req), 0);
	request_release(&req);
	gate_drop(w.gate, c);
	(void)close(fd);
	close_world(&w);
}

/* POST /p with a body of BODY bytes, which nobody wants. */
#define BODY	20000
static void
post(int fd)
{
	static const char params[] =
	    "\x0e\x04REQUEST_METHODPOST\x0b\x02REQUEST_URI/p"
	    "\x0e\x05""CONTENT_LENGTH20000";
	const size_t len = sizeof(params) - 1;
	static char p[BODY + 256];
	char *at = p;

	memcpy(at, "\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0", 16);
	memcpy(at + 16, "\1\4\0\1\0\0\0\0", 8);
	at[21] = (char)len;
	memcpy(at + 24, params, len);
	at += 24 + len;
	memcpy(at, "\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0", 16);
	at[12] = (char)(BODY >> 8);
	at[13] = (char)(BODY & 0xff);
	at += 16 + BODY;
	memcpy(at, "\1\5\0\1\0\0\0\0", 8);
	at += 8;
	assert_int_equal(write(fd, p, (size_t)(at - p)), at - p);
}

/* A long body is waited for less long, and only that body. */
static void
test_patience(void **state)
{
	struct timeval tv = { .tv_sec = 0 };
	socklen_t size = sizeof(tv);
	struct request req;
	struct world w;
	struct conn *c;
	char p[128];
	size_t len = print_request(p, 1);
	int fd;

	(void)state;
	open_world(&w);
	fd = dial(&w);
	post(fd);
	c = take(&w);
	assert_true(c->wire.is_kept);
	gate_put(w.gate, c);
	assert_int_equal(write(fd, p, len - 1), (ssize_t)len - 1);
	c = gate_take(w.gate, &turn);
	assert_false(c->is_whole);
	assert_int_equal(write(fd, p + len - 1, 1), 1);
	assert_int_equal(conn_read(c, &req), 0);
	request_release(&req);
	assert_int_equal(getsockopt(c->wire.fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
	    &size), 0);
	assert_int_equal(tv.tv_sec, CONN_READ_S);
	gate_drop(w.gate, c);
	(void)close(fd);
	close_world(&w);
}

static void
test_silent(void **state)
{
	struct world w;
	int64_t now_ms;
	struct conn *c;
	int silent[3], fd;

	(void)state;
	open_world(&w);
	assert_int_equal(gate_wait_ms(w.gate, clock_mono_ms()), -1);
	silent[0] = dial(&w);
	silent[1] = dial(&w);
	silent[2] = dial(&w);
	fd = dial(&w);
	ask(fd, 1);
	/* The one that speaks is given; the others are known. */
	c = take(&w);
	now_ms = clock_mono_ms();
	assert_int_equal(gate_count(w.gate), 4);
	assert_true(gate_wait_ms(w.gate, now_ms) > 0);
	assert_true(gate_wait_ms(w.gate, now_ms) <= GATE_FIRST_S * 1000);
	gate_put(w.gate, c);
	/* One goes, one speaks at last. */
	(void)close(silent[0]);
	ask(silent[1], 0);
	c = take(&w);
	gate_put(w.gate, c);
	assert_closed(silent[1]);
	gate_tick(w.gate, now_ms + GATE_FIRST_S * 500);
	ask(fd, 1);
	gate_put(w.gate, take(&w));
	assert_int_equal(gate_count(w.gate), 2);
	gate_tick(w.gate, now_ms + GATE_FIRST_S * 1000 + 1000);
	assert_int_equal(gate_wait_ms(w.gate, now_ms), -1);
	assert_closed(silent[2]);
	ask(fd, 0);
	gate_put(w.gate, take(&w));
	assert_int_equal(gate_count(w.gate), 0);
	(void)close(silent[1]);
	(void)close(silent[2]);
	(void)close(fd);
	close_world(&w);
}

/* Accepts until there is no descriptor; the first connection is kept and asks on. */
static void
run_out(struct world *w, int fd, int rests)
{
	while (stats_get(w->app.shm, STATS_accept_rests) < (uint64_t)rests) {
		ask(fd, 1);
		gate_put(w->gate, take(w));
	}
}

/* However often it rests, the log tells of the first time, and of the end. */
static void
test_no_descriptors_long(void **state)
{
	struct rlimit rl, few;
	struct world w;
	char text[2048] = "";
	int64_t now_ms;
	int fd[2], log[2], saved, i;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_int_equal(pipe(log), 0);
	saved = dup(STDERR_FILENO);
	open_world(&w);
	fd[0] = dial(&w);
	fd[1] = dial(&w);
	ask(fd[0], 1);
	few = rl;
	few.rlim_cur = (rlim_t)fd[1] + 2;
	assert_int_equal(dup2(log[1], STDERR_FILENO), STDERR_FILENO);
	for (i = 1; i <= 3; i++) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		run_out(&w, fd[0], i);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
		now_ms = clock_mono_ms();
		gate_tick(w.gate, now_ms + gate_wait_ms(w.gate, now_ms));
		/* One is let in before it rests again. */
		ask(fd[1], 0);
		gate_put(w.gate, take(&w));
		(void)close(fd[1]);
		fd[1] = dial(&w);
	}
	gate_tick(w.gate, now_ms + gate_wait_ms(w.gate, now_ms));
	assert_int_equal(gate_wait_ms(w.gate, now_ms), -1);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(log[1]);
	assert_true(read(log[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "accepting rests"));
	assert_null(strstr(strstr(text, "accepting rests") + 1,
	    "accepting rests"));
	assert_non_null(strstr(text, "accepting goes on"));
	assert_null(strstr(strstr(text, "accepting goes on") + 1,
	    "accepting goes on"));
	(void)close(saved);
	(void)close(log[0]);
	(void)close(fd[0]);
	(void)close(fd[1]);
	close_world(&w);
}

static void
test_no_descriptors(void **state)
{
	struct rlimit rl, few;
	int64_t now_ms, wait_ms;
	struct world w;
	struct conn *c;
	int fd[2];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	open_world(&w);
	fd[0] = dial(&w);
	fd[1] = dial(&w);
	ask(fd[0], 1);
	ask(fd[1], 1);
	few = rl;
	few.rlim_cur = (rlim_t)fd[1] + 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	gate_put(w.gate, take(&w));
	/* The next thing there is to take is the first one again: before it the
	 * gate has met the other, for whom there is no descriptor. */
	ask(fd[0], 1);
	gate_put(w.gate, take(&w));
	while (atomic_load(&w.wakes) == 0) {
		ask(fd[0], 1);
		gate_put(w.gate, take(&w));
	}
	assert_int_equal(gate_count(w.gate), 1);
	assert_int_equal(stats_get(w.app.shm, STATS_accept_rests), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	now_ms = clock_mono_ms();
	wait_ms = gate_wait_ms(w.gate, now_ms);
	assert_in_range(wait_ms, 0, GATE_REST_MS);
	gate_tick(w.gate, now_ms + wait_ms);
	c = take(&w);
	assert_int_equal(gate_count(w.gate), 2);
	gate_drop(w.gate, c);
	assert_closed(fd[1]);
	(void)close(fd[0]);
	(void)close(fd[1]);
	close_world(&w);
}

/* New ones are taken one after another, and one that is kept gets its turn meanwhile. */
static void
test_in_a_row(void **state)
{
	enum { NEW = 3 * GATE_IN_A_ROW };
	int fd[NEW], kept, i, kept_at = -1;
	struct world w;
	struct conn *c;

	(void)state;
	open_world(&w);
	kept = dial(&w);
	ask(kept, 1);
	c = take(&w);
	for (i = 0; i < NEW; i++) {
		fd[i] = dial(&w);
		ask(fd[i], 0);
	}
	gate_put(w.gate, take(&w));
	ask(kept, 1);
	gate_put(w.gate, c);
	for (i = 1; i <= NEW; i++) {
		c = take(&w);
		if (c->wire.is_kept)
			kept_at = i;
		else
			gate_drop(w.gate, c);
	}
	assert_in_range(kept_at, 1, 2 * GATE_IN_A_ROW);
	for (i = 0; i < NEW; i++) {
		assert_closed(fd[i]);
		(void)close(fd[i]);
	}
	/* There is nobody, and after that somebody again. */
	for (i = 0; i < 3 * GATE_PAUSE; i++) {
		fd[0] = dial(&w);
		ask(fd[0], 0);
		gate_put(w.gate, take(&w));
		assert_closed(fd[0]);
		(void)close(fd[0]);
	}
	(void)close(kept);
	close_world(&w);
}

/* --- with threads --- */

static void *
serve(void *arg)
{
	struct world *w = arg;
	struct request req;
	struct conn *c;

	for (c = gate_take(w->gate, &turn); c != NULL;
	    c = gate_take(w->gate, &turn)) {
		if (conn_read(c, &req) < 0) {
			gate_drop(w->gate, c);
			continue;
		}
		request_release(&req);
		/* The first byte tells that a request was served, once. */
		if (write(c->wire.fd, "x", 1) == 1)
			gate_put(w->gate, c);
		else
			gate_drop(w->gate, c);
	}
	return NULL;
}

static void
test_drain(void **state)
{
	int64_t now_ms;
	static struct world w;
	struct conn *busy;
	pthread_t thread;
	int kept, held, queued, silent;
	char byte;

	(void)state;
	open_world(&w);
	kept = dial(&w);
	ask(kept, 1);
	gate_put(w.gate, take(&w));
	held = dial(&w);
	ask(held, 1);
	busy = take(&w);
	/* Both are still in the kernel's queue. */
	queued = dial(&w);
	silent = dial(&w);
	ask(queued, 1);
	gate_drain(w.gate);
	assert_int_equal(pthread_create(&thread, NULL, serve, &w), 0);
	assert_int_equal(read(queued, &byte, 1), 1);
	assert_closed(queued);
	assert_closed(kept);
	/* What is being worked on ends when it comes back. */
	gate_put(w.gate, busy);
	assert_closed(held);
	now_ms = clock_mono_ms();
	assert_in_range(gate_wait_ms(w.gate, now_ms), 0, GATE_LAST_MS);
	gate_tick(w.gate, now_ms + GATE_LAST_MS);
	assert_closed(silent);
	gate_end(w.gate);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_null(gate_take(w.gate, &turn));
	assert_int_equal(gate_count(w.gate), 0);
	assert_true(atomic_load(&w.wakes) > 0);
	(void)close(kept);
	(void)close(held);
	(void)close(queued);
	(void)close(silent);
	close_world(&w);
}

static void
test_threads(void **state)
{
	static struct world w;
	pthread_t thread[THREADS];
	int fd[PEERS], i, round;
	char byte[2];

	(void)state;
	open_world(&w);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, serve, &w),
		    0);
	for (i = 0; i < PEERS; i++)
		fd[i] = dial(&w);
	for (round = 0; round < ROUNDS; round++) {
		/* Every third is a new connection each time. */
		for (i = 0; i < PEERS; i++)
			ask(fd[i], i % 3 != 0);
		for (i = 0; i < PEERS; i++) {
			assert_int_equal(read(fd[i], byte, sizeof(byte)), 1);
			if (i % 3 != 0)
				continue;
			assert_closed(fd[i]);
			(void)close(fd[i]);
			fd[i] = dial(&w);
		}
	}
	gate_drain(w.gate);
	for (i = 0; i < PEERS; i++) {
		if (i % 3 == 0)
			(void)shutdown(fd[i], SHUT_WR);
		assert_closed(fd[i]);
		(void)close(fd[i]);
	}
	gate_end(w.gate);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(gate_count(w.gate), 0);
	close_world(&w);
}

static int
setup(void **state)
{
	(void)state;
	return request_init();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_part),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_no_descriptors_long),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_in_a_row),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
