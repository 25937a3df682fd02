/*
 * The tail over a real database that other processes write to: every event once
 * and in order, and what a site's migration or a restored backup does to it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "log.h"
#include "siteproc.h"
#include "tail.h"
#include "testdb.h"

#define DEADLINE_US	((int64_t)SITEPROC_DEADLINE_MS * 1000)
#define MAX_SEEN	20000
#define POST		"INSERT INTO messages(id, room_id, sender_id, " \
			"content) VALUES (hex(randomblob(8)), 'r', 'u', " \
			"'hello')"
#define POST_MANY	"INSERT INTO messages(room_id, sender_id, content) " \
			"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL " \
			"SELECT i + 1 FROM c WHERE i < %d) " \
			"SELECT 'r', 'u', i FROM c"
/* What a site does to change a table: it takes our triggers with it. */
#define REBUILD_BEGIN	"CREATE TABLE m2 AS SELECT * FROM messages; " \
			"DROP TABLE messages"
#define REBUILD_END	"ALTER TABLE m2 RENAME TO messages"
#define REBUILD		"BEGIN; " REBUILD_BEGIN "; " REBUILD_END "; COMMIT"

struct fixture {
	struct testdb	 db;
	struct tail	*t;
	int64_t		 start;		/* the head when it was opened */
	int64_t		*seen;		/* ids, as they came */
	size_t		 n_seen;
	size_t		 n_batches, max_batch;
	int		 n_replaced, n_repaired, n_doubts, n_asked;
};

static void
on_batch(struct event *const *ev, size_t n, void *arg)
{
	struct fixture *f = arg;
	size_t i;

	assert_true(n > 0 && n <= TAIL_BATCH);
	assert_true(f->n_seen + n <= MAX_SEEN);
	for (i = 0; i < n; i++)
		f->seen[f->n_seen++] = ev[i]->id;
	assert_int_equal(tail_head(f->t), ev[n - 1]->id);
	f->n_batches++;
	if (n > f->max_batch)
		f->max_batch = n;
}

static void
on_replaced(void *arg)
{
	struct fixture *f = arg;

	f->n_replaced++;
	f->start = tail_head(f->t);
	f->n_seen = 0;
	assert_non_null(tail_store(f->t));
}

static void
on_repaired(int n, void *arg)
{
	struct fixture *f = arg;

	f->n_repaired += n;
}

static void
on_doubt(void *arg)
{
	struct fixture *f = arg;

	f->n_doubts++;
}

/* The test's own store is the other one of the process. */
static void
on_replacing(void *arg)
{
	struct fixture *f = arg;

	f->n_asked++;
	if (f->n_asked < 3)
		return;
	store_close(f->db.st);
	f->db.st = NULL;
}

static const struct tail_ops ops = {
	on_batch, on_replaced, on_repaired, on_doubt, on_replacing
};

