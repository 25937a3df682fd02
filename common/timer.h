/*
 * timer - deadlines in a binary heap: the next one at once, others in O(log n).
 *
 * A timer is embedded in what it belongs to and knows its own place in the heap, so
 * that cancelling needs no search.
 * Times are monotonic milliseconds.  Threads: a heap belongs to one thread.
 */
#ifndef TIMER_H
#define TIMER_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

/* Zeroed: not set. */
struct timer {
	int64_t	 at_ms;
	size_t	 place;		/* in the heap, counted from 1; 0: not set */
	void	*owner;		/* what it is embedded in */
};

struct timers {
	struct timer	**heap;
	size_t		  len, cap;
};

void	 timers_init(struct timers *ts);
void	 timers_release(struct timers *ts);	/* forgets all that are set */

/* Room for n timers in all: until there are more, timers_set() cannot fail.  ERR_NOMEM. */
int	 timers_reserve(struct timers *ts, size_t n) ATTR_MUST_CHECK;
/* Sets or moves t to at_ms.  ERR_NOMEM: it is as it was. */
int	 timers_set(struct timers *ts, struct timer *t, void *owner, int64_t at_ms)
	    ATTR_MUST_CHECK;
void	 timers_cancel(struct timers *ts, struct timer *t);	/* harmless when not set */
/* Takes the earliest timer that is due at now_ms off the heap; NULL: none is. */
struct timer *timers_take(struct timers *ts, int64_t now_ms);
/* Milliseconds until the earliest is due (0: now); -1: none is set. */
int64_t	 timers_wait_ms(const struct timers *ts, int64_t now_ms);

#endif
