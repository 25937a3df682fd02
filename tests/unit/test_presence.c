/*
 * Presence on a real database, with time in the test's hands: sockets and polls,
 * grace and bye, processes that die, restart, stall or find the database locked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "lease.h"
#include "log.h"
#include "presence.h"
#include "shm.h"
#include "site.h"
#include "stats.h"
#include "testdb.h"
#include "writer.h"

#define T0	1700000000000LL
#define S	1000LL
#define US	"ws:127.0.0.1:8081:1000"

struct world {
	struct testdb	 db;
	struct shm	*shm;
	struct writer	*w;
};

struct sync {
	struct writer_job	 job;
	pthread_mutex_t		 lock;
	pthread_cond_t		 changed;
	int			 is_done;
};

static int
setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char id[AUTH_MAX_USER + 1], why[512];
	static const char *const users[] = { "ann", "bob", "carl" };
	int i;

	testdb_open(&world->db, "db.busy_ms = 50\n");
	assert_int_equal(world->db.conf.presence_ttl_s, 75);
	assert_int_equal(world->db.conf.presence_grace_s, 20);
	for (i = 0; i < 3; i++)
		assert_true(site_add_user(world->db.st, users[i], users[i],
		    "a@b", id) >= 0);
	assert_int_equal(shm_open_private(SHM_SIDECAR, &world->shm), 0);
	assert_int_equal(writer_open(&world->db.conf, world->shm, &world->w,
	    why, sizeof(why)), 0);
	*state = world;
	return 0;
}

static int
teardown(void **state)
{
	struct world *world = *state;

	writer_close(world->w);
	shm_close(world->shm);
	testdb_close(&world->db);
	free(world);
	return 0;
}

static int
sync_run(struct writer_job *job, struct store *st)
{
	(void)job;
	(void)st;
	return 0;
}

static void
sync_done(struct writer_job *job, int err)
{
	struct sync *s = (struct sync *)job;

	(void)err;
	pthread_mutex_lock(&s->lock);
	s->is_done = 1;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* Until all that was put before, and what that put in turn, is through. */
static void
settle(struct world *world)
{
	struct timespec until;
	struct sync s;
	int i;

	for (i = 0; i < 4; i++) {
		memset(&s, 0, sizeof(s));
		s.job.run = sync_run;
		s.job.done = sync_done;
		pthread_mutex_init(&s.lock, NULL);
		pthread_cond_init(&s.changed, NULL);
		assert_int_equal(writer_put(world->w, &s.job), 0);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 60;
		pthread_mutex_lock(&s.lock);
		while (!s.is_done)
			if (pthread_cond_timedwait(&s.changed, &s.lock,
			    &until) != 0)
				abort();
		pthread_mutex_unlock(&s.lock);
		pthread_cond_destroy(&s.changed);
		pthread_mutex_destroy(&s.lock);
	}
}

static struct presence *
enlist(struct world *world, const char *instance, int64_t now_ms)
{
	struct presence *p = NULL;

	assert_int_equal(presence_open(&world->db.conf, world->w, world->shm,
	    instance, &p), 0);
	assert_in_range(presence_tick(p, now_ms), 1, 1000);
	settle(world);
	return p;
}

static void
tick(struct world *world, struct presence *p, int64_t now_ms)
{
	(void)presence_tick(p, now_ms);
	settle(world);
}

static void
dismiss(struct world *world, struct presence *p)
{
	presence_close(p);
	settle(world);
}

