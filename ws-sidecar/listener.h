/*
 * listener - the listening socket and its accept loop.
 *
 * The socket is ours and not the library's: so it can come from the supervisor, be a
 * unix socket, be shared by two processes during a restart (SO_REUSEPORT), and be
 * closed first when the service drains.
 * Threads: that of the loop.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stddef.h>

#include "attr.h"

struct conf;
struct ev_loop;
struct listener;

/* A connection, non-blocking and close-on-exec; the descriptor is the callee's. */
typedef void listener_fn(int fd, void *arg);

/*
 * Listens on the supervisor's descriptor if it passed one, else on conf->ws_listen:
 * HOST:PORT, [IPV6]:PORT, or the path of a unix socket.  ERR_INVAL, ERR_EXISTS
 * (taken by another program), ERR_IO, ERR_NOMEM, with why.
 */
int	 listener_open(const struct conf *conf, struct listener **ret, char *why,
	    size_t size) ATTR_MUST_CHECK;
/* Accepts on loop from now on. */
void	 listener_start(struct listener *l, struct ev_loop *loop,
	    listener_fn *fn, void *arg);
/* Takes what is waiting and closes the socket; harmless when stopped already. */
void	 listener_stop(struct listener *l);
void	 listener_close(struct listener *l);	/* NULL is fine */
/* Where it listens, for the log. */
const char *listener_name(const struct listener *l);

#endif
