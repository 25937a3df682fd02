/*
 * session and clients - whole clients without a library: a real database, a
 * real tail, real tokens; only the connection is made up, and the time is ours.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>

#include "../../ws-sidecar/clients.h"
#include "../../ws-sidecar/session.h"
#include "auth.h"
#include "buf.h"
#include "clock.h"
#include "eventlog.h"
#include "presence.h"
#include "query.h"
#include "shm.h"
#include "stats.h"
#include "tail.h"
#include "testdb.h"
#include "writer.h"

struct fake {			/* a connection */
	int		 wants;
	int		 code;
	char		 reason[64];
	int		 is_killed;
	uint64_t	 progress;
	struct session	*s;
};

struct world {
	struct testdb	 db;
	struct auth	*auth;
	struct shm	*shm;
	struct writer	*writer;
	struct presence	*presence;
	struct tail	*tail;
	struct clients	*clients;
	int64_t		 mono_ms, wall_s;
	pthread_mutex_t	 lock;
	pthread_cond_t	 cond;
	int		 notified;
	struct buf	 out, text;
};

static void
want_write(void *conn)
{
	((struct fake *)conn)->wants = 1;
}

static void
close_conn(void *conn, int code, const char *reason)
{
	struct fake *f = conn;

	assert_int_equal(f->code, 0);		/* called once */
	f->code = code;
	(void)snprintf(f->reason, sizeof(f->reason), "%s", reason);
}

static void
kill_conn(void *conn)
{
	((struct fake *)conn)->is_killed++;
}

static uint64_t
progress(void *conn)
{
	return ((struct fake *)conn)->progress;
}

static const struct session_ops ops = {
	want_write, close_conn, kill_conn, progress
};

static void
notify(void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->notified = 1;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void
on_batch(struct event *const *ev, size_t n, void *arg)
{
	clients_feed(((struct world *)arg)->clients, ev, n);
}

static void
on_replaced(void *arg)
{
	(void)arg;
	fail_msg("the database was not replaced");
}

static const struct tail_ops tail_ops = { on_batch, on_replaced, NULL };

static void
pass(struct world *w, int64_t ms)
{
	w->mono_ms += ms;
	w->wall_s += ms / 1000;
	clients_set_time(w->clients, w->mono_ms, w->wall_s);
	clients_expire(w->clients);
}

static void
open_world(struct world *w, const char *extra)
{
	struct clients_env env = { 0 };
	char path[300], why[512];
	FILE *fp;

	memset(w, 0, sizeof(*w));
	testdb_open(&w->db, extra);
	testdb_site(&w->db, "INSERT INTO users(id, name, email) VALUES "
	    "('alice','Alice','a@x'), ('bob','Bob','b@x');"
	    "INSERT INTO rooms(id, name, is_private, created_by) VALUES "
	    "('lobby','Lobby',0,'bob'), ('den','Den',1,'bob');");
	(void)snprintf(path, sizeof(path), "%s/jwt.key", w->db.dir);
	fp = fopen(path, "w");
	assert_non_null(fp);
	(void)fprintf(fp, "0123456789abcdef0123456789abcdef");
	(void)fclose(fp);
	assert_int_equal(auth_open(&w->db.conf, &w->auth, why, sizeof(why)), 0);
	assert_int_equal(shm_open_private(SHM_SIDECAR, &w->shm), 0);
	assert_int_equal(writer_open(&w->db.conf, w->shm, &w->writer, why,
	    sizeof(why)), 0);
	assert_int_equal(presence_open(&w->db.conf, w->writer, w->shm,
	    "ws:test", &w->presence), 0);
	assert_int_equal(tail_open(&w->db.conf, &tail_ops, w, &w->tail, why,
	    sizeof(why)), 0);
	assert_int_equal(pthread_mutex_init(&w->lock, NULL), 0);
	assert_int_equal(pthread_cond_init(&w->cond, NULL), 0);
	env.conf = &w->db.conf;
	env.auth = w->auth;
	env.shm = w->shm;
	env.presence = w->presence;
	env.writer = w->writer;
	env.ops = &ops;
	env.notify = notify;
	env.notify_arg = w;
	assert_int_equal(clients_open(&env, tail_store(w->tail),
	    tail_head(w->tail), &w->clients), 0);
	w->mono_ms = 1000000;
	w->wall_s = clock_wall_s();
	buf_init(&w->out, 1 << 25);
	buf_init(&w->text, 1 << 25);
	pass(w, 0);
}

static void
close_world(struct world *w)
{
	assert_int_equal(clients_count(w->clients), 0);
	assert_int_equal(shm_connections(w->shm), 0);
	presence_close(w->presence);
	writer_close(w->writer);
	clients_close(w->clients);
	tail_close(w->tail);
	auth_close(w->auth);
	shm_close(w->shm);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->cond);
	buf_release(&w->out);
	buf_release(&w->text);
	testdb_close(&w->db);
}

