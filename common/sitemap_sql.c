/*
 * Writes SQL by the map (sitemap.h): the sections of schema.sql and views.sql in the
 * site's names, and the few statements that depend on which columns there are.
 *
 * In a trigger NEW.x and OLD.x become the site's columns; in a view a table becomes a
 * SELECT from the site's one with the names that we know, which SQLite flattens: a
 * column stays a column, with its affinity and its index.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "err.h"
#include "sitemap_impl.h"

#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))

static int
column_at(enum map_table table, const char *name)
{
	return map_find_column(table, name, strlen(name));
}

/* The site's column for one of ours, NULL: an expression or nothing. */
static const char *
plain(const struct sitemap *map, enum map_table table, const char *name)
{
	return map->value[column_at(table, name)].column;
}

/* Through a name of a row: s."nick". */
static void
print_column(const char *prefix, const char *column, struct buf *ret)
{
	buf_addf(ret, "%s.", prefix);
	map_print_name(column, ret);
}

/* What a site does not keep with the message is the sender's own. */
static int
print_of_sender(const struct sitemap *map, int i, struct buf *ret)
{
	const char *name = map_columns[i].name;
	int user;

	if (map_columns[i].table != MAP_MESSAGES ||
	    strncmp(name, "sender_", 7) != 0)
		return 0;
	user = column_at(MAP_USERS, name + 7);
	buf_adds(ret, "(SELECT ");
	map_print_value(map, user, "u", ret);
	buf_adds(ret, " FROM main.");
	map_print_name(map->table[MAP_USERS], ret);
	buf_adds(ret, " AS u WHERE ");
	print_column("u", plain(map, MAP_USERS, "id"), ret);
	buf_adds(ret, " = ");
	print_column("s", plain(map, MAP_MESSAGES, "sender_id"), ret);
	buf_addc(ret, ')');
	return 1;
}

/* As a view reads it; in a trigger what only tells that something has changed will do. */
void
map_print_value(const struct sitemap *map, int i, const char *prefix,
    struct buf *ret)
{
	const struct map_value *v = &map->value[i];
	int is_view = strcmp(prefix, "NEW") != 0 && strcmp(prefix, "OLD") != 0;

	if (v->text == NULL && is_view && print_of_sender(map, i, ret))
		return;
	if (v->text == NULL && is_view && map->room != NULL &&
	    map_columns[i].table == MAP_MESSAGES &&
	    strcmp(map_columns[i].name, "room_id") == 0) {
		map_print_string(map->room, ret);
	} else if (v->text == NULL && !is_view && map->room != NULL &&
	    map_columns[i].table == MAP_MESSAGES &&
	    strcmp(map_columns[i].name, "room_id") == 0) {
		map_print_string(map->room, ret);
	} else if (v->text == NULL && is_view &&
	    map_columns[i].table == MAP_USERS &&
	    strcmp(map_columns[i].name, "is_online") == 0) {
		print_column(prefix, plain(map, MAP_USERS, "id"), ret);
		buf_adds(ret, " IN (SELECT user_id FROM main.sw_online)");
	} else if (v->text == NULL) {
		buf_adds(ret, map_columns[i].absent);
	} else if (v->unit != MAP_AS_IS && is_view) {
		buf_adds(ret, "strftime('%Y-%m-%dT%H:%M:%fZ', ");
		print_column(prefix, v->column, ret);
		buf_adds(ret, v->unit == MAP_UNIX_MS ?
		    " / 1000.0, 'unixepoch')" : ", 'unixepoch')");
	} else if (v->column != NULL) {
		print_column(prefix, v->column, ret);
	} else {
		buf_addc(ret, '(');
		map_print_expr(v->text, prefix, ret, NULL, NULL);
		buf_addc(ret, ')');
	}
}

/* --- tables as a SELECT --- */

static void
print_one_room(const struct sitemap *map, struct buf *ret)
{
	buf_adds(ret, "(SELECT ");
	map_print_string(map->room, ret);
	buf_adds(ret, " AS id, ");
	map_print_string(map->room, ret);
	buf_addf(ret, " AS name, 0 AS is_private, NULL AS created_by, "
	    "'' AS description WHERE %d)", map->table[MAP_MESSAGES] != NULL);
}

