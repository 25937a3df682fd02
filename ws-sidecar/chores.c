/*
 * chores - once a minute; sooner while more is left to prune than one batch takes,
 * for a long transaction would keep the site's writers waiting.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "chores.h"
#include "clock.h"
#include "conf.h"
#include "eventlog.h"
#include "shm.h"
#include "stats.h"
#include "writer.h"

#define BATCH		1000	/* rows */
#define SOON_MS		1000	/* between batches */

struct chores {
	struct writer_job	 job;		/* first */
	const struct conf	*conf;
	struct writer		*writer;
	struct shm		*shm;
	int64_t			 next_ms;
	_Atomic int		 is_running;	/* the job is the writer's */
	_Atomic int		 has_more;
	int			 pruned;	/* the writer's thread's */
};

static int
run(struct writer_job *job, struct store *st)
{
	struct chores *ch = (struct chores *)job;

	ch->pruned = eventlog_prune(st, clock_wall_us(), ch->conf->events_keep_s,
	    ch->conf->events_keep_rows, BATCH);
	return ch->pruned;
}

static void
done(struct writer_job *job, int err)
{
	struct chores *ch = (struct chores *)job;

	if (err == 0 && ch->pruned > 0) {
		stats_add(ch->shm, STATS_pruned, (uint64_t)ch->pruned);
		ch->has_more = ch->pruned >= BATCH;
	}
	ch->is_running = 0;
}

struct chores *
chores_new(const struct conf *conf, struct writer *writer, struct shm *shm)
{
	struct chores *ch;

	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return NULL;
	ch->job.run = run;
	ch->job.done = done;
	ch->conf = conf;
	ch->writer = writer;
	ch->shm = shm;
	return ch;
}

void
chores_free(struct chores *ch)
{
	free(ch);
}

int64_t
chores_tick(struct chores *ch, int64_t now_ms)
{
	if (now_ms < ch->next_ms && !(ch->has_more && !ch->is_running))
		return ch->has_more ? now_ms + SOON_MS : ch->next_ms;
	(void)shm_reap(ch->shm);	/* how many is of no interest here */
	ch->next_ms = now_ms + CHORES_MS;
	if (ch->is_running)
		return ch->next_ms;
	ch->has_more = 0;
	ch->is_running = 1;
	/* A full or closed writer: again in a minute. */
	if (writer_put(ch->writer, &ch->job) < 0)
		ch->is_running = 0;
	return now_ms + SOON_MS;
}
