/*
 * frame - client frames in, answers out.
 *
 * json-c parses strictly; the payload of a ping is echoed from the text itself,
 * because printing it again would change numbers.  Answers are short and of
 * fixed shape, so they are printed by hand; strings go through
 * event_print_string().
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "frame.h"

static const struct {
	const char	*name;
	enum frame_type	 type;
} types[] = {
	{ "ping", FRAME_PING },
	{ "auth", FRAME_AUTH },
	{ "subscribe", FRAME_SUBSCRIBE },
	{ "bye", FRAME_BYE },
	{ "send", FRAME_SEND },
	{ "typing", FRAME_TYPING }
};

/*
 * A step over one value of text that json-c has accepted: from its first byte
 * to the ',' , '}' or ']' that ends it.  Within a valid text only strings and
 * depth matter.
 */
static size_t
skip_value(const char *s, size_t at, size_t len)
{
	int depth = 0, in_string = 0;

	for (; at < len; at++) {
		if (in_string) {
			if (s[at] == '\\')
				at++;
			else if (s[at] == '"')
				in_string = 0;
			continue;
		}
		switch (s[at]) {
		case '"':
			in_string = 1;
			break;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (depth == 0)
				return at;
			depth--;
			break;
		case ',':
			if (depth == 0)
				return at;
			break;
		}
	}
	return at;
}

static int
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Finds the value of the member "payload" in the text of an object; of several
 * the last counts, as for json-c.  0: the name is not there in plain letters.
 */
static int
find_payload(const char *s, size_t len, size_t *ret_from, size_t *ret_to)
{
	static const char name[] = "\"payload\"";
	size_t at = 0, end, colon;
	int found = 0;

	while (at < len && s[at] != '{')
		at++;
	at++;
	while (at < len && s[at] != '}') {
		while (at < len && (is_space(s[at]) || s[at] == ','))
			at++;
		end = skip_value(s, at, len);
		/* A member is a string, a colon and a value. */
		colon = at + sizeof(name) - 1;
		if (colon < end &&
		    memcmp(s + at, name, sizeof(name) - 1) == 0) {
			while (colon < end && s[colon] != ':')
				colon++;
			colon++;
			while (colon < end && is_space(s[colon]))
				colon++;
			*ret_from = colon;
			*ret_to = end;
			while (*ret_to > colon && is_space(s[*ret_to - 1]))
				(*ret_to)--;
			found = 1;
		}
		at = end;
	}
	return found;
}

/* NaN and Infinity pass json-c even in its strict mode; they are not JSON. */
static int
has_bare_word(const char *s, size_t len)
{
	size_t at;
	int in_string = 0;

	for (at = 0; at < len; at++) {
		if (in_string && s[at] == '\\')
			at++;
		else if (s[at] == '"')
			in_string = !in_string;
		else if (!in_string && (s[at] == 'N' || s[at] == 'I'))
			return 1;
	}
	return 0;
}

int
frame_parse_json(const char *text, size_t len, int depth,
    struct json_object **ret)
{
	struct json_tokener *tok;
	struct json_object *obj;
	enum json_tokener_error err;
	size_t end;

	if (len == 0 || len > INT32_MAX || memchr(text, '\0', len) != NULL)
		return ERR_INVAL;
	tok = json_tokener_new_ex(depth);
	if (tok == NULL)
		return ERR_NOMEM;
	json_tokener_set_flags(tok,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	obj = json_tokener_parse_ex(tok, text, (int)len);
	err = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	while (end < len && is_space(text[end]))
		end++;
	if (err != json_tokener_success || end != len ||
	    has_bare_word(text, len)) {
		json_object_put(obj);
		return ERR_INVAL;
	}
	*ret = obj;
	return 0;
}

/* A copy of the member's string, if it is one without NUL bytes. */
static int
get_string(struct json_object *obj, const char *name, char **ret)
{
	struct json_object *v;
	char *copy;

	if (!json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, name, &v) ||
	    !json_object_is_type(v, json_type_string) ||
	    strlen(json_object_get_string(v)) !=
	    (size_t)json_object_get_string_len(v))
		return 0;
	copy = strdup(json_object_get_string(v));
	if (copy == NULL)
		return ERR_NOMEM;
	*ret = copy;
	return 1;
}