/* Runs the tail until it has read all that is committed. */
static void
feed(struct world *w)
{
	struct pollfd pfd = { .events = POLLIN };
	int64_t head, until = clock_mono_ms() + 10000;

	assert_int_equal(eventlog_head(w->db.st, &head), 0);
	while (tail_head(w->tail) < head) {
		assert_true(clock_mono_ms() < until);
		pfd.fd = tail_fd(w->tail);
		(void)poll(&pfd, 1, 1);
		assert_int_equal(tail_step(w->tail), 0);
	}
}

/* A query string with a token for user, ttl seconds long; to be freed. */
static char *
with_token(struct world *w, const char *user, int64_t ttl, const char *rest)
{
	char *token, *ret;

	assert_int_equal(auth_sign(w->auth, user, NULL, w->wall_s, ttl,
	    &token), 0);
	assert_true(asprintf(&ret, "token=%s&%s", token, rest) > 0);
	free(token);
	return ret;
}

static void
join_raw(struct world *w, struct fake *f, const char *query, int is_v1,
    const char *authorization)
{
	struct session_request req = { authorization, is_v1, "192.0.2.1" };
	struct query q;
	const char *why;

	memset(f, 0, sizeof(*f));
	assert_int_equal(query_parse(query, strlen(query), &q, &why), 0);
	assert_int_equal(session_new(w->clients, f, &req, &q, &f->s), 0);
}

static void
join_as(struct world *w, struct fake *f, const char *user, const char *rest,
    int is_v1)
{
	char *query = with_token(w, user, 3600, rest);

	join_raw(w, f, query, is_v1, NULL);
	free(query);
}

static void
leave(struct fake *f)
{
	session_free(f->s, 0);
	f->s = NULL;
}

static void
say(struct fake *f, const char *text)
{
	session_receive(f->s, text, strlen(text), 1, 1, 0);
}

/* Decodes server frames (RFC 6455 section 5.2) to lines. */
static void
decode(struct world *w)
{
	const unsigned char *p = (const unsigned char *)w->out.p;
	size_t at = 0, len, i, n;

	while (at < w->out.len) {
		len = p[at + 1];
		assert_true(len < 128);		/* not masked */
		n = len < 126 ? 0 : len == 126 ? 2 : 8;
		if (n > 0)
			for (len = 0, i = 0; i < n; i++)
				len = len << 8 | p[at + 2 + i];
		assert_true(at + 2 + n + len <= w->out.len);
		if (p[at] == 0x89)
			buf_adds(&w->text, "PING");
		else
			assert_int_equal(p[at], 0x81);
		if (p[at] == 0x81)
			buf_add(&w->text, p + at + 2 + n, len);
		buf_addc(&w->text, '\n');
		at += 2 + n + len;
	}
}

/* What the client is sent now, one line for each message. */
static const char *
hear(struct world *w, struct fake *f)
{
	buf_reset(&w->text);
	while (f->wants) {
		f->wants = 0;
		buf_reset(&w->out);
		session_write(f->s, &w->out);
		decode(w);
	}
	assert_int_equal(buf_err(&w->text), 0);
	return buf_str(&w->text);
}

static int
count(const char *text, const char *word)
{
	int n = 0;

	for (text = strstr(text, word); text != NULL;
	    text = strstr(text + 1, word))
		n++;
	return n;
}

static void
post(struct world *w, const char *room, const char *content)
{
	char sql[512];

	(void)snprintf(sql, sizeof(sql), "INSERT INTO messages(id, room_id, "
	    "sender_id, sender_name, content, type) VALUES (hex(randomblob(8)),"
	    " '%s', 'bob', 'Bob', '%s', 'text')", room, content);
	testdb_site(&w->db, sql);
}

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
		f.wants = 0;
		buf_reset(&w.out);
		buf_reset(&w.text);
		session_write(f.s, &w.out);
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
	struct fake f;

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
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_auth_frame),
		cmocka_unit_test(test_provision),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_pieces),
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
