/*
 * session: what ends one: floods, silence, data not taken, expiry, removal, drains.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "wsworld.h"

static void
test_flood(void **state)
{
	struct world w;
	struct fake f;
	char text[3000];
	int i;

	(void)state;
	open_world(&w, "limit.frame_per_s = 5\nws.max_message = 2048\n");
	join_as(&w, &f, "alice", "", 0);
	for (i = 0; i < 10; i++)
		say(&f, "{\"type\":\"ping\"}");
	assert_int_equal(f.code, 0);
	say(&f, "{\"type\":\"ping\"}");
	assert_int_equal(f.code, 4429);
	leave(&f);
	/* Those that are ignored count as well. */
	join_as(&w, &f, "alice", "", 0);
	for (i = 0; i < 10; i++)
		session_receive(f.s, "x", 1, 1, 1, i % 2);
	assert_int_equal(f.code, 0);
	session_receive(f.s, "x", 1, 1, 1, 1);
	assert_int_equal(f.code, 4429);
	assert_int_equal(stats_get(w.shm, STATS_ws_ignored), 10);
	leave(&f);
	/* Answers that are not fetched have a bound in bytes. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "{\"type\":\"ping\",\"payload\":\"", 26);
	memcpy(text + 2000, "\"}", 3);
	join_as(&w, &f, "alice", "", 0);
	for (i = 0; i < 4; i++)
		say(&f, text);
	assert_int_equal(f.code, 0);
	say(&f, text);
	assert_int_equal(f.code, 4429);
	leave(&f);
	close_world(&w);
}

/* --- how it ends --- */

static void
test_silence(void **state)
{
	struct world w;
	struct fake f, g;

	(void)state;
	open_world(&w, "ws.ping_s = 25\nws.hangup_s = 10\n");
	join_as(&w, &f, "alice", "", 0);
	pass(&w, 24999);
	assert_false(f.wants);
	pass(&w, 1);
	assert_string_equal(hear(&w, &f), "PING\n");
	pass(&w, 5000);
	session_heard(f.s);
	pass(&w, 24000);
	assert_string_equal(hear(&w, &f), "");
	pass(&w, 1000);
	assert_string_equal(hear(&w, &f), "PING\n");
	pass(&w, 9999);
	assert_int_equal(f.is_killed, 0);
	pass(&w, 1);
	assert_int_equal(f.is_killed, 1);
	leave(&f);
	/* Any frame is a sign of life. */
	join_as(&w, &f, "alice", "", 0);
	pass(&w, 20000);
	say(&f, "nonsense");
	pass(&w, 20000);
	assert_false(f.wants);
	leave(&f);
	/* Who came within the same second is pinged in the same turn. */
	pass(&w, 300);
	join_as(&w, &f, "alice", "", 0);
	pass(&w, 400);
	join_as(&w, &g, "bob", "", 0);
	pass(&w, 25299);
	assert_false(f.wants || g.wants);
	pass(&w, 1);
	assert_string_equal(hear(&w, &f), "PING\n");
	assert_string_equal(hear(&w, &g), "PING\n");
	leave(&f);
	leave(&g);
	close_world(&w);
}

static void
test_stall(void **state)
{
	struct world w;
	struct fake f, slow;
	int i;

	(void)state;
	open_world(&w, "ws.ping_s = 3600\n");
	feed(&w);
	join_as(&w, &f, "alice", "", 0);
	join_as(&w, &slow, "alice", "", 0);
	post(&w, "lobby", "x");
	feed(&w);
	for (i = 0; i < 60; i++) {
		slow.progress++;	/* takes a little all the time */
		pass(&w, 1000);
		if (i < SESSION_STALL_MS / 1000 - 1)
			assert_int_equal(f.code, 0);
	}
	assert_int_equal(f.code, 4408);
	assert_int_equal(slow.code, 0);
	assert_int_equal(stats_get(w.shm, STATS_ws_slow), 1);
	assert_int_equal(f.is_killed, 1);	/* and does not close either */
	assert_int_equal(count(hear(&w, &slow), "NEW_MESSAGE"), 1);
	pass(&w, 60000);
	assert_int_equal(slow.code, 0);
	leave(&f);
	leave(&slow);
	close_world(&w);
}

