/*
 * The log as its readers see it: cursors resolved, pages and batches walked, the
 * present state.  Where it grows and where it is cut is eventlog_ends.c.
 *
 * Every read is a range of the table's own key, so it costs what it looks at and
 * never what the log holds.  What a row tells is payload.c's affair.
 */
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "payload.h"
#include "query.h"
#include "store_impl.h"

#define MAX_REMEMBERED	2048	/* bytes of an event's text */

/* Columns of the statements PAGE and SCAN. */
enum col {
	COL_ID, COL_TYPE, COL_ROOM, COL_PRIVATE, COL_USER, COL_ACTOR, COL_ENTITY,
	COL_EXPIRES, COL_PAYLOAD, COL_RIGHT	/* PAGE: visible; SCAN: is_open */
};

/* One walk over the log or the state. */
struct walk {
	struct store		*st;
	const char		*user;		/* whose eyes; NULL: the tail's */
	char *const		*rooms;		/* sorted; what room events are wanted */
	size_t			 n_rooms;	/* 0: all */
	eventlog_each_fn	*fn;
	void			*arg;
	struct buf		 payload;	/* reused from event to event */
	int			 n;		/* events given to fn */
	int			 stop;		/* what fn said when it had enough */
	int			 is_at_rest;	/* a page: what is remembered is what is seen */
};

static void
walk_init(struct walk *w, struct store *st, const char *user,
    eventlog_each_fn *fn, void *arg)
{
	*w = (struct walk){ .st = st, .user = user, .fn = fn, .arg = arg };
	buf_init(&w->payload, EVENT_MAX_TEXT);
}

const char *
eventlog_reset_name(enum eventlog_reset reset)
{
	switch (reset) {
	case EVENTLOG_UNKNOWN:
		return "unknown";
	case EVENTLOG_PRUNED:
		return "expired";
	case EVENTLOG_AHEAD:
		return "ahead";
	default:
		return NULL;
	}
}

/* Runs a statement, its parameters bound, that gives one number; 1: it did, 0: no row. */
static int
fetch_number(struct store *st, sqlite3_stmt *stmt, int64_t *ret)
{
	int rc;

	rc = store_step(st, stmt);
	if (rc == 1)
		*ret = sqlite3_column_int64(stmt, 0);
	store_done(stmt);
	return rc;
}

static int
end_of_log(struct store *st, enum sql which, int64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, which, &rc);
	if (stmt == NULL)
		return rc;
	rc = fetch_number(st, stmt, ret);
	return rc < 0 ? rc : 0;
}

/*
 * Whether what is remembered of this version holds for what would be read now.
 * Not where this handle has written itself, nor in a transaction that has not
 * read yet: what it is going to see may be newer.
 */
int
eventlog_is_at_rest(const struct store *st)
{
	int state = sqlite3_txn_state(st->db, "main");

	if (state == SQLITE_TXN_WRITE ||
	    (state == SQLITE_TXN_NONE && store_is_open(st)))
		return 0;
	return store_is_still(st, &st->ends.version);
}

void
eventlog_forget(struct store *st)
{
	size_t i;

	for (i = 0; i < STORE_EVENTS; i++)
		event_unref(st->ends.event[i]);
	st->ends = (struct store_ends){ .head = 0 };
}

/*
 * Both ends of the log. A version that is looked at before the first read of a
 * transaction is not newer than what is read: while it lasts, so does this.
 */
static int
find_ends(struct store *st, int64_t *ret_oldest, int64_t *ret_head)
{
	struct store_version version = { .is_known = 0 };
	int rc;

	if (eventlog_is_at_rest(st)) {
		*ret_oldest = st->ends.oldest;
		*ret_head = st->ends.head;
		return 0;
	}
	if (sqlite3_txn_state(st->db, "main") == SQLITE_TXN_NONE)
		store_get_version(st, &version);
	rc = end_of_log(st, SQL_HEAD, ret_head);
	if (rc == 0)
		rc = end_of_log(st, SQL_OLDEST, ret_oldest);
	if (rc < 0)
		return rc;
	eventlog_forget(st);
	st->ends.version = version;
	st->ends.oldest = *ret_oldest;
	st->ends.head = *ret_head;
	return 0;
}

