/*
 * session and clients - whole clients without a library: a real database, a
 * real tail, real tokens; only the connection is made up, and the time is ours.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wsworld.h"

/* --- who gets in --- */
static void
test_tokens(void **state)
{
	static const struct {
		const char	*query, *authorization, *reason;
	} cases[] = {
		{ "", NULL, "Authentication required" },
		{ "token=", NULL, "Authentication required" },
		{ "token=abc", NULL, "Invalid token" },
		{ "token=a.b.c", NULL, "Invalid token" },
		{ "", "Basic YTpi", "Authentication required" },
		{ "token=abc", "Basic YTpi", "Invalid token" },
		{ "", "Bearer x.y.z", "Invalid token" }
	};
	struct world w;
	struct fake f;
	char *query, *header;
	size_t i;

	(void)state;
	open_world(&w, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		join_raw(&w, &f, cases[i].query, 0, cases[i].authorization);
		assert_int_equal(f.code, 1008);
		assert_string_equal(f.reason, cases[i].reason);
		leave(&f);
	}
	/* Also within the leeway: nobody shall see her come and go. */
	for (i = 0; i <= 100; i += 50) {
		query = with_token(&w, "alice", -(int64_t)i, "");
		join_raw(&w, &f, query, 0, NULL);
		assert_string_equal(f.reason, "Token expired");
		leave(&f);
		free(query);
	}
	assert_int_equal(stats_get(w.shm, STATS_ws_opened), 0);
	join_as(&w, &f, "nobody", "", 0);
	assert_int_equal(f.code, 1008);
	assert_string_equal(f.reason, "Revoked");
	leave(&f);
	query = with_token(&w, "alice", 100, "");
	/* A password of the site in front is no token. */
	join_raw(&w, &f, query, 0, "Basic YTpi");
	assert_int_equal(f.code, 0);
	leave(&f);
	join_raw(&w, &f, "", 1, "Basic YTpi");
	assert_int_equal(f.code, 0);
	leave(&f);
	*strchr(query, '&') = '\0';
	assert_true(asprintf(&header, "bearer %s", query + 6) > 0);
	join_raw(&w, &f, "", 0, header);
	assert_int_equal(f.code, 0);
	leave(&f);
	free(query);
	free(header);
	assert_int_equal(stats_get(w.shm, STATS_ws_opened), 2);
	assert_int_equal(stats_get(w.shm, STATS_ws_closed), 2);
	close_world(&w);
}

