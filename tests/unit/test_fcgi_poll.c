/*
 * Answers of polls: how they are composed (SYNC in all its cases), how long
 * they are held, and what ends a hold, on a real database.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>

#include "../../fcgi-poll/answer.h"
#include "../../fcgi-poll/app.h"
#include "../../fcgi-poll/conn.h"
#include "../../fcgi-poll/hold.h"
#include "../../fcgi-poll/park.h"
#include "../../fcgi-poll/poll.h"
#include "../../fcgi-poll/reply.h"
#include "buf.h"
#include "clock.h"
#include "event.h"
#include "query.h"
#include "revocation.h"
#include "shm.h"
#include "stats.h"
#include "testdb.h"

/* --- composing --- */

#define POS	1700000000000000LL
#define TS	"2023-11-14T22:13:20.000000Z"
#define SYNC	"{\"type\":\"SYNC\",\"payload\":{\"id\":\"" TS "\"}}"
#define END	"],\"timestamp\":\"" TS "\""

/*
 * Events by letter: m a message, e a message's edit, u a user, p a published
 * event that calls itself NEW_MESSAGE.
 */
static void
add_events(struct answer *a, const char *events)
{
	const char *type, *entity;
	struct event *ev;
	char text[2];

	for (; *events != '\0'; events++) {
		type = *events == 'e' ? "MESSAGE_UPDATED" :
		    *events == 'u' ? "USER_UPDATE" : "NEW_MESSAGE";
		entity = *events == 'p' ? NULL : "id";
		assert_int_equal(event_new(POS - 5, type, NULL, NULL, NULL,
		    entity, &ev), 0);
		text[0] = *events;
		(void)answer_add(a, ev, text, 1);
		event_unref(ev);
	}
}

static void
test_compose(void **state)
{
	static const struct {
		const char *events;
		int is_legacy, is_moved, is_more;
		const char *reset, *want;
	} table[] = {
		/* a client that knows timestamps never gets a SYNC */
		{ "", 0, 0, 0, NULL, "{\"events\":[" END "}" },
		{ "", 0, 1, 0, NULL, "{\"events\":[" END "}" },
		{ "um", 0, 1, 0, NULL, "{\"events\":[u,m" END "}" },
		{ "mu", 0, 1, 1, NULL, "{\"events\":[m,u" END
		    ",\"more\":true}" },
		{ "u", 0, 1, 0, "expired", "{\"events\":[u" END
		    ",\"reset\":\"expired\"}" },
		/* one that keeps ids: nothing new at all */
		{ "", 1, 0, 0, NULL, "{\"events\":[" END "}" },
		/* a moved position alone */
		{ "", 1, 1, 0, NULL, "{\"events\":[" SYNC END "}" },
		/* ends in a message: its id is the cursor */
		{ "um", 1, 1, 0, NULL, "{\"events\":[u,m" END "}" },
		{ "m", 1, 1, 1, NULL, "{\"events\":[m" END ",\"more\":true}" },
		/* ends in anything else */
		{ "mu", 1, 1, 0, NULL, "{\"events\":[m,u," SYNC END "}" },
		{ "me", 1, 1, 0, NULL, "{\"events\":[m,e," SYNC END "}" },
		{ "p", 1, 1, 0, NULL, "{\"events\":[p," SYNC END "}" },
		{ "u", 1, 0, 0, NULL, "{\"events\":[u," SYNC END "}" },
		/*
		 * its cursor was bad: it needs a good one, even of an empty
		 * state
		 */
		{ "u", 1, 0, 0, "unknown", "{\"events\":[u," SYNC END
		    ",\"reset\":\"unknown\"}" },
		{ "", 1, 0, 0, "ahead", "{\"events\":[" SYNC END
		    ",\"reset\":\"ahead\"}" },
	};
	struct answer_end end;
	struct answer a;
	struct buf b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		buf_init(&b, 4096);
		answer_begin(&a, &b, 4096);
		add_events(&a, table[i].events);
		end = (struct answer_end){ .pos = POS,
		    .is_more = table[i].is_more, .reset = table[i].reset,
		    .is_legacy = table[i].is_legacy,
		    .is_moved = table[i].is_moved };
		answer_end(&a, &end);
		assert_int_equal(buf_err(&b), 0);
		assert_string_equal(buf_str(&b), table[i].want);
		buf_release(&b);
	}
}

