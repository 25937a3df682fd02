/*
 * Leases and instances as rows (lease.h).  Who is online is users.is_online, set
 * through the view sw_users: the trigger on users tells the world, and a user whom
 * the site itself set online, without any lease, is left alone.
 */
#include "err.h"
#include "lease.h"
#include "site.h"
#include "store_impl.h"

/* A bound parameter; text where it is not NULL. */
struct arg {
	const char	*name;
	const char	*text;
	int64_t		 number;
};

/* Prepares a statement and binds n arguments. */
static int
lease_stmt(struct store *st, enum sql which, const struct arg *args, int n,
    sqlite3_stmt **ret)
{
	sqlite3_stmt *stmt;
	int i, rc = 0;

	stmt = store_stmt(st, which, &rc);
	for (i = 0; stmt != NULL && i < n && rc == 0; i++)
		rc = args[i].text != NULL ?
		    store_bind_text(st, stmt, args[i].name, args[i].text) :
		    store_bind_int(st, stmt, args[i].name, args[i].number);
	if (rc == 0)
		*ret = stmt;
	return rc;
}

/* Runs one to its end; returns how many rows it gave. */
static int
lease_run(struct store *st, enum sql which, const struct arg *args, int n)
{
	sqlite3_stmt *stmt;
	int rc, rows = 0;

	rc = lease_stmt(st, which, args, n, &stmt);
	if (rc < 0)
		return rc;
	for (;;) {
		rc = store_step(st, stmt);
		if (rc != 1)
			break;
		rows++;
	}
	store_done(stmt);
	return rc < 0 ? rc : rows;
}

/* The number in its only row; ERR_NOTFOUND: there is none. */
static int
lease_number(struct store *st, enum sql which, const struct arg *args, int n,
    int64_t *ret)
{
	sqlite3_stmt *stmt;
	int rc;

	rc = lease_stmt(st, which, args, n, &stmt);
	if (rc < 0)
		return rc;
	rc = store_step(st, stmt);
	if (rc == 1)
		*ret = sqlite3_column_int64(stmt, 0);
	store_done(stmt);
	return rc == 1 ? 0 : rc == 0 ? ERR_NOTFOUND : rc;
}

int
lease_beat(struct store *st, const char *instance, int64_t pid, int64_t now_ms)
{
	const struct arg args[] = {
		{ ":instance", instance, 0 },
		{ ":pid", NULL, pid },
		{ ":now", NULL, now_ms },
	};
	int began = 0, rc;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = lease_run(st, SQL_LEASE_BEAT, args, 3);
	if (rc == 0) {
		rc = lease_run(st, SQL_LEASE_BORN, args, 3);
		if (rc == 0)
			rc = 1;
	} else if (rc == 1) {
		rc = 0;
	}
	return store_leave(st, began, rc);
}

int
lease_retire(struct store *st, const char *instance, int64_t ends_at)
{
	const struct arg args[] = {
		{ ":instance", instance, 0 },
		{ ":ends", NULL, ends_at },
	};
	int began = 0, rc;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = lease_run(st, SQL_LEASE_END_INSTANCE, args, 2);
	if (rc == 0)
		rc = lease_run(st, SQL_LEASE_DROP_INSTANCE, args, 1);
	return store_leave(st, began, rc);
}

int
lease_each_instance(struct store *st, lease_each_fn *fn, void *arg)
{
	sqlite3_stmt *stmt;
	const char *id;
	int rc;

	rc = lease_stmt(st, SQL_LEASE_EACH_INSTANCE, NULL, 0, &stmt);
	if (rc < 0)
		return rc;
	for (;;) {
		rc = store_step(st, stmt);
		if (rc != 1)
			break;
		id = (const char *)sqlite3_column_text(stmt, 0);
		if (id == NULL) {
			rc = ERR_NOMEM;
			break;
		}
		rc = fn(id, sqlite3_column_int64(stmt, 1),
		    sqlite3_column_int64(stmt, 2), arg);
		if (rc != 0)
			break;
	}
	store_done(stmt);
	return rc;
}

int
lease_each_holder(struct store *st, int64_t now_ms, lease_holder_fn *fn, void *arg)
{
	struct lease_holder holder;
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, SQL_LEASE_EACH_HOLDER, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_int(st, stmt, ":now", now_ms);
	while (rc >= 0) {
		rc = store_step(st, stmt);
		if (rc <= 0)
			break;
		holder.user_id = (const char *)sqlite3_column_text(stmt, 0);
		holder.name = (const char *)sqlite3_column_text(stmt, 1);
		if (holder.name == NULL)
			holder.name = "";
		holder.instance = (const char *)sqlite3_column_text(stmt, 2);
		holder.ends_at = sqlite3_column_int64(stmt, 3);
		holder.pid = sqlite3_column_int64(stmt, 4);
		holder.came_us = sqlite3_column_int64(stmt, 5);
		if (holder.user_id == NULL || holder.instance == NULL)
			rc = ERR_NOMEM;	/* the columns are NOT NULL */
		else if (fn(&holder, arg) != 0)
			break;
	}
	store_done(stmt);
	return rc < 0 ? rc : 0;
}