/* Where our text has a table of the site after FROM. */
static void
print_source(const struct sitemap *map, enum map_table t, int has_rowid,
    struct buf *ret)
{
	const char *sep = "(SELECT ";
	int i;

	if (t == MAP_ROOMS && map->table[t] == NULL) {
		print_one_room(map, ret);
		return;
	}
	for (i = 0; i < MAP_COLUMNS; i++) {
		if (map_columns[i].table != t)
			continue;
		buf_adds(ret, sep);
		if (map->table[t] == NULL)
			buf_adds(ret, "NULL");
		else
			map_print_value(map, i, "s", ret);
		buf_addf(ret, " AS %s", map_columns[i].name);
		sep = ", ";
	}
	if (t == MAP_MESSAGES && has_rowid)
		buf_adds(ret, map->table[t] == NULL ? ", NULL AS rowid" :
		    ", s.rowid AS rowid");
	if (map->table[t] == NULL) {
		buf_adds(ret, " WHERE 0)");
		return;
	}
	buf_adds(ret, " FROM main.");
	map_print_name(map->table[t], ret);
	buf_adds(ret, " AS s)");
}

/* --- translating --- */

/* One statement of a section, comments and all. */
struct statement {
	const char	*begin;
	size_t		 len;
	int		 is_trigger, is_index;
	int		 table;		/* behind the first ON of a trigger, else -1 */
};

static void
skip_space(struct map_lex *lex)
{
	while (lex->kind == LEX_SPACE)
		(void)map_lex_next(lex);
}

/* Reads on to the end of a statement; 0: there is none any more. */
static int
next_statement(struct map_lex *lex, struct statement *ret)
{
	int n = 0, n_case = 0, is_over = 0, is_on = 0;

	(void)map_lex_next(lex);
	skip_space(lex);
	*ret = (struct statement){ .begin = lex->tok, .table = -1 };
	for (; lex->kind != LEX_END; (void)map_lex_next(lex)) {
		if (lex->kind == LEX_SPACE)
			continue;
		if (++n < 4) {
			ret->is_trigger |= map_lex_is(lex, "TRIGGER");
			ret->is_index |= map_lex_is(lex, "INDEX");
		}
		if (is_on && ret->table < 0)
			ret->table = map_find_table(lex->tok, lex->len);
		is_on = ret->table < 0 && map_lex_is(lex, "ON");
		n_case += map_lex_is(lex, "CASE");
		if (map_lex_is(lex, "END"))
			is_over = n_case-- == 0;
		if (*lex->tok == ';' && (is_over || !ret->is_trigger)) {
			ret->len = (size_t)(lex->p - ret->begin);
			return 1;
		}
	}
	return 0;
}

/* NEW.x or OLD.x of the trigger's table; lex is behind it then. */
static int
print_row_column(const struct sitemap *map, const struct statement *st,
    struct map_lex *lex, struct buf *ret)
{
	struct map_lex at = *lex;
	int i, is_new = map_lex_is(&at, "NEW");

	if (!st->is_trigger || st->table < 0 || (!is_new && !map_lex_is(&at, "OLD")))
		return 0;
	if (map_lex_next(&at) != LEX_SIGN || *at.tok != '.')
		return 0;
	(void)map_lex_next(&at);
	i = map_find_column((enum map_table)st->table, at.tok, at.len);
	if (i < 0)
		return 0;
	map_print_value(map, i, is_new ? "NEW" : "OLD", ret);
	*lex = at;
	return 1;
}

/* A table of the site behind FROM, or as main.TABLE. */
static int
print_table(const struct sitemap *map, int is_from, int has_rowid,
    struct map_lex *lex, struct buf *ret)
{
	struct map_lex at = *lex;
	int t;

