/*
 * Commits of other processes, one at a time, with the floor switched off: each
 * must be noticed through the descriptor (and the looks that it leads to), or
 * the test stands still until its deadline.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "clock.h"
#include "err.h"
#include "siteproc.h"
#include "testdb.h"
#include "watch.h"

#define DEADLINE_US	((int64_t)SITEPROC_DEADLINE_MS * 1000)
#define SPILL		"PRAGMA cache_size = 20"
#define ROWS(n)		"INSERT INTO t(x) WITH RECURSIVE c(i) AS (SELECT 1 " \
			"UNION ALL SELECT i + 1 FROM c WHERE i < " #n ") " \
			"SELECT hex(randomblob(60)) FROM c"

struct fixture {
	struct testdb	 db;
	struct watch	*w;
	struct siteproc	 p;
	int64_t		 rows;	/* how many there ought to be */
};

static void
open_watch(struct fixture *f)
{
	assert_int_equal(watch_open(f->db.st, &f->w), 0);
	watch_set_floor_ms(f->w, 0);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	testdb_open(&f->db, NULL);
	testdb_site(&f->db, "CREATE TABLE t(n INTEGER PRIMARY KEY, x)");
	siteproc_open(&f->p, f->db.path);
	open_watch(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	watch_close(f->w);
	if (f->p.pid > 0)
		siteproc_end(&f->p, 0);
	testdb_close(&f->db);
	free(f);
	return 0;
}

static void
end_proc(struct fixture *f, int is_killed)
{
	siteproc_end(&f->p, is_killed);
	f->p.pid = 0;
}

/* The store would switch to WAL when it opens, were not somebody reading. */
static void
to_journal_mode(struct fixture *f, const char *mode)
{
	char why[256], sql[64];

	watch_close(f->w);
	f->w = NULL;
	siteproc_run(&f->p, "close");
	store_close(f->db.st);
	f->db.st = NULL;
	(void)snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s", mode);
	testdb_site(&f->db, sql);
	testdb_site(&f->db, "BEGIN; SELECT count(*) FROM t");
	f->db.conf.db_busy_ms = 20;
	assert_int_equal(store_open(&f->db.conf, STORE_SERVE, &f->db.st, why,
	    sizeof(why)), 0);
	testdb_site(&f->db, "COMMIT");
	siteproc_run(&f->p, "open");
	siteproc_run(&f->p, sql);
	open_watch(f);
}

static int64_t
count(struct fixture *f)
{
	sqlite3_stmt *s;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(f->db.site,
	    "SELECT count(*) FROM t", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
	return n;
}

/* Waits as an owner would, and looks. */
static enum watch_result
next(struct watch *w, int64_t deadline_us)
{
	struct pollfd pfd = { .fd = watch_fd(w), .events = POLLIN };
	enum watch_result what = WATCH_QUIET;
	int64_t now = clock_mono_us(), wait = watch_wait_us(w, now);
	int rc;

	assert_true(now < deadline_us);
	if (wait > deadline_us - now)
		wait = deadline_us - now;
	assert_true(poll(&pfd, 1, (int)((wait + 999) / 1000)) >= 0);
	rc = watch_look(w, clock_mono_us(), &what);
	assert_true(rc == 0 || rc == ERR_BUSY);
	return what;
}

static void
await(struct watch *w, enum watch_result what)
{
	int64_t deadline = clock_mono_us() + DEADLINE_US;

	while (next(w, deadline) != what)
		;
}

/* Until nothing but an event could make it look again. */
static int
settle(struct watch *w)
{
	int64_t deadline = clock_mono_us() + DEADLINE_US;
	int changes = 0;

	while (watch_wait_us(w, clock_mono_us()) != INT64_MAX)
		changes += next(w, deadline) == WATCH_CHANGED;
	return changes;
}

/* Has the process run sql, which adds n rows, and waits until they are
 * noticed. */
static void
notice(struct fixture *f, const char *sql, int64_t n)
{
	siteproc_tell(&f->p, sql);
	f->rows += n;
	do
		await(f->w, WATCH_CHANGED);
	while (count(f) != f->rows);
	siteproc_join(&f->p);
}

static void
each_commit(struct fixture *f, const char *pragma)
{
	int i;

	siteproc_run(&f->p, pragma);
	for (i = 0; i < 500; i++)
		notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
	assert_string_equal(watch_method(f->w), "inotify");
}

static void
test_commits_full(void **state)
{
	each_commit(*state, "PRAGMA synchronous = FULL");
}

static void
test_commits_normal(void **state)
{
	each_commit(*state, "PRAGMA synchronous = NORMAL");
}

static void
test_commits_with_checkpoints(void **state)
{
	each_commit(*state, "PRAGMA wal_autocheckpoint = 10");
}

static void
test_writer_opens_and_closes(void **state)
{
	struct fixture *f = *state;
	int i;

	for (i = 0; i < 100; i++) {
		siteproc_run(&f->p, "close");
		siteproc_run(&f->p, "open");
		notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
	}
}

/* Only our own connection remains, and with it -wal and -shm. */
static void
test_last_foreign_connection_closes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(sqlite3_close(f->db.site), SQLITE_OK);
	siteproc_run(&f->p, "INSERT INTO t(x) VALUES ('x')");
	f->rows++;
	await(f->w, WATCH_CHANGED);
	(void)settle(f->w);
	siteproc_run(&f->p, "close");
	(void)settle(f->w);
	siteproc_run(&f->p, "open");
	assert_int_equal(sqlite3_open(f->db.path, &f->db.site), SQLITE_OK);
	notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
}

static void
test_spilling_transactions(void **state)
{
	struct fixture *f = *state;
	int i;

	siteproc_run(&f->p, SPILL);
	for (i = 0; i < 20; i++)
		notice(f, ROWS(3000), 3000);
}

static void
test_rollback_is_quiet(void **state)
{
	struct fixture *f = *state;

	(void)settle(f->w);
	siteproc_run(&f->p, SPILL);
	siteproc_run(&f->p, "BEGIN IMMEDIATE");
	siteproc_run(&f->p, ROWS(3000));
	await(f->w, WATCH_PENDING);
	siteproc_run(&f->p, "ROLLBACK");
	assert_int_equal(settle(f->w), 0);
	notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
}

static void
test_checkpoints(void **state)
{
	static const char *const sql[] = {
		"PRAGMA wal_checkpoint(PASSIVE)",
		"PRAGMA wal_checkpoint(RESTART)",
		"PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "ANALYZE"
	};
	struct fixture *f = *state;
	size_t i, n;

	for (n = 0; n < 10; n++) {
		for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
			notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
			siteproc_run(&f->p, sql[i]);
			/* May be a false alarm, but must come to an end. */
			(void)settle(f->w);
		}
	}
}

