/*
 * Installs, checks and repairs the persistent schema (schema.sql).
 *
 * Whether a file is ours, and of which
 * version, stands in sw_meta: PRAGMA user_version and application_id belong to the
 * site.  The two tables below say what must be there; unit/test_schema.c holds
 * them against schema.sql.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "log.h"
#include "schema.h"
#include "sitemap.h"
#include "store_impl.h"

#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))
#define MAX_WHY		4096	/* bytes, cut to the caller's size */
#define MAX_PARTS	(COUNT(parts) + COUNT(presence) + SITEMAP_MAX_EVENTS)

/* A column that the programs need; how ALTER TABLE adds it, NULL: it cannot. */
struct need {
	const char	*table;
	const char	*column;
	const char	*add;
};

/* Columns of one table stand together. */
static const struct need needs[] = {
	{ "users", "id", NULL },
	{ "users", "name", "TEXT NOT NULL DEFAULT ''" },
	{ "users", "email", "TEXT" },
	{ "users", "avatar", "TEXT" },
	{ "users", "is_online", "INTEGER NOT NULL DEFAULT 0" },
	{ "users", "bio", "TEXT" },
	{ "rooms", "id", NULL },
	{ "rooms", "name", "TEXT NOT NULL DEFAULT ''" },
	{ "rooms", "is_private", "INTEGER NOT NULL DEFAULT 0" },
	{ "rooms", "created_by", "TEXT" },
	{ "rooms", "description", "TEXT" },
	{ "messages", "id", NULL },
	{ "messages", "room_id", "TEXT" },
	{ "messages", "sender_id", "TEXT" },
	{ "messages", "sender_name", "TEXT" },
	{ "messages", "sender_avatar", "TEXT" },
	{ "messages", "content", "TEXT" },
	{ "messages", "type", "TEXT NOT NULL DEFAULT 'text'" },
	{ "messages", "timestamp", "TEXT" },
	{ "user_relationships", "user_id", "TEXT" },
	{ "user_relationships", "target_id", "TEXT" },
	{ "user_relationships", "relationship_type", "TEXT" },
	{ "room_members", "room_id", "TEXT" },
	{ "room_members", "user_id", "TEXT" },
	{ "events", "id", NULL },
	{ "events", "type", NULL },
	{ "events", "room_id", NULL },
	{ "events", "private", NULL },
	{ "events", "user_id", NULL },
	{ "events", "actor_id", NULL },
	{ "events", "entity_id", NULL },
	{ "events", "expires_at", NULL },
	{ "events", "payload", NULL },
	{ "sw_private_rooms", "room_id", NULL },
	{ "sw_instances", "seen_at", NULL },
	{ "sw_leases", "ends_at", NULL },
	{ "sw_sends", "id", NULL },
	{ "sw_sends", "user_id", NULL },
	{ "sw_sends", "key", NULL },
	{ "sw_sends", "digest", NULL },
	{ "sw_sends", "message_id", NULL },
	{ "sw_revoked", "user_id", NULL },
	{ "sw_revoked", "revoked_at", NULL },
};

/* A trigger or index of ours and the table where it must be. */
struct part {
	const char	*name;
	const char	*table;
	int		 is_members;	/* only where room_members is ours */
};

static const struct part parts[] = {
	{ "sw_rooms_insert_creator", "rooms", 1 },
	{ "sw_rooms_update_creator", "rooms", 1 },
	{ "sw_rooms_update_members", "rooms", 1 },
	{ "sw_rooms_delete_members", "rooms", 1 },
	{ "sw_users_update_members", "users", 1 },
	{ "sw_users_delete_members", "users", 1 },
	{ "sw_users_online_index", "users", 0 },
	{ "sw_messages_room", "messages", 0 },
	{ "sw_members_user", "room_members", 0 },
	{ "sw_relationships_user", "user_relationships", 0 },
	{ "sw_messages_insert", "messages", 0 },
	{ "sw_messages_update", "messages", 0 },
	{ "sw_messages_move", "messages", 0 },
	{ "sw_messages_delete", "messages", 0 },
	{ "sw_rooms_insert", "rooms", 0 },
	{ "sw_rooms_update", "rooms", 0 },
	{ "sw_rooms_delete", "rooms", 0 },
	{ "sw_users_insert", "users", 0 },
	{ "sw_users_update", "users", 0 },
	{ "sw_users_online", "users", 0 },
	{ "sw_users_move", "users", 0 },
	{ "sw_users_delete", "users", 0 },
	{ "sw_members_insert", "room_members", 0 },
	{ "sw_members_update", "room_members", 0 },
	{ "sw_members_delete", "room_members", 0 },
	{ "sw_relationships_insert", "user_relationships", 0 },
	{ "sw_relationships_update", "user_relationships", 0 },
	{ "sw_relationships_delete", "user_relationships", 0 },
};