int
eventlog_head(struct store *st, int64_t *ret)
{
	int64_t oldest;

	return find_ends(st, &oldest, ret);
}

int
eventlog_is_same(struct store *st, int64_t pos)
{
	sqlite3_stmt *stmt;
	int64_t is_same = 0;
	int rc;

	stmt = store_stmt(st, SQL_IS_SAME_LOG, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":pos", pos);
	if (rc < 0) {
		store_done(stmt);
		return rc;
	}
	rc = fetch_number(st, stmt, &is_same);
	return rc < 0 ? rc : is_same != 0;
}

int
eventlog_find_message(struct store *st, const char *id, int64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_CURSOR_MESSAGE,
	    (struct store_bind[]){ { ":id", id }, { NULL, NULL } }, &rc);
	return stmt == NULL ? rc : fetch_number(st, stmt, ret);
}

/*
 * The same for one who asks with it. The message at the head is remembered, as
 * it is what a client has that has everything.
 */
static int
find_message(struct store *st, const char *id, int64_t head, int64_t *ret)
{
	size_t size = strlen(id) + 1;
	int rc;

	if (eventlog_is_at_rest(st) && strcmp(id, st->ends.message) == 0) {
		*ret = head;
		return 1;
	}
	rc = eventlog_find_message(st, id, ret);
	if (rc == 1 && *ret == head && head == st->ends.head &&
	    size <= sizeof(st->ends.message))
		memcpy(st->ends.message, id, size);
	return rc;
}

/* What to make of a position between the ends of the log. */
static enum eventlog_reset
judge(int64_t pos, int64_t oldest, int64_t head)
{
	if (pos > head)
		return EVENTLOG_AHEAD;
	return pos < oldest ? EVENTLOG_PRUNED : EVENTLOG_RESUMED;
}

/* Resolves the cursors; *ret_reset and *ret_pos are what the header says. */
static int
resolve(struct store *st, const struct query *q, int64_t *ret_pos,
    enum eventlog_reset *ret_reset)
{
	enum eventlog_reset by_time = EVENTLOG_UNKNOWN, by_id = EVENTLOG_UNKNOWN;
	const char *time = q->last_timestamp, *id = q->last_message_id;
	int64_t oldest, head, pos, best = -1;
	int rc;

	rc = find_ends(st, &oldest, &head);
	if (rc < 0)
		return rc;
	if (time != NULL && clock_parse_pos(time, strlen(time), &pos) == 0) {
		by_time = judge(pos, oldest, head);
		if (by_time == EVENTLOG_RESUMED)
			best = pos;
	}
	if (id != NULL && *id != '\0') {
		rc = clock_parse_pos(id, strlen(id), &pos) == 0
		    ? 1 : find_message(st, id, head, &pos);
		if (rc < 0)
			return rc;
		if (rc == 1)
			by_id = judge(pos, oldest, head);
		if (by_id == EVENTLOG_RESUMED && pos > best)
			best = pos;
	}
	*ret_pos = best >= 0 ? best : head;
	if (best >= 0)
		*ret_reset = EVENTLOG_RESUMED;
	else if (q->has_last_timestamp)
		*ret_reset = by_time;
	else
		*ret_reset = q->has_last_message_id ? by_id : EVENTLOG_FIRST;
	return 0;
}

int
eventlog_resume(struct store *st, const struct query *q, int64_t *ret_pos,
    enum eventlog_reset *ret_reset)
{
	int rc, began;

	/* Then there is one statement at most. */
	if (eventlog_is_at_rest(st))
		return resolve(st, q, ret_pos, ret_reset);
	rc = store_enter(st, 0, &began);
	if (rc < 0)
		return rc;
	rc = resolve(st, q, ret_pos, ret_reset);
	return store_leave(st, began, rc);
}

