/*
 * sends - keys: found again, of one user and one body, forgotten by age, printed for
 * the sender alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "err.h"
#include "sends.h"
#include "testdb.h"

static void
add(struct testdb *db, const char *user, const char *key, int64_t digest,
    int64_t pos)
{
	struct sends_answer answer = { "m", pos };

	(void)snprintf(answer.message_id, sizeof(answer.message_id), "m%lld",
	    (long long)pos);
	assert_int_equal(store_write(db->st), 0);
	assert_int_equal(sends_add(db->st, user, key, digest, &answer), 0);
	assert_int_equal(store_commit(db->st), 0);
}

static void
test_find(void **state)
{
	struct sends_answer got = { "untouched", 7 };
	struct testdb db;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(sends_find(db.st, "ann", "k", 1, &got), 0);
	assert_string_equal(got.message_id, "untouched");
	add(&db, "ann", "k", 1, 100);
	add(&db, "ben", "k", 2, 101);
	add(&db, "ann", "K", 3, 102);
	assert_int_equal(sends_find(db.st, "ann", "k", 2, &got), ERR_EXISTS);
	assert_string_equal(got.message_id, "untouched");
	assert_int_equal(sends_find(db.st, "ann", "k", 1, &got), 1);
	assert_string_equal(got.message_id, "m100");
	assert_int_equal(got.pos, 100);
	assert_int_equal(sends_find(db.st, "ben", "k", 2, &got), 1);
	assert_int_equal(got.pos, 101);
	assert_int_equal(sends_find(db.st, "cleo", "k", 2, &got), 0);
	/* What is undone was not used. */
	assert_int_equal(store_write(db.st), 0);
	assert_int_equal(sends_add(db.st, "ann", "x", 1, &got), 0);
	store_rollback(db.st);
	assert_int_equal(sends_find(db.st, "ann", "x", 1, &got), 0);
	testdb_close(&db);
}

static void
test_digest(void **state)
{
	int64_t d = sends_digest("room", "text", 4, "type");

	(void)state;
	assert_true(d == sends_digest("room", "text", 4, "type"));
	assert_true(d != sends_digest("roo", "mtext", 5, "type"));
	assert_true(d != sends_digest("room", "textt", 5, "ype"));
	assert_true(d != sends_digest("room", "texu", 4, "type"));
	assert_true(d != sends_digest("moor", "text", 4, "type"));
	assert_true(d != sends_digest("room", "text", 4, "Type"));
}

static void
test_print(void **state)
{
	struct testdb db;
	struct buf b;

	(void)state;
	testdb_open(&db, NULL);
	add(&db, "ann", "k\"1", 1, 100);
	buf_init(&b, 100);
	assert_int_equal(sends_print_key(db.st, 100, "ben", &b), 0);
	assert_int_equal(sends_print_key(db.st, 101, "ann", &b), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(sends_print_key(db.st, 100, "ann", &b), 1);
	assert_string_equal(buf_str(&b), "\"k\\\"1\"");
	buf_release(&b);
	testdb_close(&db);
}

static void
test_prune(void **state)
{
	struct sends_answer got;
	struct testdb db;
	char key[16];
	int i;

	(void)state;
	testdb_open(&db, NULL);
	for (i = 0; i < 10; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		add(&db, "ann", key, i, 1000 + i);
	}
	assert_int_equal(sends_prune(db.st, 1000, 100), 0);
	assert_int_equal(sends_prune(db.st, 1005, 2), 2);
	assert_int_equal(sends_find(db.st, "ann", "k1", 1, &got), 0);
	assert_int_equal(sends_find(db.st, "ann", "k2", 2, &got), 1);
	assert_int_equal(sends_prune(db.st, 1005, 100), 3);
	assert_int_equal(sends_prune(db.st, 1005, 100), 0);
	assert_int_equal(sends_find(db.st, "ann", "k5", 5, &got), 1);
	/* Forgotten, it is a new one, whatever the body. */
	assert_int_equal(sends_find(db.st, "ann", "k4", 99, &got), 0);
	add(&db, "ann", "k4", 99, 2000);
	assert_int_equal(sends_find(db.st, "ann", "k4", 99, &got), 1);
	testdb_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_prune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
