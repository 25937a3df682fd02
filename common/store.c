/*
 * The handle on the database: where the file is and whether it can be used, the
 * connection's settings, transactions, and the prepared statements that schema.c,
 * eventlog.c, site.c and lease.c share through store_impl.h.
 *
 * A statement that was stepped and not reset keeps its read transaction open, and
 * with it the WAL file growing: every path ends in store_done() or store_run().
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "conf.h"
#include "err.h"
#include "log.h"
#include "sitemap.h"
#include "store_impl.h"

#define WAL_RETRY_NS	5000000L	/* between two attempts to switch to WAL */

/* Every handle of the process: see STORE_HANDOVER_MS. */
static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stores_left = PTHREAD_COND_INITIALIZER;
static LIST_HEAD(, store) stores;		/* {stores_lock} */

static const char *const store_sql[SQL_COUNT] = {
#define SQL(name, text)	text,
#include "store_sql.def"
#undef SQL
};

/* --- errors --- */

static int
store_map(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_READONLY:
		return ERR_READONLY;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_TOOBIG:
		return ERR_TOOBIG;
	case SQLITE_MISMATCH:
		return ERR_INVAL;
	case SQLITE_CONSTRAINT:
		if (rc == SQLITE_CONSTRAINT_UNIQUE ||
		    rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    rc == SQLITE_CONSTRAINT_ROWID)
			return ERR_EXISTS;
		return ERR_INVAL;
	case SQLITE_ERROR:
	case SQLITE_SCHEMA:
		/* The statements are constant: a table or column went away. */
		return ERR_SCHEMA;
	default:
		return ERR_IO;
	}
}

int
store_fail(struct store *st, int rc)
{
	(void)snprintf(st->errmsg, sizeof(st->errmsg), "%s",
	    sqlite3_errcode(st->db) != SQLITE_OK ? sqlite3_errmsg(st->db) :
	    sqlite3_errstr(rc));
	return store_map(rc);
}

const char *
store_errmsg(const struct store *st)
{
	return st->errmsg;
}

/* The one line that a caller of store_open() prints; returns err. */
static int store_why(char *why, size_t size, int err, const char *fmt, ...)
    ATTR_PRINTF(4, 5);

static int
store_why(char *why, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return err;
}

/* --- statements --- */

