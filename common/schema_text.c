/*
 * The texts of schema.sql and views.sql, which are embedded: run by section, as they are
 * or, where the site has a map (sitemap.h), in its names; each connection's TEMP views.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "schema.h"
#include "sitemap.h"
#include "store_impl.h"

#define MAX_WHY		4096	/* bytes of what is wrong with a map */
#define MAX_SQL		(1 << 20)	/* bytes of the schema in a site's names */

static const char schema_text[] =
#include "schema.sql.inc"
;
static const char views_text[] =
#include "views.sql.inc"
;

/* A section of an embedded text, the caller's; NULL: no memory. */
static char *
schema_section(const char *text, const char *section)
{
	const char *begin, *end;

	begin = strstr(text, section) + strlen(section);
	end = strstr(begin, "\n--[");
	return end == NULL ? strdup(begin) : strndup(begin, (size_t)(end - begin));
}

/* Runs one section. */
static int
schema_run_of(struct store *st, const char *text, const char *section)
{
	char *copy = schema_section(text, section);
	int rc;

	if (copy == NULL)
		return ERR_NOMEM;
	rc = store_exec(st, copy);
	free(copy);
	return rc;
}

int
schema_run(struct store *st, const char *section)
{
	return schema_run_of(st, schema_text, section);
}

/* Appends a section in the site's names. */
static void
schema_translate(const struct store *st, const char *text, const char *section,
    int has_rowid, struct buf *ret)
{
	char *copy = schema_section(text, section);

	if (copy == NULL)
		ret->err = ERR_NOMEM;
	else
		sitemap_translate(st->map, copy, has_rowid, ret);
	free(copy);
}

void
schema_print_mapped(const struct store *st, struct buf *ret)
{
	if (sitemap_owns_members(st->map))
		schema_translate(st, schema_text, "\n--[own members]\n", 0,
		    ret);
	if (sitemap_owns_presence(st->map))
		schema_translate(st, schema_text, "\n--[own presence]\n", 0,
		    ret);
	schema_translate(st, schema_text, "\n--[private]\n", 0, ret);
	if (sitemap_owns_members(st->map))
		schema_translate(st, schema_text, "\n--[members]\n", 0, ret);
	schema_translate(st, schema_text, "\n--[triggers]\n", 0, ret);
	sitemap_print_parts(st->map, ret);
}

/* Runs what a printer of ours printed. */
static int
schema_run_printed(struct store *st, struct buf *sql)
{
	int rc = buf_err(sql);

	if (rc == 0)
		rc = store_exec(st, buf_str(sql));
	buf_release(sql);
	return rc;
}

int
schema_make_mapped(struct store *st)
{
	struct buf sql;

	buf_init(&sql, MAX_SQL);
	schema_print_mapped(st, &sql);
	return schema_run_printed(st, &sql);
}

/* --- the map --- */

int
schema_meta(struct store *st, const char *key, char *ret, size_t size)
{
	sqlite3_stmt *stmt;
	const unsigned char *text;
	int rc = 0;

	stmt = store_stmt(st, SQL_META_GET, &rc);
	if (stmt == NULL)
		return rc;
	ret[0] = '\0';
	rc = store_bind_text(st, stmt, ":key", key);
	if (rc == 0)
		rc = store_step(st, stmt);
	if (rc == 1) {
		text = sqlite3_column_text(stmt, 0);
		if (text != NULL)
			(void)snprintf(ret, size, "%s", (const char *)text);
		rc = 0;
	}
	store_done(stmt);
	return rc;
}

int
schema_kind(struct store *st, const char *table)
{
	sqlite3_stmt *stmt;
	int rc = 0;

	stmt = store_stmt(st, SQL_MASTER_KIND, &rc);
	if (stmt == NULL)
		return rc;
	rc = store_bind_text(st, stmt, ":name", table);
	if (rc == 0)
		rc = store_step(st, stmt);
	if (rc == 1 && !sqlite3_column_int(stmt, 0))
		rc = ERR_SCHEMA;
	store_done(stmt);
	return rc;
}