static void
test_auth_frame(void **state)
{
	struct world w;
	struct fake f;
	char *token, *other, text[1000];

	(void)state;
	open_world(&w, NULL);
	assert_int_equal(auth_sign(w.auth, "alice", NULL, w.wall_s, 60,
	    &token), 0);
	assert_int_equal(auth_sign(w.auth, "bob", NULL, w.wall_s, 60,
	    &other), 0);
	join_raw(&w, &f, "", 1, NULL);
	pass(&w, SESSION_AUTH_MS - 1);
	assert_int_equal(f.code, 0);
	pass(&w, 1);
	assert_string_equal(f.reason, "Authentication required");
	leave(&f);
	join_raw(&w, &f, "", 1, NULL);
	say(&f, "{\"type\":\"subscribe\",\"payload\":{\"rooms\":null}}");
	assert_int_equal(f.code, 1008);
	leave(&f);
	join_raw(&w, &f, "", 1, NULL);
	say(&f, "{\"type\":\"ping\"}");
	assert_string_equal(hear(&w, &f), "{\"type\":\"pong\"}\n");
	(void)snprintf(text, sizeof(text),
	    "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
	say(&f, text);
	assert_int_equal(f.code, 0);
	assert_int_equal(strncmp(hear(&w, &f), "{\"type\":\"auth_ok\"", 17), 0);
	assert_int_equal(count(buf_str(&w.text), "ROOM_CREATED"), 2);
	assert_non_null(strstr(buf_str(&w.text), "}\n{\"type\":\"sync\""));
	say(&f, text);
	assert_non_null(strstr(hear(&w, &f), "auth_ok"));
	(void)snprintf(text, sizeof(text),
	    "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", other);
	say(&f, text);
	assert_int_equal(f.code, 1008);
	f.wants = 1;		/* what close promises */
	assert_non_null(strstr(hear(&w, &f), "\"code\":\"invalid_token\""));
	leave(&f);
	free(token);
	free(other);
	close_world(&w);
}

static void
test_provision(void **state)
{
	struct world w;
	struct fake f, gone;

	(void)state;
	open_world(&w, "auth.provision = yes\n");
	join_as(&w, &gone, "early", "", 0);
	leave(&gone);			/* before its user is made */
	join_as(&w, &f, "carol", "", 0);
	assert_int_equal(f.code, 0);
	while (stats_get(w.shm, STATS_ws_opened) == 0) {
		pthread_mutex_lock(&w.lock);
		while (!w.notified)
			pthread_cond_wait(&w.cond, &w.lock);
		w.notified = 0;
		pthread_mutex_unlock(&w.lock);
		clients_collect(w.clients);
	}
	say(&f, "{\"type\":\"ping\"}");
	assert_string_equal(hear(&w, &f), "{\"type\":\"pong\"}\n");
	leave(&f);
	close_world(&w);
}

static void
test_limits(void **state)
{
	struct world w;
	struct fake f[4];
	int i;

	(void)state;
	open_world(&w, "ws.max_connections = 3\nws.max_per_user = 2\n");
	for (i = 0; i < 3; i++)
		join_as(&w, &f[i], "alice", "", 0);
	assert_int_equal(f[1].code, 0);
	assert_int_equal(f[2].code, 4429);
	join_as(&w, &f[3], "bob", "", 0);
	assert_int_equal(f[3].code, 1013);
	assert_int_equal(stats_get(w.shm, STATS_ws_refused), 2);
	for (i = 0; i < 4; i++)
		leave(&f[i]);
	join_as(&w, &f[0], "alice", "", 0);
	assert_int_equal(f[0].code, 0);
	leave(&f[0]);
	close_world(&w);
}

/* What one client may have on its way to the disk, while the site keeps the lock. */
static void
test_sends_limit(void **state)
{
	static const char text[] = "{\"type\":\"send\",\"payload\":"
	    "{\"roomId\":\"lobby\",\"content\":\"x\"}}";
	int64_t end_ms = clock_mono_ms() + 10000;
	const char *heard;
	struct fake f, gone;
	struct world w;
	int i, n = 0;

	(void)state;
	open_world(&w, "limit.send_per_s = 0\nlimit.frame_per_s = 0\n"
	    "ws.max_message = 65536\n");
	join_as(&w, &gone, "alice", "", 1);
	join_as(&w, &f, "bob", "", 1);
	(void)hear(&w, &f);
	testdb_site(&w.db, "BEGIN IMMEDIATE");
	for (i = 0; i < SESSION_SENDS_MAX; i++) {
		say(&gone, text);
		say(&f, text);
	}
	assert_string_equal(hear(&w, &f), "");
	say(&f, text);
	assert_non_null(strstr(hear(&w, &f), "\"code\":\"overloaded\""));
	/* Who leaves has it written all the same, and is not answered. */
	leave(&gone);
	testdb_site(&w.db, "COMMIT");
	while (n < SESSION_SENDS_MAX) {
		assert_true(clock_mono_ms() < end_ms);
		pthread_mutex_lock(&w.lock);
		while (!w.notified)
			pthread_cond_wait(&w.cond, &w.lock);
		w.notified = 0;
		pthread_mutex_unlock(&w.lock);
		clients_collect(w.clients);
		heard = hear(&w, &f);
		n += count(heard, "\"type\":\"ack\"");
	}
	assert_int_equal(n, SESSION_SENDS_MAX);
	assert_int_equal(stats_get(w.shm, STATS_sends), 2 * SESSION_SENDS_MAX);
	assert_int_equal(stats_get(w.shm, STATS_sends_refused), 1);
	say(&f, text);
	leave(&f);
	close_world(&w);
}

/* --- what comes --- */

static void
test_legacy(void **state)
{
	struct world w;
	struct fake f;
	char rest[100], pos[CLOCK_POS_SIZE];
	const char *text;
	int64_t head;

	(void)state;
	open_world(&w, NULL);
	post(&w, "lobby", "before");
	feed(&w);
	join_as(&w, &f, "alice", "", 0);
	assert_false(f.wants);			/* nothing unsolicited */
	say(&f, "{\"type\":\"ping\"}");
	assert_string_equal(hear(&w, &f), "{\"type\":\"pong\"}\n");
	post(&w, "lobby", "live");
	post(&w, "den", "secret");
	feed(&w);
	text = hear(&w, &f);
	assert_int_equal(count(text, "NEW_MESSAGE"), 1);
	assert_non_null(strstr(text, "live"));
	leave(&f);
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	post(&w, "lobby", "missed");
	feed(&w);
	(void)snprintf(rest, sizeof(rest), "lastTimestamp=%s",
	    clock_print_pos(head, pos));
	join_as(&w, &f, "alice", rest, 0);
	post(&w, "lobby", "later");
	feed(&w);
	text = hear(&w, &f);
	assert_int_equal(count(text, "NEW_MESSAGE"), 2);
	assert_true(strstr(text, "missed") < strstr(text, "later"));
	assert_null(strstr(text, "sync"));
	leave(&f);
	join_as(&w, &f, "alice", "lastTimestamp=2001-01-01T00:00:00Z", 0);
	assert_string_equal(hear(&w, &f), "");
	assert_int_equal(stats_get(w.shm, STATS_resets), 1);
	leave(&f);
	close_world(&w);
}

static void
test_v1(void **state)
{
	struct world w;
	struct fake f;
	char rest[100], pos[CLOCK_POS_SIZE];
	const char *text;
	int64_t head;

	(void)state;
	open_world(&w, NULL);
	feed(&w);
	join_as(&w, &f, "alice", "lastTimestamp=junk", 1);
	text = hear(&w, &f);
	assert_int_equal(count(text, "ROOM_CREATED"), 2);
	assert_non_null(strstr(text, "\"reset\":\"unknown\"}}\n"));
	leave(&f);
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	post(&w, "lobby", "missed");
	feed(&w);
	(void)snprintf(rest, sizeof(rest), "lastTimestamp=%s",
	    clock_print_pos(head, pos));
	join_as(&w, &f, "alice", rest, 1);
	text = hear(&w, &f);
	assert_int_equal(count(text, "\n"), 2);
	assert_true(strstr(text, "missed") < strstr(text, "\"sync\""));
	assert_null(strstr(text, "reset"));
	say(&f, "{\"type\":\"send\",\"payload\":{\"key\":\"k\"}}");
	assert_non_null(strstr(hear(&w, &f), "\"ref\":\"k\""));
	say(&f, "{\"type\":\"subscribe\",\"payload\":{\"rooms\":[]}}");
	assert_int_equal(count(hear(&w, &f), "sync"), 1);
	post(&w, "lobby", "unseen");
	feed(&w);
	assert_string_equal(hear(&w, &f), "");
	/* The position moved without an event: told, but not at once. */
	pass(&w, SESSION_SYNC_MS);
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	(void)clock_print_pos(head, pos);
	text = hear(&w, &f);
	assert_int_equal(count(text, "sync"), 1);
	assert_non_null(strstr(text, pos));
	say(&f, "{\"type\":\"subscribe\",\"payload\":{\"rooms\":[\"lobby\"]}}");
	post(&w, "lobby", "seen");
	feed(&w);
	assert_int_equal(count(hear(&w, &f), "NEW_MESSAGE"), 1);
	leave(&f);
	close_world(&w);
}

/*
 * What was committed before a client came it has missed, whether or not this
 * process has read it: the sync does not come before.
 */
static void
test_sync_behind_the_log(void **state)
{
	struct world w;
	struct fake f, other;
	char rest[100], pos[CLOCK_POS_SIZE];
	const char *text;
	int64_t head;

	(void)state;
	open_world(&w, NULL);
	feed(&w);
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	(void)snprintf(rest, sizeof(rest), "lastTimestamp=%s",
	    clock_print_pos(head, pos));
	post(&w, "lobby", "missed");
	join_as(&w, &f, "alice", rest, 1);
	assert_string_equal(hear(&w, &f), "");
	pass(&w, 60);
	assert_string_equal(hear(&w, &f), "");
	/* Nor because of another wish: one sync answers both. */
	say(&f, "{\"type\":\"subscribe\",\"payload\":{\"rooms\":null}}");
	assert_string_equal(hear(&w, &f), "");
	feed(&w);
	text = hear(&w, &f);
	assert_int_equal(count(text, "\n"), 2);
	assert_true(strstr(text, "missed") < strstr(text, "\"sync\""));
	leave(&f);
	/* What is not for her moves her position as well. */
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	(void)snprintf(rest, sizeof(rest), "lastTimestamp=%s",
	    clock_print_pos(head, pos));
	post(&w, "den", "not for her");
	join_as(&w, &f, "alice", rest, 1);
	assert_string_equal(hear(&w, &f), "");
	feed(&w);
	assert_string_equal(hear(&w, &f), "");
	pass(&w, 60);
	assert_int_equal(eventlog_head(w.db.st, &head), 0);
	text = hear(&w, &f);
	assert_int_equal(count(text, "sync"), 1);
	assert_non_null(strstr(text, clock_print_pos(head, pos)));
	/* The state has what was committed before it; that is not told again. */
	post(&w, "lobby", "before");
	join_as(&w, &other, "alice", "", 1);
	assert_int_equal(count(hear(&w, &other), "ROOM_CREATED"), 2);
	assert_int_equal(count(buf_str(&w.text), "sync"), 1);
	feed(&w);
	assert_string_equal(hear(&w, &other), "");
	post(&w, "lobby", "behind");
	feed(&w);
	assert_int_equal(count(hear(&w, &other), "NEW_MESSAGE"), 1);
	assert_int_equal(count(hear(&w, &f), "NEW_MESSAGE"), 2);
	leave(&f);
	leave(&other);
	close_world(&w);
}

/* The present state and a backlog go out whole, in bounded writes. */
static void
test_bounds(void **state)
{
	struct world w;
	struct fake f;
	int i, writes = 0, rooms = 0;

	(void)state;
	open_world(&w, NULL);
	testdb_site(&w.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
	    "i + 1 FROM n WHERE i < 2000) INSERT INTO rooms(id, name, "
	    "is_private, created_by) SELECT 'r' || i, 'a room with a name', 0, "
	    "'bob' FROM n");
	feed(&w);
	join_as(&w, &f, "alice", "", 1);
	while (f.wants) {
		buf_reset(&w.text);
		write_once(&w, &f);
		assert_true(w.out.len <= SESSION_WRITE_MAX);
		decode(&w);
		rooms += count(buf_str(&w.text), "ROOM_CREATED");
		writes++;
	}
	assert_int_equal(rooms, 2002);
	assert_true(writes > 2);
	for (i = 0; i < 600; i++)
		post(&w, "lobby", "one of many");
	feed(&w);
	assert_int_equal(count(hear(&w, &f), "NEW_MESSAGE"), 600);
	leave(&f);
	/* What is longer than one write goes out in one of its own. */
	testdb_site(&w.db, "UPDATE rooms SET description = "
	    "hex(zeroblob(50000)) WHERE id = 'lobby'");
	feed(&w);
	join_as(&w, &f, "alice", "", 1);
	assert_int_equal(count(hear(&w, &f), "ROOM_CREATED"), 2002);
	assert_int_equal(count(buf_str(&w.text), "\"sync\""), 1);
	leave(&f);
	close_world(&w);
}

/* Who connects and takes nothing has its state waiting here. */
static void
test_states(void **state)
{
	enum { FIT = 8 };	/* of 12 MiB, in buffers of 16 */
	struct world w;
	struct fake f[FIT + 1];
	int i, taken = 0;

	(void)state;
	open_world(&w, NULL);
	testdb_site(&w.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
	    "i + 1 FROM n WHERE i < 120) INSERT INTO rooms(id, name, "
	    "description) SELECT 'r' || i, 'R', hex(zeroblob(50000)) FROM n");
	feed(&w);
	for (i = 0; i <= FIT; i++) {
		join_as(&w, &f[i], "alice", "", 1);
		write_once(&w, &f[i]);
		assert_int_equal(f[i].code, i < FIT ? 0 : 1013);
		if (i == 0) {
			buf_reset(&w.text);
			decode(&w);
			taken = count(buf_str(&w.text), "ROOM_CREATED");
		}
	}
	leave(&f[FIT]);
	/* A legacy client needs none. */
	join_as(&w, &f[FIT], "alice", "", 0);
	assert_int_equal(f[FIT].code, 0);
	leave(&f[FIT]);
	assert_int_equal(count(hear(&w, &f[0]), "ROOM_CREATED") + taken, 122);
	join_as(&w, &f[FIT], "alice", "", 1);
	write_once(&w, &f[FIT]);
	assert_int_equal(f[FIT].code, 0);
	leave(&f[FIT]);
	leave(&f[1]);
	join_as(&w, &f[1], "alice", "", 1);
	write_once(&w, &f[1]);
	assert_int_equal(f[1].code, 0);
	assert_int_equal(stats_get(w.shm, STATS_ws_refused), 1);
	for (i = 0; i < FIT; i++)
		leave(&f[i]);
	close_world(&w);
}

/* --- what is received --- */

static void
test_pieces(void **state)
{
	struct world w;
	struct fake f;
	const char *text = "{\"type\":\"ping\",\"payload\":[1]}";
	size_t i, len = strlen(text);
	char *big;

	(void)state;
	open_world(&w, "ws.max_message = 2000\n");
	join_as(&w, &f, "alice", "", 0);
	for (i = 0; i < len; i++)
		session_receive(f.s, text + i, 1, i == 0, i == len - 1, 0);
	assert_string_equal(hear(&w, &f),
	    "{\"type\":\"pong\",\"payload\":[1]}\n");
	session_receive(f.s, text, len, 1, 1, 1);	/* binary */
	say(&f, "not JSON");
	say(&f, "{\"type\":\"send\"}");
	assert_string_equal(hear(&w, &f), "");
	assert_int_equal(stats_get(w.shm, STATS_ws_ignored), 3);
	big = calloc(1, 2001);
	assert_non_null(big);
	memset(big, ' ', 2000);
	say(&f, big);
	assert_int_equal(f.code, 0);
	session_receive(f.s, big, 1000, 1, 0, 0);
	session_receive(f.s, big, 1001, 0, 0, 0);
	assert_int_equal(f.code, 1009);
	leave(&f);
	join_raw(&w, &f, "", 1, NULL);
	session_receive(f.s, big, 2000, 1, 1, 0);
	leave(&f);
	free(big);
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_auth_frame),
		cmocka_unit_test(test_provision),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_sends_limit),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_sync_behind_the_log),
		cmocka_unit_test(test_pieces)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
