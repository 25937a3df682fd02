/*
 * backup - copies of the database, by SQLite's backup interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup.h"
#include "clock.h"
#include "conf.h"
#include "err.h"
#include "eventlog.h"
#include "store_impl.h"

#define RETRY_NS	20000000L

static int because(char *why, size_t size, int err, const char *fmt, ...)
    ATTR_PRINTF(4, 5);

static int
because(char *why, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return err;
}

static int
because_errno(char *why, size_t size, const char *path)
{
	int e = errno;

	return because(why, size, e == ENOENT ? ERR_NOTFOUND :
	    e == EEXIST ? ERR_EXISTS : e == ENOSPC || e == EDQUOT ? ERR_FULL :
	    e == EACCES || e == EROFS ? ERR_READONLY : ERR_IO, "%s: %s", path,
	    strerror(e));
}

/* All pages in one step, waiting for locks as long as the store would. */
static int
copy_pages(sqlite3 *to, sqlite3 *from, int busy_ms)
{
	const struct timespec pause = { 0, RETRY_NS };
	int64_t end = clock_mono_ms() + busy_ms;
	sqlite3_backup *backup;
	int rc;

	backup = sqlite3_backup_init(to, "main", from, "main");
	if (backup == NULL)
		return sqlite3_errcode(to);
	for (;;) {
		rc = sqlite3_backup_step(backup, -1);
		if ((rc != SQLITE_BUSY && rc != SQLITE_LOCKED) ||
		    clock_mono_ms() >= end)
			break;
		(void)nanosleep(&pause, NULL);	/* shorter by a signal: fine */
	}
	(void)sqlite3_backup_finish(backup);	/* repeats the error */
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* --- a copy, looked at --- */

static int
check_version(struct store *copy, char *why, size_t size)
{
	sqlite3_stmt *stmt;
	int rc = 0, version = 0;

	stmt = store_stmt(copy, SQL_META_GET, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(copy, stmt, ":key", "version");
	if (rc == 0)
		rc = store_step(copy, stmt);
	if (rc == 1)
		version = sqlite3_column_int(stmt, 0);
	store_done(stmt);
	if (rc < 0)
		return because(why, size, rc, "%s: %s", copy->path, copy->errmsg);
	if (version < 1 || version > SCHEMA_VERSION)
		return because(why, size, ERR_SCHEMA, "%s: of schema version %d, "
		    "and this program knows up to %d", copy->path, version,
		    SCHEMA_VERSION);
	return 0;
}

/* Opens the file without locks, -wal and -shm; end *ret with store_close(). */
static int
open_copy(const struct conf *conf, const char *path, struct store **ret,
    char *why, size_t size)
{
	char wal[4200];
	struct store *copy;
	struct stat sb;
	int rc;

	if (stat(path, &sb) != 0)
		return because_errno(why, size, path);
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	if (stat(wal, &sb) == 0 && sb.st_size > 0)
		return because(why, size, ERR_INVAL, "%s: has a -wal beside it, so "
		    "it is a database in use, or was copied from one by other "
		    "means; make copies by: sidewire backup", path);
	copy = calloc(1, sizeof(*copy));
	if (copy == NULL)
		return because(why, size, ERR_NOMEM, "out of memory");
	copy->conf = conf;
	copy->path = realpath(path, NULL);
	rc = copy->path == NULL ? because_errno(why, size, path) :
	    store_look(copy, why, size);
	if (rc < 0) {
		store_close(copy);
		return rc;
	}
	*ret = copy;
	return 0;
}

static int
check_copy(struct store *copy, int64_t *ret_head, char *why, size_t size)
{
	int rc;

	rc = check_version(copy, why, size);
	if (rc < 0)
		return rc;
	rc = store_check(copy);
	if (rc == 0)
		rc = eventlog_head(copy, ret_head);
	return rc < 0 ? because(why, size, rc, "%s: damaged: %s", copy->path,
	    store_errmsg(copy)) : 0;
}

int
backup_check(const struct conf *conf, const char *path, int64_t *ret_head,
    char *why, size_t size)
{
	struct store *copy;
	int rc;

	rc = open_copy(conf, path, &copy, why, size);
	if (rc < 0)
		return rc;
	rc = check_copy(copy, ret_head, why, size);
	store_close(copy);
	return rc;
}

/* --- making one --- */

/* Fills the empty file at path. */
static int
fill(struct store *st, const char *path, char *why, size_t size)
{
	sqlite3 *to = NULL;
	int rc;

	rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_NOMUTEX, NULL);
	/* Nobody wants half of it, so it needs no journal. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(to, "PRAGMA journal_mode = OFF;"
		    "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = copy_pages(to, st->db, st->conf->db_busy_ms);
	if (rc != SQLITE_OK)
		rc = because(why, size, (rc & 0xff) == SQLITE_FULL ? ERR_FULL :
		    (rc & 0xff) == SQLITE_BUSY ? ERR_BUSY : ERR_IO, "%s: %s",
		    path, sqlite3_errstr(rc));
	(void)sqlite3_close(to);
	return rc;
}

/* Whether path is one of the database's own files. */
static int
is_own(const struct store *st, const char *path)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	char own[4200];
	struct stat a, b;
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(own, sizeof(own), "%s%s", st->path, ends[i]);
		if (strcmp(own, path) == 0 || (stat(path, &a) == 0 &&
		    stat(own, &b) == 0 && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino))
			return 1;
	}
	return 0;
}

