/*
 * Where connections come from (listener.h).
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "listener.h"
#include "notify.h"

#define FIRST_PASSED	3	/* SD_LISTEN_FDS_START */

/* What is to be opened, and where to say why not. */
struct wish {
	const char		*key;
	const char		*where;
	enum listener_kind	 kind;
	char			*why;
	size_t			 size;
};

static int
is_listening(int fd)
{
	socklen_t len = sizeof(int);
	int on = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

int
listener_is_stdin(void)
{
	return is_listening(STDIN_FILENO);
}

/* --- unix --- */

/*
 * Somebody listens at addr: 1; a socket that nobody serves: 0; else an error.
 */
static int
is_served(const struct sockaddr_un *addr)
{
	int fd, rc;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_IO;
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	if (rc < 0 && errno == ECONNREFUSED)
		rc = 0;
	else if (rc == 0 || errno == EAGAIN)
		rc = 1;		/* EAGAIN: its queue is full */
	else
		rc = ERR_IO;
	(void)close(fd);
	return rc;
}

static int
remove_stale(const struct wish *w, const struct sockaddr_un *addr)
{
	struct stat sb;
	int rc;

	if (lstat(addr->sun_path, &sb) < 0)
		return 0;
	if (!S_ISSOCK(sb.st_mode)) {
		(void)snprintf(w->why, w->size, "%s: %s: there is a file that is "
		    "no socket; remove it or name another", w->key,
		    addr->sun_path);
		return ERR_EXISTS;
	}
	rc = is_served(addr);
	if (rc == 1) {
		(void)snprintf(w->why, w->size, "%s: %s: another program serves "
		    "this socket already", w->key, addr->sun_path);
		return ERR_EXISTS;
	}
	if (rc < 0 || unlink(addr->sun_path) < 0) {
		(void)snprintf(w->why, w->size, "%s: %s: cannot replace the "
		    "socket that is there: %s", w->key, addr->sun_path,
		    strerror(errno));
		return ERR_IO;
	}
	return 0;
}

/*
 * Connecting needs the right to write, so the usual umask of 022 would keep the
 * web server out even if it is in the group: only one that keeps the group out
 * altogether is meant so.
 */
static mode_t
get_socket_mode(void)
{
	mode_t mask;

	mask = umask(0);
	(void)umask(mask);
	return (mask & S_IRWXG) == S_IRWXG ? 0600 : 0660;
}

/*
 * Nobody can connect before listen(), whatever the mode between bind and chmod.
 */
static int
open_unix(const struct wish *w, struct listener *ret)
{
	const char *path = w->where;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat sb;
	int rc;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		(void)snprintf(w->why, w->size, "%s: %s: the path of a unix "
		    "socket has at most %zu bytes", w->key, path,
		    sizeof(addr.sun_path) - 1);
		return ERR_INVAL;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	rc = remove_stale(w, &addr);
	if (rc < 0)
		return rc;
	ret->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ret->fd < 0 ||
	    bind(ret->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(path, get_socket_mode()) < 0 ||
	    lstat(path, &sb) < 0 || listen(ret->fd, LISTENER_BACKLOG) < 0) {
		(void)snprintf(w->why, w->size, "%s: %s: %s", w->key, path,
		    strerror(errno));
		return ERR_IO;
	}
	ret->dev = sb.st_dev;
	ret->ino = sb.st_ino;
	ret->path = strdup(path);
	return ret->path != NULL ? 0 : ERR_NOMEM;
}

/* --- TCP --- */

static int
bind_tcp(const struct wish *w, const struct addrinfo *ai, struct listener *ret)
{
	const int on = 1;

	ret->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ret->fd < 0)
		return ERR_IO;
	(void)setsockopt(ret->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (w->kind == LISTENER_SHARED && setsockopt(ret->fd, SOL_SOCKET,
	    SO_REUSEPORT, &on, sizeof(on)) < 0)
		return ERR_IO;
	if (bind(ret->fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
	    listen(ret->fd, LISTENER_BACKLOG) == 0)
		return 0;
	return errno == EADDRINUSE ? ERR_EXISTS : ERR_IO;
}

/* "HOST:PORT", "[::1]:9000", ":9000" or "*:9000" for every address. */
static int
open_tcp(const struct wish *w, struct listener *ret)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE
	};
	const char *colon = strrchr(w->where, ':'), *begin = w->where;
	struct addrinfo *ai;
	char host[256];
	size_t len;
	int rc;

	len = colon != NULL ? (size_t)(colon - w->where) : 0;
	if (len >= 2 && begin[0] == '[' && begin[len - 1] == ']') {
		begin++;
		len -= 2;
	}
	if (colon == NULL || colon[1] == '\0' || len >= sizeof(host)) {
		(void)snprintf(w->why, w->size, "%s: \"%s\" is neither a path "
		    "nor HOST:PORT", w->key, w->where);
		return ERR_INVAL;
	}
	memcpy(host, begin, len);
	host[len] = '\0';
	rc = getaddrinfo(len == 0 || strcmp(host, "*") == 0 ? NULL : host,
	    colon + 1, &hints, &ai);
	if (rc != 0) {
		(void)snprintf(w->why, w->size, "%s: %s: %s", w->key, w->where,
		    gai_strerror(rc));
		return ERR_INVAL;
	}
	rc = bind_tcp(w, ai, ret);
	if (rc < 0)
		(void)snprintf(w->why, w->size, "%s: %s: %s", w->key, w->where,
		    rc == ERR_EXISTS ? "another program serves this address "
		    "already" : strerror(errno));
	freeaddrinfo(ai);
	return rc;
}

/* --- whichever it is --- */

static int
open_passed(const struct wish *w, int n, struct listener *ret)
{
	if (n > 1 || !is_listening(FIRST_PASSED)) {
		(void)snprintf(w->why, w->size, "the supervisor passed %s",
		    n > 1 ? "more than one socket" :
		    "something that does not listen");
		return ERR_INVAL;
	}
	ret->fd = FIRST_PASSED;
	(void)snprintf(ret->name, sizeof(ret->name), "the supervisor's socket");
	return 0;
}

int
listener_open(const char *key, const char *where, enum listener_kind kind,
    struct listener *ret, char *why, size_t size)
{
	const struct wish w = { key, where, kind, why, size };
	int n, rc;

	memset(ret, 0, sizeof(*ret));
	ret->fd = -1;
	if (kind == LISTENER_FASTCGI && listener_is_stdin()) {
		ret->fd = STDIN_FILENO;
		(void)snprintf(ret->name, sizeof(ret->name), "descriptor 0");
		return 0;
	}
	n = notify_listen_fds();
	if (n > 0)
		return open_passed(&w, n, ret);
	if (where[0] == '\0') {
		(void)snprintf(why, size, "%s: nothing to listen on", key);
		return ERR_NOTFOUND;
	}
	(void)snprintf(ret->name, sizeof(ret->name), "%s", where);
	if (strchr(where, '/') != NULL)
		rc = open_unix(&w, ret);
	else
		rc = open_tcp(&w, ret);
	if (rc < 0)
		listener_close(ret);
	return rc;
}

void
listener_close(struct listener *l)
{
	struct stat sb;

	/* A successor may have put its own socket there. */
	if (l->path != NULL && lstat(l->path, &sb) == 0 &&
	    sb.st_dev == l->dev && sb.st_ino == l->ino)
		(void)unlink(l->path);
	free(l->path);
	l->path = NULL;
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}
