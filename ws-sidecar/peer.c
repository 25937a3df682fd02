/*
 * peer - address, progress and queue of a connected socket.
 */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "peer.h"

void
peer_print_address(int fd, char *ret, size_t size)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	ret[0] = '\0';
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    (ss.ss_family != AF_INET && ss.ss_family != AF_INET6))
		return;
	if (getnameinfo((struct sockaddr *)&ss, len, ret, (socklen_t)size, NULL,
	    0, NI_NUMERICHOST) != 0)
		ret[0] = '\0';
}

uint64_t
peer_progress(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int pending = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
		return info.tcpi_bytes_acked;
	/* A unix socket: what lies in its queue. */
	if (ioctl(fd, SIOCOUTQ, &pending) < 0)
		return 0;
	return (uint64_t)pending;
}

void
peer_prepare(int fd, int bytes)
{
	int one = 1;

	/* On a unix socket both fail: nothing waits there. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
	    sizeof(bytes));
}