/* The column as a C string, borrowed until the next step; NULL is kept. */
static const char *
text(sqlite3_stmt *row, int col)
{
	return (const char *)sqlite3_column_text(row, col);
}

/* Makes an event of a row, without its texts. */
static int
make_event(sqlite3_stmt *row, struct event **ret)
{
	const char *s[COL_EXPIRES];
	struct event *ev;
	int rc, col;

	for (col = COL_TYPE; col < COL_EXPIRES; col++) {
		/* Without memory an audience must not look like everyone. */
		s[col] = text(row, col);
		if (s[col] == NULL
		    && sqlite3_column_type(row, col) != SQLITE_NULL)
			return ERR_NOMEM;
	}
	rc = event_new(sqlite3_column_int64(row, COL_ID), s[COL_TYPE],
	    s[COL_ROOM], s[COL_USER], s[COL_ACTOR], s[COL_ENTITY], &ev);
	if (rc < 0)
		return rc;
	ev->expires_at = sqlite3_column_int64(row, COL_EXPIRES);
	ev->is_private = sqlite3_column_int(row, COL_PRIVATE) != 0;
	*ret = ev;
	return 0;
}

/* Builds one text of ev if there is anything to tell; too much is nothing. */
static int
build_text(struct walk *w, struct event *ev, sqlite3_stmt *row, int is_self)
{
	const char *stored = text(row, COL_PAYLOAD);
	size_t len = 0;
	int rc;

	if (stored != NULL)
		len = (size_t)sqlite3_column_bytes(row, COL_PAYLOAD);
	buf_reset(&w->payload);
	rc = payload_print(w->st, ev, stored, len, is_self, &w->payload);
	if (rc == 1)
		rc = event_set_text(ev, ev->type, w->payload.p, w->payload.len,
		    is_self);
	if (rc != ERR_TOOBIG)
		return rc;
	ev->is_too_big = 1;
	return 0;
}

/* The texts that this walk's reader needs; a published payload is the same for all. */
static int
build_texts(struct walk *w, struct event *ev, sqlite3_stmt *row)
{
	const char *self = NULL;
	int rc;

	if (sqlite3_column_type(row, COL_PAYLOAD) == SQLITE_NULL)
		self = payload_self_id(ev);
	if (self != NULL && (w->user == NULL || strcmp(self, w->user) == 0)) {
		ev->self_id = self;
		rc = build_text(w, ev, row, 1);
		if (rc < 0 || (w->user != NULL && ev->self != NULL))
			return rc;
	}
	return build_text(w, ev, row, 0);
}

static void
give(struct walk *w, struct event *ev)
{
	w->stop = w->fn(ev, w->arg);
	w->n++;
}

/* Does the reader want the room events of this room? */
static int
is_wanted(const struct walk *w, const char *room)
{
	size_t lo = 0, hi = w->n_rooms, mid;
	int cmp;

	if (w->n_rooms == 0 || room == NULL)
		return 1;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		cmp = strcmp(room, w->rooms[mid]);
		if (cmp == 0)
			return 1;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return 0;
}

static struct event **
remembered_at(struct store *st, int64_t id)
{
	return &st->ends.event[(uint64_t)id & (STORE_EVENTS - 1)];
}

static int
is_his_own(const struct walk *w, const struct event *ev)
{
	const char *self = payload_self_id(ev);

	return self != NULL && strcmp(self, w->user) == 0;
}

/* What is for his eyes alone, and what is long, is built each time. */
static void
remember(struct walk *w, struct event *ev)
{
	struct event **at = remembered_at(w->st, ev->id);

	if (!w->is_at_rest || ev->text == NULL || ev->self != NULL ||
	    ev->text_len > MAX_REMEMBERED || is_his_own(w, ev))
		return;
	event_unref(*at);
	*at = event_ref(ev);
}

