/*
 * gate - where connections wait for somebody to speak: the listening socket and the
 * idle connections, on one epoll that all workers wait at.
 *
 * Whoever gets an event has the connection to himself, without a word to another
 * thread: each registration is for one event, and is renewed when the connection comes
 * back.  The gate also knows every connection of the process, so that it can count
 * them, end those that are silent for too long, and close the idle ones at the end.
 *
 * Threads: gate_take(), gate_put(), gate_drop() and gate_count() any; gate_wait_ms(),
 * gate_tick(), gate_drain() and gate_end() one, the keeper's; the rest main's.
 */
#ifndef GATE_H
#define GATE_H

#include <stdint.h>

#include "attr.h"

#define GATE_SPARE_FDS	64	/* kept for the database and the log */
#define GATE_WORKER_FDS	4	/* besides, for each worker's */
#define GATE_REST_MS	200	/* after descriptors ran out */
#define GATE_CALM_MS	10000	/* without another rest: it is over, for the log */
#define GATE_FIRST_S	30	/* a new connection that says nothing */
#define GATE_IN_A_ROW	16	/* new ones accepted before others are looked for */
#define GATE_PAUSE	4	/* not tried again, when nobody was there */
#define GATE_LAST_MS	1000	/* the same while draining */

struct app;
struct conn;
struct gate;

/* Called, on any thread, when gate_wait_ms() has changed, and while draining whenever a
 * connection has ended. */
typedef void gate_wake_fn(void *arg);

/* listen_fd is borrowed and made non-blocking.  Sets app->max_held_here.  ERR_IO,
 * ERR_NOMEM. */
int	 gate_open(struct app *app, int listen_fd, struct gate **ret) ATTR_MUST_CHECK;
/* Begins to accept. */
void	 gate_start(struct gate *g, gate_wake_fn *wake, void *arg);
/* When nobody uses it any more: ends what connections there are.  NULL is fine. */
void	 gate_close(struct gate *g);

/* What a thread that takes connections remembers between two; zeroed at first. */
struct gate_turn {
	unsigned	 accepted;	/* new ones in a row */
	unsigned	 pause;		/* so many more before it looks for another at once */
};
/* Waits for a connection that has something to read, as CONN_BUSY and the caller's, with
 * the next seq; NULL after gate_end(). */
struct conn *gate_take(struct gate *g, struct gate_turn *turn);
/* Gives a connection back that was answered: it waits there for its next request, or ends
 * when it is not kept, or the process drains.  Not the caller's any more, in any case. */
void	 gate_put(struct gate *g, struct conn *c);
/* Ends a connection of the caller's. */
void	 gate_drop(struct gate *g, struct conn *c);
/* How many connections there are, idle or not. */
int	 gate_count(const struct gate *g);

/* When gate_tick() has something to do, -1: not by time. */
int64_t	 gate_wait_ms(struct gate *g, int64_t now_mono_ms);
/* Goes on accepting after a rest, ends those that are silent for too long. */
void	 gate_tick(struct gate *g, int64_t now_mono_ms);
/* Takes what is in the kernel's queue, stops accepting, ends kept connections; a new one,
 * whose request is on its way, has GATE_LAST_MS. */
void	 gate_drain(struct gate *g);
/* gate_take() returns NULL from now on. */
void	 gate_end(struct gate *g);

#endif