static void
open_tail(struct fixture *f)
{
	char why[256];

	assert_int_equal(tail_open(&f->db.conf, &ops, f, &f->t, why,
	    sizeof(why)), 0);
	f->start = tail_head(f->t);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->seen = calloc(MAX_SEEN, sizeof(*f->seen));
	assert_non_null(f->seen);
	testdb_open(&f->db, NULL);
	testdb_site(&f->db, "INSERT INTO users(id, name) VALUES ('u', 'U');"
	    "INSERT INTO rooms(id, name, created_by) VALUES ('r', 'R', 'u')");
	open_tail(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	tail_close(f->t);
	testdb_close(&f->db);
	free(f->seen);
	free(f);
	return 0;
}

/* One turn of an owner's loop. */
static int
turn(struct fixture *f, int64_t deadline_us)
{
	struct pollfd pfd = { .fd = tail_fd(f->t), .events = POLLIN };
	int64_t now = clock_mono_us(), wait = tail_wait_us(f->t, now);

	assert_true(now < deadline_us);
	assert_true(wait <= 1000000);
	assert_true(poll(&pfd, 1, (int)((wait + 999) / 1000)) >= 0);
	return tail_step(f->t);
}

#define AWAIT(f, condition)						\
	do {								\
		int64_t last_us = clock_mono_us() + DEADLINE_US;	\
									\
		while (!(condition))					\
			assert_int_equal(turn(f, last_us), 0);		\
	} while (0)

/* What was seen is what the log has after the start: all of it, once, in
 * order. */
static void
assert_complete(struct fixture *f)
{
	sqlite3_stmt *s;
	size_t i;

	assert_int_equal(sqlite3_prepare_v2(f->db.site, "SELECT id FROM events "
	    "WHERE id > ? ORDER BY id", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_bind_int64(s, 1, f->start), SQLITE_OK);
	for (i = 0; sqlite3_step(s) == SQLITE_ROW; i++) {
		assert_true(i < f->n_seen);
		assert_int_equal(f->seen[i], sqlite3_column_int64(s, 0));
	}
	assert_int_equal(i, f->n_seen);
	assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
}

static void
test_concurrent_writers(void **state)
{
	struct fixture *f = *state;
	struct siteproc p[4];
	int i;

	for (i = 0; i < 4; i++) {
		siteproc_open(&p[i], f->db.path);
		siteproc_run(&p[i], "PRAGMA synchronous = NORMAL");
	}
	for (i = 0; i < 4; i++)
		siteproc_tell(&p[i], "500 " POST);
	AWAIT(f, f->n_seen >= 2000);
	for (i = 0; i < 4; i++) {
		siteproc_join(&p[i]);
		siteproc_end(&p[i], 0);
	}
	assert_int_equal(f->n_seen, 2000);
	assert_complete(f);
	assert_int_equal(tail_head(f->t), f->seen[1999]);
	assert_int_equal(tail_health(f->t), 0);
}

static void
test_batches(void **state)
{
	static const struct {
		int	n;
		size_t	batches, max;
	} tab[] = {
		{ 1, 1, 1 }, { 499, 1, 499 }, { 500, 1, 500 }, { 501, 2, 500 },
		{ 1200, 3, 500 }, { 11000, 22, 500 }
	};
	struct fixture *f = *state;
	char sql[256];
	size_t i;

	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		f->n_seen = f->n_batches = f->max_batch = 0;
		f->start = tail_head(f->t);
		(void)snprintf(sql, sizeof(sql), POST_MANY, tab[i].n);
		testdb_site(&f->db, sql);
		AWAIT(f, f->n_seen >= (size_t)tab[i].n);
		assert_int_equal(f->n_batches, tab[i].batches);
		assert_int_equal(f->max_batch, tab[i].max);
		assert_complete(f);
	}
}

static void
test_starts_at_head(void **state)
{
	struct fixture *f = *state;
	int64_t head;

	tail_close(f->t);
	testdb_site(&f->db, POST);
	assert_int_equal(eventlog_head(f->db.st, &head), 0);
	open_tail(f);
	assert_int_equal(tail_head(f->t), head);
	/* Between opening and the first step. */
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen > 0);
	assert_int_equal(f->n_seen, 1);
	assert_complete(f);
}

static void
test_open_fails(void **state)
{
	struct fixture *f = *state;
	struct conf conf = f->db.conf;
	struct tail *t = NULL;
	char why[256] = "", name[] = "/nonexistent/db";

	conf.database = name;
	assert_int_equal(tail_open(&conf, &ops, f, &t, why, sizeof(why)),
	    ERR_NOTFOUND);
	assert_null(t);
	assert_true(why[0] != '\0');
	tail_close(NULL);
}

static void
test_triggers_put_back(void **state)
{
	struct fixture *f = *state;

	testdb_site(&f->db, REBUILD);
	AWAIT(f, f->n_repaired > 0);
	assert_true(f->n_doubts > 0);
	assert_int_equal(tail_health(f->t), 0);
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen > 0);
	assert_complete(f);
}

/* They were dropped while nobody looked. */
static void
test_triggers_missing_at_start(void **state)
{
	struct fixture *f = *state;

	tail_close(f->t);
	testdb_site(&f->db, REBUILD);
	open_tail(f);
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen > 0);
	assert_complete(f);
}

/* A migration in steps: in between there is no such table. */
static void
test_table_missing_for_a_while(void **state)
{
	struct fixture *f = *state;

	testdb_site(&f->db, REBUILD_BEGIN);
	AWAIT(f, tail_health(f->t) != 0);
	testdb_site(&f->db, REBUILD_END);
	AWAIT(f, tail_health(f->t) == 0 && f->n_repaired > 0);
	f->n_seen = 0;
	f->start = tail_head(f->t);
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen > 0);
	assert_complete(f);
}

