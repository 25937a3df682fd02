/*
 * store - a handle on the database: open, transactions, errors.  SQLite ends in
 * the modules that share store_impl.h (store, schema, eventlog, site, sends ...) and
 * is never seen through their headers.
 *
 * Threads: a struct store belongs to one thread; open one per thread on the same
 * file.  WAL mode, so that readers do not block the site's writers; a read that
 * will be written to starts as a write (BEGIN IMMEDIATE).
 * Errors: ERR_BUSY no lock within conf->db_busy_ms; ERR_FULL disk full;
 * ERR_READONLY; ERR_EXISTS a unique value is taken; ERR_INVAL another constraint of
 * the site's table; ERR_TOOBIG; ERR_SCHEMA a table or column is gone; ERR_IO all else;
 * store_errmsg() says more.
 */
#ifndef STORE_H
#define STORE_H

#include <stdint.h>
#include <sys/types.h>

#include "attr.h"

struct conf;
struct store;

enum store_mode {
	STORE_SERVE,		/* the database must be there and of our schema */
	STORE_CREATE,		/* init: may be missing or foreign; schema_init() comes next */
	STORE_BARE,		/* attach: must be there, and stays as it is; attach.h comes next */
	STORE_HEIR		/* as STORE_SERVE, beside the caller's handle on the file that was
				 * at the path before */
};

/*
 * Two files that were at one path one after the other have -wal and -shm in common, and
 * POSIX locks belong to the process: closing -shm through a handle on the old file drops the
 * locks of every handle on the new one, and opening it cuts -shm under the old one's feet
 * (SIGBUS).  So all handles on the old file are closed before one is opened on the new:
 * store_open() waits for that, for STORE_HANDOVER_MS, and is ERR_BUSY then.
 */
#define STORE_HANDOVER_MS	1000

/*
 * Opens conf->database.  STORE_SERVE puts back triggers that a migration of the site
 * dropped (schema_repair(), and logs it); STORE_CREATE makes the file, 0660 less the
 * umask.  Both set WAL mode.  On failure why (size bytes) is one line that says what
 * to do; ERR_NOTFOUND no such file, ERR_SCHEMA no Sidewire schema in it or one of
 * another version or without needed tables or columns, ERR_READONLY (file or its
 * directory), ERR_IO (also: not a database), ERR_BUSY, ERR_NOMEM.  conf is
 * borrowed until store_close().
 */
int	 store_open(const struct conf *conf, enum store_mode mode, struct store **ret,
	    char *why, size_t size) ATTR_MUST_CHECK;
void	 store_close(struct store *st);		/* NULL is fine; undoes an open transaction */
/* Handles of this process on the file that st has open, st counted; any thread. */
int	 store_sharers(const struct store *st);
/* Whether what is at the path now looks like a database of ours, by the file alone, without a
 * lock and without -wal and -shm.  Errors as of store_open(). */
int	 store_peek(const struct conf *conf, char *why, size_t size) ATTR_MUST_CHECK;

/* Transactions; they do not nest.  store_write() takes the write lock at once. */
int	 store_read(struct store *st) ATTR_MUST_CHECK;
int	 store_write(struct store *st) ATTR_MUST_CHECK;
int	 store_commit(struct store *st) ATTR_MUST_CHECK;	/* on failure it is undone */
void	 store_rollback(struct store *st);	/* also ends a read; harmless outside */
int	 store_is_open(const struct store *st);	/* within a transaction */

/* A named point inside a write transaction, so that one job of a batch can fail alone. */
int	 store_mark(struct store *st) ATTR_MUST_CHECK;
int	 store_keep(struct store *st) ATTR_MUST_CHECK;	/* forgets the mark */
void	 store_undo(struct store *st);			/* back to the mark, and forgets it */

/* Of the last failure on st; borrowed until the next call on it. */
const char *store_errmsg(const struct store *st);

/*
 * A version of the database, this handle's own commits included: looked at before a read
 * and found to be still the same after it, it proves that nobody committed meanwhile, and
 * while it is the same, that what was read is as it was.  Of memory that all processes
 * share: no SQL, no lock, no system call.  Only in WAL mode, and after a first read;
 * otherwise it is not known, and nothing is proven.
 */
#define STORE_VERSION_WORDS	12
struct store_version {
	uint32_t	word[STORE_VERSION_WORDS];
	int		is_known;
};
void	 store_get_version(struct store *st, struct store_version *ret);
int	 store_is_still(const struct store *st, const struct store_version *version);
/* How many statements were begun or went on (for tests: what was read without any). */
uint64_t store_steps(const struct store *st);

/* Grows whenever another connection committed (PRAGMA data_version). */
int	 store_data_version(struct store *st, int64_t *ret) ATTR_MUST_CHECK;
/* Grows with each change of any table's definition (PRAGMA schema_version). */
int	 store_schema_version(struct store *st, int64_t *ret) ATTR_MUST_CHECK;
/* Whether readers and writers do not wait for each other: 0, too, where it is not known. */
int	 store_is_wal(struct store *st);
/* The real path of the database file; borrowed until store_close(). */
const char *store_path(const struct store *st);
/* Device and inode of the file that st has open (not of what is at the path now). */
void	 store_identity(const struct store *st, dev_t *ret_dev, ino_t *ret_ino);
/* An integrity check for `sidewire check`: 0, or ERR_IO with store_errmsg(). */
int	 store_check(struct store *st) ATTR_MUST_CHECK;

#endif
