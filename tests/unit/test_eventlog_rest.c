/*
 * What reading the log costs: nothing while nobody commits, and never more for a
 * longer log.  And that a commit, by whatever process, is always seen by who reads
 * after it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "clock.h"
#include "event.h"
#include "eventlog.h"
#include "query.h"
#include "siteproc.h"
#include "store_impl.h"
#include "testdb.h"

#define FEW		1000	/* rows of the log */
#define MANY		100000
#define TRIES		2000

struct reading {
	int64_t			pos;
	enum eventlog_reset	reset;
	int			n, more;
};

static int
count(struct event *ev, void *arg)
{
	(void)ev;
	(void)arg;
	return 0;
}

/* A poll, as the services do it. */
static void
read_log(struct store *st, const char *user, const char *params,
    struct reading *ret)
{
	const char *why = NULL;
	struct query q;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(query_parse(params, strlen(params), &q, &why), 0);
	assert_int_equal(eventlog_resume(st, &q, &ret->pos, &ret->reset), 0);
	if (ret->reset == EVENTLOG_RESUMED)
		ret->n = eventlog_page(st, user, q.rooms, q.n_rooms, ret->pos,
		    q.limit, count, NULL, &ret->pos, &ret->more);
	assert_true(ret->n >= 0);
	query_release(&q);
}

static void
print_cursor(char *ret, size_t size, int64_t pos)
{
	char at[CLOCK_POS_SIZE];

	(void)snprintf(ret, size, "lastTimestamp=%s", clock_print_pos(pos, at));
}

static void
open_site(struct testdb *db, const char *extra)
{
	testdb_open(db, extra);
	testdb_site(db, "INSERT INTO users(id, name) VALUES ('u', 'U'), "
	    "('v', 'V'); INSERT INTO rooms(id, name, is_private) VALUES "
	    "('hall', 'Hall', 0), ('den', 'Den', 1); "
	    "INSERT INTO messages(id, room_id, sender_id, content) VALUES "
	    "('m1', 'hall', 'v', 'hello')");
}

static void
test_nothing_new(void **state)
{
	struct reading r;
	struct testdb db;
	char cursor[64];
	uint64_t steps;
	int64_t head;
	int i;

	(void)state;
	open_site(&db, NULL);
	read_log(db.st, "u", "lastTimestamp=", &r);
	print_cursor(cursor, sizeof(cursor), r.pos);
	read_log(db.st, "u", "lastMessageId=m1", &r);
	assert_int_equal(r.reset, EVENTLOG_RESUMED);
	assert_true(eventlog_is_at_rest(db.st));
	steps = store_steps(db.st);
	for (i = 0; i < 1000; i++) {
		read_log(db.st, "u", cursor, &r);
		assert_int_equal(r.reset, EVENTLOG_RESUMED);
		assert_int_equal(r.n + r.more, 0);
		read_log(db.st, "u", "lastMessageId=m1", &r);
		assert_int_equal(r.reset, EVENTLOG_RESUMED);
		assert_int_equal(r.n + r.more, 0);
		assert_int_equal(eventlog_head(db.st, &head), 0);
		assert_int_equal(head, r.pos);
	}
	assert_int_equal(store_steps(db.st), steps);
	/* One commit, and it is over. */
	testdb_site(&db, "INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('m2', 'hall', 'v')");
	assert_false(eventlog_is_at_rest(db.st));
	read_log(db.st, "u", "lastMessageId=m1", &r);
	assert_int_equal(r.n, 1);
	assert_true(r.pos > head);
	read_log(db.st, "u", cursor, &r);
	assert_int_equal(r.n, 1);
	/* The edit of a message is not the message. */
	testdb_site(&db, "UPDATE messages SET content = 'x' WHERE id = 'm1'");
	read_log(db.st, "u", "lastMessageId=m2", &r);
	assert_int_equal(r.n, 1);
	testdb_close(&db);
}

