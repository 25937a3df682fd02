/*
 * frame - what a client sends over a socket or by POST, and what it is answered.
 *
 * A frame is a JSON object {"type":...,"payload":...} (protocol.md, section 3).
 * Pure: no I/O, no clock, no transport.
 * Threads: any; a struct frame belongs to its caller.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "problem.h"

#define FRAME_MAX_DEPTH	32	/* nested arrays and objects */
#define FRAME_MAX_KEY	128	/* bytes of a key */
#define FRAME_MAX_ID	256	/* bytes of a room's id */
#define FRAME_MAX_TYPE	64	/* bytes of a message's type */
#define FRAME_MAX_LIST	100	/* frames of one POST */
#define FRAME_MAX_ROOMS	256	/* ids in subscribe */

struct buf;
struct json_object;

enum frame_type {
	FRAME_UNKNOWN,		/* well formed, but of no type that is served */
	FRAME_PING,
	FRAME_AUTH,
	FRAME_SUBSCRIBE,
	FRAME_BYE,
	FRAME_SEND,
	FRAME_TYPING
};

struct frame {
	enum frame_type	 type;
	char		*payload;	/* PING: the payload as it was written; NULL: there was none */
	size_t		 payload_len;	/* bytes */
	char		*token;		/* AUTH */
	char		**rooms;	/* SUBSCRIBE: n_rooms ids, sorted by strcmp, each once */
	size_t		 n_rooms;
	int		 is_all_rooms;	/* SUBSCRIBE: rooms was null */
	char		*room_id;	/* SEND, TYPING */
	char		*content;	/* SEND: text without NUL bytes, not empty */
	size_t		 content_len;	/* bytes */
	char		*message_type;	/* SEND; "text" where there was none */
	int		 is_on;		/* TYPING */
	char		*key;		/* payload's key, for an answer's ref; NULL: none */
	const char	*why;		/* the payload is not as it must be: a static sentence */
};

/*
 * Parses len bytes of text.  ERR_INVAL: not JSON, not UTF-8, nested deeper than
 * FRAME_MAX_DEPTH, no object, or no string "type"; such a message is to be
 * ignored.  ERR_NOMEM.  A known type with a bad payload is no failure: why is
 * set.  On success the caller ends *ret with frame_release().
 */
int	 frame_parse(const char *text, size_t len, struct frame *ret)
	    ATTR_MUST_CHECK;
/*
 * The same for a text that may be a list: *ret is an array of *ret_n frames, each to be
 * released, then the array freed; *ret_is_list tells a list of one from a frame.  In a
 * list what is no frame is one of FRAME_UNKNOWN with why.  A ping's payload is not kept.
 * ERR_TOOBIG: over FRAME_MAX_LIST.
 */
int	 frame_parse_list(const char *text, size_t len, struct frame **ret,
	    size_t *ret_n, int *ret_is_list) ATTR_MUST_CHECK;
void	 frame_release(struct frame *f);
void	 frame_free_list(struct frame *list, size_t n);	/* NULL is fine */

/* Parses strict JSON: UTF-8, no NUL bytes, at most depth nested, nothing behind it.
 * *ret is NULL for null.  ERR_INVAL, ERR_NOMEM. */
int	 frame_parse_json(const char *text, size_t len, int depth,
	    struct json_object **ret) ATTR_MUST_CHECK;
/* A copy of the member's value if it is a string without NUL bytes or an integer (a
 * site may count its rooms): 1 and *ret to be freed, 0: it is not, or ERR_NOMEM. */
int	 frame_get_id(struct json_object *obj, const char *name, char **ret)
	    ATTR_MUST_CHECK;

/* Answers; each appends one JSON text. */
/* {"type":"pong"}, with the payload's own text (len bytes) if there was one. */
void	 frame_print_pong(struct buf *b, const char *payload, size_t len);
void	 frame_print_auth_ok(struct buf *b, int64_t expires_at_s);
void	 frame_print_auth_expiring(struct buf *b, int64_t expires_at_s);
/* pos: a position (clock.h).  reset: why the cursor was not resumed; NULL: it was. */
void	 frame_print_sync(struct buf *b, int64_t pos, const char *reset);
/* A message was written at pos, or had been; key NULL: left out. */
void	 frame_print_ack(struct buf *b, const char *key, const char *id, int64_t pos,
	    int is_duplicate);
/* detail NULL: the problem's own.  ref NULL: left out.  retry_ms 0: the problem's own. */
void	 frame_print_error(struct buf *b, enum problem problem,
	    const char *detail, const char *ref, int64_t retry_ms);

#endif