/* What does not fit is left for the next poll: position and more say so. */
static void
test_full(void **state)
{
	struct answer_end end = { .pos = POS };
	struct event *ev;
	struct answer a;
	struct buf b;
	char text[100];
	int i;

	(void)state;
	memset(text, 'x', sizeof(text));
	buf_init(&b, 4096);
	answer_begin(&a, &b, 250);
	for (i = 1; i <= 4; i++) {
		assert_int_equal(event_new(POS - 10 + i, "X", NULL, NULL, NULL,
		    NULL, &ev), 0);
		assert_int_equal(answer_add(&a, ev, text, sizeof(text)), i > 2);
		event_unref(ev);
	}
	answer_end(&a, &end);
	assert_int_equal(end.pos, POS - 8);
	assert_int_equal(end.is_more, 1);
	assert_non_null(strstr(buf_str(&b), "\"more\":true"));
	buf_release(&b);
}

/* --- cursors and time --- */

static void
test_cursors(void **state)
{
	static const struct {
		const char *raw;
		int is_legacy, is_at;
	} table[] = {
		{ "", 0, 0 },
		{ "timeout=5", 0, 0 },
		{ "lastTimestamp=" TS, 0, 1 },
		{ "lastTimestamp=2023-11-14T22:13:20", 0, 1 },
		{ "lastTimestamp=2023-11-14T22:13:20.000001Z", 0, 0 },
		{ "lastTimestamp=what", 0, 0 },
		{ "lastMessageId=abc", 1, 0 },
		{ "lastMessageId=" TS, 1, 1 },
		{ "lastMessageId=abc&lastTimestamp=" TS, 0, 1 },
		{ "lastMessageId=" TS "&lastTimestamp=what", 0, 0 },
		{ "lastMessageId=" TS "&lastTimestamp=", 1, 1 },
		/* the first poll of a client that keeps ids: it is given one */
		{ "lastMessageId=", 1, 0 },
		{ "timeout=0&lastMessageId", 1, 0 },
		{ "lastMessageIdx=&xlastMessageId=", 0, 0 },
	};
	const char *why;
	struct query q;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(query_parse(table[i].raw,
		    strlen(table[i].raw), &q, &why), 0);
		assert_int_equal(poll_is_legacy(&q, table[i].raw),
		    table[i].is_legacy);
		assert_int_equal(poll_is_at(&q, POS), table[i].is_at);
		query_release(&q);
	}
}

