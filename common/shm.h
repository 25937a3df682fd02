/*
 * shm - a versioned file in run_dir that every process of one database maps: limits
 * and counters that outlive the processes a FastCGI manager starts and kills.
 *
 * Fixed-size arrays of _Atomic integers; no locks.  A process takes a slot; what a
 * slot counts (connections, held requests) dies with its process: whoever attaches
 * next, or asks for a total, clears slots whose process is gone.
 * Threads: any.
 */
#ifndef SHM_H
#define SHM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attr.h"

#define SHM_FILE	"sidewire.shm"
#define SHM_PROCESSES	256	/* slots; more processes run, uncounted */
#define SHM_SIDECARS	8	/* processes whose connections are counted by user */
#define SHM_USERS	16384	/* users with recent traffic; see rate.h for a full table */

enum shm_kind { SHM_POLL, SHM_SIDECAR };

struct conf;
struct shm;
struct shm_user;

/* Creates or attaches conf->run_dir/SHM_FILE (and the directory, one level).  A file of
 * another version is replaced.  ERR_NOTFOUND, ERR_READONLY, ERR_IO, ERR_FULL, with why. */
int	 shm_open_file(const struct conf *conf, enum shm_kind kind, struct shm **ret,
	    char *why, size_t size) ATTR_MUST_CHECK;
/* A reader that takes no slot (`sidewire stats`); ERR_NOTFOUND: no process made one yet.
 * It follows what others write, but for the rows of users that it asks for: those are as they
 * were then. */
int	 shm_open_reader(const struct conf *conf, struct shm **ret, char *why, size_t size)
	    ATTR_MUST_CHECK;
/* A private, anonymous one, where run_dir cannot be used (CGI, tests). */
int	 shm_open_private(enum shm_kind kind, struct shm **ret) ATTR_MUST_CHECK;
void	 shm_close(struct shm *shm);

/* The user's row, made if need be; NULL: no room near its hash (counted, nothing is limited).
 * The row stays this user's for a minute, and as long as it has connections. */
struct shm_user *shm_user(struct shm *shm, const char *user_id);
/* The same at a monotonic time of the caller's. */
struct shm_user *shm_user_at(struct shm *shm, const char *user_id, int64_t now_mono_ms);

/* Connections (sidecars) and held requests (pollers) of this process; returns the new total
 * of all living processes, or 0 where n is not positive. */
int	 shm_add_connections(struct shm *shm, int n);
int	 shm_add_held(struct shm *shm, int n);
int	 shm_connections(struct shm *shm);
int	 shm_held(struct shm *shm);
/* Connections of one user in all processes, after adding n in this one.  A process that is
 * not among the first SHM_SIDECARS sidecars adds nothing: its sockets are limited by their
 * total only. */
int	 shm_add_user_connections(struct shm *shm, struct shm_user *u, int n);
/* Clears what dead processes left; returns how many slots. */
int	 shm_reap(struct shm *shm);

/* Words of the user's row, for rate.h and presence.h. */
_Atomic uint64_t *shm_user_bucket(struct shm_user *u, int which);	/* 0 polls, 1 sends */
_Atomic int64_t  *shm_user_renewed(struct shm_user *u);			/* Unix ms of the lease */
_Atomic uint64_t *shm_user_note(struct shm_user *u);			/* of typing, rate_is_news() */

/* Counters, indexed by enum stats (stats.h). */
_Atomic uint64_t *shm_counter(struct shm *shm, int index);

/* Living processes by kind, for metrics. */
int	 shm_processes(struct shm *shm, enum shm_kind kind);

/* One living process and what it counts. */
struct shm_process {
	pid_t		pid;
	enum shm_kind	kind;
	int		connections, held;
};
typedef void shm_process_fn(const struct shm_process *process, void *arg);
void	 shm_each_process(struct shm *shm, shm_process_fn *fn, void *arg);

#endif
