/*
 * worker - threads that read requests, and answer them or hand them to be held.
 *
 * Each takes a connection from the gate (gate.h), reads its request, and has it answered
 * by the route. Then the connection goes back to the gate; or to the keeper, through
 * struct worker_ops, when the answer comes later or the peer does not take it at once.
 * Threads: as said at each function.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define WORKER_READ_MS	5000	/* for a whole request, however its bytes trickle */

struct app;
struct conn;
struct gate;
struct hold;
struct workers;

/*
 * How the keeper gets what a worker cannot end itself; called on the worker's thread, for
 * which the connection, or the hold and its connection, are then no longer.
 */
struct worker_ops {
	void	(*give_conn)(struct conn *c, void *arg);	/* CONN_WRITING; any thread */
	/* With hold->conn as CONN_HELD, or without one for a notice. */
	void	(*give_hold)(struct hold *hold, void *arg);
};

/* Opens n handlers, each with its keys and database; why as handler_open().  app, gate and
 * ops are borrowed. */
int	 workers_open(struct app *app, struct gate *gate, int n, struct workers **ret,
	    char *why, size_t size) ATTR_MUST_CHECK;
/* Starts the threads (signals blocked by the caller).  ERR_NOMEM. */
int	 workers_start(struct workers *ws, const struct worker_ops *ops, void *arg)
	    ATTR_MUST_CHECK;
/* Ends the gate, lets the threads finish what they have, joins them.  NULL is fine. */
void	 workers_close(struct workers *ws);

/* Keeper: after a change of app->generation, closes the databases of idle workers; a busy
 * one does it himself as soon as he has answered. */
void	 workers_let_go(struct workers *ws);
/* Keeper: interrupts workers whose peer takes too long to say its request. */
void	 workers_watch(struct workers *ws, int64_t now_mono_ms);

#endif
