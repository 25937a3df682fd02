/*
 * tail - follows the log for a whole process.
 *
 * Each step asks the watch, and reads what came, page by page, into one batch
 * at a time for the owner.  What else a change of the file may mean is dealt
 * with here: triggers that a migration dropped are put back, and when another
 * file took the database's place everything is opened anew.  The old store
 * stays open, and is what tail_store() gives, until the new file has proved to
 * be a database of ours.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "log.h"
#include "schema.h"
#include "store.h"
#include "tail.h"
#include "watch.h"

#define MAX_PAGES	20		/* in one step: others wait too */
#define FLOOR_US	((int64_t)WATCH_FLOOR_MS * 1000)
#define RETRY_US	((int64_t)WATCH_BLIND_MS * 1000)
#define HANDOVER_US	1000		/* first wait for the others, doubled */
#define UNCHECKED	((int64_t)-1)	/* no schema version */

/* What is opened anew when the file is replaced. */
struct source {
	struct store	*st;
	struct watch	*watch;
	int64_t		 head;
};

struct tail {
	struct conf	 conf;		/* waits less; strings borrowed */
	const struct tail_ops *ops;
	void		*arg;
	struct source	 src;
	struct event	*ev[TAIL_BATCH];
	size_t		 n_ev;
	int		 is_behind;	/* there may be rows after head */
	int		 read_err;	/* reading fails; these four: 0 none */
	int64_t		 retry_us;	/* then again at */
	int64_t		 schema_version;	/* in order, or UNCHECKED */
	int64_t		 schema_us;	/* next comparison */
	int		 is_put_off;	/* not before: the lock was held */
	int		 schema_err;	/* the tables cannot be used */
	int		 replace_err;	/* the new file cannot be opened */
	int64_t		 replace_us;	/* not tried again before */
	int64_t		 handover_us;	/* last wait for the others; 0: none */
	int		 gone_err;	/* there is no file at the path */
	int64_t		 doubted;	/* the head that was not in the log */
	_Atomic int64_t	 head;
	_Atomic int	 health;
};

static void
source_close(struct source *src)
{
	watch_close(src->watch);
	store_close(src->st);
	src->watch = NULL;
	src->st = NULL;
}

/* The watch comes before the head: what is committed in between is then
 * noticed. */
static int
source_open(const struct conf *conf, enum store_mode mode, struct source *ret,
    char *why, size_t size)
{
	struct source src = { 0 };
	int rc;

	rc = store_open(conf, mode, &src.st, why, size);
	if (rc < 0)
		return rc;
	rc = watch_open(src.st, &src.watch);
	if (rc == 0)
		rc = eventlog_head(src.st, &src.head);
	if (rc < 0) {
		(void)snprintf(why, size, "%s: cannot be read: %s (%s)",
		    conf->database, store_errmsg(src.st), err_name(rc));
		source_close(&src);
		return rc;
	}
	*ret = src;
	return 0;
}

int
tail_open(const struct conf *conf, const struct tail_ops *ops, void *arg,
    struct tail **ret, char *why, size_t size)
{
	struct tail *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL) {
		(void)snprintf(why, size, "out of memory");
		return ERR_NOMEM;
	}
	t->conf = *conf;
	if (t->conf.db_busy_ms > TAIL_BUSY_MS)
		t->conf.db_busy_ms = TAIL_BUSY_MS;
	t->ops = ops;
	t->arg = arg;
	t->schema_version = UNCHECKED;
	rc = source_open(&t->conf, STORE_SERVE, &t->src, why, size);
	if (rc < 0) {
		free(t);
		return rc;
	}
	atomic_init(&t->head, t->src.head);
	atomic_init(&t->health, 0);
	*ret = t;
	return 0;
}

void
tail_close(struct tail *t)
{
	if (t == NULL)
		return;
	source_close(&t->src);
	free(t);
}

struct store *
tail_store(struct tail *t)
{
	return t->src.st;
}

int
tail_fd(const struct tail *t)
{
	return t->src.watch != NULL ? watch_fd(t->src.watch) : -1;
}

int64_t
tail_wait_us(const struct tail *t, int64_t now_mono_us)
{
	int64_t wait, retry;

	if (t->src.watch == NULL)
		return FLOOR_US;
	wait = watch_wait_us(t->src.watch, now_mono_us);
	if (t->handover_us > 0 && t->replace_us - now_mono_us < wait)
		wait = t->replace_us > now_mono_us ?
		    t->replace_us - now_mono_us : 0;
	if (t->is_behind) {
		retry = t->retry_us - now_mono_us;
		if (retry < wait)
			wait = retry > 0 ? retry : 0;
	}
	return wait;
}

