/*
 * eventlog - the durable, ordered log of events: read in pages, resumed by cursor,
 * appended, pruned.
 *
 * A position is an event's id: microseconds since 1970, unique, rising in commit
 * order.  "After" is always strictly greater.  Payloads are built when an event
 * is read, from the site's tables as they are then; an event whose message, room
 * or user is gone has no text and is passed over (the position still moves).
 * Threads: as the store's.  Every call that makes several reads makes them in one
 * read transaction, unless the caller opened one.
 */
#ifndef EVENTLOG_H
#define EVENTLOG_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "event.h"

#define EVENTLOG_WINDOW	2000	/* rows that one eventlog_page() looks at, at most */

struct query;
struct store;

enum eventlog_reset {
	EVENTLOG_RESUMED,	/* the cursor is good */
	EVENTLOG_FIRST,		/* there was none: a first request */
	EVENTLOG_UNKNOWN,	/* reset: cannot be read, or never was in this log */
	EVENTLOG_PRUNED,	/* reset "expired": before the oldest row */
	EVENTLOG_AHEAD		/* reset: after the newest row */
};

/* "unknown", "expired", "ahead"; NULL for the first two. */
const char *eventlog_reset_name(enum eventlog_reset reset);

/* Called for each event, oldest first; ev is borrowed (event_ref() to keep it).
 * Non-zero stops the walk after this event and becomes the walk's result. */
typedef int eventlog_each_fn(struct event *ev, void *arg);

/* Position of the newest row, 0 in an empty log.  Answered from memory where that is certain,
 * as below. */
int	 eventlog_head(struct store *st, int64_t *ret) ATTR_MUST_CHECK;

/* The position of a message: its newest NEW_MESSAGE.  1, or 0: none. */
int	 eventlog_find_message(struct store *st, const char *id, int64_t *ret)
	    ATTR_MUST_CHECK;

/*
 * Whether the ends of the log are known from memory, because nobody has committed since st
 * last read them (store_is_still()).  Then eventlog_resume() and eventlog_page() outside of a
 * transaction read no more than there is to give, and nothing at all where that is nothing; and
 * if it is so before and after the two, their results belong together, as within a
 * transaction.
 */
int	 eventlog_is_at_rest(const struct store *st);

/*
 * Whether pos, once the newest row, is still in the log, or was pruned with all that is older:
 * 1; 0: the log is another one than then (a backup was restored in place).
 */
int	 eventlog_is_same(struct store *st, int64_t pos) ATTR_MUST_CHECK;

/*
 * Resolves both cursors of q (either may be NULL) to the later of those that can
 * be resolved.  *ret_reset tells what it is; *ret_pos is the position for
 * EVENTLOG_RESUMED and the head otherwise.
 */
int	 eventlog_resume(struct store *st, const struct query *q, int64_t *ret_pos,
	    enum eventlog_reset *ret_reset) ATTR_MUST_CHECK;

/*
 * Walks the events after the position that user_id may see (the SQL form of the
 * access rule, design: access.h), at most limit of them and EVENTLOG_WINDOW rows.
 * rooms (n_rooms, sorted by strcmp; 0: all) narrows room events.  *ret_pos is the
 * position up to which the log was read, *ret_more tells whether newer rows remain
 * unread.  Returns the number of events walked.  fn's event has the text for user_id
 * under event_get_text(); is_open is not set.  No walk may be begun on st from within fn.
 */
int	 eventlog_page(struct store *st, const char *user_id, char *const *rooms,
	    size_t n_rooms, int64_t after, int limit, eventlog_each_fn *fn, void *arg,
	    int64_t *ret_pos, int *ret_more) ATTR_MUST_CHECK;

/*
 * Walks every row after the position, for the tail: no user, no access rule, both
 * texts built; rows without text included (rights change by them).  At most limit.
 */
int	 eventlog_scan(struct store *st, int64_t after, int limit,
	    eventlog_each_fn *fn, void *arg) ATTR_MUST_CHECK;

/*
 * Walks the present state as a first request gives it: each room as ROOM_CREATED,
 * each online user but user_id himself and those he blocked as USER_UPDATE.  Every
 * one carries the head as its id; *ret_pos is the head, of the same transaction.
 */
int	 eventlog_state(struct store *st, const char *user_id, eventlog_each_fn *fn,
	    void *arg, int64_t *ret_pos) ATTR_MUST_CHECK;

/*
 * Appends an event of the site's own (publish): payload is the text of a JSON
 * object.  room_id, user_id: audience, both NULL for everyone; actor_id may be NULL;
 * ttl_ms 0: never expires.  *ret is its position.  Needs a write transaction, or
 * makes one.  ERR_INVAL: no type, no JSON object (payload.h), a ttl under 0 or over a
 * year; ERR_TOOBIG: a payload over 64 KiB, a type over 128 bytes.
 */
int	 eventlog_append(struct store *st, const char *type, const char *room_id,
	    const char *user_id, const char *actor_id, const char *payload, size_t len,
	    int64_t ttl_ms, int64_t *ret) ATTR_MUST_CHECK;

/*
 * Removes rows older than keep_s seconds or beyond the newest keep_rows, at most
 * max of them, never the newest.  Returns how many.  st remembers what was counted, so
 * that a caller who keeps it pays for new rows only.
 */
int	 eventlog_prune(struct store *st, int64_t now_us, int64_t keep_s,
	    int64_t keep_rows, int max) ATTR_MUST_CHECK;

/* Number of rows and oldest position (0 if empty), for `sidewire stats`. */
int	 eventlog_size(struct store *st, int64_t *ret_rows, int64_t *ret_oldest)
	    ATTR_MUST_CHECK;

#endif
