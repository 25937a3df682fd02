/*
 * notify - the supervisor's side of sd_notify(3) and sd_listen_fds(3).
 *
 * Both are a few lines over a datagram socket and two variables; the library
 * would bring its own dependencies into every process.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "notify.h"

#define FIRST_FD	3	/* SD_LISTEN_FDS_START */

int
notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	/* A supervisor that hangs must not hang us. */
	const struct timeval patience = { 1, 0 };
	struct sockaddr_un addr;
	size_t len;
	ssize_t n;
	int fd;

	if (path == NULL)
		return 0;
	len = strlen(path);
	if (len < 2 || len >= sizeof(addr.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return ERR_IO;
	memset(&addr, 0, sizeof(addr));
	addr.sun_family = AF_UNIX;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';	/* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return ERR_IO;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience));
	do {
		n = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		    (const struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	} while (n == -1 && errno == EINTR);
	(void)close(fd);	/* the datagram is sent, or lost */
	return n == -1 ? ERR_IO : 0;
}

/* The value of a variable as a number, or -1. */
static long
env_number(const char *name)
{
	const char *s = getenv(name);
	char *end;
	long n;

	if (s == NULL || *s < '0' || *s > '9')
		return -1;
	errno = 0;
	n = strtol(s, &end, 10);
	return *end == '\0' && errno == 0 ? n : -1;
}

int
notify_listen_fds(void)
{
	long pid = env_number("LISTEN_PID"), n = env_number("LISTEN_FDS");
	int fd, flags;

	/* Not for our children. */
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (pid != (long)getpid() || n <= 0)
		return 0;
	for (fd = FIRST_FD; fd - FIRST_FD < n; fd++) {
		flags = fcntl(fd, F_GETFD);
		if (flags == -1)
			break;	/* fewer are open than were promised */
		(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	}
	return fd - FIRST_FD;
}
