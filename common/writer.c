/*
 * The one thread of a process that writes: acknowledged sends, events
 * published and presence all come through here, so that an fsync is shared by
 * everyone who was waiting for one, and nobody waits for it on a service
 * thread.
 *
 * A batch is a transaction. Its jobs run between marks; one that fails is
 * undone alone. When the transaction itself fails, all of its jobs fail alike.
 */
#include <sys/stat.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "err.h"
#include "log.h"
#include "stats.h"
#include "store.h"
#include "writer.h"

#define BATCH	500	/* jobs of one transaction, so that the site gets its turn */

struct writer {
	const struct conf	*conf;
	struct shm		*shm;
	struct store		*st;		/* the thread's; NULL: lost the file */
	struct writer_job	*batch[BATCH];	/* the thread's */
	int			 result[BATCH];
	int			 last_err;	/* logged already */
	pthread_t		 thread;
	pthread_mutex_t		 lock;
	pthread_cond_t		 wake;
	struct writer_job	*first, **last;	/* {lock} */
	int			 n_waiting;	/* {lock} */
	int			 is_closing;	/* {lock} */
	int			 is_to_let_go;	/* {lock} */
};

/* Runs one job at a mark (alone in its transaction it needs none). */
static int
run_job(struct writer *w, int i, int is_alone)
{
	struct writer_job *job = w->batch[i];
	int err;

	if (!is_alone) {
		err = store_mark(w->st);
		if (err < 0)
			return err;
	}
	w->result[i] = job->run(job, w->st);
	/* Some failures (a full disk) make SQLite undo the whole transaction. */
	if (!store_is_open(w->st))
		return w->result[i] < 0 ? w->result[i] : ERR_IO;
	if (is_alone)
		return 0;
	if (w->result[i] >= 0)
		return store_keep(w->st);
	store_undo(w->st);
	return 0;
}

/* One transaction with all jobs of the batch, from the start. */
static int
try_batch(struct writer *w, int n)
{
	int i, n_good = 0, err;

	err = store_write(w->st);
	for (i = 0; i < n && err >= 0; i++) {
		err = run_job(w, i, n == 1);
		n_good += w->result[i] >= 0;
	}
	if (err >= 0 && n_good > 0)
		err = store_commit(w->st);
	if (err < 0 || n_good == 0)
		store_rollback(w->st);
	if (err >= 0 && n_good > 0)
		stats_add(w->shm, STATS_commits, 1);
	return err < 0 ? err : 0;
}

/*
 * A database that was restored from a backup is another file at the same path:
 * what was written to the old one would be lost.
 */
static void
leave_old_file(struct writer *w)
{
	struct stat sb;
	dev_t dev;
	ino_t ino;

	if (w->st == NULL)
		return;
	store_identity(w->st, &dev, &ino);
	if (stat(store_path(w->st), &sb) == 0 && sb.st_dev == dev &&
	    sb.st_ino == ino)
		return;
	store_close(w->st);
	w->st = NULL;
	log_warnx("database was replaced, opening it again");
}

static int
follow_file(struct writer *w)
{
	char why[256];
	int err;

	leave_old_file(w);
	if (w->st != NULL)
		return 0;
	err = store_open(w->conf, STORE_SERVE, &w->st, why, sizeof(why));
	if (err < 0 && w->last_err == 0)
		log_errx("cannot write: %s", why);
	return err < 0 ? ERR_IO : 0;
}

/* Commits the batch and tells its jobs; they are gone afterwards. */
static int
commit_batch(struct writer *w, int n)
{
	int64_t began_ms = clock_mono_ms();
	int i, result, err;

	err = follow_file(w);
	if (err >= 0) {
		err = try_batch(w, n);
		/* Refused without having waited (a reader's turn to change the
		 * journal), but who waits for us has not got for ever. */
		if (err == ERR_BUSY && clock_mono_ms() - began_ms <
		    w->conf->db_busy_ms / 2)
			err = try_batch(w, n);
		if (err < 0 && err != w->last_err)
			log_warnx("commit failed jobs=%d error=%s: %s", n,
			    err_name(err), store_errmsg(w->st));
	}
	w->last_err = err;
	if (err < 0)
		stats_add(w->shm, STATS_commit_failures, 1);
	for (i = 0; i < n; i++) {
		result = w->result[i] < 0 ? w->result[i] : 0;
		w->batch[i]->done(w->batch[i], err < 0 ? err : result);
	}
	return err;
}

/* Moves what is waiting into the batch.  {lock} */
static int
take_batch(struct writer *w)
{
	int n;

	for (n = 0; n < BATCH && w->first != NULL; n++) {
		w->batch[n] = w->first;
		w->result[n] = 0;
		w->first = w->first->next;
	}
	if (w->first == NULL)
		w->last = &w->first;
	w->n_waiting -= n;
	return n;
}

/* Waits for jobs, or for the end.  {lock} */
static void
wait_for_jobs(struct writer *w)
{
	while (w->first == NULL && !w->is_closing) {
		if (w->is_to_let_go) {
			w->is_to_let_go = 0;
			pthread_mutex_unlock(&w->lock);
			leave_old_file(w);
			pthread_mutex_lock(&w->lock);
			continue;
		}
		pthread_cond_wait(&w->wake, &w->lock);
	}
}

static void *
writer_main(void *arg)
{
	struct writer *w = arg;
	int i, n, err, is_hopeless = 0;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		wait_for_jobs(w);
		n = take_batch(w);
		if (n == 0)
			break;
		pthread_mutex_unlock(&w->lock);
		err = 0;
		if (!is_hopeless)
			err = commit_batch(w, n);
		for (i = 0; is_hopeless && i < n; i++)
			w->batch[i]->done(w->batch[i], ERR_BUSY);
		pthread_mutex_lock(&w->lock);
		/* Ending, we wait for a lock that is not given only once. */
		is_hopeless |= w->is_closing && err == ERR_BUSY;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/*
 * Signals are for the main thread: the new one has them all blocked from
 * birth.
 */
static int
start_thread(struct writer *w)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return ERR_NOMEM;
	(void)pthread_setname_np(w->thread, "writer");
	return 0;
}

int
writer_open(const struct conf *conf, struct shm *shm, struct writer **ret,
    char *why, size_t size)
{
	struct writer *w;
	int err;

	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		snprintf(why, size, "out of memory");
		return ERR_NOMEM;
	}
	w->conf = conf;
	w->shm = shm;
	w->last = &w->first;
	err = store_open(conf, STORE_SERVE, &w->st, why, size);
	if (err < 0) {
		free(w);
		return err;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	err = start_thread(w);
	if (err < 0) {
		snprintf(why, size, "cannot start a thread");
		pthread_cond_destroy(&w->wake);
		pthread_mutex_destroy(&w->lock);
		store_close(w->st);
		free(w);
		return err;
	}
	*ret = w;
	return 0;
}

void
writer_close(struct writer *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->is_closing = 1;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	store_close(w->st);
	free(w);
}

void
writer_let_go(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->is_to_let_go = 1;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

int
writer_put(struct writer *w, struct writer_job *job)
{
	int err = 0;

	pthread_mutex_lock(&w->lock);
	if (w->is_closing) {
		err = ERR_CLOSED;
	} else if (w->n_waiting >= WRITER_MAX_JOBS) {
		err = ERR_FULL;
		stats_add(w->shm, STATS_writer_full, 1);
	} else {
		job->next = NULL;
		*w->last = job;
		w->last = &job->next;
		w->n_waiting++;
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return err;
}
