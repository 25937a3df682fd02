/*
 * sending - what comes of a frame that is written: rights, keys, limits, the answer;
 * and two processes with the same keys at the same moment.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "buf.h"
#include "err.h"
#include "sending.h"
#include "shm.h"
#include "stats.h"
#include "testdb.h"

#define NOW_MS	5000000
#define RACES	200

static const char site[] =
	"INSERT INTO users(id, name) VALUES ('ann', 'Ann'), ('ben', 'Ben');"
	"INSERT INTO rooms(id, is_private, created_by) VALUES ('hall', 0, NULL),"
	" ('den', 1, 'ben');";

struct world {
	struct testdb	 db;
	struct shm	*shm;
	char		 text[4096];	/* the last answer */
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	testdb_open(&w->db, "limit.send_per_s = 10\n");
	testdb_site(&w->db, site);
	assert_int_equal(shm_open_private(SHM_POLL, &w->shm), 0);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	shm_close(w->shm);
	testdb_close(&w->db);
	free(w);
	return 0;
}

static void
make(struct world *w, struct sending *ret, const char *user, const char *text)
{
	struct frame f;

	assert_int_equal(frame_parse(text, strlen(text), &f), 0);
	sending_init(ret, &f, user, w->shm);
	assert_null(f.content);
}

/* Sends a frame as user; what it is answered, and the sending for a look. */
static const char *
ask(struct world *w, const char *user, const char *text, struct sending *ret)
{
	struct buf b;

	make(w, ret, user, text);
	if (sending_admit(ret, &w->db.conf, NOW_MS))
		sending_run_now(ret, w->db.st);
	buf_init(&b, sizeof(w->text) - 1);
	sending_print(ret, &b);
	assert_int_equal(buf_err(&b), 0);
	(void)snprintf(w->text, sizeof(w->text), "%s", buf_str(&b));
	buf_release(&b);
	sending_release(ret);
	return w->text;
}