int
frame_get_id(struct json_object *obj, const char *name, char **ret)
{
	struct json_object *v;
	char *copy;

	if (!json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, name, &v) ||
	    !json_object_is_type(v, json_type_int))
		return get_string(obj, name, ret);
	copy = strdup(json_object_get_string(v));
	if (copy == NULL)
		return ERR_NOMEM;
	*ret = copy;
	return 1;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A room's id is a string; a site with integer keys may send an integer. */
static int
add_room(struct frame *f, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_string) &&
	    !json_object_is_type(v, json_type_int)) {
		f->why = "Each of rooms must be a room id.";
		return 0;
	}
	f->rooms[f->n_rooms] = strdup(json_object_get_string(v));
	if (f->rooms[f->n_rooms] == NULL)
		return ERR_NOMEM;
	f->n_rooms++;
	return 0;
}

static int
parse_rooms(struct frame *f, struct json_object *payload)
{
	struct json_object *list;
	size_t i, n, kept = 0;
	int rc;

	if (!json_object_is_type(payload, json_type_object) ||
	    !json_object_object_get_ex(payload, "rooms", &list)) {
		f->why = "The payload needs rooms: a list of ids, or null.";
		return 0;
	}
	if (list == NULL) {
		f->is_all_rooms = 1;
		return 0;
	}
	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) > FRAME_MAX_ROOMS) {
		f->why = "rooms must be null or a list of at most 256 ids.";
		return 0;
	}
	n = json_object_array_length(list);
	f->rooms = calloc(n + 1, sizeof(*f->rooms));
	if (f->rooms == NULL)
		return ERR_NOMEM;
	for (i = 0; i < n && f->why == NULL; i++) {
		rc = add_room(f, json_object_array_get_idx(list, i));
		if (rc < 0)
			return rc;
	}
	qsort(f->rooms, f->n_rooms, sizeof(*f->rooms), compare);
	for (i = 0; i < f->n_rooms; i++) {
		if (kept > 0 && strcmp(f->rooms[kept - 1], f->rooms[i]) == 0)
			free(f->rooms[i]);
		else
			f->rooms[kept++] = f->rooms[i];
	}
	f->n_rooms = kept;
	return 0;
}

static int
parse_ping(struct frame *f, const char *text, size_t len,
    struct json_object *payload)
{
	size_t from, to;

	if (find_payload(text, len, &from, &to))
		f->payload = strndup(text + from, to - from);
	else	/* the name was written with escapes */
		f->payload = strdup(json_object_to_json_string_ext(payload,
		    JSON_C_TO_STRING_PLAIN));
	if (f->payload == NULL)
		return ERR_NOMEM;
	f->payload_len = strlen(f->payload);
	return 0;
}

static int
parse_room(struct frame *f, struct json_object *payload)
{
	int rc;

	rc = frame_get_id(payload, "roomId", &f->room_id);
	if (rc == 0 || (rc == 1 && (f->room_id[0] == '\0' ||
	    strlen(f->room_id) > FRAME_MAX_ID)))
		f->why = "The payload needs roomId, the id of a room.";
	return rc < 0 ? rc : 0;
}

/* Absent, null, or 1 to FRAME_MAX_KEY bytes; f->key was set where it is that. */
static int
is_good_key(const struct frame *f, struct json_object *payload)
{
	struct json_object *v = NULL;

	if (f->key != NULL)
		return f->key[0] != '\0';
	return !json_object_object_get_ex(payload, "key", &v) || v == NULL;
}

static int
parse_message_type(struct frame *f, struct json_object *payload)
{
	struct json_object *v = NULL;
	int rc;

	if (!json_object_object_get_ex(payload, "type", &v) || v == NULL) {
		f->message_type = strdup("text");
		return f->message_type != NULL ? 0 : ERR_NOMEM;
	}
	rc = get_string(payload, "type", &f->message_type);
	if (rc == 0 || (rc == 1 && (f->message_type[0] == '\0' ||
	    strlen(f->message_type) > FRAME_MAX_TYPE)))
		f->why = "type must be a text of 1 to 64 bytes.";
	return rc < 0 ? rc : 0;
}