sqlite3_stmt *
store_stmt(struct store *st, enum sql which, int *ret_err)
{
	sqlite3_stmt *stmt = st->stmt[which];
	int rc;

	if (stmt == NULL) {
		rc = sqlite3_prepare_v3(st->db, store_sql[which], -1,
		    SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
		if (rc != SQLITE_OK) {
			*ret_err = store_fail(st, rc);
			return NULL;
		}
		st->stmt[which] = stmt;
		return stmt;
	}
	(void)sqlite3_reset(stmt);	/* repeats an error already told */
	(void)sqlite3_clear_bindings(stmt);	/* always SQLITE_OK */
	return stmt;
}

sqlite3_stmt *
store_stmt_bound(struct store *st, enum sql which,
    const struct store_bind *bind, int *ret_err)
{
	sqlite3_stmt *stmt;

	stmt = store_stmt(st, which, ret_err);
	if (stmt == NULL)
		return NULL;
	*ret_err = 0;
	for (; *ret_err == 0 && bind->name != NULL; bind++)
		*ret_err = store_bind_text(st, stmt, bind->name, bind->text);
	if (*ret_err == 0)
		return stmt;
	store_done(stmt);
	return NULL;
}

int
store_step(struct store *st, sqlite3_stmt *stmt)
{
	int rc;

	st->steps++;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return store_fail(st, rc);
}

uint64_t
store_steps(const struct store *st)
{
	return st->steps;
}

void
store_done(sqlite3_stmt *stmt)
{
	(void)sqlite3_reset(stmt);	/* repeats the error of the step */
}

int
store_run(struct store *st, sqlite3_stmt *stmt)
{
	int rc;

	do
		rc = store_step(st, stmt);
	while (rc == 1);
	store_done(stmt);
	return rc;
}

static int
store_bound(struct store *st, int rc)
{
	return rc == SQLITE_OK ? 0 : store_fail(st, rc);
}

int
store_bind_text(struct store *st, sqlite3_stmt *stmt, const char *name,
    const char *text)
{
	return store_bound(st, sqlite3_bind_text(stmt,
	    sqlite3_bind_parameter_index(stmt, name), text, -1, SQLITE_STATIC));
}

int
store_bind_blobtext(struct store *st, sqlite3_stmt *stmt, const char *name,
    const char *text, size_t len)
{
	return store_bound(st, sqlite3_bind_text64(stmt,
	    sqlite3_bind_parameter_index(stmt, name), text, len, SQLITE_STATIC,
	    SQLITE_UTF8));
}

int
store_bind_int(struct store *st, sqlite3_stmt *stmt, const char *name,
    int64_t value)
{
	return store_bound(st, sqlite3_bind_int64(stmt,
	    sqlite3_bind_parameter_index(stmt, name), value));
}

int
store_exec(struct store *st, const char *sql)
{
	int rc;

	rc = sqlite3_exec(st->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_fail(st, rc);
}

/* Prepares and runs a statement without parameters. */
static int
store_do(struct store *st, enum sql which)
{
	sqlite3_stmt *stmt;
	int err = 0;

	stmt = store_stmt(st, which, &err);
	return stmt == NULL ? err : store_run(st, stmt);
}

/* The same for one that answers a number. */
static int
store_number(struct store *st, enum sql which, int64_t *ret)
{
	sqlite3_stmt *stmt;
	int err = 0;

	stmt = store_stmt(st, which, &err);
	if (stmt == NULL)
		return err;
	err = store_step(st, stmt);
	if (err == 1)
		*ret = sqlite3_column_int64(stmt, 0);
	store_done(stmt);
	return err == 1 ? 0 : err == 0 ? ERR_IO : err;
}

/* --- transactions --- */

int
store_read(struct store *st)
{
	return store_do(st, SQL_BEGIN_READ);
}

int
store_write(struct store *st)
{
	int rc;

	rc = schema_open_writes(st);
	return rc < 0 ? rc : store_do(st, SQL_BEGIN_WRITE);
}

int
store_is_open(const struct store *st)
{
	return !sqlite3_get_autocommit(st->db);
}

int
store_commit(struct store *st)
{
	int rc;

	if (!store_is_open(st)) {
		/* A full disk, say, undid it already: it must not look committed. */
		if (st->errmsg[0] == '\0')
			(void)snprintf(st->errmsg, sizeof(st->errmsg),
			    "no transaction is open");
		return ERR_IO;
	}
	rc = store_do(st, SQL_COMMIT);
	if (rc < 0)
		store_rollback(st);
	return rc;
}

void
store_rollback(struct store *st)
{
	char told[sizeof(st->errmsg)];

	if (!store_is_open(st))
		return;
	/* The message worth keeping is that of the failure that brought us here. */
	memcpy(told, st->errmsg, sizeof(told));
	(void)store_do(st, SQL_ROLLBACK);	/* fails only if it is undone */
	memcpy(st->errmsg, told, sizeof(told));
}

int
store_mark(struct store *st)
{
	return store_do(st, SQL_MARK);
}

int
store_keep(struct store *st)
{
	return store_do(st, SQL_KEEP);
}

void
store_undo(struct store *st)
{
	if (!store_is_open(st))
		return;		/* the failure undid the whole transaction */
	(void)store_do(st, SQL_UNDO);	/* cannot fail while the mark stands */
	(void)store_do(st, SQL_KEEP);
}

int
store_enter(struct store *st, int is_write, int *ret_began)
{
	int rc;

	if (store_is_open(st)) {
		*ret_began = 0;
		return 0;
	}
	rc = is_write ? store_write(st) : store_read(st);
	if (rc == 0)
		*ret_began = 1;
	return rc;
}

int
store_leave(struct store *st, int began, int rc)
{
	int err;

	if (!began)
		return rc;
	if (rc < 0) {
		store_rollback(st);
		return rc;
	}
	err = store_commit(st);
	return err < 0 ? err : rc;
}

/* --- looking --- */

int
store_data_version(struct store *st, int64_t *ret)
{
	return store_number(st, SQL_DATA_VERSION, ret);
}

int
store_schema_version(struct store *st, int64_t *ret)
{
	return store_number(st, SQL_SCHEMA_VERSION, ret);
}

const char *
store_path(const struct store *st)
{
	return st->path;
}

void
store_identity(const struct store *st, dev_t *ret_dev, ino_t *ret_ino)
{
	*ret_dev = st->dev;
	*ret_ino = st->ino;
}

int
store_check(struct store *st)
{
	sqlite3_stmt *stmt;
	const unsigned char *text;
	int err = 0;

	stmt = store_stmt(st, SQL_INTEGRITY, &err);
	if (stmt == NULL)
		return err;
	err = store_step(st, stmt);
	if (err == 1) {
		text = sqlite3_column_text(stmt, 0);
		err = 0;
		if (text == NULL || strcmp((const char *)text, "ok") != 0) {
			(void)snprintf(st->errmsg, sizeof(st->errmsg), "%s",
			    text == NULL ? "integrity check gave nothing" :
			    (const char *)text);
			err = ERR_IO;
		}
	}
	store_done(stmt);
	return err;
}

/* --- opening --- */

/* What errno says of path, as one of our codes. */
static int
store_why_errno(char *why, size_t size, const char *path, int is_writing)
{
	int e = errno;

	if (e == ENOENT || e == ENOTDIR)
		return store_why(why, size, ERR_NOTFOUND, "%s: %s", path,
		    strerror(e));
	if (e == EROFS || (e == EACCES && is_writing))
		return store_why(why, size, ERR_READONLY, "%s: %s; the user "
		    "that runs the services must be able to write it", path,
		    strerror(e));
	if (e == ENOSPC || e == EDQUOT)
		return store_why(why, size, ERR_FULL, "%s: %s", path,
		    strerror(e));
	return store_why(why, size, ERR_IO, "%s: %s", path, strerror(e));
}

/* An empty file with the group's rights, which SQLite itself would not give; it gives
 * -wal and -shm the rights of the file. */
static int
store_touch(const char *path, char *why, size_t size)
{
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	if (fd < 0) {
		if (errno == EEXIST)
			return 0;	/* somebody else was faster */
		return store_why_errno(why, size, path, 1);
	}
	(void)close(fd);	/* new, so nobody here holds locks through it */
	return 0;
}

/* File and directory must be writable: SQLite writes -wal and -shm beside the file. */
static int
store_may_write(const char *path, char *why, size_t size)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int rc = 0;

	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
		return store_why_errno(why, size, path, 0);
	if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0)
		return store_why_errno(why, size, path, 1);
	dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (dir == NULL)
		return store_why(why, size, ERR_NOMEM, "out of memory");
	if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) != 0)
		rc = store_why_errno(why, size, dir, 1);
	free(dir);
	return rc;
}