/* A poll right after a commit has it, however short the moment. */
static void
see_commits(const char *synchronous)
{
	struct siteproc site;
	struct reading r;
	struct testdb db;
	char line[128], cursor[64];
	int64_t head, last;
	int i;

	open_site(&db, NULL);
	siteproc_open(&site, db.path);
	(void)snprintf(line, sizeof(line), "PRAGMA synchronous = %s",
	    synchronous);
	siteproc_run(&site, line);
	/* The WAL begins anew all the time. */
	siteproc_run(&site, "PRAGMA wal_autocheckpoint = 60");
	read_log(db.st, "u", "", &r);
	last = r.pos;
	for (i = 0; i < TRIES; i++) {
		print_cursor(cursor, sizeof(cursor), last);
		read_log(db.st, "u", cursor, &r);
		assert_int_equal(r.n, 0);
		if (i % 500 == 499)
			siteproc_run(&site, "PRAGMA wal_checkpoint(TRUNCATE)");
		siteproc_run(&site, "INSERT INTO messages(room_id, sender_id) "
		    "VALUES ('hall', 'v')");
		if (i % 2 == 0) {
			assert_int_equal(eventlog_head(db.st, &head), 0);
			assert_true(head > last);
		}
		read_log(db.st, "u", cursor, &r);
		assert_int_equal(r.n, 1);
		assert_true(r.pos > last);
		last = r.pos;
	}
	siteproc_end(&site, 0);
	testdb_close(&db);
}

static void
test_commit_normal(void **state)
{
	(void)state;
	see_commits("NORMAL");
}

static void
test_commit_full(void **state)
{
	(void)state;
	see_commits("FULL");
}

/* What is remembered is of no use to one who has written, or is about to read. */
static void
test_transactions(void **state)
{
	struct testdb db;
	int64_t head, now;

	(void)state;
	open_site(&db, NULL);
	assert_int_equal(eventlog_head(db.st, &head), 0);
	/* Opened, but not yet read: it is to see what is committed until then. */
	assert_int_equal(store_read(db.st), 0);
	testdb_site(&db, "DELETE FROM messages");
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_true(now > head);
	head = now;
	/* And then nothing more. */
	testdb_site(&db, "INSERT INTO messages(room_id, sender_id) "
	    "VALUES ('hall', 'v')");
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_int_equal(now, head);
	store_rollback(db.st);
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_true(now > head);
	/* One's own, before and after the commit, and undone. */
	assert_int_equal(store_write(db.st), 0);
	assert_int_equal(eventlog_append(db.st, "X", NULL, NULL, NULL, "{}", 2,
	    0, &head), 0);
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_int_equal(now, head);
	store_rollback(db.st);
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_true(now < head);
	assert_int_equal(eventlog_append(db.st, "X", NULL, NULL, NULL, "{}", 2,
	    0, &head), 0);
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_int_equal(now, head);
	testdb_close(&db);
}

static void
say(struct testdb *db)
{
	testdb_site(db, "INSERT INTO messages(room_id, sender_id) "
	    "VALUES ('hall', 'v')");
}

/* The log is at rest at head; then there is more, and it is at rest there. */
static void
assert_moved(struct testdb *db, int64_t *head)
{
	int64_t now;

	assert_int_equal(eventlog_head(db->st, &now), 0);
	assert_true(now > *head);
	assert_int_equal(eventlog_head(db->st, head), 0);
	assert_int_equal(*head, now);
	assert_true(eventlog_is_at_rest(db->st));
}

/* The WAL begins anew, is cut, and its index is made anew: no commit is missed. */
static void
test_wal_anew(void **state)
{
	static const char *const between[] = {
		"PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(FULL)",
		"PRAGMA wal_checkpoint(RESTART)",
		"PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM",
		"BEGIN; DELETE FROM messages; ROLLBACK"
	};
	struct testdb db;
	int64_t head, now;
	size_t i, times;

	(void)state;
	open_site(&db, NULL);
	assert_int_equal(eventlog_head(db.st, &head), 0);
	for (times = 0; times < 3; times++) {
		for (i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
			testdb_site(&db, between[i]);
			assert_int_equal(eventlog_head(db.st, &now), 0);
			assert_int_equal(now, head);
			say(&db);
			assert_moved(&db, &head);
		}
	}
	testdb_close(&db);
}

/*
 * A writer died while it wrote the header of the index, of which the copy that is read here
 * comes last. The next who reads by SQLite, at the latest the tail, puts it right.
 */
static void
test_dead_writer(void **state)
{
	uint32_t before[STORE_VERSION_WORDS];
	struct testdb db;
	int64_t head;
	void *index;
	int i;

	(void)state;
	open_site(&db, NULL);
	assert_int_equal(eventlog_head(db.st, &head), 0);
	for (i = 0; i < 3; i++) {
		assert_true(eventlog_is_at_rest(db.st));
		index = (void *)(uintptr_t)db.st->index;
		memcpy(before, index, sizeof(before));
		say(&db);
		memcpy(index, before, sizeof(before));
		assert_true(eventlog_is_at_rest(db.st));
		testdb_site(&db, "SELECT count(*) FROM messages");
		assert_false(eventlog_is_at_rest(db.st));
		assert_moved(&db, &head);
		say(&db);
		assert_moved(&db, &head);
	}
	testdb_close(&db);
}

