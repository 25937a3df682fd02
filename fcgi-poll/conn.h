/*
 * conn - one connection from the web server: a descriptor and what is still to be
 * written to it.
 *
 * It belongs to one thread at a time: the keeper's while it is idle, held or being
 * written to, a worker's while a request is read and answered.  conn_new() and
 * conn_free() keep the number of living ones, for any thread.
 */
#ifndef CONN_H
#define CONN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "attr.h"
#include "buf.h"
#include "request.h"
#include "timer.h"

#define CONN_READ_S	2	/* a peer silent for so long within a request is given up */

struct hold;
struct reply;

enum conn_state {
	CONN_NEW,		/* nothing was received on it yet */
	CONN_BUSY,		/* a worker's, or on its way to one */
	CONN_HELD,		/* its request waits for an event */
	CONN_WRITING,		/* the peer did not take everything at once */
	CONN_KEPT		/* between two requests */
};

struct conn {
	TAILQ_ENTRY(conn)	 link;		/* of the queue that it is in */
	LIST_ENTRY(conn)	 idle;		/* the keeper's CONN_NEW and CONN_KEPT */
	enum conn_state		 state;
	struct request_wire	 wire;
	struct timer		 timer;
	struct buf		 out;
	size_t			 out_done;	/* bytes written */
	uint64_t		 seq;		/* rises with each request of the process */
	struct hold		*hold;		/* CONN_HELD */
	int			 is_watched;	/* the keeper's epoll knows the descriptor */
};
TAILQ_HEAD(conn_queue, conn);

/* Takes over a connected descriptor and sets its time-out.  ERR_NOMEM: fd is closed. */
int	 conn_new(int fd, struct conn **ret) ATTR_MUST_CHECK;
void	 conn_free(struct conn *c);	/* closes; NULL is fine */
int	 conn_count(void);

enum conn_peek { CONN_SILENT, CONN_READABLE, CONN_ABORTED, CONN_GONE };
/* What there is to read, without reading it. */
enum conn_peek conn_peek(const struct conn *c);

/* Prints rep as the answer to the request and writes what the peer takes at once:
 * 1 all, 0 conn_write() has to go on when it is writable; ERR_CLOSED, ERR_NOMEM. */
int	 conn_answer(struct conn *c, struct reply *rep) ATTR_MUST_CHECK;
int	 conn_write(struct conn *c) ATTR_MUST_CHECK;

#endif
