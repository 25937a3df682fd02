/*
 * sqlite-commit - the ceiling of durable sends: commits of so many rows each into a table
 * of messages, synchronous FULL, by bare SQLite; no trigger, no right, no answer.
 *
 *   sqlite-commit DIRECTORY ROWS SECONDS
 *
 * Makes a database of its own in DIRECTORY.  Prints per_s=ROWS of them in a second.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char setup[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE IF NOT EXISTS messages (id TEXT PRIMARY KEY, room_id TEXT, "
    "sender_id TEXT, sender_name TEXT, content TEXT, type TEXT, timestamp TEXT)";

static const char insert[] =
    "INSERT INTO messages SELECT lower(hex(randomblob(16))), 'lobby', 'u1', "
    "'User 1', 'It is a message as people write them, of some seventy bytes or "
    "so.', 'text', '2025-11-30T16:00:00.000000Z'";

static double
now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
commit(sqlite3 *db, sqlite3_stmt *st, long rows)
{
	long i;

	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	for (i = 0; i < rows; i++)
		if (sqlite3_step(st) != SQLITE_DONE ||
		    sqlite3_reset(st) != SQLITE_OK)
			return -1;
	return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ?
	    0 : -1;
}

int
main(int argc, char **argv)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	double start, secs;
	char path[4096];
	long rows, n = 0;

	rows = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
	if (rows < 1) {
		(void)fputs("usage: sqlite-commit DIRECTORY ROWS SECONDS\n",
		    stderr);
		return 2;
	}
	secs = strtod(argv[3], NULL);
	(void)snprintf(path, sizeof(path), "%s/commit-%ld.db", argv[1],
	    (long)getpid());
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, setup, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, insert, -1, &st, NULL) != SQLITE_OK) {
		(void)fprintf(stderr, "sqlite-commit: %s\n",
		    sqlite3_errmsg(db));
		return 1;
	}
	for (start = now_s(); now_s() - start < secs; n += rows)
		if (commit(db, st, rows) < 0)
			return 1;
	(void)printf("per_s=%.0f\n", (double)n / (now_s() - start));
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	(void)unlink(path);
	return 0;
}
