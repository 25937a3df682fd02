/*
 * Latencies are counted, not kept: 200,000 a second fit into the same 30 KB (hist.h).
 */
#include <string.h>

#include "hist.h"

void
hist_reset(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

static unsigned
cell_of(uint64_t v)
{
	unsigned octave;

	if (v < 64)
		return (unsigned)v;
	octave = 63 - (unsigned)__builtin_clzll(v);
	return (octave - 5) * 64 + (unsigned)((v >> (octave - 6)) & 63);
}

static double
middle_of(unsigned cell)
{
	if (cell < 64)
		return cell;
	return (64.5 + cell % 64) * (double)(1ULL << (cell / 64 - 1));
}

void
hist_add(struct hist *h, uint64_t ns)
{
	h->n++;
	if (ns > h->max)
		h->max = ns;
	h->cells[cell_of(ns)]++;
}

double
hist_ms(const struct hist *h, double q)
{
	uint64_t want, seen = 0;
	double value;
	unsigned i;

	if (h->n == 0)
		return 0;
	want = (uint64_t)(q * (double)(h->n - 1)) + 1;
	for (i = 0; i < HIST_CELLS; i++) {
		seen += h->cells[i];
		if (seen >= want)
			break;
	}
	value = middle_of(i);
	if (value > (double)h->max)
		value = (double)h->max;
	return value / 1e6;
}
