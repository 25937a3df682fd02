/*
 * Subscribers, their positions, and who is told of what (hub.h).
 *
 * Finding the receivers of an event costs what they are, not what is connected: an
 * event for a user finds him by name, one for a private room finds the members who
 * are here, one for a public room finds the subscribers that are not narrowed and
 * those narrowed to it.  Users and rooms are kept in search trees (tsearch(3)); a
 * user's rights are loaded with his first subscriber and freed with his last.
 *
 * A clean subscriber is not touched by events that are not for it, so its pos is only
 * a floor; it becomes exact in the moment it turns pending, just before the event that
 * made it so.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "hub.h"
#include "ring.h"
#include "site.h"

/* A user who is a member of a room, while he has a subscriber here. */
struct hub_member {
	LIST_ENTRY(hub_member)	 of_room;
	LIST_ENTRY(hub_member)	 of_user;
	struct hub_room		*room;
	struct hub_user		*user;
};

/* A subscriber that is narrowed to a room (and others). */
struct hub_interest {
	LIST_ENTRY(hub_interest) of_room;
	struct hub_room		*room;
	struct hub_sub		*sub;
};

/* A room that somebody here is a member of or narrowed to; nothing else is known of it. */
struct hub_room {
	char			*id;
	LIST_HEAD(, hub_member)	 members;
	LIST_HEAD(, hub_interest) interests;
};

struct hub_user {
	const char		*id;		/* access' */
	struct access		*access;
	int			 is_stale;	/* a reload failed: no reading before one succeeds */
	LIST_HEAD(, hub_sub)	 subs;
	LIST_HEAD(, hub_member)	 rooms;
	size_t			 n_subs;
};

struct hub {
	struct hub_ops		 ops;
	void			*arg;
	struct store		*st;
	struct ring		*ring;
	int64_t			 head;
	void			*users;		/* tsearch root of struct hub_user */
	void			*rooms;		/* tsearch root of struct hub_room */
	LIST_HEAD(hub_subs, hub_sub) wide;	/* subscribers that are not narrowed */
	struct hub_subs		 narrow;
	size_t			 n_subs, n_users, n_rooms;
};

/* --- rooms --- */

static int
room_compare(const void *a, const void *b)
{
	return strcmp(((const struct hub_room *)a)->id,
	    ((const struct hub_room *)b)->id);
}

static struct hub_room *
room_find(struct hub *hub, const char *id)
{
	const struct hub_room key = { .id = (char *)(uintptr_t)id };
	void *node;

	node = tfind(&key, &hub->rooms, room_compare);
	return node == NULL ? NULL : *(struct hub_room **)node;
}

static struct hub_room *
room_get(struct hub *hub, const char *id)
{
	struct hub_room *room;

	room = room_find(hub, id);
	if (room != NULL)
		return room;
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		return NULL;
	room->id = strdup(id);
	if (room->id == NULL ||
	    tsearch(room, &hub->rooms, room_compare) == NULL) {
		free(room->id);
		free(room);
		return NULL;
	}
	hub->n_rooms++;
	return room;
}

static void
room_put(struct hub *hub, struct hub_room *room)
{
	if (!LIST_EMPTY(&room->members) || !LIST_EMPTY(&room->interests))
		return;
	(void)tdelete(room, &hub->rooms, room_compare);
	hub->n_rooms--;
	free(room->id);
	free(room);
}

/* --- users --- */

static int
user_compare(const void *a, const void *b)
{
	return strcmp(((const struct hub_user *)a)->id,
	    ((const struct hub_user *)b)->id);
}

static struct hub_user *
user_find(struct hub *hub, const char *id)
{
	const struct hub_user key = { .id = id };
	void *node;

	node = tfind(&key, &hub->users, user_compare);
	return node == NULL ? NULL : *(struct hub_user **)node;
}

static struct hub_member *
user_find_room(struct hub_user *user, const char *room_id)
{
	struct hub_member *m;

	LIST_FOREACH(m, &user->rooms, of_user) {
		if (strcmp(m->room->id, room_id) == 0)
			return m;
	}
	return NULL;
}

/* Adds the user to the room's members, without a look whether he is there. */
static int
user_enter_room(struct hub *hub, struct hub_user *user, const char *room_id)
{
	struct hub_member *m;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return ERR_NOMEM;
	m->room = room_get(hub, room_id);
	if (m->room == NULL) {
		free(m);
		return ERR_NOMEM;
	}
	m->user = user;
	LIST_INSERT_HEAD(&m->room->members, m, of_room);
	LIST_INSERT_HEAD(&user->rooms, m, of_user);
	return 0;
}

