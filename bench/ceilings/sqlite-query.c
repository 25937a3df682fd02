/*
 * sqlite-query - the ceiling of a poll that asks the database: one prepared statement that
 * finds nothing, over and over, on a handle of its own.
 *
 *   sqlite-query DATABASE COUNT
 *
 * Prints us=MICROSECONDS of CPU for one.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double
cpu_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* The newest id, or -1. */
static sqlite3_int64
newest(sqlite3 *db)
{
	sqlite3_stmt *st;
	sqlite3_int64 id = -1;

	if (sqlite3_prepare_v2(db, "SELECT max(id) FROM events", -1, &st,
	    NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		id = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return id;
}

int
main(int argc, char **argv)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	sqlite3_int64 after;
	double start;
	long i, n;

	n = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	if (n < 1) {
		(void)fputs("usage: sqlite-query DATABASE COUNT\n", stderr);
		return 2;
	}
	if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return 1;
	after = newest(db);
	if (after < 0 || sqlite3_prepare_v3(db, "SELECT id, type, room_id, user_id, "
	    "actor_id, entity_id, payload FROM events WHERE id > ? ORDER BY id "
	    "LIMIT 100", -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
		(void)fprintf(stderr, "sqlite-query: %s\n", sqlite3_errmsg(db));
		return 1;
	}
	start = cpu_us();
	for (i = 0; i < n; i++) {
		if (sqlite3_bind_int64(st, 1, after) != SQLITE_OK ||
		    sqlite3_step(st) != SQLITE_DONE ||
		    sqlite3_reset(st) != SQLITE_OK)
			return 1;
	}
	(void)printf("us=%.3f\n", (cpu_us() - start) / (double)n);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return 0;
}
