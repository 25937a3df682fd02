/*
 * event - one event of the log, ready for the wire.
 *
 * An event is immutable and counted: the ring of the hub, and every page that is
 * being written, share it.  Its text (protocol.md, section 1) is built once a
 * process for all receivers, with EVENT_PRE free bytes in front of it, where a
 * transport may put its framing.
 *
 * The text that one user gets may differ, the user meant himself (e-mail, favourites,
 * blocks) or the sender of a message (its key): then self is set and is for the user
 * named by self_id alone.
 * Threads: the count is not atomic; an event belongs to the thread that made it.
 */
#ifndef EVENT_H
#define EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"

#define EVENT_PRE	16		/* free bytes in front of each text */
#define EVENT_MAX_TEXT	(1024 * 1024)	/* bytes; a longer one is not delivered, and counted */

struct buf;

struct event {
	int64_t		 id;		/* position: microseconds since 1970 */
	int64_t		 expires_at;	/* microseconds since 1970; 0: never */
	const char	*type;		/* as in the log; all strings are owned by the event */
	const char	*room_id;	/* audience; NULL: not a room event */
	const char	*user_id;	/* audience: this user alone; NULL: not limited */
	const char	*actor_id;	/* whose act; NULL: nobody's */
	const char	*entity_id;	/* message, room or user meant; NULL: none */
	int		 is_private;	/* room was private when it was written (ROOM_*: is private) */
	int		 is_open;	/* room_id is public now: everyone may see it */
	int		 is_self;	/* the self text exists */
	int		 is_too_big;	/* it would have a text, but over EVENT_MAX_TEXT */
	int		 is_stale;	/* hub: what it tells of has changed since */
	char		*text;		/* {"type":...,"payload":...,"timestamp":...}; NULL: nothing
					 * to deliver (what it was about is gone) */
	size_t		 text_len;	/* bytes */
	char		*self;		/* the same, for self_id's eyes; NULL: as text */
	size_t		 self_len;
	const char	*self_id;	/* one of the strings above; entity_id at first */
	unsigned	 refs;
};

/*
 * A new event with one reference; the strings are copied (NULL is kept).
 * ERR_NOMEM.
 */
int	 event_new(int64_t id, const char *type, const char *room_id,
	    const char *user_id, const char *actor_id, const char *entity_id,
	    struct event **ret) ATTR_MUST_CHECK;
struct event *event_ref(struct event *ev);
void	 event_unref(struct event *ev);		/* NULL is fine */

/*
 * Builds the text from a wire type and a payload object in JSON (borrowed).
 * is_self: builds the self text instead.  ERR_NOMEM, ERR_TOOBIG.
 */
int	 event_set_text(struct event *ev, const char *wire_type, const char *payload,
	    size_t len, int is_self) ATTR_MUST_CHECK;

/* The text for user (an id): the self text where there is one and it is his.  NULL: nothing. */
const char *event_get_text(const struct event *ev, const char *user_id, size_t *ret_len);

/* Appends {"type":...,"payload":{...},"timestamp":"..."}; payload is a JSON object's text. */
void	 event_print(struct buf *b, const char *wire_type, const char *payload,
	    size_t len, int64_t id);

/*
 * Appends len bytes of s as a JSON string with quotes.  What is not UTF-8 becomes
 * U+FFFD (a text frame must be UTF-8, RFC 6455 section 8.1); s NULL: null.
 */
void	 event_print_string(struct buf *b, const char *s, size_t len);

#endif
