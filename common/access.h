/*
 * access - who may see an event: one user's rooms and blocks, in memory.
 *
 * The rule (design 3): an event is for everyone, or for me by user_id, or for a
 * room that is open to all or has me as member; it has not expired; its actor is
 * not blocked by me; and an act that has no entity (presence, typing) is not sent
 * back to its own actor.  The same rule exists as SQL in store_sql.h; the property
 * test unit/test_access.c holds the two together.
 *
 * Rights are loaded once at a position and from then on changed by the log itself,
 * in its order; what is at or before the loaded position is not applied again.
 * Threads: an object belongs to one thread.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdint.h>

#include "attr.h"

struct access;
struct event;
struct store;

/* Loads the rights of user_id.  End with access_free(). */
int	 access_load(struct store *st, const char *user_id, struct access **ret)
	    ATTR_MUST_CHECK;
/* Loads them anew, at the present position; on failure they stay as they were. */
int	 access_reload(struct access *a, struct store *st) ATTR_MUST_CHECK;
void	 access_free(struct access *a);

const char *access_user(const struct access *a);
int64_t	 access_position(const struct access *a);
int	 access_is_member(const struct access *a, const char *room_id);
int	 access_has_blocks(const struct access *a);	/* blocked anybody */
int	 access_has_blocked(const struct access *a, const char *user_id);

enum access_change {
	ACCESS_SAME,
	ACCESS_JOINED,		/* ev->entity_id was joined */
	ACCESS_LEFT,
	ACCESS_RELOAD		/* the event says only that something changed: access_reload() */
};
/* Applies one event of the log (ROOM_JOINED, ROOM_LEFT, USER_UPDATE to me).  ERR_NOMEM. */
int	 access_apply(struct access *a, const struct event *ev, enum access_change *ret)
	    ATTR_MUST_CHECK;

/* The rule.  now_us: Unix microseconds, for expires_at. */
int	 access_may_see(const struct access *a, const struct event *ev, int64_t now_us);

/* Walks the rooms that the user is a member of. */
typedef void access_each_fn(const char *room_id, void *arg);
void	 access_each_room(const struct access *a, access_each_fn *fn, void *arg);

#endif