	if (map_lex_is(&at, "main")) {
		(void)map_lex_next(&at);
		if (*at.tok != '.')
			return 0;
		(void)map_lex_next(&at);
	} else if (!is_from) {
		return 0;
	}
	t = map_find_table(at.tok, at.len);
	if (t < 0 || (t == MAP_MEMBERS && is_from && lex->tok == at.tok))
		return 0;
	print_source(map, (enum map_table)t, has_rowid, ret);
	*lex = at;
	return 1;
}

static void
print_statement(const struct sitemap *map, const struct statement *st,
    int has_rowid, struct buf *ret)
{
	const char *end = st->begin + st->len;
	struct map_lex lex = { .p = st->begin };
	int is_from = 0, is_on = 0, is_named = 0;

	while (lex.p < end) {
		if (map_lex_next(&lex) == LEX_SPACE) {
			if (lex.tok[0] != '-')
				buf_add(ret, lex.tok, lex.len);
			continue;
		}
		if (print_row_column(map, st, &lex, ret) ||
		    print_table(map, is_from, has_rowid, &lex, ret)) {
			is_from = 0;
			continue;
		}
		if (st->is_trigger && st->table >= 0 && is_on && !is_named) {
			map_print_name(map->table[st->table], ret);
			is_named = 1;
		} else if (map_lex_is(&lex, map_tables[MAP_MEMBERS])) {
			map_print_name(map->table[MAP_MEMBERS], ret);
		} else {
			buf_add(ret, lex.tok, lex.len);
		}
		is_from = map_lex_is(&lex, "FROM");
		is_on = map_lex_is(&lex, "ON");
	}
	buf_addc(ret, '\n');
}

void
sitemap_translate(const struct sitemap *map, const char *sql, int has_rowid,
    struct buf *ret)
{
	struct map_lex lex = { .p = sql };
	struct statement st;

	while (next_statement(&lex, &st)) {
		if (st.is_index || (st.table >= 0 && st.is_trigger &&
		    map->table[st.table] == NULL))
			continue;
		print_statement(map, &st, has_rowid, ret);
	}
}

/* --- indexes, and triggers of the site's own events --- */

static const struct index {
	const char	*name;
	enum map_table	 table;
	const char	*column[3];
	const char	*needs;		/* this one must be a column */
} indexes[] = {
	{ "sw_users_online_index", MAP_USERS, { "id" }, "is_online" },
	{ "sw_messages_room", MAP_MESSAGES, { "room_id" }, "room_id" },
	{ "sw_members_user", MAP_MEMBERS, { "user_id", "room_id" }, "user_id" },
	{ "sw_relationships_user", MAP_RELATIONS,
	    { "user_id", "relationship_type", "target_id" }, "user_id" },
};

static int
has_index(const struct sitemap *map, const struct index *index)
{
	return map->table[index->table] != NULL &&
	    plain(map, index->table, index->needs) != NULL;
}

int
sitemap_has_index(const struct sitemap *map, const char *name)
{
	int i;

	for (i = 0; i < COUNT(indexes); i++)
		if (map != NULL && strcmp(indexes[i].name, name) == 0)
			return has_index(map, &indexes[i]);
	return 1;
}

static void
print_index(const struct sitemap *map, const struct index *index,
    struct buf *ret)
{
	const char *column, *sep = "(";
	int i;

	buf_addf(ret, "CREATE INDEX IF NOT EXISTS %s ON ", index->name);
	map_print_name(map->table[index->table], ret);
	for (i = 0; i < COUNT(index->column) && index->column[i] != NULL; i++) {
		column = plain(map, index->table, index->column[i]);
		if (column == NULL)
			continue;
		buf_adds(ret, sep);
		map_print_name(column, ret);
		sep = ", ";
	}
	buf_addc(ret, ')');
	if (strcmp(index->needs, "is_online") == 0) {
		buf_adds(ret, "\n\tWHERE CAST(");
		map_print_name(plain(map, MAP_USERS, "is_online"), ret);
		buf_adds(ret, " IS TRUE AS INTEGER)");
	}
	buf_adds(ret, ";\n");
}

