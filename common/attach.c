/*
 * Holds a map against the site's schema, and makes or removes what it leads to (attach.h).
 *
 * What cannot be asked of the schema is tried: in the transaction that makes the triggers
 * the views are made too and every statement of the programs is prepared, so that a map
 * which a program, or the site with our triggers, could not work with is refused as a
 * whole.
 */
#include <stdarg.h>
#include <string.h>

#include "attach.h"
#include "buf.h"
#include "err.h"
#include "schema.h"
#include "sitemap.h"
#include "store_impl.h"

#define MAX_SQL		(1 << 20)

struct check {
	struct store	*st;
	struct buf	*why;
};

static void wrong(struct buf *why, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Adds a line of what is wrong. */
static void
wrong(struct buf *why, const char *fmt, ...)
{
	va_list ap;

	if (why->len > 0)
		buf_addc(why, '\n');
	va_start(ap, fmt);
	buf_vaddf(why, fmt, ap);
	va_end(ap);
}

/* Appends "name" as SQL quotes it. */
static void
add_name(struct buf *b, const char *name)
{
	buf_addc(b, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"')
			buf_addc(b, '"');
		buf_addc(b, *name);
	}
	buf_addc(b, '"');
}

/* --- what the site has --- */

/* Whether SQL over one of the site's tables can be prepared; the message is SQLite's. */
static int
does_compile(struct store *st, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int rc;

	rc = sqlite3_prepare_v2(st->db, sql, -1, &stmt, NULL);
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_OK;
}

static int
check_expr(struct check *check, const struct sitemap_claim *c)
{
	struct buf sql;
	int rc;

	buf_init(&sql, MAX_SQL);
	/* Behind WHERE, where no aggregate may be. */
	buf_adds(&sql, "SELECT 1 FROM main.");
	add_name(&sql, c->table);
	buf_addf(&sql, " AS s WHERE (%s)", c->expr);
	rc = buf_err(&sql);
	if (rc == 0 && !does_compile(check->st, buf_str(&sql)))
		wrong(check->why, "%s: %s", c->key, sqlite3_errmsg(check->st->db));
	buf_release(&sql);
	return rc;
}

/* Whether the site's own index finds a row by this column. */
static int
is_indexed(struct store *st, const char *table, const char *column)
{
	sqlite3_stmt *stmt = NULL;
	const char *plan = NULL;
	struct buf sql;
	int rc, is_found = 0;

	buf_init(&sql, MAX_SQL);
	buf_adds(&sql, "EXPLAIN QUERY PLAN SELECT 1 FROM main.");
	add_name(&sql, table);
	buf_adds(&sql, " WHERE ");
	add_name(&sql, column);
	buf_adds(&sql, " = ?1");
	rc = buf_err(&sql) < 0 ? SQLITE_NOMEM :
	    sqlite3_prepare_v2(st->db, buf_str(&sql), -1, &stmt, NULL);
	if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		plan = (const char *)sqlite3_column_text(stmt, 3);
	if (plan != NULL)
		is_found = strncmp(plan, "SEARCH", 6) == 0;
	(void)sqlite3_finalize(stmt);
	buf_release(&sql);
	return is_found;
}

static int
check_claim(const struct sitemap_claim *c, void *arg)
{
	struct check *check = arg;
	int kind;

	kind = schema_kind(check->st, c->table);
	if (kind < 0 && kind != ERR_SCHEMA)
		return kind;
	if (c->column == NULL && c->expr == NULL) {
		if (kind == 0)
			wrong(check->why, "%s: there is no table %s", c->key,
			    c->table);
		else if (kind == ERR_SCHEMA)
			wrong(check->why, "%s: %s is not an ordinary table, so that "
			    "it can have no trigger", c->key, c->table);
		return 0;
	}
	if (kind != 1)
		return 0;	/* told with the table */
	if (c->expr != NULL)
		return check_expr(check, c);
	if (sqlite3_table_column_metadata(check->st->db, "main", c->table,
	    c->column, NULL, NULL, NULL, NULL, NULL) != SQLITE_OK)
		wrong(check->why, "%s: table %s has no column %s", c->key, c->table,
		    c->column);
	else if (c->is_id && !is_indexed(check->st, c->table, c->column))
		wrong(check->why, "%s: %s.%s has no index: make a UNIQUE one",
		    c->key, c->table, c->column);
	return 0;
}

/* --- what the programs need beyond names --- */

/* An id of a message that is a number must be one that the table gives by itself. */
static int
check_number(struct check *check, const struct sitemap *map)
{
	const char *table = sitemap_table(map, "messages"), *type = NULL;
	const char *column = sitemap_column(map, "messages", "id");
	struct store *st = check->st;
	sqlite3_stmt *stmt;
	int rc;

	if (table == NULL)
		return 0;
	stmt = store_stmt(st, SQL_ID_TYPE, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(st, stmt, ":table", table);
	if (rc == 0)
		rc = store_bind_text(st, stmt, ":column", column);
	if (rc == 0)
		rc = store_step(st, stmt);
	if (rc == 1)
		type = (const char *)sqlite3_column_text(stmt, 0);
	if (type != NULL && sqlite3_strlike("%INT%", type, 0) == 0 &&
	    (sqlite3_stricmp(type, "INTEGER") != 0 ||
	    sqlite3_column_int(stmt, 1) == 0))
		wrong(check->why, "messages.id: %s.%s is %s and not INTEGER PRIMARY "
		    "KEY, so that a message could get no id", table, column, type);
	store_done(stmt);
	return rc < 0 ? rc : 0;
}

/* A message that a client sends must get a value in every column that needs one. */
static int
check_inserts(struct check *check, const struct sitemap *map)
{
	const char *table = sitemap_table(map, "messages"), *column;
	struct store *st = check->st;
	sqlite3_stmt *stmt;
	int rc;

	if (table == NULL)
		return 0;
	stmt = store_stmt(st, SQL_NOT_NULLS, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(st, stmt, ":table", table);
	if (rc == 0)
		rc = store_step(st, stmt);
	for (; rc == 1; rc = store_step(st, stmt)) {
		column = (const char *)sqlite3_column_text(stmt, 0);
		if (column != NULL && !sitemap_inserts(map, "messages", column))
			wrong(check->why, "messages: %s.%s must have a value: "
			    "messages.insert.%s = VALUE", table, column, column);
	}
	store_done(stmt);
	return rc;
}

/* Names that we need and that somebody else has; only where we have never been. */
static int
check_clashes(struct check *check)
{
	struct store *st = check->st;
	sqlite3_stmt *stmt;
	int rc;

	rc = schema_kind(st, "sw_meta");
	if (rc != 0)
		return rc == 1 ? 0 : rc;
	stmt = store_stmt(st, SQL_FOREIGN_NAMES, &rc);
	if (stmt == NULL)
		return rc;
	for (rc = store_step(st, stmt); rc == 1; rc = store_step(st, stmt))
		wrong(check->why, "%s: Sidewire needs this name for something of "
		    "its own: rename the one that is there",
		    (const char *)sqlite3_column_text(stmt, 0));
	store_done(stmt);
	return rc;
}

/* 0, ERR_SCHEMA with why, or an error. */
static int
check_site(struct store *st, const struct sitemap *map, struct buf *why)
{
	struct check check = { st, why };
	int rc;

	rc = check_clashes(&check);
	if (rc == 0)
		rc = sitemap_each_claim(map, check_claim, &check);
	if (rc == 0 && why->len == 0)
		rc = check_number(&check, map);
	if (rc == 0)
		rc = why->len > 0 ? 0 : check_inserts(&check, map);
	return rc == 0 && why->len > 0 ? ERR_SCHEMA : rc;
}

/* --- making and removing --- */

/* Drops our triggers and indexes on the site's tables (and on sw_online); how many. */
static int
drop_parts(struct store *st)
{
	sqlite3_stmt *stmt;
	struct buf sql;
	int rc, n = 0;

	stmt = store_stmt(st, SQL_ATTACHED, &rc);
	if (stmt == NULL)
		return rc;
	buf_init(&sql, MAX_SQL);
	for (rc = store_step(st, stmt); rc == 1; rc = store_step(st, stmt)) {
		buf_addf(&sql, "DROP %s ", (const char *)sqlite3_column_text(stmt, 0));
		add_name(&sql, (const char *)sqlite3_column_text(stmt, 1));
		buf_adds(&sql, ";\n");
		n++;
	}
	store_done(stmt);
	if (rc == 0)
		rc = buf_err(&sql);
	if (rc == 0 && n > 0)
		rc = store_exec(st, buf_str(&sql));
	buf_release(&sql);
	return rc < 0 ? rc : n;
}

static int
set_meta(struct store *st, const char *key, const char *value)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = store_stmt(st, value != NULL ? SQL_META_SET : SQL_META_DROP, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(st, stmt, ":key", key);
	if (rc == 0 && value != NULL)
		rc = store_bind_text(st, stmt, ":value", value);
	if (rc < 0) {
		store_done(stmt);
		return rc;
	}
	return store_run(st, stmt);
}

/* The views as each connection will make them, and every statement over them. */
static int
try_views(struct store *st, struct buf *sql)
{
	size_t start = sql->len;
	int rc, i;

	schema_print_views(st, sql);
	sitemap_print_writes(st->map, sql);
	rc = buf_err(sql);
	if (rc == 0)
		rc = store_exec(st, buf_str(sql) + start);
	for (i = 0; i < SQL_COUNT && rc == 0; i++)
		if (store_stmt(st, (enum sql)i, &rc) == NULL)
			break;
	return rc;
}

/* Prepares what fires the triggers of one of the site's tables: until then SQLite has not
 * looked at what is in them. */
static int
try_table(struct store *st, const char *table, const char *column,
    struct buf *why)
{
	static const char *const before[] = { "INSERT INTO ", "DELETE FROM ",
	    "UPDATE " };
	struct buf sql;
	int i, rc = 0;

	buf_init(&sql, MAX_SQL);
	for (i = 0; i < 3 && rc == 0; i++) {
		buf_reset(&sql);
		buf_adds(&sql, before[i]);
		add_name(&sql, table);
		if (i == 0)
			buf_adds(&sql, " DEFAULT VALUES");
		if (i == 2) {
			buf_adds(&sql, " SET ");
			add_name(&sql, column);
			buf_adds(&sql, " = NULL");
		}
		rc = buf_err(&sql);
		if (rc < 0 || does_compile(st, buf_str(&sql)))
			continue;
		wrong(why, "%s: with Sidewire's triggers, or for a reason of its "
		    "own, it cannot be written to: %s", table,
		    sqlite3_errmsg(st->db));
		rc = ERR_SCHEMA;
	}
	buf_release(&sql);
	return rc;
}

static int
try_triggers(struct store *st, struct buf *why)
{
	sqlite3_stmt *stmt;
	int rc, err = 0;

	stmt = store_stmt(st, SQL_TRIGGERED, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_step(st, stmt);
	while (rc == 1 && err == 0) {
		err = try_table(st, (const char *)sqlite3_column_text(stmt, 0),
		    (const char *)sqlite3_column_text(stmt, 1), why);
		if (err == 0)
			rc = store_step(st, stmt);
	}
	store_done(stmt);
	return err < 0 ? err : rc;
}

/* Within the transaction; the map is st->map from here on. */
static int
make_all(struct store *st, struct buf *sql, struct buf *why)
{
	const char *members = sitemap_owns_members(st->map) ? "sidewire" : "site";
	char before[16] = "";
	int rc;

	rc = schema_run(st, "\n--[tables]\n");
	if (rc == 0)
		rc = drop_parts(st);
	if (rc >= 0)
		rc = schema_meta(st, "members", before, sizeof(before));
	/* Where nobody is in our table yet, the rooms' creators are the first: as in a new
	 * installation, which has no version. */
	if (rc == 0 && strcmp(before, members) != 0)
		rc = set_meta(st, "version", NULL);
	if (rc == 0)
		rc = set_meta(st, "map", sitemap_text(st->map));
	if (rc == 0)
		rc = set_meta(st, "members", members);
	buf_adds(sql, "-- On the site's tables, and beside them:\n");
	schema_print_mapped(st, sql);
	if (rc == 0)
		rc = buf_err(sql);
	if (rc == 0)
		rc = store_exec(st, buf_str(sql));
	if (rc == 0)
		rc = schema_run(st, "\n--[version]\n");
	if (rc == 0)
		rc = try_triggers(st, why);
	buf_adds(sql, "-- In each connection of Sidewire's:\n");
	return rc < 0 ? rc : try_views(st, sql);
}

/* Puts the store's message into why unless something is there; returns rc. */
static int
told(struct store *st, int rc, struct buf *why)
{
	if (rc < 0 && why->len == 0)
		wrong(why, "%s: %s", store_path(st), rc == ERR_BUSY ?
		    "somebody else is writing; try again" : store_errmsg(st));
	return rc;
}

int
attach_make(struct store *st, const char *map, int is_dry, struct buf *sql,
    struct buf *why)
{
	struct sitemap *parsed;
	int rc;

	rc = sitemap_parse(map, &parsed, why);
	if (rc < 0)
		return told(st, rc, why);
	sitemap_free(st->map);
	st->map = parsed;
	rc = store_write(st);
	if (rc < 0)
		return told(st, rc, why);
	rc = check_site(st, parsed, why);
	if (rc == 0)
		rc = make_all(st, sql, why);
	if (rc == 0 && !is_dry)
		return told(st, store_commit(st), why);
	rc = told(st, rc, why);
	store_rollback(st);
	return rc;
}

int
attach_remove(struct store *st, int is_purge, struct buf *why)
{
	static const char *const purge =
	    "DROP VIEW IF EXISTS sw_next; DROP TABLE IF EXISTS events;"
	    "DROP TABLE IF EXISTS sw_private_rooms; DROP TABLE IF EXISTS sw_instances;"
	    "DROP TABLE IF EXISTS sw_leases; DROP TABLE IF EXISTS sw_sends;"
	    "DROP TABLE IF EXISTS sw_revoked; DROP TABLE IF EXISTS sw_online;"
	    "DROP TABLE IF EXISTS sw_room_members; DROP TABLE IF EXISTS sw_meta;";
	int rc, n;

	rc = schema_kind(st, "sw_meta");
	if (rc == 0)
		wrong(why, "%s: has no Sidewire schema", store_path(st));
	if (rc != 1)
		return rc == 0 ? ERR_NOTFOUND : told(st, rc, why);
	rc = store_write(st);
	if (rc < 0)
		return told(st, rc, why);
	n = rc = drop_parts(st);
	if (rc >= 0)
		rc = set_meta(st, "map", NULL);
	if (rc == 0)
		rc = set_meta(st, "version", NULL);
	if (rc == 0)
		rc = set_meta(st, "members", NULL);
	if (rc == 0 && is_purge)
		rc = store_exec(st, purge);
	if (rc == 0)
		rc = store_commit(st);
	rc = told(st, rc, why);
	store_rollback(st);
	return rc < 0 ? rc : n;
}
