/*
 * hub - subscribers and their positions, a bounded ring of recent events, delivery.
 *
 * There is no queue per client.  A subscriber is a position in the log: it is clean
 * while nothing that it may see lies after its position (its effective position is
 * then the hub's head), or pending from a position on.  An event touches only the
 * subscribers that may see it: each that was clean is told once (wake), and reads by
 * itself when it can, from the ring, or, when it has fallen behind the ring or an event
 * there was overtaken by a later one about the same thing, from SQL in pages.  Rights
 * and payloads are as of the moment of reading.
 * A held poll and a socket are two kinds of subscriber; the hub knows neither.
 * Threads: a hub and its subscribers belong to one thread.
 */
#ifndef HUB_H
#define HUB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "attr.h"
#include "strset.h"

#define HUB_RING	4096			/* events kept, at most */
#define HUB_RING_BYTES	(16 * 1024 * 1024)	/* and bytes of text */

struct event;
struct hub;
struct roster_interest;
struct roster_user;
struct store;

/* Embedded by its owner; all fields are the hub's.  Zeroed: not joined. */
struct hub_sub {
	int64_t			 pos;		/* a floor: everything up to it was read */
	uint8_t			 is_pending;	/* something after pos may be for it */
	uint8_t			 is_plain;	/* may see whatever everyone may */
	LIST_ENTRY(hub_sub)	 of_hub;	/* all, or the narrowed ones */
	struct roster_user	*user;
	LIST_ENTRY(hub_sub)	 of_user;	/* the user's subscribers */
	struct roster_interest	*interest;	/* one for each room in rooms */
	struct strset		 rooms;		/* narrows room events; empty: all */
};

struct hub_ops {
	/* sub was clean and has something to read now.  May not call hub_leave(). */
	void	(*wake)(struct hub_sub *sub, void *arg);
	/* The user of sub is no longer there (deleted), or his tokens were revoked.  May not call
	 * hub_leave(). */
	void	(*gone)(struct hub_sub *sub, void *arg);
};

/* head: position up to which the log is known, that of the tail that will feed it. */
int	 hub_new(const struct hub_ops *ops, void *arg, struct store *st, int64_t head,
	    struct hub **ret) ATTR_MUST_CHECK;
void	 hub_free(struct hub *hub);		/* all subscribers must have left */
/* Another store, another log: forgets the ring, reloads all rights. */
void	 hub_reset(struct hub *hub, struct store *st, int64_t head);
/* The same log, but what it did not tell of may have changed (tail.h): forgets the ring, reloads
 * all rights, looks whether the users are still there.  Positions stay. */
void	 hub_doubt(struct hub *hub);

/*
 * Enters sub as user_id, at position after (HUB_HEAD: the present), with a copy of
 * n_rooms ids that narrow it (0: all).  If events after the position are known,
 * sub is pending at once (hub_has_news() tells; wake is not called).
 */
#define HUB_HEAD	((int64_t)-1)
int	 hub_join(struct hub *hub, struct hub_sub *sub, const char *user_id,
	    int64_t after, char *const *rooms, size_t n_rooms) ATTR_MUST_CHECK;
void	 hub_leave(struct hub *hub, struct hub_sub *sub);	/* harmless when not joined */
/* Moves sub on to a position that is not before its own. */
void	 hub_seek(struct hub *hub, struct hub_sub *sub, int64_t pos);
/* Changes the narrowing; the position stays. */
int	 hub_narrow(struct hub *hub, struct hub_sub *sub, char *const *rooms,
	    size_t n_rooms) ATTR_MUST_CHECK;

/* New events in log order, from the tail: rights first, then who is to be woken. */
void	 hub_feed(struct hub *hub, struct event *const *ev, size_t n);

/*
 * Reads on: calls fn for each event that sub may see, at most max_events and until
 * max_bytes of text were given (at least one event).  text is borrowed during the call;
 * EVENT_PRE bytes in front of it may be written to.  Returns how many events were given;
 * the position moves past them.  0: there was nothing for it, and sub is clean.
 * hub_has_news() afterwards tells whether there may be more.
 */
typedef int hub_read_fn(const struct event *ev, const char *text, size_t len, void *arg);
int	 hub_read(struct hub *hub, struct hub_sub *sub, int max_events, size_t max_bytes,
	    hub_read_fn *fn, void *arg) ATTR_MUST_CHECK;
int	 hub_has_news(const struct hub_sub *sub);
/* Everything up to this position was read by sub or is not for it. */
int64_t	 hub_position(const struct hub *hub, const struct hub_sub *sub);
int64_t	 hub_head(const struct hub *hub);
/* The user of a joined subscriber, and how many subscribers he has here (this one counted). */
const char *hub_user_id(const struct hub_sub *sub);
size_t	 hub_user_subs(const struct hub_sub *sub);

struct hub_sizes {
	size_t	subs, users, rooms, ring_events, ring_bytes;
	size_t	lingering;	/* users without a subscriber (roster.h) */
	uint64_t looks;		/* at subscribers, whether a new event is for them, so far */
	uint64_t log_pages;	/* read for those behind the ring, so far */
	uint64_t too_big;	/* events that nobody gets, so far */
};
void	 hub_get_sizes(const struct hub *hub, struct hub_sizes *ret);

#endif
