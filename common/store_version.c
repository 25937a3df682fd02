/*
 * Whether anybody has committed, without asking SQLite (store.h).
 *
 * In WAL mode every commit, by whatever process, ends in new bytes at the
 * beginning of the index of the WAL: the header, 48 bytes with counters, salts
 * and checksums, of which this reads the copy that is written last. It is
 * memory that SQLite has mapped for the handle anyway, and keeps as long as the
 * handle is open; looking at it takes no lock and no system call. A header that
 * is just being written equals none.
 */
#include <stdint.h>
#include <string.h>

#include "store_impl.h"

#define INDEX_PAGE	32768	/* bytes that SQLite maps at once */

int
store_is_wal(struct store *st)
{
	sqlite3_stmt *stmt;
	const char *mode;
	int rc, is = 0;

	stmt = store_stmt(st, SQL_JOURNAL_MODE, &rc);
	if (stmt == NULL)
		return 0;
	if (store_step(st, stmt) == 1) {
		mode = (const char *)sqlite3_column_text(stmt, 0);
		is = mode != NULL && strcmp(mode, "wal") == 0;
	}
	store_done(stmt);
	return is;
}

/* NULL: there is none (another journal mode, or nothing was read as yet). */
static const uint32_t *
find_index(struct store *st)
{
	sqlite3_stmt *stmt;
	const char *mode;
	sqlite3_file *file = NULL;
	void volatile *p = NULL;
	int rc;

	if (st->index != NULL || st->has_no_index)
		return st->index;
	/* Without WAL mode, asking for its index would create one. */
	stmt = store_stmt(st, SQL_JOURNAL_MODE, &rc);
	if (stmt == NULL)
		return NULL;
	rc = store_step(st, stmt);
	mode = rc == 1 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	st->has_no_index = mode != NULL && strcmp(mode, "wal") != 0;
	if (mode != NULL && !st->has_no_index &&
	    sqlite3_file_control(st->db, "main", SQLITE_FCNTL_FILE_POINTER,
	    &file) == SQLITE_OK && file->pMethods != NULL &&
	    file->pMethods->iVersion >= 2 &&
	    file->pMethods->xShmMap(file, 0, INDEX_PAGE, 0, &p) == SQLITE_OK)
		st->index = (const uint32_t *)(uintptr_t)p;
	store_done(stmt);
	return st->index;
}

void
store_get_version(struct store *st, struct store_version *ret)
{
	const uint32_t *index = find_index(st);
	size_t i;

	ret->is_known = index != NULL;
	for (i = 0; index != NULL && i < STORE_VERSION_WORDS; i++)
		ret->word[i] = __atomic_load_n(&index[i], __ATOMIC_RELAXED);
}

int
store_is_still(const struct store *st, const struct store_version *version)
{
	uint32_t differs = 0;
	size_t i;

	if (!version->is_known || st->index == NULL)
		return 0;
	for (i = 0; i < STORE_VERSION_WORDS; i++)
		differs |= version->word[i] ^
		    __atomic_load_n(&st->index[i], __ATOMIC_RELAXED);
	return differs == 0;
}