/* The repair needs the write lock; until it is free the tail serves on. */
static void
test_repair_waits(void **state)
{
	struct fixture *f = *state;
	struct siteproc p;
	int64_t end_us = clock_mono_us() + DEADLINE_US;
	int i;

	siteproc_open(&p, f->db.path);
	testdb_site(&f->db, REBUILD);
	siteproc_run(&p, "BEGIN IMMEDIATE");
	for (i = 0; i < 20; i++)
		assert_int_equal(turn(f, end_us), 0);
	assert_int_equal(f->n_repaired, 0);
	assert_int_equal(tail_health(f->t), 0);
	siteproc_run(&p, "ROLLBACK");
	AWAIT(f, f->n_repaired > 0);
	siteproc_end(&p, 0);
}

static void
close_others(struct fixture *f)
{
	assert_int_equal(sqlite3_close(f->db.site), SQLITE_OK);
	f->db.site = NULL;
	store_close(f->db.st);
	f->db.st = NULL;
}

/* Puts the file at from in the database's place, as operators are told to. */
static void
put(struct fixture *f, const char *from)
{
	char path[320];

	(void)snprintf(path, sizeof(path), "%s-wal", f->db.path);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s-shm", f->db.path);
	(void)unlink(path);
	assert_int_equal(rename(from, f->db.path), 0);
}

static void
assert_follows(struct fixture *f)
{
	f->n_seen = 0;
	assert_int_equal(sqlite3_open(f->db.path, &f->db.site), SQLITE_OK);
	(void)sqlite3_busy_timeout(f->db.site, SITEPROC_DEADLINE_MS);
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen > 0);
	assert_complete(f);
	assert_int_equal(tail_health(f->t), 0);
}

static void
make_backup(struct fixture *f, char *ret, size_t size)
{
	char sql[400];

	(void)snprintf(ret, size, "%s/backup", f->db.dir);
	(void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", ret);
	testdb_site(&f->db, sql);
}

static void
test_restored_backup(void **state)
{
	struct fixture *f = *state;
	struct store *was = tail_store(f->t);
	char backup[320];
	int64_t head;

	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen == 1);
	head = tail_head(f->t);
	make_backup(f, backup, sizeof(backup));
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen == 2);
	close_others(f);
	put(f, backup);
	assert_ptr_equal(tail_store(f->t), was);
	AWAIT(f, f->n_replaced == 1);
	assert_int_equal(tail_head(f->t), head);
	assert_follows(f);
	assert_int_equal(f->n_replaced, 1);
}

/* The file stays, and the log is an earlier one: no event tells what else is. */
static void
test_restored_in_place(void **state)
{
	struct fixture *f = *state;
	sqlite3 *from;
	sqlite3_backup *b;
	char backup[320];
	int i, n;

	make_backup(f, backup, sizeof(backup));
	testdb_site(&f->db, POST);
	AWAIT(f, f->n_seen == 1);
	assert_int_equal(f->n_doubts, 0);
	for (i = 0; i < 2; i++) {
		n = f->n_doubts;
		assert_int_equal(sqlite3_open(backup, &from), SQLITE_OK);
		b = sqlite3_backup_init(f->db.site, "main", from, "main");
		assert_non_null(b);
		assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
		assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
		assert_int_equal(sqlite3_close(from), SQLITE_OK);
		AWAIT(f, f->n_doubts > n);
		f->n_seen = 0;
		testdb_site(&f->db, POST);
		AWAIT(f, f->n_seen == 1);
		n = f->n_doubts;
		/* Told once. */
		testdb_site(&f->db, POST);
		AWAIT(f, f->n_seen == 2);
		assert_int_equal(f->n_doubts, n);
	}
	assert_int_equal(f->n_replaced, 0);
	/* Emptied, or pruned to its newest row, it is the same log. */
	testdb_site(&f->db, "DELETE FROM events; " POST);
	AWAIT(f, f->n_seen == 3);
	assert_int_equal(f->n_doubts, n);
}

/* A plain mv: -wal (empty) and -shm of the old one are still in their
 * places, and somebody else in the process has the old one open. */
