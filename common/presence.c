/*
 * Who is online, as seen from one process.
 *
 * The process keeps what it wants to be true of each user with sockets here,
 * not a list of what happened: a failed or late commit is repaired by writing
 * the present state again, quick changes melt into one, and when another
 * process took us for dead and gave our leases an end, they are taken anew.
 * One job at a time (the flush) carries heartbeat, changes and sweep to the
 * writer's thread; polls, which any worker may see, are small jobs of their
 * own.
 *
 * Members are freed on the writer's thread alone (or when nothing is left to
 * run), so that the flush can work through them without holding the lock.
 */
#include <sys/queue.h>

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "lease.h"
#include "log.h"
#include "presence.h"
#include "shm.h"
#include "stats.h"
#include "store.h"
#include "writer.h"

#define SWEEP_MS	10000	/* between looks for what others left */
#define TICK_MS		1000	/* tick at least so often: a grace may be short */
#define FLUSH_MAX	500	/* members of one transaction */
#define HEIRS_MAX	16	/* predecessors adopted at one start */
#define SAMPLES		4	/* leases looked at; some may be of deleted users */

struct member {
	LIST_ENTRY(member)	 all;
	TAILQ_ENTRY(member)	 dirty, work;
	const char		*id;		/* behind the struct */
	int64_t			 ends_at;	/* LEASE_OPEN: has sockets here */
	int64_t			 writing;	/* the ends_at of the running flush */
	int			 is_dirty, is_writing;
};
TAILQ_HEAD(members, member);

/* What a flush is to do besides members. */
struct duty {
	int	is_first, beat, sweep;
};

struct flush {
	struct writer_job	 job;
	struct presence		*p;
	int			 is_last;	/* retires the instance */
	int			 n_online, n_offline;
	int64_t			 next_end;
};

struct presence {
	struct writer		*writer;
	struct shm		*shm, *own_shm;
	char			*instance;
	int64_t			 ttl_ms, grace_ms;
	_Atomic int		 refs;		/* the owner and each job */
	pthread_mutex_t		 lock;
	void			*by_id;		/* {lock} tsearch(3) */
	LIST_HEAD(, member)	 all;		/* {lock} */
	struct members		 dirty;		/* {lock} */
	struct duty		 due;		/* {lock} */
	int64_t			 now_ms;	/* {lock} the latest we were told */
	int64_t			 next_beat_ms, next_sweep_ms;	/* {lock} */
	int64_t			 next_end_ms;	/* {lock} a lease ends; 0: unknown */
	int			 is_queued;	/* {lock} the flush is the writer's */
	int			 is_closed;	/* {lock} */
	struct members		 work;		/* writer's thread */
	struct duty		 duty;		/* writer's thread */
	struct flush		 flush, last;
};

struct poll_job {
	struct writer_job	 job;
	struct presence		*p;
	int64_t			 now_ms;
	int			 is_bye;
	int			 n_online, n_offline;
	char			 user_id[];
};

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->id,
	    ((const struct member *)b)->id);
}

static struct member *
find(struct presence *p, const char *user_id)
{
	struct member key = { .id = user_id }, **node;

	node = tfind(&key, &p->by_id, compare);
	return node != NULL ? *node : NULL;
}

static struct member *
add(struct presence *p, const char *user_id)
{
	size_t len = strlen(user_id) + 1;
	struct member *m;

	m = calloc(1, sizeof(*m) + len);
	if (m == NULL)
		return NULL;
	m->id = memcpy(m + 1, user_id, len);
	if (tsearch(m, &p->by_id, compare) == NULL) {
		free(m);
		return NULL;
	}
	LIST_INSERT_HEAD(&p->all, m, all);
	return m;
}

static void
drop(struct presence *p, struct member *m)
{
	tdelete(m, &p->by_id, compare);
	LIST_REMOVE(m, all);
	free(m);
}

static void
mark_dirty(struct presence *p, struct member *m)
{
	if (m->is_dirty)
		return;
	m->is_dirty = 1;
	TAILQ_INSERT_TAIL(&p->dirty, m, dirty);
}