/* Those of a site that does not keep who is online. */
static const struct part presence[] = {
	{ "sw_online_insert", "sw_online", 0 },
	{ "sw_online_delete", "sw_online", 0 },
	{ "sw_users_delete_online", "users", 0 },
};

/* What schema_look_parts() found in one walk over sqlite_master. */
struct look {
	int	n_objects;
	int	n_parts;
	struct {
		char		 name[96];
		const char	*table;
		int		 is_members;
		int		 is_there;	/* on the right table */
		int		 is_elsewhere;	/* moved away with a renamed table */
		int		 is_index;
	}	part[MAX_PARTS];
};

/* --- texts --- */

static int schema_why(const struct store *st, char *why, size_t size, int err,
    const char *fmt, ...) ATTR_PRINTF(5, 6);

/* "PATH: ..." into why; returns err. */
static int
schema_why(const struct store *st, char *why, size_t size, int err,
    const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, MAX_WHY);
	buf_addf(&b, "%s: ", store_path(st));
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	(void)snprintf(why, size, "%s", buf_str(&b));
	buf_release(&b);
	return err;
}

/* The same for a failed statement. */
static int
schema_why_store(const struct store *st, char *why, size_t size, int err)
{
	return schema_why(st, why, size, err, err == ERR_BUSY ?
	    "somebody else is writing (%s); try again" : "%s", store_errmsg(st));
}

/* --- looking --- */

