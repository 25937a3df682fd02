/*
 * Reads the map file (sitemap.h), line by line; every complaint is kept.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "err.h"
#include "sitemap_impl.h"

#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))

const char *const map_tables[MAP_TABLES] = {
	"users", "rooms", "messages", "room_members", "user_relationships"
};

const struct map_column map_columns[MAP_COLUMNS] = {
	{ MAP_USERS, "id", MAP_KEY, NULL, "NEW.id" },
	{ MAP_USERS, "name", MAP_NEEDED, NULL, "coalesce(NEW.name, '')" },
	{ MAP_USERS, "email", MAP_FREE, "NULL", "NEW.email" },
	{ MAP_USERS, "avatar", MAP_FREE, "''", "coalesce(NEW.avatar, '')" },
	{ MAP_USERS, "is_online", MAP_PLAIN, "NULL", "(NEW.is_online IS TRUE)" },
	{ MAP_USERS, "bio", MAP_FREE, "''", "coalesce(NEW.bio, '')" },
	{ MAP_ROOMS, "id", MAP_KEY, NULL, "NEW.id" },
	{ MAP_ROOMS, "name", MAP_NEEDED, NULL, "coalesce(NEW.name, '')" },
	{ MAP_ROOMS, "is_private", MAP_FREE, "0", "(NEW.is_private IS TRUE)" },
	{ MAP_ROOMS, "created_by", MAP_PLAIN, "NULL", "NEW.created_by" },
	{ MAP_ROOMS, "description", MAP_FREE, "''", "coalesce(NEW.description, '')" },
	{ MAP_MESSAGES, "id", MAP_KEY, NULL, "NEW.id" },
	{ MAP_MESSAGES, "room_id", MAP_PLAIN, "NULL", "NEW.room_id" },
	{ MAP_MESSAGES, "sender_id", MAP_KEY, NULL, "NEW.sender_id" },
	{ MAP_MESSAGES, "sender_name", MAP_FREE, "NULL", "coalesce(NEW.sender_name, '')" },
	{ MAP_MESSAGES, "sender_avatar", MAP_FREE, "NULL",
	    "coalesce(NEW.sender_avatar, '')" },
	{ MAP_MESSAGES, "content", MAP_KEY, NULL, "coalesce(NEW.content, '')" },
	{ MAP_MESSAGES, "type", MAP_FREE, "'text'", "coalesce(NEW.type, 'text')" },
	{ MAP_MESSAGES, "timestamp", MAP_NEEDED, NULL,
	    "coalesce(NEW.timestamp, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))" },
	{ MAP_MEMBERS, "room_id", MAP_KEY, NULL, "NEW.room_id" },
	{ MAP_MEMBERS, "user_id", MAP_KEY, NULL, "NEW.user_id" },
	{ MAP_RELATIONS, "user_id", MAP_KEY, NULL, "NEW.user_id" },
	{ MAP_RELATIONS, "target_id", MAP_KEY, NULL, "NEW.target_id" },
	{ MAP_RELATIONS, "relationship_type", MAP_FREE, "'blocked'", "'blocked'" },
};

int
map_find_table(const char *name, size_t len)
{
	int i;

	for (i = 0; i < MAP_TABLES; i++)
		if (strlen(map_tables[i]) == len &&
		    strncmp(map_tables[i], name, len) == 0)
			return i;
	return -1;
}

int
map_find_column(enum map_table table, const char *name, size_t len)
{
	int i;

	for (i = 0; i < MAP_COLUMNS; i++)
		if (map_columns[i].table == table &&
		    strlen(map_columns[i].name) == len &&
		    strncmp(map_columns[i].name, name, len) == 0)
			return i;
	return -1;
}

/* --- lines --- */

struct reading {
	struct sitemap	*map;
	struct buf	*why;
	int		 line;
	const char	*key;		/* of the line; not ended by a NUL */
	size_t		 key_len;
};

static void complain(struct reading *r, const char *fmt, ...) ATTR_PRINTF(2, 3);

