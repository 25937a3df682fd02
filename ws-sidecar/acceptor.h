/*
 * acceptor - takes connections off the listening socket, in the service's loop.
 *
 * The socket is ours and not the library's: so it can come from the supervisor, be a
 * unix socket, be shared by two processes during a restart, and be closed first when
 * the service drains.
 * Threads: that of the loop.
 */
#ifndef ACCEPTOR_H
#define ACCEPTOR_H

#include "attr.h"

struct acceptor;
struct ev_loop;
struct listener;

/* A connection, non-blocking and close-on-exec; the descriptor is the callee's. */
typedef void acceptor_fn(int fd, void *arg);

/* Accepts on loop from now on; listener is borrowed.  ERR_IO, ERR_NOMEM. */
int	 acceptor_start(struct listener *listener, struct ev_loop *loop,
	    acceptor_fn *fn, void *arg, struct acceptor **ret) ATTR_MUST_CHECK;
/* Takes what is waiting and closes the socket; harmless when stopped already. */
void	 acceptor_stop(struct acceptor *a);
void	 acceptor_free(struct acceptor *a);	/* NULL is fine */

#endif