int
lease_last_beat(struct store *st, int64_t *ret)
{
	return lease_number(st, SQL_LEASE_LAST_BEAT, NULL, 0, ret);
}

/*
 * Only who comes is set online: somebody whom the site set offline while he is
 * connected stays so, however often his leases are renewed.  The grace after a last
 * socket is no connection, so that whoever comes back within it has come.
 */
int
lease_take(struct store *st, const char *user_id, const char *instance,
    int64_t ends_at, int64_t now_ms)
{
	const struct arg args[] = {
		{ ":user", user_id, 0 },
		{ ":instance", instance, 0 },
		{ ":ends", NULL, ends_at },
	};
	const struct arg live[] = {
		{ ":user", user_id, 0 },
		{ ":now", NULL, now_ms },
	};
	int began = 0, connected, rc;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = connected = lease_run(st, SQL_LEASE_LIVE, live, 2);
	if (rc >= 0)
		rc = lease_run(st, SQL_LEASE_TAKE, args, 3);
	if (rc == 0 && connected == 0 &&
	    (ends_at == LEASE_OPEN || ends_at > now_ms))
		rc = site_set_online(st, user_id, 1);
	return store_leave(st, began, rc);
}

int
lease_get(struct store *st, const char *user_id, const char *instance,
    int64_t *ret)
{
	const struct arg args[] = {
		{ ":user", user_id, 0 },
		{ ":instance", instance, 0 },
	};

	return lease_number(st, SQL_LEASE_GET, args, 2, ret);
}

int
lease_adopt(struct store *st, int64_t now_ms, int64_t dead_ms, int64_t ends_at)
{
	const struct arg args[] = {
		{ ":since", NULL, now_ms - dead_ms },
		{ ":ends", NULL, ends_at },
	};
	int began = 0, rc;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = lease_run(st, SQL_LEASE_END_DEAD, args, 2);
	if (rc == 0)
		rc = lease_run(st, SQL_LEASE_DROP_DEAD, args, 1);
	return store_leave(st, began, rc);
}

/* Sets user_id offline unless he holds another lease; returns 1 if it did. */
static int
lease_leave(struct store *st, const char *user_id)
{
	const struct arg args[] = { { ":user", user_id, 0 } };
	int rc;

	rc = lease_run(st, SQL_LEASE_OTHER, args, 1);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return site_set_online(st, user_id, 0);
}

/* The sweep itself, in a write transaction.  The statement removes all its rows before it
 * gives the first, so that lease_leave() sees only what is left. */
static int
lease_remove_ended(struct store *st, int64_t now_ms)
{
	const struct arg args[] = {
		{ ":now", NULL, now_ms },
		{ ":max", NULL, LEASE_SWEEP_MAX },
	};
	sqlite3_stmt *stmt;
	const char *user;
	int rc, n = 0;

	rc = lease_stmt(st, SQL_LEASE_SWEEP, args, 2, &stmt);
	if (rc < 0)
		return rc;
	for (;;) {
		rc = store_step(st, stmt);
		if (rc != 1)
			break;
		user = (const char *)sqlite3_column_text(stmt, 0);
		rc = user == NULL ? ERR_NOMEM : lease_leave(st, user);
		if (rc < 0)
			break;
		n += rc;
	}
	store_done(stmt);
	return rc < 0 ? rc : n;
}

int
lease_sweep(struct store *st, int64_t now_ms, int64_t *ret_next)
{
	int64_t next = 0;
	int began = 0, rc, err;

	/* Most sweeps find nothing: they need no write lock. */
	rc = lease_number(st, SQL_LEASE_NEXT, NULL, 0, &next);
	if (rc < 0)
		return rc;
	if (next == 0 || next > now_ms) {
		*ret_next = next;
		return 0;
	}
	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return rc;
	rc = lease_remove_ended(st, now_ms);
	if (rc >= 0) {
		err = lease_number(st, SQL_LEASE_NEXT, NULL, 0, &next);
		if (err < 0)
			rc = err;
	}
	rc = store_leave(st, began, rc);
	if (rc >= 0)
		*ret_next = next;
	return rc;
}
