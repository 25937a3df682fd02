/*
 * revocation - which tokens it refuses, and the event that tells of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "revocation.h"
#include "testdb.h"

static void
test_check(void **state)
{
	struct testdb db;
	int64_t at = -1, pos = -1;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(revocation_get(db.st, "ann", &at), 0);
	assert_int_equal(revocation_check(db.st, "ann", AUTH_NOT_ISSUED), 0);
	assert_int_equal(at, -1);
	assert_int_equal(revocation_set(db.st, "ann", 1000, &pos), 0);
	assert_int_equal(revocation_get(db.st, "ann", &at), 1);
	assert_int_equal(at, 1000);
	assert_int_equal(revocation_check(db.st, "ann", AUTH_NOT_ISSUED), 1);
	assert_int_equal(revocation_check(db.st, "ann", 999), 1);
	assert_int_equal(revocation_check(db.st, "ann", 1000), 1);
	assert_int_equal(revocation_check(db.st, "ann", 1001), 0);
	assert_int_equal(revocation_check(db.st, "ben", 1), 0);
	/* Again later; a clock set back does not weaken it. */
	assert_int_equal(revocation_set(db.st, "ann", 2000, &pos), 0);
	assert_int_equal(revocation_set(db.st, "ann", 1500, &pos), 0);
	assert_int_equal(revocation_check(db.st, "ann", 2000), 1);
	assert_int_equal(revocation_lift(db.st, "ann"), 1);
	assert_int_equal(revocation_lift(db.st, "ann"), 0);
	assert_int_equal(revocation_check(db.st, "ann", 1), 0);
	testdb_close(&db);
}

static int
look(struct event *ev, void *arg)
{
	*(int *)arg += revocation_is_event(ev) &&
	    strcmp(ev->user_id, "ann") == 0;
	return 0;
}

static int
tell(struct event *ev, void *arg)
{
	(void)ev;
	++*(int *)arg;
	return 0;
}

static void
test_event(void **state)
{
	struct testdb db;
	int64_t before, pos = 0, head, end;
	int n = 0, told = 0, more;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(eventlog_head(db.st, &before), 0);
	assert_int_equal(revocation_set(db.st, "ann", 1000, &pos), 0);
	assert_int_equal(eventlog_head(db.st, &head), 0);
	assert_int_equal(head, pos);
	/* One that is published under that name is not it. */
	assert_int_equal(eventlog_append(db.st, REVOCATION_TYPE, NULL, "ann",
	    NULL, "{}", 2, 0, &pos), 0);
	assert_int_equal(eventlog_scan(db.st, before, 10, look, &n), 2);
	assert_int_equal(n, 1);
	/* He himself is told of the published one alone. */
	assert_int_equal(eventlog_page(db.st, "ann", NULL, 0, before, 10, tell,
	    &told, &end, &more), 1);
	assert_int_equal(end, pos);
	testdb_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
