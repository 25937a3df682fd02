/*
 * keeper - one thread, one epoll: accepting, idle connections, held requests, slow
 * readers, the tail.
 *
 * Threads: keeper_open() and keeper_close() on main's, keeper_drain() on any; all
 * else runs on the keeper's own.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "attr.h"

#define KEEPER_SPARE_FDS	64	/* kept for the database and the log */
#define KEEPER_WORKER_FDS	4	/* besides, for each worker's */
#define KEEPER_REST_MS		200	/* after descriptors or workers ran out */
#define KEEPER_FIRST_S		30	/* a new connection that says nothing */
#define KEEPER_WRITE_S		30	/* a peer that does not take its answer */
#define KEEPER_DRAIN_S		10	/* for workers and slow readers, at the end */

struct app;
struct duty;
struct keeper;
struct workers;

/* listen_fd is borrowed and made non-blocking.  ERR_IO, ERR_NOMEM. */
int	 keeper_open(struct app *app, int listen_fd, struct workers *workers,
	    struct duty *duty, struct keeper **ret) ATTR_MUST_CHECK;
/* Starts the workers and its own thread.  When that cannot go on (the database is gone
 * for good) it sends SIGTERM to the process and keeper_close() says so. */
int	 keeper_start(struct keeper *k) ATTR_MUST_CHECK;
/* Stops accepting, answers what is held, waits for what is being worked on. */
void	 keeper_drain(struct keeper *k);
/* Joins the thread: drain first.  Returns 0, or the error that ended it. */
int	 keeper_join(struct keeper *k);
/* After the workers were closed; NULL is fine. */
void	 keeper_close(struct keeper *k);

#endif
