/*
 * The shared mapping: where limits, presence and counters meet across
 * processes.
 *
 * The file is made complete under a temporary name and renamed, and only under
 * a lock on its directory, so that nobody ever maps a half-made or a short
 * one. It is replaced, not repaired: when version, size, list of counters,
 * boot or process id namespace differ, processes that live on keep the file
 * they have mapped. What belongs to a process carries its identity in one word
 * (process id and start time), so that taking, checking and giving up is one
 * compare-and-swap each; who clears after a dead process puts his own identity
 * there first, marked REAPING.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "conf.h"
#include "err.h"
#include "hash.h"
#include "shm.h"
#include "stats.h"

#define MAGIC		0x6d68732d57537277ULL
#define VERSION		4
#define COUNTERS	120	/* room for; a longer stats.def does not compile */
#define NEAR		4096	/* rows that are filled first: a few users take a few pages */
#define NEAR_PROBES	4	/* of them looked at for one user, */
#define PROBES		20	/* and of all rows the rest */
#define IDLE_S		60	/* a row untouched for longer may be given away */
#define REAP_MS		1000	/* between looks at /proc on the hot path */
#define TEMP_FILE	SHM_FILE ".new"

/* An identity: REAPING, kind, start time (ticks since boot), process id. */
#define REAPING		(1ULL << 63)
#define KIND_SHIFT	62
#define START_SHIFT	22	/* PID_MAX_LIMIT is 2^22 */
#define PID_MASK	((1ULL << START_SHIFT) - 1)
#define START_MASK	((1ULL << (KIND_SHIFT - START_SHIFT)) - 1)

enum { CONNECTIONS, HELD };

struct head {
	uint64_t		 magic;
	uint32_t		 version, size;
	uint64_t		 layout;	/* hash of the counters' names */
	uint64_t		 host;		/* hash of boot and process id namespace */
	_Atomic int64_t		 reaped_ms;	/* monotonic */
	_Atomic uint64_t	 column[SHM_SIDECARS];	/* identities */
	_Atomic int		 n_slots;	/* of those behind nobody was ever in one */
};

struct slot {
	_Atomic uint64_t	 owner;		/* identity; 0: free */
	_Atomic int32_t		 count[2];
	uint8_t			 spare[48];
};

struct shm_user {
	_Atomic uint64_t	 key;		/* hash of the id; 0: free */
	_Atomic uint64_t	 bucket[2];
	_Atomic int64_t		 renewed_ms;
	_Atomic uint16_t	 connections[SHM_SIDECARS];
	_Atomic uint64_t	 note;
	_Atomic uint32_t	 seen_s;	/* monotonic, + 1; 0: being made */
	uint8_t			 spare[4];
};

struct map {
	_Alignas(4096) struct head head;
	_Alignas(64) _Atomic uint64_t counter[COUNTERS];
	_Alignas(64) struct slot slot[SHM_PROCESSES];
	_Alignas(64) struct shm_user user[SHM_USERS];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit words must be lock-free");
_Static_assert(sizeof(struct slot) == 64 && sizeof(struct shm_user) == 64,
    "one cache line each");
_Static_assert(STATS_COUNT <= COUNTERS, "room for all counters");
_Static_assert((SHM_USERS & (SHM_USERS - 1)) == 0, "a power of two");

struct shm {
	struct map	*map;
	uint64_t	 me;
	struct slot	*slot;		/* in the map, or &uncounted */
	struct slot	 uncounted;	/* of a process that found no slot */
	int		 column;	/* of user rows; -1: none */
	int		 is_reader;
};

static const char counter_names[] =
#define COUNTER(name, help)	#name ","
#include "stats.def"
#undef COUNTER
    ;

/* Finished so that all bits depend on all bytes; never 0. */
static uint64_t
hash(uint64_t h, const void *data, size_t len)
{
	h = hash_add(h ^ HASH_START, data, len);
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h != 0 ? h : 1;
}

static uint64_t
host_id(void)
{
	char boot[64] = "";
	struct stat st;
	uint64_t ns = 0;
	ssize_t n = 0;
	int fd;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, boot, sizeof(boot));
		close(fd);
	}
	if (stat("/proc/self/ns/pid", &st) == 0)
		ns = st.st_ino;
	return hash(ns, boot, n > 0 ? (size_t)n : 0);
}

static void
head_init(struct head *head)
{
	memset(head, 0, sizeof(*head));
	head->magic = MAGIC;
	head->version = VERSION;
	head->size = sizeof(struct map);
	head->layout = hash(0, counter_names, sizeof(counter_names));
	head->host = host_id();
}

