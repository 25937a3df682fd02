/*
 * publication - an event of the site's own: read from JSON, its audience looked up,
 * appended to the log; the same for POST and for `sidewire publish`.
 *
 *	{"type":"ORDER_SHIPPED","payload":{...},"userId":"alice"}
 *
 * roomId or userId names the audience, neither is everyone; ttl is in seconds, after
 * which it is not delivered (absent or 0: as long as it is kept).
 * Threads: any; a struct publication belongs to its caller.
 */
#ifndef PUBLICATION_H
#define PUBLICATION_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define PUBLICATION_MAX_TTL_S	(365 * 86400)

struct store;

struct publication {
	char	*type, *room_id, *user_id;	/* the ids: NULL where absent */
	char	*payload;	/* text of a JSON object */
	size_t	 payload_len;	/* bytes */
	int64_t	 ttl_ms;	/* 0: never expires */
};

/* On ERR_INVAL *ret_why is a static sentence; ERR_NOMEM.  End *ret with
 * publication_release(). */
int	 publication_parse(const char *text, size_t len, struct publication *ret,
	    const char **ret_why) ATTR_MUST_CHECK;
void	 publication_release(struct publication *p);

/*
 * Appends it, in a write transaction; *ret_pos is its place.  On ERR_NOTFOUND (no such
 * room or user: an event for nobody is a mistake), ERR_INVAL and ERR_TOOBIG (as
 * eventlog_append()) *ret_why is a static sentence; else it is untouched.
 */
int	 publication_write(const struct publication *p, struct store *st,
	    int64_t *ret_pos, const char **ret_why) ATTR_MUST_CHECK;

#endif