/* Without a WAL nothing is proven, and all is read. */
static void
test_no_wal(void **state)
{
	struct reading r;
	struct testdb db;
	char cursor[64], path[320];

	(void)state;
	open_site(&db, NULL);
	(void)sqlite3_close(db.site);
	assert_int_equal(store_exec(db.st, "PRAGMA journal_mode = DELETE"), 0);
	assert_int_equal(sqlite3_open(db.path, &db.site), SQLITE_OK);
	read_log(db.st, "u", "", &r);
	assert_false(eventlog_is_at_rest(db.st));
	print_cursor(cursor, sizeof(cursor), r.pos);
	read_log(db.st, "u", cursor, &r);
	assert_int_equal(r.n, 0);
	assert_false(eventlog_is_at_rest(db.st));
	testdb_site(&db, "INSERT INTO messages(room_id, sender_id) "
	    "VALUES ('hall', 'v')");
	read_log(db.st, "u", cursor, &r);
	assert_int_equal(r.n, 1);
	/* Nor was an index made by looking for it. */
	(void)snprintf(path, sizeof(path), "%s-shm", db.path);
	assert_int_not_equal(access(path, F_OK), 0);
	testdb_close(&db);
}

/* --- events are built once --- */

struct last {
	const char	*user;
	char		 text[512];
};

static int
keep(struct event *ev, void *arg)
{
	struct last *last = arg;
	const char *text;
	size_t len;

	text = event_get_text(ev, last->user, &len);
	assert_true(len < sizeof(last->text));
	memcpy(last->text, text, len + 1);
	return 0;
}

/* The text of the one event after pos, "" without one; *ret_steps is what it took. */
static void
read_one(struct store *st, const char *user, int64_t pos, struct last *ret,
    uint64_t *ret_steps)
{
	uint64_t before = store_steps(st);
	int64_t end;
	int n, more;

	*ret = (struct last){ .user = user };
	n = eventlog_page(st, user, NULL, 0, pos, 10, keep, ret, &end, &more);
	assert_in_range(n, 0, 1);
	*ret_steps = store_steps(st) - before;
}

static void
test_built_once(void **state)
{
	uint64_t steps, first;
	struct last last;
	struct reading r;
	struct testdb db;
	int64_t pos;

	(void)state;
	open_site(&db, NULL);
	testdb_site(&db, "INSERT INTO room_members(room_id, user_id) VALUES "
	    "('den', 'u'), ('den', 'v')");
	read_log(db.st, "u", "", &r);
	pos = r.pos;
	testdb_site(&db, "INSERT INTO messages(id, room_id, sender_id, content) "
	    "VALUES ('p', 'den', 'v', 'private')");
	read_log(db.st, "u", "", &r);
	read_one(db.st, "u", pos, &last, &first);
	assert_non_null(strstr(last.text, "private"));
	/* Again: one row and its end. */
	read_one(db.st, "u", pos, &last, &steps);
	assert_true(first > 2);
	assert_int_equal(steps, 2);
	assert_non_null(strstr(last.text, "private"));
	/* It is for nobody else for that. */
	read_one(db.st, "w", pos, &last, &steps);
	assert_string_equal(last.text, "");
	/* Whose own it is may have a text of his own. */
	read_one(db.st, "v", pos, &last, &steps);
	assert_true(steps > 2);
	assert_non_null(strstr(last.text, "private"));
	/* As soon as somebody commits it is built anew. */
	testdb_site(&db, "UPDATE messages SET content = 'edited' WHERE id = 'p'; "
	    "DELETE FROM events WHERE type = 'MESSAGE_UPDATED'");
	read_one(db.st, "u", pos, &last, &steps);
	assert_non_null(strstr(last.text, "edited"));
	read_log(db.st, "u", "", &r);
	read_one(db.st, "u", pos, &last, &steps);
	read_one(db.st, "u", pos, &last, &steps);
	assert_int_equal(steps, 2);
	testdb_site(&db, "DELETE FROM room_members WHERE user_id = 'u'; "
	    "DELETE FROM events WHERE type = 'ROOM_LEFT'");
	read_one(db.st, "u", pos, &last, &steps);
	assert_string_equal(last.text, "");
	/* In a transaction that began before a commit it stays as it was. */
	read_log(db.st, "v", "", &r);
	read_one(db.st, "v", pos, &last, &steps);
	assert_int_equal(store_read(db.st), 0);
	read_one(db.st, "v", pos, &last, &steps);
	testdb_site(&db, "UPDATE messages SET content = 'late' WHERE id = 'p'; "
	    "DELETE FROM events WHERE type = 'MESSAGE_UPDATED'");
	read_one(db.st, "v", pos, &last, &steps);
	assert_non_null(strstr(last.text, "edited"));
	store_rollback(db.st);
	read_one(db.st, "v", pos, &last, &steps);
	assert_non_null(strstr(last.text, "late"));
	testdb_close(&db);
}