static int
parse_send(struct frame *f, struct json_object *payload)
{
	int rc;

	rc = parse_room(f, payload);
	if (rc < 0 || f->why != NULL)
		return rc;
	if (!is_good_key(f, payload)) {
		f->why = "key must be a text of 1 to 128 bytes.";
		return 0;
	}
	rc = get_string(payload, "content", &f->content);
	if (rc < 0)
		return rc;
	if (rc == 0 || f->content[0] == '\0') {
		f->why = "The payload needs content, a text that is not empty.";
		return 0;
	}
	f->content_len = strlen(f->content);
	return parse_message_type(f, payload);
}

static int
parse_typing(struct frame *f, struct json_object *payload)
{
	struct json_object *v;
	int rc;

	rc = parse_room(f, payload);
	if (rc < 0 || f->why != NULL)
		return rc;
	if (!json_object_object_get_ex(payload, "on", &v) ||
	    !json_object_is_type(v, json_type_boolean))
		f->why = "The payload needs on: true or false.";
	else
		f->is_on = json_object_get_boolean(v);
	return 0;
}

/* text NULL: it is of a list, and not wanted. */
static int
parse_payload(struct frame *f, const char *text, size_t len,
    struct json_object *obj)
{
	struct json_object *payload = NULL;
	int has, rc;

	has = json_object_object_get_ex(obj, "payload", &payload);
	rc = get_string(payload, "key", &f->key);
	if (rc < 0)
		return rc;
	if (f->key != NULL && strlen(f->key) > FRAME_MAX_KEY) {
		free(f->key);
		f->key = NULL;
	}
	switch (f->type) {
	case FRAME_PING:
		return has && text != NULL ?
		    parse_ping(f, text, len, payload) : 0;
	case FRAME_AUTH:
		rc = get_string(payload, "token", &f->token);
		if (rc == 0)
			f->why = "The payload needs a token.";
		return rc < 0 ? rc : 0;
	case FRAME_SUBSCRIBE:
		return parse_rooms(f, payload);
	case FRAME_SEND:
		return parse_send(f, payload);
	case FRAME_TYPING:
		return parse_typing(f, payload);
	case FRAME_BYE:
	case FRAME_UNKNOWN:
		break;
	}
	return 0;
}

/* text and len: as of parse_payload(). */
static int
read_frame(struct json_object *obj, const char *text, size_t len,
    struct frame *ret)
{
	struct json_object *type;
	struct frame f;
	size_t i;
	int rc;

	if (!json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, "type", &type) ||
	    !json_object_is_type(type, json_type_string))
		return ERR_INVAL;
	memset(&f, 0, sizeof(f));
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(json_object_get_string(type), types[i].name) == 0)
			f.type = types[i].type;
	}
	rc = parse_payload(&f, text, len, obj);
	if (rc < 0) {
		frame_release(&f);
		return rc;
	}
	*ret = f;
	return 0;
}

int
frame_parse(const char *text, size_t len, struct frame *ret)
{
	struct json_object *obj;
	int rc;

	rc = frame_parse_json(text, len, FRAME_MAX_DEPTH, &obj);
	if (rc < 0)
		return rc;
	rc = read_frame(obj, text, len, ret);
	json_object_put(obj);
	return rc;
}

/* What is no frame stands in its place as one that cannot be served. */
static int
read_list(struct json_object *array, struct frame *list, size_t n)
{
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		rc = read_frame(json_object_array_get_idx(array, i), NULL, 0,
		    &list[i]);
		if (rc == ERR_INVAL)
			list[i].why = "This is not a frame.";
		else if (rc < 0)
			return rc;
	}
	return 0;
}

int
frame_parse_list(const char *text, size_t len, struct frame **ret,
    size_t *ret_n, int *ret_is_list)
{
	struct json_object *obj;
	struct frame *list;
	size_t n = 1;
	int rc, is_list;

	rc = frame_parse_json(text, len, FRAME_MAX_DEPTH + 1, &obj);
	if (rc < 0)
		return rc;
	is_list = json_object_is_type(obj, json_type_array);
	if (is_list)
		n = json_object_array_length(obj);
	if (n > FRAME_MAX_LIST) {
		json_object_put(obj);
		return ERR_TOOBIG;
	}
	list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		rc = ERR_NOMEM;
	else if (is_list)
		rc = read_list(obj, list, n);
	else
		rc = read_frame(obj, NULL, 0, list);
	json_object_put(obj);
	if (rc < 0) {
		frame_free_list(list, n);
		return rc;
	}
	*ret = list;
	*ret_n = n;
	*ret_is_list = is_list;
	return 0;
}

