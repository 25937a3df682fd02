/*
 * The writer on a real database: jobs of many threads, one that fails, a lock that
 * another program holds, a transaction that is lost, a replaced file, the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "log.h"
#include "shm.h"
#include "site.h"
#include "stats.h"
#include "testdb.h"
#include "writer.h"

struct world {
	struct testdb	 db;
	struct shm	*shm;
	struct writer	*w;
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	int		 n_done, n_good;	/* {lock} */
	int		 is_inside;		/* {lock} a gate's job runs */
	int		 is_open;		/* {lock} it may go on */
};

enum kind { WRITE, NOTHING, GATE, RUDE };

struct job {
	struct writer_job	 job;
	struct world		*world;
	enum kind		 kind;
	char			 user[24];
	int			 result;	/* what run returns after its work */
	int			 n_run, n_done, err;
	int			 is_masked;	/* found signals blocked */
};

static int
setup_busy(void **state, const char *extra)
{
	struct world *world = calloc(1, sizeof(*world));
	char why[512];

	testdb_open(&world->db, extra);
	assert_int_equal(shm_open_private(SHM_POLL, &world->shm), 0);
	assert_int_equal(writer_open(&world->db.conf, world->shm, &world->w,
	    why, sizeof(why)), 0);
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	*state = world;
	return 0;
}

static int
setup(void **state)
{
	return setup_busy(state, NULL);
}

static int
setup_hasty(void **state)
{
	return setup_busy(state, "db.busy_ms = 50\n");
}

static int
teardown(void **state)
{
	struct world *world = *state;

	writer_close(world->w);
	shm_close(world->shm);
	testdb_close(&world->db);
	pthread_cond_destroy(&world->changed);
	pthread_mutex_destroy(&world->lock);
	free(world);
	return 0;
}

/* Waits, {lock} held, for a change of the world; too long is a failure. */
static void
wait_change(struct world *world)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	if (pthread_cond_timedwait(&world->changed, &world->lock, &until) != 0)
		abort();
}

static void
wait_done(struct world *world, int n)
{
	pthread_mutex_lock(&world->lock);
	while (world->n_done < n)
		wait_change(world);
	pthread_mutex_unlock(&world->lock);
}

