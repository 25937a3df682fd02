/*
 * writer - the site that writes: inserts a message and commits for each line of stdin.
 *
 *   writer DATABASE
 *
 * A line is one of
 *   ROOM NS NUMBER      a message of user u1 in ROOM, marked bench_ts=NS,NUMBER; where
 *                       NS is 0 it is the time (CLOCK_MONOTONIC) just before BEGIN
 *   synchronous MODE    NORMAL or FULL
 *   report              prints n, p50_us and p99_us: from before BEGIN until COMMIT
 *                       has returned, since the last report
 * It knows nothing of Sidewire: the triggers in the database make the events.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_TIMES	65536
#define BUSY_MS		10000

static const char text[] =
    "0123456789012345678901234567890123456789012345678901234567890123456789";

struct writer {
	sqlite3		*db;
	sqlite3_stmt	*begin, *insert, *commit;
	uint64_t	 times[MAX_TIMES];
	size_t		 n_times;
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static int
run(sqlite3_stmt *st)
{
	int rc;

	rc = sqlite3_step(st);
	(void)sqlite3_reset(st);	/* repeats the error of the step */
	return rc == SQLITE_DONE ? 0 : -1;
}

static int
add_message(struct writer *w, const char *room, uint64_t at_ns, uint64_t number)
{
	char content[256];
	uint64_t start = now_ns();
	int len;

	len = snprintf(content, sizeof(content), "bench_ts=%" PRIu64 ",%" PRIu64
	    "; %s", at_ns != 0 ? at_ns : start, number, text);
	if (run(w->begin) < 0 ||
	    sqlite3_bind_text(w->insert, 1, room, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(w->insert, 2, content, len, SQLITE_STATIC) != SQLITE_OK ||
	    run(w->insert) < 0 || run(w->commit) < 0)
		return -1;
	if (w->n_times < MAX_TIMES)
		w->times[w->n_times++] = now_ns() - start;
	return 0;
}

static int
by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
report(struct writer *w)
{
	size_t n = w->n_times;

	qsort(w->times, n, sizeof(*w->times), by_value);
	(void)printf("ok=1 n=%zu p50_us=%.1f p99_us=%.1f\n", n,
	    n > 0 ? (double)w->times[n / 2] / 1e3 : 0,
	    n > 0 ? (double)w->times[n * 99 / 100] / 1e3 : 0);
	(void)fflush(stdout);
	w->n_times = 0;
}

static int
do_line(struct writer *w, const char *line)
{
	char room[64];
	uint64_t at_ns, number;

	if (sscanf(line, "%63s %" SCNu64 " %" SCNu64, room, &at_ns, &number) == 3)
		return add_message(w, room, at_ns, number);
	if (strcmp(line, "report\n") == 0) {
		report(w);
		return 0;
	}
	if (strcmp(line, "synchronous NORMAL\n") == 0)
		return sqlite3_exec(w->db, "PRAGMA synchronous = NORMAL", NULL,
		    NULL, NULL) == SQLITE_OK ? 0 : -1;
	if (strcmp(line, "synchronous FULL\n") == 0)
		return sqlite3_exec(w->db, "PRAGMA synchronous = FULL", NULL,
		    NULL, NULL) == SQLITE_OK ? 0 : -1;
	(void)fprintf(stderr, "writer: no such line: %s", line);
	return -1;
}

static int
prepare(struct writer *w, const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v3(w->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret,
	    NULL) == SQLITE_OK ? 0 : -1;
}

int
main(int argc, char **argv)
{
	static struct writer w;
	char line[256];

	if (argc != 2) {
		(void)fputs("usage: writer DATABASE <LINES\n", stderr);
		return 2;
	}
	if (sqlite3_open_v2(argv[1], &w.db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(w.db, BUSY_MS) != SQLITE_OK ||
	    prepare(&w, "BEGIN IMMEDIATE", &w.begin) < 0 ||
	    prepare(&w, "INSERT INTO messages(room_id, sender_id, sender_name, "
	    "content) VALUES (?, 'u1', 'User 1', ?)", &w.insert) < 0 ||
	    prepare(&w, "COMMIT", &w.commit) < 0)
		goto fail;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (do_line(&w, line) < 0)
			goto fail;
	}
	return 0;
fail:
	(void)fprintf(stderr, "writer: error: %s\n", sqlite3_errmsg(w.db));
	return 1;
}
