/*
 * From a request to its reply: paths, methods, CORS, tokens, and the handlers,
 * on a real database, in the manner of one CGI request after another.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../fcgi-poll/app.h"
#include "../../fcgi-poll/handler.h"
#include "../../fcgi-poll/hold.h"
#include "../../fcgi-poll/park.h"
#include "../../fcgi-poll/reply.h"
#include "../../fcgi-poll/request.h"
#include "../../fcgi-poll/route.h"
#include "auth.h"
#include "clock.h"
#include "lease.h"
#include "shm.h"
#include "stats.h"
#include "testdb.h"

struct world {
	struct testdb	 db;
	struct app	 app;
	struct handler	 h;
	char		 alice[AUTH_MAX_TOKEN], bob[AUTH_MAX_TOKEN];
	char		 ghost[AUTH_MAX_TOKEN], meter[AUTH_MAX_TOKEN];
};

static void
sign(struct world *w, const char *user, const char *scope, char *ret)
{
	char *token;

	assert_int_equal(auth_sign(w->h.auth, user, scope, clock_wall_s(), 600,
	    &token), 0);
	(void)snprintf(ret, AUTH_MAX_TOKEN, "Bearer %s", token);
	free(token);
}

static struct world *
open_world(const char *extra)
{
	struct world *w;
	char path[512], why[512];
	FILE *f;

	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	testdb_open(&w->db, extra);
	(void)snprintf(path, sizeof(path), "%s/jwt.key", w->db.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs("0123456789abcdef0123456789abcdef", f);
	(void)fclose(f);
	testdb_site(&w->db, "INSERT INTO users(id, name) VALUES "
	    "('alice', 'A'), ('bob', 'B');"
	    "INSERT INTO rooms(id, name, is_private, created_by) VALUES "
	    "('pub', 'P', 0, 'alice'), ('priv', 'Q', 1, 'alice');"
	    "INSERT INTO messages(id, room_id, sender_id, content) VALUES "
	    "('m1', 'pub', 'bob', 'one'), ('m2', 'pub', 'bob', 'two')");
	w->app.conf = &w->db.conf;
	assert_int_equal(shm_open_private(SHM_POLL, &w->app.shm), 0);
	assert_int_equal(handler_open(&w->app, NULL, &w->h, why,
	    sizeof(why)), 0);
	sign(w, "alice", NULL, w->alice);
	sign(w, "bob", NULL, w->bob);
	sign(w, "ghost", NULL, w->ghost);
	sign(w, "prometheus", "metrics", w->meter);
	return w;
}

static void
close_world(struct world *w)
{
	handler_close(&w->h);
	shm_close(w->app.shm);
	testdb_close(&w->db);
	free(w);
}

static int
setup(void **state)
{
	*state = open_world("cors.origins = https://a.example\n"
	    "limit.poll_per_s = 0\n");
	return 0;
}

static int
teardown(void **state)
{
	close_world(*state);
	return 0;
}

/* Asks and returns the whole answer as CGI, the caller's to free. */
static char *
ask(struct world *w, enum request_method method, const char *path,
    const char *query, const char *auth, const char *origin, const char *addr)
{
	struct request req = {
		.method = method, .path = path, .query = query,
		.authorization = auth != NULL ? auth : "",
		.origin = origin != NULL ? origin : "",
		.remote_addr = addr != NULL ? addr : "192.0.2.1"
	};
	struct later later;
	struct reply rep;
	struct buf out;
	char *text;

	reply_init(&rep);
	route_handle(&w->h, &req, &rep, &later);
	assert_null(later.hold);
	assert_null(later.errand);
	buf_init(&out, 1 << 20);
	reply_print_cgi(&rep, &out);
	reply_release(&rep);
	text = buf_take(&out, NULL);
	assert_non_null(text);
	return text;
}

static void
assert_answer(struct world *w, const char *path, const char *query,
    const char *auth, int status, const char *part)
{
	char want[32], *got;

	got = ask(w, METHOD_GET, path, query, auth, NULL, NULL);
	(void)snprintf(want, sizeof(want), "Status: %d ", status);
	if (strncmp(got, want, strlen(want)) != 0 ||
	    strstr(got, part) == NULL)
		fail_msg("%s?%s: want %d and %s, got %s", path, query, status,
		    part, got);
	free(got);
}

