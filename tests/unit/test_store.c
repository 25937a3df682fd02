/*
 * The handle: opening in every bad place, transactions, marks, statements, errors.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "err.h"
#include "log.h"
#include "store_impl.h"
#include "siteproc.h"
#include "testdb.h"

#define NOBODY	65534

/* Opens path in the given mode, expects code, and part of the message. */
static void
expect_open(const char *path, enum store_mode mode, int code, const char *part)
{
	char why[512] = "", name[512];
	struct conf conf;
	struct store *st = NULL;
	int rc;

	memset(&conf, 0, sizeof(conf));
	(void)snprintf(name, sizeof(name), "%s", path);
	conf.database = name;
	conf.db_busy_ms = 50;
	conf.db_synchronous = CONF_SYNC_FULL;
	rc = store_open(&conf, mode, &st, why, sizeof(why));
	if (rc != code)
		print_message("%s: %s\n", err_name(rc), why);
	assert_int_equal(rc, code);
	assert_null(st);
	assert_non_null(strstr(why, part));
	assert_non_null(strstr(why, strrchr(path, '/')));	/* names the file */
	assert_null(strchr(why, '\n'));
}

static void
write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
test_open_bad_places(void **state)
{
	char dir[256], path[300], junk[4096];

	(void)state;
	testdb_mkdir(dir, sizeof(dir));
	(void)snprintf(path, sizeof(path), "%s/none.db", dir);
	expect_open(path, STORE_SERVE, ERR_NOTFOUND, "sidewire init");
	(void)snprintf(path, sizeof(path), "%s/none/x.db", dir);
	expect_open(path, STORE_SERVE, ERR_NOTFOUND, "sidewire init");
	expect_open(path, STORE_CREATE, ERR_NOTFOUND, "No such file or directory");
	expect_open(dir, STORE_SERVE, ERR_IO, "is a directory");
	expect_open(dir, STORE_CREATE, ERR_IO, "is a directory");
	expect_open("/dev/null", STORE_CREATE, ERR_IO, "not a regular file");

	memset(junk, 'x', sizeof(junk));
	(void)snprintf(path, sizeof(path), "%s/junk.db", dir);
	write_file(path, junk, sizeof(junk));
	expect_open(path, STORE_SERVE, ERR_IO, "is not a SQLite database");
	expect_open(path, STORE_CREATE, ERR_IO, "is not a SQLite database");
	(void)snprintf(path, sizeof(path), "%s/empty.db", dir);
	write_file(path, "", 0);
	expect_open(path, STORE_SERVE, ERR_SCHEMA, "sidewire init");
	(void)snprintf(path, sizeof(path), "%s/dangling", dir);
	assert_int_equal(symlink("/nonexistent/y", path), 0);
	expect_open(path, STORE_SERVE, ERR_NOTFOUND, "sidewire init");
	testdb_rmdir(dir);
}

/* Run without root's powers; answers by exit status which step failed. */
static int
be_nobody(const char *dir)
{
	static const struct {
		const char	*name;
		mode_t		 dir_mode;
		mode_t		 file_mode;
		int		 code;
	} cases[] = {
		{ "file", 0755, 0444, ERR_READONLY },
		{ "file", 0755, 0000, ERR_IO },
		{ "file", 0555, 0644, ERR_READONLY },
		{ "file", 0000, 0644, ERR_IO },
		{ "new", 0555, 0644, ERR_READONLY },
	};
	char path[300], why[512];
	struct conf conf;
	struct store *st = NULL;
	size_t i;
	int fd, rc;

	memset(&conf, 0, sizeof(conf));
	conf.database = path;
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_RDWR, 0644);
	if (fd < 0)
		return 99;
	(void)close(fd);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/file", dir);
		if (chmod(path, cases[i].file_mode) != 0 ||
		    chmod(dir, cases[i].dir_mode) != 0)
			return 98;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, cases[i].name);
		rc = store_open(&conf, STORE_CREATE, &st, why, sizeof(why));
		if (chmod(dir, 0755) != 0)
			return 97;
		if (rc != cases[i].code || st != NULL || strstr(why, dir) == NULL)
			return 1 + (int)i;
	}
	return 0;
}