/* Makes the row's event, or finds it: the next poller has the same to read. */
static int
page_event(struct walk *w, sqlite3_stmt *row, struct event **ret)
{
	struct event *ev = *remembered_at(w->st,
	    sqlite3_column_int64(row, COL_ID));
	int rc;

	if (w->is_at_rest && ev != NULL &&
	    ev->id == sqlite3_column_int64(row, COL_ID) &&
	    !is_his_own(w, ev)) {
		*ret = event_ref(ev);
		return 0;
	}
	rc = make_event(row, &ev);
	if (rc < 0)
		return rc;
	rc = build_texts(w, ev, row);
	if (rc < 0) {
		event_unref(ev);
		return rc;
	}
	remember(w, ev);
	*ret = ev;
	return 0;
}

/* Gives the row's event to the reader of a page if he may see it and there is any. */
static int
page_row(struct walk *w, sqlite3_stmt *row)
{
	struct event *ev;
	size_t len;
	int rc;

	if (!sqlite3_column_int(row, COL_RIGHT)
	    || !is_wanted(w, text(row, COL_ROOM)))
		return 0;
	rc = page_event(w, row, &ev);
	if (rc < 0)
		return rc;
	if (event_get_text(ev, w->user, &len) != NULL)
		give(w, ev);
	event_unref(ev);
	return 0;
}

static int
bind_page(struct walk *w, sqlite3_stmt *row, int64_t after)
{
	int rc;

	rc = store_bind_text(w->st, row, ":user", w->user);
	if (rc == 0)
		rc = store_bind_int(w->st, row, ":now", clock_wall_us());
	if (rc == 0)
		rc = store_bind_int(w->st, row, ":after", after);
	if (rc == 0)
		/* One more tells that there is more. */
		rc = store_bind_int(w->st, row, ":window", EVENTLOG_WINDOW + 1);
	return rc;
}

/*
 * Walks until limit, window, the log's end or fn ends it; *pos: last row looked
 * at; *more: there is one behind it. All of it is one statement's view, and so
 * is what the statements see that tell of a row.
 */
static int
page_rows(struct walk *w, int64_t after, int limit, int64_t *pos, int *more)
{
	sqlite3_stmt *row;
	int rc, n_rows = 0;

	*pos = after;
	*more = 0;
	row = store_stmt(w->st, SQL_PAGE, &rc);
	if (row == NULL)
		return rc;
	rc = bind_page(w, row, after);
	while (rc == 0) {
		rc = store_step(w->st, row);
		if (rc != 1)
			break;
		*more = n_rows == EVENTLOG_WINDOW || w->n >= limit ||
		    w->stop != 0;
		rc = 0;
		if (*more)
			break;
		*pos = sqlite3_column_int64(row, COL_ID);
		/* The first step has settled what is seen. */
		if (n_rows++ == 0)
			w->is_at_rest = eventlog_is_at_rest(w->st);
		rc = page_row(w, row);
	}
	store_done(row);
	return rc;
}

int
eventlog_page(struct store *st, const char *user_id, char *const *rooms,
    size_t n_rooms, int64_t after, int limit, eventlog_each_fn *fn, void *arg,
    int64_t *ret_pos, int *ret_more)
{
	struct walk w;
	int64_t pos;
	int rc, more;

	if (eventlog_is_at_rest(st) && after == st->ends.head) {
		*ret_pos = after;
		*ret_more = 0;
		return 0;
	}
	walk_init(&w, st, user_id, fn, arg);
	w.rooms = rooms;
	w.n_rooms = n_rooms;
	rc = page_rows(&w, after, limit, &pos, &more);
	if (rc == 0 && w.stop < 0)
		rc = w.stop;
	buf_release(&w.payload);
	if (rc < 0)
		return rc;
	*ret_pos = pos;
	*ret_more = more;
	return w.stop != 0 ? w.stop : w.n;
}