/* One number, as the site would read it. */
static int64_t
ask(struct world *world, const char *sql, const char *arg)
{
	sqlite3_stmt *stmt;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(world->db.site, sql, -1, &stmt,
	    NULL), SQLITE_OK);
	sqlite3_bind_text(stmt, 1, arg, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static int
is_online(struct world *world, const char *user)
{
	return (int)ask(world, "SELECT is_online FROM users WHERE id = ?",
	    user);
}

/* What the world was told: came and left. */
static void
assert_told(struct world *world, const char *user, int came, int left)
{
	assert_int_equal(ask(world, "SELECT count(*) FROM events WHERE "
	    "type = 'USER_UPDATE' AND entity_id IS NULL AND actor_id = ?",
	    user), came);
	assert_int_equal(ask(world, "SELECT count(*) FROM events WHERE "
	    "type = 'USER_LEFT' AND actor_id = ?", user), left);
}

static int64_t
ends_at(struct world *world, const char *user, const char *instance)
{
	int64_t at = -1;
	int err = lease_get(world->db.st, user, instance, &at);

	assert_true(err == 0 || err == ERR_NOTFOUND);
	return at;
}

/* A process id that no process has. */
static int64_t
dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* What another process has written: its row, and open leases. */
static void
leave_behind(struct world *world, const char *instance, int64_t pid,
    int64_t seen_at, const char *user)
{
	assert_true(lease_beat(world->db.st, instance, pid, seen_at) >= 0);
	assert_true(lease_take(world->db.st, user, instance, LEASE_OPEN,
	    seen_at) >= 0);
}

static void
test_socket(void **state)
{
	struct world *world = *state;
	struct presence *p = enlist(world, US, T0);

	assert_int_equal(ask(world, "SELECT seen_at FROM sw_instances "
	    "WHERE id = ?", US), T0);
	presence_enter(p, "ann", T0);
	settle(world);
	assert_true(is_online(world, "ann"));
	assert_false(is_online(world, "bob"));
	assert_int_equal(ends_at(world, "ann", US), LEASE_OPEN);
	/* As long as it is open. */
	tick(world, p, T0 + 3600 * S);
	assert_true(is_online(world, "ann"));
	assert_int_equal(ask(world, "SELECT seen_at FROM sw_instances "
	    "WHERE id = ?", US), T0 + 3600 * S);
	presence_leave(p, "ann", 0, T0 + 3600 * S);
	tick(world, p, T0 + 3619 * S);
	assert_true(is_online(world, "ann"));
	tick(world, p, T0 + 3620 * S);
	assert_false(is_online(world, "ann"));
	assert_told(world, "ann", 1, 1);
	assert_int_equal(stats_get(world->shm, STATS_presence_online), 1);
	assert_int_equal(stats_get(world->shm, STATS_presence_offline), 1);
	/* Who was not here cannot leave. */
	presence_leave(p, "bob", 1, T0 + 3620 * S);
	tick(world, p, T0 + 3700 * S);
	assert_told(world, "bob", 0, 0);
	dismiss(world, p);
}

static void
test_grace(void **state)
{
	struct world *world = *state;
	struct presence *p = enlist(world, US, T0);
	int i;

	/* A reload in time is not seen by others, nor is a quick series of them. */
	presence_enter(p, "ann", T0);
	settle(world);
	presence_leave(p, "ann", 0, T0 + 10 * S);
	settle(world);
	presence_enter(p, "ann", T0 + 29 * S);
	tick(world, p, T0 + 31 * S);
	for (i = 0; i < 50; i++) {
		presence_leave(p, "ann", 0, T0 + 32 * S);
		presence_enter(p, "ann", T0 + 32 * S);
	}
	settle(world);
	tick(world, p, T0 + 300 * S);
	assert_int_equal(ends_at(world, "ann", US), LEASE_OPEN);
	assert_told(world, "ann", 1, 0);
	/* Bye needs no tick. */
	presence_leave(p, "ann", 1, T0 + 301 * S);
	settle(world);
	assert_false(is_online(world, "ann"));
	assert_told(world, "ann", 1, 1);
	/* The tick comes when the grace ends, not when it likes. */
	presence_enter(p, "ann", T0 + 302 * S);
	presence_leave(p, "ann", 0, T0 + 302 * S);
	settle(world);
	assert_int_equal(presence_tick(p, T0 + 322 * S - 300), 300);
	settle(world);
	dismiss(world, p);
}

static void
test_poll(void **state)
{
	struct world *world = *state;
	struct presence *p = enlist(world, NULL, T0), *q;

	q = enlist(world, NULL, T0);
	presence_poll(p, "ann", T0);
	settle(world);
	assert_true(is_online(world, "ann"));
	assert_int_equal(ends_at(world, "ann", LEASE_POLL), T0 + 75 * S);
	/* Renewed every 20 s by all processes together. */
	presence_poll(p, "ann", T0 + 19 * S);
	presence_poll(q, "ann", T0 + 19 * S);
	settle(world);
	assert_int_equal(ends_at(world, "ann", LEASE_POLL), T0 + 75 * S);
	presence_poll(q, "ann", T0 + 20 * S);
	presence_poll(p, "ann", T0 + 21 * S);
	settle(world);
	assert_int_equal(ends_at(world, "ann", LEASE_POLL), T0 + 95 * S);
	/* Both sweep; he goes once. */
	tick(world, p, T0 + 94 * S);
	tick(world, q, T0 + 94 * S);
	assert_true(is_online(world, "ann"));
	tick(world, p, T0 + 95 * S);
	tick(world, q, T0 + 105 * S);
	assert_false(is_online(world, "ann"));
	assert_told(world, "ann", 1, 1);
	/* Bye, and back again at once. */
	presence_poll(p, "bob", T0 + 106 * S);
	presence_poll_bye(q, "bob", T0 + 107 * S);
	settle(world);
	assert_told(world, "bob", 1, 1);
	assert_false(is_online(world, "bob"));
	presence_poll(p, "bob", T0 + 108 * S);
	settle(world);
	assert_true(is_online(world, "bob"));
	/* A bye of one who is not here says nothing. */
	presence_poll_bye(p, "carl", T0 + 109 * S);
	settle(world);
	assert_told(world, "carl", 0, 0);
	/* A clock that was set back does not stop renewals. */
	presence_poll(p, "bob", T0);
	settle(world);
	assert_int_equal(ends_at(world, "bob", LEASE_POLL), T0 + 75 * S);
	dismiss(world, p);
	dismiss(world, q);
}

/* Without shared memory the process remembers for itself; without a row it asks the table. */
static void
test_unshared(void **state)
{
	struct world *world = *state;
	struct presence *p = NULL;

	assert_int_equal(presence_open(&world->db.conf, world->w, NULL, NULL,
	    &p), 0);
	presence_poll(p, "ann", T0);
	presence_poll(p, "ann", T0 + 1 * S);
	settle(world);
	assert_int_equal(ends_at(world, "ann", LEASE_POLL), T0 + 75 * S);
	assert_told(world, "ann", 1, 0);
	dismiss(world, p);
	assert_int_equal(presence_open(&world->db.conf, world->w, NULL, NULL,
	    &p), 0);
	presence_poll(p, "ann", T0 + 10 * S);
	settle(world);
	assert_int_equal(ends_at(world, "ann", LEASE_POLL), T0 + 75 * S);
	dismiss(world, p);
	presence_close(NULL);
}

static void
test_mixed(void **state)
{
	struct world *world = *state;
	struct presence *ws = enlist(world, US, T0);
	struct presence *poll = enlist(world, NULL, T0);

	presence_poll(poll, "ann", T0);
	presence_enter(ws, "ann", T0);
	presence_enter(ws, "bob", T0);
	presence_poll(poll, "bob", T0);
	settle(world);
	/* The socket's end leaves the poller, the poller's the socket. */
	presence_leave(ws, "ann", 1, T0 + 1 * S);
	presence_poll_bye(poll, "bob", T0 + 1 * S);
	settle(world);
	assert_true(is_online(world, "ann"));
	assert_true(is_online(world, "bob"));
	tick(world, poll, T0 + 75 * S);
	assert_false(is_online(world, "ann"));
	assert_true(is_online(world, "bob"));
	assert_told(world, "ann", 1, 1);
	assert_told(world, "bob", 1, 0);
	dismiss(world, ws);
	dismiss(world, poll);
}

/* A sidecar that died: another adopts its users with the grace, a poller without. */
static void
test_crash(void **state)
{
	struct world *world = *state;
	struct presence *p;

	leave_behind(world, "ws:10.0.0.9:80:7", dead_pid(), T0, "ann");
	p = enlist(world, US, T0 + 10 * S);
	tick(world, p, T0 + 10 * S);
	assert_int_equal(ends_at(world, "ann", "ws:10.0.0.9:80:7"), LEASE_OPEN);
	tick(world, p, T0 + 21 * S);
	assert_int_equal(ends_at(world, "ann", "ws:10.0.0.9:80:7"),
	    T0 + 41 * S);
	assert_true(is_online(world, "ann"));
	tick(world, p, T0 + 41 * S);
	assert_false(is_online(world, "ann"));
	assert_told(world, "ann", 1, 1);
	dismiss(world, p);

	leave_behind(world, "ws:10.0.0.9:80:8", dead_pid(), T0, "bob");
	p = enlist(world, NULL, T0 + 75 * S);
	assert_true(is_online(world, "bob"));
	tick(world, p, T0 + 86 * S);
	assert_false(is_online(world, "bob"));
	dismiss(world, p);
}

/* A ttl within the rhythm of heartbeats: the living are not taken for dead, and a
 * poll's end is known without the sweep that comes round. */
static void
test_short_ttl(void **state)
{
	struct world *world = *state;
	struct presence *p;

	world->db.conf.presence_ttl_s = 2;
	leave_behind(world, "ws:10.0.0.9:80:7", dead_pid(), T0, "ann");
	p = enlist(world, NULL, T0 + 4 * S);
	presence_poll(p, "bob", T0 + 4 * S);
	tick(world, p, T0 + 4 * S);
	assert_true(is_online(world, "bob"));
	tick(world, p, T0 + 6 * S);
	assert_false(is_online(world, "bob"));
	assert_int_equal(presence_poll_once(&world->db.conf, world->db.st,
	    "carl", T0 + 9 * S), 0);
	assert_true(is_online(world, "ann"));
	tick(world, p, T0 + 20 * S);
	assert_false(is_online(world, "ann"));
	dismiss(world, p);
}

/* A restart on the same address: nobody is seen leaving who comes back in time. */
static void
test_restart(void **state)
{
	struct world *world = *state;
	struct presence *p;

	leave_behind(world, "ws:127.0.0.1:8081:900", dead_pid(), T0, "ann");
	/* One that lives on the same port (SO_REUSEPORT), one of our own name. */
	leave_behind(world, "ws:127.0.0.1:8081:901", getppid(), T0, "carl");
	leave_behind(world, US, getpid(), T0 - 1 * S, "bob");
	p = enlist(world, US, T0 + 1 * S);
	assert_int_equal(ends_at(world, "ann", "ws:127.0.0.1:8081:900"),
	    T0 + 21 * S);
	assert_int_equal(ends_at(world, "bob", US), T0 + 21 * S);
	assert_int_equal(ends_at(world, "carl", "ws:127.0.0.1:8081:901"),
	    LEASE_OPEN);
	presence_enter(p, "ann", T0 + 5 * S);
	tick(world, p, T0 + 5 * S);
	assert_int_equal(lease_beat(world->db.st, "ws:127.0.0.1:8081:901",
	    getppid(), T0 + 20 * S), 0);
	tick(world, p, T0 + 22 * S);
	assert_told(world, "ann", 1, 0);
	assert_told(world, "bob", 1, 1);
	assert_told(world, "carl", 1, 0);
	assert_true(is_online(world, "ann"));
	dismiss(world, p);
}

/* Stalled for so long that another took us for dead: we take our users back. */
static void
test_stalled(void **state)
{
	struct world *world = *state;
	struct presence *a = enlist(world, US, T0), *b;

	presence_enter(a, "ann", T0);
	presence_enter(a, "bob", T0);
	settle(world);
	b = enlist(world, "ws:127.0.0.1:9999:1", T0 + 11 * S);
	assert_int_equal(ends_at(world, "ann", US), T0 + 31 * S);
	tick(world, a, T0 + 12 * S);
	assert_int_equal(ends_at(world, "ann", US), LEASE_OPEN);
	assert_int_equal(ends_at(world, "bob", US), LEASE_OPEN);
	tick(world, a, T0 + 30 * S);
	tick(world, b, T0 + 32 * S);
	assert_told(world, "ann", 1, 0);
	assert_told(world, "bob", 1, 0);
	dismiss(world, a);
	dismiss(world, b);
}

/* Nothing is forgotten while the database is locked, and the last word counts. */
static void
test_locked(void **state)
{
	struct world *world = *state;
	struct presence *p = enlist(world, US, T0);
	struct presence *poll = enlist(world, NULL, T0);

	testdb_site(&world->db, "BEGIN IMMEDIATE");
	presence_enter(p, "ann", T0);
	presence_enter(p, "bob", T0);
	presence_poll(poll, "carl", T0);
	settle(world);
	presence_leave(p, "bob", 0, T0 + 1 * S);
	settle(world);
	testdb_site(&world->db, "COMMIT");
	assert_false(is_online(world, "ann"));
	tick(world, p, T0 + 2 * S);
	assert_true(is_online(world, "ann"));
	assert_int_equal(ends_at(world, "ann", US), LEASE_OPEN);
	assert_int_equal(ends_at(world, "bob", US), T0 + 21 * S);
	/* A poller's next poll tries again, without waiting for 20 s. */
	presence_poll(poll, "carl", T0 + 3 * S);
	settle(world);
	assert_true(is_online(world, "carl"));
	assert_int_equal(stats_get(world->shm, STATS_presence_online), 3);
	dismiss(world, p);
	dismiss(world, poll);
}

static void
test_close(void **state)
{
	struct world *world = *state;
	struct presence *p = enlist(world, US, T0), *other;

	presence_enter(p, "ann", T0);
	settle(world);
	(void)presence_tick(p, T0 + 5 * S);
	/* Entered at the last moment, and never written before the end. */
	presence_enter(p, "bob", T0 + 5 * S);
	dismiss(world, p);
	assert_int_equal(ask(world, "SELECT count(*) FROM sw_instances "
	    "WHERE id = ?", US), 0);
	assert_int_equal(ends_at(world, "ann", US), T0 + 25 * S);
	assert_int_equal(ends_at(world, "bob", US), T0 + 25 * S);
	other = enlist(world, NULL, T0 + 24 * S);
	assert_true(is_online(world, "ann"));
	tick(world, other, T0 + 25 * S);
	assert_false(is_online(world, "ann"));
	assert_false(is_online(world, "bob"));
	/* Closed after the writer would have taken the job: the owner's end. */
	presence_enter(other, "carl", T0 + 26 * S);
	presence_poll(other, "carl", T0 + 26 * S);
	presence_close(other);
	writer_close(world->w);
	world->w = NULL;
	assert_true(is_online(world, "carl"));
}

static void
test_once(void **state)
{
	struct world *world = *state;
	const struct conf *conf = &world->db.conf;
	struct store *st = world->db.st;

	leave_behind(world, "ws:10.0.0.9:80:7", dead_pid(), T0, "bob");
	assert_int_equal(presence_poll_once(conf, st, "ann", T0), 0);
	assert_true(is_online(world, "ann"));
	assert_int_equal(presence_poll_once(conf, st, "ann", T0 + 19 * S), 0);
	assert_int_equal(ends_at(world, "ann", LEASE_POLL), T0 + 75 * S);
	/* There is nobody else to end leases. */
	assert_int_equal(presence_poll_once(conf, st, "carl", T0 + 76 * S), 0);
	assert_told(world, "ann", 1, 1);
	assert_told(world, "bob", 1, 1);
	assert_told(world, "carl", 1, 0);
	testdb_site(&world->db, "BEGIN IMMEDIATE");
	assert_int_equal(presence_poll_once(conf, st, "ann", T0 + 80 * S),
	    ERR_BUSY);
	testdb_site(&world->db, "COMMIT");
	assert_false(store_is_open(st));
	assert_int_equal(presence_poll_once(conf, st, "ann", T0 + 80 * S), 0);
	assert_true(is_online(world, "ann"));
}

/* Many users at once take several transactions, and come out the same. */
static void
test_crowd(void **state)
{
	struct world *world = *state;
	struct presence *p = enlist(world, US, T0);
	enum { N = 1300 };
	char id[32], sql[256];
	int i;

	snprintf(sql, sizeof(sql), "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL "
	    "SELECT i + 1 FROM n WHERE i < %d) INSERT INTO users(id, name) "
	    "SELECT 'u' || i, 'n' FROM n", N - 1);
	testdb_site(&world->db, sql);
	for (i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "u%d", i);
		presence_enter(p, id, T0);
	}
	settle(world);
	assert_int_equal(ask(world, "SELECT sum(is_online) FROM users "
	    "WHERE id LIKE ?", "u%"), N);
	for (i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "u%d", i);
		presence_leave(p, id, 0, T0 + 1 * S);
	}
	settle(world);
	tick(world, p, T0 + 21 * S);
	assert_int_equal(ask(world, "SELECT sum(is_online) FROM users "
	    "WHERE id LIKE ?", "u%"), 0);
	assert_int_equal(stats_get(world->shm, STATS_presence_offline), N);
	dismiss(world, p);
}

static struct presence *crowded;

static void *
poller(void *arg)
{
	char id[8];
	int i;

	for (i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "%s", i % 2 ? "ann" : "bob");
		presence_poll(crowded, id, T0 + i);
	}
	return arg;
}

static void
test_threads(void **state)
{
	struct world *world = *state;
	pthread_t t[4];
	int i;

	crowded = enlist(world, NULL, T0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, poller, NULL), 0);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	settle(world);
	assert_told(world, "ann", 1, 0);
	assert_told(world, "bob", 1, 0);
	assert_int_equal(stats_get(world->shm, STATS_presence_online), 2);
	dismiss(world, crowded);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_socket),
		TEST(test_grace),
		TEST(test_poll),
		TEST(test_unshared),
		TEST(test_mixed),
		TEST(test_crash),
		TEST(test_short_ttl),
		TEST(test_restart),
		TEST(test_stalled),
		TEST(test_locked),
		TEST(test_close),
		TEST(test_once),
		TEST(test_crowd),
		TEST(test_threads),
	};

	log_init("test_presence", LOG_ERR_LEVEL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
