/*
 * ring - the newest events of the log, in order, bounded in number and bytes.
 *
 * It holds every event after its floor: who has read up to the floor or further can be
 * served from here, who has not must ask the log.
 * Threads: a ring belongs to one thread.
 */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct event;
struct ring;

/* A ring of at most max_events (a power of two) and max_bytes of text, but always the
 * newest event; floor: position up to which nothing will be asked of it. */
int	 ring_new(size_t max_events, size_t max_bytes, int64_t floor, struct ring **ret)
	    ATTR_MUST_CHECK;
void	 ring_free(struct ring *r);
/* Forgets everything; the floor is where it starts anew. */
void	 ring_reset(struct ring *r, int64_t floor);

/* Takes a reference to ev, whose id is greater than all before; drops the oldest. */
void	 ring_push(struct ring *r, struct event *ev);
/* Everything after this position is in the ring. */
int64_t	 ring_floor(const struct ring *r);
/* Index of the first event after pos, ring_len() if there is none. */
size_t	 ring_find(const struct ring *r, int64_t pos);
/* The event at an index counted from the oldest; borrowed until the next push. */
struct event *ring_at(const struct ring *r, size_t index);
size_t	 ring_len(const struct ring *r);
size_t	 ring_bytes(const struct ring *r);

#endif
