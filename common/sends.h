/*
 * sends - which messages clients sent with a key of their own, so that one who does not
 * know whether the first attempt arrived can safely repeat it, on any transport.
 *
 * A key belongs to its user.  It is written in the transaction of its message, so
 * there is never one without the other, and kept for SENDS_KEEP_S.
 * Included by those who write messages, and by payload.c: the sender's own copy of the
 * event carries the key.
 * Threads: as the store's.  Writes need a write transaction, or make one.
 */
#ifndef SENDS_H
#define SENDS_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "auth.h"

#define SENDS_KEEP_S	86400

struct buf;
struct store;

/* What the first attempt was answered. */
struct sends_answer {
	char	message_id[AUTH_MAX_USER + 1];
	int64_t	pos;		/* of the message's event */
};

/*
 * A number for the body of a message.  Two bodies of one number are the affair of a user
 * who makes them on purpose: nobody else's messages have his keys.
 */
int64_t	 sends_digest(const char *room_id, const char *content, size_t len,
	    const char *type);

/* 1: the key was used for this body, and *ret is filled; 0: it was not used; ERR_EXISTS:
 * for another body. */
int	 sends_find(struct store *st, const char *user_id, const char *key,
	    int64_t digest, struct sends_answer *ret) ATTR_MUST_CHECK;
/* Remembers a key that sends_find() did not find, in the same transaction. */
int	 sends_add(struct store *st, const char *user_id, const char *key,
	    int64_t digest, const struct sends_answer *answer) ATTR_MUST_CHECK;
/* Appends the key of the message of event pos as a JSON string, if user_id sent one with
 * it: 1, else 0. */
int	 sends_print_key(struct store *st, int64_t pos, const char *user_id,
	    struct buf *b) ATTR_MUST_CHECK;
/* Forgets at most max keys that were used before a position; returns how many. */
int	 sends_prune(struct store *st, int64_t before_us, int max) ATTR_MUST_CHECK;

#endif
