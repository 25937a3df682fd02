/*
 * site - the tables of the site that Sidewire lives in: users, rooms, members,
 * blocks, messages, through the views sw_*.
 *
 * Ids are text here, whatever the type of the site's column.
 * Threads: as the store's.  Writes need a write transaction, or make one.
 */
#ifndef SITE_H
#define SITE_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "auth.h"

struct buf;
struct store;

typedef int site_each_fn(const char *id, void *arg);	/* non-zero stops; borrowed */

/* 1 the user is there, 0 he is not, or an error. */
int	 site_has_user(struct store *st, const char *user_id) ATTR_MUST_CHECK;
/* Makes the user of a token (auth.provision) unless he is there; returns 1 if made. */
int	 site_provision(struct store *st, const struct auth_claims *claims) ATTR_MUST_CHECK;

/* Whether user_id may read and write in room_id: 0, ERR_NOTFOUND no such room,
 * ERR_DENIED private and he is no member. */
int	 site_check_room(struct store *st, const char *room_id, const char *user_id)
	    ATTR_MUST_CHECK;

/* The rooms that user_id is a member of; the users whom he blocked (never himself). */
int	 site_each_membership(struct store *st, const char *user_id, site_each_fn *fn,
	    void *arg) ATTR_MUST_CHECK;
int	 site_each_block(struct store *st, const char *user_id, site_each_fn *fn,
	    void *arg) ATTR_MUST_CHECK;

/* Sets users.is_online where it differs (a trigger tells the world); returns 1 if it did. */
int	 site_set_online(struct store *st, const char *user_id, int is_online)
	    ATTR_MUST_CHECK;

/*
 * Appends to ret the page of history of room_id before the message id `before` (NULL:
 * the newest): {"messages":[payload...],"more":bool}, oldest first, at most limit,
 * (1 to QUERY_LIMIT_MAX, else ERR_INVAL), without messages of users whom user_id blocked;
 * fewer where texts are long or many are hidden, more then says so.  ERR_NOTFOUND: `before`
 * is not a message of this room.
 */
int	 site_print_history(struct store *st, const char *room_id, const char *user_id,
	    const char *before, int limit, struct buf *ret) ATTR_MUST_CHECK;

/* For the command.  id NULL: one is made.  *ret_id (AUTH_MAX_USER + 1 bytes) is what was used.
 * ERR_EXISTS, ERR_NOTFOUND; ERR_INVAL: an empty id or name, an id that the site's column does
 * not take; ERR_TOOBIG: an id over AUTH_MAX_USER or a name over 256 bytes. */
int	 site_add_user(struct store *st, const char *id, const char *name,
	    const char *email, char *ret_id) ATTR_MUST_CHECK;
int	 site_delete_user(struct store *st, const char *id) ATTR_MUST_CHECK;
int	 site_add_room(struct store *st, const char *id, const char *name,
	    int is_private, const char *created_by, char *ret_id) ATTR_MUST_CHECK;
int	 site_delete_room(struct store *st, const char *id) ATTR_MUST_CHECK;
int	 site_add_member(struct store *st, const char *room_id, const char *user_id)
	    ATTR_MUST_CHECK;
int	 site_delete_member(struct store *st, const char *room_id, const char *user_id)
	    ATTR_MUST_CHECK;
/* Writes a message as user_id, whose rights the caller checked; *ret_id as above. */
int	 site_post(struct store *st, const char *room_id, const char *user_id,
	    const char *content, size_t len, const char *type, char *ret_id)
	    ATTR_MUST_CHECK;

/* Walks rows for listing: up to four columns as text (NULL kept). */
typedef int site_row_fn(const char *const col[4], void *arg);
/* id name is_online email */
int	 site_list_users(struct store *st, site_row_fn *fn, void *arg) ATTR_MUST_CHECK;
/* id name is_private created_by */
int	 site_list_rooms(struct store *st, site_row_fn *fn, void *arg) ATTR_MUST_CHECK;
/* user_id name */
int	 site_list_members(struct store *st, const char *room_id, site_row_fn *fn,
	    void *arg) ATTR_MUST_CHECK;

#endif
