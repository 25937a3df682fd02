/*
 * Revoked tokens (revocation.h): one row for a user, and an event that wakes
 * everybody who may have a connection of his.
 */
#include <string.h>

#include "err.h"
#include "event.h"
#include "revocation.h"
#include "store_impl.h"

#define BY_USER(id)	(struct store_bind[]){ { ":user", id }, { NULL, NULL } }

int
revocation_get(struct store *st, const char *user_id, int64_t *ret_at_s)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_REVOKED_AT, BY_USER(user_id), &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 1)
		*ret_at_s = sqlite3_column_int64(stmt, 0);
	store_done(stmt);
	return rc;
}

/* The row, and the event that tells of it. */
static int
write_both(struct store *st, const char *user_id, int64_t now_s,
    int64_t *ret_pos)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_REVOKE, BY_USER(user_id), &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":now", now_s);
	if (rc < 0) {
		store_done(stmt);
		return rc;
	}
	rc = store_run(st, stmt);
	if (rc < 0)
		return rc;
	stmt = store_stmt_bound(st, SQL_REVOKE_EVENT, (struct store_bind[]){
	    { ":user", user_id }, { ":type", REVOCATION_TYPE }, { NULL, NULL } },
	    &rc);
	if (stmt == NULL)
		return rc;
	rc = store_run(st, stmt);
	if (rc == 0)
		*ret_pos = sqlite3_last_insert_rowid(st->db);
	return rc;
}

int
revocation_set(struct store *st, const char *user_id, int64_t now_s,
    int64_t *ret_pos)
{
	int64_t pos = 0;
	int rc, began;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = write_both(st, user_id, now_s, &pos);
	rc = store_leave(st, began, rc);
	if (rc == 0)
		*ret_pos = pos;
	return rc;
}

int
revocation_lift(struct store *st, const char *user_id)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt_bound(st, SQL_REVOKE_LIFT, BY_USER(user_id), &rc);
	if (stmt == NULL)
		return rc;
	rc = store_run(st, stmt);
	return rc < 0 ? rc : sqlite3_changes(st->db);
}

int
revocation_check(struct store *st, const char *user_id, int64_t issued_at_s)
{
	int64_t at_s;
	int rc;

	rc = revocation_get(st, user_id, &at_s);
	return rc == 1 ? issued_at_s <= at_s : rc;
}

int
revocation_is_event(const struct event *ev)
{
	return ev->type[0] == 'T' && ev->user_id != NULL && ev->text == NULL &&
	    strcmp(ev->type, REVOCATION_TYPE) == 0;
}