static void
test_open_without_rights(void **state)
{
	char dir[256];
	int status;
	pid_t pid;

	(void)state;
	testdb_mkdir(dir, sizeof(dir));
	if (getuid() == 0)
		assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (getuid() == 0 && (setgroups(0, NULL) != 0 ||
		    setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
			_exit(96);
		_exit(be_nobody(dir));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	testdb_rmdir(dir);
}

static void
test_open_new(void **state)
{
	struct testdb db;
	struct stat sb;
	sqlite3_stmt *stmt;
	dev_t dev;
	ino_t ino;
	char *real;
	mode_t old = umask(0007);

	(void)state;
	testdb_open(&db, NULL);
	(void)umask(old);
	assert_int_equal(stat(db.path, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0660);
	store_identity(db.st, &dev, &ino);
	assert_true(dev == sb.st_dev && ino == sb.st_ino);
	real = realpath(db.path, NULL);
	assert_string_equal(store_path(db.st), real);
	free(real);
	assert_int_equal(sqlite3_prepare_v2(db.st->db, "PRAGMA journal_mode", -1,
	    &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "wal");
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(store_check(db.st), 0);
	testdb_close(&db);
}

/* A site's file of an old mode, held by a reader: init waits, bounded, and says so; a
 * service goes on in the old mode. */
static void
test_open_wal_busy(void **state)
{
	struct testdb db;
	struct store *st = NULL;
	char why[512] = "";

	(void)state;
	testdb_open(&db, "db.busy_ms = 100\n");
	store_close(db.st);
	db.st = NULL;
	testdb_site(&db, "PRAGMA journal_mode = DELETE");
	testdb_site(&db, "BEGIN; SELECT count(*) FROM users");
	assert_int_equal(store_open(&db.conf, STORE_CREATE, &st, why,
	    sizeof(why)), ERR_BUSY);
	assert_non_null(strstr(why, db.path));
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &st, why,
	    sizeof(why)), 0);
	testdb_site(&db, "COMMIT");
	store_close(st);
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &st, why,
	    sizeof(why)), 0);
	store_close(st);
	testdb_close(&db);
}

static void
test_transactions(void **state)
{
	struct testdb db;
	struct store *other = NULL;
	char why[512];
	int began;

	(void)state;
	testdb_open(&db, "db.busy_ms = 20\n");
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &other, why,
	    sizeof(why)), 0);
	assert_false(store_is_open(db.st));
	assert_int_equal(store_write(db.st), 0);
	assert_true(store_is_open(db.st));
	assert_int_equal(store_write(other), ERR_BUSY);
	assert_non_null(strstr(store_errmsg(other), "locked"));
	assert_int_equal(store_read(other), 0);	/* readers are not blocked */
	store_rollback(other);
	store_rollback(other);			/* harmless outside */
	assert_int_equal(store_write(db.st), ERR_SCHEMA);	/* they do not nest */

	/* Within a transaction, enter and leave do nothing. */
	assert_int_equal(store_enter(db.st, 1, &began), 0);
	assert_int_equal(began, 0);
	assert_int_equal(store_leave(db.st, began, ERR_INVAL), ERR_INVAL);
	assert_true(store_is_open(db.st));
	assert_int_equal(store_commit(db.st), 0);
	assert_false(store_is_open(db.st));
	assert_int_equal(store_commit(db.st), ERR_IO);
	assert_true(store_errmsg(db.st)[0] != '\0');

	/* Outside they begin and end one. */
	assert_int_equal(store_enter(db.st, 1, &began), 0);
	assert_int_equal(began, 1);
	assert_int_equal(store_leave(db.st, began, 7), 7);
	assert_false(store_is_open(db.st));
	assert_int_equal(store_enter(db.st, 0, &began), 0);
	assert_int_equal(store_leave(db.st, began, ERR_NOMEM), ERR_NOMEM);
	assert_false(store_is_open(db.st));
	assert_int_equal(store_write(other), 0);
	assert_int_equal(store_enter(db.st, 1, &began), ERR_BUSY);
	store_close(other);			/* undoes it */
	assert_int_equal(store_write(db.st), 0);
	testdb_close(&db);
}