/*
 * State and start time of a process, fields 3 and 22 of its stat file
 * (proc(5)); the name before them may hold spaces and parentheses.
 */
static int
read_stat(int64_t pid, char *ret_state, uint64_t *ret_start)
{
	char path[48], text[1024], *p, state;
	ssize_t n;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR_NOTFOUND;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return ERR_NOTFOUND;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (p == NULL || p[1] != ' ')
		return ERR_INVAL;
	state = p[2];
	for (i = 2; i < 22 && p != NULL; i++)
		p = strchr(p + 1, ' ');
	if (p == NULL)
		return ERR_INVAL;
	*ret_state = state;
	*ret_start = strtoull(p + 1, NULL, 10) & START_MASK;
	return 0;
}

static uint64_t
identity(enum shm_kind kind)
{
	uint64_t start = 0;
	char state;

	(void)read_stat(getpid(), &state, &start);
	return (uint64_t)kind << KIND_SHIFT | start << START_SHIFT |
	    (uint64_t)getpid();
}

/* In doubt (a process that /proc hides from us) it lives. */
static int
is_alive(uint64_t who)
{
	uint64_t started = who >> START_SHIFT & START_MASK, start;
	int64_t pid = (int64_t)(who & PID_MASK);
	char state;

	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return 0;
	if (read_stat(pid, &state, &start) < 0)
		return 1;
	if (state == 'Z' || state == 'X')
		return 0;
	return started == 0 || started == start;
}

static void
clear_column(struct map *map, int column)
{
	_Atomic uint16_t *cell;
	int i;

	for (i = 0; i < SHM_USERS; i++) {
		cell = &map->user[i].connections[column];
		if (atomic_load(cell) != 0)
			atomic_store(cell, 0);
	}
}

static void
clear_slot(struct slot *slot)
{
	atomic_store(&slot->count[CONNECTIONS], 0);
	atomic_store(&slot->count[HELD], 0);
}

/*
 * Makes the word mine if its owner is dead; then it is mine to clear and to
 * free.
 */
static int
seize(struct shm *shm, _Atomic uint64_t *word)
{
	uint64_t who = atomic_load(word);

	if (who == 0 || is_alive(who))
		return 0;
	return atomic_compare_exchange_strong(word, &who, shm->me | REAPING);
}

int
shm_reap(struct shm *shm)
{
	struct map *map = shm->map;
	int i, n = 0;

	if (shm->is_reader)
		return 0;
	atomic_store(&map->head.reaped_ms, clock_mono_ms());
	for (i = 0; i < SHM_SIDECARS; i++) {
		if (seize(shm, &map->head.column[i])) {
			clear_column(map, i);
			atomic_store(&map->head.column[i], 0);
		}
	}
	for (i = 0; i < SHM_PROCESSES; i++) {
		if (seize(shm, &map->slot[i].owner)) {
			clear_slot(&map->slot[i]);
			atomic_store(&map->slot[i].owner, 0);
			n++;
		}
	}
	return n;
}

/* The same at most once a second: it opens files. */
static void
reap_sometimes(struct shm *shm)
{
	int64_t now = clock_mono_ms();
	int64_t then = atomic_load(&shm->map->head.reaped_ms);

	if (now - then >= REAP_MS && atomic_compare_exchange_strong(
	    &shm->map->head.reaped_ms, &then, now))
		(void)shm_reap(shm);
}

/* From here on the slot is counted. */
static void
use_slot(struct map *map, int i)
{
	int n = atomic_load(&map->head.n_slots);

	while (n <= i && !atomic_compare_exchange_weak(&map->head.n_slots, &n,
	    i + 1))
		;
}

static void
take_slot(struct shm *shm, enum shm_kind kind)
{
	struct map *map = shm->map;
	uint64_t none;
	int i;

	(void)shm_reap(shm);
	shm->slot = &shm->uncounted;
	for (i = 0; i < SHM_PROCESSES; i++) {
		none = 0;
		if (atomic_compare_exchange_strong(&map->slot[i].owner, &none,
		    shm->me)) {
			use_slot(map, i);
			shm->slot = &map->slot[i];
			break;
		}
	}
	for (i = 0; kind == SHM_SIDECAR && i < SHM_SIDECARS; i++) {
		none = 0;
		if (atomic_compare_exchange_strong(&map->head.column[i], &none,
		    shm->me)) {
			shm->column = i;
			break;
		}
	}
}