/* When an event of the site's own is told, beside that its columns are there. */
static void
print_when(const struct map_event *ev, struct buf *ret)
{
	int i;

	if (ev->when != NULL) {
		buf_adds(ret, " AND (");
		map_print_expr(ev->when, "NEW", ret, NULL, NULL);
		buf_adds(ret, ") IS TRUE");
		if (!ev->is_update)
			return;
		buf_adds(ret, " AND (");
		map_print_expr(ev->when, "OLD", ret, NULL, NULL);
		buf_adds(ret, ") IS NOT TRUE");
		return;
	}
	for (i = 0; ev->is_update && i < ev->n_payload; i++) {
		buf_adds(ret, i == 0 ? " AND (" : " OR ");
		print_column("OLD", ev->payload[i], ret);
		buf_adds(ret, " IS NOT ");
		print_column("NEW", ev->payload[i], ret);
		buf_adds(ret, " COLLATE BINARY");
	}
	if (ev->is_update)
		buf_addc(ret, ')');
}

static void
print_text_of(const char *prefix, const char *column, struct buf *ret)
{
	buf_adds(ret, "CAST(");
	print_column(prefix, column, ret);
	buf_adds(ret, " AS TEXT)");
}

static void
print_event(const struct map_event *ev, struct buf *ret)
{
	const char *who = ev->user != NULL ? ev->user : ev->room;

	buf_addf(ret, "CREATE TRIGGER IF NOT EXISTS sw_event_%s AFTER %s ON ",
	    ev->type, ev->is_update ? "UPDATE" : "INSERT");
	map_print_name(ev->table, ret);
	buf_adds(ret, "\nWHEN ");
	print_column("NEW", ev->id, ret);
	buf_adds(ret, " IS NOT NULL");
	if (who != NULL) {
		buf_adds(ret, " AND ");
		print_column("NEW", who, ret);
		buf_adds(ret, " IS NOT NULL");
	}
	print_when(ev, ret);
	buf_adds(ret, "\nBEGIN\n\tINSERT INTO events(id, type, room_id, private, "
	    "user_id, entity_id)\n\tVALUES ((SELECT id FROM sw_next), ");
	map_print_string(ev->type, ret);
	buf_adds(ret, ", ");
	if (ev->room != NULL) {
		print_text_of("NEW", ev->room, ret);
		buf_adds(ret, ",\n\t\tEXISTS (SELECT 1 FROM sw_private_rooms "
		    "WHERE room_id = ");
		print_text_of("NEW", ev->room, ret);
		buf_adds(ret, "), ");
	} else {
		buf_adds(ret, "NULL, 0, ");
	}
	if (ev->user != NULL)
		print_text_of("NEW", ev->user, ret);
	else
		buf_adds(ret, "NULL");
	buf_adds(ret, ",\n\t\t");
	print_text_of("NEW", ev->id, ret);
	buf_adds(ret, ");\nEND;\n");
}

void
sitemap_print_parts(const struct sitemap *map, struct buf *ret)
{
	int i;

	for (i = 0; i < COUNT(indexes); i++)
		if (has_index(map, &indexes[i]))
			print_index(map, &indexes[i], ret);
	for (i = 0; i < map->n_events; i++)
		print_event(&map->event[i], ret);
}

const char *
sitemap_event(const struct sitemap *map, int i, const char **ret_table)
{
	if (map == NULL || i >= map->n_events)
		return NULL;
	*ret_table = map->event[i].table;
	return map->event[i].type;
}

/* --- views --- */

static void
print_audience(const char *column, struct buf *ret)
{
	if (column != NULL)
		print_text_of("s", column, ret);
	else
		buf_adds(ret, "NULL");
}