int64_t
tail_head(const struct tail *t)
{
	return atomic_load(&t->head);
}

int
tail_health(const struct tail *t)
{
	return atomic_load(&t->health);
}

static void
set_health(struct tail *t)
{
	int err = t->read_err;

	if (err == 0)
		err = t->replace_err;
	if (err == 0)
		err = t->gone_err;
	if (err == 0)
		err = t->schema_err;
	atomic_store(&t->health, err);
}

/* Reading failed: says so when it begins, and sees to it that it is tried
 * again. */
static int
note_failure(struct tail *t, int rc, int64_t now_us)
{
	if (rc == ERR_NOMEM)
		return rc;
	if (t->read_err == 0)
		log_warnx("database cannot be read, trying on: error=%s why=%s",
		    err_name(rc), store_errmsg(t->src.st));
	t->read_err = rc;
	t->is_behind = 1;
	t->retry_us = now_us + RETRY_US;
	set_health(t);
	return 0;
}

static void
note_success(struct tail *t)
{
	if (t->read_err == 0)
		return;
	t->read_err = 0;
	set_health(t);
	log_info("database can be read again");
}

static int
collect(struct event *ev, void *arg)
{
	struct tail *t = arg;

	t->ev[t->n_ev++] = event_ref(ev);
	return t->n_ev == TAIL_BATCH;
}

static void
drop_batch(struct tail *t)
{
	size_t i;

	for (i = 0; i < t->n_ev; i++)
		event_unref(t->ev[i]);
	t->n_ev = 0;
}

static void
doubt(struct tail *t)
{
	log_info("rights are read anew");
	if (t->ops->doubt != NULL)
		t->ops->doubt(t->arg);
}

/* Is the log that of which head was the newest row? */
static int
check_log(struct tail *t, int64_t head)
{
	int rc = eventlog_is_same(t->src.st, head);

	if (rc == 0 && t->doubted != head) {
		log_warnx("log was put back, as by a backup restored in place");
		t->doubted = head;
		doubt(t);
	}
	return rc < 0 ? rc : 0;
}

/* Hands over what lies after the head.  On an error nothing of the page is. */
static int
fetch(struct tail *t)
{
	int64_t head = atomic_load(&t->head);
	size_t n = 0;
	int pages, rc;

	for (pages = 0; pages < MAX_PAGES; pages++) {
		rc = eventlog_scan(t->src.st, atomic_load(&t->head), TAIL_BATCH,
		    collect, t);
		if (rc < 0) {
			drop_batch(t);
			return rc;
		}
		n = t->n_ev;
		if (n > 0) {
			atomic_store(&t->head, t->ev[n - 1]->id);
			t->ops->batch(t->ev, n, t->arg);
		}
		drop_batch(t);
		if (n < TAIL_BATCH)
			break;
	}
	t->is_behind = n == TAIL_BATCH;
	/* After reading, so that nothing can come in between. */
	return check_log(t, head);
}

/* Compares the schema's version, and puts back what is missing. */
static int
check_schema(struct tail *t)
{
	char why[256] = "";
	int64_t version;
	int rc, made = 0;

	rc = store_schema_version(t->src.st, &version);
	if (rc < 0 || version == t->schema_version)
		return rc;
	rc = schema_repair(t->src.st, &made, why, sizeof(why));
	if (rc == ERR_NOMEM)
		return rc;
	t->is_put_off = rc < 0 && rc != ERR_SCHEMA;
	if (t->is_put_off)
		return 0;	/* busy: at the next floor */
	if (rc == ERR_SCHEMA && t->schema_err == 0)
		log_warnx("schema was changed and is not usable: %s", why);
	if (rc == 0 && t->schema_err != 0)
		log_info("schema is usable again");
	t->schema_err = rc < 0 ? rc : 0;
	set_health(t);
	if (made > 0) {
		log_warnx("triggers were missing and have been put back: "
		    "triggers=%d", made);
		if (t->ops->repaired != NULL)
			t->ops->repaired(made, t->arg);
	}
	/* Another process may have put back what was missing. */
	if (rc == 0 && (made > 0 || t->schema_version != UNCHECKED))
		doubt(t);
	/* After a repair the version is another one: the next check takes
	 * it. */
	if (made == 0)
		t->schema_version = version;
	return 0;
}

