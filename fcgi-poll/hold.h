/*
 * hold - a poll that waits for an event: what must be known to answer it later.
 *
 * Made by a worker, then the keeper's.  One allocation beside the hub's own; the
 * request and the library's state are long freed.
 * A hold with is_notice waits for nothing: it tells the keeper that its client has
 * polled again, so that an older hold of the same client ends.
 */
#ifndef HOLD_H
#define HOLD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "attr.h"
#include "hub.h"
#include "timer.h"

struct conn;

enum hold_end {
	HOLD_WAITS,
	HOLD_WOKEN,		/* there may be an event for it */
	HOLD_EXPIRED,		/* its time or its token's is over */
	HOLD_SUPERSEDED,	/* the same client polled again */
	HOLD_DRAINED,		/* the process ends */
	HOLD_VOID,		/* the database was replaced: the client's cursor decides */
	HOLD_REVOKED,		/* the user is gone */
	HOLD_ABANDONED		/* the client is gone, or at least will not speak again */
};

struct hold {
	struct hub_sub		 sub;
	struct timer		 timer;
	LIST_ENTRY(hold)	 all;
	STAILQ_ENTRY(hold)	 queue;		/* from the worker; then: to be looked at */
	struct conn		*conn;		/* NULL for a notice */
	int64_t			 cursor;	/* where the client is */
	int64_t			 pos;		/* where the worker read up to, */
	int64_t			 looked_pos;	/* after it had looked up the user here */
	int64_t			 deadline_mono_ms;
	int64_t			 issued_at_s;	/* of its token (auth.h) */
	uint64_t		 seq;		/* of the request */
	unsigned		 generation;	/* of the worker's database (app.h) */
	enum hold_end		 end;
	int			 limit;
	int			 is_legacy;	/* the SYNC rule holds (answer.h) */
	int			 is_notice;
	int			 is_queued, is_joined, is_named;
	/* Owned strings; NULL where absent. */
	const char		*user_id, *client, *origin;
	char			**rooms;	/* n_rooms, sorted */
	size_t			 n_rooms;
};
STAILQ_HEAD(hold_queue, hold);

/* Copies the strings; all else is zero.  ERR_NOMEM. */
int	 hold_new(const char *user_id, const char *client, const char *origin,
	    char *const *rooms, size_t n_rooms, struct hold **ret) ATTR_MUST_CHECK;
void	 hold_free(struct hold *hold);		/* NULL is fine; not while joined */

#endif
