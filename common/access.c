/*
 * One user's rights in memory, and the rule of who may see an event (access.h).
 *
 * The SQL form of the rule is the column `visible` of eventlog_page()'s statement; a
 * change here is a change there, and unit/test_access.c compares the two on random
 * data.
 */
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "site.h"
#include "store.h"
#include "strset.h"

struct access {
	char		*user;
	int64_t		 pos;		/* the rights are as of this position */
	struct strset	 rooms;		/* member of */
	struct strset	 blocks;	/* users whom he does not want to hear */
};

/* site_each_fn: collects ids. */
static int
access_collect(const char *id, void *arg)
{
	int rc;

	rc = strset_add(arg, id);
	return rc < 0 ? rc : 0;
}

/* Position and rights, within one transaction or while nobody commits. */
static int
access_read(struct store *st, const char *user, int64_t *ret_pos,
    struct strset *rooms, struct strset *blocks)
{
	int rc;

	rc = eventlog_head(st, ret_pos);
	if (rc == 0)
		rc = site_each_membership(st, user, access_collect, rooms);
	if (rc == 0)
		rc = site_each_block(st, user, access_collect, blocks);
	return rc;
}

/* Reads everything in one transaction, the caller's if he has one open. */
static int
access_fetch(struct access *a, struct store *st)
{
	struct strset rooms, blocks;
	int64_t pos = 0;
	int rc = 0, is_ours;

	strset_init(&rooms);
	strset_init(&blocks);
	is_ours = !store_is_open(st);
	if (is_ours && eventlog_is_at_rest(st)) {
		rc = access_read(st, a->user, &pos, &rooms, &blocks);
		if (rc == 0 && eventlog_is_at_rest(st))
			goto done;
		strset_release(&rooms);
		strset_release(&blocks);
		rc = 0;
	}
	if (is_ours)
		rc = store_read(st);
	if (rc == 0)
		rc = access_read(st, a->user, &pos, &rooms, &blocks);
	if (is_ours)
		store_rollback(st);
	if (rc < 0) {
		strset_release(&rooms);
		strset_release(&blocks);
		return rc;
	}
done:
	strset_move(&a->rooms, &rooms);
	strset_move(&a->blocks, &blocks);
	a->pos = pos;
	return 0;
}

int
access_load(struct store *st, const char *user_id, struct access **ret)
{
	struct access *a;
	int rc;

	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return ERR_NOMEM;
	strset_init(&a->rooms);
	strset_init(&a->blocks);
	a->user = strdup(user_id);
	rc = a->user == NULL ? ERR_NOMEM : access_fetch(a, st);
	if (rc < 0) {
		access_free(a);
		return rc;
	}
	*ret = a;
	return 0;
}

int
access_reload(struct access *a, struct store *st)
{
	return access_fetch(a, st);
}

void
access_free(struct access *a)
{
	if (a == NULL)
		return;
	strset_release(&a->rooms);
	strset_release(&a->blocks);
	free(a->user);
	free(a);
}

const char *
access_user(const struct access *a)
{
	return a->user;
}

int64_t
access_position(const struct access *a)
{
	return a->pos;
}

int
access_is_member(const struct access *a, const char *room_id)
{
	return strset_has(&a->rooms, room_id);
}

int
access_has_blocks(const struct access *a)
{
	return a->blocks.len > 0;
}

int
access_has_blocked(const struct access *a, const char *user_id)
{
	return strset_has(&a->blocks, user_id);
}

int
access_apply(struct access *a, const struct event *ev, enum access_change *ret)
{
	enum access_change change = ACCESS_SAME;
	int rc = 0;

	if (ev->id <= a->pos || ev->user_id == NULL ||
	    strcmp(ev->user_id, a->user) != 0) {
		*ret = ACCESS_SAME;
		return 0;
	}
	if (strcmp(ev->type, "ROOM_JOINED") == 0 && ev->entity_id != NULL) {
		rc = strset_add(&a->rooms, ev->entity_id);
		change = ACCESS_JOINED;
	} else if (strcmp(ev->type, "ROOM_LEFT") == 0 && ev->entity_id != NULL) {
		(void)strset_remove(&a->rooms, ev->entity_id);
		change = ACCESS_LEFT;
	} else if (strcmp(ev->type, "USER_UPDATE") == 0) {
		change = ACCESS_RELOAD;
	}
	if (rc < 0)
		return rc;
	a->pos = ev->id;
	*ret = change;
	return 0;
}

int
access_may_see(const struct access *a, const struct event *ev, int64_t now_us)
{
	if (ev->user_id != NULL) {
		if (strcmp(ev->user_id, a->user) != 0)
			return 0;
	} else if (ev->room_id != NULL) {
		if (!ev->is_open && !strset_has(&a->rooms, ev->room_id))
			return 0;
	}
	if (ev->expires_at != 0 && ev->expires_at <= now_us)
		return 0;
	if (ev->actor_id != NULL) {
		if (strset_has(&a->blocks, ev->actor_id))
			return 0;
		if (ev->entity_id == NULL && strcmp(ev->actor_id, a->user) == 0)
			return 0;
	}
	return 1;
}

void
access_each_room(const struct access *a, access_each_fn *fn, void *arg)
{
	size_t i;

	for (i = 0; i < a->rooms.len; i++)
		fn(a->rooms.item[i], arg);
}