static int
err_of_errno(int no)
{
	switch (no) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOTFOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_READONLY;
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_IO;
	}
}

/* Says what failed and what to do; the code follows from errno. */
static int
fail(const char *what, const char *path, char *why, size_t size)
{
	int no = errno, err = err_of_errno(no);
	const char *hint = "check the disk and the directory run_dir";

	if (err == ERR_NOTFOUND)
		hint = "create the parent directory, or set run_dir to a "
		    "directory that can be made";
	else if (err == ERR_READONLY)
		hint = "run_dir and the file in it must be writable by the "
		    "users of all services: give them a common group";
	else if (err == ERR_FULL)
		hint = "make room there";
	snprintf(why, size, "%s %s: %s (%s)", what, path, strerror(no), hint);
	return err;
}

/* Opens run_dir, making it if only it is missing; returns a descriptor. */
static int
open_dir(const struct conf *conf, char *why, size_t size)
{
	struct stat st;
	int fd, is_made;

	is_made = mkdir(conf->run_dir, 0770) == 0;
	if (!is_made && errno != EEXIST)
		return fail("cannot make directory", conf->run_dir, why, size);
	fd = open(conf->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail("cannot open directory", conf->run_dir, why, size);
	/* Whatever the umask; a set-group-id bit that was inherited stays. */
	if (is_made && fstat(fd, &st) == 0)
		(void)fchmod(fd, (st.st_mode & 07000) | 0770);
	return fd;
}

/* Non-zero if the file behind fd is one that this program can map. */
static int
is_ours(int fd, int is_reader)
{
	struct head want, have;
	struct stat st;

	head_init(&want);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)sizeof(struct map) ||
	    pread(fd, &have, sizeof(have), 0) != (ssize_t)sizeof(have))
		return 0;
	return have.magic == want.magic && have.version == want.version &&
	    have.size == want.size && have.layout == want.layout &&
	    (is_reader || have.host == want.host);
}