void
frame_free_list(struct frame *list, size_t n)
{
	size_t i;

	for (i = 0; list != NULL && i < n; i++)
		frame_release(&list[i]);
	free(list);
}

void
frame_release(struct frame *f)
{
	size_t i;

	for (i = 0; i < f->n_rooms; i++)
		free(f->rooms[i]);
	free(f->rooms);
	free(f->payload);
	free(f->token);
	free(f->room_id);
	free(f->content);
	free(f->message_type);
	free(f->key);
	memset(f, 0, sizeof(*f));
}

void
frame_print_pong(struct buf *b, const char *payload, size_t len)
{
	if (payload == NULL) {
		buf_adds(b, "{\"type\":\"pong\"}");
		return;
	}
	buf_adds(b, "{\"type\":\"pong\",\"payload\":");
	buf_add(b, payload, len);
	buf_addc(b, '}');
}

static void
print_expiry(struct buf *b, const char *type, int64_t expires_at_s)
{
	char at[CLOCK_POS_SIZE];
	int64_t s;

	s = expires_at_s;
	if (s < 0)
		s = 0;
	if (s > CLOCK_POS_MAX / 1000000)
		s = CLOCK_POS_MAX / 1000000;
	buf_addf(b, "{\"type\":\"%s\",\"payload\":{\"expiresAt\":\"%s\"}}",
	    type, clock_print_pos(s * 1000000, at));
}

void
frame_print_auth_ok(struct buf *b, int64_t expires_at_s)
{
	print_expiry(b, "auth_ok", expires_at_s);
}

void
frame_print_auth_expiring(struct buf *b, int64_t expires_at_s)
{
	print_expiry(b, "auth_expiring", expires_at_s);
}

void
frame_print_sync(struct buf *b, int64_t pos, const char *reset)
{
	char at[CLOCK_POS_SIZE];

	buf_addf(b, "{\"type\":\"sync\",\"payload\":{\"timestamp\":\"%s\"",
	    clock_print_pos(pos, at));
	if (reset != NULL)
		buf_addf(b, ",\"reset\":\"%s\"", reset);
	buf_adds(b, "}}");
}

void
frame_print_ack(struct buf *b, const char *key, const char *id, int64_t pos,
    int is_duplicate)
{
	char at[CLOCK_POS_SIZE];

	buf_adds(b, "{\"type\":\"ack\",\"payload\":{");
	if (key != NULL) {
		buf_adds(b, "\"key\":");
		event_print_string(b, key, strlen(key));
		buf_addc(b, ',');
	}
	buf_adds(b, "\"id\":");
	event_print_string(b, id, strlen(id));
	buf_addf(b, ",\"timestamp\":\"%s\",\"duplicate\":%s}}",
	    clock_print_pos(pos, at), is_duplicate ? "true" : "false");
}

void
frame_print_error(struct buf *b, enum problem problem, const char *detail,
    const char *ref, int64_t retry_ms)
{
	const struct problem_info *info;

	info = problem_info(problem);
	if (detail == NULL)
		detail = info->detail;
	buf_addf(b, "{\"type\":\"error\",\"payload\":{\"code\":\"%s\","
	    "\"status\":%d,\"title\":", info->code, info->status);
	event_print_string(b, info->title, strlen(info->title));
	buf_adds(b, ",\"detail\":");
	event_print_string(b, detail, strlen(detail));
	if (ref != NULL) {
		buf_adds(b, ",\"ref\":");
		event_print_string(b, ref, strlen(ref));
	}
	if (retry_ms == 0)
		retry_ms = info->retry_after_s * 1000LL;
	if (retry_ms > 0)
		buf_addf(b, ",\"retryAfterMs\":%lld", (long long)retry_ms);
	buf_adds(b, "}}");
}