static void
complain(struct reading *r, const char *fmt, ...)
{
	va_list ap;

	if (r->why->len > 0)
		buf_addc(r->why, '\n');
	buf_addf(r->why, "line %d: %.*s: ", r->line, (int)r->key_len, r->key);
	va_start(ap, fmt);
	buf_vaddf(r->why, fmt, ap);
	va_end(ap);
}

/* Fills *slot, which a line before must not have filled. */
static void
fill(struct reading *r, char **slot, char *text)
{
	if (*slot != NULL) {
		complain(r, "given twice");
		free(text);
	} else if (text == NULL) {
		complain(r, "not a name");
	} else {
		*slot = text;
	}
}

static int
is_ours(const char *table)
{
	return strncasecmp(table, "sw_", 3) == 0 ||
	    strncasecmp(table, "sqlite_", 7) == 0 ||
	    strcasecmp(table, "events") == 0;
}

static void
read_table(struct reading *r, char **slot, const char *value)
{
	char *name = map_only_name(value, strlen(value));

	if (name != NULL && is_ours(name)) {
		complain(r, "\"%s\" is a name that Sidewire or SQLite needs itself",
		    name);
		free(name);
		return;
	}
	fill(r, slot, name);
}

/* Whether the expression may be; complains. */
static int
is_good_expr(struct reading *r, const char *value)
{
	const char *why = NULL, *at = value;
	struct buf b;

	buf_init(&b, SITEMAP_MAX);
	map_print_expr(value, "s", &b, &why, &at);
	buf_release(&b);
	if (why != NULL)
		complain(r, "%s: \"%.24s\"", why, at);
	return why == NULL;
}

static void
read_column(struct reading *r, int i, const char *value)
{
	static const struct { const char *begin; int unit; } times[] = {
		{ "unix(", MAP_UNIX }, { "unix_ms(", MAP_UNIX_MS } };
	struct map_value *v = &r->map->value[i];
	size_t k, n, len = strlen(value);

	if (v->text != NULL) {
		complain(r, "given twice");
		return;
	}
	v->column = map_only_name(value, len);
	for (k = 0; k < 2 && strcmp(map_columns[i].name, "timestamp") == 0; k++) {
		n = strlen(times[k].begin);
		if (v->column != NULL || len < n + 2 || value[len - 1] != ')' ||
		    strncasecmp(value, times[k].begin, n) != 0)
			continue;
		v->column = map_only_name(value + n, len - n - 1);
		v->unit = times[k].unit;
	}
	if (v->column == NULL && (map_columns[i].kind == MAP_KEY ||
	    map_columns[i].kind == MAP_PLAIN)) {
		complain(r, "must be a column, not an expression: \"%.40s\"", value);
		return;
	}
	if (v->column == NULL && !is_good_expr(r, value))
		return;
	v->text = strdup(value);
	if (v->text == NULL)
		r->why->err = ERR_NOMEM;
}

/* The names in an expression of what is inserted are ours. */
static void
read_insert(struct reading *r, int table, const char *column, size_t len,
    const char *value)
{
	struct sitemap *map = r->map;
	struct map_lex lex = { .p = value };
	int is_column;
	char *name;

	if (map->n_inserts == SITEMAP_MAX_INSERTS) {
		complain(r, "more than %d such lines", SITEMAP_MAX_INSERTS);
		return;
	}
	name = map_only_name(column, len);
	if (name == NULL || !is_good_expr(r, value)) {
		if (name == NULL)
			complain(r, "not a name");
		free(name);
		return;
	}
	while (map_lex_next(&lex) != LEX_END) {
		is_column = lex.kind == LEX_QUOTED;
		if (lex.kind == LEX_NAME)
			(void)map_name_fault(&lex, &is_column);
		if (is_column && map_find_column((enum map_table)table, lex.tok,
		    lex.len) < 0)
			complain(r, "%.*s is not a column of %s", (int)lex.len,
			    lex.tok, map_tables[table]);
	}
	map->insert[map->n_inserts++] = (struct map_insert){
	    (enum map_table)table, name, strdup(value) };
}

/* --- events of the site's own --- */