/* The text of the map, the caller's; NULL: none, or *ret_err says why. */
static char *
schema_map_text(struct store *st, int *ret_err)
{
	const char *text = NULL;
	sqlite3_stmt *stmt;
	char *copy = NULL;
	int rc;

	*ret_err = 0;
	rc = schema_kind(st, "sw_meta");
	if (rc != 1) {
		*ret_err = rc == ERR_SCHEMA ? 0 : rc;
		return NULL;
	}
	stmt = store_stmt(st, SQL_META_GET, ret_err);
	if (stmt == NULL)
		return NULL;
	rc = store_bind_text(st, stmt, ":key", "map");
	if (rc == 0)
		rc = store_step(st, stmt);
	if (rc == 1)
		text = (const char *)sqlite3_column_text(stmt, 0);
	if (text != NULL)
		copy = strdup(text);
	if (text != NULL && copy == NULL)
		rc = ERR_NOMEM;
	store_done(stmt);
	*ret_err = rc < 0 ? rc : 0;
	return copy;
}

int
schema_load_map(struct store *st)
{
	struct sitemap *map = NULL;
	struct buf why;
	char *text;
	int rc;

	text = schema_map_text(st, &rc);
	if (rc < 0)
		return rc;
	if (st->map == NULL ? text == NULL : text != NULL &&
	    strcmp(text, sitemap_text(st->map)) == 0) {
		free(text);
		return 0;
	}
	if (st->has_views) {
		free(text);
		(void)snprintf(st->errmsg, sizeof(st->errmsg), "the site was "
		    "attached or detached meanwhile: start this program again");
		return ERR_SCHEMA;
	}
	buf_init(&why, MAX_WHY);
	rc = text == NULL ? 0 : sitemap_parse(text, &map, &why);
	if (rc < 0)
		(void)snprintf(st->errmsg, sizeof(st->errmsg),
		    "its map cannot be read: %s", buf_str(&why));
	buf_release(&why);
	free(text);
	if (rc < 0)
		return rc == ERR_INVAL ? ERR_SCHEMA : rc;
	sitemap_free(st->map);
	st->map = map;
	return 0;
}

/* --- views --- */

static int
schema_has_rowid(struct store *st)
{
	const char *table = sitemap_table(st->map, "messages");

	return table == NULL || sqlite3_table_column_metadata(st->db, "main",
	    table, "rowid", NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

void
schema_print_views(struct store *st, struct buf *ret)
{
	int has_rowid = schema_has_rowid(st);

	schema_translate(st, views_text, sitemap_owns_presence(st->map) ?
	    "\n--[users by presence]\n" : "\n--[users]\n", 0, ret);
	schema_translate(st, views_text, "\n--[all]\n", 0, ret);
	schema_translate(st, views_text, has_rowid ? "\n--[rowid]\n" :
	    "\n--[no rowid]\n", has_rowid, ret);
	sitemap_print_entities(st->map, ret);
}

int
schema_open_views(struct store *st)
{
	struct buf sql;
	int rc;

	if (st->has_views)
		return 0;
	rc = schema_load_map(st);
	if (rc < 0)
		return rc;
	if (st->map != NULL) {
		buf_init(&sql, MAX_SQL);
		schema_print_views(st, &sql);
		rc = schema_run_printed(st, &sql);
		st->has_views = rc == 0;
		return rc;
	}
	rc = schema_run_of(st, views_text, "\n--[users]\n");
	if (rc == 0)
		rc = schema_run_of(st, views_text, "\n--[all]\n");
	if (rc == 0)
		rc = schema_run_of(st, views_text,
		    schema_has_rowid(st) ?
		    "\n--[rowid]\n" : "\n--[no rowid]\n");
	if (rc == 0)
		st->has_views = 1;
	return rc;
}

int
schema_open_writes(struct store *st)
{
	struct buf sql;
	int rc;

	if (!st->has_views || st->has_writes || store_is_open(st))
		return 0;
	if (st->map != NULL) {
		buf_init(&sql, MAX_SQL);
		sitemap_print_writes(st->map, &sql);
		rc = schema_run_printed(st, &sql);
		st->has_writes = rc == 0;
		return rc;
	}
	rc = schema_run_of(st, views_text, "\n--[writes]\n");
	if (rc == 0)
		rc = schema_run_of(st, views_text,
		    sqlite3_table_column_metadata(st->db, "main", "users",
		    "password_hash", NULL, NULL, NULL, NULL, NULL) == SQLITE_OK ?
		    "\n--[password]\n" : "\n--[no password]\n");
	if (rc == 0)
		st->has_writes = 1;
	return rc;
}
