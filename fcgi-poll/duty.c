/*
 * Duties (duty.h).  Everything that writes goes through the writer.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "app.h"
#include "clock.h"
#include "conf.h"
#include "duty.h"
#include "err.h"
#include "eventlog.h"
#include "notify.h"
#include "presence.h"
#include "shm.h"
#include "stats.h"
#include "writer.h"

#define REAP_MS		60000
#define MAX_WAIT_MS	1000

struct duty {
	struct writer_job	 prune;		/* first: the writer's part */
	struct app		*app;
	_Atomic int		 is_pruning;	/* the job is the writer's */
	_Atomic int		 is_behind;	/* the last batch was full */
	int			 removed;	/* writer's thread */
	int			 has_traffic;
	int64_t			 next_prune_ms, next_reap_ms;
	int64_t			 next_presence_ms, next_watchdog_ms;
	int64_t			 watchdog_ms;	/* 0: nobody asks */
};

static int
run_prune(struct writer_job *job, struct store *st)
{
	struct duty *d = (struct duty *)job;
	const struct conf *conf = d->app->conf;
	int rc;

	rc = eventlog_prune(st, clock_wall_us(), conf->events_keep_s,
	    conf->events_keep_rows, DUTY_PRUNE_ROWS);
	d->removed = rc > 0 ? rc : 0;
	return rc;
}

static void
done_prune(struct writer_job *job, int err)
{
	struct duty *d = (struct duty *)job;

	if (err == 0)
		stats_add(d->app->shm, STATS_pruned, (uint64_t)d->removed);
	atomic_store(&d->is_behind,
	    err == 0 && d->removed >= DUTY_PRUNE_ROWS);
	atomic_store(&d->is_pruning, 0);
}

static void
prune(struct duty *d, int64_t now_ms)
{
	if (atomic_load(&d->is_pruning))
		return;
	if (!atomic_load(&d->is_behind) &&
	    (!d->has_traffic || now_ms < d->next_prune_ms))
		return;
	d->has_traffic = 0;
	d->next_prune_ms = now_ms + DUTY_PRUNE_MS;
	d->prune.run = run_prune;
	d->prune.done = done_prune;
	atomic_store(&d->is_pruning, 1);
	if (writer_put(d->app->writer, &d->prune) < 0)
		atomic_store(&d->is_pruning, 0);	/* later, then */
}

/* Half of what the supervisor asks (sd_watchdog_enabled(3)). */
static int64_t
get_watchdog_ms(void)
{
	const char *s = getenv("WATCHDOG_USEC");

	return s != NULL ? strtoll(s, NULL, 10) / 2000 : 0;
}

int
duty_open(struct app *app, struct duty **ret)
{
	struct duty *d;

	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return ERR_NOMEM;
	d->app = app;
	d->has_traffic = 1;	/* what came while nobody was here */
	d->watchdog_ms = get_watchdog_ms();
	*ret = d;
	return 0;
}

void
duty_close(struct duty *d)
{
	free(d);
}

int64_t
duty_tick(struct duty *d, int64_t now_mono_ms, uint64_t n_events)
{
	int64_t wait;

	if (n_events > 0)
		d->has_traffic = 1;
	prune(d, now_mono_ms);
	if (now_mono_ms >= d->next_reap_ms) {
		(void)shm_reap(d->app->shm);
		d->next_reap_ms = now_mono_ms + REAP_MS;
	}
	if (d->watchdog_ms > 0 && now_mono_ms >= d->next_watchdog_ms) {
		(void)notify_send("WATCHDOG=1");	/* or it restarts us */
		d->next_watchdog_ms = now_mono_ms + d->watchdog_ms;
	}
	if (now_mono_ms >= d->next_presence_ms) {
		wait = presence_tick(d->app->presence, clock_wall_ms());
		d->next_presence_ms = now_mono_ms + wait;
	}
	wait = d->next_presence_ms - now_mono_ms;
	return wait < MAX_WAIT_MS ? wait : MAX_WAIT_MS;
}