#define BASE	"/api/realtime/"

static void
test_name(void **state)
{
	static const struct {
		const char *path, *name;
	} table[] = {
		{ "/api/realtime/poll", "poll" },
		{ "/site/api/realtime/poll", "poll" },
		{ "/api/realtime/x/api/realtime/status", "status" },
		{ "/api/realtime/", "" },
		{ "/api/realtime", NULL },
		{ "/", NULL },
		{ "", NULL },
	};
	const char *name;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		name = route_name(table[i].path);
		if (table[i].name == NULL)
			assert_null(name);
		else
			assert_string_equal(name, table[i].name);
	}
}

static void
test_methods(void **state)
{
	struct world *w = *state;
	char *got;

	got = ask(w, METHOD_OTHER, BASE "poll", "", w->alice, NULL, NULL);
	assert_non_null(strstr(got, "Status: 405"));
	assert_non_null(strstr(got, "Allow: GET, HEAD, OPTIONS\r\n"));
	assert_non_null(strstr(got, "\"method\""));
	free(got);
	got = ask(w, METHOD_OPTIONS, BASE "nothing", "", NULL, NULL, NULL);
	assert_non_null(strstr(got, "Status: 404"));
	free(got);
	got = ask(w, METHOD_HEAD, BASE "poll", "", w->alice, NULL, NULL);
	assert_non_null(strstr(got, "Status: 200"));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
	free(got);
	assert_answer(w, BASE "poll/", "", w->alice, 404, "not_found");
	assert_answer(w, "/else", "", NULL, 404, "not_found");
	assert_int_equal(stats_get(w->app.shm, STATS_requests), 5);
	assert_int_equal(stats_get(w->app.shm, STATS_requests_bad), 4);
}

static void
test_cors(void **state)
{
	static const struct {
		enum request_method method;
		const char *origin;
		const char *has, *has_not;
	} table[] = {
		{ METHOD_OPTIONS, "https://a.example",
		    "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n",
		    "Credentials" },
		{ METHOD_OPTIONS, "https://b.example", "Status: 204",
		    "Access-Control" },
		{ METHOD_GET, "https://a.example",
		    "Access-Control-Allow-Origin: https://a.example\r\n",
		    "Allow-Methods" },
		{ METHOD_GET, "https://b.example", "Status: 200",
		    "Access-Control" },
		{ METHOD_GET, NULL, "Vary: Authorization, Origin\r\n",
		    "Access-Control" },
	};
	struct world *w = *state;
	size_t i;
	char *got;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		got = ask(w, table[i].method, BASE "status", "", NULL,
		    table[i].origin, NULL);
		assert_non_null(strstr(got, table[i].has));
		assert_null(strstr(got, table[i].has_not));
		free(got);
	}
}

static void
test_cors_all(void **state)
{
	struct world *w = open_world("cors.origins = *\n");
	char *got;

	(void)state;
	got = ask(w, METHOD_GET, BASE "poll", "", NULL, "https://x.example",
	    NULL);
	assert_non_null(strstr(got, "Status: 401"));
	assert_non_null(strstr(got, "Access-Control-Allow-Origin: *\r\n"));
	free(got);
	close_world(w);
}

