/*
 * revocation - users whose tokens are refused if they were issued up to a time
 * (`sidewire revoke`).
 *
 * A token says when it was issued by iat (RFC 7519 section 4.1.6), in seconds: one of
 * the very second of the revocation is refused, and so is one without iat.  The event
 * REVOCATION_TYPE, which is for nobody's eyes, tells all processes at once: the hub ends
 * the user's sockets and held polls.
 * Threads: as the store's.  Writes need a write transaction, or make one.
 */
#ifndef REVOCATION_H
#define REVOCATION_H

#include <stdint.h>

#include "attr.h"

#define REVOCATION_TYPE	"TOKENS_REVOKED"	/* its user_id is whom it is about */

struct event;
struct store;

/* 1: the user's tokens were revoked, the last time at *ret_at_s (Unix seconds); 0: never. */
int	 revocation_get(struct store *st, const char *user_id, int64_t *ret_at_s)
	    ATTR_MUST_CHECK;
/* Revokes all tokens that were issued up to now_s; *ret_pos is the place of the event. */
int	 revocation_set(struct store *st, const char *user_id, int64_t now_s,
	    int64_t *ret_pos) ATTR_MUST_CHECK;
/* Forgets the user's revocation: returns 1, or 0 where there was none. */
int	 revocation_lift(struct store *st, const char *user_id) ATTR_MUST_CHECK;
/* 1: a token of the user, issued at issued_at_s (auth.h), is revoked; 0: it is not. */
int	 revocation_check(struct store *st, const char *user_id, int64_t issued_at_s)
	    ATTR_MUST_CHECK;
/* Whether an event of the log is a revocation, and not one that a site published. */
int	 revocation_is_event(const struct event *ev);

#endif