/* --- the length of the log --- */

/* Steps of SQLite's machine in all statements since the last call. */
static int
machine_steps(struct store *st)
{
	int i, n = 0;

	for (i = 0; i < SQL_COUNT; i++) {
		if (st->stmt[i] == NULL)
			continue;
		n += sqlite3_stmt_status(st->stmt[i], SQLITE_STMTSTATUS_VM_STEP,
		    1);
		assert_int_equal(sqlite3_stmt_status(st->stmt[i],
		    SQLITE_STMTSTATUS_SORT, 1), 0);
	}
	return n;
}

enum { AT_HEAD, ONE_EVENT, BY_MESSAGE, BY_OLD_MESSAGE, PRUNED, HIDDEN, CASES };

/* What each case costs in a log of so many rows, most of them not for u. */
static void
measure(int rows, int ret[CASES])
{
	char sql[512], head[64], before[64], early[64];
	struct reading r;
	struct testdb db;
	int i;

	open_site(&db, NULL);
	(void)snprintf(sql, sizeof(sql),
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	    "WHERE i < %d) INSERT INTO events(id, type, room_id, private, "
	    "actor_id, entity_id) SELECT (SELECT max(id) FROM events) + i, "
	    "'NEW_MESSAGE', 'den', 1, 'v', 'x' || i FROM n", rows);
	read_log(db.st, "u", "", &r);
	print_cursor(early, sizeof(early), r.pos);
	testdb_site(&db, sql);
	read_log(db.st, "u", "", &r);
	print_cursor(before, sizeof(before), r.pos);
	testdb_site(&db, "INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('last', 'hall', 'v')");
	read_log(db.st, "u", "", &r);
	print_cursor(head, sizeof(head), r.pos);
	for (i = 0; i < CASES; i++) {
		const char *const params[CASES] = { head, before,
			"lastMessageId=last", "lastMessageId=m1",
			"lastTimestamp=1970-01-02T00:00:00Z", early };

		/* Somebody has committed: nothing is remembered. */
		testdb_site(&db, "INSERT INTO sw_revoked VALUES ('z', 0); "
		    "DELETE FROM sw_revoked");
		(void)machine_steps(db.st);
		read_log(db.st, "u", params[i], &r);
		ret[i] = machine_steps(db.st);
		assert_true(ret[i] > 0);
		assert_int_equal(r.reset, i == PRUNED ? EVENTLOG_PRUNED :
		    EVENTLOG_RESUMED);
		assert_int_equal(r.n, i == ONE_EVENT ||
		    ((i == HIDDEN || i == BY_OLD_MESSAGE) && !r.more));
	}
	testdb_close(&db);
}

static void
test_length(void **state)
{
	int few[CASES], many[CASES], more[CASES], i;

	(void)state;
	measure(FEW, few);
	measure(MANY, many);
	measure(MANY / 2, more);
	for (i = AT_HEAD; i <= PRUNED; i++) {
		if (i == BY_OLD_MESSAGE)
			continue;
		assert_int_equal(few[i], many[i]);
	}
	/* Of a long stretch that one may not see, a window at a time. */
	assert_int_equal(many[HIDDEN], more[HIDDEN]);
	assert_int_equal(many[BY_OLD_MESSAGE], more[BY_OLD_MESSAGE]);
	assert_true(many[HIDDEN] < 60 * EVENTLOG_WINDOW);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_new),
		cmocka_unit_test(test_commit_normal),
		cmocka_unit_test(test_commit_full),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_wal_anew),
		cmocka_unit_test(test_dead_writer),
		cmocka_unit_test(test_no_wal),
		cmocka_unit_test(test_built_once),
		cmocka_unit_test(test_length),
	};
	int rc = siteproc_main(argc, argv);

	return rc >= 0 ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