static void
test_poll(void **state)
{
	struct world *w = *state;
	const struct {
		const char *query, *auth;
		int status;
		const char *part;
	} table[] = {
		{ "limit=0", w->alice, 400, "bad_request" },
		{ "timeout=soon", w->alice, 400, "bad_request" },
		{ "client=%20", w->alice, 400, "bad_request" },
		{ "", NULL, 401, "\"missing_token\"" },
		{ "", "Basic eDp5", 401, "\"missing_token\"" },
		{ "", "Bearer nonsense", 401, "\"invalid_token\"" },
		{ "", w->ghost, 401, "\"revoked\"" },
		{ "", w->alice, 200, "\"type\":\"ROOM_CREATED\"" },
		{ "lastMessageId=m1", w->alice, 200,
		    "{\"events\":[{\"type\":\"NEW_MESSAGE\",\"payload\":"
		    "{\"id\":\"m2\"" },
		{ "lastMessageId=m1&limit=1", w->alice, 200,
		    "\"more\":true" },
		{ "lastMessageId=never", w->alice, 200,
		    "\"reset\":\"unknown\"" },
		{ "lastMessageId=never", w->alice, 200, "\"SYNC\"" },
		{ "lastTimestamp=2001-01-01T00:00:00Z", w->alice, 200,
		    "\"reset\":\"expired\"" },
		{ "lastTimestamp=2999-01-01T00:00:00Z", w->alice, 200,
		    "\"reset\":\"ahead\"" },
		/* a process that ends with the request holds nothing */
		{ "lastMessageId=m2&timeout=20", w->alice, 200, "timestamp" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_answer(w, BASE "poll", table[i].query, table[i].auth,
		    table[i].status, table[i].part);
	assert_int_equal(stats_get(w->app.shm, STATS_auth_failures), 4);
	assert_int_equal(stats_get(w->app.shm, STATS_resets), 4);
}

static void
test_apache(void **state)
{
	struct request req = {
		.method = METHOD_GET, .path = BASE "poll", .query = "",
		.authorization = "", .origin = "", .remote_addr = "",
		.is_apache = 1
	};
	struct world *w = *state;
	struct later later;
	struct reply rep;

	reply_init(&rep);
	route_handle(&w->h, &req, &rep, &later);
	assert_int_equal(rep.status, 401);
	assert_non_null(strstr(buf_str(&rep.body), "CGIPassAuth On"));
	reply_release(&rep);
}

static void
test_rate(void **state)
{
	struct world *w = open_world("limit.poll_per_s = 1\n");
	char *got = NULL;
	int i;

	(void)state;
	/* Two may come at once; a slow machine may let a third pass. */
	for (i = 0; i < 100; i++) {
		free(got);
		got = ask(w, METHOD_GET, BASE "poll", "", w->alice, NULL, NULL);
		if (strstr(got, "Status: 429") != NULL)
			break;
	}
	assert_in_range(i, 2, 99);
	assert_non_null(strstr(got, "Retry-After: 1\r\n"));
	free(got);
	assert_answer(w, BASE "poll", "", w->bob, 200, "events");
	assert_int_equal(stats_get(w->app.shm, STATS_rate_limited), 1);
	close_world(w);
}

static void
test_provision(void **state)
{
	struct world *w = open_world("auth.provision = yes\n");

	(void)state;
	assert_answer(w, BASE "poll", "", w->ghost, 200, "events");
	close_world(w);
}

static void
test_history(void **state)
{
	struct world *w = *state;

	assert_answer(w, BASE "history", "", w->alice, 400, "roomId");
	assert_answer(w, BASE "history", "roomId=pub", NULL, 401, "missing");
	assert_answer(w, BASE "history", "roomId=pub", w->bob, 200, "\"m1\"");
	assert_answer(w, BASE "history", "roomId=pub&before=m1", w->bob, 200,
	    "{\"messages\":[],\"more\":false}");
	assert_answer(w, BASE "history", "roomId=pub&before=x", w->bob, 404,
	    "before");
	assert_answer(w, BASE "history", "roomId=priv", w->bob, 403,
	    "forbidden_room");
	assert_answer(w, BASE "history", "roomId=priv", w->alice, 200,
	    "messages");
	assert_answer(w, BASE "history", "roomId=none", w->alice, 404, "room");
}

static void
test_status(void **state)
{
	struct world *w = *state;

	assert_answer(w, BASE "status", "", NULL, 200,
	    "{\"websocket_available\":false,\"longpolling_available\":true,"
	    "\"recommended\":\"polling\",\"max_wait_s\":0}");
	assert_true(lease_beat(w->db.st, "ws", 1, clock_wall_ms()) >= 0);
	assert_answer(w, BASE "status", "", NULL, 200,
	    "\"websocket_available\":true");
	assert_answer(w, BASE "status", "", NULL, 200,
	    "\"recommended\":\"websocket\"");
	assert_true(lease_beat(w->db.st, "ws", 1,
	    clock_wall_ms() - 11000) >= 0);
	assert_answer(w, BASE "status", "", NULL, 200,
	    "\"websocket_available\":false");
}

static void
test_metrics(void **state)
{
	static const struct {
		const char *addr;
		int is_open;
	} table[] = {
		{ "127.0.0.1", 1 }, { "127.9.9.9", 1 }, { "::1", 1 },
		{ "::ffff:127.0.0.1", 1 }, { "192.0.2.1", 0 }, { "", 0 },
		{ "::2", 0 }, { "1127.0.0.1", 0 },
	};
	struct world *w = *state;
	size_t i;
	char *got;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		got = ask(w, METHOD_GET, BASE "metrics", "", NULL, NULL,
		    table[i].addr);
		assert_non_null(strstr(got, table[i].is_open ?
		    "sidewire_polls_total" : "Status: 401"));
		free(got);
	}
	assert_answer(w, BASE "metrics", "", w->alice, 403,
	    "scope=\"metrics\"");
	assert_answer(w, BASE "metrics", "", w->meter, 200,
	    "text/plain; version=0.0.4");
}

/* Losing the database is a passing condition: 503, and back again. */
static void
test_database_fails(void **state)
{
	struct world *w = *state;
	char old[400];

	testdb_site(&w->db, "PRAGMA journal_mode = WAL");
	(void)snprintf(old, sizeof(old), "%s.gone", w->db.path);
	assert_int_equal(rename(w->db.path, old), 0);
	w->app.generation++;	/* as the tail would */
	assert_answer(w, BASE "poll", "", w->alice, 503, "\"busy\"");
	assert_answer(w, BASE "status", "", NULL, 503, "Retry-After: 1");
	assert_int_equal(w->app.is_db_down, 1);
	assert_int_equal(rename(old, w->db.path), 0);
	assert_answer(w, BASE "poll", "", w->alice, 200, "events");
	assert_int_equal(w->app.is_db_down, 0);
	assert_int_equal(stats_get(w->app.shm, STATS_requests_failed), 2);
}

/* The hold of a poll that waits, taken from the one it was on its way to. */
static int64_t
hold_position(struct world *w, const char *query)
{
	struct request req = {
		.method = METHOD_GET, .path = BASE "poll", .query = query,
		.authorization = w->alice, .origin = "",
		.remote_addr = "192.0.2.1"
	};
	struct later later;
	struct hold *hold;
	struct reply rep;
	int64_t pos;

	reply_init(&rep);
	route_handle(&w->h, &req, &rep, &later);
	reply_release(&rep);
	hold = later.hold;
	assert_non_null(hold);
	pos = hold->pos;
	assert_int_equal(hold->cursor, pos);
	hold_free(hold);
	return pos;
}

/* A message that came by a socket may be newer than what the tail has read. */
static void
test_later_cursor(void **state)
{
	struct world *w = *state;
	char why[512], ts[CLOCK_POS_SIZE], query[128];
	int64_t head;

	/* So that presence writes nothing later. */
	assert_answer(w, BASE "poll", "", w->alice, 200, "events");
	w->app.max_held_here = 10;
	assert_int_equal(park_open(&w->app, &w->app.park, why, sizeof(why)), 0);
	head = park_head(w->app.park);
	(void)clock_print_pos(head, ts);
	(void)snprintf(query, sizeof(query), "timeout=20&lastTimestamp=%s", ts);
	assert_int_equal(hold_position(w, query), head);
	testdb_site(&w->db, "INSERT INTO messages(id, room_id, sender_id, "
	    "content) VALUES ('m3', 'pub', 'bob', 'three')");
	assert_int_equal(park_head(w->app.park), head);
	(void)snprintf(query, sizeof(query),
	    "timeout=20&lastMessageId=m3&lastTimestamp=%s", ts);
	assert_true(hold_position(w, query) > head);
	park_close(w->app.park);
	w->app.park = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
#define WORLD(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
		WORLD(test_methods),
		WORLD(test_cors),
		cmocka_unit_test(test_cors_all),
		WORLD(test_poll),
		WORLD(test_apache),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_provision),
		WORLD(test_history),
		WORLD(test_status),
		WORLD(test_metrics),
		WORLD(test_database_fails),
		WORLD(test_later_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