static int
has_work(const struct presence *p)
{
	return p->due.beat || p->due.sweep || !TAILQ_EMPTY(&p->dirty);
}

static void
unref(struct presence *p)
{
	struct member *m;

	if (atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	while (!LIST_EMPTY(&p->all)) {
		m = LIST_FIRST(&p->all);
		drop(p, m);
	}
	pthread_mutex_destroy(&p->lock);
	shm_close(p->own_shm);
	free(p->instance);
	free(p);
}

/* Gives the flush to the writer, unless it is there already. */
static void
kick(struct presence *p)
{
	int is_wanted;

	pthread_mutex_lock(&p->lock);
	is_wanted = !p->is_queued && !p->is_closed && has_work(p);
	if (is_wanted)
		p->is_queued = 1;
	pthread_mutex_unlock(&p->lock);
	if (!is_wanted)
		return;
	atomic_fetch_add(&p->refs, 1);
	if (writer_put(p->writer, &p->flush.job) < 0) {
		/* A full queue: the next tick tries again. */
		pthread_mutex_lock(&p->lock);
		p->is_queued = 0;
		pthread_mutex_unlock(&p->lock);
		unref(p);
	}
}

struct heirs {
	const struct presence	*p;
	size_t			 prefix_len;
	char			*name[HEIRS_MAX];
	int			 n;
};

/*
 * A row of our own name is of a process that had our id before (in a
 * container).
 */
static int
find_predecessor(const char *instance, int64_t pid, int64_t seen_at, void *arg)
{
	struct heirs *h = arg;
	const char *mine = h->p->instance;

	(void)seen_at;
	if (strcmp(instance, mine) != 0 && (h->prefix_len == 0 ||
	    strncmp(instance, mine, h->prefix_len) != 0 ||
	    strchr(instance + h->prefix_len, ':') != NULL || pid <= 0 ||
	    kill((pid_t)pid, 0) == 0 || errno != ESRCH))
		return 0;
	h->name[h->n] = strdup(instance);
	if (h->name[h->n] == NULL)
		return ERR_NOMEM;
	return ++h->n == HEIRS_MAX;
}

/*
 * At our first word: the users of dead processes on the same address come back
 * to us, so they keep the grace from now on, whatever the age of that
 * heartbeat.
 */
static int
adopt_predecessors(struct presence *p, struct store *st, int64_t now_ms)
{
	struct heirs h = { .p = p };
	const char *colon = strrchr(p->instance, ':');
	int i, err;

	if (colon != NULL)
		h.prefix_len = (size_t)(colon + 1 - p->instance);
	err = lease_each_instance(st, find_predecessor, &h);
	for (i = 0; i < h.n; i++) {
		if (err >= 0)
			err = lease_retire(st, h.name[i], now_ms + p->grace_ms);
		if (err >= 0)
			log_info("presence adopted instance=%s", h.name[i]);
		free(h.name[i]);
	}
	return err;
}

/*
 * Some members whose open lease was committed.  They outlive the lock: see
 * above.
 */
static int
get_samples(struct presence *p, struct member *ret[SAMPLES])
{
	struct member *m;
	int n = 0;

	pthread_mutex_lock(&p->lock);
	LIST_FOREACH(m, &p->all, all) {
		if (n == SAMPLES)
			break;
		if (m->ends_at == LEASE_OPEN && !m->is_dirty && !m->is_writing)
			ret[n++] = m;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

/*
 * Another process may have taken us for dead (a stopped process, a database
 * locked for long) and have given all our leases an end: then none of the
 * samples is open.
 */
static int
check_adopted(struct presence *p, struct store *st)
{
	struct member *sample[SAMPLES], *m;
	int64_t ends_at;
	int i, n, err;

	n = get_samples(p, sample);
	for (i = 0; i < n; i++) {
		err = lease_get(st, sample[i]->id, p->instance, &ends_at);
		if (err >= 0 && ends_at == LEASE_OPEN)
			return 0;
		if (err < 0 && err != ERR_NOTFOUND)
			return err;
	}
	if (n == 0)
		return 0;
	log_info("presence was given up by another process, taking it back");
	pthread_mutex_lock(&p->lock);
	LIST_FOREACH(m, &p->all, all)
		mark_dirty(p, m);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static int
do_beat(struct presence *p, struct store *st, int64_t now_ms)
{
	int err = 0;

	if (p->duty.is_first)
		err = adopt_predecessors(p, st, now_ms);
	if (err >= 0)
		err = lease_beat(st, p->instance, getpid(), now_ms);
	if (err >= 0)
		err = check_adopted(p, st);
	return err;
}

/*
 * After so much silence the users of a sidecar are gone: the ttl, unless that is
 * within the rhythm of the living.
 */
static int64_t
silence_ms(int64_t ttl_ms)
{
	return ttl_ms > PRESENCE_DEAD_MS ? ttl_ms : PRESENCE_DEAD_MS;
}

/*
 * Who only polls ends the leases of silent sidecars after the ttl; a sidecar,
 * to which their users may come, sooner and with the grace.
 */
static int
do_sweep(struct presence *p, struct store *st, struct flush *f, int64_t now_ms)
{
	int err;

	if (p->instance != NULL)
		err = lease_adopt(st, now_ms, PRESENCE_DEAD_MS,
		    now_ms + p->grace_ms);
	else
		err = lease_adopt(st, now_ms, silence_ms(p->ttl_ms), now_ms);
	if (err < 0)
		return err;
	if (err > 0)
		log_info("presence adopted instances=%d", err);
	err = lease_sweep(st, now_ms, &f->next_end);
	if (err > 0)
		f->n_offline += err;
	return err;
}

/*
 * Moves what is due to the writer's side.  Repeating a batch repeats its work.
 */
static int64_t
collect(struct presence *p, int max)
{
	struct member *m;
	int64_t now_ms;

	pthread_mutex_lock(&p->lock);
	p->duty.is_first |= p->due.is_first;
	p->duty.beat |= p->due.beat;
	p->duty.sweep |= p->due.sweep;
	if (p->due.sweep)
		p->next_end_ms = 0;
	memset(&p->due, 0, sizeof(p->due));
	/* What a failed run has left in work is in work still. */
	TAILQ_FOREACH(m, &p->work, work)
		m->writing = m->ends_at;
	while (max-- > 0 && !TAILQ_EMPTY(&p->dirty)) {
		m = TAILQ_FIRST(&p->dirty);
		TAILQ_REMOVE(&p->dirty, m, dirty);
		m->is_dirty = 0;
		m->writing = m->ends_at;
		if (!m->is_writing)
			TAILQ_INSERT_TAIL(&p->work, m, work);
		m->is_writing = 1;
	}
	now_ms = p->now_ms;
	pthread_mutex_unlock(&p->lock);
	return now_ms;
}

static int
flush_run(struct writer_job *job, struct store *st)
{
	struct flush *f = (struct flush *)job;
	struct presence *p = f->p;
	struct member *m;
	int64_t now_ms;
	int err = 0, is_bye = 0;

	f->n_online = f->n_offline = 0;
	f->next_end = 0;
	now_ms = collect(p, f->is_last ? INT32_MAX : FLUSH_MAX);
	if (p->duty.beat)
		err = do_beat(p, st, now_ms);
	TAILQ_FOREACH(m, &p->work, work) {
		if (err < 0)
			return err;
		err = lease_take(st, m->id, p->instance, m->writing, now_ms);
		if (err > 0)
			f->n_online += err;
		is_bye |= m->writing != LEASE_OPEN && m->writing <= now_ms;
	}
	if (err >= 0 && f->is_last)
		err = lease_retire(st, p->instance, now_ms + p->grace_ms);
	if (err >= 0 && (p->duty.sweep || is_bye))
		err = do_sweep(p, st, f, now_ms);
	return err;
}

/*
 * What was written is done with, unless it changed meanwhile; else it is due
 * again.
 */
static void
settle(struct presence *p, int err)
{
	struct member *m;

	while (!TAILQ_EMPTY(&p->work)) {
		m = TAILQ_FIRST(&p->work);
		TAILQ_REMOVE(&p->work, m, work);
		m->is_writing = 0;
		if (err < 0)
			mark_dirty(p, m);
		else if (!m->is_dirty && m->ends_at != LEASE_OPEN)
			drop(p, m);
	}
	if (err < 0) {
		p->due.is_first |= p->duty.is_first;
		p->due.beat |= p->duty.beat;
		p->due.sweep |= p->duty.sweep;
	}
	memset(&p->duty, 0, sizeof(p->duty));
}

static void
expect_end(struct presence *p, int64_t at_ms)
{
	if (at_ms != 0 && (p->next_end_ms == 0 || at_ms < p->next_end_ms))
		p->next_end_ms = at_ms;
}

static void
count(struct presence *p, int n_online, int n_offline)
{
	stats_add(p->shm, STATS_presence_online, (uint64_t)n_online);
	stats_add(p->shm, STATS_presence_offline, (uint64_t)n_offline);
}

static void
flush_done(struct writer_job *job, int err)
{
	struct flush *f = (struct flush *)job;
	struct presence *p = f->p;

	if (err >= 0)
		count(p, f->n_online, f->n_offline);
	pthread_mutex_lock(&p->lock);
	settle(p, err);
	if (err >= 0)
		expect_end(p, f->next_end);
	/* A sweep is bounded; the site has had its turn now. */
	if (err >= 0 && f->next_end != 0 && f->next_end <= p->now_ms)
		p->due.sweep = 1;
	if (!f->is_last)
		p->is_queued = 0;
	pthread_mutex_unlock(&p->lock);
	/* After a failure the next tick tries again. */
	if (err >= 0 && !f->is_last)
		kick(p);
	unref(p);
}

int
presence_open(const struct conf *conf, struct writer *writer, struct shm *shm,
    const char *instance, struct presence **ret)
{
	struct presence *p;
	int err = 0;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NOMEM;
	p->writer = writer;
	p->shm = shm;
	p->ttl_ms = (int64_t)conf->presence_ttl_s * 1000;
	p->grace_ms = (int64_t)conf->presence_grace_s * 1000;
	p->refs = 1;
	p->flush.job.run = p->last.job.run = flush_run;
	p->flush.job.done = p->last.job.done = flush_done;
	p->flush.p = p->last.p = p;
	p->last.is_last = 1;
	LIST_INIT(&p->all);
	TAILQ_INIT(&p->dirty);
	TAILQ_INIT(&p->work);
	p->due.is_first = p->due.beat = instance != NULL;
	p->due.sweep = 1;
	pthread_mutex_init(&p->lock, NULL);
	if (instance != NULL) {
		p->instance = strdup(instance);
		if (p->instance == NULL)
			err = ERR_NOMEM;
	}
	/* Where nothing is shared, renewals are at least remembered here. */
	if (err >= 0 && shm == NULL) {
		err = shm_open_private(SHM_POLL, &p->own_shm);
		p->shm = p->own_shm;
	}
	if (err < 0) {
		unref(p);
		return err;
	}
	*ret = p;
	return 0;
}

void
presence_close(struct presence *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->is_closed = 1;
	pthread_mutex_unlock(&p->lock);
	if (p->instance != NULL) {
		atomic_fetch_add(&p->refs, 1);
		/* If not, others notice that the heartbeat is silent. */
		if (writer_put(p->writer, &p->last.job) < 0)
			unref(p);
	}
	unref(p);
}

/* Between renewals: also where the ttl is short. */
static int64_t
renew_ms(int64_t ttl_ms)
{
	return ttl_ms / 3 < PRESENCE_RENEW_MS ? ttl_ms / 3 : PRESENCE_RENEW_MS;
}

/*
 * 1: the poller's lease was renewed so lately that it will do; 0 or an error.
 */
static int
is_young(struct store *st, const char *user_id, int64_t now_ms, int64_t ttl_ms)
{
	int64_t ends_at = 0;
	int err;

	err = lease_get(st, user_id, LEASE_POLL, &ends_at);
	if (err == ERR_NOTFOUND)
		return 0;
	if (err < 0)
		return err;
	return ends_at > now_ms + ttl_ms - renew_ms(ttl_ms) &&
	    ends_at <= now_ms + ttl_ms;
}

/* Only who has a lease says bye; returns how many went offline. */
static int
end_lease(struct store *st, const char *user_id, int64_t now_ms)
{
	int64_t ends_at, next;
	int err;

	err = lease_get(st, user_id, LEASE_POLL, &ends_at);
	if (err == ERR_NOTFOUND)
		return 0;
	if (err >= 0)
		err = lease_take(st, user_id, LEASE_POLL, now_ms, now_ms);
	if (err >= 0)
		err = lease_sweep(st, now_ms, &next);
	return err;
}

static int
poll_run(struct writer_job *job, struct store *st)
{
	struct poll_job *j = (struct poll_job *)job;
	struct presence *p = j->p;
	int err;

	j->n_online = j->n_offline = 0;
	if (!j->is_bye) {
		err = is_young(st, j->user_id, j->now_ms, p->ttl_ms);
		if (err != 0)
			return err;
		err = lease_take(st, j->user_id, LEASE_POLL,
		    j->now_ms + p->ttl_ms, j->now_ms);
		j->n_online = err > 0;
		return err;
	}
	err = end_lease(st, j->user_id, j->now_ms);
	if (err > 0)
		j->n_offline = err;
	return err;
}

static void
poll_done(struct writer_job *job, int err)
{
	struct poll_job *j = (struct poll_job *)job;
	struct presence *p = j->p;
	_Atomic int64_t *renewed;
	int64_t stamp = j->now_ms;

	if (err >= 0) {
		count(p, j->n_online, j->n_offline);
		if (!j->is_bye) {
			/* Where this is the first to end, the sweep finds it in time. */
			pthread_mutex_lock(&p->lock);
			expect_end(p, j->now_ms + p->ttl_ms);
			pthread_mutex_unlock(&p->lock);
		}
	} else if (!j->is_bye) {
		/* The next poll tries again. */
		renewed = shm_user_renewed(shm_user(p->shm, j->user_id));
		if (renewed != NULL)
			(void)atomic_compare_exchange_strong(renewed, &stamp, 0);
	}
	free(j);
	unref(p);
}

static int
put_poll(struct presence *p, const char *user_id, int is_bye, int64_t now_ms)
{
	size_t len = strlen(user_id) + 1;
	struct poll_job *j;
	int err;

	j = calloc(1, sizeof(*j) + len);
	if (j == NULL)
		return ERR_NOMEM;
	j->job.run = poll_run;
	j->job.done = poll_done;
	j->p = p;
	j->now_ms = now_ms;
	j->is_bye = is_bye;
	memcpy(j->user_id, user_id, len);
	atomic_fetch_add(&p->refs, 1);
	err = writer_put(p->writer, &j->job);
	if (err < 0) {
		unref(p);
		free(j);
	}
	return err;
}

void
presence_poll(struct presence *p, const char *user_id, int64_t now_ms)
{
	_Atomic int64_t *renewed;
	int64_t last;

	renewed = shm_user_renewed(shm_user(p->shm, user_id));
	if (renewed != NULL) {
		last = atomic_load(renewed);
		if (now_ms >= last && now_ms - last < renew_ms(p->ttl_ms))
			return;
		/* Who loses here was just renewed by another. */
		if (!atomic_compare_exchange_strong(renewed, &last, now_ms))
			return;
	}
	if (put_poll(p, user_id, 0, now_ms) < 0 && renewed != NULL)
		atomic_store(renewed, 0);
}

void
presence_poll_bye(struct presence *p, const char *user_id, int64_t now_ms)
{
	_Atomic int64_t *renewed;

	renewed = shm_user_renewed(shm_user(p->shm, user_id));
	if (renewed != NULL)
		atomic_store(renewed, 0);
	/* If it fails the lease ends by itself. */
	(void)put_poll(p, user_id, 1, now_ms);
}

void
presence_enter(struct presence *p, const char *user_id, int64_t now_ms)
{
	struct member *m;

	pthread_mutex_lock(&p->lock);
	p->now_ms = now_ms;
	m = find(p, user_id);
	if (m == NULL)
		m = add(p, user_id);
	if (m != NULL) {
		m->ends_at = LEASE_OPEN;
		mark_dirty(p, m);
	}
	pthread_mutex_unlock(&p->lock);
	if (m == NULL)
		log_warnx("presence: out of memory");
	kick(p);
}

void
presence_leave(struct presence *p, const char *user_id, int is_bye,
    int64_t now_ms)
{
	struct member *m;

	pthread_mutex_lock(&p->lock);
	p->now_ms = now_ms;
	m = find(p, user_id);
	if (m != NULL && m->ends_at == LEASE_OPEN) {
		/* The flush of a bye sweeps by itself. */
		m->ends_at = is_bye ? now_ms : now_ms + p->grace_ms;
		if (!is_bye)
			expect_end(p, m->ends_at);
		mark_dirty(p, m);
	}
	pthread_mutex_unlock(&p->lock);
	kick(p);
}

/* Whether at has come; after a clock set back by more than step it has, too. */
static int
is_due(int64_t at_ms, int64_t now_ms, int64_t step_ms)
{
	return now_ms >= at_ms || at_ms - now_ms > step_ms;
}

int64_t
presence_tick(struct presence *p, int64_t now_ms)
{
	int64_t wait = TICK_MS;

	pthread_mutex_lock(&p->lock);
	p->now_ms = now_ms;
	if (p->instance != NULL &&
	    is_due(p->next_beat_ms, now_ms, PRESENCE_BEAT_MS)) {
		p->due.beat = 1;
		p->next_beat_ms = now_ms + PRESENCE_BEAT_MS;
	}
	if (is_due(p->next_sweep_ms, now_ms, SWEEP_MS) ||
	    (p->next_end_ms != 0 && now_ms >= p->next_end_ms)) {
		p->due.sweep = 1;
		p->next_sweep_ms = now_ms + SWEEP_MS;
	}
	/* What has passed is being swept. */
	if (p->next_end_ms > now_ms && p->next_end_ms - now_ms < wait)
		wait = p->next_end_ms - now_ms;
	pthread_mutex_unlock(&p->lock);
	kick(p);
	return wait;
}

int
presence_poll_once(const struct conf *conf, struct store *st,
    const char *user_id, int64_t now_ms)
{
	int64_t ttl_ms = (int64_t)conf->presence_ttl_s * 1000;
	int64_t next;
	int err;

	/* Read first: most polls find a young lease and need no lock. */
	err = is_young(st, user_id, now_ms, ttl_ms);
	if (err != 0)
		return err < 0 ? err : 0;
	err = store_write(st);
	if (err >= 0)
		err = lease_take(st, user_id, LEASE_POLL, now_ms + ttl_ms,
		    now_ms);
	/* There may be nobody else to do this. */
	if (err >= 0)
		err = lease_adopt(st, now_ms, silence_ms(ttl_ms), now_ms);
	if (err >= 0)
		err = lease_sweep(st, now_ms, &next);
	if (err >= 0)
		err = store_commit(st);
	if (err < 0)
		store_rollback(st);
	return err < 0 ? err : 0;
}

int
presence_bye_once(struct store *st, const char *user_id, int64_t now_ms)
{
	int err;

	err = store_write(st);
	if (err >= 0)
		err = end_lease(st, user_id, now_ms);
	if (err >= 0)
		err = store_commit(st);
	if (err < 0)
		store_rollback(st);
	return err < 0 ? err : 0;
}
