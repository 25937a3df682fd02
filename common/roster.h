/*
 * roster - the users who have a subscriber here, their rights, and the rooms that they
 * are members of or that a subscriber is narrowed to: the hub's index of receivers.
 *
 * A user's rights are loaded with his first subscriber and freed with his last; of a
 * room nothing is known but who is to be found through it.
 * Threads: belongs to the hub's thread.  The structs are the hub's to walk, the
 * roster's to change.
 */
#ifndef ROSTER_H
#define ROSTER_H

#include <stddef.h>
#include <sys/queue.h>

#include "attr.h"

struct access;
struct event;
struct hub_sub;
struct store;
struct strset;

/* A user who is a member of a room, while he has a subscriber here. */
struct roster_member {
	LIST_ENTRY(roster_member)	 of_room;
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
};

struct roster_user {
	const char		*id;		/* access' */
	struct access		*access;
	int			 is_stale;	/* a reload failed: no reading before one succeeds */
	LIST_HEAD(, hub_sub)	 subs;
	LIST_HEAD(, roster_member)	 rooms;
	size_t			 n_subs;
};

struct roster {
	struct store		*st;		/* borrowed */
	void			*users;		/* tsearch(3) root of struct roster_user */
	void			*rooms;		/* tsearch(3) root of struct roster_room */
	size_t			 n_users, n_rooms;
};

/* NULL where nobody here is that user; a member of or narrowed to that room. */
struct roster_user *roster_find_user(struct roster *r, const char *id);
struct roster_room *roster_find_room(struct roster *r, const char *id);

/* The user, his rights loaded if he is new here.  ERR_NOMEM or the store's errors. */
int	 roster_get_user(struct roster *r, const char *id, struct roster_user **ret)
	    ATTR_MUST_CHECK;
/* Frees him when he has no subscriber left. */
void	 roster_put_user(struct roster *r, struct roster_user *user);
/* Loads his rights anew; is_stale tells afterwards whether they are unknown. */
int	 roster_reload_user(struct roster *r, struct roster_user *user) ATTR_MUST_CHECK;
/* Applies an event that concerns him (access_apply()); is_stale is set where that fails. */
void	 roster_apply(struct roster *r, struct roster_user *user, const struct event *ev);

/* An interest of sub in each room of the set, as an array of its length; *ret is NULL for
 * an empty set.  ERR_NOMEM. */
int	 roster_add_interests(struct roster *r, struct hub_sub *sub,
	    const struct strset *rooms, struct roster_interest **ret) ATTR_MUST_CHECK;
void	 roster_drop_interests(struct roster *r, struct roster_interest *interest, size_t n);

#endif
