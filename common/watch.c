/*
 * watch - learns that another connection committed.
 *
 * A commit in WAL mode is: take SQLite's write lock (byte 120 of -shm), write
 * the frames to -wal (the only thing that raises a file event), sync them,
 * publish them in the WAL index (shared memory, no event), drop the lock.  So
 * after an event the lock is asked for first and the version second: a free
 * lock followed by an unmoved version proves that nothing is pending, for
 * whoever had written by then had also published.  While the lock is held the
 * version is looked at again and again.
 *
 * In a rollback-journal mode there is no -shm and no such gap: the last event
 * of a commit comes while the writer still keeps readers out, so the version
 * alone does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "store.h"
#include "watch.h"

#define WRITE_LOCK_BYTE	120	/* WAL_WRITE_LOCK, sqlite.org/walformat.html */
#define MAX_PROBES	256	/* -shm files in the life of one process */
#define MAX_DRAIN	64	/* reads of the descriptor in one look */
#define INLINE_US	50	/* first sleep inside a look */
#define DEBOUNCE_US	1500	/* between two CHANGED under load */
#define RETRY_US	1000	/* first wait for the lock, outside a look */
#define NEVER		INT64_MAX

/* What linux/magic.h lacks in some versions. */
#define MAGIC_CIFS	0xff534d42UL
#define MAGIC_SMB2	0xfe534d42UL
#define MAGIC_FUSE	0x65735546UL
#define MAGIC_9P	0x01021997UL
#define MAGIC_CEPH	0x00c36400UL

#define DIR_MASK	(IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | \
			    IN_ONLYDIR)

/* What the directory's events said. */
#define SEEN_WRITE	1	/* one of our three files */
#define SEEN_NAME	2	/* the database itself: another file now? */

enum identity { ID_SAME, ID_OTHER, ID_GONE, ID_UNSURE };

struct watch {
	struct store	*st;		/* borrowed */
	char		*dir;		/* of the real path */
	char		*shm;		/* path of -shm */
	const char	*base;		/* name of the database, in st's path */
	size_t		 base_len;
	int		 fd;		/* inotify, -1: none */
	int		 probe;		/* on -shm, of the list; -1: none */
	ino_t		 probe_ino;
	int		 is_dim;	/* -shm is there but cannot be opened */
	int		 is_blind;	/* events do not tell all: a network
					 * file system, or no directory */
	int		 is_replaced;
	int		 is_gone;	/* nothing is at the path */
	int		 floor_ms;	/* set by hand; -1: by circumstance */
	int64_t		 version;	/* the last data version reported */
	int		 is_pending;	/* something is not proven done */
	int		 is_fresh;	/* it happened just now, after a calm */
	int		 step;		/* how often the lock was found held */
	int64_t		 look_us;	/* last look */
	int64_t		 changed_us;	/* last CHANGED */
	int64_t		 due_us;	/* next look, but for the floor */
	int64_t		 floor_us;	/* next look by the floor */
};

/* Every -shm that a watch of this process ever asked; never closed, see
 * watch.h. */
struct probe {
	dev_t	dev;
	ino_t	ino;
	int	fd;
};
static pthread_mutex_t probes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct probe probes[MAX_PROBES];		/* {probes_lock} */
static size_t n_probes;				/* {probes_lock} */

static int
probe_find(const struct stat *sb)
{
	size_t i;

	for (i = 0; i < n_probes; i++)
		if (probes[i].dev == sb->st_dev && probes[i].ino == sb->st_ino)
			return probes[i].fd;
	return -1;
}

/* The descriptor for the file at path, its inode in *ret_ino; -1 with errno. */
static int
probe_get(const char *path, ino_t *ret_ino)
{
	struct stat sb;
	int fd = -1;

	(void)pthread_mutex_lock(&probes_lock);
	if (stat(path, &sb) < 0)
		goto out;
	fd = probe_find(&sb);
	if (fd >= 0)
		goto out;
	if (n_probes == MAX_PROBES) {
		errno = EMFILE;
		goto out;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		goto out;
	/* It may have become another file since stat(); none of them is
	 * closed. */
	if (fstat(fd, &sb) < 0)
		sb.st_ino = 0;
	probes[n_probes].dev = sb.st_dev;
	probes[n_probes].ino = sb.st_ino;
	probes[n_probes].fd = fd;
	n_probes++;
out:
	(void)pthread_mutex_unlock(&probes_lock);
	if (fd >= 0)
		*ret_ino = sb.st_ino;
	return fd;
}

/* Finds -shm, or finds it anew: it comes and goes with WAL mode. */
static void
probe_refresh(struct watch *w)
{
	struct stat sb;

	if (w->probe >= 0 && stat(w->shm, &sb) == 0 &&
	    sb.st_ino == w->probe_ino)
		return;
	w->probe = probe_get(w->shm, &w->probe_ino);
	w->is_dim = w->probe < 0 && errno != ENOENT;
}

/* Whether anybody, this process included, holds SQLite's write lock. */
static int
is_locked(const struct watch *w)
{
	struct flock l = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = WRITE_LOCK_BYTE,
		.l_len = 1
	};

	return w->probe >= 0 && fcntl(w->probe, F_OFD_GETLK, &l) == 0 &&
	    l.l_type != F_UNLCK;
}