/* Makes a new file in place of whatever is there; returns its descriptor. */
static int
create(int dir, const char *path, char *why, size_t size)
{
	struct head head;
	int fd, err;

	head_init(&head);
	(void)unlinkat(dir, TEMP_FILE, 0);
	fd = openat(dir, TEMP_FILE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0660);
	if (fd < 0)
		return fail("cannot make", path, why, size);
	/* Allocated now: a hole in a full file system would be a SIGBUS later. */
	errno = posix_fallocate(fd, 0, sizeof(struct map));
	if (errno != 0 || fchmod(fd, 0660) < 0 ||
	    pwrite(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    renameat(dir, TEMP_FILE, dir, SHM_FILE) < 0) {
		err = fail("cannot make", path, why, size);
		(void)unlinkat(dir, TEMP_FILE, 0);
		close(fd);
		return err;
	}
	return fd;
}

/*
 * The file's descriptor: the one that is there if it will do, else a new one.
 */
static int
open_or_create(int dir, const char *path, char *why, size_t size)
{
	int fd;

	while (flock(dir, LOCK_EX) < 0) {
		if (errno != EINTR)
			return fail("cannot lock the directory of", path, why,
			    size);
	}
	fd = openat(dir, SHM_FILE, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && is_ours(fd, 0))
		return fd;
	if (fd < 0 && errno != ENOENT)
		return fail("cannot open", path, why, size);
	if (fd >= 0)
		close(fd);
	return create(dir, path, why, size);
}

/* Maps fd (-1: memory of its own), which is closed in any case. */
static int
map_file(int fd, int flags, const char *path, struct shm **ret, char *why,
    size_t size)
{
	struct shm *shm = calloc(1, sizeof(*shm));
	void *p = MAP_FAILED;
	int err = 0;

	if (shm != NULL)
		p = mmap(NULL, sizeof(struct map), PROT_READ | PROT_WRITE,
		    flags, fd, 0);
	if (p == MAP_FAILED) {
		err = fail("cannot map", path, why, size);
		free(shm);
	} else {
		shm->map = p;
		shm->column = -1;
		*ret = shm;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int
shm_open_file(const struct conf *conf, enum shm_kind kind, struct shm **ret,
    char *why, size_t size)
{
	char path[4096];
	struct shm *shm = NULL;
	int dir, fd, err;

	snprintf(path, sizeof(path), "%s/%s", conf->run_dir, SHM_FILE);
	dir = open_dir(conf, why, size);
	if (dir < 0)
		return dir;
	fd = open_or_create(dir, path, why, size);
	close(dir);
	if (fd < 0)
		return fd;
	err = map_file(fd, MAP_SHARED, path, &shm, why, size);
	if (err < 0)
		return err;
	shm->me = identity(kind);
	take_slot(shm, kind);
	*ret = shm;
	return 0;
}

int
shm_open_reader(const struct conf *conf, struct shm **ret, char *why, size_t size)
{
	char path[4096];
	struct shm *shm = NULL;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", conf->run_dir, SHM_FILE);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		snprintf(why, size, "%s: no service has made it yet", path);
		return ERR_NOTFOUND;
	}
	if (fd < 0)
		return fail("cannot open", path, why, size);
	if (!is_ours(fd, 1)) {
		close(fd);
		snprintf(why, size, "%s: of another version; it is replaced "
		    "when a service of this version starts", path);
		return ERR_NOTFOUND;
	}
	/* Private: follows what others write, and can itself change nothing. */
	err = map_file(fd, MAP_PRIVATE, path, &shm, why, size);
	if (err < 0)
		return err;
	shm->me = identity(SHM_POLL);
	shm->slot = &shm->uncounted;
	shm->is_reader = 1;
	*ret = shm;
	return 0;
}

int
shm_open_private(enum shm_kind kind, struct shm **ret)
{
	struct shm *shm = NULL;
	int err;

	err = map_file(-1, MAP_SHARED | MAP_ANONYMOUS, "memory", &shm, NULL, 0);
	if (err < 0)
		return err;
	head_init(&shm->map->head);
	shm->me = identity(kind);
	take_slot(shm, kind);
	*ret = shm;
	return 0;
}

void
shm_close(struct shm *shm)
{
	if (shm == NULL)
		return;
	if (shm->column >= 0) {
		clear_column(shm->map, shm->column);
		atomic_store(&shm->map->head.column[shm->column], 0);
	}
	if (shm->slot != &shm->uncounted) {
		clear_slot(shm->slot);
		atomic_store(&shm->slot->owner, 0);
	}
	munmap(shm->map, sizeof(*shm->map));
	free(shm);
}

/* Non-zero if the row may be given to another user. */
static int
is_idle(struct shm_user *u, uint32_t now_s)
{
	uint32_t seen = atomic_load(&u->seen_s);
	int32_t age = (int32_t)(now_s - seen);
	int i;

	if (seen == 0 || age <= IDLE_S)
		return 0;
	for (i = 0; i < SHM_SIDECARS; i++) {
		if (atomic_load(&u->connections[i]) != 0)
			return 0;
	}
	return 1;
}

/* Gives an idle row to key; who moves seen_s first is the one to do it. */
static int
recycle(struct shm_user *u, uint64_t key, uint32_t now_s)
{
	uint32_t seen = atomic_load(&u->seen_s);

	if (!is_idle(u, now_s) ||
	    !atomic_compare_exchange_strong(&u->seen_s, &seen, now_s))
		return 0;
	atomic_store(&u->bucket[0], 0);
	atomic_store(&u->bucket[1], 0);
	atomic_store(&u->renewed_ms, 0);
	atomic_store(&u->note, 0);
	atomic_store(&u->key, key);
	return 1;
}

/* Where the user is, or may be, in the order of looking. */
static struct shm_user *
row_at(struct shm *shm, uint64_t key, unsigned i)
{
	return &shm->map->user[i < NEAR_PROBES ?
	    ((key >> 32) + i) & (NEAR - 1) :
	    (key + i - NEAR_PROBES) & (SHM_USERS - 1)];
}

/* Whether the row is the user's; a free one becomes his. */
static int
is_his(struct shm_user *u, uint64_t key)
{
	uint64_t have = atomic_load(&u->key);

	return have == key || (have == 0 &&
	    (atomic_compare_exchange_strong(&u->key, &have, key) ||
	    have == key));
}

struct shm_user *
shm_user_at(struct shm *shm, const char *user_id, int64_t now_mono_ms)
{
	uint64_t key = hash(0, user_id, strlen(user_id));
	uint32_t now_s = (uint32_t)(now_mono_ms / 1000) + 1;
	struct shm_user *u;
	unsigned i;

	/* Rows never become free again, so a free one ends the search. */
	for (i = 0; i < PROBES; i++) {
		u = row_at(shm, key, i);
		if (is_his(u, key)) {
			if (atomic_load(&u->seen_s) != now_s)
				atomic_store(&u->seen_s, now_s);
			return u;
		}
	}
	for (i = 0; i < PROBES; i++) {
		u = row_at(shm, key, i);
		if (recycle(u, key, now_s))
			return u;
	}
	stats_add(shm, STATS_rate_table_full, 1);
	return NULL;
}

struct shm_user *
shm_user(struct shm *shm, const char *user_id)
{
	return shm_user_at(shm, user_id, clock_mono_ms());
}

/* The sum over living processes; a reader cannot clear, so it looks at each. */
static int
total(struct shm *shm, int which)
{
	struct map *map = shm->map;
	uint64_t who;
	int64_t sum = 0;
	int i, n = atomic_load(&map->head.n_slots);

	/* A damaged number is not to be followed. */
	for (i = 0; i < n && i < SHM_PROCESSES; i++) {
		who = atomic_load(&map->slot[i].owner);
		if (who == 0 || who & REAPING ||
		    (shm->is_reader && !is_alive(who)))
			continue;
		sum += atomic_load(&map->slot[i].count[which]);
	}
	if (shm->slot == &shm->uncounted)
		sum += atomic_load(&shm->slot->count[which]);
	return sum < 0 ? 0 : sum > INT32_MAX ? INT32_MAX : (int)sum;
}

static int
add(struct shm *shm, int which, int n)
{
	atomic_fetch_add(&shm->slot->count[which], n);
	reap_sometimes(shm);
	return n > 0 ? total(shm, which) : 0;
}

int
shm_add_connections(struct shm *shm, int n)
{
	return add(shm, CONNECTIONS, n);
}

int
shm_add_held(struct shm *shm, int n)
{
	return add(shm, HELD, n);
}

int
shm_connections(struct shm *shm)
{
	(void)shm_reap(shm);
	return total(shm, CONNECTIONS);
}

int
shm_held(struct shm *shm)
{
	(void)shm_reap(shm);
	return total(shm, HELD);
}

int
shm_add_user_connections(struct shm *shm, struct shm_user *u, int n)
{
	_Atomic uint16_t *cell;
	uint16_t have;
	int want, i, sum = 0;

	if (u == NULL)
		return 0;
	if (shm->column >= 0) {
		cell = &u->connections[shm->column];
		have = atomic_load(cell);
		do {
			want = have + n;
			want = want < 0 ? 0 : want > UINT16_MAX ? UINT16_MAX :
			    want;
		} while (!atomic_compare_exchange_weak(cell, &have,
		    (uint16_t)want));
	}
	reap_sometimes(shm);
	for (i = 0; i < SHM_SIDECARS; i++) {
		/* A reader cannot clear what a dead one left. */
		if (shm->is_reader &&
		    !is_alive(atomic_load(&shm->map->head.column[i])))
			continue;
		sum += atomic_load(&u->connections[i]);
	}
	return sum;
}

_Atomic uint64_t *
shm_user_bucket(struct shm_user *u, int which)
{
	return u == NULL ? NULL : &u->bucket[which];
}

_Atomic int64_t *
shm_user_renewed(struct shm_user *u)
{
	return u == NULL ? NULL : &u->renewed_ms;
}

_Atomic uint64_t *
shm_user_note(struct shm_user *u)
{
	return u == NULL ? NULL : &u->note;
}

_Atomic uint64_t *
shm_counter(struct shm *shm, int index)
{
	return &shm->map->counter[index];
}

int
shm_processes(struct shm *shm, enum shm_kind kind)
{
	uint64_t who;
	int i, n = 0;

	(void)shm_reap(shm);
	for (i = 0; i < SHM_PROCESSES; i++) {
		who = atomic_load(&shm->map->slot[i].owner);
		n += who != 0 && !(who & REAPING) &&
		    (who >> KIND_SHIFT & 1) == (uint64_t)kind &&
		    (!shm->is_reader || is_alive(who));
	}
	return n;
}

void
shm_each_process(struct shm *shm, shm_process_fn *fn, void *arg)
{
	struct shm_process process;
	struct slot *slot;
	uint64_t who;
	int i;

	(void)shm_reap(shm);
	for (i = 0; i < SHM_PROCESSES; i++) {
		slot = &shm->map->slot[i];
		who = atomic_load(&slot->owner);
		if (who == 0 || who & REAPING || !is_alive(who))
			continue;
		process = (struct shm_process){ (pid_t)(who & PID_MASK),
		    (enum shm_kind)(who >> KIND_SHIFT & 1),
		    atomic_load(&slot->count[CONNECTIONS]),
		    atomic_load(&slot->count[HELD]) };
		fn(&process, arg);
	}
}
