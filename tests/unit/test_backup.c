/*
 * Copies of the database: of one moment, exact, refused where they are not good.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "backup.h"
#include "err.h"
#include "eventlog.h"
#include "testdb.h"

static struct testdb db;
static char copy[400], why[1024];

static int
setup(void **state)
{
	(void)state;
	testdb_open(&db, "db.busy_ms = 20\n");
	testdb_site(&db, "INSERT INTO users(id, name) VALUES ('u', 'U');"
	    "INSERT INTO rooms(id, name) VALUES ('r', 'R');"
	    "INSERT INTO messages(rowid, id, room_id, sender_id) VALUES (70, 'm', 'r', 'u');"
	    "PRAGMA user_version = 17; PRAGMA application_id = 4711");
	(void)snprintf(copy, sizeof(copy), "%s/copy.db", db.dir);
	why[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	testdb_close(&db);
	return 0;
}

/* A number that SQL gives, of any file, as the site would ask. */
static int64_t
number(const char *path, const char *sql)
{
	sqlite3_stmt *stmt;
	sqlite3 *any;
	int64_t n;

	assert_int_equal(sqlite3_open(path, &any), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(any, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(any);
	return n;
}

static void
test_exact(void **state)
{
	int64_t head, told;
	struct stat sb;

	(void)state;
	assert_int_equal(eventlog_head(db.st, &head), 0);
	assert_int_equal(backup_write(db.st, copy, 0, &told, why, sizeof(why)), 0);
	assert_int_equal(told, head);
	assert_int_equal(stat(copy, &sb), 0);
	assert_int_equal(sb.st_mode & 0777, 0600);
	assert_int_equal(number(copy, "SELECT rowid FROM messages"), 70);
	assert_int_equal(number(copy, "PRAGMA user_version"), 17);
	assert_int_equal(number(copy, "PRAGMA application_id"), 4711);
	assert_int_equal(number(copy, "SELECT seq FROM sqlite_sequence "
	    "WHERE name = 'events'"), head);
	/* It is there: only with leave. */
	assert_int_equal(backup_write(db.st, copy, 0, &told, why, sizeof(why)),
	    ERR_EXISTS);
	assert_int_equal(backup_write(db.st, copy, 1, &told, why, sizeof(why)), 0);
	assert_int_equal(backup_write(db.st, db.path, 1, &told, why, sizeof(why)),
	    ERR_INVAL);
}

static void
test_while_written(void **state)
{
	int64_t head, told;

	(void)state;
	assert_int_equal(eventlog_head(db.st, &head), 0);
	/* What is not committed is not in it, and does not hold it up. */
	testdb_site(&db, "BEGIN IMMEDIATE; INSERT INTO messages(id, room_id, sender_id) "
	    "VALUES ('n', 'r', 'u')");
	assert_int_equal(backup_write(db.st, copy, 0, &told, why, sizeof(why)), 0);
	testdb_site(&db, "COMMIT");
	assert_int_equal(told, head);
	assert_int_equal(number(copy, "SELECT count(*) FROM messages"), 1);
}

static void
test_restore(void **state)
{
	int64_t head, told, now;

	(void)state;
	assert_int_equal(backup_write(db.st, copy, 0, &head, why, sizeof(why)), 0);
	testdb_site(&db, "DELETE FROM messages; INSERT INTO users(id, name) "
	    "VALUES ('v', 'V')");
	/* Within somebody's transaction: refused, and nothing is changed. */
	testdb_site(&db, "BEGIN IMMEDIATE");
	assert_int_equal(backup_restore(db.st, copy, &told, why, sizeof(why)),
	    ERR_BUSY);
	testdb_site(&db, "COMMIT");
	assert_int_equal(number(db.path, "SELECT count(*) FROM users"), 2);
	assert_int_equal(backup_restore(db.st, copy, &told, why, sizeof(why)), 0);
	assert_int_equal(told, head);
	assert_int_equal(number(db.path, "SELECT count(*) FROM users"), 1);
	assert_int_equal(number(db.path, "SELECT rowid FROM messages"), 70);
	/* This handle and the site's go on. */
	assert_true(store_is_wal(db.st));
	testdb_site(&db, "INSERT INTO users(id, name) VALUES ('w', 'W')");
	assert_int_equal(eventlog_head(db.st, &now), 0);
	assert_true(now > head);
}

static void
test_refused(void **state)
{
	int64_t head;
	char wal[420];
	FILE *f;

	(void)state;
	assert_int_equal(backup_check(&db.conf, copy, &head, why, sizeof(why)),
	    ERR_NOTFOUND);
	assert_int_equal(backup_write(db.st, copy, 0, &head, why, sizeof(why)), 0);
	assert_int_equal(backup_check(&db.conf, copy, &head, why, sizeof(why)), 0);
	(void)snprintf(wal, sizeof(wal), "%s-wal", copy);
	f = fopen(wal, "w");
	assert_non_null(f);
	assert_int_equal(fputs("x", f) < 0, 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(backup_check(&db.conf, copy, &head, why, sizeof(why)),
	    ERR_INVAL);
	assert_int_equal(unlink(wal), 0);
	/* Beyond its first pages it is nothing. */
	assert_int_equal(truncate(copy, 8192), 0);
	assert_int_not_equal(backup_restore(db.st, copy, &head, why, sizeof(why)), 0);
	assert_int_equal(number(db.path, "SELECT count(*) FROM users"), 1);
	/* Pages of another size cannot be written in WAL mode. */
	assert_int_equal(backup_write(db.st, copy, 1, &head, why, sizeof(why)), 0);
	(void)number(copy, "PRAGMA journal_mode = DELETE");
	assert_int_equal(sqlite3_close(db.site), SQLITE_OK);
	assert_int_equal(sqlite3_open(copy, &db.site), SQLITE_OK);
	testdb_site(&db, "PRAGMA page_size = 8192; VACUUM");
	assert_int_equal(backup_restore(db.st, copy, &head, why, sizeof(why)),
	    ERR_READONLY);
	assert_non_null(strstr(why, "pages of another size"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_while_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
