/*
 * The counters: added to by everyone, printed for /metrics, for the FastCGI
 * side's metrics request and for `sidewire stats`.
 */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>

#include "buf.h"
#include "shm.h"
#include "stats.h"

static const struct {
	const char	*name, *help;
} table[STATS_COUNT] = {
#define COUNTER(name, help)	{ #name "_total", help },
#include "stats.def"
#undef COUNTER
};

void
stats_add(struct shm *shm, enum stats counter, uint64_t n)
{
	if (shm != NULL)
		atomic_fetch_add_explicit(shm_counter(shm, (int)counter), n,
		    memory_order_relaxed);
}

uint64_t
stats_get(struct shm *shm, enum stats counter)
{
	return shm == NULL ? 0 : atomic_load_explicit(
	    shm_counter(shm, (int)counter), memory_order_relaxed);
}

const char *
stats_name(enum stats counter)
{
	return table[counter].name;
}

const char *
stats_help(enum stats counter)
{
	return table[counter].help;
}

enum { SHARED_GAUGES = 4 };

static void
get_shared(struct shm *shm, struct stats_gauge ret[SHARED_GAUGES])
{
	ret[0] = (struct stats_gauge){ "connections",
	    "WebSocket connections open in all processes", 0 };
	ret[1] = (struct stats_gauge){ "held_requests",
	    "Polls held in all processes", 0 };
	ret[2] = (struct stats_gauge){ "poll_processes",
	    "Processes that answer polls", 0 };
	ret[3] = (struct stats_gauge){ "sidecar_processes",
	    "Processes that serve WebSocket connections", 0 };
	if (shm == NULL)
		return;
	ret[0].value = shm_connections(shm);
	ret[1].value = shm_held(shm);
	ret[2].value = shm_processes(shm, SHM_POLL);
	ret[3].value = shm_processes(shm, SHM_SIDECAR);
}

static void
print_gauge(struct buf *b, const struct stats_gauge *g)
{
	buf_addf(b, "# HELP sidewire_%s %s\n# TYPE sidewire_%s gauge\n"
	    "sidewire_%s ", g->name, g->help, g->name, g->name);
	if (isfinite(g->value))
		buf_addf(b, "%.15g\n", g->value);
	else
		buf_adds(b, isnan(g->value) ? "NaN\n" :
		    g->value > 0 ? "+Inf\n" : "-Inf\n");
}

void
stats_print(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
    int n_gauges)
{
	struct stats_gauge shared[SHARED_GAUGES];
	int i;

	for (i = 0; i < STATS_COUNT; i++)
		buf_addf(b, "# HELP sidewire_%s %s\n"
		    "# TYPE sidewire_%s counter\nsidewire_%s %" PRIu64 "\n",
		    table[i].name, table[i].help, table[i].name, table[i].name,
		    stats_get(shm, (enum stats)i));
	get_shared(shm, shared);
	for (i = 0; i < SHARED_GAUGES; i++)
		print_gauge(b, &shared[i]);
	for (i = 0; i < n_gauges; i++)
		print_gauge(b, &gauge[i]);
}

static void
print_row(struct buf *b, const struct stats_gauge *g)
{
	buf_addf(b, "%14.15g  %-26s %s\n", g->value, g->name, g->help);
}

void
stats_print_table(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
    int n_gauges)
{
	struct stats_gauge shared[SHARED_GAUGES];
	int i;

	get_shared(shm, shared);
	for (i = 0; i < SHARED_GAUGES; i++)
		print_row(b, &shared[i]);
	for (i = 0; i < n_gauges; i++)
		print_row(b, &gauge[i]);
	for (i = 0; i < STATS_COUNT; i++)
		buf_addf(b, "%14" PRIu64 "  %-26s %s\n",
		    stats_get(shm, (enum stats)i), table[i].name, table[i].help);
}

/* JSON has no word for what is not a number (RFC 8259 section 6). */
static void
print_gauge_json(struct buf *b, const struct stats_gauge *g)
{
	if (isfinite(g->value))
		buf_addf(b, ",\"%s\":%.15g", g->name, g->value);
	else
		buf_addf(b, ",\"%s\":null", g->name);
}

void
stats_print_json(struct buf *b, struct shm *shm, const struct stats_gauge *gauge,
    int n_gauges)
{
	struct stats_gauge shared[SHARED_GAUGES];
	int i;

	buf_addc(b, '{');
	for (i = 0; i < STATS_COUNT; i++)
		buf_addf(b, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",",
		    table[i].name, stats_get(shm, (enum stats)i));
	get_shared(shm, shared);
	for (i = 0; i < SHARED_GAUGES; i++)
		print_gauge_json(b, &shared[i]);
	for (i = 0; i < n_gauges; i++)
		print_gauge_json(b, &gauge[i]);
	buf_addc(b, '}');
}
