/*
 * stats - counters of all processes, declared once in stats.def, printed as text.
 *
 * Threads: any.  Counters live in shared memory and only grow.
 */
#ifndef STATS_H
#define STATS_H

#include <stdint.h>

struct buf;
struct shm;

enum stats {
#define COUNTER(name, help)	STATS_ ## name,
#include "stats.def"
#undef COUNTER
	STATS_COUNT
};

/* A gauge that the caller knows at the moment of printing. */
struct stats_gauge {
	const char	*name;		/* without the prefix "sidewire_" */
	const char	*help;
	double		 value;
};

void	 stats_add(struct shm *shm, enum stats counter, uint64_t n);	/* shm NULL: nothing */
uint64_t stats_get(struct shm *shm, enum stats counter);
const char *stats_name(enum stats counter);	/* "polls_total" */
const char *stats_help(enum stats counter);

/* Appends counters, the gauges that the shared memory knows (connections, held requests,
 * processes) and those given, in the Prometheus text format 0.0.4. */
void	 stats_print(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
	    int n_gauges);
/* The same for people: value, name, help; gauges first. */
void	 stats_print_table(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
	    int n_gauges);
/* The same as one JSON object, for `sidewire stats --json`. */
void	 stats_print_json(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
	    int n_gauges);

#endif
