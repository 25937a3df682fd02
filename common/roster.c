/*
 * Users and rooms in search trees (tsearch(3)), tied to each other by lists, so that
 * coming and going cost nothing that grows with the others (roster.h).
 */
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "err.h"
#include "event.h"
#include "roster.h"
#include "strset.h"

void
roster_init(struct roster *r, struct store *st)
{
	memset(r, 0, sizeof(*r));
	r->st = st;
	TAILQ_INIT(&r->lingering);
}

void
roster_release(struct roster *r)
{
	roster_forget_lingering(r);
}

/* --- rooms --- */

static int
room_compare(const void *a, const void *b)
{
	return strcmp(((const struct roster_room *)a)->id,
	    ((const struct roster_room *)b)->id);
}

struct roster_room *
roster_find_room(struct roster *r, const char *id)
{
	const struct roster_room key = { .id = (char *)(uintptr_t)id };
	void *node;

	node = tfind(&key, &r->rooms, room_compare);
	return node == NULL ? NULL : *(struct roster_room **)node;
}

static struct roster_room *
room_get(struct roster *r, const char *id)
{
	struct roster_room *room;

	room = roster_find_room(r, id);
	if (room != NULL)
		return room;
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		return NULL;
	room->id = strdup(id);
	if (room->id == NULL ||
	    tsearch(room, &r->rooms, room_compare) == NULL) {
		free(room->id);
		free(room);
		return NULL;
	}
	r->n_rooms++;
	return room;
}

static void
room_put(struct roster *r, struct roster_room *room)
{
	if (!LIST_EMPTY(&room->members) || !LIST_EMPTY(&room->interests) ||
	    room->n_lingering > 0)
		return;
	(void)tdelete(room, &r->rooms, room_compare);
	r->n_rooms--;
	free(room->id);
	free(room);
}

/* --- users --- */

static int
user_compare(const void *a, const void *b)
{
	return strcmp(((const struct roster_user *)a)->id,
	    ((const struct roster_user *)b)->id);
}

struct roster_user *
roster_find_user(struct roster *r, const char *id)
{
	const struct roster_user key = { .id = id };
	void *node;

	node = tfind(&key, &r->users, user_compare);
	return node == NULL ? NULL : *(struct roster_user **)node;
}

static struct roster_member *
user_find_room(struct roster_user *user, const char *room_id)
{
	struct roster_member *m;

	LIST_FOREACH(m, &user->rooms, of_user) {
		if (strcmp(m->room->id, room_id) == 0)
			return m;
	}
	return NULL;
}

/* Adds the user to the room's members, without a look whether he is there. */
static int
user_enter_room(struct roster *r, struct roster_user *user, const char *room_id)
{
	struct roster_member *m;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return ERR_NOMEM;
	m->room = room_get(r, room_id);
	if (m->room == NULL) {
		free(m);
		return ERR_NOMEM;
	}
	m->user = user;
	LIST_INSERT_HEAD(&m->room->members, m, of_room);
	LIST_INSERT_HEAD(&user->rooms, m, of_user);
	user->n_rooms++;
	return 0;
}

static void
user_leave_room(struct roster *r, struct roster_member *m)
{
	LIST_REMOVE(m, of_room);
	LIST_REMOVE(m, of_user);
	m->user->n_rooms--;
	room_put(r, m->room);
	free(m);
}

static void
user_leave_rooms(struct roster *r, struct roster_user *user)
{
	struct roster_member *m, *next;

	for (m = LIST_FIRST(&user->rooms); m != NULL; m = next) {
		next = LIST_NEXT(m, of_user);
		user_leave_room(r, m);
	}
}

struct enter {
	struct roster	*r;
	struct roster_user	*user;
	int		 rc;
};

static void
user_enter_each(const char *room_id, void *arg)
{
	struct enter *en = arg;

	if (en->rc == 0)
		en->rc = user_enter_room(en->r, en->user, room_id);
}

/* Makes the links anew from the rights. */
static int
user_link_rooms(struct roster *r, struct roster_user *user)
{
	struct enter en = { r, user, 0 };

	user_leave_rooms(r, user);
	access_each_room(user->access, user_enter_each, &en);
	return en.rc;
}

/* The rooms stay known, so that coming back finds them without a search. */
static void
user_linger(struct roster *r, struct roster_user *user)
{
	struct roster_member *m;

	LIST_FOREACH(m, &user->rooms, of_user) {
		LIST_REMOVE(m, of_room);
		m->room->n_lingering++;
	}
	TAILQ_INSERT_TAIL(&r->lingering, user, lingering);
	r->n_lingering++;
	r->n_lingering_rooms += user->n_rooms;
}