static void
user_leave_room(struct hub *hub, struct hub_member *m)
{
	LIST_REMOVE(m, of_room);
	LIST_REMOVE(m, of_user);
	room_put(hub, m->room);
	free(m);
}

static void
user_leave_rooms(struct hub *hub, struct hub_user *user)
{
	struct hub_member *m, *next;

	for (m = LIST_FIRST(&user->rooms); m != NULL; m = next) {
		next = LIST_NEXT(m, of_user);
		user_leave_room(hub, m);
	}
}

struct enter {
	struct hub	*hub;
	struct hub_user	*user;
	int		 rc;
};

static void
user_enter_each(const char *room_id, void *arg)
{
	struct enter *en = arg;

	if (en->rc == 0)
		en->rc = user_enter_room(en->hub, en->user, room_id);
}

/* Makes the links anew from the rights. */
static int
user_link_rooms(struct hub *hub, struct hub_user *user)
{
	struct enter en = { hub, user, 0 };

	user_leave_rooms(hub, user);
	access_each_room(user->access, user_enter_each, &en);
	return en.rc;
}

static void
user_free(struct hub *hub, struct hub_user *user)
{
	user_leave_rooms(hub, user);
	access_free(user->access);
	free(user);
}

static int
user_get(struct hub *hub, const char *id, struct hub_user **ret)
{
	struct hub_user *user;
	int rc;

	user = user_find(hub, id);
	if (user != NULL) {
		*ret = user;
		return 0;
	}
	user = calloc(1, sizeof(*user));
	if (user == NULL)
		return ERR_NOMEM;
	rc = access_load(hub->st, id, &user->access);
	if (rc < 0) {
		free(user);
		return rc;
	}
	user->id = access_user(user->access);
	rc = user_link_rooms(hub, user);
	if (rc == 0 && tsearch(user, &hub->users, user_compare) == NULL)
		rc = ERR_NOMEM;
	if (rc < 0) {
		user_free(hub, user);
		return rc;
	}
	hub->n_users++;
	*ret = user;
	return 0;
}

static void
user_put(struct hub *hub, struct hub_user *user)
{
	if (user->n_subs > 0)
		return;
	(void)tdelete(user, &hub->users, user_compare);
	hub->n_users--;
	user_free(hub, user);
}

/* Loads the rights anew; while that fails the user's subscribers cannot read. */
static int
user_reload(struct hub *hub, struct hub_user *user)
{
	int rc;

	rc = access_reload(user->access, hub->st);
	if (rc == 0)
		rc = user_link_rooms(hub, user);
	user->is_stale = rc < 0;
	return rc;
}

/* --- the hub --- */

int
hub_new(const struct hub_ops *ops, void *arg, struct store *st, int64_t head,
    struct hub **ret)
{
	struct hub *hub;
	int rc;

	hub = calloc(1, sizeof(*hub));
	if (hub == NULL)
		return ERR_NOMEM;
	rc = ring_new(HUB_RING, HUB_RING_BYTES, head, &hub->ring);
	if (rc < 0) {
		free(hub);
		return rc;
	}
	hub->ops = *ops;
	hub->arg = arg;
	hub->st = st;
	hub->head = head;
	LIST_INIT(&hub->wide);
	LIST_INIT(&hub->narrow);
	*ret = hub;
	return 0;
}

void
hub_free(struct hub *hub)
{
	if (hub == NULL)
		return;
	ring_free(hub->ring);
	free(hub);
}

/* Makes sub read from pos on, whether or not there is something for it. */
static void
hub_push(struct hub *hub, struct hub_sub *sub, int64_t pos)
{
	if (sub->is_pending)
		return;
	if (sub->pos < pos)
		sub->pos = pos;
	sub->is_pending = 1;
	hub->ops.wake(sub, hub->arg);
}

/* The user's rights are not known any more: whoever reads for him loads them first. */
static void
hub_make_stale(struct hub *hub, struct hub_user *user, int64_t pos)
{
	struct hub_sub *sub;

	user->is_stale = 1;
	LIST_FOREACH(sub, &user->subs, of_user)
		hub_push(hub, sub, pos);
}

static void
hub_reset_list(struct hub *hub, struct hub_subs *list)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, list, of_hub) {
		sub->pos = hub->head;
		sub->user->is_stale = 1;
		hub_push(hub, sub, hub->head);
	}
}

