/*
 * answer - the body of a poll's answer, event by event: {"events":[...],"timestamp":...}.
 *
 * Pure: the worker that answers at once and the keeper that answers a held poll both
 * fill one.  Knows the SYNC rule (protocol.md, section 2): a client that only keeps
 * the payload.id of the last event must find an id there that it can come back with.
 * Threads: any; an answer belongs to its caller.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct buf;
struct event;

#define ANSWER_BYTES	(512 * 1024)	/* of one answer; the next poll goes on */
#define ANSWER_STATE	(60 * 1024 * 1024)	/* of the present state: it has no next */

struct answer {
	struct buf	*body;		/* borrowed; its failure is the answer's */
	size_t		 max_bytes;
	int		 n_events;
	int		 is_full;	/* an event did not fit */
	int		 is_message_last;
	int64_t		 last_pos;	/* of the last event, 0 without one */
};

/* What is known when the last event is in. */
struct answer_end {
	int64_t		 pos;		/* up to which the log was read */
	int		 is_more;
	const char	*reset;		/* reason; NULL: there is none */
	int		 is_legacy;	/* keeps lastMessageId alone: the SYNC rule holds */
	int		 is_moved;	/* pos is not where the client is */
};

/* Begins in an empty body. */
void	 answer_begin(struct answer *a, struct buf *body, size_t max_bytes);
/* 0, or 1: it did not fit, and is not in; the first always fits. */
int	 answer_add(struct answer *a, const struct event *ev, const char *text, size_t len);
/* Closes the body; end->pos is corrected where an event did not fit. */
void	 answer_end(struct answer *a, struct answer_end *end);

#endif
