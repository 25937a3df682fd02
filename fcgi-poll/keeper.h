/*
 * keeper - one thread, one epoll: held requests and their deadlines, slow readers, the
 * tail, and what is to be done by time.
 *
 * Connections that wait for a request are the gate's (gate.h); workers give the keeper
 * what they hold (struct worker_ops), and it gives kept connections back to the gate.
 * Threads: keeper_open() and keeper_close() on main's, keeper_drain() on any; all
 * else runs on the keeper's own.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "attr.h"

#define KEEPER_WRITE_S		30	/* a peer that does not take its answer */
#define KEEPER_DRAIN_S		10	/* for workers and slow readers, at the end */

struct app;
struct duty;
struct gate;
struct keeper;
struct workers;

/* ERR_IO, ERR_NOMEM. */
int	 keeper_open(struct app *app, struct gate *gate, struct workers *workers,
	    struct duty *duty, struct keeper **ret) ATTR_MUST_CHECK;
/* Starts the workers, the gate and its own thread.  When that cannot go on (the database is gone
 * for good) it sends SIGTERM to the process and keeper_close() says so. */
int	 keeper_start(struct keeper *k) ATTR_MUST_CHECK;
/* Stops accepting, answers what is held, waits for what is being worked on. */
void	 keeper_drain(struct keeper *k);
/* Joins the thread: drain first.  Returns 0, or the error that ended it. */
int	 keeper_join(struct keeper *k);
/* After the workers and the writer were closed and before the gate; NULL is fine. */
void	 keeper_close(struct keeper *k);

#endif
