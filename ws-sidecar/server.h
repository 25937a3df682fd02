/*
 * server - libwebsockets and its callback, a thin switch: handshakes in, frames and
 * HTTP answers out.  The library ends here.
 *
 * Threads: that of the loop.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stddef.h>

#include "attr.h"
#include "session.h"

struct clients;
struct conf;
struct ev_loop;
struct health_env;
struct server;

/* What struct clients needs to know of connections. */
extern const struct session_ops server_session_ops;

/*
 * A context on loop, which it does not own.  All borrowed until server_close().
 * ERR_NOMEM, ERR_IO.
 */
int	 server_open(const struct conf *conf, struct clients *clients,
	    const struct health_env *health, struct ev_loop *loop,
	    struct server **ret) ATTR_MUST_CHECK;
/* Ends all connections; frees their sessions.  NULL is fine. */
void	 server_close(struct server *srv);
/* To be called each second: lets the library look at its time-outs. */
void	 server_tick(struct server *srv);
/*
 * To be called before the loop sleeps: writes to some of those who asked for it
 * (session_ops.want_write).  Non-zero: others are left, do not sleep.
 */
int	 server_write(struct server *srv) ATTR_MUST_CHECK;
/* A new connection; arg is the struct server, fd is taken. */
void	 server_adopt(int fd, void *arg);

#endif
