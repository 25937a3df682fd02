/*
 * Subscribers, their positions, and who is told of what (hub.h).
 *
 * Finding the receivers of an event costs what they are, not what is connected: an
 * event for a user finds him by name, one for a private room finds the members who
 * are here, one for a public room finds the subscribers that are not narrowed and
 * those narrowed to it (roster.h).
 *
 * Most are for everyone, and most users have blocked nobody: who is plain is given
 * such an event without a look at his rights.  Ten thousand users' rights lie in ten
 * thousand places of memory, and fetching them would cost more than all the rest.
 *
 * A clean subscriber is not touched by events that are not for it, so its pos is only
 * a floor; it becomes exact in the moment it turns pending, just before the event that
 * made it so.
 */
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "hub.h"
#include "revocation.h"
#include "ring.h"
#include "roster.h"
#include "site.h"

struct hub {
	struct hub_ops		 ops;
	void			*arg;
	struct roster		 roster;
	struct ring		*ring;
	int64_t			 head;
	LIST_HEAD(hub_subs, hub_sub) wide;	/* subscribers that are not narrowed */
	struct hub_subs		 narrow;
	size_t			 n_subs;
	uint64_t		 looks, log_pages, too_big;	/* so far */
};

/* --- who is plain --- */

static void
sub_mark(struct hub_sub *sub)
{
	sub->is_plain = !sub->user->is_stale && sub->rooms.len == 0 &&
	    !access_has_blocks(sub->user->access);
}

/* To be called whenever his rights have changed. */
static void
hub_mark_user(struct roster_user *user)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, &user->subs, of_user)
		sub_mark(sub);
}

/* Everyone may see it, but for those who have blocked its actor. */
static int
event_is_plain(const struct event *ev)
{
	return ev->user_id == NULL && (ev->room_id == NULL || ev->is_open) &&
	    ev->expires_at == 0 &&
	    (ev->actor_id == NULL || ev->entity_id != NULL) &&
	    ev->text != NULL && ev->self == NULL;
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
	roster_init(&hub->roster, st);
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
	roster_release(&hub->roster);
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

static void
hub_reset_list(struct hub *hub, struct hub_subs *list)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, list, of_hub) {
		sub->pos = hub->head;
		sub->user->is_stale = 1;
		sub_mark(sub);
		hub_push(hub, sub, hub->head);
	}
}

void
hub_reset(struct hub *hub, struct store *st, int64_t head)
{
	hub->roster.st = st;
	hub->head = head;
	roster_forget_lingering(&hub->roster);
	ring_reset(hub->ring, head);
	hub_reset_list(hub, &hub->wide);
	hub_reset_list(hub, &hub->narrow);
}

static void
hub_end_user(struct hub *hub, struct roster_user *user)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, &user->subs, of_user)
		hub->ops.gone(sub, hub->arg);
}

/* His subscribers are to go if he is no user (any more). */
static void
hub_look_for_user(struct hub *hub, struct roster_user *user)
{
	if (site_has_user(hub->roster.st, user->id) == 0)
		hub_end_user(hub, user);
}

/* Offline, or deleted; or his tokens were revoked, all that are here with them. */
static void
hub_turn_out(struct hub *hub, const struct event *ev)
{
	struct roster_user *user;

	if (strcmp(ev->type, "USER_LEFT") == 0 && ev->actor_id != NULL) {
		user = roster_find_user(&hub->roster, ev->actor_id);
		if (user != NULL && user->n_subs == 0)
			roster_forget_user(&hub->roster, user);
		else if (user != NULL)
			hub_look_for_user(hub, user);
	} else if (revocation_is_event(ev)) {
		user = roster_find_user(&hub->roster, ev->user_id);
		if (user != NULL && user->n_subs == 0)
			roster_forget_user(&hub->roster, user);
		else if (user != NULL)
			hub_end_user(hub, user);
	}
}

static void
hub_doubt_list(struct hub *hub, struct hub_subs *list)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, list, of_hub) {
		sub->user->is_stale = 1;
		sub_mark(sub);
		hub_push(hub, sub, hub->head);
		if (sub == LIST_FIRST(&sub->user->subs))
			hub_look_for_user(hub, sub->user);
	}
}

void
hub_doubt(struct hub *hub)
{
	roster_forget_lingering(&hub->roster);
	ring_reset(hub->ring, hub->head);
	hub_doubt_list(hub, &hub->wide);
	hub_doubt_list(hub, &hub->narrow);
}

/* --- subscribers --- */

static void
sub_drop_interests(struct hub *hub, struct hub_sub *sub)
{
	roster_drop_interests(&hub->roster, sub->interest, sub->rooms.len);
	sub->interest = NULL;
	strset_release(&sub->rooms);
}

