/*
 * Duties (duty.h).
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "duty.h"
#include "err.h"
#include "eventlog.h"
#include "notify.h"
#include "presence.h"
#include "sends.h"
#include "shm.h"
#include "stats.h"
#include "writer.h"

#define REAP_MS		60000

struct duty {
	struct writer_job	 prune;		/* first: the writer knows only this */
	const struct conf	*conf;
	struct writer		*writer;
	struct shm		*shm;
	struct presence		*presence;
	_Atomic int		 is_pruning;	/* the job is the writer's */
	_Atomic int		 is_behind;	/* the last batch was a full one */
	int			 removed;	/* writer's thread: events */
	int			 forgotten;	/* writer's thread: keys */
	int64_t			 prune_ms, reap_ms, presence_ms;	/* when next */
	int64_t			 watchdog_ms;
	int64_t			 watchdog_period_ms;	/* 0: nobody asks */
};

static int
run_prune(struct writer_job *job, struct store *st)
{
	struct duty *d = (struct duty *)job;
	int64_t now_us = clock_wall_us();
	int rc;

	d->removed = d->forgotten = 0;
	rc = eventlog_prune(st, now_us, d->conf->events_keep_s,
	    d->conf->events_keep_rows, DUTY_PRUNE_ROWS);
	if (rc < 0)
		return rc;
	d->removed = rc;
	rc = sends_prune(st, now_us - SENDS_KEEP_S * 1000000LL, DUTY_PRUNE_ROWS);
	if (rc < 0)
		return rc;
	d->forgotten = rc;
	return 0;
}

static void
done_prune(struct writer_job *job, int err)
{
	struct duty *d = (struct duty *)job;

	if (err == 0) {
		stats_add(d->shm, STATS_pruned, (uint64_t)d->removed);
		stats_add(d->shm, STATS_sends_pruned, (uint64_t)d->forgotten);
	}
	atomic_store(&d->is_behind, err == 0 &&
	    (d->removed >= DUTY_PRUNE_ROWS || d->forgotten >= DUTY_PRUNE_ROWS));
	atomic_store(&d->is_pruning, 0);
}

static void
prune(struct duty *d, int64_t now_ms)
{
	if (atomic_load(&d->is_pruning) ||
	    (!atomic_load(&d->is_behind) && now_ms < d->prune_ms))
		return;
	d->prune_ms = now_ms + DUTY_PRUNE_MS;
	atomic_store(&d->is_pruning, 1);
	if (writer_put(d->writer, &d->prune) < 0)
		atomic_store(&d->is_pruning, 0);	/* later, then */
}

/* Half of what the supervisor asks (sd_watchdog_enabled(3)). */
static int64_t
get_watchdog_period(void)
{
	const char *s = getenv("WATCHDOG_USEC");

	return s != NULL ? strtoll(s, NULL, 10) / 2000 : 0;
}

int
duty_open(const struct conf *conf, struct writer *writer, struct shm *shm,
    struct presence *presence, struct duty **ret)
{
	struct duty *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return ERR_NOMEM;
	d->prune.run = run_prune;
	d->prune.done = done_prune;
	d->conf = conf;
	d->writer = writer;
	d->shm = shm;
	d->presence = presence;
	d->watchdog_period_ms = get_watchdog_period();
	*ret = d;
	return 0;
}

void
duty_close(struct duty *d)
{
	free(d);
}

static void
sooner(int64_t *wait, int64_t at_ms, int64_t now_ms)
{
	if (at_ms - now_ms < *wait)
		*wait = at_ms - now_ms;
}

int64_t
duty_tick(struct duty *d, int64_t now_mono_ms)
{
	int64_t wait = DUTY_PRUNE_MS;

	prune(d, now_mono_ms);
	if (now_mono_ms >= d->reap_ms) {
		(void)shm_reap(d->shm);		/* how many is of no interest */
		d->reap_ms = now_mono_ms + REAP_MS;
	}
	if (now_mono_ms >= d->presence_ms)
		d->presence_ms = now_mono_ms +
		    presence_tick(d->presence, clock_wall_ms());
	sooner(&wait, d->presence_ms, now_mono_ms);
	if (d->watchdog_period_ms > 0) {
		if (now_mono_ms >= d->watchdog_ms) {
			(void)notify_send("WATCHDOG=1");	/* or it restarts us */
			d->watchdog_ms = now_mono_ms + d->watchdog_period_ms;
		}
		sooner(&wait, d->watchdog_ms, now_mono_ms);
	}
	if (atomic_load(&d->is_pruning) || atomic_load(&d->is_behind))
		sooner(&wait, now_mono_ms + DUTY_SOON_MS, now_mono_ms);
	else
		sooner(&wait, d->prune_ms, now_mono_ms);
	return wait > 0 ? wait : 0;
}
