/*
 * frame - what a client sends over a socket, and what it is answered.
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
#define FRAME_MAX_KEY	128	/* bytes of a key that an error repeats */
#define FRAME_MAX_ROOMS	256	/* ids in subscribe */

struct buf;

enum frame_type {
	FRAME_UNKNOWN,		/* well formed, but of no type that is served */
	FRAME_PING,
	FRAME_AUTH,
	FRAME_SUBSCRIBE,
	FRAME_BYE
};

struct frame {
	enum frame_type	 type;
	char		*payload;	/* PING: the payload as it was written; NULL: there was none */
	size_t		 payload_len;	/* bytes */
	char		*token;		/* AUTH */
	char		**rooms;	/* SUBSCRIBE: n_rooms ids, sorted by strcmp, each once */
	size_t		 n_rooms;
	int		 is_all_rooms;	/* SUBSCRIBE: rooms was null */
	char		*key;		/* payload's key, for the error's ref; NULL: none */
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
void	 frame_release(struct frame *f);

/* Answers; each appends one JSON text. */
/* {"type":"pong"}, with the payload's own text (len bytes) if there was one. */
void	 frame_print_pong(struct buf *b, const char *payload, size_t len);
void	 frame_print_auth_ok(struct buf *b, int64_t expires_at_s);
void	 frame_print_auth_expiring(struct buf *b, int64_t expires_at_s);
/* pos: a position (clock.h).  reset: why the cursor was not resumed; NULL: it was. */
void	 frame_print_sync(struct buf *b, int64_t pos, const char *reset);
/* detail NULL: the problem's own.  ref NULL: left out. */
void	 frame_print_error(struct buf *b, enum problem problem,
	    const char *detail, const char *ref);

#endif
