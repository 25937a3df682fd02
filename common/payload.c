/*
 * What an event tells: one printer for each kind of subject, chosen by the type of
 * the event, and the gate for payloads that others wrote.
 *
 * A row may hold anything, for the site wrote it: NULL becomes "", a BLOB is taken
 * as text, and event_print_string() lets nothing through that is not UTF-8.
 * A message is told only while it is in the room that the event names, because it
 * was that room whose rights let the reader in.
 */
#include <json-c/json.h>
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "event.h"
#include "payload.h"
#include "sends.h"
#include "sitemap.h"
#include "store_impl.h"

#define MAX_KEY		1024	/* bytes of a key in JSON */

/* What a type of event is about. */
struct kind {
	const char	*type;
	int		(*print)(struct store *st, const struct event *ev,
			    int is_self, struct buf *b);
	enum {
		SELF_NONE,
		SELF_ENTITY,	/* the whole user: differs for his own eyes */
		SELF_ACTOR	/* a message: its sender gets his key */
	}		 self;
};

static int
is_null(sqlite3_stmt *row, int col)
{
	return sqlite3_column_type(row, col) == SQLITE_NULL;
}

/* Appends key (punctuation included) and the column as a string. */
static void
add_text(struct buf *b, const char *key, sqlite3_stmt *row, int col)
{
	const char *s = "";
	size_t len = 0;

	if (!is_null(row, col)) {
		/* In this order: the text decides how many bytes there are. */
		s = (const char *)sqlite3_column_text(row, col);
		if (s == NULL) {
			b->err = ERR_NOMEM;	/* sticks, as its own would */
			return;
		}
		len = (size_t)sqlite3_column_bytes(row, col);
	}
	buf_adds(b, key);
	event_print_string(b, s, len);
}

/* The same of a picture, which may be a whole file in a data: URI. */
static void
add_avatar(struct buf *b, const char *key, sqlite3_stmt *row, int col)
{
	if (is_null(row, col)
	    || sqlite3_column_bytes(row, col) > PAYLOAD_MAX_AVATAR) {
		buf_adds(b, key);
		buf_adds(b, "\"\"");
		return;
	}
	add_text(b, key, row, col);
}

static void
add_bool(struct buf *b, const char *key, sqlite3_stmt *row, int col)
{
	buf_adds(b, key);
	buf_adds(b, sqlite3_column_int(row, col) != 0 ? "true" : "false");
}

/* The same of a string of ours; NULL is "". */
static void
add_id(struct buf *b, const char *key, const char *id)
{
	buf_adds(b, key);
	event_print_string(b, id == NULL ? "" : id, id == NULL ? 0 : strlen(id));
}

void
payload_print_message(sqlite3_stmt *row, struct buf *b)
{
	add_text(b, "{\"id\":", row, 0);
	add_text(b, ",\"roomId\":", row, 1);
	add_text(b, ",\"senderId\":", row, 2);
	add_text(b, ",\"senderName\":", row, 3);
	add_avatar(b, ",\"senderAvatar\":", row, 4);
	add_text(b, ",\"content\":", row, 5);
	add_text(b, ",\"type\":", row, 6);
	add_text(b, ",\"timestamp\":", row, 7);
	buf_addc(b, '}');
}

void
payload_print_room(sqlite3_stmt *row, struct buf *b)
{
	add_text(b, "{\"id\":", row, 0);
	add_text(b, ",\"name\":", row, 1);
	add_bool(b, ",\"isPrivate\":", row, 2);
	add_text(b, ",\"createdBy\":", row, 3);
	add_text(b, ",\"description\":", row, 4);
	buf_addc(b, '}');
}

/* Appends the array of ids that the statement gives for the user in the row. */
static int
add_ids(struct store *st, const char *key, enum sql which, sqlite3_stmt *row,
    struct buf *b)
{
	sqlite3_stmt *ids;
	const char *sep = "";
	int rc;