/* Gives the finished file its name, and the name to the disk. */
static int
give_name(const char *temporary, const char *path, int may_replace, char *why,
    size_t size)
{
	char dir[4200], *slash;
	int fd, rc;

	rc = may_replace ? rename(temporary, path) : link(temporary, path);
	if (rc < 0)
		return because_errno(why, size, path);
	if (!may_replace)
		(void)unlink(temporary);
	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[slash == dir] = '\0';
	fd = open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);	/* not every file system can */
		(void)close(fd);
	}
	return 0;
}

int
backup_write(struct store *st, const char *path, int may_replace,
    int64_t *ret_head, char *why, size_t size)
{
	char temporary[4200];
	struct stat sb;
	int fd, rc;

	if (is_own(st, path))
		return because(why, size, ERR_INVAL, "%s: is of the database "
		    "itself", path);
	if (!may_replace && lstat(path, &sb) == 0)
		return because(why, size, ERR_EXISTS, "%s: is there already",
		    path);
	(void)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return because_errno(why, size, path);
	(void)close(fd);
	rc = fill(st, temporary, why, size);
	if (rc == 0)
		rc = backup_check(st->conf, temporary, ret_head, why, size);
	if (rc == 0)
		rc = give_name(temporary, path, may_replace, why, size);
	if (rc < 0)
		(void)unlink(temporary);
	return rc;
}

/* --- putting one back --- */

int
backup_restore(struct store *st, const char *path, int64_t *ret_head, char *why,
    size_t size)
{
	struct store *copied;
	int rc, made;

	if (is_own(st, path))
		return because(why, size, ERR_INVAL, "%s: is of the database "
		    "itself", path);
	rc = open_copy(st->conf, path, &copied, why, size);
	if (rc < 0)
		return rc;
	rc = check_copy(copied, ret_head, why, size);
	if (rc < 0) {
		store_close(copied);
		return rc;
	}
	rc = copy_pages(st->db, copied->db, st->conf->db_busy_ms);
	store_close(copied);
	if (rc == SQLITE_READONLY)
		return because(why, size, ERR_READONLY, "%s: cannot be written, or "
		    "has pages of another size than %s", st->path, path);
	if (rc != SQLITE_OK)
		return because(why, size, store_fail(st, rc), "%s: %s", st->path,
		    sqlite3_errstr(rc));
	return schema_repair(st, &made, why, size);
}