static int
n_rows(struct world *w, const char *sql)
{
	sqlite3_stmt *stmt;
	int n;

	assert_int_equal(sqlite3_prepare_v2(w->db.site, sql, -1, &stmt, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return n;
}

#define SEND(more) "{\"type\":\"send\",\"payload\":{" more "}}"
#define MESSAGES "SELECT count(*) FROM messages"

static void
test_answers(void **state)
{
	static const struct {
		const char	*user, *text, *want;
		enum problem	 problem;
	} cases[] = {
		{ "ann", SEND("\"roomId\":\"hall\",\"content\":\"x\","
		    "\"key\":\"k\\\"1\""), "{\"type\":\"ack\",\"payload\":"
		    "{\"key\":\"k\\\"1\",\"id\":\"", PROBLEM_NONE },
		{ "ann", SEND("\"roomId\":\"hall\",\"content\":\"x\""),
		    "{\"type\":\"ack\",\"payload\":{\"id\":\"", PROBLEM_NONE },
		{ "ann", SEND("\"roomId\":\"attic\",\"content\":\"x\","
		    "\"key\":\"k2\""), "\"ref\":\"k2\"", PROBLEM_NOT_FOUND },
		{ "ann", SEND("\"roomId\":\"den\",\"content\":\"x\""),
		    "\"forbidden_room\"", PROBLEM_FORBIDDEN_ROOM },
		{ "ben", SEND("\"roomId\":\"den\",\"content\":\"x\""), "ack",
		    PROBLEM_NONE },
		{ "nobody", SEND("\"roomId\":\"hall\",\"content\":\"x\""),
		    "\"revoked\"", PROBLEM_REVOKED },
		{ "ann", SEND("\"roomId\":\"hall\""), "\"bad_request\"",
		    PROBLEM_BAD_REQUEST },
		{ "ann", "{\"type\":\"typing\",\"payload\":{\"roomId\":\"hall\","
		    "\"on\":true}}", "", PROBLEM_NONE },
		{ "ann", "{\"type\":\"typing\",\"payload\":{\"roomId\":\"den\","
		    "\"on\":true}}", "\"forbidden_room\"",
		    PROBLEM_FORBIDDEN_ROOM },
	};
	struct world *w = *state;
	struct sending s;
	const char *text;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = ask(w, cases[i].user, cases[i].text, &s);
		assert_int_equal(s.problem, cases[i].problem);
		assert_non_null(strstr(text, cases[i].want));
		if (cases[i].want[0] == '\0')
			assert_string_equal(text, "");
	}
	assert_int_equal(n_rows(w, MESSAGES), 3);
	assert_int_equal(n_rows(w, "SELECT count(*) FROM sw_sends"), 1);
	assert_int_equal(stats_get(w->shm, STATS_sends), 3);
	assert_int_equal(stats_get(w->shm, STATS_typing), 1);
	assert_int_equal(stats_get(w->shm, STATS_sends_refused), 5);
}

static void
test_repeated(void **state)
{
	static const char first[] = SEND("\"roomId\":\"den\","
	    "\"content\":\"x\",\"key\":\"k\"");
	struct world *w = *state;
	struct sending s;
	struct sends_answer was;

	(void)ask(w, "ben", first, &s);
	was = s.answer;
	assert_false(s.is_duplicate);
	assert_int_equal(n_rows(w, "SELECT id = (SELECT max(id) FROM events) "
	    "FROM sw_sends"), 1);
	(void)ask(w, "ben", first, &s);
	assert_true(s.is_duplicate);
	assert_string_equal(s.answer.message_id, was.message_id);
	assert_true(s.answer.pos == was.pos);
	(void)ask(w, "ben", SEND("\"roomId\":\"hall\",\"content\":\"x\","
	    "\"key\":\"k\""), &s);
	assert_int_equal(s.problem, PROBLEM_KEY_REUSED);
	/* Out of the room he has his answer again all the same. */
	testdb_site(&w->db, "DELETE FROM room_members");
	(void)ask(w, "ben", first, &s);
	assert_int_equal(s.problem, PROBLEM_NONE);
	assert_string_equal(s.answer.message_id, was.message_id);
	/* And when the message itself is gone. */
	testdb_site(&w->db, "DELETE FROM messages");
	(void)ask(w, "ben", first, &s);
	assert_string_equal(s.answer.message_id, was.message_id);
	assert_int_equal(n_rows(w, MESSAGES), 0);
	assert_int_equal(stats_get(w->shm, STATS_sends_repeated), 3);
}

/* The site's table says no, our triggers are away: nothing is left. */
static void
test_failures(void **state)
{
	static const char text[] = SEND("\"roomId\":\"hall\","
	    "\"content\":\"x\",\"key\":\"k\"");
	struct world *w = *state;
	struct sending s;

	testdb_site(&w->db, "CREATE TRIGGER no BEFORE INSERT ON messages BEGIN "
	    "SELECT RAISE(ABORT, 'no'); END");
	(void)ask(w, "ann", text, &s);
	assert_int_equal(s.problem, PROBLEM_BAD_REQUEST);
	testdb_site(&w->db, "DROP TRIGGER no; DROP TRIGGER sw_messages_insert");
	(void)ask(w, "ann", text, &s);
	assert_int_equal(s.problem, PROBLEM_BUSY);
	assert_int_equal(n_rows(w, MESSAGES), 0);
	assert_int_equal(n_rows(w, "SELECT count(*) FROM sw_sends"), 0);
}

static void
test_limits(void **state)
{
	static const char on[] = "{\"type\":\"typing\",\"payload\":"
	    "{\"roomId\":\"hall\",\"on\":true}}";
	struct world *w = *state;
	struct sending s;
	struct buf b;
	int i, n = 0;

	/* Twice the rate at once, counted over all that a user writes. */
	make(w, &s, "ann", on);
	assert_true(sending_admit(&s, &w->db.conf, NOW_MS));
	sending_release(&s);
	for (i = 0; i < 30; i++) {
		make(w, &s, "ann", SEND("\"roomId\":\"hall\","
		    "\"content\":\"x\""));
		n += sending_admit(&s, &w->db.conf, NOW_MS);
		if (i == 29) {
			assert_int_equal(s.problem, PROBLEM_RATE_LIMITED);
			assert_int_equal(s.retry_ms, 100);
		}
		sending_release(&s);
	}
	assert_int_equal(n, 10 * SENDING_BURST - 1);
	assert_int_equal(stats_get(w->shm, STATS_rate_limited), 30 - n);
	/* The same note again costs nothing, and is not answered. */
	make(w, &s, "ann", on);
	assert_false(sending_admit(&s, &w->db.conf, NOW_MS + 1));
	assert_int_equal(s.problem, PROBLEM_NONE);
	sending_release(&s);
	assert_int_equal(stats_get(w->shm, STATS_typing_coalesced), 1);
	make(w, &s, "ann", on);
	assert_true(sending_admit(&s, &w->db.conf,
	    NOW_MS + SENDING_REPEAT_MS));
	/* It failed: so it has not been said. */
	sending_done(&s, ERR_BUSY);
	assert_int_equal(s.problem, PROBLEM_BUSY);
	sending_release(&s);
	make(w, &s, "ann", on);
	assert_true(sending_admit(&s, &w->db.conf,
	    NOW_MS + SENDING_REPEAT_MS + 1));
	sending_release(&s);
	/* A text that no event could hold. */
	buf_init(&b, 1 << 20);
	buf_adds(&b, "{\"type\":\"send\",\"payload\":{\"roomId\":\"hall\","
	    "\"content\":\"");
	for (i = 0; i <= SENDING_MAX_CONTENT; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "\"}}");
	w->db.conf.ws_max_message = 1 << 20;
	make(w, &s, "ben", buf_str(&b));
	buf_release(&b);
	assert_false(sending_admit(&s, &w->db.conf, NOW_MS));
	assert_int_equal(s.problem, PROBLEM_TOO_LARGE);
	sending_release(&s);
}

/* --- two processes --- */

/* Sends every key of the race once, on a handle of its own. */
static void
race(struct store *st, struct shm *shm)
{
	struct sending s;
	struct frame f;
	char text[200];
	int i;

	for (i = 0; i < RACES; i++) {
		(void)snprintf(text, sizeof(text), SEND("\"roomId\":\"hall\","
		    "\"content\":\"x\",\"key\":\"race-%d\""), i);
		if (frame_parse(text, strlen(text), &f) != 0)
			abort();
		sending_init(&s, &f, "ann", shm);
		sending_run_now(&s, st);
		if (s.problem != PROBLEM_NONE)
			abort();
		sending_release(&s);
	}
}

/* The other process: a program of its own on the directory. */
static int
race_main(const char *dir)
{
	struct store *st;
	struct conf conf;
	struct shm *shm;
	char why[512], line[8];

	testdb_conf(dir, NULL, &conf);
	if (store_open(&conf, STORE_SERVE, &st, why, sizeof(why)) < 0 ||
	    shm_open_private(SHM_POLL, &shm) < 0)
		return 1;
	/* Both begin at the same word. */
	(void)puts("ready");
	(void)fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 1;
	race(st, shm);
	shm_close(shm);
	store_close(st);
	conf_release(&conf);
	return 0;
}

static void
test_race(void **state)
{
	struct world *w = *state;
	int to[2], from[2], status;
	char ready[16];
	pid_t pid;

	assert_int_equal(pipe(to) | pipe(from), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(to[0], 0);
		(void)dup2(from[1], 1);
		(void)close(to[1]);
		(void)execl("/proc/self/exe", "race", w->db.dir, (char *)NULL);
		_exit(127);
	}
	assert_true(read(from[0], ready, sizeof(ready)) > 0);
	assert_int_equal(write(to[1], "go\n", 3), 3);
	race(w->db.st, w->shm);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(n_rows(w, MESSAGES), RACES);
	assert_int_equal(n_rows(w, "SELECT count(*) FROM sw_sends s "
	    "JOIN messages m ON m.id = s.message_id"), RACES);
	(void)close(to[0]);
	(void)close(to[1]);
	(void)close(from[0]);
	(void)close(from[1]);
}

int
main(int argc, char **argv)
{
#define T(name)	cmocka_unit_test_setup_teardown(test_ ## name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(answers),
		T(repeated),
		T(failures),
		T(limits),
		T(race)
	};

	if (argc == 2)
		return race_main(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
