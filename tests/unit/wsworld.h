/*
 * wsworld - sessions without the library: a real database, hub and writer, a fake
 * connection that keeps what it is sent, and time that the test owns.
 *
 * Included after cmocka.h.
 */
#ifndef WSWORLD_H
#define WSWORLD_H

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

static inline void
want_write(void *conn)
{
	((struct fake *)conn)->wants = 1;
}

static inline void
close_conn(void *conn, int code, const char *reason)
{
	struct fake *f = conn;

	assert_int_equal(f->code, 0);		/* called once */
	f->code = code;
	(void)snprintf(f->reason, sizeof(f->reason), "%s", reason);
}

static inline void
kill_conn(void *conn)
{
	((struct fake *)conn)->is_killed++;
}

static inline uint64_t
progress(void *conn)
{
	return ((struct fake *)conn)->progress;
}

static const struct session_ops ops = {
	want_write, close_conn, kill_conn, progress
};

static inline void
notify(void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->notified = 1;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static inline void
on_batch(struct event *const *ev, size_t n, void *arg)
{
	clients_feed(((struct world *)arg)->clients, ev, n);
}

static inline void
on_replaced(void *arg)
{
	(void)arg;
	fail_msg("the database was not replaced");
}

static const struct tail_ops tail_ops = {
	on_batch, on_replaced, NULL, NULL, NULL
};

static inline void
pass(struct world *w, int64_t ms)
{
	w->mono_ms += ms;
	w->wall_s += ms / 1000;
	clients_set_time(w->clients, w->mono_ms, w->wall_s);
	clients_expire(w->clients);
}

static inline void
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

static inline void
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
static inline void
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
static inline char *
with_token(struct world *w, const char *user, int64_t ttl, const char *rest)
{
	char *token;
	struct buf b;

	assert_int_equal(auth_sign(w->auth, user, NULL, w->wall_s, ttl,
	    &token), 0);
	buf_init(&b, 65536);
	buf_addf(&b, "token=%s&%s", token, rest);
	free(token);
	return buf_take(&b, NULL);
}

static inline void
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

static inline void
join_as(struct world *w, struct fake *f, const char *user, const char *rest,
    int is_v1)
{
	char *query = with_token(w, user, 3600, rest);

	join_raw(w, f, query, is_v1, NULL);
	free(query);
}

static inline void
leave(struct fake *f)
{
	session_free(f->s, 0);
	f->s = NULL;
}

static inline void
say(struct fake *f, const char *text)
{
	session_receive(f->s, text, strlen(text), 1, 1, 0);
}

/* What the library takes in front of the first frame. */
#define WSWORLD_PRE	16

static void
write_once(struct world *w, struct fake *f)
{
	static const char pre[WSWORLD_PRE];

	f->wants = 0;
	buf_reset(&w->out);
	buf_add(&w->out, pre, sizeof(pre));
	session_write(f->s, &w->out);
}

/* Decodes server frames (RFC 6455 section 5.2) to lines. */
static inline void
decode(struct world *w)
{
	const unsigned char *p = (const unsigned char *)w->out.p;
	size_t at = WSWORLD_PRE, len, i, n;

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
static inline const char *
hear(struct world *w, struct fake *f)
{
	int n;

	buf_reset(&w->text);
	for (n = 0; f->wants; n++) {
		assert_true(n < 10000);		/* or it wants for ever */
		write_once(w, f);
		decode(w);
	}
	assert_int_equal(buf_err(&w->text), 0);
	return buf_str(&w->text);
}

static inline int
count(const char *text, const char *word)
{
	int n = 0;

	for (text = strstr(text, word); text != NULL;
	    text = strstr(text + 1, word))
		n++;
	return n;
}

static inline void
post(struct world *w, const char *room, const char *content)
{
	char sql[512];

	(void)snprintf(sql, sizeof(sql), "INSERT INTO messages(id, room_id, "
	    "sender_id, sender_name, content, type) VALUES (hex(randomblob(8)),"
	    " '%s', 'bob', 'Bob', '%s', 'text')", room, content);
	testdb_site(&w->db, sql);
}

#endif