void
hub_reset(struct hub *hub, struct store *st, int64_t head)
{
	hub->st = st;
	hub->head = head;
	ring_reset(hub->ring, head);
	hub_reset_list(hub, &hub->wide);
	hub_reset_list(hub, &hub->narrow);
}

/* --- subscribers --- */

static void
sub_drop_interests(struct hub *hub, struct hub_sub *sub)
{
	size_t i;

	for (i = 0; i < sub->rooms.len; i++) {
		LIST_REMOVE(&sub->interest[i], of_room);
		room_put(hub, sub->interest[i].room);
	}
	free(sub->interest);
	sub->interest = NULL;
	strset_release(&sub->rooms);
}

/* Replaces the narrowing; on failure the old one stays. */
static int
sub_set_interests(struct hub *hub, struct hub_sub *sub, char *const *rooms,
    size_t n_rooms)
{
	struct hub_interest *interest = NULL;
	struct strset set;
	size_t i = 0;

	strset_init(&set);
	if (strset_set(&set, rooms, n_rooms) < 0)
		return ERR_NOMEM;
	if (set.len > 0) {
		interest = calloc(set.len, sizeof(*interest));
		if (interest == NULL)
			goto fail;
	}
	for (; i < set.len; i++) {
		interest[i].sub = sub;
		interest[i].room = room_get(hub, set.item[i]);
		if (interest[i].room == NULL)
			goto fail;
		LIST_INSERT_HEAD(&interest[i].room->interests, &interest[i],
		    of_room);
	}
	sub_drop_interests(hub, sub);
	strset_move(&sub->rooms, &set);
	sub->interest = interest;
	return 0;
fail:
	while (i-- > 0) {
		LIST_REMOVE(&interest[i], of_room);
		room_put(hub, interest[i].room);
	}
	free(interest);
	strset_release(&set);
	return ERR_NOMEM;
}

static void
sub_enlist(struct hub *hub, struct hub_sub *sub)
{
	if (sub->rooms.len > 0)
		LIST_INSERT_HEAD(&hub->narrow, sub, of_hub);
	else
		LIST_INSERT_HEAD(&hub->wide, sub, of_hub);
}

int
hub_join(struct hub *hub, struct hub_sub *sub, const char *user_id,
    int64_t after, char *const *rooms, size_t n_rooms)
{
	struct hub_user *user;
	int rc;

	memset(sub, 0, sizeof(*sub));
	rc = user_get(hub, user_id, &user);
	if (rc < 0)
		return rc;
	rc = sub_set_interests(hub, sub, rooms, n_rooms);
	if (rc < 0) {
		user_put(hub, user);
		return rc;
	}
	sub->user = user;
	sub->pos = after == HUB_HEAD ? hub->head : after;
	sub->is_pending = sub->pos < hub->head;
	LIST_INSERT_HEAD(&user->subs, sub, of_user);
	user->n_subs++;
	sub_enlist(hub, sub);
	hub->n_subs++;
	return 0;
}

void
hub_leave(struct hub *hub, struct hub_sub *sub)
{
	struct hub_user *user = sub->user;

	if (user == NULL)
		return;
	LIST_REMOVE(sub, of_user);
	LIST_REMOVE(sub, of_hub);
	sub_drop_interests(hub, sub);
	hub->n_subs--;
	user->n_subs--;
	user_put(hub, user);
	memset(sub, 0, sizeof(*sub));
}

int
hub_narrow(struct hub *hub, struct hub_sub *sub, char *const *rooms,
    size_t n_rooms)
{
	int rc;

	rc = sub_set_interests(hub, sub, rooms, n_rooms);
	if (rc < 0)
		return rc;
	LIST_REMOVE(sub, of_hub);
	sub_enlist(hub, sub);
	return 0;
}

/* --- new events --- */

static int
sub_may_see(const struct hub_sub *sub, const struct event *ev, int64_t now_us)
{
	if (ev->text == NULL && ev->self == NULL)
		return 0;
	if (ev->room_id != NULL && sub->rooms.len > 0 &&
	    !strset_has(&sub->rooms, ev->room_id))
		return 0;
	return access_may_see(sub->user->access, ev, now_us);
}

static void
sub_tell(struct hub *hub, struct hub_sub *sub, const struct event *ev,
    int64_t now_us)
{
	if (sub->is_pending || sub->pos >= ev->id)
		return;
	if (sub_may_see(sub, ev, now_us))
		hub_push(hub, sub, ev->id - 1);
}

