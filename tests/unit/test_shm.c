/*
 * The shared file: made, shared, replaced; what processes count in it, and that it
 * goes with them when they are killed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"
#include "rate.h"
#include "shm.h"
#include "stats.h"

static char top[64], run_dir[96], file[128];
static struct conf conf = { .run_dir = run_dir };
static char why[512];

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(top, sizeof(top), "%s/shm-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(run_dir, sizeof(run_dir), "%s/run", top);
	snprintf(file, sizeof(file), "%s/%s", run_dir, SHM_FILE);
	why[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct shm *
attach(enum shm_kind kind)
{
	struct shm *shm = NULL;

	if (shm_open_file(&conf, kind, &shm, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return shm;
}

static ino_t
inode(void)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return st.st_ino;
}

/*
 * A child that says "ready" by one byte on *ret_ready and then waits to be killed, or
 * for the other end of its standard input to go away.
 */
static pid_t
start(void (*body)(int n), int n)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ready[0]);
		body(n);
		c = 'r';
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void
kill_and_wait(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
test_create(void **state)
{
	struct shm *a, *b, *r = NULL;
	struct stat st;
	mode_t mask;
	ino_t ino;

	(void)state;
	assert_int_equal(shm_open_reader(&conf, &r, why, sizeof(why)),
	    ERR_NOTFOUND);
	assert_non_null(strstr(why, file));
	mask = umask(077);
	a = attach(SHM_POLL);
	umask(mask);
	assert_int_equal(stat(run_dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0770);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	ino = st.st_ino;
	stats_add(a, STATS_polls, 5);
	b = attach(SHM_SIDECAR);
	assert_true(inode() == ino);
	assert_int_equal(stats_get(b, STATS_polls), 5);
	assert_int_equal(shm_processes(b, SHM_POLL), 1);
	assert_int_equal(shm_processes(b, SHM_SIDECAR), 1);
	shm_close(a);
	shm_close(b);
	/* What was counted outlives everybody; processes do not. */
	a = attach(SHM_POLL);
	assert_int_equal(stats_get(a, STATS_polls), 5);
	assert_int_equal(shm_processes(a, SHM_POLL), 1);
	assert_int_equal(shm_processes(a, SHM_SIDECAR), 0);
	shm_close(a);
	shm_close(NULL);
}

static void
test_reader(void **state)
{
	struct shm *a, *r = NULL;

	(void)state;
	a = attach(SHM_POLL);
	assert_int_equal(shm_add_held(a, 4), 4);
	stats_add(a, STATS_polls, 1);
	assert_int_equal(shm_open_reader(&conf, &r, why, sizeof(why)), 0);
	assert_int_equal(shm_held(r), 4);
	assert_int_equal(shm_processes(r, SHM_POLL), 1);
	assert_int_equal(stats_get(r, STATS_polls), 1);
	stats_add(a, STATS_polls, 1);
	assert_int_equal(stats_get(r, STATS_polls), 2);
	/* It can do no harm. */
	stats_add(r, STATS_polls, 100);
	assert_int_equal(shm_reap(r), 0);
	assert_int_equal(stats_get(a, STATS_polls), 2);
	shm_close(r);
	assert_int_equal(shm_processes(a, SHM_POLL), 1);
	shm_close(a);
}

struct seen {
	struct shm_process	last;
	int			n;
};

static void
see(const struct shm_process *process, void *arg)
{
	struct seen *seen = arg;

	seen->last = *process;
	seen->n++;
}

static void
test_each_process(void **state)
{
	struct seen seen = { .n = 0 };
	struct shm *a, *r = NULL;

	(void)state;
	a = attach(SHM_SIDECAR);
	(void)shm_add_connections(a, 3);
	(void)shm_add_user_connections(a, shm_user(a, "u"), 2);
	assert_int_equal(shm_open_reader(&conf, &r, why, sizeof(why)), 0);
	shm_each_process(r, see, &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last.pid, getpid());
	assert_int_equal(seen.last.kind, SHM_SIDECAR);
	assert_int_equal(seen.last.connections, 3);
	assert_int_equal(seen.last.held, 0);
	assert_int_equal(shm_add_user_connections(r, shm_user(r, "u"), 0), 2);
	assert_int_equal(shm_add_user_connections(r, shm_user(r, "v"), 0), 0);
	shm_close(a);
	shm_each_process(r, see, &seen);
	assert_int_equal(seen.n, 1);
	/* What a reader touched is its own copy from then on. */
	shm_close(r);
	assert_int_equal(shm_open_reader(&conf, &r, why, sizeof(why)), 0);
	assert_int_equal(shm_add_user_connections(r, shm_user(r, "u"), 0), 0);
	shm_close(r);
}

/* What was wrong with the file that is found. */
static void
spoil(int how)
{
	uint32_t version = 99;
	uint64_t other = 7;
	int fd = open(file, O_RDWR);

	assert_true(fd >= 0);
	switch (how) {
	case 0:		/* truncated */
		assert_int_equal(ftruncate(fd, 4096), 0);
		break;
	case 1:
		assert_int_equal(ftruncate(fd, 0), 0);
		break;
	case 2:		/* longer */
		assert_int_equal(ftruncate(fd, 1 << 24), 0);
		break;
	case 3:		/* no magic */
		assert_int_equal(pwrite(fd, "x", 1, 0), 1);
		break;
	case 4:
		assert_int_equal(pwrite(fd, &version, 4, 8), 4);
		break;
	case 5:		/* other counters */
		assert_int_equal(pwrite(fd, &other, 8, 16), 8);
		break;
	case 6:		/* another boot */
		assert_int_equal(pwrite(fd, &other, 8, 24), 8);
		break;
	default:	/* something else altogether */
		assert_int_equal(unlink(file), 0);
		assert_int_equal(mkfifo(file, 0660), 0);
		break;
	}
	close(fd);
}

static void
test_replaced(void **state)
{
	struct shm *a, *b, *r = NULL;
	ino_t ino;
	int how;

	(void)state;
	for (how = 0; how < 8; how++) {
		a = attach(SHM_POLL);
		ino = inode();
		stats_add(a, STATS_polls, 1);
		/* Who has mapped a file that shrinks is lost; who comes is not. */
		if (how < 2)
			shm_close(a);
		spoil(how);
		if (how != 6)
			assert_int_equal(shm_open_reader(&conf, &r, why,
			    sizeof(why)), ERR_NOTFOUND);
		b = attach(SHM_POLL);
		assert_true(inode() != ino || how == 7);
		assert_int_equal(stats_get(b, STATS_polls), 0);
		assert_int_equal(shm_processes(b, SHM_POLL), 1);
		/* The older process keeps what it has. */
		if (how >= 2) {
			stats_add(a, STATS_polls, 1);
			assert_int_equal(stats_get(a, STATS_polls), 2);
			assert_int_equal(stats_get(b, STATS_polls), 0);
			shm_close(a);
		}
		shm_close(b);
		assert_int_equal(unlink(file), 0);
	}
}

static void
test_failures(void **state)
{
	struct shm *shm = NULL;
	char *keep = conf.run_dir, deep[160];
	pid_t pid;
	int status;

	(void)state;
	snprintf(deep, sizeof(deep), "%s/no/such", top);
	conf.run_dir = deep;
	assert_int_equal(shm_open_file(&conf, SHM_POLL, &shm, why,
	    sizeof(why)), ERR_NOTFOUND);
	assert_non_null(strstr(why, "run_dir"));
	conf.run_dir = keep;
	/* A symbolic link is not followed. */
	assert_int_equal(mkdir(run_dir, 0770), 0);
	assert_int_equal(symlink("/etc/passwd", file), 0);
	assert_int_equal(shm_open_file(&conf, SHM_POLL, &shm, why,
	    sizeof(why)), ERR_IO);
	assert_non_null(strstr(why, file));
	assert_int_equal(unlink(file), 0);
	/* A directory in the way. */
	assert_int_equal(mkdir(file, 0770), 0);
	assert_int_equal(shm_open_file(&conf, SHM_POLL, &shm, why,
	    sizeof(why)), ERR_IO);
	assert_int_equal(rmdir(file), 0);
	/* No rights: as another user, for root has them all. */
	assert_int_equal(chmod(top, 0755), 0);
	assert_int_equal(chmod(run_dir, 0555), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(1);
		status = shm_open_file(&conf, SHM_POLL, &shm, why,
		    sizeof(why));
		_exit(status != ERR_READONLY || strstr(why, "group") == NULL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(chmod(run_dir, 0770), 0);
	assert_null(shm);
}

static struct shm *childs;

static void
hold(int n)
{
	struct shm_user *u;

	childs = attach(n % 2 == 0 ? SHM_POLL : SHM_SIDECAR);
	if (n % 2 == 0) {
		(void)shm_add_held(childs, n + 1);
	} else {
		(void)shm_add_connections(childs, n + 1);
		u = shm_user(childs, "ann");
		(void)shm_add_user_connections(childs, u, n + 1);
	}
}

static void
test_killed(void **state)
{
	struct shm *shm = attach(SHM_SIDECAR);
	struct shm_user *u = shm_user(shm, "ann");
	pid_t pid[8];
	int i;

	(void)state;
	assert_int_equal(shm_add_user_connections(shm, u, 3), 3);
	assert_int_equal(shm_add_connections(shm, 3), 3);
	for (i = 0; i < 8; i++)
		pid[i] = start(hold, i);
	assert_int_equal(shm_held(shm), 1 + 3 + 5 + 7);
	assert_int_equal(shm_connections(shm), 3 + 2 + 4 + 6 + 8);
	assert_int_equal(shm_add_user_connections(shm, u, 0), 23);
	assert_int_equal(shm_processes(shm, SHM_POLL), 4);
	assert_int_equal(shm_processes(shm, SHM_SIDECAR), 5);
	kill_and_wait(pid[6]);
	kill_and_wait(pid[7]);
	assert_int_equal(shm_held(shm), 9);
	assert_int_equal(shm_connections(shm), 15);
	assert_int_equal(shm_add_user_connections(shm, u, -1), 14);
	/* A dead process that nobody has waited for yet is dead all the same. */
	for (i = 0; i < 6; i++) {
		siginfo_t info;

		assert_int_equal(kill(pid[i], SIGKILL), 0);
		assert_int_equal(waitid(P_PID, (id_t)pid[i], &info,
		    WEXITED | WNOWAIT), 0);
	}
	assert_int_equal(shm_reap(shm), 6);
	assert_int_equal(shm_reap(shm), 0);
	assert_int_equal(shm_held(shm), 0);
	assert_int_equal(shm_connections(shm), 3);
	assert_int_equal(shm_add_user_connections(shm, u, 0), 2);
	for (i = 0; i < 6; i++)
		assert_int_equal(waitpid(pid[i], NULL, 0), pid[i]);
	shm_close(shm);
}

/*
 * A process id that was given out again: the word in the slot names another start time
 * than that of the process which has the id now.
 */
static void
test_recycled_pid(void **state)
{
	struct shm *shm = attach(SHM_POLL);
	pid_t pid = start(hold, 2);
	struct stat st;
	uint64_t *word;
	size_t i, n, hits = 0;
	int fd;

	(void)state;
	assert_int_equal(shm_held(shm), 3);
	fd = open(file, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	word = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	assert_true(word != MAP_FAILED);
	n = (size_t)st.st_size / sizeof(*word);
	for (i = 0; i < n; i++) {
		if ((word[i] & 0x3fffff) == (uint64_t)pid &&
		    word[i] >> 22 != 0) {
			word[i] -= 1 << 22;
			hits++;
		}
	}
	assert_int_equal(hits, 1);
	munmap(word, (size_t)st.st_size);
	close(fd);
	assert_int_equal(shm_held(shm), 0);
	assert_int_equal(shm_processes(shm, SHM_POLL), 1);
	kill_and_wait(pid);
	shm_close(shm);
}

/* More processes than slots, more sidecars than columns. */
static void
test_too_many(void **state)
{
	static struct shm *all[SHM_PROCESSES + 2];
	struct shm_user *u;
	int i, n = SHM_PROCESSES + 2;

	(void)state;
	for (i = 0; i < n; i++)
		all[i] = attach(SHM_SIDECAR);
	u = shm_user(all[0], "bob");
	for (i = 0; i < n; i++)
		assert_int_equal(shm_add_user_connections(all[i],
		    shm_user(all[i], "bob"), 1),
		    i < SHM_SIDECARS ? i + 1 : SHM_SIDECARS);
	/* Those without a slot see themselves and the others. */
	assert_int_equal(shm_add_connections(all[0], 10), 10);
	assert_int_equal(shm_add_connections(all[n - 1], 5), 15);
	assert_int_equal(shm_add_connections(all[n - 2], 1), 11);
	assert_int_equal(shm_connections(all[0]), 10);
	assert_int_equal(shm_processes(all[0], SHM_SIDECAR), SHM_PROCESSES);
	for (i = n - 1; i > 0; i--)
		shm_close(all[i]);
	assert_int_equal(shm_add_user_connections(all[0], u, 0), 1);
	/* Neither below nothing nor over the word. */
	assert_int_equal(shm_add_user_connections(all[0], u, -5), 0);
	assert_int_equal(shm_add_user_connections(all[0], u, 70000), 65535);
	assert_int_equal(shm_add_user_connections(all[0], NULL, 1), 0);
	shm_close(all[0]);
}

/* A full table limits nobody, and rows that nobody used for a minute are used again. */
static void
test_full_table(void **state)
{
	struct shm *shm = NULL;
	struct shm_user *first, *u;
	char id[32];
	int i, n_full = 0, n = SHM_USERS * 2;

	(void)state;
	assert_int_equal(shm_open_private(SHM_SIDECAR, &shm), 0);
	first = shm_user_at(shm, "user 0", 1000);
	assert_int_equal(shm_add_user_connections(shm, first, 1), 1);
	for (i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "user %d", i);
		u = shm_user_at(shm, id, 1000);
		n_full += u == NULL;
		if (u == NULL)
			continue;
		assert_ptr_equal(shm_user_at(shm, id, 1000), u);
		if (i > 0)
			assert_int_equal(atomic_load(shm_user_bucket(u, 0)), 0);
		atomic_store(shm_user_bucket(u, 0), 77);
		atomic_store(shm_user_bucket(u, 1), 78);
		atomic_store(shm_user_renewed(u), 79);
	}
	assert_in_range(n_full, SHM_USERS, SHM_USERS * 5 / 4);
	assert_int_equal(stats_get(shm, STATS_rate_table_full), n_full);
	assert_int_equal(rate_take(shm_user_bucket(NULL, 0), 1, 1, 5), 0);
	/* Still within the minute. */
	snprintf(id, sizeof(id), "later %d", 0);
	for (i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "later %d", i);
		n_full += shm_user_at(shm, id, 61000) == NULL;
	}
	assert_in_range(stats_get(shm, STATS_rate_table_full), n_full, n_full);
	/* Afterwards all can be had but the one with a connection. */
	for (i = 0; i < SHM_USERS * 4; i++) {
		snprintf(id, sizeof(id), "new %d", i);
		u = shm_user_at(shm, id, 200000 + (int64_t)i * 100);
		assert_true(u == NULL || u != first);
		if (u == NULL)
			continue;
		assert_true(atomic_load(shm_user_bucket(u, 0)) == 0);
		assert_true(atomic_load(shm_user_bucket(u, 1)) == 0);
		assert_true(atomic_load(shm_user_renewed(u)) == 0);
	}
	assert_ptr_equal(shm_user_at(shm, "user 0", 9000000), first);
	assert_int_equal(stats_get(shm, STATS_rate_table_full), n_full);
	shm_close(shm);
}

#define THREADS	3
#define ROUNDS	3000

static void *
churn(void *arg)
{
	struct shm *shm = arg;
	struct shm_user *u;
	char id[16];
	int i, total;

	for (i = 0; i < ROUNDS; i++) {
		snprintf(id, sizeof(id), "u%d", i % 50);
		u = shm_user(shm, id);
		stats_add(shm, STATS_polls, 1);
		total = shm_add_user_connections(shm, u, 1);
		if (u == NULL || total < 1)
			return arg;
		(void)shm_add_connections(shm, 1);
		(void)rate_take(shm_user_bucket(u, 0), 5, 5, i);
		(void)shm_add_held(shm, 1);
		(void)shm_add_held(shm, -1);
		(void)shm_add_connections(shm, -1);
		(void)shm_add_user_connections(shm, u, -1);
	}
	return NULL;
}

static void
churn_in_threads(int n)
{
	struct shm *shm;
	pthread_t t[THREADS];
	void *bad;
	int i;

	(void)n;
	shm = attach(SHM_SIDECAR);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, churn, shm) != 0)
			_exit(1);
	for (i = 0; i < THREADS; i++) {
		pthread_join(t[i], &bad);
		if (bad != NULL)
			_exit(1);
	}
	shm_close(shm);
	_exit(0);
}

/* Processes come at once, each wanting to make the file; others are killed meanwhile. */
static void
test_together(void **state)
{
	enum { N = 5 };
	struct shm *shm;
	pid_t pid[N], victim;
	int i, status;
	char id[16];

	(void)state;
	for (i = 0; i < N; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0)
			churn_in_threads(i);
	}
	for (i = 0; i < 10; i++) {
		victim = start(hold, i);
		kill_and_wait(victim);
	}
	for (i = 0; i < N; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	shm = attach(SHM_SIDECAR);
	assert_int_equal(stats_get(shm, STATS_polls), N * THREADS * ROUNDS);
	assert_int_equal(shm_connections(shm), 0);
	assert_int_equal(shm_held(shm), 0);
	assert_int_equal(shm_processes(shm, SHM_SIDECAR), 1);
	for (i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "u%d", i);
		assert_int_equal(shm_add_user_connections(shm,
		    shm_user(shm, id), 0), 0);
	}
	assert_int_equal(shm_add_user_connections(shm, shm_user(shm, "ann"),
	    0), 0);
	shm_close(shm);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A thousand users lie together: in a quarter of the memory that all would take. */
static void
test_users_lie_together(void **state)
{
	enum { N = 1000, PART = SHM_USERS / 4 * 64 };
	static const char *row[N];
	const char *first = NULL;
	struct shm *shm;
	int i, n = 0;
	char id[16];

	(void)state;
	assert_int_equal(shm_open_private(SHM_POLL, &shm), 0);
	for (i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "user%d", i);
		row[i] = (const char *)shm_user(shm, id);
		assert_non_null(row[i]);
		if (first == NULL || row[i] < first)
			first = row[i];
	}
	for (i = 0; i < N; i++)
		n += row[i] - first < PART;
	assert_in_range(n, N * 98 / 100, N);
	shm_close(shm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_reader),
		TEST(test_each_process),
		TEST(test_replaced),
		TEST(test_failures),
		TEST(test_killed),
		TEST(test_recycled_pid),
		TEST(test_too_many),
		TEST(test_full_table),
		TEST(test_together),
		cmocka_unit_test(test_users_lie_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