/* By the names of schema.sql; what the map has an expression or nothing for is there. */
static int
schema_has_column(struct store *st, const char *table, const char *column)
{
	const char *site = sitemap_column(st->map, table, column);

	if (site == NULL)
		return 1;
	table = sitemap_table(st->map, table);
	return sqlite3_table_column_metadata(st->db, "main", table, site, NULL,
	    NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* Whether the table can only be ours: a site's table of that name is in the way. */
static int
schema_is_ours(const char *table)
{
	return strcmp(table, "events") == 0 || strncmp(table, "sw_", 3) == 0;
}

/* The same where the site has names of its own. */
static void
schema_tell_unmapped(struct store *st, int first, int last, struct buf *b)
{
	int i, n = 0;

	buf_addf(b, "table %s lacks ",
	    sitemap_table(st->map, needs[first].table));
	for (i = first; i < last; i++)
		if (!schema_has_column(st, needs[i].table, needs[i].column))
			buf_addf(b, "%s%s", n++ > 0 ? ", " : "", sitemap_column(
			    st->map, needs[i].table, needs[i].column));
	buf_adds(b, "; run: sidewire attach with a map that has its names");
}

/* Appends what is wrong with one table, whose columns are needs[first..last). */
static void
schema_tell_lack(struct store *st, int first, int last, struct buf *b)
{
	const char *table = needs[first].table;
	int i, n = 0, is_stuck = 0;

	if (st->map != NULL && !schema_is_ours(table)) {
		schema_tell_unmapped(st, first, last, b);
		return;
	}
	buf_addf(b, "table %s lacks ", table);
	for (i = first; i < last; i++) {
		if (schema_has_column(st, table, needs[i].column))
			continue;
		buf_addf(b, "%s%s", n++ > 0 ? ", " : "", needs[i].column);
		is_stuck |= needs[i].add == NULL;
	}
	if (schema_is_ours(table)) {
		buf_addf(b, "; Sidewire needs this name for a table of its own: "
		    "rename the one that is there");
		return;
	}
	buf_adds(b, is_stuck ? "; its id must be added by hand" : "; run:");
	for (i = first; i < last && !is_stuck; i++)
		if (!schema_has_column(st, table, needs[i].column))
			buf_addf(b, " ALTER TABLE %s ADD COLUMN %s %s;", table,
			    needs[i].column, needs[i].add);
}

/* Looks at one table: appends to b what is wrong with it.  may_lack: it need not be there. */
static int
schema_look_table(struct store *st, int first, int last, int may_lack,
    struct buf *b)
{
	const char *table = sitemap_table(st->map, needs[first].table);
	int i, rc;

	if (table == NULL)
		return 0;	/* the site has none */
	for (i = first; i < last; i++)
		if (!schema_has_column(st, needs[i].table, needs[i].column))
			break;
	rc = i == last && !may_lack ? 1 : schema_kind(st, table);
	if (rc < 0 && rc != ERR_SCHEMA)
		return rc;
	if ((rc == 1 && i == last) || (rc == 0 && may_lack))
		return 0;
	if (b->len > 0)
		buf_adds(b, "  ");
	if (rc == ERR_SCHEMA)
		buf_addf(b, "%s is not an ordinary table, so that it can have no "
		    "trigger", table);
	else if (rc == 0)
		buf_addf(b, "table %s is missing; run: sidewire %s", table,
		    st->map == NULL ? "init" : "attach");
	else
		schema_tell_lack(st, first, last, b);
	return 0;
}

/* The tables and columns; ERR_SCHEMA with why. */
static int
schema_look_tables(struct store *st, int may_lack, char *why, size_t size)
{
	struct buf b;
	int first, last, rc = 0;

	buf_init(&b, MAX_WHY);
	for (first = 0; first < COUNT(needs) && rc == 0; first = last) {
		last = first + 1;
		while (last < COUNT(needs) &&
		    strcmp(needs[last].table, needs[first].table) == 0)
			last++;
		rc = schema_look_table(st, first, last, may_lack, &b);
	}
	if (rc < 0)
		rc = schema_why_store(st, why, size, rc);
	else if (b.len > 0)
		rc = schema_why(st, why, size, ERR_SCHEMA, "%s", buf_str(&b));
	buf_release(&b);
	return rc;
}

/* Adds a part to what is looked for, unless the site has not the table. */
static void
schema_expect(struct look *look, const char *name, const char *table,
    int is_members)
{
	if (table == NULL)
		return;
	(void)snprintf(look->part[look->n_parts].name,
	    sizeof(look->part[0].name), "%s", name);
	look->part[look->n_parts].table = table;
	look->part[look->n_parts++].is_members = is_members;
}

/* What has to be there, by the site's map. */
static void
schema_expect_all(const struct sitemap *map, struct look *ret)
{
	const char *type, *table;
	char name[96];
	int i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < COUNT(parts); i++)
		if (sitemap_has_index(map, parts[i].name))
			schema_expect(ret, parts[i].name,
			    sitemap_table(map, parts[i].table),
			    parts[i].is_members);
	for (i = 0; i < COUNT(presence) && sitemap_owns_presence(map); i++)
		schema_expect(ret, presence[i].name,
		    sitemap_table(map, presence[i].table), 0);
	for (i = 0; i < SITEMAP_MAX_EVENTS; i++) {
		type = sitemap_event(map, i, &table);
		if (type == NULL)
			break;
		(void)snprintf(name, sizeof(name), "sw_event_%s", type);
		schema_expect(ret, name, table, 0);
	}
}

/* Which of our triggers and indexes are there, and on which table. */
static int
schema_look_parts(struct store *st, struct look *ret)
{
	sqlite3_stmt *stmt;
	const char *name, *table;
	int i, rc = 0;

	schema_expect_all(st->map, ret);
	stmt = store_stmt(st, SQL_MASTER_PARTS, &rc);
	if (stmt == NULL)
		return rc;
	for (;;) {
		rc = store_step(st, stmt);
		if (rc != 1)
			break;
		ret->n_objects++;
		name = (const char *)sqlite3_column_text(stmt, 0);
		table = (const char *)sqlite3_column_text(stmt, 1);
		if (name == NULL || table == NULL)
			continue;
		for (i = 0; i < ret->n_parts; i++) {
			if (strcmp(ret->part[i].name, name) != 0)
				continue;
			ret->part[i].is_index = sqlite3_column_int(stmt, 2);
			if (sqlite3_stricmp(ret->part[i].table, table) == 0)
				ret->part[i].is_there = 1;
			else
				ret->part[i].is_elsewhere = 1;
		}
	}
	store_done(stmt);
	return rc;
}

/* The version of the file: 0 it is not ours.  ERR_SCHEMA with why: of a newer program. */
static int
schema_look_version(struct store *st, char *why, size_t size)
{
	char text[32] = "";
	long version;
	int rc;

	rc = schema_load_map(st);
	if (rc == 0)
		rc = schema_kind(st, "sw_meta");
	if (rc == 1)
		rc = schema_meta(st, "version", text, sizeof(text));
	if (rc < 0)
		return schema_why_store(st, why, size, rc);
	version = strtol(text, NULL, 10);
	if (version > SCHEMA_VERSION)
		return schema_why(st, why, size, ERR_SCHEMA, "its schema is of "
		    "version %ld, and this program knows up to %d; install the "
		    "newer program", version, SCHEMA_VERSION);
	return version < 0 ? 0 : (int)version;
}

/* Whether room_members is ours: 1 or 0. */
static int
schema_owns_members(struct store *st)
{
	char text[16];
	int rc;

	rc = schema_meta(st, "members", text, sizeof(text));
	return rc < 0 ? rc : strcmp(text, "site") != 0;
}

/* Version, tables and columns; returns whether room_members is ours. */
static int
schema_check_base(struct store *st, char *why, size_t size)
{
	int rc;

	rc = schema_look_version(st, why, size);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return schema_why(st, why, size, ERR_SCHEMA,
		    "has no Sidewire schema; run: sidewire init");
	if (rc < SCHEMA_VERSION)
		return schema_why(st, why, size, ERR_SCHEMA, "its schema is of "
		    "version %d; run: sidewire init", rc);
	rc = schema_look_tables(st, 0, why, size);
	if (rc < 0)
		return rc;
	rc = schema_owns_members(st);
	return rc < 0 ? schema_why_store(st, why, size, rc) : rc;
}

/* How many of our triggers and indexes are not where they must be; *ret_name is one. */
static int
schema_missing(const struct look *look, int owns_members, const char **ret_name)
{
	int i, n = 0;

	for (i = 0; i < look->n_parts; i++) {
		if (look->part[i].is_there ||
		    (look->part[i].is_members && !owns_members))
			continue;
		if (n++ == 0)
			*ret_name = look->part[i].name;
	}
	return n;
}

int
schema_check(struct store *st, char *why, size_t size)
{
	struct look look;
	const char *name = NULL;
	int owns, n, rc;

	owns = schema_check_base(st, why, size);
	if (owns < 0)
		return owns;
	rc = schema_look_parts(st, &look);
	if (rc < 0)
		return schema_why_store(st, why, size, rc);
	n = schema_missing(&look, owns, &name);
	if (n > 0)
		return schema_why(st, why, size, ERR_SCHEMA, "%d of Sidewire's "
		    "triggers and indexes are missing (%s), as after a migration "
		    "of the site; run: sidewire init", n, name);
	return 0;
}

/* --- making --- */

/* Removes what went with a table that was renamed; returns how many. */
static int
schema_drop_elsewhere(struct store *st, const struct look *look)
{
	char sql[128];
	int i, n = 0, rc;

	for (i = 0; i < look->n_parts; i++) {
		if (!look->part[i].is_elsewhere)
			continue;
		(void)snprintf(sql, sizeof(sql), "DROP %s %s",
		    look->part[i].is_index ? "INDEX" : "TRIGGER",
		    look->part[i].name);
		rc = store_exec(st, sql);
		if (rc < 0)
			return rc;
		n++;
	}
	return n;
}

static int
schema_make_plain(struct store *st)
{
	int rc;

	rc = schema_run(st, "\n--[private]\n");
	if (rc == 0)
		rc = schema_owns_members(st);
	if (rc == 1)
		rc = schema_run(st, "\n--[members]\n");
	return rc < 0 ? rc : schema_run(st, "\n--[triggers]\n");
}

/* Makes triggers and indexes where they are missing, in a write transaction; returns how
 * many objects there are more than look saw. */
static int
schema_make_parts(struct store *st, const struct look *look)
{
	struct look now;
	int moved, rc;

	moved = schema_drop_elsewhere(st, look);
	if (moved < 0)
		return moved;
	rc = st->map != NULL ? schema_make_mapped(st) : schema_make_plain(st);
	if (rc == 0)
		rc = schema_look_parts(st, &now);
	return rc < 0 ? rc : now.n_objects - look->n_objects + moved;
}

/* The whole installation, in a write transaction; returns how many objects it made. */
static int
schema_install(struct store *st, char *why, size_t size)
{
	struct look look;
	int rc, n, rows;

	rc = schema_look_version(st, why, size);
	if (rc < 0)
		return rc;
	rc = schema_look_tables(st, 1, why, size);
	if (rc < 0)
		return rc;
	rows = sqlite3_total_changes(st->db);
	rc = schema_look_parts(st, &look);
	if (rc == 0)
		rc = schema_run(st, "\n--[tables]\n");
	if (rc == 0 && st->map == NULL)
		rc = schema_run(st, "\n--[site]\n");
	n = rc == 0 ? schema_make_parts(st, &look) : rc;
	if (n >= 0)
		rc = schema_run(st, "\n--[version]\n");
	if (n < 0 || rc < 0)
		return schema_why_store(st, why, size, n < 0 ? n : rc);
	if (n == 0 && sqlite3_total_changes(st->db) != rows)
		n = 1;
	return n;
}

/* The same in a transaction of its own. */
static int
schema_install_all(struct store *st, char *why, size_t size)
{
	int rc, began = 0, made;

	rc = store_enter(st, 1, &began);
	if (rc < 0)
		return schema_why_store(st, why, size, rc);
	made = schema_install(st, why, size);
	rc = store_leave(st, began, made);
	return rc < 0 && made >= 0 ? schema_why_store(st, why, size, rc) : rc;
}

/* Brings a schema of an older version up to ours. */
static int
schema_upgrade(struct store *st, char *why, size_t size)
{
	int version, made;

	version = schema_look_version(st, why, size);
	if (version <= 0 || version == SCHEMA_VERSION)
		return version < 0 ? version : 0;
	made = schema_install_all(st, why, size);
	if (made > 0)
		log_info("schema upgraded from=%d to=%d path=%s", version,
		    SCHEMA_VERSION, store_path(st));
	return made < 0 ? made : 0;
}

int
schema_init(struct store *st, int *ret_made, char *why, size_t size)
{
	int rc, made;

	made = schema_install_all(st, why, size);
	if (made < 0)
		return made;
	rc = schema_open_views(st);
	if (rc < 0)
		return schema_why_store(st, why, size, rc);
	*ret_made = made;
	return 0;
}

int
schema_repair(struct store *st, int *ret_made, char *why, size_t size)
{
	struct look look;
	const char *name;
	int rc, owns, began = 0, made = 0;

	rc = schema_upgrade(st, why, size);
	if (rc < 0)
		return rc;
	owns = schema_check_base(st, why, size);
	if (owns < 0)
		return owns;
	rc = schema_look_parts(st, &look);
	if (rc == 0 && schema_missing(&look, owns, &name) > 0) {
		rc = store_enter(st, 1, &began);
		if (rc == 0)
			rc = schema_look_parts(st, &look);
		if (rc == 0)
			rc = made = schema_make_parts(st, &look);
		rc = store_leave(st, began, rc);
	}
	if (rc < 0)
		return schema_why_store(st, why, size, rc);
	*ret_made = made;
	return 0;
}