static int
scan_row(struct walk *w, sqlite3_stmt *row)
{
	struct event *ev;
	int rc;

	rc = make_event(row, &ev);
	if (rc < 0)
		return rc;
	ev->is_open = sqlite3_column_int(row, COL_RIGHT);
	rc = build_texts(w, ev, row);
	if (rc == 0)
		give(w, ev);
	event_unref(ev);
	return rc;
}

static int
scan_rows(struct walk *w, int64_t after, int limit)
{
	sqlite3_stmt *row;
	int rc;

	row = store_stmt(w->st, SQL_SCAN, &rc);
	if (row == NULL)
		return rc;
	rc = store_bind_int(w->st, row, ":after", after);
	if (rc == 0)
		rc = store_bind_int(w->st, row, ":limit", limit);
	while (rc == 0 && w->stop == 0) {
		rc = store_step(w->st, row);
		if (rc != 1)
			break;
		rc = scan_row(w, row);
	}
	store_done(row);
	return rc;
}

int
eventlog_scan(struct store *st, int64_t after, int limit, eventlog_each_fn *fn,
    void *arg)
{
	struct walk w;
	int rc, began;

	rc = store_enter(st, 0, &began);
	if (rc < 0)
		return rc;
	walk_init(&w, st, NULL, fn, arg);
	rc = scan_rows(&w, after, limit);
	if (rc == 0 && w.stop < 0)
		rc = w.stop;
	buf_release(&w.payload);
	rc = store_leave(st, began, rc);
	if (rc < 0)
		return rc;
	return w.stop != 0 ? w.stop : w.n;
}

/* Gives one row of the state as an event of this type, placed at the head. */
static int
state_row(struct walk *w, sqlite3_stmt *row, int64_t head, const char *type)
{
	const char *id = text(row, 0);
	struct event *ev;
	int rc;

	if (id == NULL)
		return 0;	/* a site's row without id is not told to anybody */
	rc = event_new(head, type, NULL, NULL, NULL, id, &ev);
	if (rc < 0)
		return rc;
	buf_reset(&w->payload);
	if (strcmp(type, "ROOM_CREATED") == 0)
		payload_print_room(row, &w->payload);
	else
		rc = payload_print_user(w->st, row, 0, &w->payload);
	if (rc == 0)
		rc = buf_err(&w->payload);
	if (rc == 0)
		rc = event_set_text(ev, type, w->payload.p, w->payload.len, 0);
	if (rc == 0)
		give(w, ev);
	event_unref(ev);
	return rc == ERR_TOOBIG ? 0 : rc;
}

static int
state_rows(struct walk *w, enum sql which, int64_t head, const char *type)
{
	sqlite3_stmt *row;
	int rc;

	row = store_stmt(w->st, which, &rc);
	if (row == NULL)
		return rc;
	rc = which == SQL_STATE_USERS
	    ? store_bind_text(w->st, row, ":user", w->user) : 0;
	while (rc == 0 && w->stop == 0) {
		rc = store_step(w->st, row);
		if (rc != 1)
			break;
		rc = state_row(w, row, head, type);
	}
	store_done(row);
	return rc;
}

int
eventlog_state(struct store *st, const char *user_id, eventlog_each_fn *fn,
    void *arg, int64_t *ret_pos)
{
	struct walk w;
	int64_t head;
	int rc, began;

	rc = store_enter(st, 0, &began);
	if (rc < 0)
		return rc;
	walk_init(&w, st, user_id, fn, arg);
	rc = eventlog_head(st, &head);
	if (rc == 0)
		rc = state_rows(&w, SQL_STATE_ROOMS, head, "ROOM_CREATED");
	if (rc == 0)
		rc = state_rows(&w, SQL_STATE_USERS, head, "USER_UPDATE");
	if (rc == 0 && w.stop < 0)
		rc = w.stop;
	buf_release(&w.payload);
	rc = store_leave(st, began, rc);
	if (rc < 0)
		return rc;
	*ret_pos = head;
	return w.stop != 0 ? w.stop : w.n;
}