static int
count_users(struct testdb *db)
{
	sqlite3_stmt *stmt;
	int n;

	assert_int_equal(sqlite3_prepare_v2(db->site,
	    "SELECT count(*) FROM users", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

static void
test_marks(void **state)
{
	struct testdb db;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(store_write(db.st), 0);
	assert_int_equal(store_mark(db.st), 0);
	assert_int_equal(store_exec(db.st, "INSERT INTO users(name) VALUES ('a')"), 0);
	assert_int_equal(store_keep(db.st), 0);
	assert_int_equal(store_mark(db.st), 0);
	assert_int_equal(store_exec(db.st, "INSERT INTO users(name) VALUES ('b')"), 0);
	store_undo(db.st);
	assert_true(store_is_open(db.st));
	assert_int_equal(store_keep(db.st), ERR_SCHEMA);	/* no mark left */
	assert_int_equal(store_commit(db.st), 0);
	assert_int_equal(count_users(&db), 1);
	assert_int_equal(store_write(db.st), 0);
	assert_int_equal(store_exec(db.st, "INSERT INTO users(name) VALUES ('c')"), 0);
	store_rollback(db.st);
	store_undo(db.st);		/* harmless outside */
	assert_int_equal(count_users(&db), 1);
	testdb_close(&db);
}

static void
test_versions(void **state)
{
	struct testdb db;
	struct siteproc site;
	int64_t before = 0, after = 0;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(store_data_version(db.st, &before), 0);
	assert_int_equal(store_exec(db.st, "INSERT INTO users(name) VALUES ('a')"), 0);
	assert_int_equal(store_data_version(db.st, &after), 0);
	assert_true(after == before);		/* one's own commits do not count */
	siteproc_open(&site, db.path);
	siteproc_run(&site, "INSERT INTO users(name) VALUES ('b')");
	assert_int_equal(store_data_version(db.st, &after), 0);
	assert_true(after != before);
	assert_int_equal(store_schema_version(db.st, &before), 0);
	siteproc_run(&site, "CREATE TABLE later (x)");
	assert_int_equal(store_schema_version(db.st, &after), 0);
	assert_true(after > before);
	(void)fclose(site.in);
	(void)fclose(site.out);
	(void)waitpid(site.pid, NULL, 0);
	testdb_close(&db);
}

/* Every statement of store_sql.def prepares on the schema, and none stays open. */
static void
test_statements(void **state)
{
	struct testdb db;
	sqlite3_stmt *stmt;
	int i, err = 0;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(store_write(db.st), 0);
	store_rollback(db.st);
	for (i = 0; i < SQL_COUNT; i++) {
		if (i == SQL_EVENT_ENTITY)
			continue;	/* only with a map: test_attach */
		stmt = store_stmt(db.st, (enum sql)i, &err);
		if (stmt == NULL)
			print_message("%d: %s\n", i, store_errmsg(db.st));
		assert_non_null(stmt);
		assert_ptr_equal(store_stmt(db.st, (enum sql)i, &err), stmt);
	}
	stmt = store_stmt(db.st, SQL_META_GET, &err);
	assert_int_equal(store_bind_text(db.st, stmt, ":key", "version"), 0);
	assert_int_equal(store_step(db.st, stmt), 1);
	assert_true(sqlite3_stmt_busy(stmt));
	store_done(stmt);
	assert_false(sqlite3_stmt_busy(stmt));
	assert_int_equal(store_step(db.st, stmt), 1);
	stmt = store_stmt(db.st, SQL_META_GET, &err);	/* reset, bindings gone */
	assert_int_equal(store_bind_text(db.st, stmt, ":none", "x"), ERR_IO);
	assert_int_equal(store_bind_int(db.st, stmt, ":none", 1), ERR_IO);
	assert_int_equal(store_bind_blobtext(db.st, stmt, ":none", "x", 1), ERR_IO);
	assert_int_equal(store_bind_blobtext(db.st, stmt, ":key", "versionX", 7), 0);
	assert_int_equal(store_step(db.st, stmt), 1);
	store_done(stmt);
	assert_int_equal(store_bind_text(db.st, stmt, ":key", NULL), 0);
	assert_int_equal(store_run(db.st, stmt), 0);
	testdb_close(&db);
}

static void
test_errors(void **state)
{
	static const struct {
		const char	*sql;
		int		 code;
	} cases[] = {
		{ "INSERT INTO users(id) VALUES ('u')", ERR_EXISTS },
		{ "INSERT INTO users(name) VALUES (NULL)", ERR_INVAL },
		{ "INSERT INTO user_relationships(user_id, target_id, "
		  "relationship_type) VALUES ('a', 'b', 'x')", ERR_INVAL },
		{ "INSERT INTO events(id, type) VALUES ('x', 'X')", ERR_INVAL },
		{ "SELECT none FROM users", ERR_SCHEMA },
		{ "SELECT * FROM none", ERR_SCHEMA },
		{ "SELECT zeroblob(2000000000)", ERR_TOOBIG },
		{ "PRAGMA query_only = 1; DELETE FROM users", ERR_READONLY },
	};
	struct testdb db;
	size_t i;

	(void)state;
	testdb_open(&db, NULL);
	testdb_site(&db, "INSERT INTO users(id) VALUES ('u')");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(store_exec(db.st, cases[i].sql), cases[i].code);
		assert_true(store_errmsg(db.st)[0] != '\0');
	}
	testdb_close(&db);
}

/* A full disk in the middle of a transaction: told as such, nothing half written. */
static void
test_full(void **state)
{
	struct testdb db;
	int rc = 0, i;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(store_exec(db.st, "PRAGMA max_page_count = 1"), 0);
	assert_int_equal(store_write(db.st), 0);
	for (i = 0; i < 100 && rc == 0; i++)
		rc = store_exec(db.st, "INSERT INTO users(name, bio) VALUES "
		    "('x', hex(zeroblob(5000)))");
	assert_int_equal(rc, ERR_FULL);
	store_rollback(db.st);
	assert_non_null(strstr(store_errmsg(db.st), "full"));
	assert_int_equal(count_users(&db), 0);
	testdb_close(&db);
}

/* The file is replaced under us: the handle still names the one that it has. */
static void
test_identity(void **state)
{
	struct testdb db;
	struct stat sb;
	dev_t dev;
	ino_t ino;
	char other[320];

	(void)state;
	testdb_open(&db, NULL);
	(void)snprintf(other, sizeof(other), "%s.new", db.path);
	write_file(other, "", 0);
	assert_int_equal(rename(other, db.path), 0);
	assert_int_equal(stat(db.path, &sb), 0);
	store_identity(db.st, &dev, &ino);
	assert_true(ino != sb.st_ino);
	testdb_close(&db);
}

static void *
close_store(void *arg)
{
	store_close(arg);
	return NULL;
}

/* No handle on a new file while this process has one on the old. */
static void
test_handover(void **state)
{
	struct store *heir = NULL, *second = NULL;
	char other[320], sql[400], why[512] = "";
	struct testdb db;
	pthread_t thread;

	(void)state;
	testdb_open(&db, NULL);
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &second, why,
	    sizeof(why)), 0);
	assert_int_equal(store_sharers(second), 2);
	(void)snprintf(other, sizeof(other), "%s.new", db.path);
	(void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", other);
	testdb_site(&db, sql);
	assert_int_equal(rename(other, db.path), 0);
	assert_int_equal(store_peek(&db.conf, why, sizeof(why)), 0);
	/* Even the heir waits for all but one. */
	assert_int_equal(store_open(&db.conf, STORE_HEIR, &heir, why,
	    sizeof(why)), ERR_BUSY);
	assert_non_null(strstr(why, "was replaced"));
	store_close(second);
	assert_int_equal(store_sharers(db.st), 1);
	assert_int_equal(store_open(&db.conf, STORE_HEIR, &heir, why,
	    sizeof(why)), 0);
	assert_int_equal(store_sharers(heir), 1);
	store_close(heir);
	/* Whoever waits goes on when the last is closed. */
	assert_int_equal(pthread_create(&thread, NULL, close_store, db.st), 0);
	db.st = NULL;
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &second, why,
	    sizeof(why)), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	store_close(second);
	testdb_close(&db);
}

