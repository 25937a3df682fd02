/*
 * roster - the users who have a subscriber here, their rights, and the rooms that they
 * are members of or that a subscriber is narrowed to: the hub's index of receivers.
 *
 * A user's rights are loaded with his first subscriber.  When the last has left he
 * lingers, for a client that polls is back in a moment: found by his name alone, not
 * through rooms, until he comes back, his rights change, he is forgotten (offline,
 * deleted, revoked, doubt), or too many others linger; then the one who left first goes.
 * Of a room nothing is known but who is to be found through it.
 * Threads: belongs to the hub's thread.  The structs are the hub's to walk, the
 * roster's to change.
 */
#ifndef ROSTER_H
#define ROSTER_H

#include <stddef.h>
#include <sys/queue.h>

#include "attr.h"

#define ROSTER_LINGER		16384	/* users without a subscriber, at most, */
#define ROSTER_LINGER_ROOMS	65536	/* and rooms that they are members of */

struct access;
struct event;
struct hub_sub;
struct store;
struct strset;

/* A user who is a member of a room. */
struct roster_member {
	LIST_ENTRY(roster_member)	 of_room;	/* while he has a subscriber here */
	LIST_ENTRY(roster_member)	 of_user;
	struct roster_room		*room;
	struct roster_user		*user;
};

/* A subscriber that is narrowed to a room (and others). */
struct roster_interest {
	LIST_ENTRY(roster_interest) of_room;
	struct roster_room		*room;
	struct hub_sub		*sub;
};

/* A room that somebody here is a member of or narrowed to; nothing else is known of it. */
struct roster_room {
	char			*id;
	LIST_HEAD(, roster_member)	 members;
	LIST_HEAD(, roster_interest) interests;
	size_t			 n_lingering;	/* members who are not in the list */
};

struct roster_user {
	const char		*id;		/* access' */
	struct access		*access;
	int			 is_stale;	/* a reload failed: no reading before one succeeds */
	LIST_HEAD(, hub_sub)	 subs;
	LIST_HEAD(, roster_member)	 rooms;
	size_t			 n_subs, n_rooms;
	TAILQ_ENTRY(roster_user) lingering;	/* while n_subs is 0 */
};
TAILQ_HEAD(roster_users, roster_user);

struct roster {
	struct store		*st;		/* borrowed */
	void			*users;		/* tsearch(3) root of struct roster_user */
	void			*rooms;		/* tsearch(3) root of struct roster_room */
	struct roster_users	 lingering;	/* who left first comes first */
	size_t			 n_users, n_rooms;
	size_t			 n_lingering, n_lingering_rooms;	/* of n_users; of them */
};

void	 roster_init(struct roster *r, struct store *st);
void	 roster_release(struct roster *r);	/* of users nobody but who lingers is left */

/* NULL where nobody here is that user; a member of or narrowed to that room. */
struct roster_user *roster_find_user(struct roster *r, const char *id);
struct roster_room *roster_find_room(struct roster *r, const char *id);

/* The user with one subscriber more (n_subs), his rights loaded if he is new here.  ERR_NOMEM or
 * the store's errors. */
int	 roster_get_user(struct roster *r, const char *id, struct roster_user **ret)
	    ATTR_MUST_CHECK;
/* One subscriber less: with the last he lingers. */
void	 roster_put_user(struct roster *r, struct roster_user *user);
/* Forgets him who lingers; all who do. */
void	 roster_forget_user(struct roster *r, struct roster_user *user);
void	 roster_forget_lingering(struct roster *r);
/* Loads his rights anew; is_stale tells afterwards whether they are unknown. */
int	 roster_reload_user(struct roster *r, struct roster_user *user) ATTR_MUST_CHECK;
/* Applies an event that concerns him (access_apply()); is_stale is set where that fails.  Who
 * lingers is forgotten if it changes his rights. */
void	 roster_apply(struct roster *r, struct roster_user *user, const struct event *ev);

/* An interest of sub in each room of the set, as an array of its length; *ret is NULL for
 * an empty set.  ERR_NOMEM. */
int	 roster_add_interests(struct roster *r, struct hub_sub *sub,
	    const struct strset *rooms, struct roster_interest **ret) ATTR_MUST_CHECK;
void	 roster_drop_interests(struct roster *r, struct roster_interest *interest, size_t n);

#endif
