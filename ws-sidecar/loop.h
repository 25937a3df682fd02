/*
 * loop - the sidecar's one event loop: wakes the tail, runs deadlines, takes
 * signals, drains.
 *
 * SIGTERM and SIGINT drain with 1001, SIGUSR1 with 1012; a second one ends at once.
 * Threads: one; loop_notify() from any.
 */
#ifndef LOOP_H
#define LOOP_H

#include "attr.h"

#define LOOP_DRAIN_MS	5000	/* for the closing handshakes of a drain */

struct acceptor;
struct clients;
struct duty;
struct ev_loop;
struct loop;
struct server;
struct tail;

struct loop_env {		/* borrowed */
	struct tail	*tail;
	struct clients	*clients;
	struct duty	*duty;
	struct acceptor	*acceptor;
	struct server	*server;
};

/* ERR_NOMEM, ERR_IO (no epoll). */
int	 loop_new(struct loop **ret) ATTR_MUST_CHECK;
void	 loop_free(struct loop *loop);		/* NULL is fine */
struct ev_loop *loop_ev(struct loop *loop);
/* Has clients_collect() called; arg is the struct loop. */
void	 loop_notify(void *arg);
/* Runs until it is drained: 0; ERR_NOMEM: the tail gave up. */
int	 loop_run(struct loop *loop, const struct loop_env *env) ATTR_MUST_CHECK;
/* Lets what was closed finish, without waiting. */
void	 loop_settle(struct loop *loop);

#endif