static void
user_come_back(struct roster *r, struct roster_user *user)
{
	struct roster_member *m;

	LIST_FOREACH(m, &user->rooms, of_user) {
		LIST_INSERT_HEAD(&m->room->members, m, of_room);
		m->room->n_lingering--;
	}
	TAILQ_REMOVE(&r->lingering, user, lingering);
	r->n_lingering--;
	r->n_lingering_rooms -= user->n_rooms;
}

static void
user_free(struct roster *r, struct roster_user *user)
{
	user_leave_rooms(r, user);
	access_free(user->access);
	free(user);
}

int
roster_get_user(struct roster *r, const char *id, struct roster_user **ret)
{
	struct roster_user *user;
	int rc;

	user = roster_find_user(r, id);
	if (user != NULL) {
		if (user->n_subs++ == 0)
			user_come_back(r, user);
		*ret = user;
		return 0;
	}
	user = calloc(1, sizeof(*user));
	if (user == NULL)
		return ERR_NOMEM;
	rc = access_load(r->st, id, &user->access);
	if (rc < 0) {
		free(user);
		return rc;
	}
	user->id = access_user(user->access);
	rc = user_link_rooms(r, user);
	if (rc == 0 && tsearch(user, &r->users, user_compare) == NULL)
		rc = ERR_NOMEM;
	if (rc < 0) {
		user_free(r, user);
		return rc;
	}
	r->n_users++;
	user->n_subs = 1;
	*ret = user;
	return 0;
}

static void
user_remove(struct roster *r, struct roster_user *user)
{
	(void)tdelete(user, &r->users, user_compare);
	r->n_users--;
	user_free(r, user);
}

void
roster_put_user(struct roster *r, struct roster_user *user)
{
	if (--user->n_subs > 0)
		return;
	if (user->is_stale) {
		user_remove(r, user);
		return;
	}
	user_linger(r, user);
	while (r->n_lingering > ROSTER_LINGER ||
	    r->n_lingering_rooms > ROSTER_LINGER_ROOMS)
		roster_forget_user(r, TAILQ_FIRST(&r->lingering));
}

void
roster_forget_user(struct roster *r, struct roster_user *user)
{
	user_come_back(r, user);
	user_remove(r, user);
}

void
roster_forget_lingering(struct roster *r)
{
	while (!TAILQ_EMPTY(&r->lingering))
		roster_forget_user(r, TAILQ_FIRST(&r->lingering));
}

int
roster_reload_user(struct roster *r, struct roster_user *user)
{
	int rc;

	rc = access_reload(user->access, r->st);
	if (rc == 0)
		rc = user_link_rooms(r, user);
	user->is_stale = rc < 0;
	return rc;
}

void
roster_apply(struct roster *r, struct roster_user *user, const struct event *ev)
{
	enum access_change change;
	struct roster_member *m;
	int rc;

	rc = access_apply(user->access, ev, &change);
	if (user->n_subs == 0) {
		if (rc < 0 || change != ACCESS_SAME)
			roster_forget_user(r, user);
		return;
	}
	if (rc == 0 && change == ACCESS_JOINED) {
		if (user_find_room(user, ev->entity_id) == NULL)
			rc = user_enter_room(r, user, ev->entity_id);
	} else if (rc == 0 && change == ACCESS_LEFT) {
		m = user_find_room(user, ev->entity_id);
		if (m != NULL)
			user_leave_room(r, m);
	} else if (rc == 0 && change == ACCESS_RELOAD) {
		rc = roster_reload_user(r, user);
	}
	if (rc < 0)
		user->is_stale = 1;
}

/* --- interests --- */

int
roster_add_interests(struct roster *r, struct hub_sub *sub,
    const struct strset *rooms, struct roster_interest **ret)
{
	struct roster_interest *interest;
	size_t i;

	if (rooms->len == 0) {
		*ret = NULL;
		return 0;
	}
	interest = calloc(rooms->len, sizeof(*interest));
	if (interest == NULL)
		return ERR_NOMEM;
	for (i = 0; i < rooms->len; i++) {
		interest[i].sub = sub;
		interest[i].room = room_get(r, rooms->item[i]);
		if (interest[i].room == NULL) {
			roster_drop_interests(r, interest, i);
			return ERR_NOMEM;
		}
		LIST_INSERT_HEAD(&interest[i].room->interests, &interest[i],
		    of_room);
	}
	*ret = interest;
	return 0;
}

void
roster_drop_interests(struct roster *r, struct roster_interest *interest,
    size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		LIST_REMOVE(&interest[i], of_room);
		room_put(r, interest[i].room);
	}
	free(interest);
}