/* Replaces the narrowing; on failure the old one stays. */
static int
sub_set_interests(struct hub *hub, struct hub_sub *sub, char *const *rooms,
    size_t n_rooms)
{
	struct roster_interest *interest;
	struct strset set;

	strset_init(&set);
	if (strset_set(&set, rooms, n_rooms) < 0)
		return ERR_NOMEM;
	if (roster_add_interests(&hub->roster, sub, &set, &interest) < 0) {
		strset_release(&set);
		return ERR_NOMEM;
	}
	sub_drop_interests(hub, sub);
	strset_move(&sub->rooms, &set);
	sub->interest = interest;
	return 0;
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
	struct roster_user *user;
	int rc;

	memset(sub, 0, sizeof(*sub));
	rc = roster_get_user(&hub->roster, user_id, &user);
	if (rc < 0)
		return rc;
	rc = sub_set_interests(hub, sub, rooms, n_rooms);
	if (rc < 0) {
		roster_put_user(&hub->roster, user);
		return rc;
	}
	sub->user = user;
	sub->pos = after == HUB_HEAD ? hub->head : after;
	sub->is_pending = sub->pos < hub->head;
	LIST_INSERT_HEAD(&user->subs, sub, of_user);
	sub_mark(sub);
	sub_enlist(hub, sub);
	hub->n_subs++;
	return 0;
}

void
hub_leave(struct hub *hub, struct hub_sub *sub)
{
	struct roster_user *user = sub->user;

	if (user == NULL)
		return;
	LIST_REMOVE(sub, of_user);
	LIST_REMOVE(sub, of_hub);
	sub_drop_interests(hub, sub);
	hub->n_subs--;
	roster_put_user(&hub->roster, user);
	memset(sub, 0, sizeof(*sub));
}

void
hub_seek(struct hub *hub, struct hub_sub *sub, int64_t pos)
{
	sub->pos = pos;
	sub->is_pending = pos < hub->head;
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
	sub_mark(sub);
	return 0;
}

/* --- new events --- */

