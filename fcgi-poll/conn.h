/*
 * conn - one connection from the web server: a descriptor and what is still to be
 * written to it.
 *
 * It belongs to one at a time: to the gate (gate.h) while it is idle, to a worker while
 * a request is read and answered, to the keeper while it is held or being written to.
 * Only the owner touches it and only the owner ends it, by gate_drop().
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
	CONN_NEW,		/* the gate's: nothing was received on it yet */
	CONN_BUSY,		/* a worker's, or on its way to the keeper */
	CONN_HELD,		/* the keeper's: its request waits for an event */
	CONN_WRITING,		/* the keeper's: the peer did not take everything at once */
	CONN_KEPT		/* the gate's: between two requests */
};

struct conn {
	LIST_ENTRY(conn)	 all;		/* {the gate's lock} */
	TAILQ_ENTRY(conn)	 link;		/* CONN_NEW: {the gate's lock}; CONN_WRITING: */
						/* on its way, {the keeper's lock}; */
						/* CONN_HELD: not watched yet */
	int64_t			 since_mono_ms;	/* {the gate's lock} CONN_NEW: silent; */
						/* CONN_HELD: held */
	struct request_wire	 wire;
	struct timer		 timer;		/* the keeper's */
	struct buf		 out;		/* what conn_write() goes on with */
	size_t			 out_done;	/* bytes written */
	size_t			 plain_len;	/* as plain_scan() found it; 0 */
	uint64_t		 seq;		/* rises with each request of the process */
	struct hold		*hold;		/* CONN_HELD */
	_Atomic int		 state;		/* enum conn_state */
	/* Bytes of their own, as they have different guards. */
	unsigned char		 is_silent;	/* {the gate's lock} among those */
	unsigned char		 is_whole;	/* the request was there to its end */
	unsigned char		 is_timed;	/* reading from it ends by itself */
	unsigned char		 is_at_gate;	/* the gate's epoll knows the descriptor, */
	unsigned char		 is_watched;	/* so does the keeper's */
	unsigned char		 is_fresh;	/* held, and not watched yet */
};
TAILQ_HEAD(conn_queue, conn);

/* Takes over a connected descriptor.  ERR_NOMEM: fd is closed. */
int	 conn_new(int fd, struct conn **ret) ATTR_MUST_CHECK;
void	 conn_free(struct conn *c);	/* closes; NULL is fine.  For the gate alone */

/* What there is to read, without reading it; conn_read() relies on what was found. */
enum conn_peek {
	CONN_SILENT,
	CONN_PART,		/* the beginning of a request */
	CONN_WHOLE,		/* a request to its end: reading it does not block */
	CONN_ABORTED,		/* the web server says that the client is gone */
	CONN_GONE
};
enum conn_peek conn_peek(struct conn *c);

/* Reads the request that is there; what is missing of it is waited for CONN_READ_S.  Errors
 * as of request_read(). */
int	 conn_read(struct conn *c, struct request *ret) ATTR_MUST_CHECK;

/* Prints rep as the answer to the request and writes what the peer takes at once:
 * 1 all, 0 conn_write() has to go on when it is writable; ERR_CLOSED, ERR_NOMEM. */
int	 conn_answer(struct conn *c, struct reply *rep) ATTR_MUST_CHECK;
int	 conn_write(struct conn *c) ATTR_MUST_CHECK;
/* Only prints it, for conn_write(); where that fails the connection ends without an answer. */
void	 conn_print(struct conn *c, struct reply *rep);

#endif
