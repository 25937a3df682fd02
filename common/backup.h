/*
 * backup - a copy of the database as a file, made and put back while others use it.
 *
 * Copies are made by SQLite's backup interface, all pages in one step: one read transaction,
 * so what is written meanwhile neither waits (in WAL mode) nor makes it begin anew, and the
 * copy is the database of one moment, row ids included, which VACUUM INTO would number
 * anew.  A copy is one file; it has no -wal.
 *
 * It is put back in the same way, as one write transaction on the database: whoever has it
 * open goes on and sees all of it at once, and a crash within leaves what was there.  A file
 * moved over the database would meet the old one's -wal instead.
 * Threads: as the store's.
 */
#ifndef BACKUP_H
#define BACKUP_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct conf;
struct store;

/*
 * Writes a copy to path, mode 0600, complete and checked before it has that name; *ret_head is
 * its newest event.  ERR_EXISTS: something is at path, and may_replace is 0; ERR_INVAL: path is
 * of the database itself; ERR_FULL, ERR_IO, ERR_BUSY ...; why (size bytes) says more.
 */
int	 backup_write(struct store *st, const char *path, int may_replace,
	    int64_t *ret_head, char *why, size_t size) ATTR_MUST_CHECK;

/* Checks the copy, which is read once and not changed.  ERR_NOTFOUND; ERR_SCHEMA: not of
 * Sidewire, or of a newer one; ERR_INVAL: a -wal lies beside it, so that it is none that
 * backup_write() made; ERR_IO: damaged. */
int	 backup_check(const struct conf *conf, const char *path, int64_t *ret_head,
	    char *why, size_t size) ATTR_MUST_CHECK;
/* Puts a copy that is checked first in place of what st has, and brings an older schema up to
 * date.  Outside of a transaction.  ERR_BUSY: somebody wrote for longer than db.busy_ms, and
 * nothing was changed; as backup_check() else. */
int	 backup_restore(struct store *st, const char *path, int64_t *ret_head,
	    char *why, size_t size) ATTR_MUST_CHECK;

#endif