/*
 * Asks the others in this process to close the old file; 1: nobody has it open
 * but us.  Where one is slow, he is asked again, less and less often.
 */
static int
is_handed_over(struct tail *t, int64_t now_us)
{
	if (store_sharers(t->src.st) == 1) {
		t->handover_us = 0;
		return 1;
	}
	t->handover_us = t->handover_us == 0 ? HANDOVER_US : t->handover_us * 2;
	if (t->handover_us > FLOOR_US)
		t->handover_us = FLOOR_US;
	t->replace_us = now_us + t->handover_us;
	if (t->ops->replacing != NULL)
		t->ops->replacing(t->arg);
	return 0;
}

/*
 * Opens the new file in place of the old one.  It is opened twice: once to see
 * that it is one of ours while the old store still serves, and for good when
 * that store is closed, because the two may have -shm in common
 * (STORE_HANDOVER_MS).
 */
static int
replace(struct tail *t, int64_t now_us)
{
	char why[256] = "";
	struct source src;
	struct watch *old;
	int rc;

	if (now_us < t->replace_us)
		return 0;
	t->replace_us = now_us + FLOOR_US;
	rc = store_peek(&t->conf, why, sizeof(why));
	if (rc == 0 && !is_handed_over(t, now_us))
		return 0;
	if (rc == 0)
		rc = source_open(&t->conf, STORE_HEIR, &src, why, sizeof(why));
	if (rc == ERR_NOMEM)
		return rc;
	if (rc < 0) {
		if (t->replace_err == 0)
			log_warnx("database was replaced by one that cannot be "
			    "used, trying on: error=%s why=%s",
			    err_name(rc), why);
		t->replace_err = rc;
		set_health(t);
		return 0;
	}
	source_close(&src);
	store_close(t->src.st);
	t->src.st = NULL;
	/* The owner still waits on the old descriptor: it must not be reused
	 * yet. */
	old = t->src.watch;
	t->src.watch = NULL;
	rc = source_open(&t->conf, STORE_SERVE, &src, why, sizeof(why));
	if (rc < 0) {
		watch_close(old);
		log_errx("database was replaced and cannot be opened: error=%s "
		    "why=%s", err_name(rc), why);
		t->replace_err = rc;
		set_health(t);
		return rc;
	}
	log_warnx("database was replaced, reading the new one");
	t->src = src;
	t->is_behind = 0;
	t->read_err = t->replace_err = t->schema_err = 0;
	t->schema_version = UNCHECKED;
	t->is_put_off = 0;
	t->schema_us = t->replace_us = 0;
	atomic_store(&t->head, src.head);
	set_health(t);
	t->ops->replaced(t->arg);
	watch_close(old);
	return 0;
}

/* The old file is at its path again, and was open all the time. */
static void
note_return(struct tail *t)
{
	t->handover_us = 0;
	if (t->replace_err == 0)
		return;
	t->replace_err = 0;
	set_health(t);
	log_info("database is back in its place");
}

/* Taken away: what we have open serves on, but is not the site's any more. */
static void
note_absence(struct tail *t)
{
	int err = watch_is_gone(t->src.watch) ? ERR_NOTFOUND : 0;

	if (err == t->gone_err)
		return;
	t->gone_err = err;
	set_health(t);
	if (err != 0)
		log_warnx("database is not at its path any more: path=%s",
		    t->conf.database);
	else
		log_info("a database is at its path again");
}

int
tail_step(struct tail *t)
{
	int64_t now = clock_mono_us();
	enum watch_result what = WATCH_QUIET;
	int rc;

	if (t->src.watch == NULL)
		return ERR_CLOSED;
	rc = watch_look(t->src.watch, now, &what);
	if (rc < 0)
		return note_failure(t, rc, now);
	note_absence(t);
	if (what == WATCH_REPLACED)
		return replace(t, now);
	note_return(t);
	if (what == WATCH_CHANGED) {
		t->is_behind = 1;
		t->retry_us = now;
	}
	if (t->is_behind && now >= t->retry_us) {
		rc = fetch(t);
		if (rc < 0)
			return note_failure(t, rc, now);
		note_success(t);
	}
	/* A little early is in time: the floor that wakes us is not ours. */
	if ((what == WATCH_CHANGED && !t->is_put_off) ||
	    now + FLOOR_US / 10 >= t->schema_us) {
		t->schema_us = now + FLOOR_US;
		rc = check_schema(t);
		if (rc < 0)
			return note_failure(t, rc, now);
	}
	return 0;
}