	ids = store_stmt(st, which, &rc);
	if (ids == NULL)
		return rc;
	rc = store_bind_text(st, ids, ":user",
	    (const char *)sqlite3_column_text(row, 0));
	buf_adds(b, key);
	buf_addc(b, '[');
	if (rc == 0)
		rc = store_step(st, ids);
	while (rc == 1) {
		add_text(b, sep, ids, 0);
		sep = ",";
		rc = store_step(st, ids);
	}
	buf_addc(b, ']');
	store_done(ids);
	return rc;
}

int
payload_print_user(struct store *st, sqlite3_stmt *row, int is_self,
    struct buf *b)
{
	int rc = 0;

	add_text(b, "{\"id\":", row, 0);
	add_text(b, ",\"name\":", row, 1);
	if (is_self || st->conf->privacy_share_email)
		add_text(b, ",\"email\":", row, 2);
	else
		buf_adds(b, ",\"email\":\"\"");
	add_avatar(b, ",\"avatar\":", row, 3);
	add_bool(b, ",\"isOnline\":", row, 4);
	add_text(b, ",\"bio\":", row, 5);
	if (is_self) {
		rc = add_ids(st, ",\"favorites\":", SQL_EVENT_FAVORITES, row, b);
		if (rc == 0)
			rc = add_ids(st, ",\"blocked\":", SQL_EVENT_BLOCKED,
			    row, b);
	} else {
		buf_adds(b, ",\"favorites\":[],\"blocked\":[]");
	}
	buf_addc(b, '}');
	return rc;
}

static int
tell_message(struct store *st, const struct event *ev, int is_self,
    struct buf *b)
{
	sqlite3_stmt *row;
	int rc;

	(void)is_self;
	row = store_stmt(st, SQL_EVENT_MESSAGE, &rc);
	if (row == NULL)
		return rc;
	rc = store_bind_text(st, row, ":id", ev->entity_id);
	if (rc == 0)
		rc = store_bind_text(st, row, ":room", ev->room_id);
	if (rc == 0)
		rc = store_step(st, row);
	if (rc == 1)
		payload_print_message(row, b);
	store_done(row);
	return rc;
}

/* ,"key":... for the sender's eyes; 0: he sent none. */
static int
add_key(struct store *st, const struct event *ev, struct buf *b)
{
	int rc;

	buf_adds(b, ",\"key\":");
	rc = sends_print_key(st, ev->id, ev->actor_id, b);
	buf_addc(b, '}');
	return rc;
}

static int
tell_new_message(struct store *st, const struct event *ev, int is_self,
    struct buf *b)
{
	struct buf key;
	int rc;

	if (!is_self)
		return tell_message(st, ev, 0, b);
	buf_init(&key, MAX_KEY);
	rc = add_key(st, ev, &key);
	if (rc == 1)
		rc = tell_message(st, ev, 0, b);
	if (rc == 1 && buf_err(&key) == 0) {
		buf_cut(b, b->len - 1);		/* the brace */
		buf_add(b, key.p, key.len);
	}
	buf_release(&key);
	return rc;
}

static int
tell_room(struct store *st, const struct event *ev, int is_self, struct buf *b)
{
	sqlite3_stmt *row;
	int rc;

	(void)is_self;
	row = store_stmt(st, SQL_EVENT_ROOM, &rc);
	if (row == NULL)
		return rc;
	rc = store_bind_text(st, row, ":id", ev->entity_id);
	if (rc == 0)
		rc = store_step(st, row);
	if (rc == 1)
		payload_print_room(row, b);
	store_done(row);
	return rc;
}

/* Whom a user event is about: what of the three there is. */
static const char *
subject(const struct event *ev)
{
	if (ev->entity_id != NULL)
		return ev->entity_id;
	return ev->actor_id != NULL ? ev->actor_id : ev->user_id;
}

static int
tell_user(struct store *st, const struct event *ev, int is_self, struct buf *b)
{
	sqlite3_stmt *row;
	int rc, err;

	row = store_stmt(st, SQL_EVENT_USER, &rc);
	if (row == NULL)
		return rc;
	rc = store_bind_text(st, row, ":id", subject(ev));
	if (rc == 0)
		rc = store_step(st, row);
	if (rc == 1) {
		err = payload_print_user(st, row, is_self, b);
		if (err < 0)
			rc = err;
	}
	store_done(row);
	return rc;
}