static void
test_expiry(void **state)
{
	struct world w;
	struct fake f, legacy;
	char *query, *token, text[1000];

	(void)state;
	open_world(&w, "ws.ping_s = 3600\n");
	query = with_token(&w, "alice", 100, "");
	join_raw(&w, &f, query, 1, NULL);
	join_raw(&w, &legacy, query, 0, NULL);
	free(query);
	(void)hear(&w, &f);
	pass(&w, 39000);
	assert_null(strstr(hear(&w, &f), "auth_expiring"));
	pass(&w, 1000);
	assert_non_null(strstr(hear(&w, &f), "{\"type\":\"auth_expiring\""));
	pass(&w, 1000);
	assert_string_equal(hear(&w, &f), "");
	assert_string_equal(hear(&w, &legacy), "");
	assert_int_equal(auth_sign(w.auth, "alice", NULL, w.wall_s, 100,
	    &token), 0);
	(void)snprintf(text, sizeof(text),
	    "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
	free(token);
	say(&f, text);
	assert_non_null(strstr(hear(&w, &f), "auth_ok"));
	pass(&w, 59000);
	assert_int_equal(f.code, 0);
	assert_int_equal(legacy.code, 1008);
	assert_string_equal(legacy.reason, "Token expired");
	assert_non_null(strstr(hear(&w, &f), "auth_expiring"));
	pass(&w, 60000);
	assert_int_equal(f.code, 1008);
	leave(&f);
	leave(&legacy);
	close_world(&w);
}

static void
test_removed(void **state)
{
	struct world w;
	struct fake f;

	(void)state;
	open_world(&w, NULL);
	feed(&w);
	join_as(&w, &f, "alice", "", 0);
	testdb_site(&w.db, "DELETE FROM users WHERE id = 'alice'");
	feed(&w);
	(void)hear(&w, &f);
	assert_int_equal(f.code, 1008);
	assert_string_equal(f.reason, "Revoked");
	leave(&f);
	close_world(&w);
}

static void
test_drain(void **state)
{
	struct world w;
	struct fake f[3];
	int i;

	(void)state;
	open_world(&w, NULL);
	for (i = 0; i < 2; i++)
		join_as(&w, &f[i], "alice", "", i);
	say(&f[0], "{\"type\":\"bye\"}");
	assert_int_equal(f[0].code, 1000);
	clients_drain(w.clients, SESSION_CLOSE_RESTART);
	assert_true(clients_is_draining(w.clients));
	assert_int_equal(f[1].code, 1012);
	join_as(&w, &f[2], "bob", "", 0);
	assert_int_equal(f[2].code, 1012);
	for (i = 1; i < 3; i++) {
		assert_int_equal(strncmp(f[i].reason, "retry=", 6), 0);
		assert_true(f[i].reason[6] >= '1' && f[i].reason[6] <= '5');
		assert_int_equal(f[i].reason[7], '\0');
	}
	/* One that does not answer the close is dropped. */
	pass(&w, SESSION_CLOSE_MS);
	assert_int_equal(f[1].is_killed, 1);
	assert_true(clients_next_ms(w.clients) > w.mono_ms);
	for (i = 0; i < 3; i++)
		leave(&f[i]);
	assert_true(clients_next_ms(w.clients) == INT64_MAX);
	close_world(&w);
}

static void
test_replaced(void **state)
{
	struct world w;
	struct fake f;

	(void)state;
	open_world(&w, NULL);
	join_as(&w, &f, "alice", "", 0);
	clients_replaced(w.clients, tail_store(w.tail), tail_head(w.tail));
	assert_int_equal(f.code, 1012);
	leave(&f);
	join_as(&w, &f, "alice", "", 0);
	assert_int_equal(f.code, 0);
	leave(&f);
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_replaced)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
