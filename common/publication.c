/*
 * Events of the site's own (publication.h).  The payload is checked where it is
 * stored (payload.h); here only its extent matters.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "err.h"
#include "eventlog.h"
#include "frame.h"
#include "payload.h"
#include "publication.h"
#include "site.h"

/* Around the payload's own levels there is one. */
#define MAX_DEPTH	(PAYLOAD_DEPTH + 1)

#define WHY_BODY	"The body must be a JSON object."
#define WHY_TYPE	"It needs type, a text of 1 to 128 bytes."
#define WHY_PAYLOAD	"It needs payload, a JSON object."
#define WHY_AUDIENCE	"roomId and userId: choose one."
#define WHY_ROOM	"roomId must be the id of a room."
#define WHY_USER	"userId must be the id of a user."
#define WHY_TTL		"ttl must be whole seconds, at most a year."

static int
has(struct json_object *obj, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(obj, name, &v) && v != NULL;
}

/* An id that may be absent; 0 or an error. */
static int
read_id(struct json_object *obj, const char *name, const char *why, char **ret,
    const char **ret_why)
{
	int rc;

	if (!has(obj, name))
		return 0;
	rc = frame_get_id(obj, name, ret);
	if (rc == 0 || (rc == 1 && ((*ret)[0] == '\0' ||
	    strlen(*ret) > FRAME_MAX_ID))) {
		*ret_why = why;
		return ERR_INVAL;
	}
	return rc < 0 ? rc : 0;
}

static int
read_payload(struct json_object *obj, struct publication *p,
    const char **ret_why)
{
	struct json_object *v = NULL;
	const char *text;
	size_t len = 0;

	(void)json_object_object_get_ex(obj, "payload", &v);
	if (!json_object_is_type(v, json_type_object)) {
		*ret_why = WHY_PAYLOAD;
		return ERR_INVAL;
	}
	text = json_object_to_json_string_length(v, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	p->payload = text != NULL ? strndup(text, len) : NULL;
	p->payload_len = len;
	return p->payload != NULL ? 0 : ERR_NOMEM;
}

static int
read_ttl(struct json_object *obj, struct publication *p, const char **ret_why)
{
	struct json_object *v = NULL;
	int64_t s;

	if (!has(obj, "ttl"))
		return 0;
	(void)json_object_object_get_ex(obj, "ttl", &v);
	s = json_object_get_int64(v);
	if (!json_object_is_type(v, json_type_int) || s < 0 ||
	    s > PUBLICATION_MAX_TTL_S) {
		*ret_why = WHY_TTL;
		return ERR_INVAL;
	}
	p->ttl_ms = s * 1000;
	return 0;
}

static int
read_all(struct json_object *obj, struct publication *p, const char **ret_why)
{
	int rc;

	*ret_why = WHY_BODY;
	if (!json_object_is_type(obj, json_type_object))
		return ERR_INVAL;
	*ret_why = WHY_TYPE;
	if (!has(obj, "type"))
		return ERR_INVAL;
	rc = frame_get_id(obj, "type", &p->type);
	if (rc == 0 || (rc == 1 && p->type[0] == '\0'))
		return ERR_INVAL;
	if (rc == 1)
		rc = read_payload(obj, p, ret_why);
	if (rc == 0)
		rc = read_id(obj, "roomId", WHY_ROOM, &p->room_id, ret_why);
	if (rc == 0)
		rc = read_id(obj, "userId", WHY_USER, &p->user_id, ret_why);
	if (rc == 0)
		rc = read_ttl(obj, p, ret_why);
	if (rc == 0 && p->room_id != NULL && p->user_id != NULL) {
		*ret_why = WHY_AUDIENCE;
		rc = ERR_INVAL;
	}
	return rc;
}

int
publication_parse(const char *text, size_t len, struct publication *ret,
    const char **ret_why)
{
	struct publication p;
	struct json_object *obj;
	int rc;

	*ret_why = WHY_BODY;
	rc = frame_parse_json(text, len, MAX_DEPTH, &obj);
	if (rc < 0)
		return rc;
	memset(&p, 0, sizeof(p));
	rc = read_all(obj, &p, ret_why);
	json_object_put(obj);
	if (rc < 0) {
		publication_release(&p);
		return rc;
	}
	*ret = p;
	return 0;
}

void
publication_release(struct publication *p)
{
	free(p->type);
	free(p->room_id);
	free(p->user_id);
	free(p->payload);
	memset(p, 0, sizeof(*p));
}

/* 0, or ERR_NOTFOUND with why. */
static int
look_for_audience(const struct publication *p, struct store *st,
    const char **ret_why)
{
	int rc;

	if (p->user_id != NULL) {
		rc = site_has_user(st, p->user_id);
		if (rc == 0)
			*ret_why = "There is no such user.";
		return rc < 0 ? rc : rc == 0 ? ERR_NOTFOUND : 0;
	}
	if (p->room_id == NULL)
		return 0;
	rc = site_check_room(st, p->room_id, "");
	if (rc == ERR_NOTFOUND)
		*ret_why = "There is no such room.";
	return rc == ERR_DENIED ? 0 : rc;
}

int
publication_write(const struct publication *p, struct store *st,
    int64_t *ret_pos, const char **ret_why)
{
	int rc;

	rc = look_for_audience(p, st, ret_why);
	if (rc < 0)
		return rc;
	rc = eventlog_append(st, p->type, p->room_id, p->user_id, NULL,
	    p->payload, p->payload_len, p->ttl_ms, ret_pos);
	if (rc == ERR_INVAL)
		*ret_why = "It needs the type as a text, and as payload a JSON "
		    "object.";
	else if (rc == ERR_TOOBIG)
		*ret_why = "The type is over 128 bytes, or the payload over "
		    "64 KiB.";
	return rc;
}