static int
tell_user_gone(struct store *st, const struct event *ev, int is_self,
    struct buf *b)
{
	(void)st;
	(void)is_self;
	add_id(b, "{\"userId\":", subject(ev));
	buf_addc(b, '}');
	return 1;
}

static int
tell_room_gone(struct store *st, const struct event *ev, int is_self,
    struct buf *b)
{
	(void)st;
	(void)is_self;
	add_id(b, "{\"roomId\":", ev->entity_id);
	buf_addc(b, '}');
	return 1;
}

static int
tell_message_gone(struct store *st, const struct event *ev, int is_self,
    struct buf *b)
{
	(void)st;
	(void)is_self;
	add_id(b, "{\"id\":", ev->entity_id);
	add_id(b, ",\"roomId\":", ev->room_id);
	buf_addc(b, '}');
	return 1;
}

static int
tell_member(struct store *st, const struct event *ev, int is_self,
    struct buf *b)
{
	(void)st;
	(void)is_self;
	add_id(b, "{\"roomId\":", ev->entity_id);
	add_id(b, ",\"userId\":", ev->user_id);
	buf_addc(b, '}');
	return 1;
}

static const struct kind *
kind_of(const char *type)
{
	static const struct kind kinds[] = {	/* the frequent ones first */
		{ "NEW_MESSAGE", tell_new_message, SELF_ACTOR },
		{ "USER_UPDATE", tell_user, SELF_ENTITY },
		{ "USER_LEFT", tell_user_gone, SELF_NONE },
		{ "MESSAGE_UPDATED", tell_message, SELF_NONE },
		{ "MESSAGE_DELETED", tell_message_gone, SELF_NONE },
		{ "ROOM_JOINED", tell_member, SELF_NONE },
		{ "ROOM_LEFT", tell_member, SELF_NONE },
		{ "ROOM_CREATED", tell_room, SELF_NONE },
		{ "ROOM_UPDATED", tell_room, SELF_NONE },
		{ "ROOM_DELETED", tell_room_gone, SELF_NONE },
		{ "USER_JOINED", tell_user, SELF_ENTITY },
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return &kinds[i];
	return NULL;
}

const char *
payload_self_id(const struct event *ev)
{
	const struct kind *kind;

	if (ev->entity_id == NULL)
		return NULL;
	kind = kind_of(ev->type);
	if (kind == NULL || kind->self == SELF_NONE)
		return NULL;
	return kind->self == SELF_ACTOR ? ev->actor_id : ev->entity_id;
}

/* An event of the site's own, by the map: its columns as they are in the row. */
static int
tell_entity(struct store *st, const struct event *ev, struct buf *b)
{
	const char *name, *table;
	sqlite3_stmt *row;
	int i, rc;

	for (i = 0;; i++) {
		name = sitemap_event(st->map, i, &table);
		if (name == NULL)
			return 0;
		if (strcmp(name, ev->type) == 0)
			break;
	}
	row = store_stmt(st, SQL_EVENT_ENTITY, &rc);
	if (row == NULL)
		return rc;
	rc = store_bind_text(st, row, ":type", ev->type);
	if (rc == 0)
		rc = store_bind_text(st, row, ":id", ev->entity_id);
	if (rc == 0)
		rc = store_bind_text(st, row, ":user", ev->user_id);
	if (rc == 0)
		rc = store_bind_text(st, row, ":room", ev->room_id);
	if (rc == 0)
		rc = store_step(st, row);
	if (rc == 1) {
		name = (const char *)sqlite3_column_text(row, 0);
		rc = name == NULL ? ERR_NOMEM : payload_normalize(name,
		    (size_t)sqlite3_column_bytes(row, 0), b);
		rc = rc == 0 ? 1 : rc == ERR_NOMEM ? rc : 0;
	}
	store_done(row);
	return rc;
}

int
payload_print(struct store *st, const struct event *ev, const char *stored,
    size_t len, int is_self, struct buf *b)
{
	const struct kind *kind;
	int rc;

	if (stored != NULL) {
		rc = payload_normalize(stored, len, b);
		if (rc == ERR_INVAL || rc == ERR_TOOBIG)
			return 0;
		return rc < 0 ? rc : 1;
	}
	kind = kind_of(ev->type);
	if (kind == NULL)
		return tell_entity(st, ev, b);
	rc = kind->print(st, ev, is_self, b);
	if (rc <= 0)
		return rc;
	rc = buf_err(b);
	return rc < 0 ? rc : 1;
}

/*
 * Is this a number as RFC 8259 section 6 has it?  json-c keeps the text of those
 * with a fraction or an exponent, and takes NaN, Infinity, 01.5 and 1. as well.
 */
static int
is_number(const char *s)
{
	static const char digits[] = "0123456789";
	size_t n;

	s += *s == '-';
	n = strspn(s, digits);
	if (n == 0 || (*s == '0' && n > 1))
		return 0;
	s += n;
	if (*s == '.') {
		n = strspn(++s, digits);
		if (n == 0)
			return 0;
		s += n;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '+' || *s == '-';
		n = strspn(s, digits);
		if (n == 0)
			return 0;
		s += n;
	}
	return *s == '\0';
}

static int add_value(struct json_object *value, struct buf *b);

static int
add_array(struct json_object *array, struct buf *b)
{
	size_t i, len = json_object_array_length(array);
	int rc = 0;

	buf_addc(b, '[');
	for (i = 0; i < len && rc == 0; i++) {
		if (i > 0)
			buf_addc(b, ',');
		rc = add_value(json_object_array_get_idx(array, i), b);
	}
	buf_addc(b, ']');
	return rc;
}

static int
add_object(struct json_object *object, struct buf *b)
{
	struct json_object_iterator at = json_object_iter_begin(object);
	struct json_object_iterator end = json_object_iter_end(object);
	const char *key, *sep = "";
	int rc = 0;

	buf_addc(b, '{');
	while (rc == 0 && !json_object_iter_equal(&at, &end)) {
		key = json_object_iter_peek_name(&at);
		buf_adds(b, sep);
		event_print_string(b, key, strlen(key));
		buf_addc(b, ':');
		rc = add_value(json_object_iter_peek_value(&at), b);
		sep = ",";
		json_object_iter_next(&at);
	}
	buf_addc(b, '}');
	return rc;
}

/* The tokener bounds the depth, and so this recursion. */
static int
add_value(struct json_object *value, struct buf *b)
{
	const char *s;

	switch (json_object_get_type(value)) {
	case json_type_object:
		return add_object(value, b);
	case json_type_array:
		return add_array(value, b);
	case json_type_string:
		event_print_string(b, json_object_get_string(value),
		    (size_t)json_object_get_string_len(value));
		return 0;
	default:	/* a number, true, false, null: as json-c prints it */
		s = value == NULL ? "null" : json_object_get_string(value);
		if (s == NULL)
			return ERR_NOMEM;
		if (json_object_is_type(value, json_type_double)
		    && !is_number(s))
			return ERR_INVAL;
		buf_adds(b, s);
		return 0;
	}
}

int
payload_normalize(const char *text, size_t len, struct buf *b)
{
	struct json_tokener *tok;
	struct json_object *json;
	size_t start = b->len;
	int rc;

	if (len > PAYLOAD_MAX)
		return ERR_TOOBIG;
	tok = json_tokener_new_ex(PAYLOAD_DEPTH);
	if (tok == NULL)
		return ERR_NOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	json = json_tokener_parse_ex(tok, text, (int)len);
	rc = json_object_is_type(json, json_type_object) ? 0 : ERR_INVAL;
	json_tokener_free(tok);
	if (rc == 0)
		rc = add_value(json, b);
	json_object_put(json);
	if (rc == 0)
		rc = buf_err(b);
	if (rc == 0 && b->len - start > PAYLOAD_MAX)
		rc = ERR_TOOBIG;
	return rc;
}
