/*
 * lease - rows that say "this user is here": what presence is counted from.
 *
 * An instance is a process that holds sockets (one row, with a heartbeat); a lease
 * is a pair of user and instance.  A lease either ends at a time (a poller, or the
 * grace after a last socket), or lives as long as its instance's heartbeat does, so
 * that ten thousand idle sockets cost one row's update.  A user whose last lease
 * ended is offline.  Pollers of all processes share the instance LEASE_POLL.
 * Times are Unix milliseconds.  Threads: as the store's.  Writes need a write
 * transaction, or make one.
 */
#ifndef LEASE_H
#define LEASE_H

#include <stdint.h>

#include "attr.h"

#define LEASE_POLL	"poll"
#define LEASE_OPEN	0	/* ends_at: as long as the instance lives */
#define LEASE_SWEEP_MAX	1000	/* leases: the site's writers wait meanwhile */

struct store;

/* Inserts or renews the instance's row with its heartbeat; returns 1 if it was not there:
 * the first, or somebody took the instance for dead and its leases have to be taken anew. */
int	 lease_beat(struct store *st, const char *instance, int64_t pid, int64_t now_ms)
	    ATTR_MUST_CHECK;
/* Ends the instance: its open leases end at ends_at, its row goes. */
int	 lease_retire(struct store *st, const char *instance, int64_t ends_at)
	    ATTR_MUST_CHECK;
/* Walks the instances; non-zero from fn stops.  instance is borrowed; fn may not write. */
typedef int lease_each_fn(const char *instance, int64_t pid, int64_t seen_at, void *arg);
int	 lease_each_instance(struct store *st, lease_each_fn *fn, void *arg)
	    ATTR_MUST_CHECK;
/* One lease that has not ended; borrowed. */
struct lease_holder {
	const char	*user_id;
	const char	*name;		/* "" where he is no user any more */
	const char	*instance;
	int64_t		 ends_at;
	int64_t		 pid;		/* of the instance; 0: it is gone, or LEASE_POLL */
	int64_t		 came_us;	/* when he came online, Unix microseconds; 0: not known */
};
/* Walks them by user; non-zero from fn stops.  Reads the whole log: for the command. */
typedef int lease_holder_fn(const struct lease_holder *holder, void *arg);
int	 lease_each_holder(struct store *st, int64_t now_ms, lease_holder_fn *fn, void *arg)
	    ATTR_MUST_CHECK;
/* Youngest heartbeat of any instance, 0 if there is none. */
int	 lease_last_beat(struct store *st, int64_t *ret) ATTR_MUST_CHECK;

/* Takes or renews a lease until ends_at (or LEASE_OPEN).  The user is set online unless he
 * is connected already (holds an open lease, or one of LEASE_POLL): the site may have set
 * him offline since, and then he stays so until he comes anew.  Returns 1 if he was not
 * online before and is now. */
int	 lease_take(struct store *st, const char *user_id, const char *instance,
	    int64_t ends_at, int64_t now_ms) ATTR_MUST_CHECK;
/* When the lease ends, LEASE_OPEN; ERR_NOTFOUND: there is none. */
int	 lease_get(struct store *st, const char *user_id, const char *instance,
	    int64_t *ret) ATTR_MUST_CHECK;
/* Gives every instance whose heartbeat is older than dead_ms to nobody: its open
 * leases end at ends_at.  Returns how many instances. */
int	 lease_adopt(struct store *st, int64_t now_ms, int64_t dead_ms, int64_t ends_at)
	    ATTR_MUST_CHECK;
/* Removes what has ended, at most LEASE_SWEEP_MAX at once, and sets those users offline who
 * have no other; returns how many went offline.  *ret_next is when the next lease ends
 * (now or before: there is more to sweep), 0: none will. */
int	 lease_sweep(struct store *st, int64_t now_ms, int64_t *ret_next) ATTR_MUST_CHECK;

#endif
