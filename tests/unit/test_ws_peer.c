/*
 * peer - a connected socket as it is prepared for frames, and what it tells of its
 * other end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../ws-sidecar/peer.h"

/* Two ends of a connection on loopback. */
static void
connect_pair(int ret[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr,
	    &len), 0);
	ret[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(ret[1] >= 0);
	assert_int_equal(connect(ret[1], (struct sockaddr *)&addr, len), 0);
	ret[0] = accept(listener, NULL, NULL);
	assert_true(ret[0] >= 0);
	(void)close(listener);
}

static int
get_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, option, &value, &len), 0);
	return value;
}

static void
test_prepared(void **state)
{
	char address[64];
	int fd[2];

	(void)state;
	connect_pair(fd);
	assert_int_equal(get_option(fd[0], TCP_NODELAY), 0);
	peer_prepare(fd[0], 65536);
	assert_int_not_equal(get_option(fd[0], TCP_NODELAY), 0);
	assert_int_equal(get_option(fd[0], TCP_NOTSENT_LOWAT), 65536);
	peer_print_address(fd[0], address, sizeof(address));
	assert_string_equal(address, "127.0.0.1");
	(void)close(fd[0]);
	(void)close(fd[1]);
	/* A unix socket has neither, and no address. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	peer_prepare(fd[0], 65536);
	peer_print_address(fd[0], address, sizeof(address));
	assert_string_equal(address, "");
	(void)close(fd[0]);
	(void)close(fd[1]);
}

static void
test_progress(void **state)
{
	char data[1000] = { 0 };
	uint64_t before;
	int fd[2], i, tries;

	(void)state;
	for (i = 0; i < 2; i++) {
		if (i == 0)
			connect_pair(fd);
		else
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0,
			    fd), 0);
		before = peer_progress(fd[0]);
		assert_int_equal(send(fd[0], data, sizeof(data), 0),
		    sizeof(data));
		/* An acknowledgement may take its time. */
		for (tries = 0; peer_progress(fd[0]) == before; tries++) {
			assert_true(tries < 10000);
			(void)poll(NULL, 0, 1);
		}
		(void)close(fd[0]);
		(void)close(fd[1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