static void
print_entity(const struct map_event *ev, struct buf *ret)
{
	int i;

	buf_adds(ret, "SELECT ");
	map_print_string(ev->type, ret);
	buf_adds(ret, " AS type, ");
	print_column("s", ev->id, ret);
	buf_adds(ret, " AS id, json_object(");
	for (i = 0; i < ev->n_payload; i++) {
		buf_adds(ret, i > 0 ? ", " : "");
		map_print_string(ev->key[i], ret);
		buf_adds(ret, ", CASE typeof(");
		print_column("s", ev->payload[i], ret);
		buf_adds(ret, ") WHEN 'blob' THEN NULL ELSE ");
		print_column("s", ev->payload[i], ret);
		buf_adds(ret, " END");
	}
	buf_adds(ret, ") AS payload,\n\t\t");
	print_audience(ev->user, ret);
	buf_adds(ret, " AS user_id, ");
	print_audience(ev->room, ret);
	buf_adds(ret, " AS room_id\n\tFROM main.");
	map_print_name(ev->table, ret);
	buf_adds(ret, " AS s");
}

void
sitemap_print_entities(const struct sitemap *map, struct buf *ret)
{
	int i;

	buf_adds(ret, "CREATE TEMP VIEW sw_entities AS\n\t");
	for (i = 0; i < map->n_events; i++) {
		buf_adds(ret, i > 0 ? "\n\tUNION ALL " : "");
		print_entity(&map->event[i], ret);
	}
	if (map->n_events == 0)
		buf_adds(ret, "SELECT NULL AS type, NULL AS id, NULL AS payload, "
		    "NULL AS user_id, NULL AS room_id WHERE 0");
	buf_adds(ret, ";\n");
}

/* --- writing --- */

static void
print_insert_value(const struct sitemap *map, int i, struct buf *ret)
{
	const char *value = map_columns[i].insert;

	switch (map->value[i].unit) {
	case MAP_UNIX:
		buf_addf(ret, "CAST(strftime('%%s', %s) AS INTEGER)", value);
		break;
	case MAP_UNIX_MS:
		buf_addf(ret, "CAST(round((julianday(%s) - 2440587.5) * "
		    "86400000.0) AS INTEGER)", value);
		break;
	case MAP_AS_IS:
		buf_adds(ret, value);
		break;
	}
}

/* The column of number n of an INSERT, and its value; 0: there is none. */
static int
insert_item(const struct sitemap *map, enum map_table t, int n,
    const char **ret_column, struct buf *ret_value)
{
	int i;

	for (i = 0; i < MAP_COLUMNS; i++) {
		if (map_columns[i].table != t || map->value[i].column == NULL)
			continue;
		if (n-- > 0)
			continue;
		*ret_column = map->value[i].column;
		print_insert_value(map, i, ret_value);
		return 1;
	}
	for (i = 0; i < map->n_inserts; i++) {
		if (map->insert[i].table != t || n-- > 0)
			continue;
		*ret_column = map->insert[i].column;
		map_print_expr(map->insert[i].text, "NEW", ret_value, NULL, NULL);
		return 1;
	}
	return 0;
}

int
sitemap_inserts(const struct sitemap *map, const char *table,
    const char *site_column)
{
	int n, is_there = 0, t = map_find_table(table, strlen(table));
	const char *column;
	struct buf value;

	buf_init(&value, SITEMAP_MAX);
	for (n = 0; insert_item(map, (enum map_table)t, n, &column, &value); n++)
		is_there |= strcasecmp(column, site_column) == 0;
	buf_release(&value);
	return is_there;
}

static void
print_insert(const struct sitemap *map, enum map_table t, struct buf *ret)
{
	const char *column;
	struct buf values;
	int n;

	buf_init(&values, ret->max);
	buf_adds(ret, "\tINSERT INTO ");
	map_print_name(map->table[t], ret);
	for (n = 0; insert_item(map, t, n, &column, &values); n++) {
		buf_adds(ret, n == 0 ? "(" : ", ");
		map_print_name(column, ret);
		buf_adds(&values, ", ");
	}
	buf_cut(&values, values.len >= 2 ? values.len - 2 : 0);
	if (t == MAP_MEMBERS)
		buf_addf(ret, ")\n\tSELECT %s WHERE NOT EXISTS (SELECT 1 FROM "
		    "sw_members WHERE room_id = NEW.room_id AND "
		    "user_id = NEW.user_id);\n", buf_str(&values));
	else
		buf_addf(ret, ")\n\tVALUES (%s);\n", buf_str(&values));
	if (buf_err(&values) < 0)
		ret->err = buf_err(&values);
	buf_release(&values);
}