/* Finds (or makes) the file and its real path. */
static int
store_locate(struct store *st, enum store_mode mode, char *why, size_t size)
{
	const char *path = st->conf->database;
	struct stat sb;
	int rc;

	if (stat(path, &sb) != 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return store_why_errno(why, size, path, 0);
		if (mode == STORE_SERVE || mode == STORE_BARE)
			return store_why(why, size, ERR_NOTFOUND,
			    "%s: no such database; run: sidewire init", path);
		rc = store_touch(path, why, size);
		if (rc < 0)
			return rc;
		if (stat(path, &sb) != 0)
			return store_why_errno(why, size, path, 0);
	}
	if (S_ISDIR(sb.st_mode))
		return store_why(why, size, ERR_IO, "%s: is a directory, not "
		    "a database file", path);
	if (!S_ISREG(sb.st_mode))
		return store_why(why, size, ERR_IO, "%s: is not a regular file",
		    path);
	st->path = realpath(path, NULL);
	if (st->path == NULL)
		return store_why_errno(why, size, path, 0);
	return store_may_write(st->path, why, size);
}

/* --- handles of the process --- */

static int
is_same_file(const struct store *a, const struct store *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* How many have a file open that was at the path of st before the one there now. */
static int
store_elders(const struct store *st)
{
	const struct store *s;
	int n = 0;

	LIST_FOREACH(s, &stores, all)
		n += strcmp(s->path, st->path) == 0 && !is_same_file(s, st);
	return n;
}

/* Enters st with the file that is at its path, when those before it are gone. */
static int
store_enlist(struct store *st, enum store_mode mode, char *why, size_t size)
{
	struct timespec end;
	struct stat sb;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += STORE_HANDOVER_MS / 1000;
	(void)pthread_mutex_lock(&stores_lock);
	for (;;) {
		if (stat(st->path, &sb) != 0) {
			rc = store_why_errno(why, size, st->path, 0);
			break;
		}
		st->dev = sb.st_dev;
		st->ino = sb.st_ino;
		if (store_elders(st) <= (mode == STORE_HEIR))
			break;
		if (pthread_cond_clockwait(&stores_left, &stores_lock,
		    CLOCK_MONOTONIC, &end) == 0)
			continue;
		rc = store_why(why, size, ERR_BUSY, "%s: was replaced, and this "
		    "process has not yet closed the file that was there",
		    st->path);
		break;
	}
	if (rc == 0) {
		LIST_INSERT_HEAD(&stores, st, all);
		st->is_listed = 1;
	}
	(void)pthread_mutex_unlock(&stores_lock);
	return rc;
}

static void
store_delist(struct store *st)
{
	if (!st->is_listed)
		return;
	(void)pthread_mutex_lock(&stores_lock);
	LIST_REMOVE(st, all);
	(void)pthread_cond_broadcast(&stores_left);
	(void)pthread_mutex_unlock(&stores_lock);
}

int
store_sharers(const struct store *st)
{
	const struct store *s;
	int n = 0;

	(void)pthread_mutex_lock(&stores_lock);
	LIST_FOREACH(s, &stores, all)
		n += is_same_file(s, st);
	(void)pthread_mutex_unlock(&stores_lock);
	return n;
}

/* The settings of every connection of ours; the first look at the file. */
static int
store_settle(struct store *st)
{
	int rc;

	rc = store_exec(st,
	    "PRAGMA temp_store = MEMORY;"
	    "PRAGMA cache_size = -2048;"
	    "PRAGMA foreign_keys = OFF;"
	    "PRAGMA recursive_triggers = OFF;"
	    "SELECT count(*) FROM sqlite_master;");
	if (rc < 0)
		return rc;
	return store_exec(st, st->conf->db_synchronous == CONF_SYNC_NORMAL ?
	    "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
}

static int
store_connect(struct store *st, char *why, size_t size)
{
	struct stat sb;
	int rc, moved = 0;

	rc = sqlite3_open_v2(st->path, &st->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return store_why(why, size, rc == SQLITE_NOMEM ? ERR_NOMEM :
		    ERR_IO, "%s: %s", st->path, sqlite3_errstr(rc));
	(void)sqlite3_extended_result_codes(st->db, 1);
	(void)sqlite3_busy_timeout(st->db, st->conf->db_busy_ms);
	rc = store_settle(st);
	if ((sqlite3_errcode(st->db) & 0xff) == SQLITE_NOTADB)
		return store_why(why, size, ERR_IO,
		    "%s: is not a SQLite database", st->path);
	if (rc < 0)
		return store_why(why, size, rc, "%s: %s", st->path, st->errmsg);
	if (sqlite3_db_readonly(st->db, "main") == 1)
		return store_why(why, size, ERR_READONLY,
		    "%s: can only be read", st->path);
	/* The identity is that of what is at the path, if that is what we have open. */
	if (stat(st->path, &sb) != 0)
		return store_why_errno(why, size, st->path, 0);
	(void)sqlite3_file_control(st->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
	if (moved || sb.st_dev != st->dev || sb.st_ino != st->ino)
		return store_why(why, size, ERR_IO,
		    "%s: was replaced while it was opened", st->path);
	return 0;
}

/*
 * Readers that do not block the site's writers.  The switch needs the file for itself
 * for a moment, and SQLite does not always wait for it.  A file system without shared
 * memory keeps its old mode: everything works there too, only slower.
 */
static int
store_wal(struct store *st)
{
	const struct timespec pause = { 0, WAL_RETRY_NS };
	int64_t deadline_mono_ms = clock_mono_ms() + st->conf->db_busy_ms;
	int rc;

	for (;;) {
		rc = store_exec(st, "PRAGMA journal_mode = WAL");
		if (rc != ERR_BUSY || clock_mono_ms() >= deadline_mono_ms)
			return rc;
		(void)nanosleep(&pause, NULL);	/* shorter by a signal: fine */
	}
}

/* The rest of opening, by mode. */
static int
store_prepare(struct store *st, enum store_mode mode, char *why, size_t size)
{
	int rc, made = 0;

	if (mode == STORE_BARE)
		return 0;
	if (mode == STORE_CREATE) {
		rc = store_wal(st);
		if (rc == ERR_BUSY)
			return store_why(why, size, rc, "%s: somebody is "
			    "writing or reading it, so that it cannot be "
			    "switched to WAL mode; try again", st->path);
		if (rc < 0)
			return store_why(why, size, rc, "%s: %s", st->path,
			    st->errmsg);
		return 0;
	}
	rc = schema_check(st, why, size);
	if (rc == ERR_SCHEMA)	/* triggers that a migration dropped come back */
		rc = schema_repair(st, &made, why, size);
	if (rc < 0)
		return rc;
	if (made > 0)
		log_warnx("schema repaired: a migration of the site had dropped "
		    "triggers made=%d path=%s", made, st->path);
	rc = store_wal(st);
	if (rc < 0 && rc != ERR_BUSY)	/* busy: its old mode will do */
		return store_why(why, size, rc, "%s: %s", st->path, st->errmsg);
	rc = schema_open_views(st);
	if (rc < 0)
		return store_why(why, size, rc, "%s: %s", st->path, st->errmsg);
	return 0;
}

/* Nobody asks how much memory SQLite has; counting it is a lock with each allocation. */
static void
store_configure(void)
{
	/* Too late where somebody else has used SQLite already. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int
store_open(const struct conf *conf, enum store_mode mode, struct store **ret,
    char *why, size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct store *st;
	int rc;

	(void)pthread_once(&once, store_configure);
	st = calloc(1, sizeof(*st));
	if (st == NULL)
		return store_why(why, size, ERR_NOMEM, "out of memory");
	st->conf = conf;
	rc = store_locate(st, mode, why, size);
	if (rc == 0)
		rc = store_enlist(st, mode, why, size);
	if (rc == 0)
		rc = store_connect(st, why, size);
	if (rc == 0)
		rc = store_prepare(st, mode, why, size);
	if (rc < 0) {
		store_close(st);
		return rc;
	}
	st->errmsg[0] = '\0';
	*ret = st;
	return 0;
}

void
store_close(struct store *st)
{
	int i;

	if (st == NULL)
		return;
	for (i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize(st->stmt[i]);	/* an old error */
	eventlog_forget(st);
	sitemap_free(st->map);
	(void)sqlite3_close(st->db);	/* undoes what is open */
	store_delist(st);
	free(st->path);
	free(st);
}

/*
 * "immutable" keeps SQLite from locking, and from -wal and -shm: what is only there as
 * yet is not seen, as the schema of a database made a moment ago.
 */
int
store_look(struct store *st, char *why, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	const char *p;
	struct buf uri;
	int rc;

	buf_init(&uri, 4 * PATH_MAX);
	buf_adds(&uri, "file:");
	for (p = st->path; *p != '\0'; p++)
		buf_addf(&uri, strchr("%?#", *p) != NULL ? "%%%02x" : "%c", *p);
	buf_adds(&uri, "?immutable=1");
	rc = buf_err(&uri) != 0 ? SQLITE_NOMEM : sqlite3_open_v2(buf_str(&uri),
	    &st->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI |
	    SQLITE_OPEN_NOMUTEX, NULL);
	buf_release(&uri);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(st->db, store_sql[SQL_META_GET], -1,
		    &stmt, NULL);
	(void)sqlite3_finalize(stmt);
	if (rc == SQLITE_OK)
		return 0;
	if (rc == SQLITE_ERROR)
		return store_why(why, size, ERR_SCHEMA, "%s: has no Sidewire "
		    "schema; run: sidewire init", st->path);
	return store_why(why, size, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO,
	    "%s: %s", st->path, sqlite3_errstr(rc));
}

int
store_peek(const struct conf *conf, char *why, size_t size)
{
	struct store st = { .conf = conf };
	int rc;

	rc = store_locate(&st, STORE_SERVE, why, size);
	if (rc == 0)
		rc = store_look(&st, why, size);
	(void)sqlite3_close(st.db);
	free(st.path);
	return rc;
}