/* Types that the programs write themselves. */
static const char *const reserved[] = {
	"NEW_MESSAGE", "MESSAGE_UPDATED", "MESSAGE_DELETED", "ROOM_CREATED",
	"ROOM_UPDATED", "ROOM_DELETED", "ROOM_JOINED", "ROOM_LEFT", "USER_JOINED",
	"USER_UPDATE", "USER_LEFT", "TYPING", "TOKENS_REVOKED", "LOG_CREATED"
};

/* The event of this type, made where it is new; NULL with a complaint. */
static struct map_event *
find_event(struct reading *r, const char *type, size_t len)
{
	struct sitemap *map = r->map;
	struct map_lex lex = { .tok = type, .len = len };
	int i;

	for (i = 0; i < map->n_events; i++)
		if (strlen(map->event[i].type) == len &&
		    strncmp(map->event[i].type, type, len) == 0)
			return &map->event[i];
	if (len == 0 || len > 64 || strspn(type,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") < len)
		complain(r, "a type is of A-Z, 0-9 and _, 64 at most");
	else if (map_lex_is_one_of(&lex, reserved, COUNT(reserved)))
		complain(r, "a type that Sidewire has itself");
	else if (map->n_events == SITEMAP_MAX_EVENTS)
		complain(r, "more than %d types", SITEMAP_MAX_EVENTS);
	else {
		map->event[map->n_events].line = r->line;
		map->event[map->n_events].type = strndup(type, len);
		if (map->event[map->n_events].type != NULL)
			return &map->event[map->n_events++];
		r->why->err = ERR_NOMEM;
	}
	return NULL;
}

/* "id, order_no as number, status" */
static void
read_payload(struct reading *r, struct map_event *ev, const char *value)
{
	struct map_lex lex = { .p = value };
	char *name, *key;
	size_t n;

	for (;;) {
		while (map_lex_next(&lex) == LEX_SPACE)
			;
		name = map_only_name(lex.tok, lex.len);
		key = name != NULL ? strdup(name) : NULL;
		n = strspn(lex.p, " \t");
		if (name != NULL && strncasecmp(lex.p + n, "as ", 3) == 0) {
			lex.p += n + 3 + strspn(lex.p + n + 3, " \t");
			(void)map_lex_next(&lex);
			free(key);
			key = map_only_name(lex.tok, lex.len);
		}
		if (key == NULL || ev->n_payload == SITEMAP_MAX_PAYLOAD) {
			complain(r, "columns with commas between, \"COLUMN as NAME\", "
			    "%d at most", SITEMAP_MAX_PAYLOAD);
			free(name);
			free(key);
			return;
		}
		ev->payload[ev->n_payload] = name;
		ev->key[ev->n_payload++] = key;
		while (map_lex_next(&lex) == LEX_SPACE)
			;
		if (lex.kind == LEX_END)
			return;
		if (lex.kind != LEX_SIGN || *lex.tok != ',') {
			complain(r, "a comma is missing before \"%.20s\"", lex.tok);
			return;
		}
	}
}

/* event.TYPE = TABLE, event.TYPE.on = insert, ... */
static void
read_event(struct reading *r, const char *rest, const char *value)
{
	size_t len = strcspn(rest, ".=") , end = r->key_len - 6;
	struct map_event *ev;
	const char *what;
	size_t n;

	len = len < end ? len : end;
	ev = find_event(r, rest, len);
	if (ev == NULL)
		return;
	what = len < end ? rest + len + 1 : "";
	n = len < end ? end - len - 1 : 0;
	if (n == 0)
		read_table(r, &ev->table, value);
	else if (n == 2 && strncmp(what, "on", n) == 0 &&
	    (strcmp(value, "insert") == 0 || strcmp(value, "update") == 0))
		ev->is_update = *value == 'u';
	else if (n == 2 && strncmp(what, "on", n) == 0)
		complain(r, "insert or update");
	else if (n == 2 && strncmp(what, "id", n) == 0)
		fill(r, &ev->id, map_only_name(value, strlen(value)));
	else if (n == 4 && strncmp(what, "user", n) == 0)
		fill(r, &ev->user, map_only_name(value, strlen(value)));
	else if (n == 4 && strncmp(what, "room", n) == 0)
		fill(r, &ev->room, map_only_name(value, strlen(value)));
	else if (n == 8 && strncmp(what, "everyone", n) == 0 &&
	    strcmp(value, "yes") == 0)
		ev->is_everyone = 1;
	else if (n == 4 && strncmp(what, "when", n) == 0 && is_good_expr(r, value))
		fill(r, &ev->when, strdup(value));
	else if (n == 7 && strncmp(what, "payload", n) == 0)
		read_payload(r, ev, value);
	else if (n != 4 || strncmp(what, "when", n) != 0)
		complain(r, "no such key of an event, or its value is wrong");
}

static void
check_event(struct reading *r, const struct map_event *ev)
{
	r->line = ev->line;
	r->key = ev->type;
	r->key_len = strlen(ev->type);
	if (ev->table == NULL)
		complain(r, "event.%s = TABLE is missing", ev->type);
	if (ev->id == NULL)
		complain(r, "event.%s.id = COLUMN is missing", ev->type);
	if ((ev->user != NULL) + (ev->room != NULL) + ev->is_everyone != 1)
		complain(r, "whom is it for? one of .user = COLUMN, .room = COLUMN, "
		    ".everyone = yes");
	if (ev->n_payload == 0)
		complain(r, "event.%s.payload = COLUMN, ... is missing", ev->type);
}

/* --- the whole --- */

/* One line, ended by a NUL, its key found. */
static void
read_line(struct reading *r, const char *value)
{
	const char *key = r->key, *dot = memchr(key, '.', r->key_len);
	size_t len = dot != NULL ? (size_t)(dot - key) : r->key_len;
	int table = map_find_table(key, len), column;

	if (*value == '\0') {
		complain(r, "has no value");
	} else if (len == r->key_len && table >= 0) {
		read_table(r, &r->map->table[table], value);
	} else if (len == r->key_len && len == 4 && strncmp(key, "room", 4) == 0) {
		fill(r, &r->map->room, strdup(value));
	} else if (dot != NULL && len == 5 && strncmp(key, "event", 5) == 0) {
		read_event(r, dot + 1, value);
	} else if (table >= 0 && r->key_len > len + 8 &&
	    strncmp(dot, ".insert.", 8) == 0) {
		read_insert(r, table, dot + 8, r->key_len - len - 8, value);
	} else if (table >= 0) {
		column = map_find_column((enum map_table)table, dot + 1,
		    r->key_len - len - 1);
		if (column < 0)
			complain(r, "%s has no such column", map_tables[table]);
		else
			read_column(r, column, value);
	} else {
		complain(r, "no such key");
	}
}

/* What the lines together lack or have too much. */
static void
check_whole(struct reading *r)
{
	struct sitemap *map = r->map;
	const struct map_column *c;
	char name[64];
	int i;

	r->line = 0;
	for (i = 0; i < MAP_COLUMNS; i++) {
		c = &map_columns[i];
		(void)snprintf(name, sizeof(name), "%s.%s", map_tables[c->table],
		    c->name);
		r->key = name;
		r->key_len = strlen(name);
		if (map->table[c->table] == NULL && map->value[i].text != NULL)
			complain(r, "needs a line: %s = TABLE",
			    map_tables[c->table]);
		else if (map->table[c->table] != NULL && map->value[i].text == NULL
		    && (c->kind <= MAP_NEEDED || (c->table == MAP_MESSAGES &&
		    strcmp(c->name, "room_id") == 0 &&
		    map->table[MAP_ROOMS] != NULL)))
			complain(r, "is missing");
		else if (c->table == MAP_MESSAGES && map->value[i].text != NULL &&
		    strcmp(c->name, "room_id") == 0 &&
		    map->table[MAP_ROOMS] == NULL)
			complain(r, "needs a line: rooms = TABLE");
	}
	r->key = "users";
	r->key_len = 5;
	if (map->table[MAP_USERS] == NULL)
		complain(r, "is missing");
	r->key = "rooms";
	if (map->table[MAP_ROOMS] != NULL && map->table[MAP_MESSAGES] == NULL)
		complain(r, "needs a line: messages = TABLE");
	if (map->table[MAP_ROOMS] == NULL && map->table[MAP_MEMBERS] != NULL)
		complain(r, "is missing, and room_members is there");
	r->key = "room";
	r->key_len = 4;
	if (map->room != NULL && map->table[MAP_ROOMS] != NULL)
		complain(r, "is for a site without rooms");
	for (i = 0; i < map->n_events; i++)
		check_event(r, &map->event[i]);
}

/* What a site has not and we keep: members of its rooms. */
static int
add_own(struct sitemap *map)
{
	int i, rc = 0;

	if (map->table[MAP_ROOMS] == NULL && map->room == NULL)
		map->room = strdup("main");
	if (map->table[MAP_ROOMS] == NULL && map->room == NULL)
		rc = ERR_NOMEM;
	if (map->table[MAP_ROOMS] == NULL || map->table[MAP_MEMBERS] != NULL)
		return rc;
	map->owns_members = 1;
	map->table[MAP_MEMBERS] = strdup("sw_room_members");
	if (map->table[MAP_MEMBERS] == NULL)
		return ERR_NOMEM;
	for (i = 0; i < MAP_COLUMNS; i++) {
		if (map_columns[i].table != MAP_MEMBERS)
			continue;
		map->value[i].text = strdup(map_columns[i].name);
		map->value[i].column = strdup(map_columns[i].name);
		if (map->value[i].text == NULL || map->value[i].column == NULL)
			rc = ERR_NOMEM;
	}
	return rc;
}

/* One line of text, which is cut up. */
static void
parse_line(struct reading *r, char *line)
{
	char *value, *end;

	line += strspn(line, " \t\r");
	if (*line == '\0' || *line == '#')
		return;
	r->key = line;
	r->key_len = strcspn(line, "=");
	value = line + r->key_len;
	if (*value == '\0') {
		r->key_len = strcspn(line, " \t\r");
		complain(r, "NAME = VALUE is the form of a line");
		return;
	}
	while (r->key_len > 0 && strchr(" \t", line[r->key_len - 1]) != NULL)
		r->key_len--;
	value++;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && strchr(" \t\r", end[-1]) != NULL)
		*--end = '\0';
	read_line(r, value);
}

int
sitemap_parse(const char *text, struct sitemap **ret, struct buf *why)
{
	struct reading r = { .why = why };
	char *copy, *line, *rest;
	int rc;

	r.map = calloc(1, sizeof(*r.map));
	copy = strdup(text);
	if (r.map != NULL)
		r.map->text = strdup(text);
	if (copy == NULL || r.map == NULL || r.map->text == NULL) {
		free(copy);
		sitemap_free(r.map);
		return ERR_NOMEM;
	}
	for (rest = copy; rest != NULL;) {
		line = strsep(&rest, "\n");
		r.line++;
		parse_line(&r, line);
	}
	free(copy);
	if (why->len == 0)
		check_whole(&r);
	rc = why->len > 0 ? ERR_INVAL : add_own(r.map);
	if (rc == 0)
		rc = buf_err(why);
	if (rc < 0) {
		sitemap_free(r.map);
		return rc;
	}
	*ret = r.map;
	return 0;
}

void
sitemap_free(struct sitemap *map)
{
	struct map_event *ev;
	int i, k;

	if (map == NULL)
		return;
	for (i = 0; i < MAP_TABLES; i++)
		free(map->table[i]);
	for (i = 0; i < MAP_COLUMNS; i++) {
		free(map->value[i].text);
		free(map->value[i].column);
	}
	for (i = 0; i < map->n_inserts; i++) {
		free(map->insert[i].column);
		free(map->insert[i].text);
	}
	for (i = 0; i < map->n_events; i++) {
		ev = &map->event[i];
		for (k = 0; k < ev->n_payload; k++) {
			free(ev->payload[k]);
			free(ev->key[k]);
		}
		free(ev->type);
		free(ev->table);
		free(ev->id);
		free(ev->user);
		free(ev->room);
		free(ev->when);
	}
	free(map->room);
	free(map->text);
	free(map);
}

const char *
sitemap_text(const struct sitemap *map)
{
	return map->text;
}
