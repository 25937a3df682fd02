/*
 * listener - bind, accept, and what to do when descriptors run out: one is kept in
 * reserve, so that a connection can be taken and closed instead of the loop turning
 * on a socket that stays readable; then accepting rests for a second.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "listener.h"
#include "log.h"
#include "notify.h"

#define BACKLOG		4096
#define ACCEPT_BATCH	256	/* of one turn, so that those connected have theirs */
#define REST_S		1.0

struct listener {
	int		 fd;		/* -1: stopped */
	int		 reserve;	/* a descriptor to give up */
	char		*name;
	char		*unix_path;	/* to remove at the end; NULL: none */
	struct ev_loop	*loop;
	ev_io		 io;
	ev_timer	 rest;
	listener_fn	*fn;
	void		*arg;
};

static int
open_unix(struct listener *l, const char *path, char *why, size_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		(void)snprintf(why, size, "ws.listen: the path is too long");
		return ERR_INVAL;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	/* A socket that nobody answers on was left behind. */
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ||
	    errno == EAGAIN) {
		close(fd);
		(void)snprintf(why, size,
		    "ws.listen: another program serves %s", path);
		return ERR_EXISTS;
	}
	if (errno == ECONNREFUSED)
		(void)unlink(path);	/* bind tells if that was in vain */
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		goto fail;
	/* As open to the machine as a loopback port: the token guards. */
	if (chmod(path, 0666) < 0 || listen(fd, BACKLOG) < 0)
		goto fail;
	l->fd = fd;
	l->unix_path = strdup(path);
	return l->unix_path == NULL ? ERR_NOMEM : 0;
fail:
	(void)snprintf(why, size, "ws.listen: %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ERR_IO;
}

/* Splits HOST:PORT or [HOST]:PORT in place. */
static int
split(char *s, char **ret_host, char **ret_port)
{
	char *colon = strrchr(s, ':');

	if (colon == NULL || colon[1] == '\0')
		return ERR_INVAL;
	*colon = '\0';
	*ret_port = colon + 1;
	*ret_host = s;
	if (s[0] == '[') {
		if (colon == s + 1 || colon[-1] != ']')
			return ERR_INVAL;
		colon[-1] = '\0';
		*ret_host = s + 1;
	}
	return **ret_host == '\0' ? ERR_INVAL : 0;
}

static int
bind_tcp(const struct addrinfo *ai)
{
	const int on = 1;
	int fd, saved;

	fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, ai->ai_protocol);
	if (fd < 0)
		return -1;
	/* REUSEPORT lets the next process of ours listen before this one stops;
	 * a foreign program that did not set it keeps the port. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
open_tcp(struct listener *l, const char *where, char *why, size_t size)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV
	};
	struct addrinfo *ai;
	char *copy, *host, *port;
	int rc;

	copy = strdup(where);
	if (copy == NULL)
		return ERR_NOMEM;
	if (split(copy, &host, &port) < 0) {
		(void)snprintf(why, size, "ws.listen: %s is neither HOST:PORT "
		    "nor a path", where);
		free(copy);
		return ERR_INVAL;
	}
	rc = getaddrinfo(host, port, &hints, &ai);
	free(copy);
	if (rc != 0) {
		(void)snprintf(why, size, "ws.listen: %s: %s", where,
		    gai_strerror(rc));
		return ERR_INVAL;
	}
	l->fd = bind_tcp(ai);
	freeaddrinfo(ai);
	if (l->fd >= 0)
		return 0;
	rc = errno == EADDRINUSE ? ERR_EXISTS : ERR_IO;
	(void)snprintf(why, size, "ws.listen: %s: %s", where,
	    rc == ERR_EXISTS ? "another program listens there" :
	    strerror(errno));
	return rc;
}

/* The descriptor that the supervisor passed. */
static int
open_passed(struct listener *l, char *why, size_t size)
{
	int is_listening = 0;
	socklen_t len = sizeof(is_listening);

	l->fd = 3;
	if (getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening,
	    &len) < 0 || !is_listening ||
	    fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0) {
		(void)snprintf(why, size,
		    "the descriptor passed by the supervisor does not listen");
		return ERR_INVAL;
	}
	return 0;
}

int
listener_open(const struct conf *conf, struct listener **ret, char *why,
    size_t size)
{
	struct listener *l;
	int rc, passed;

	(void)snprintf(why, size, "out of memory");
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return ERR_NOMEM;
	l->fd = -1;
	passed = notify_listen_fds() > 0;
	l->name = strdup(passed ? "the supervisor's socket" : conf->ws_listen);
	if (l->name == NULL)
		rc = ERR_NOMEM;
	else if (passed)
		rc = open_passed(l, why, size);
	else if (conf->ws_listen[0] == '/')
		rc = open_unix(l, conf->ws_listen, why, size);
	else
		rc = open_tcp(l, conf->ws_listen, why, size);
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (rc < 0) {
		listener_close(l);
		return rc;
	}
	*ret = l;
	return 0;
}

/* Out of descriptors: takes one connection and closes it. */
static void
turn_away(struct listener *l)
{
	int fd;

	if (l->reserve < 0)
		return;
	close(l->reserve);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
accept_batch(struct listener *l, int max)
{
	int fd;

	for (; max > 0; max--) {
		fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			l->fn(fd, l->arg);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_warn("cannot accept, resting for a second");
			turn_away(l);
			ev_io_stop(l->loop, &l->io);
			ev_timer_set(&l->rest, REST_S, 0);
			ev_timer_start(l->loop, &l->rest);
			return;
		}
		if (errno == EAGAIN)
			return;
		/* ECONNABORTED and the like are the peer's: the next one. */
	}
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	accept_batch(w->data, ACCEPT_BATCH);
}

static void
on_rested(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct listener *l = w->data;

	(void)revents;
	ev_io_start(loop, &l->io);
}

void
listener_start(struct listener *l, struct ev_loop *loop, listener_fn *fn,
    void *arg)
{
	l->loop = loop;
	l->fn = fn;
	l->arg = arg;
	ev_io_init(&l->io, on_readable, l->fd, EV_READ);
	l->io.data = l;
	ev_timer_init(&l->rest, on_rested, REST_S, 0);
	l->rest.data = l;
	ev_io_start(loop, &l->io);
}

void
listener_stop(struct listener *l)
{
	if (l->fd < 0)
		return;
	if (l->loop != NULL) {
		accept_batch(l, BACKLOG);
		ev_io_stop(l->loop, &l->io);
		ev_timer_stop(l->loop, &l->rest);
	}
	close(l->fd);
	l->fd = -1;
	if (l->unix_path != NULL)
		(void)unlink(l->unix_path);
}

void
listener_close(struct listener *l)
{
	if (l == NULL)
		return;
	listener_stop(l);
	if (l->reserve >= 0)
		close(l->reserve);
	free(l->unix_path);
	free(l->name);
	free(l);
}

const char *
listener_name(const struct listener *l)
{
	return l->name;
}