static void
test_wait(void **state)
{
	static const struct {
		int64_t asked_ms;
		int max_s;
		uint32_t chance;
		int64_t left_ms, want;
	} table[] = {
		{ 10000, 25, 0, 99999, 10000 },
		{ 10000, 25, UINT32_MAX, 99999, 9000 },
		{ 60000, 25, 0, 99999, 25000 },
		{ 60000, 25, UINT32_MAX, 99999, 22500 },
		{ 60000, 25, 0, 700, 700 },
		{ 60000, 25, 0, -5, 0 },
		{ 60000, 0, 0, 99999, 0 },
		{ INT64_MAX, 25, 0, 99999, 25000 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(poll_wait_ms(table[i].asked_ms, table[i].max_s,
		    table[i].chance, table[i].left_ms), table[i].want);
}

/* --- holding --- */

struct world {
	struct testdb	 db;
	struct app	 app;
	int		 answers;
	int		 status;	/* of the last answer */
	struct conn	*conn;		/* it was for */
	char		 body[4096];
};

/* Stands for connections: never looked into. */
static struct conn conns[4];

static void
on_answer(struct conn *c, struct reply *rep, void *arg)
{
	struct world *w = arg;

	w->answers++;
	w->status = rep->status;
	w->conn = c;
	(void)snprintf(w->body, sizeof(w->body), "%s", buf_str(&rep->body));
}

static int
setup(void **state)
{
	struct world *w;
	char why[512];

	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	testdb_open(&w->db, NULL);
	testdb_site(&w->db, "INSERT INTO users(id, name) VALUES "
	    "('a', 'A'), ('b', 'B'), ('c', 'C');"
	    "INSERT INTO rooms(id, name, is_private, created_by) VALUES "
	    "('pub', 'P', 0, 'a'), ('priv', 'Q', 1, 'a')");
	w->app.conf = &w->db.conf;
	assert_int_equal(shm_open_private(SHM_POLL, &w->app.shm), 0);
	assert_int_equal(park_open(&w->app, &w->app.park, why, sizeof(why)), 0);
	park_on_answer(w->app.park, on_answer, w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	park_drain(w->app.park);
	assert_int_equal(park_held(w->app.park), 0);
	assert_int_equal(shm_held(w->app.shm), 0);
	assert_int_equal(w->app.held_here, 0);
	park_close(w->app.park);
	shm_close(w->app.shm);
	testdb_close(&w->db);
	free(w);
	return 0;
}

static struct hold *
enter(struct world *w, const char *user, const char *client, int i,
    int64_t wait_ms)
{
	struct hold *hold;

	assert_int_equal(hold_new(user, client, NULL, NULL, 0, &hold), 0);
	hold->conn = &conns[i];
	hold->cursor = hold->pos = park_head(w->app.park);
	hold->looked_pos = hold->pos;
	hold->deadline_mono_ms = clock_mono_ms() + wait_ms;
	hold->limit = 100;
	hold->seq = (uint64_t)i;
	(void)shm_add_held(w->app.shm, 1);
	w->app.held_here++;
	park_enter(w->app.park, hold);
	return hold;
}

/* Runs the loop as the keeper does, until n answers were given. */
static void
run_until(struct world *w, int n)
{
	int64_t end_ms = clock_mono_ms() + 10000;
	struct pollfd pfd;
	unsigned version;
	int64_t wait_us;

	while (w->answers < n) {
		assert_true(clock_mono_ms() < end_ms);
		wait_us = park_wait_us(w->app.park, clock_mono_us());
		pfd.fd = park_fd(w->app.park, &version);
		pfd.events = POLLIN;
		(void)poll(&pfd, 1, (int)((wait_us + 999) / 1000));
		assert_int_equal(park_step(w->app.park), 0);
	}
}

/* Until the tail has read up to what the site has just written. */
static void
run_to_head(struct world *w)
{
	int64_t end_ms = clock_mono_ms() + 10000, head;
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_prepare_v2(w->db.site,
	    "SELECT max(id) FROM events", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	head = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	while (park_head(w->app.park) < head) {
		assert_true(clock_mono_ms() < end_ms);
		assert_int_equal(park_step(w->app.park), 0);
	}
}

static void
say(struct world *w, const char *room, const char *id)
{
	char sql[256];

	(void)snprintf(sql, sizeof(sql), "INSERT INTO messages(id, room_id, "
	    "sender_id, content) VALUES ('%s', '%s', 'a', 'x')", id, room);
	testdb_site(&w->db, sql);
}

/* A hold of a's, looked up at one position and read up to another, by a token of that second. */
static void
enter_late(struct world *w, int i, int64_t looked_pos, int64_t pos,
    int64_t issued_at_s)
{
	struct hold *hold;

	assert_int_equal(hold_new("a", NULL, NULL, NULL, 0, &hold), 0);
	hold->conn = &conns[i];
	hold->cursor = hold->pos = pos;
	hold->looked_pos = looked_pos;
	hold->issued_at_s = issued_at_s;
	hold->deadline_mono_ms = clock_mono_ms() + 20000;
	hold->limit = 100;
	(void)shm_add_held(w->app.shm, 1);
	w->app.held_here++;
	park_enter(w->app.park, hold);
}

/* Holds that were on their way while their user's tokens were revoked. */
static void
test_hold_overtaken(void **state)
{
	struct world *w = *state;
	int64_t before = park_head(w->app.park), pos;

	assert_int_equal(revocation_set(w->db.st, "a", 1000, &pos), 0);
	run_to_head(w);
	(void)enter(w, "b", NULL, 1, 20000);
	enter_late(w, 2, before, before, 1001);
	assert_int_equal(w->answers, 0);
	enter_late(w, 3, before, before, 1000);
	assert_int_equal(w->answers, 1);
	assert_ptr_equal(w->conn, &conns[3]);
	assert_int_equal(w->status, 401);
	assert_non_null(strstr(w->body, "\"revoked\""));
	/* The same where the log was read when he had been revoked already. */
	enter_late(w, 3, before, pos, 1000);
	assert_int_equal(w->answers, 2);
	assert_int_equal(w->status, 401);
	/* Revoked again, the one with the newer token ends as well. */
	assert_int_equal(revocation_set(w->db.st, "a", 2000, &pos), 0);
	run_until(w, 3);
	assert_ptr_equal(w->conn, &conns[2]);
	assert_int_equal(w->status, 401);
	assert_int_equal(park_held(w->app.park), 1);
}

static void
test_hold_woken(void **state)
{
	struct world *w = *state;

	(void)enter(w, "a", NULL, 1, 20000);
	(void)enter(w, "b", NULL, 2, 20000);
	assert_int_equal(park_held(w->app.park), 2);
	say(w, "pub", "m1");
	run_until(w, 2);
	assert_int_equal(w->status, 200);
	assert_non_null(strstr(w->body, "\"m1\""));
	assert_int_equal(park_held(w->app.park), 0);
	assert_int_equal(stats_get(w->app.shm, STATS_poll_events), 2);
}

/* What commits between the worker's look and the keeper's is not lost. */
static void
test_hold_late(void **state)
{
	struct world *w = *state;
	int64_t before = park_head(w->app.park);
	struct hold *hold;

	say(w, "pub", "m1");
	run_to_head(w);
	assert_int_equal(hold_new("b", NULL, NULL, NULL, 0, &hold), 0);
	hold->conn = &conns[1];
	hold->cursor = hold->pos = before;
	hold->deadline_mono_ms = clock_mono_ms() + 20000;
	hold->limit = 100;
	(void)shm_add_held(w->app.shm, 1);
	w->app.held_here++;
	park_enter(w->app.park, hold);
	assert_int_equal(w->answers, 1);
	assert_non_null(strstr(w->body, "\"m1\""));
}

/* What a worker read in the file that was there before is of no use. */
static void
test_hold_outdated(void **state)
{
	struct world *w = *state;

	w->app.generation = 1;
	(void)enter(w, "b", NULL, 1, 20000);
	assert_int_equal(w->answers, 1);
	assert_non_null(strstr(w->body, "\"events\":[]"));
	assert_int_equal(park_held(w->app.park), 0);
}

/*
 * An event that he may not see leaves him waiting; the position moves with it.
 */
static void
test_hold_unseen(void **state)
{
	struct world *w = *state;
	char pos[CLOCK_POS_SIZE];

	(void)enter(w, "b", NULL, 1, 20000);
	say(w, "priv", "m1");
	run_to_head(w);
	assert_int_equal(w->answers, 0);
	assert_int_equal(park_held(w->app.park), 1);
	park_drain(w->app.park);
	assert_int_equal(w->answers, 1);
	assert_null(strstr(w->body, "m1"));
	assert_non_null(strstr(w->body, "\"events\":[]"));
	assert_non_null(strstr(w->body,
	    clock_print_pos(park_head(w->app.park), pos)));
}

static void
test_hold_expires(void **state)
{
	struct world *w = *state;
	struct hold *hold;

	(void)enter(w, "b", NULL, 1, 1);
	run_until(w, 1);
	assert_non_null(strstr(w->body, "\"events\":[]"));
	assert_int_equal(stats_get(w->app.shm, STATS_polls_expired), 1);
	/* the same for one that keeps ids: its position has not moved */
	hold = enter(w, "b", NULL, 1, 1);
	hold->is_legacy = 1;
	run_until(w, 2);
	assert_non_null(strstr(w->body, "\"events\":[]"));
	/* and with a move that it could not see */
	hold = enter(w, "b", NULL, 1, 20000);
	hold->is_legacy = 1;
	say(w, "priv", "m1");
	run_to_head(w);
	park_drain(w->app.park);
	assert_non_null(strstr(w->body, "[{\"type\":\"SYNC\""));
}

static void
test_hold_superseded(void **state)
{
	struct world *w = *state;
	struct hold *hold;

	(void)enter(w, "b", "tab", 1, 20000);
	(void)enter(w, "c", "tab", 2, 20000);	/* somebody else's */
	(void)enter(w, "b", "tab2", 3, 20000);
	assert_int_equal(w->answers, 0);
	(void)enter(w, "b", "tab", 2, 20000);
	assert_int_equal(w->answers, 1);
	assert_ptr_equal(w->conn, &conns[1]);
	/* one that was overtaken on its way */
	(void)enter(w, "b", "tab", 1, 20000);
	assert_int_equal(w->answers, 2);
	assert_ptr_equal(w->conn, &conns[1]);
	assert_non_null(strstr(w->body, "\"events\":[]"));
	/* a poll that was answered at once */
	assert_int_equal(hold_new("b", "tab", NULL, NULL, 0, &hold), 0);
	hold->is_notice = 1;
	hold->seq = 9;
	park_enter(w->app.park, hold);
	assert_int_equal(w->answers, 3);
	assert_ptr_equal(w->conn, &conns[2]);
	assert_int_equal(park_held(w->app.park), 2);
	assert_int_equal(stats_get(w->app.shm, STATS_polls_superseded), 3);
}

static void
test_hold_revoked(void **state)
{
	struct world *w = *state;

	(void)enter(w, "b", NULL, 1, 20000);
	testdb_site(&w->db, "DELETE FROM users WHERE id = 'b'");
	run_until(w, 1);
	assert_int_equal(w->status, 401);
	assert_non_null(strstr(w->body, "\"revoked\""));
}

static void
test_hold_abandoned(void **state)
{
	struct world *w = *state;

	park_abandon(w->app.park, enter(w, "b", "tab", 1, 20000));
	assert_int_equal(w->answers, 1);
	assert_int_equal(park_held(w->app.park), 0);
	assert_int_equal(stats_get(w->app.shm, STATS_polls_abandoned), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_cursors),
		cmocka_unit_test(test_wait),
#define HOLD(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
		HOLD(test_hold_overtaken),
		HOLD(test_hold_woken),
		HOLD(test_hold_late),
		HOLD(test_hold_outdated),
		HOLD(test_hold_unseen),
		HOLD(test_hold_expires),
		HOLD(test_hold_superseded),
		HOLD(test_hold_revoked),
		HOLD(test_hold_abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