static void
hub_tell_list(struct hub *hub, struct hub_subs *list, const struct event *ev,
    int64_t now_us)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, list, of_hub)
		sub_tell(hub, sub, ev, now_us);
}

static void
hub_tell_user(struct hub *hub, struct hub_user *user, const struct event *ev,
    int64_t now_us)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, &user->subs, of_user)
		sub_tell(hub, sub, ev, now_us);
}

static void
hub_tell_room(struct hub *hub, const struct event *ev, int64_t now_us)
{
	struct hub_interest *in;
	struct hub_member *m;
	struct hub_room *room;

	if (ev->is_open)
		hub_tell_list(hub, &hub->wide, ev, now_us);
	room = room_find(hub, ev->room_id);
	if (room == NULL)
		return;
	if (ev->is_open) {
		LIST_FOREACH(in, &room->interests, of_room)
			sub_tell(hub, in->sub, ev, now_us);
		return;
	}
	LIST_FOREACH(m, &room->members, of_room)
		hub_tell_user(hub, m->user, ev, now_us);
}

/* Wakes whom the event is for. */
static void
hub_tell(struct hub *hub, const struct event *ev, int64_t now_us)
{
	struct hub_user *user;

	if (ev->text == NULL && ev->self == NULL)
		return;
	if (ev->user_id != NULL) {
		user = user_find(hub, ev->user_id);
		if (user != NULL)
			hub_tell_user(hub, user, ev, now_us);
	} else if (ev->room_id != NULL) {
		hub_tell_room(hub, ev, now_us);
	} else {
		hub_tell_list(hub, &hub->wide, ev, now_us);
		hub_tell_list(hub, &hub->narrow, ev, now_us);
	}
}

/* A room became private, public or nothing: so do its events in the ring. */
static void
hub_turn_room(struct hub *hub, const struct event *change, int is_public)
{
	struct event *ev;
	size_t i;

	for (i = 0; i < ring_len(hub->ring); i++) {
		ev = ring_at(hub->ring, i);
		if (ev->room_id != NULL && ev->user_id == NULL &&
		    strcmp(ev->room_id, change->entity_id) == 0)
			ev->is_open = is_public && !ev->is_private;
	}
}

/* Membership and blocks, in log order. */
static void
hub_turn_user(struct hub *hub, const struct event *ev)
{
	enum access_change change;
	struct hub_member *m;
	struct hub_user *user;
	int rc;

	user = user_find(hub, ev->user_id);
	if (user == NULL || user->is_stale)
		return;
	rc = access_apply(user->access, ev, &change);
	if (rc == 0 && change == ACCESS_JOINED) {
		if (user_find_room(user, ev->entity_id) == NULL)
			rc = user_enter_room(hub, user, ev->entity_id);
	} else if (rc == 0 && change == ACCESS_LEFT) {
		m = user_find_room(user, ev->entity_id);
		if (m != NULL)
			user_leave_room(hub, m);
	} else if (rc == 0 && change == ACCESS_RELOAD) {
		rc = user_reload(hub, user);
	}
	if (rc < 0)
		hub_make_stale(hub, user, ev->id - 1);
}

/* Somebody went offline: perhaps he was deleted. */
static void
hub_look_for_user(struct hub *hub, const struct event *ev)
{
	struct hub_sub *sub;
	struct hub_user *user;

	user = user_find(hub, ev->actor_id);
	if (user == NULL || site_has_user(hub->st, user->id) != 0)
		return;
	LIST_FOREACH(sub, &user->subs, of_user)
		hub->ops.gone(sub, hub->arg);
}

/* What the event changes in who may see what. */
static void
hub_turn(struct hub *hub, const struct event *ev)
{
	if (ev->user_id != NULL)
		hub_turn_user(hub, ev);
	else if (strncmp(ev->type, "ROOM_", 5) == 0 && ev->entity_id != NULL) {
		if (strcmp(ev->type, "ROOM_DELETED") == 0)
			hub_turn_room(hub, ev, 0);
		else if (strcmp(ev->type, "ROOM_UPDATED") == 0 ||
		    strcmp(ev->type, "ROOM_CREATED") == 0)
			hub_turn_room(hub, ev, !ev->is_private);
	} else if (strcmp(ev->type, "USER_LEFT") == 0 && ev->actor_id != NULL)
		hub_look_for_user(hub, ev);
}

void
hub_feed(struct hub *hub, struct event *const *ev, size_t n)
{
	int64_t now_us = clock_wall_us();
	size_t i;

	for (i = 0; i < n; i++) {
		ring_push(hub->ring, ev[i]);
		hub->head = ev[i]->id;
		hub_turn(hub, ev[i]);
	}
	for (i = 0; i < n; i++)
		hub_tell(hub, ev[i], now_us);
}

