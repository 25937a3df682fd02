/*
 * hist - a log-linear histogram of durations: 64 steps to the octave, so that a
 * percentile is at most 1.6 % off.  Values are nanoseconds.
 */
#ifndef HIST_H
#define HIST_H

#include <stdint.h>

#define HIST_CELLS	(64 * 59)

struct hist {
	uint64_t	 n;
	uint64_t	 max;
	uint64_t	 cells[HIST_CELLS];
};

void	 hist_reset(struct hist *h);
void	 hist_add(struct hist *h, uint64_t ns);
/* The value that a share of q (0 to 1) does not exceed, in ms; 0 when empty. */
double	 hist_ms(const struct hist *h, double q);

#endif
