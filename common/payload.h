/*
 * payload - what an event tells of a message, a room or a user (protocol.md,
 * table 1), as JSON.
 *
 * The log holds ids; what is told of them is read here, when the event is, from
 * the views sw_*.  Column values go from SQLite's memory straight into the buffer:
 * this is what polls pay for.  Only payloads that somebody else wrote (published
 * events) pass through json-c, on their way in and on their way out.
 * Included by eventlog.c and site.c alone.  Threads: as the store's.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stddef.h>

#include "attr.h"

#define PAYLOAD_MAX		65536	/* bytes of a published payload */
#define PAYLOAD_DEPTH		32	/* nesting of a published payload */
#define PAYLOAD_MAX_AVATAR	2048	/* bytes; a longer one is sent as "" */

struct buf;
struct event;
struct sqlite3_stmt;
struct store;

/*
 * Appends the payload of ev: stored (len bytes) where the row has one, else what its
 * type says; is_self: as the user gets it whom payload_self_id() names.  1: it was
 * appended; 0: there is nothing to tell (what it was about is gone, stored is no JSON
 * object, a type that is the log's own; is_self: he gets what all get); or an error.
 * What was appended before an error stays in b.
 */
int	 payload_print(struct store *st, const struct event *ev, const char *stored,
	    size_t len, int is_self, struct buf *b) ATTR_MUST_CHECK;

/* The user who may get another payload of ev than all others: whom it is about, or who sent
 * the message; a string of ev's.  NULL: nobody. */
const char *payload_self_id(const struct event *ev);

/* The same from a row that has the columns of the statement EVENT_MESSAGE, EVENT_ROOM,
 * EVENT_USER first. */
void	 payload_print_message(struct sqlite3_stmt *row, struct buf *b);
void	 payload_print_room(struct sqlite3_stmt *row, struct buf *b);
int	 payload_print_user(struct store *st, struct sqlite3_stmt *row, int is_self,
	    struct buf *b) ATTR_MUST_CHECK;

/*
 * Appends the JSON object in text once more, in the form that we print: RFC 8259
 * without white space, UTF-8.  ERR_INVAL: not an object, or not JSON, or nested deeper
 * than PAYLOAD_DEPTH; ERR_TOOBIG: it is, or becomes, longer than PAYLOAD_MAX; ERR_NOMEM.
 */
int	 payload_normalize(const char *text, size_t len, struct buf *b) ATTR_MUST_CHECK;

#endif