static void
set_open(struct world *world)
{
	pthread_mutex_lock(&world->lock);
	world->is_open = 1;
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

static int
job_run(struct writer_job *wj, struct store *st)
{
	struct job *j = (struct job *)wj;
	struct world *world = j->world;
	char id[AUTH_MAX_USER + 1];
	sigset_t mask;
	int err = 0;

	j->n_run++;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	j->is_masked = sigismember(&mask, SIGTERM) &&
	    sigismember(&mask, SIGUSR1);
	if (!store_is_open(st))
		return ERR_IO;
	if (j->kind == WRITE || j->kind == RUDE)
		err = site_add_user(st, j->user, "Name", "a@b", id);
	if (j->kind == RUDE)
		store_rollback(st);
	if (j->kind == GATE) {
		pthread_mutex_lock(&world->lock);
		world->is_inside = 1;
		pthread_cond_broadcast(&world->changed);
		while (!world->is_open)
			wait_change(world);
		pthread_mutex_unlock(&world->lock);
	}
	return err < 0 ? err : j->result;
}

static void
job_done(struct writer_job *wj, int err)
{
	struct job *j = (struct job *)wj;
	struct world *world = j->world;

	pthread_mutex_lock(&world->lock);
	j->n_done++;
	j->err = err;
	world->n_done++;
	world->n_good += err == 0;
	pthread_cond_broadcast(&world->changed);
	pthread_mutex_unlock(&world->lock);
}

static void
init(struct job *j, struct world *world, enum kind kind, const char *fmt, int n)
{
	memset(j, 0, sizeof(*j));
	j->job.run = job_run;
	j->job.done = job_done;
	j->world = world;
	j->kind = kind;
	snprintf(j->user, sizeof(j->user), "%s%d", fmt, n);
}

static void
put(struct job *j)
{
	assert_int_equal(writer_put(j->world->w, &j->job), 0);
}

/* Puts a job that keeps the writer inside of a transaction until set_open(). */
static void
shut_gate(struct world *world, struct job *gate)
{
	init(gate, world, GATE, "gate", 0);
	put(gate);
	pthread_mutex_lock(&world->lock);
	while (!world->is_inside)
		wait_change(world);
	pthread_mutex_unlock(&world->lock);
}

static int
has_user(struct world *world, const char *id)
{
	int has = site_has_user(world->db.st, id);

	assert_true(has >= 0);
	return has;
}

static void
test_one(void **state)
{
	struct world *world = *state;
	struct job good, bad, count;

	init(&good, world, WRITE, "good", 1);
	init(&bad, world, WRITE, "bad", 1);
	init(&count, world, WRITE, "count", 1);
	bad.result = ERR_DENIED;
	count.result = 5;
	put(&good);
	wait_done(world, 1);
	put(&bad);
	wait_done(world, 2);
	put(&count);
	wait_done(world, 3);
	assert_int_equal(good.err, 0);
	assert_int_equal(bad.err, ERR_DENIED);
	assert_int_equal(count.err, 0);
	assert_true(good.is_masked);
	assert_true(has_user(world, "good1"));
	assert_false(has_user(world, "bad1"));
	assert_true(has_user(world, "count1"));
	assert_int_equal(stats_get(world->shm, STATS_commits), 2);
	assert_int_equal(stats_get(world->shm, STATS_commit_failures), 0);
}

/* What waits while a transaction runs is committed in the next, failures undone alone. */
static void
test_batch(void **state)
{
	struct world *world = *state;
	struct job gate, j[9];
	int i;

	shut_gate(world, &gate);
	for (i = 0; i < 9; i++) {
		init(&j[i], world, WRITE, "u", i);
		if (i % 4 == 1)
			j[i].result = ERR_NOTFOUND;
		put(&j[i]);
	}
	set_open(world);
	wait_done(world, 10);
	for (i = 0; i < 9; i++) {
		assert_int_equal(j[i].n_run, 1);
		assert_int_equal(j[i].n_done, 1);
		assert_int_equal(j[i].err, i % 4 == 1 ? ERR_NOTFOUND : 0);
		assert_int_equal(has_user(world, j[i].user), i % 4 != 1);
	}
	assert_int_equal(stats_get(world->shm, STATS_commits), 2);
}

/* A transaction that is lost under its jobs is nobody's success. */
static void
test_lost(void **state)
{
	struct world *world = *state;
	struct job gate, j[3], after;
	int i;

	shut_gate(world, &gate);
	for (i = 0; i < 3; i++) {
		init(&j[i], world, i == 1 ? RUDE : WRITE, "u", i);
		put(&j[i]);
	}
	set_open(world);
	wait_done(world, 4);
	for (i = 0; i < 3; i++) {
		assert_int_equal(j[i].err, ERR_IO);
		assert_int_equal(j[i].n_done, 1);
		assert_false(has_user(world, j[i].user));
	}
	assert_int_equal(stats_get(world->shm, STATS_commit_failures), 1);
	init(&after, world, WRITE, "after", 0);
	put(&after);
	wait_done(world, 5);
	assert_int_equal(after.err, 0);
}

#define THREADS	4
#define EACH	400

static void *
bring(void *arg)
{
	struct job *j = arg;
	int i;

	for (i = 0; i < EACH; i++)
		if (writer_put(j[i].world->w, &j[i].job) != 0)
			abort();
	return NULL;
}

static void
test_threads(void **state)
{
	struct world *world = *state;
	struct job *j = calloc(THREADS * EACH, sizeof(*j));
	pthread_t t[THREADS];
	int i, n = THREADS * EACH;

	for (i = 0; i < n; i++) {
		init(&j[i], world, WRITE, "u", i);
		if (i % 10 == 3)
			j[i].result = ERR_DENIED;
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, bring,
		    &j[i * EACH]), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	wait_done(world, n);
	for (i = 0; i < n; i++) {
		assert_int_equal(j[i].n_done, 1);
		assert_int_equal(j[i].err, i % 10 == 3 ? ERR_DENIED : 0);
		assert_int_equal(has_user(world, j[i].user), i % 10 != 3);
	}
	assert_true(stats_get(world->shm, STATS_commits) >= 1);
	free(j);
}

static void
test_locked(void **state)
{
	struct world *world = *state;
	struct job j[3];
	int i;

	testdb_site(&world->db, "BEGIN IMMEDIATE");
	for (i = 0; i < 2; i++) {
		init(&j[i], world, WRITE, "u", i);
		put(&j[i]);
	}
	wait_done(world, 2);
	testdb_site(&world->db, "COMMIT");
	for (i = 0; i < 2; i++) {
		assert_int_equal(j[i].err, ERR_BUSY);
		assert_int_equal(j[i].n_done, 1);
		assert_false(has_user(world, j[i].user));
	}
	assert_true(stats_get(world->shm, STATS_commit_failures) >= 1);
	assert_int_equal(stats_get(world->shm, STATS_commits), 0);
	/* Free again. */
	init(&j[2], world, WRITE, "u", 2);
	put(&j[2]);
	wait_done(world, 3);
	assert_int_equal(j[2].err, 0);
}

/* A lock that is given up in time is waited for. */
static void
test_patience(void **state)
{
	struct world *world = *state;
	struct job j;

	testdb_site(&world->db, "BEGIN IMMEDIATE");
	init(&j, world, WRITE, "u", 0);
	put(&j);
	testdb_site(&world->db, "COMMIT");
	wait_done(world, 1);
	assert_int_equal(j.err, 0);
}

static void
test_full(void **state)
{
	struct world *world = *state;
	struct job gate, over, *j = calloc(WRITER_MAX_JOBS, sizeof(*j));
	int i;

	shut_gate(world, &gate);
	for (i = 0; i < WRITER_MAX_JOBS; i++) {
		init(&j[i], world, NOTHING, "u", i);
		put(&j[i]);
	}
	init(&over, world, NOTHING, "over", 0);
	assert_int_equal(writer_put(world->w, &over.job), ERR_FULL);
	assert_int_equal(stats_get(world->shm, STATS_writer_full), 1);
	set_open(world);
	wait_done(world, WRITER_MAX_JOBS + 1);
	assert_int_equal(world->n_good, WRITER_MAX_JOBS + 1);
	assert_int_equal(over.n_run + over.n_done, 0);
	put(&over);
	wait_done(world, WRITER_MAX_JOBS + 2);
	free(j);
}

static void *
close_it(void *arg)
{
	writer_close(arg);
	return NULL;
}

/* What waits at the end is committed; what comes later is refused. */
static void
test_close(void **state)
{
	struct world *world = *state;
	struct job gate, *j = calloc(WRITER_MAX_JOBS + 1, sizeof(*j));
	pthread_t closer;
	int i, n = 0, err = 0;

	shut_gate(world, &gate);
	for (n = 0; n < 700; n++) {
		init(&j[n], world, WRITE, "u", n);
		put(&j[n]);
	}
	assert_int_equal(pthread_create(&closer, NULL, close_it, world->w), 0);
	/* Until the other thread has come so far, jobs are accepted. */
	while (err != ERR_CLOSED) {
		init(&j[n], world, NOTHING, "late", n);
		err = writer_put(world->w, &j[n].job);
		n += err == 0;
	}
	set_open(world);
	pthread_join(closer, NULL);
	world->w = NULL;
	assert_int_equal(world->n_done, n + 1);
	assert_int_equal(world->n_good, n + 1);
	for (i = 0; i < n; i++) {
		assert_int_equal(j[i].n_done, 1);
		assert_int_equal(has_user(world, j[i].user), i < 700);
	}
	free(j);
}

/* Ending while another program holds the lock: bounded, and everyone is told. */
static void
test_close_locked(void **state)
{
	struct world *world = *state;
	struct job *j = calloc(5000, sizeof(*j));
	int i;

	testdb_site(&world->db, "BEGIN IMMEDIATE");
	for (i = 0; i < 5000; i++) {
		init(&j[i], world, WRITE, "u", i);
		put(&j[i]);
	}
	writer_close(world->w);
	world->w = NULL;
	testdb_site(&world->db, "COMMIT");
	for (i = 0; i < 5000; i++) {
		assert_int_equal(j[i].n_done, 1);
		assert_int_equal(j[i].err, ERR_BUSY);
	}
	assert_int_equal(world->n_done, 5000);
	free(j);
}

/* A backup was put in place of the database: that is where jobs go now. */
static void
test_replaced(void **state)
{
	struct world *world = *state;
	char copy[320], side[320], why[256], sql[400];
	struct store *st = NULL;
	struct job j[3];
	int i;

	for (i = 0; i < 3; i++)
		init(&j[i], world, WRITE, "u", i);
	put(&j[0]);
	wait_done(world, 1);
	snprintf(copy, sizeof(copy), "%s/copy.db", world->db.dir);
	snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", copy);
	testdb_site(&world->db, sql);
	/* Nothing there for a moment: jobs fail, the writer lives. */
	assert_int_equal(unlink(world->db.path), 0);
	snprintf(side, sizeof(side), "%s-wal", world->db.path);
	assert_int_equal(unlink(side), 0);
	snprintf(side, sizeof(side), "%s-shm", world->db.path);
	assert_int_equal(unlink(side), 0);
	put(&j[1]);
	wait_done(world, 2);
	assert_int_equal(j[1].err, ERR_IO);
	assert_int_equal(rename(copy, world->db.path), 0);
	/* Ours is on the old file: nobody may open the new one. */
	store_close(world->db.st);
	world->db.st = NULL;
	put(&j[2]);
	wait_done(world, 3);
	assert_int_equal(j[2].err, 0);
	assert_int_equal(store_open(&world->db.conf, STORE_SERVE, &st, why,
	    sizeof(why)), 0);
	assert_int_equal(site_has_user(st, "u0"), 1);
	assert_int_equal(site_has_user(st, "u1"), 0);
	assert_int_equal(site_has_user(st, "u2"), 1);
	store_close(st);
}

/* Idle, it keeps an old file open only until it is told. */
static void
test_let_go(void **state)
{
	struct world *world = *state;
	struct store *st = NULL;
	char copy[320], why[256], sql[400];
	struct job j;

	writer_let_go(world->w);	/* the same file: no matter */
	snprintf(copy, sizeof(copy), "%s/copy.db", world->db.dir);
	snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", copy);
	testdb_site(&world->db, sql);
	assert_int_equal(rename(copy, world->db.path), 0);
	store_close(world->db.st);
	world->db.st = NULL;
	assert_int_equal(store_open(&world->db.conf, STORE_SERVE, &st, why,
	    sizeof(why)), ERR_BUSY);
	writer_let_go(world->w);
	assert_int_equal(store_open(&world->db.conf, STORE_SERVE, &st, why,
	    sizeof(why)), 0);
	init(&j, world, WRITE, "u", 7);
	put(&j);
	wait_done(world, 1);
	assert_int_equal(j.err, 0);
	assert_int_equal(site_has_user(st, "u7"), 1);
	store_close(st);
}

static void
test_open_fails(void **state)
{
	struct world *world = *state;
	struct conf conf = world->db.conf;
	struct writer *w = NULL;
	char path[] = "/nonexistent/sidewire.db", why[256] = "";

	conf.database = path;
	assert_int_equal(writer_open(&conf, NULL, &w, why, sizeof(why)),
	    ERR_NOTFOUND);
	assert_true(why[0] != '\0');
	assert_null(w);
	writer_close(NULL);
}

#define TEST(f, s)	cmocka_unit_test_setup_teardown(f, s, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one, setup),
		TEST(test_batch, setup),
		TEST(test_lost, setup),
		TEST(test_threads, setup),
		TEST(test_locked, setup_hasty),
		TEST(test_patience, setup),
		TEST(test_full, setup),
		TEST(test_close, setup),
		TEST(test_close_locked, setup_hasty),
		TEST(test_replaced, setup),
		TEST(test_let_go, setup),
		TEST(test_open_fails, setup),
	};

	log_init("test_writer", LOG_ERR_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