/* --- reading --- */

struct reading {
	struct hub_sub	*sub;
	hub_read_fn	*fn;
	void		*arg;
	int64_t		 pos;		/* of the last event given or passed */
	size_t		 bytes_left;
	int		 events_left;
	int		 given;
	int		 is_full;	/* stopped before the end */
	int		 rc;		/* fn's refusal */
};

/* Gives one event unless that is too much; returns is_full. */
static int
reading_give(struct reading *rd, const struct event *ev)
{
	const char *text;
	size_t len = 0;

	text = event_get_text(ev, rd->sub->user->id, &len);
	if (text == NULL) {
		rd->pos = ev->id;
		return 0;
	}
	rd->is_full = 1;
	if (rd->given > 0 && len > rd->bytes_left)
		return 1;
	rd->rc = rd->fn(ev, text, len, rd->arg);
	if (rd->rc < 0)
		return 1;
	rd->pos = ev->id;
	rd->given++;
	rd->events_left--;
	rd->bytes_left -= len < rd->bytes_left ? len : rd->bytes_left;
	rd->is_full = rd->events_left <= 0;
	return rd->is_full;
}

/* Returns 1 when the end of the ring was reached. */
static int
hub_read_ring(struct hub *hub, struct reading *rd)
{
	int64_t now_us = clock_wall_us();
	struct event *ev;
	size_t i, len;

	len = ring_len(hub->ring);
	for (i = ring_find(hub->ring, rd->pos); i < len; i++) {
		ev = ring_at(hub->ring, i);
		if (!sub_may_see(rd->sub, ev, now_us))
			rd->pos = ev->id;
		else if (reading_give(rd, ev))
			return rd->pos >= hub->head;
	}
	return 1;
}

static int
reading_each(struct event *ev, void *arg)
{
	return reading_give(arg, ev);
}

/* The same from the log, for one who fell behind the ring; 1 at its end. */
static int
hub_read_log(struct hub *hub, struct reading *rd)
{
	const struct strset *rooms = &rd->sub->rooms;
	int64_t pos = rd->pos;
	int rc, more = 0;

	rc = eventlog_page(hub->st, rd->sub->user->id, rooms->item, rooms->len,
	    rd->pos, rd->events_left, reading_each, rd, &pos, &more);
	if (rc < 0)
		return rc;
	if (rd->is_full)
		return 0;
	rd->pos = pos;
	return !more;
}

int
hub_read(struct hub *hub, struct hub_sub *sub, int max_events,
    size_t max_bytes, hub_read_fn *fn, void *arg)
{
	struct reading rd = {
		.sub = sub, .fn = fn, .arg = arg, .pos = sub->pos,
		.bytes_left = max_bytes, .events_left = max_events
	};
	int rc, is_end;

	if (!sub->is_pending)
		return 0;
	if (sub->user->is_stale) {
		rc = user_reload(hub, sub->user);
		if (rc < 0)
			return rc;
	}
	if (sub->pos >= ring_floor(hub->ring)) {
		is_end = hub_read_ring(hub, &rd);
	} else {
		is_end = hub_read_log(hub, &rd);
		if (is_end < 0)
			return is_end;
	}
	sub->pos = rd.pos;
	if (is_end && rd.rc >= 0) {
		sub->is_pending = 0;
		if (sub->pos < hub->head)
			sub->pos = hub->head;
	}
	return rd.rc < 0 ? rd.rc : rd.given;
}

int
hub_has_news(const struct hub_sub *sub)
{
	return sub->is_pending;
}

int64_t
hub_position(const struct hub *hub, const struct hub_sub *sub)
{
	if (!sub->is_pending && sub->pos < hub->head)
		return hub->head;
	return sub->pos;
}

int64_t
hub_head(const struct hub *hub)
{
	return hub->head;
}

const char *
hub_user_id(const struct hub_sub *sub)
{
	return sub->user->id;
}

size_t
hub_user_subs(const struct hub_sub *sub)
{
	return sub->user->n_subs;
}

void
hub_get_sizes(const struct hub *hub, struct hub_sizes *ret)
{
	ret->subs = hub->n_subs;
	ret->users = hub->n_users;
	ret->rooms = hub->n_rooms;
	ret->ring_events = ring_len(hub->ring);
	ret->ring_bytes = ring_bytes(hub->ring);
}
