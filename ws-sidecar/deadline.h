/*
 * deadline - many moments, the earliest first: a binary heap of deadlines that are
 * embedded in what they belong to, so that ten thousand idle sockets are not walked.
 *
 * Times are monotonic milliseconds.  Threads: one at a time.
 */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

/* Zeroed it is unset; the fields are the module's, at_ms may be read while set. */
struct deadline {
	int64_t	at_ms;
	size_t	slot;		/* place in the heap from 1 on; 0: not set */
};

struct deadlines {
	struct deadline	**heap;
	size_t		  n, cap;
};

void	 deadlines_init(struct deadlines *ds);
void	 deadlines_release(struct deadlines *ds);
/* Room for n deadlines in all, so that setting them cannot fail.  ERR_NOMEM. */
int	 deadlines_reserve(struct deadlines *ds, size_t n) ATTR_MUST_CHECK;
/* Sets or moves one; there is room for it. */
void	 deadlines_set(struct deadlines *ds, struct deadline *d, int64_t at_ms);
void	 deadlines_clear(struct deadlines *ds, struct deadline *d);
/* The earliest, NULL if there is none; it stays set. */
struct deadline *deadlines_first(const struct deadlines *ds);

#endif