static void
test_peek(void **state)
{
	char dir[320], path[400], why[512] = "";
	struct testdb db;
	struct conf conf;

	(void)state;
	testdb_open(&db, NULL);
	conf = db.conf;
	/* Nothing in a path is a part of a URI. */
	(void)snprintf(dir, sizeof(dir), "%s/a?b#c%%20d", db.dir);
	(void)snprintf(path, sizeof(path), "%s/db", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	conf.database = path;
	assert_int_equal(store_peek(&conf, why, sizeof(why)), ERR_NOTFOUND);
	write_file(path, "", 0);
	assert_int_equal(store_peek(&conf, why, sizeof(why)), ERR_SCHEMA);
	write_file(path, "this is no database, and long enough", 36);
	assert_int_equal(store_peek(&conf, why, sizeof(why)), ERR_IO);
	testdb_site(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(link(db.path, path), 0);
	assert_int_equal(store_peek(&conf, why, sizeof(why)), 0);
	testdb_close(&db);
}

/* A corrupt file is found by the check. */
static void
test_check(void **state)
{
	struct testdb db;
	char why[512] = "", junk[512];
	int i, fd;

	(void)state;
	testdb_open(&db, NULL);
	for (i = 0; i < 200; i++)
		testdb_site(&db, "INSERT INTO users(name, bio) VALUES ('x', "
		    "hex(randomblob(200)))");
	testdb_site(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
	store_close(db.st);
	db.st = NULL;
	(void)sqlite3_close(db.site);
	db.site = NULL;
	fd = open(db.path, O_RDWR);
	assert_true(fd >= 0);
	memset(junk, 0x5a, sizeof(junk));
	assert_int_equal(pwrite(fd, junk, sizeof(junk), lseek(fd, 0, SEEK_END) -
	    4096 * 3 + 8), (ssize_t)sizeof(junk));
	assert_int_equal(close(fd), 0);
	assert_int_equal(store_open(&db.conf, STORE_SERVE, &db.st, why,
	    sizeof(why)), 0);
	assert_int_equal(store_check(db.st), ERR_IO);
	assert_true(store_errmsg(db.st)[0] != '\0');
	testdb_close(&db);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_bad_places),
		cmocka_unit_test(test_open_without_rights),
		cmocka_unit_test(test_open_new),
		cmocka_unit_test(test_open_wal_busy),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_handover),
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_check),
	};
	int rc = siteproc_main(argc, argv);

	if (rc >= 0)
		return rc;
	log_init("test_store", LOG_ERR_LEVEL);
	store_close(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