static void
test_killed_in_transaction(void **state)
{
	struct fixture *f = *state;

	siteproc_run(&f->p, SPILL);
	siteproc_run(&f->p, "BEGIN IMMEDIATE");
	siteproc_run(&f->p, ROWS(3000));
	await(f->w, WATCH_PENDING);
	end_proc(f, 1);
	(void)settle(f->w);
	siteproc_open(&f->p, f->db.path);
	notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
}

static void
test_rollback_journals(void **state)
{
	static const char *const mode[] = { "DELETE", "TRUNCATE", "PERSIST" };
	struct fixture *f = *state;
	size_t i;
	int n;

	for (i = 0; i < sizeof(mode) / sizeof(mode[0]); i++) {
		to_journal_mode(f, mode[i]);
		for (n = 0; n < 50; n++)
			notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
	}
	/* Somebody switches to WAL under our eyes. */
	(void)settle(f->w);
	siteproc_run(&f->p, "PRAGMA journal_mode = WAL");
	siteproc_run(&f->p, "PRAGMA synchronous = FULL");
	for (n = 0; n < 100; n++)
		notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
}

static void
test_busy_is_returned(void **state)
{
	struct fixture *f = *state;
	enum watch_result what;

	to_journal_mode(f, "DELETE");
	(void)settle(f->w);
	siteproc_run(&f->p, "BEGIN EXCLUSIVE");
	siteproc_run(&f->p, "INSERT INTO t(x) VALUES ('x')");
	watch_set_floor_ms(f->w, 1);
	assert_int_equal(watch_look(f->w, clock_mono_us(), &what), ERR_BUSY);
	watch_set_floor_ms(f->w, 0);
	assert_true(watch_wait_us(f->w, clock_mono_us()) <=
	    WATCH_BLIND_MS * 1000);
	siteproc_run(&f->p, "COMMIT");
	await(f->w, WATCH_CHANGED);
	assert_int_equal(count(f), 1);
}