static void
test_plain_mv(void **state)
{
	struct fixture *f = *state;
	char backup[320];

	make_backup(f, backup, sizeof(backup));
	testdb_site(&f->db, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(sqlite3_close(f->db.site), SQLITE_OK);
	f->db.site = NULL;
	assert_int_equal(rename(backup, f->db.path), 0);
	AWAIT(f, f->n_replaced == 1);
	assert_int_equal(f->n_asked, 3);
	assert_follows(f);
}

static void
test_unreadable_replacement(void **state)
{
	struct fixture *f = *state;
	struct store *was = tail_store(f->t);
	char backup[320], old[320], bad[320];
	int64_t head;
	FILE *fp;
	int i;

	make_backup(f, backup, sizeof(backup));
	(void)snprintf(old, sizeof(old), "%s/old", f->db.dir);
	(void)snprintf(bad, sizeof(bad), "%s/bad", f->db.dir);
	assert_int_equal(link(f->db.path, old), 0);
	for (i = 0; i < 2; i++) {
		fp = fopen(bad, "w");
		assert_non_null(fp);
		for (head = 0; head < 1000; head++)
			(void)fprintf(fp, "this is not a database\n");
		assert_int_equal(fclose(fp), 0);
		assert_int_equal(rename(bad, f->db.path), 0);
		AWAIT(f, tail_health(f->t) != 0);
		assert_int_equal(f->n_replaced, 0);
		/* What we have open serves on. */
		assert_ptr_equal(tail_store(f->t), was);
		assert_int_equal(eventlog_head(was, &head), 0);
		if (i == 0) {
			assert_int_equal(rename(old, f->db.path), 0);
			AWAIT(f, tail_health(f->t) == 0);
			assert_int_equal(f->n_replaced, 0);
		}
	}
	close_others(f);
	put(f, backup);
	AWAIT(f, f->n_replaced == 1);
	assert_follows(f);
}

/* Moved away and back: told by the health, and what is open serves on. */
static void
test_taken_away(void **state)
{
	struct fixture *f = *state;
	struct store *was = tail_store(f->t);
	char away[320];
	int64_t head;

	(void)snprintf(away, sizeof(away), "%s/away", f->db.dir);
	close_others(f);
	assert_int_equal(rename(f->db.path, away), 0);
	AWAIT(f, tail_health(f->t) == ERR_NOTFOUND);
	assert_int_equal(eventlog_head(was, &head), 0);
	assert_int_equal(rename(away, f->db.path), 0);
	AWAIT(f, tail_health(f->t) == 0);
	assert_int_equal(f->n_replaced, 0);
	assert_ptr_equal(tail_store(f->t), was);
	assert_follows(f);
}

/* Readers are locked out for a time: the tail says so and goes on
 * afterwards. */
static void
test_passing_failure(void **state)
{
	struct fixture *f = *state;
	struct siteproc p;

	tail_close(f->t);
	store_close(f->db.st);
	f->db.st = NULL;
	testdb_site(&f->db, "PRAGMA journal_mode = DELETE");
	/* The store would switch back to WAL, were not somebody reading. */
	testdb_site(&f->db, "BEGIN; SELECT count(*) FROM users");
	open_tail(f);
	testdb_site(&f->db, "COMMIT");
	AWAIT(f, tail_health(f->t) == 0);
	siteproc_open(&p, f->db.path);
	siteproc_run(&p, "BEGIN EXCLUSIVE");
	siteproc_run(&p, POST);
	AWAIT(f, tail_health(f->t) == ERR_BUSY);
	siteproc_run(&p, "COMMIT");
	AWAIT(f, tail_health(f->t) == 0 && f->n_seen == 1);
	assert_complete(f);
	siteproc_end(&p, 0);
}

static void
test_out_of_memory(void **state)
{
	struct fixture *f = *state;
	int64_t end_us = clock_mono_us() + DEADLINE_US, was;
	int rc;

	AWAIT(f, tail_wait_us(f->t, clock_mono_us()) > 0);
	testdb_site(&f->db, POST);
	was = sqlite3_hard_heap_limit64(1);
	do
		rc = turn(f, end_us);
	while (rc == 0 && f->n_seen == 0);
	(void)sqlite3_hard_heap_limit64(was);
	assert_int_equal(rc, ERR_NOMEM);
	assert_int_equal(f->n_seen, 0);
	AWAIT(f, f->n_seen == 1);
	assert_complete(f);
}

int
main(int argc, char **argv)
{
	int rc = siteproc_main(argc, argv);
#define T(name)	cmocka_unit_test_setup_teardown(test_ ## name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(concurrent_writers),
		T(batches),
		T(starts_at_head),
		T(open_fails),
		T(triggers_put_back),
		T(triggers_missing_at_start),
		T(table_missing_for_a_while),
		T(repair_waits),
		T(restored_backup),
		T(restored_in_place),
		T(plain_mv),
		T(unreadable_replacement),
		T(taken_away),
		T(passing_failure),
		T(out_of_memory)
	};

	if (rc >= 0)
		return rc;
	/* Before the store: a limit on memory needs SQLite to count it. */
	(void)sqlite3_initialize();
	(void)signal(SIGPIPE, SIG_IGN);
	log_init("test_tail", LOG_DEBUG_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