static void
print_delete(const struct sitemap *map, enum map_table t, struct buf *ret)
{
	buf_adds(ret, "\tDELETE FROM ");
	map_print_name(map->table[t], ret);
	buf_adds(ret, " WHERE ");
	map_print_name(plain(map, t, t == MAP_MEMBERS ? "room_id" : "id"), ret);
	buf_adds(ret, t == MAP_MEMBERS ? " = OLD.room_id AND " : " = OLD.id");
	if (t == MAP_MEMBERS) {
		map_print_name(plain(map, t, "user_id"), ret);
		buf_adds(ret, " = OLD.user_id");
	}
	buf_adds(ret, ";\n");
}

/* users.is_online of the site, or our own list. */
static void
print_set_online(const struct sitemap *map, struct buf *ret)
{
	buf_adds(ret, "CREATE TEMP TRIGGER sw_users_set INSTEAD OF UPDATE OF "
	    "is_online ON sw_users\nBEGIN\n");
	if (sitemap_owns_presence(map)) {
		buf_adds(ret, "\tINSERT INTO sw_online(user_id) "
		    "SELECT CAST(OLD.id AS TEXT)\n\tWHERE NEW.is_online IS TRUE "
		    "AND NOT EXISTS (SELECT 1 FROM sw_online\n\t\tWHERE user_id = "
		    "CAST(OLD.id AS TEXT));\n\tDELETE FROM sw_online WHERE user_id "
		    "= CAST(OLD.id AS TEXT) AND\n\t\tNEW.is_online IS NOT TRUE;\n");
	} else {
		buf_adds(ret, "\tUPDATE ");
		map_print_name(map->table[MAP_USERS], ret);
		buf_adds(ret, " SET ");
		map_print_name(plain(map, MAP_USERS, "is_online"), ret);
		buf_adds(ret, " = (NEW.is_online IS TRUE) WHERE ");
		map_print_name(plain(map, MAP_USERS, "id"), ret);
		buf_adds(ret, " = OLD.id;\n");
	}
	buf_adds(ret, "END;\n");
}

void
sitemap_print_writes(const struct sitemap *map, struct buf *ret)
{
	static const char *const views[MAP_TABLES] = {
		"sw_users", "sw_rooms", "sw_messages", "sw_members", NULL };
	int t;

	for (t = 0; t < MAP_TABLES; t++) {
		if (views[t] == NULL)
			continue;
		buf_addf(ret, "CREATE TEMP TRIGGER %s_add INSTEAD OF INSERT ON %s\n"
		    "BEGIN\n", views[t], views[t]);
		if (map->table[t] != NULL)
			print_insert(map, (enum map_table)t, ret);
		else
			buf_addf(ret, "\tSELECT RAISE(ABORT, 'the site has no %s');\n",
			    map_tables[t]);
		buf_addf(ret, "END;\nCREATE TEMP TRIGGER %s_remove INSTEAD OF DELETE "
		    "ON %s\nBEGIN\n", views[t], views[t]);
		if (map->table[t] != NULL)
			print_delete(map, (enum map_table)t, ret);
		else
			buf_addf(ret, "\tSELECT RAISE(ABORT, 'the site has no %s');\n",
			    map_tables[t]);
		buf_adds(ret, "END;\n");
	}
	print_set_online(map, ret);
}

/* --- what is asked --- */

const char *
sitemap_table(const struct sitemap *map, const char *table)
{
	int t;

	if (map == NULL)
		return table;
	t = map_find_table(table, strlen(table));
	return t < 0 ? table : map->table[t];
}

const char *
sitemap_column(const struct sitemap *map, const char *table, const char *column)
{
	int i, t;

	if (map == NULL)
		return column;
	t = map_find_table(table, strlen(table));
	if (t < 0)
		return column;
	i = column_at((enum map_table)t, column);
	return i < 0 ? NULL : map->value[i].column;
}