/* Another connection of this very process: it is "other" for data_version
 * too. */
static void
test_same_process(void **state)
{
	struct fixture *f = *state;
	enum watch_result what;

	(void)settle(f->w);
	testdb_site(&f->db, "BEGIN IMMEDIATE; INSERT INTO t(x) VALUES ('x')");
	watch_set_floor_ms(f->w, 1);
	assert_int_equal(watch_look(f->w, clock_mono_us(), &what), 0);
	assert_int_equal(what, WATCH_PENDING);
	watch_set_floor_ms(f->w, 0);
	testdb_site(&f->db, "COMMIT");
	await(f->w, WATCH_CHANGED);
	assert_int_equal(settle(f->w), 0);
	assert_int_equal(store_write(f->db.st), 0);
	assert_int_equal(store_commit(f->db.st), 0);
	assert_int_equal(settle(f->w), 0);
}

/* While the lock is held the looks become rarer; time is ours here. */
static void
test_pending_waits(void **state)
{
	static const int64_t wait_us[] = { 1000, 2000, 5000, 5000 };
	struct fixture *f = *state;
	enum watch_result what;
	int64_t now = 1000000000;
	size_t i;

	siteproc_run(&f->p, "BEGIN IMMEDIATE");
	for (i = 0; i < sizeof(wait_us) / sizeof(wait_us[0]); i++) {
		assert_int_equal(watch_look(f->w, now, &what), 0);
		assert_int_equal(what, WATCH_PENDING);
		assert_int_equal(watch_wait_us(f->w, now), wait_us[i]);
		/* Too early: nothing is looked at, nothing is put off. */
		assert_int_equal(watch_look(f->w, now + 10, &what), 0);
		assert_int_equal(what, WATCH_PENDING);
		assert_int_equal(watch_wait_us(f->w, now + 10),
		    wait_us[i] - 10);
		now += wait_us[i];
	}
	siteproc_run(&f->p, "ROLLBACK");
	assert_int_equal(watch_look(f->w, now, &what), 0);
	assert_int_equal(what, WATCH_QUIET);
	assert_int_equal(watch_wait_us(f->w, now), INT64_MAX);
}

/* A second commit close behind the first waits a little; a lone one never
 * does. */
static void
test_debounce(void **state)
{
	struct fixture *f = *state;
	enum watch_result what;
	int64_t now = 1000000000;

	assert_int_equal(watch_look(f->w, now, &what), 0);
	assert_int_equal(what, WATCH_QUIET);
	now += 1000000;
	siteproc_run(&f->p, "INSERT INTO t(x) VALUES ('x')");
	assert_int_equal(watch_look(f->w, now, &what), 0);
	assert_int_equal(what, WATCH_CHANGED);
	siteproc_run(&f->p, "INSERT INTO t(x) VALUES ('x')");
	assert_int_equal(watch_look(f->w, now + 500, &what), 0);
	assert_int_equal(what, WATCH_PENDING);
	assert_in_range(watch_wait_us(f->w, now + 500), 500, 2000);
	assert_int_equal(watch_look(f->w, now + 2500, &what), 0);
	assert_int_equal(what, WATCH_CHANGED);
	siteproc_run(&f->p, "INSERT INTO t(x) VALUES ('x')");
	assert_int_equal(watch_look(f->w, now + 5000, &what), 0);
	assert_int_equal(what, WATCH_CHANGED);
}