static int
is_remote_fs(const char *dir)
{
	static const unsigned long magic[] = {
		NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, MAGIC_CIFS, MAGIC_SMB2,
		MAGIC_FUSE, MAGIC_9P, MAGIC_CEPH, AFS_SUPER_MAGIC,
		CODA_SUPER_MAGIC
	};
	struct statfs sf;
	size_t i;

	if (statfs(dir, &sf) < 0)
		return 1;
	for (i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		if (((unsigned long)sf.f_type & 0xffffffffUL) == magic[i])
			return 1;
	return 0;
}

static int64_t
floor_length_us(const struct watch *w)
{
	if (w->floor_ms >= 0)
		return w->floor_ms == 0 ? NEVER : (int64_t)w->floor_ms * 1000;
	if (w->fd < 0 || w->is_blind || w->is_dim)
		return (int64_t)WATCH_BLIND_MS * 1000;
	return (int64_t)WATCH_FLOOR_MS * 1000;
}

static void
set_floor(struct watch *w, int64_t now_us)
{
	int64_t len = floor_length_us(w);

	w->floor_us = len == NEVER ? NEVER : now_us + len;
}

static void
open_inotify(struct watch *w)
{
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd >= 0 && inotify_add_watch(w->fd, w->dir, DIR_MASK) < 0) {
		(void)close(w->fd);
		w->fd = -1;
	}
}

/* Splits the database's path into directory and name, and makes the name of
 * -shm. */
static int
set_paths(struct watch *w)
{
	const char *path = store_path(w->st);
	const char *slash = strrchr(path, '/');

	w->base = slash != NULL ? slash + 1 : path;
	w->base_len = strlen(w->base);
	if (slash == NULL)
		w->dir = strdup(".");
	else
		w->dir = strndup(path,
		    slash == path ? 1 : (size_t)(slash - path));
	if (asprintf(&w->shm, "%s-shm", path) < 0)
		w->shm = NULL;
	return w->dir != NULL && w->shm != NULL ? 0 : ERR_NOMEM;
}

int
watch_open(struct store *st, struct watch **ret)
{
	struct watch *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return ERR_NOMEM;
	w->st = st;
	w->fd = -1;
	w->probe = -1;
	w->floor_ms = -1;
	w->changed_us = w->look_us = INT64_MIN / 2;
	rc = set_paths(w);
	if (rc < 0)
		goto fail;
	w->is_blind = is_remote_fs(w->dir);
	open_inotify(w);
	rc = store_data_version(st, &w->version);
	if (rc < 0)
		goto fail;
	probe_refresh(w);
	/* Whoever wrote before the directory was watched may publish after the
	 * version was read: the first look is due at once. */
	w->is_pending = 1;
	*ret = w;
	return 0;
fail:
	watch_close(w);
	return rc;
}

void
watch_close(struct watch *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		(void)close(w->fd);
	free(w->dir);
	free(w->shm);
	free(w);
}

int
watch_fd(const struct watch *w)
{
	return w->fd;
}

const char *
watch_method(const struct watch *w)
{
	return w->fd < 0 || w->is_blind ? "timer" : "inotify";
}

void
watch_set_floor_ms(struct watch *w, int floor_ms)
{
	w->floor_ms = floor_ms;
	w->floor_us = floor_ms == 0 ? NEVER : 0;
}

int64_t
watch_wait_us(const struct watch *w, int64_t now_mono_us)
{
	int64_t at = w->floor_us;

	if (w->is_pending && w->due_us < at)
		at = w->due_us;
	if (at == NEVER)
		return NEVER;
	return at > now_mono_us ? at - now_mono_us : 0;
}

static int
seen_by(const struct watch *w, const struct inotify_event *ev)
{
	const char *rest;

	if (ev->mask & IN_Q_OVERFLOW)
		return SEEN_WRITE | SEEN_NAME;
	if (ev->len == 0 || strncmp(ev->name, w->base, w->base_len) != 0)
		return 0;
	rest = ev->name + w->base_len;
	if (rest[0] == '\0')
		return SEEN_WRITE | SEEN_NAME;
	if (strcmp(rest, "-wal") == 0 || strcmp(rest, "-journal") == 0)
		return SEEN_WRITE;
	return 0;
}

/* Reads what the descriptor has, for so many reads: what remains wakes us
 * again. */