int
sitemap_owns_members(const struct sitemap *map)
{
	return map->owns_members;
}

int
sitemap_owns_presence(const struct sitemap *map)
{
	return map != NULL && plain(map, MAP_USERS, "is_online") == NULL;
}

static int
claim(sitemap_claim_fn *fn, void *arg, const char *key, const char *table,
    const char *column, const char *expr)
{
	struct sitemap_claim c = { key, table, column, expr, 0 };

	return fn(&c, arg);
}

/* The same for a column by which rows are looked up. */
static int
claim_id(sitemap_claim_fn *fn, void *arg, const char *key, const char *table,
    const char *column)
{
	struct sitemap_claim c = { key, table, column, NULL, 1 };

	return fn(&c, arg);
}

/* One value of a table. */
static int
claim_value(const struct sitemap *map, int i, sitemap_claim_fn *fn, void *arg)
{
	const struct map_column *c = &map_columns[i];
	struct buf expr;
	char key[80];
	int rc;

	(void)snprintf(key, sizeof(key), "%s.%s", map_tables[c->table], c->name);
	if (strcmp(c->name, "id") == 0)
		return claim_id(fn, arg, key, map->table[c->table],
		    map->value[i].column);
	if (map->value[i].column != NULL)
		return claim(fn, arg, key, map->table[c->table],
		    map->value[i].column, NULL);
	buf_init(&expr, SITEMAP_MAX);
	map_print_expr(map->value[i].text, "s", &expr, NULL, NULL);
	rc = buf_err(&expr);
	if (rc == 0)
		rc = claim(fn, arg, key, map->table[c->table], NULL,
		    buf_str(&expr));
	buf_release(&expr);
	return rc;
}

static int
claim_event(const struct map_event *ev, sitemap_claim_fn *fn, void *arg)
{
	const char *columns[] = { ev->user, ev->room };
	struct buf expr;
	char key[128];
	int i, rc;

	(void)snprintf(key, sizeof(key), "event.%s", ev->type);
	rc = claim(fn, arg, key, ev->table, NULL, NULL);
	if (rc == 0)
		rc = claim_id(fn, arg, key, ev->table, ev->id);
	for (i = 0; i < COUNT(columns) && rc == 0; i++)
		if (columns[i] != NULL)
			rc = claim(fn, arg, key, ev->table, columns[i], NULL);
	for (i = 0; i < ev->n_payload && rc == 0; i++)
		rc = claim(fn, arg, key, ev->table, ev->payload[i], NULL);
	if (rc != 0 || ev->when == NULL)
		return rc;
	buf_init(&expr, SITEMAP_MAX);
	map_print_expr(ev->when, "s", &expr, NULL, NULL);
	(void)snprintf(key, sizeof(key), "event.%s.when", ev->type);
	rc = claim(fn, arg, key, ev->table, NULL, buf_str(&expr));
	buf_release(&expr);
	return rc;
}

int
sitemap_each_claim(const struct sitemap *map, sitemap_claim_fn *fn, void *arg)
{
	int i, rc = 0;

	for (i = 0; i < MAP_TABLES && rc == 0; i++)
		if (map->table[i] != NULL && !(i == MAP_MEMBERS && map->owns_members))
			rc = claim(fn, arg, map_tables[i], map->table[i], NULL, NULL);
	for (i = 0; i < MAP_COLUMNS && rc == 0; i++)
		if (map->value[i].text != NULL && !(map->owns_members &&
		    map_columns[i].table == MAP_MEMBERS))
			rc = claim_value(map, i, fn, arg);
	for (i = 0; i < map->n_inserts && rc == 0; i++)
		rc = map->table[map->insert[i].table] == NULL ? 0 : claim(fn, arg,
		    "insert", map->table[map->insert[i].table],
		    map->insert[i].column, NULL);
	for (i = 0; i < map->n_events && rc == 0; i++)
		rc = claim_event(&map->event[i], fn, arg);
	return rc;
}