static void
test_floor(void **state)
{
	struct fixture *f = *state;
	enum watch_result what;
	int64_t now = 1000000000;

	watch_set_floor_ms(f->w, -1);
	assert_int_equal(watch_wait_us(f->w, now), 0);
	assert_int_equal(watch_look(f->w, now, &what), 0);
	assert_int_equal(what, WATCH_QUIET);
	assert_int_equal(watch_wait_us(f->w, now), WATCH_FLOOR_MS * 1000);
	watch_set_floor_ms(f->w, 7000);
	assert_int_equal(watch_look(f->w, now, &what), 0);
	assert_int_equal(watch_wait_us(f->w, now), 7000000);
}

/* No descriptor is to be had: commits are noticed by time alone. */
static void
test_blind(void **state)
{
	struct fixture *f = *state;
	struct rlimit was, none;
	int i, fd;

	watch_close(f->w);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	fd = dup(0);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	none = was;
	none.rlim_cur = (rlim_t)fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	i = watch_open(f->db.st, &f->w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(i, 0);
	assert_int_equal(watch_fd(f->w), -1);
	assert_string_equal(watch_method(f->w), "timer");
	for (i = 0; i < 20; i++) {
		notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
		assert_true(watch_wait_us(f->w, clock_mono_us()) <=
		    WATCH_BLIND_MS * 1000);
	}
}

/* More happens in the directory than the queue holds: then anything may have
 * happened. */
static void
test_overflow(void **state)
{
	struct fixture *f = *state;
	FILE *fp = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	char path[320];
	int fd, i, n = 0;

	assert_non_null(fp);
	assert_int_equal(fscanf(fp, "%d", &n), 1);
	assert_int_equal(fclose(fp), 0);
	if (n > 100000)
		skip();
	(void)settle(f->w);
	(void)snprintf(path, sizeof(path), "%s/other", f->db.dir);
	for (i = 0; i <= n / 2; i++) {
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
		assert_int_equal(unlink(path), 0);
	}
	notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
	for (i = 0; i < 10; i++)
		notice(f, "INSERT INTO t(x) VALUES ('x')", 1);
}

/* The directory's other files are none of our business. */
static void
test_other_names(void **state)
{
	static const char *const suffix[] = {
		"-shm2", ".bak", "-wal2", "-shm.x"
	};
	struct fixture *f = *state;
	enum watch_result what;
	struct pollfd pfd;
	char path[320];
	size_t i;
	int fd;

	(void)settle(f->w);
	for (i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->db.path,
		    suffix[i]);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, "x", 1), 1);
		assert_int_equal(close(fd), 0);
	}
	pfd = (struct pollfd){ .fd = watch_fd(f->w), .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, SITEPROC_DEADLINE_MS), 1);
	assert_int_equal(watch_look(f->w, clock_mono_us(), &what), 0);
	assert_int_equal(what, WATCH_QUIET);
	assert_int_equal(watch_wait_us(f->w, clock_mono_us()), INT64_MAX);
}

static void
write_file(const char *path, const char *text)
{
	FILE *fp = fopen(path, "w");

	assert_non_null(fp);
	assert_true(fputs(text, fp) >= 0);
	assert_int_equal(fclose(fp), 0);
}