static int
sub_may_see(const struct hub_sub *sub, const struct event *ev, int64_t now_us)
{
	if (sub->is_plain && event_is_plain(ev))
		return 1;
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
	hub->looks++;
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
hub_tell_user(struct hub *hub, struct roster_user *user, const struct event *ev,
    int64_t now_us)
{
	struct hub_sub *sub;

	LIST_FOREACH(sub, &user->subs, of_user)
		sub_tell(hub, sub, ev, now_us);
}

static void
hub_tell_room(struct hub *hub, const struct event *ev, int64_t now_us)
{
	struct roster_interest *in;
	struct roster_member *m;
	struct roster_room *room;

	if (ev->is_open)
		hub_tell_list(hub, &hub->wide, ev, now_us);
	room = roster_find_room(&hub->roster, ev->room_id);
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
	struct roster_user *user;

	if (ev->text == NULL && ev->self == NULL)
		return;
	if (ev->user_id != NULL) {
		user = roster_find_user(&hub->roster, ev->user_id);
		if (user != NULL)
			hub_tell_user(hub, user, ev, now_us);
	} else if (ev->room_id != NULL) {
		hub_tell_room(hub, ev, now_us);
	} else {
		hub_tell_list(hub, &hub->wide, ev, now_us);
		hub_tell_list(hub, &hub->narrow, ev, now_us);
	}
}

/* What a batch changes: ids of messages, rooms and users. */
struct touched {
	struct strset	 messages, rooms, users;
	int		 is_all;	/* out of memory: take everything as changed */
};

enum family { FAMILY_OTHER, FAMILY_MESSAGE, FAMILY_ROOM, FAMILY_USER };

/* What an event's payload is built from. */
static enum family
event_family(const struct event *ev)
{
	if (strcmp(ev->type, "NEW_MESSAGE") == 0 ||
	    strncmp(ev->type, "MESSAGE_", 8) == 0)
		return FAMILY_MESSAGE;
	if (strcmp(ev->type, "ROOM_CREATED") == 0 ||
	    strcmp(ev->type, "ROOM_UPDATED") == 0 ||
	    strcmp(ev->type, "ROOM_DELETED") == 0)
		return FAMILY_ROOM;
	if (strncmp(ev->type, "USER_", 5) == 0)
		return FAMILY_USER;
	return FAMILY_OTHER;
}

static const char *
event_subject(const struct event *ev)
{
	if (ev->entity_id != NULL)
		return ev->entity_id;
	return ev->actor_id != NULL ? ev->actor_id : "";
}

static void
touched_collect(struct touched *t, struct event *const *ev, size_t n)
{
	struct strset *set;
	size_t i;

	for (i = 0; i < n; i++) {
		switch (event_family(ev[i])) {
		case FAMILY_MESSAGE:
			if (ev[i]->type[0] == 'N')
				continue;
			set = &t->messages;
			break;
		case FAMILY_ROOM:
			set = &t->rooms;
			break;
		case FAMILY_USER:
			set = &t->users;
			break;
		default:
			continue;
		}
		if (strset_add(set, event_subject(ev[i])) < 0)
			t->is_all = 1;
	}
}

static int
touched_has(const struct touched *t, const struct event *ev)
{
	if (t->is_all || (ev->room_id != NULL &&
	    strset_has(&t->rooms, ev->room_id)))
		return 1;
	switch (event_family(ev)) {
	case FAMILY_MESSAGE:
		return strset_has(&t->messages, event_subject(ev));
	case FAMILY_ROOM:
		return strset_has(&t->rooms, event_subject(ev));
	case FAMILY_USER:
		return strset_has(&t->users, event_subject(ev));
	default:
		return 0;
	}
}

/*
 * A message was edited or deleted, a room turned private, a user changed: the events
 * about it that are in the ring were built before.  Who has yet to read them reads
 * them from the log, as they are now.
 */
static void
hub_make_stale(struct hub *hub, struct event *const *ev, size_t n)
{
	struct touched t = { .is_all = 0 };
	struct event *old;
	size_t i;

	touched_collect(&t, ev, n);
	if (t.is_all || t.messages.len + t.rooms.len + t.users.len > 0) {
		for (i = 0; i < ring_len(hub->ring); i++) {
			old = ring_at(hub->ring, i);
			if (!old->is_stale)
				old->is_stale = touched_has(&t, old);
		}
	}
	strset_release(&t.messages);
	strset_release(&t.rooms);
	strset_release(&t.users);
}

/* Membership and blocks, in log order. */
static void
hub_turn_user(struct hub *hub, const struct event *ev)
{
	struct hub_sub *sub;
	struct roster_user *user;
	int is_here;

	user = roster_find_user(&hub->roster, ev->user_id);
	if (user == NULL || user->is_stale)
		return;
	is_here = user->n_subs > 0;
	roster_apply(&hub->roster, user, ev);
	if (!is_here)
		return;		/* and perhaps forgotten */
	hub_mark_user(user);
	if (!user->is_stale)
		return;
	/* Nothing is known of him: each of his subscribers reads, and loads. */
	LIST_FOREACH(sub, &user->subs, of_user)
		hub_push(hub, sub, ev->id - 1);
}

void
hub_feed(struct hub *hub, struct event *const *ev, size_t n)
{
	int64_t now_us = clock_wall_us();
	size_t i;

	hub_make_stale(hub, ev, n);
	for (i = 0; i < n; i++) {
		ring_push(hub->ring, ev[i]);
		hub->too_big += (uint64_t)(ev[i]->is_too_big != 0);
		hub->head = ev[i]->id;
		if (ev[i]->user_id != NULL)
			hub_turn_user(hub, ev[i]);
		hub_turn_out(hub, ev[i]);
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

	if (ev->self == NULL) {
		text = ev->text;
		len = ev->text_len;
	} else {
		text = event_get_text(ev, rd->sub->user->id, &len);
	}
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

static int
reading_each(struct event *ev, void *arg)
{
	return reading_give(arg, ev);
}

/* From the log, for one who fell behind the ring; 1 at its end. */
static int
hub_read_log(struct hub *hub, struct reading *rd)
{
	const struct strset *rooms = &rd->sub->rooms;
	int64_t pos = rd->pos;
	int rc, more = 0;

	hub->log_pages++;
	rc = eventlog_page(hub->roster.st, rd->sub->user->id, rooms->item,
	    rooms->len, rd->pos, rd->events_left, reading_each, rd, &pos, &more);
	if (rc < 0)
		return rc;
	if (rd->is_full)
		return 0;
	rd->pos = pos;
	return !more;
}

/* From the ring, as long as it is true; 1 at its end. */
static int
hub_read_ring(struct hub *hub, struct reading *rd)
{
	int64_t now_us = 0;
	struct event *ev;
	size_t i, len;

	len = ring_len(hub->ring);
	for (i = ring_find(hub->ring, rd->pos); i < len; i++) {
		ev = ring_at(hub->ring, i);
		if (ev->is_stale)
			return rd->given > 0 ? 0 : hub_read_log(hub, rd);
		if (ev->expires_at != 0 && now_us == 0)
			now_us = clock_wall_us();
		if (!sub_may_see(rd->sub, ev, now_us))
			rd->pos = ev->id;
		else if (reading_give(rd, ev))
			return rd->pos >= hub->head;
	}
	return 1;
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
	if (!sub->is_plain && sub->user->is_stale) {
		rc = roster_reload_user(&hub->roster, sub->user);
		hub_mark_user(sub->user);
		if (rc < 0)
			return rc;
	}
	do {
		if (rd.pos >= ring_floor(hub->ring))
			is_end = hub_read_ring(hub, &rd);
		else
			is_end = hub_read_log(hub, &rd);
		if (is_end < 0 && rd.given == 0)
			return is_end;
		if (is_end < 0)
			is_end = 0;	/* what was given stays given */
	} while (!is_end && rd.given == 0 && rd.rc == 0);
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
	ret->users = hub->roster.n_users - hub->roster.n_lingering;
	ret->lingering = hub->roster.n_lingering;
	ret->rooms = hub->roster.n_rooms;
	ret->ring_events = ring_len(hub->ring);
	ret->ring_bytes = ring_bytes(hub->ring);
	ret->looks = hub->looks;
	ret->log_pages = hub->log_pages;
	ret->too_big = hub->too_big;
}
