/*
 * The supervisor's datagrams and descriptors, against real sockets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "notify.h"

static char dir[256], path[300];

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s/notify.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	(void)unlink(path);
	return rmdir(dir);
}

/* A supervisor's socket of this name; '@' begins an abstract one. */
static int
supervisor(const char *name)
{
	struct sockaddr_un addr;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memset(&addr, 0, sizeof(addr));
	addr.sun_family = AF_UNIX;
	assert_true(strlen(name) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, name, strlen(name));
	if (*name == '@')
		addr.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&addr,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(name))), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void
assert_received(int fd, const char *want)
{
	char got[64];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void
test_send(void **state)
{
	char name[64];
	int fd;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);

	fd = supervisor(path);
	assert_int_equal(notify_send("READY=1"), 0);
	assert_received(fd, "READY=1");
	assert_int_equal(notify_send("STOPPING=1\nSTATUS=bye"), 0);
	assert_received(fd, "STOPPING=1\nSTATUS=bye");
	close(fd);

	(void)snprintf(name, sizeof(name), "@sidewire-test-%ld",
	    (long)getpid());
	fd = supervisor(name);
	assert_int_equal(notify_send("WATCHDOG=1"), 0);
	assert_received(fd, "WATCHDOG=1");
	close(fd);
}

static void
test_send_fails(void **state)
{
	static const char *const row[] = {
		"", "/", "@", "relative", "tcp://x", "/nonexistent/socket",
		"/dev/null",
	};
	char long_name[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", row[i], 1), 0);
		assert_int_equal(notify_send("READY=1"), ERR_IO);
	}
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[0] = '/';
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(setenv("NOTIFY_SOCKET", long_name, 1), 0);
	assert_int_equal(notify_send("READY=1"), ERR_IO);
}

/* A supervisor that never reads: notify_send() comes back all the same. */
static void
test_send_to_the_deaf(void **state)
{
	int fd, r = 0, i;

	(void)state;
	(void)unlink(path);
	fd = supervisor(path);
	for (i = 0; i < 5000 && r == 0; i++)
		r = notify_send("WATCHDOG=1");
	assert_int_equal(r, ERR_IO);
	close(fd);
}

static void
test_no_descriptors(void **state)
{
	static const struct {
		const char	*pid;	/* NULL: unset; "": our own */
		const char	*fds;
	} row[] = {
		{ NULL, NULL }, { NULL, "1" }, { "", NULL }, { "", "0" },
		{ "", "-1" }, { "", "x" }, { "", "1x" }, { "", "" },
		{ "", "99999999999999999999" }, { "1", "1" }, { "-1", "1" },
		{ "x", "1" },
	};
	char pid[32];
	size_t i;

	(void)state;
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		unsetenv("LISTEN_PID");
		unsetenv("LISTEN_FDS");
		if (row[i].pid != NULL)
			setenv("LISTEN_PID", *row[i].pid ? row[i].pid : pid, 1);
		if (row[i].fds != NULL)
			setenv("LISTEN_FDS", row[i].fds, 1);
		assert_int_equal(notify_listen_fds(), 0);
		assert_null(getenv("LISTEN_PID"));
		assert_null(getenv("LISTEN_FDS"));
	}
}

/* In a child, whose low descriptors are its own to arrange. */
static int
child_with_descriptors(const char *promised, int n_open)
{
	char pid[32];
	int fd;

	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	(void)closefrom(3);
	for (fd = 3; fd < 3 + n_open; fd++)
		if (open("/dev/null", O_RDONLY) != fd)
			return 100;
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", promised, 1);
	setenv("LISTEN_FDNAMES", "a:b", 1);
	if (notify_listen_fds() != n_open)
		return 101;
	for (fd = 3; fd < 3 + n_open; fd++)
		if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
			return 102;
	if (getenv("LISTEN_FDNAMES") != NULL)
		return 103;
	return notify_listen_fds() == 0 ? 0 : 104;
}

static void
test_descriptors(void **state)
{
	static const struct {
		const char	*promised;
		int		 n_open;
	} row[] = { { "1", 1 }, { "2", 2 }, { "3", 1 }, { "1", 0 },
	    { "9223372036854775807", 2 } };
	size_t i;
	pid_t pid;
	int status;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(child_with_descriptors(row[i].promised,
			    row[i].n_open));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_send_fails),
		cmocka_unit_test(test_send_to_the_deaf),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