static int
drain(struct watch *w)
{
	_Alignas(struct inotify_event) char buf[4096];
	const struct inotify_event *ev;
	int i, seen = 0;
	ssize_t n, at;

	for (i = 0; i < MAX_DRAIN && w->fd >= 0; i++) {
		n = read(w->fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		for (at = 0; at < n; at += (ssize_t)sizeof(*ev) + ev->len) {
			ev = (const void *)(buf + at);
			seen |= seen_by(w, ev);
			if (ev->mask & IN_IGNORED) {
				w->is_blind = 1;
				seen |= SEEN_WRITE | SEEN_NAME;
			}
		}
	}
	return seen;
}

/* Compares what is at the path with what the store has open.  Never opens
 * it: see watch.h. */
static enum identity
identify(const struct watch *w)
{
	struct stat sb;
	dev_t dev;
	ino_t ino;

	store_identity(w->st, &dev, &ino);
	if (stat(store_path(w->st), &sb) < 0)
		return errno == ENOENT || errno == ENOTDIR ? ID_GONE :
		    ID_UNSURE;
	if (sb.st_dev == dev && sb.st_ino == ino)
		return ID_SAME;
	if (!S_ISREG(sb.st_mode) || sb.st_size == 0 ||
	    faccessat(AT_FDCWD, store_path(w->st), R_OK, AT_EACCESS) < 0)
		return ID_UNSURE;
	return ID_OTHER;
}

/* Notes an event: when is it to be looked at? */
static void
note(struct watch *w, int64_t now_us)
{
	int64_t at;

	if (w->is_pending) {
		/* A writer at work.  Near his commit he writes: look more
		 * often. */
		at = w->look_us + RETRY_US;
		if (w->step > 1)
			w->step = 1;
		if (at < w->due_us)
			w->due_us = at;
		return;
	}
	w->is_pending = 1;
	w->step = 0;
	w->due_us = w->changed_us + DEBOUNCE_US;
	if (w->due_us <= now_us) {
		w->due_us = now_us;
		w->is_fresh = 1;
	}
}

static void
nap(int64_t us)
{
	struct timespec ts = { .tv_sec = 0, .tv_nsec = (long)us * 1000 };

	(void)nanosleep(&ts, NULL);
}

/* Still unproven: the next look comes 1, 2, 5, 5, ... ms later. */
static void
postpone(struct watch *w, int64_t now_us)
{
	static const int64_t wait_us[] = { RETRY_US, 2000, 5000 };

	w->is_pending = 1;
	w->due_us = now_us + wait_us[w->step];
	if (w->step < 2)
		w->step++;
}

/* The lock first, the version second. */
static int
look(struct watch *w, int64_t now_us, enum watch_result *ret)
{
	int64_t version, slept = 0, us = w->is_fresh ? INLINE_US : 0;
	int rc, locked;

	w->is_fresh = 0;
	if (w->probe < 0)
		probe_refresh(w);
	for (;;) {
		locked = is_locked(w);
		w->look_us = now_us + slept;
		rc = store_data_version(w->st, &version);
		if (rc < 0) {
			w->is_pending = 1;
			w->due_us = w->look_us + (int64_t)WATCH_BLIND_MS * 1000;
			return rc;
		}
		if (version != w->version) {
			w->version = version;
			w->changed_us = w->look_us;
			/* Another commit may be under way behind this one. */
			w->is_pending = locked;
			w->due_us = w->look_us + DEBOUNCE_US;
			w->step = 0;
			*ret = WATCH_CHANGED;
			return 0;
		}
		if (!locked) {
			w->is_pending = 0;
			*ret = WATCH_QUIET;
			return 0;
		}
		if (us == 0)
			break;
		nap(us);
		slept += us;
		us *= 2;
		if (us > WATCH_INLINE_US - slept)
			us = WATCH_INLINE_US - slept;
	}
	postpone(w, w->look_us);
	*ret = WATCH_PENDING;
	return 0;
}

int
watch_look(struct watch *w, int64_t now_mono_us, enum watch_result *ret)
{
	int seen = drain(w), is_floor = now_mono_us >= w->floor_us;
	enum identity id = ID_UNSURE;

	if (seen != 0)
		note(w, now_mono_us);
	if (is_floor) {
		probe_refresh(w);
		set_floor(w, now_mono_us);
	}
	if (is_floor || (seen & SEEN_NAME) || w->is_replaced || w->is_gone) {
		id = identify(w);
		w->is_gone = id == ID_GONE;
	}
	if (id == ID_SAME || id == ID_OTHER)
		w->is_replaced = id == ID_OTHER;
	if (w->is_replaced) {
		/* What the old file's connection would say is of no
		 * interest. */
		w->is_pending = 0;
		*ret = WATCH_REPLACED;
		return 0;
	}
	if (!is_floor && (!w->is_pending || now_mono_us < w->due_us)) {
		*ret = w->is_pending ? WATCH_PENDING : WATCH_QUIET;
		return 0;
	}
	return look(w, now_mono_us, ret);
}

int
watch_is_gone(const struct watch *w)
{
	return w->is_gone;
}
