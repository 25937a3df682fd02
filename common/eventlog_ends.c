/*
 * The two ends of the log: where it grows by what is published (what the site
 * writes to its tables gets there by triggers), and where it is cut.
 */
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "payload.h"
#include "store_impl.h"

#define MAX_TYPE	128	/* bytes of a published type */
#define MAX_TTL_MS	(366LL * 86400 * 1000)

static int
insert_event(struct store *st, const char *type, const char *room_id,
    const char *user_id, const char *actor_id, const struct buf *payload,
    int64_t ttl_ms)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, SQL_APPEND, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(st, stmt, ":type", type);
	if (rc == 0)
		rc = store_bind_text(st, stmt, ":room", room_id);
	if (rc == 0)
		rc = store_bind_text(st, stmt, ":user", user_id);
	if (rc == 0)
		rc = store_bind_text(st, stmt, ":actor", actor_id);
	if (rc == 0)
		rc = store_bind_blobtext(st, stmt, ":payload", payload->p,
		    payload->len);
	if (rc == 0 && ttl_ms > 0)
		rc = store_bind_int(st, stmt, ":expires",
		    clock_wall_us() + ttl_ms * 1000);
	if (rc == 0)
		return store_run(st, stmt);
	store_done(stmt);
	return rc;
}

int
eventlog_append(struct store *st, const char *type, const char *room_id,
    const char *user_id, const char *actor_id, const char *payload, size_t len,
    int64_t ttl_ms, int64_t *ret)
{
	struct buf b;
	int64_t id = 0;
	int rc, began;

	if (*type == '\0' || ttl_ms < 0 || ttl_ms > MAX_TTL_MS)
		return ERR_INVAL;
	if (strlen(type) > MAX_TYPE)
		return ERR_TOOBIG;
	buf_init(&b, EVENT_MAX_TEXT);
	rc = payload_normalize(payload, len, &b);
	if (rc == 0)
		rc = store_enter(st, 1, &began);
	if (rc == 0) {
		rc = insert_event(st, type, room_id, user_id, actor_id, &b,
		    ttl_ms);
		if (rc == 0)
			id = sqlite3_last_insert_rowid(st->db);
		rc = store_leave(st, began, rc);
	}
	buf_release(&b);
	if (rc == 0)
		*ret = id;
	return rc;
}

/*
 * Runs a statement that gives one number or no row (0), with the parameters :from
 * and :rows where they are not negative.  1: there was a number.
 */
static int
number(struct store *st, enum sql which, int64_t from, int64_t rows,
    int64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, which, &rc);
	if (stmt == NULL)
		return rc;
	rc = from >= 0 ? store_bind_int(st, stmt, ":from", from) : 0;
	if (rc == 0 && rows >= 0)
		rc = store_bind_int(st, stmt, ":rows", rows);
	if (rc == 0)
		rc = store_step(st, stmt);
	if (rc == 1)
		*ret = sqlite3_column_int64(stmt, 0);
	store_done(stmt);
	return rc;
}

/*
 * The position below which rows are beyond the newest `keep`.  The handle remembers
 * a mark and how many rows there are from it to the head of then, so that only what
 * is new since is counted.  The memory is void when somebody else removed the mark's
 * or the head's row, or when rows below the mark are to be kept after all.
 */
static int
bound_by_rows(struct store *st, int64_t oldest, int64_t head, int64_t keep,
    int64_t *ret)
{
	struct store_prune p = st->prune;
	int64_t n;
	int rc, is_good = 0;

	if (p.rows > 0 && oldest <= p.mark) {
		is_good = number(st, SQL_HAS_ROW, p.head, -1, &n);
		if (is_good < 0)
			return is_good;
	}
	if (is_good) {
		rc = number(st, SQL_COUNT_FROM, p.head + 1, -1, &n);
		if (rc < 0)
			return rc;
		p.rows += n;
	}
	if (!is_good || (p.rows < keep && oldest < p.mark)) {
		p.mark = oldest;
		rc = number(st, SQL_COUNT_FROM, oldest, -1, &p.rows);
		if (rc < 0)
			return rc;
	}
	p.head = head;
	if (p.rows > keep) {
		rc = number(st, SQL_SKIP_FROM, p.mark, p.rows - keep,
		    &p.mark);
		if (rc < 0)
			return rc;
		p.rows = keep;
	}
	st->prune = p;
	*ret = p.mark;
	return 0;
}

/* The position below which rows may go: 0 for none, the head at most. */
static int
prune_bound(struct store *st, int64_t now_us, int64_t keep_s,
    int64_t keep_rows, int64_t *ret_oldest, int64_t *ret_bound)
{
	int64_t oldest, head, bound = 0, by_rows;
	int rc;

	rc = eventlog_head(st, &head);
	if (rc == 0)
		rc = number(st, SQL_OLDEST, -1, -1, &oldest);
	if (rc < 0)
		return rc;
	if (keep_s <= now_us / 1000000)
		bound = now_us - keep_s * 1000000;
	rc = bound_by_rows(st, oldest, head, keep_rows > 0 ? keep_rows : 1,
	    &by_rows);
	if (rc < 0)
		return rc;
	if (bound < by_rows)
		bound = by_rows;
	*ret_oldest = oldest;
	*ret_bound = bound < head ? bound : head;
	return 0;
}

/*
 * Removes at most max rows below bound and keeps the count right: while nothing is
 * too much the mark is the oldest row, and moves on with it.
 */
static int
delete_below(struct store *st, int64_t bound, int max)
{
	struct store_prune p = st->prune;
	sqlite3_stmt *stmt;
	int64_t oldest;
	int rc, n;

	rc = number(st, SQL_OLDEST, -1, -1, &oldest);
	if (rc < 0)
		return rc;
	stmt = store_stmt(st, SQL_PRUNE, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":bound", bound);
	if (rc == 0)
		rc = store_bind_int(st, stmt, ":max", max);
	if (rc < 0) {
		store_done(stmt);
		return rc;
	}
	rc = store_run(st, stmt);
	if (rc < 0)
		return rc;
	n = sqlite3_changes(st->db);
	if (oldest == p.mark) {
		p.rows -= n;
		rc = number(st, SQL_OLDEST, -1, -1, &p.mark);
		if (rc < 0)
			return rc;
		st->prune = p;
	}
	return n;
}

int
eventlog_prune(struct store *st, int64_t now_us, int64_t keep_s,
    int64_t keep_rows, int max)
{
	int64_t oldest = 0, bound = 0;
	int rc, began;

	/* What is found here stays true: the log grows at its other end. */
	rc = store_enter(st, 0, &began);
	if (rc < 0)
		return rc;
	rc = prune_bound(st, now_us, keep_s, keep_rows, &oldest, &bound);
	rc = store_leave(st, began, rc);
	if (rc < 0 || oldest >= bound)
		return rc;
	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = delete_below(st, bound, max);
	rc = store_leave(st, began, rc);
	if (rc < 0)
		st->prune.rows = 0;	/* undone: count anew */
	return rc;
}

int
eventlog_size(struct store *st, int64_t *ret_rows, int64_t *ret_oldest)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, SQL_SIZE, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 1) {
		*ret_rows = sqlite3_column_int64(stmt, 0);
		*ret_oldest = sqlite3_column_int64(stmt, 1);
	}
	store_done(stmt);
	return rc < 0 ? rc : 0;
}