static void
test_replaced(void **state)
{
	struct fixture *f = *state;
	char old[320], new[320];

	(void)snprintf(old, sizeof(old), "%s.old", f->db.path);
	(void)snprintf(new, sizeof(new), "%s.new", f->db.path);
	(void)settle(f->w);

	/* Gone for a moment: we go on with what we have. */
	assert_int_equal(rename(f->db.path, old), 0);
	assert_int_equal(settle(f->w), 0);
	/* There is a file, but nothing in it yet. */
	write_file(f->db.path, "");
	await(f->w, WATCH_QUIET);
	/* Now there is something; said again and again, but not hastily. */
	write_file(f->db.path, "something");
	await(f->w, WATCH_REPLACED);
	assert_int_equal(watch_wait_us(f->w, clock_mono_us()), INT64_MAX);
	watch_set_floor_ms(f->w, 1);
	await(f->w, WATCH_REPLACED);
	watch_set_floor_ms(f->w, 0);

	/* The old one comes back. */
	assert_int_equal(rename(old, f->db.path), 0);
	await(f->w, WATCH_QUIET);
	notice(f, "INSERT INTO t(x) VALUES ('x')", 1);

	/* mv new.db db */
	write_file(new, "something");
	assert_int_equal(rename(new, f->db.path), 0);
	await(f->w, WATCH_REPLACED);
}

static int
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	assert_int_equal(closedir(d), 0);
	return n;
}

/* Opening and closing a watch costs no descriptor, and no lock of SQLite's. */
static void
test_locks_survive(void **state)
{
	struct fixture *f = *state;
	int i, n = open_files();

	testdb_site(&f->db, "BEGIN IMMEDIATE; INSERT INTO t(x) VALUES ('x')");
	for (i = 0; i < 10; i++) {
		watch_close(f->w);
		open_watch(f);
	}
	assert_int_equal(open_files(), n);
	siteproc_run(&f->p, "PRAGMA busy_timeout = 0");
	siteproc_tell(&f->p, "BEGIN IMMEDIATE");
	assert_string_equal(siteproc_answer(&f->p), "database is locked");
	testdb_site(&f->db, "COMMIT");
	assert_int_equal(count(f), 1);
}

/* Written before the watch was opened, published after: the first look sees
 * to it. */
static void
test_opened_in_mid_commit(void **state)
{
	struct fixture *f = *state;

	watch_close(f->w);
	siteproc_run(&f->p, "BEGIN IMMEDIATE");
	siteproc_run(&f->p, "INSERT INTO t(x) VALUES ('x')");
	open_watch(f);
	await(f->w, WATCH_PENDING);
	siteproc_run(&f->p, "COMMIT");
	await(f->w, WATCH_CHANGED);
	assert_int_equal(count(f), 1);
}

static void
test_directory_goes(void **state)
{
	struct fixture *f = *state;
	char moved[300];

	(void)settle(f->w);
	(void)snprintf(moved, sizeof(moved), "%s.moved", f->db.dir);
	assert_int_equal(rename(f->db.dir, moved), 0);
	/* Nothing tells that another stands in its place: that is for the
	 * floor. */
	assert_int_equal(mkdir(f->db.dir, 0700), 0);
	write_file(f->db.path, "something");
	watch_set_floor_ms(f->w, 10);
	await(f->w, WATCH_REPLACED);
	testdb_rmdir(moved);
}

int
main(int argc, char **argv)
{
	int rc = siteproc_main(argc, argv);
#define T(name)	cmocka_unit_test_setup_teardown(test_ ## name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(commits_full),
		T(commits_normal),
		T(commits_with_checkpoints),
		T(writer_opens_and_closes),
		T(last_foreign_connection_closes),
		T(spilling_transactions),
		T(rollback_is_quiet),
		T(checkpoints),
		T(killed_in_transaction),
		T(rollback_journals),
		T(busy_is_returned),
		T(same_process),
		T(pending_waits),
		T(debounce),
		T(floor),
		T(blind),
		T(overflow),
		T(other_names),
		T(replaced),
		T(locks_survive),
		T(opened_in_mid_commit),
		T(directory_goes)
	};

	if (rc >= 0)
		return rc;
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
