/*
 * query - takes a query string apart.
 *
 * It comes from whoever can reach the port and is parsed before anybody is
 * authenticated: each value is decoded once into memory of its own length, and
 * what the names mean stands in one table.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "query.h"

/* A day; a time-out is shortened to what is configured anyway. */
#define MAX_TIMEOUT_S	86400

/* A decoded value; text has a NUL behind it, and may hold others. */
struct value {
	char	*text;
	size_t	 len;
};

/* Puts the value into q.  An error leaves the value to the caller's free(). */
typedef int set_fn(struct query *q, char **slot, struct value *v);

static set_fn set_id, set_token, set_timeout, set_limit, set_rooms, set_client;

static const struct param {
	const char	*name;
	set_fn		*set;
	size_t		 offset;	/* of the slot that set gets */
	const char	*why;		/* the rule, for whom it refuses */
} params[] = {
	{ "lastMessageId", set_id, offsetof(struct query, last_message_id),
	    NULL },
	{ "lastTimestamp", set_id, offsetof(struct query, last_timestamp),
	    NULL },
	{ "roomId", set_id, offsetof(struct query, room_id), NULL },
	{ "before", set_id, offsetof(struct query, before), NULL },
	{ "token", set_token, offsetof(struct query, token), NULL },
	{ "timeout", set_timeout, 0,
	    "timeout must be a number of seconds, like 25 or 2.5." },
	{ "limit", set_limit, 0, "limit must be a whole number, 1 to 500." },
	{ "client", set_client, offsetof(struct query, client),
	    "client must be 1 to 64 of the characters A-Z a-z 0-9 _ -." },
	{ "rooms", set_rooms, 0,
	    "rooms must be at most 256 ids of at most 256 bytes, "
	    "separated by commas." },
};

#define N_PARAMS	(sizeof(params) / sizeof(params[0]))

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes len bytes of s into out, which has room for as many.
 * A '%' without two hex digits stands for itself (WHATWG URL, 1.3). */
static size_t
decode(const char *s, size_t len, char *out)
{
	size_t i, n = 0;
	char c;

	for (i = 0; i < len; i++) {
		c = s[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%' && len - i > 2 &&
		    hex_value(s[i + 1]) >= 0 && hex_value(s[i + 2]) >= 0) {
			c = (char)(hex_value(s[i + 1]) << 4 |
			    hex_value(s[i + 2]));
			i += 2;
		}
		out[n++] = c;
	}
	return n;
}

/* Hands the value over to *slot. */
static void
take(char **slot, struct value *v)
{
	*slot = v->text;
	v->text = NULL;
}

static int
set_token(struct query *q, char **slot, struct value *v)
{
	(void)q;
	if (v->len == 0)
		return 0;
	/* Half a token before a NUL must not pass for a whole one. */
	if (memchr(v->text, '\0', v->len) != NULL)
		v->text[0] = '\0';
	take(slot, v);
	return 0;
}

static int
set_id(struct query *q, char **slot, struct value *v)
{
	if (v->len > QUERY_MAX_ID)
		v->text[0] = '\0';
	return set_token(q, slot, v);
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
set_timeout(struct query *q, char **slot, struct value *v)
{
	const char *s = v->text, *end = v->text + v->len;
	int64_t ms = 0, scale = 100;

	(void)slot;
	if (!is_digit(*s))
		return ERR_INVAL;
	for (; is_digit(*s); s++)
		if (ms <= MAX_TIMEOUT_S)
			ms = ms * 10 + (*s - '0');
	if (ms > MAX_TIMEOUT_S)
		ms = MAX_TIMEOUT_S;
	ms *= 1000;
	if (*s == '.') {
		if (!is_digit(*++s))
			return ERR_INVAL;
		for (; is_digit(*s); s++) {
			ms += (*s - '0') * scale;
			scale /= 10;
		}
	}
	if (s != end)
		return ERR_INVAL;
	q->timeout_ms = ms;
	return 0;
}

static int
set_limit(struct query *q, char **slot, struct value *v)
{
	const char *s = v->text, *end = v->text + v->len;
	int n = 0;

	(void)slot;
	for (; is_digit(*s) && n <= QUERY_LIMIT_MAX; s++)
		n = n * 10 + (*s - '0');
	if (s != end || n < 1 || n > QUERY_LIMIT_MAX)
		return ERR_INVAL;
	q->limit = n;
	return 0;
}

static int
set_client(struct query *q, char **slot, struct value *v)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_-";

	(void)q;
	if (v->len < 1 || v->len > QUERY_MAX_CLIENT ||
	    strspn(v->text, allowed) != v->len)
		return ERR_INVAL;
	take(slot, v);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The array and the ids' text are one piece of memory. */
static int
set_rooms(struct query *q, char **slot, struct value *v)
{
	size_t i, n, kept = 0, cap = 1;
	char **rooms, *id, *comma;

	(void)slot;
	if (memchr(v->text, '\0', v->len) != NULL)
		return ERR_INVAL;
	for (i = 0; i < v->len; i++)
		cap += v->text[i] == ',';
	if (cap > QUERY_MAX_ROOMS)
		return ERR_INVAL;
	rooms = malloc(cap * sizeof(*rooms) + v->len + 1);
	if (rooms == NULL)
		return ERR_NOMEM;
	id = memcpy(rooms + cap, v->text, v->len + 1);
	for (n = 0; id != NULL; id = comma) {
		comma = strchr(id, ',');
		if (comma != NULL)
			*comma++ = '\0';
		if (strlen(id) > QUERY_MAX_ID) {
			free(rooms);
			return ERR_INVAL;
		}
		if (*id != '\0')
			rooms[n++] = id;
	}
	if (n == 0) {
		free(rooms);
		return 0;
	}
	qsort(rooms, n, sizeof(*rooms), compare);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(rooms[i], rooms[kept - 1]) != 0)
			rooms[kept++] = rooms[i];
	q->rooms = rooms;
	q->n_rooms = kept;
	return 0;
}

static const struct param *
find_param(const char *s, size_t len)
{
	char name[64];
	size_t i, n;

	if (len > sizeof(name))
		return NULL;
	n = decode(s, len, name);
	for (i = 0; i < N_PARAMS; i++)
		if (strlen(params[i].name) == n &&
		    memcmp(params[i].name, name, n) == 0)
			return &params[i];
	return NULL;
}

/* Parses one "name=value". */
static int
parse_pair(struct query *q, unsigned *seen, const char *s, size_t len,
    const char **ret_why)
{
	const char *eq = memchr(s, '=', len);
	const struct param *param;
	struct value v;
	int r;

	param = find_param(s, eq != NULL ? (size_t)(eq - s) : len);
	if (param == NULL || (*seen & 1u << (param - params)) != 0)
		return 0;
	*seen |= 1u << (param - params);
	len = eq != NULL ? len - (size_t)(eq + 1 - s) : 0;
	v.text = malloc(len + 1);
	if (v.text == NULL)
		return ERR_NOMEM;
	v.len = len > 0 ? decode(eq + 1, len, v.text) : 0;
	v.text[v.len] = '\0';
	r = param->set(q, (char **)((char *)q + param->offset), &v);
	if (r == ERR_INVAL)
		*ret_why = param->why;
	free(v.text);
	return r;
}

int
query_parse(const char *s, size_t len, struct query *ret, const char **ret_why)
{
	const char *end = s + len, *amp;
	struct query q;
	unsigned seen = 0;
	int r;

	if (len > QUERY_MAX_LEN)
		return ERR_TOOBIG;
	memset(&q, 0, sizeof(q));
	q.limit = QUERY_LIMIT_DEFAULT;
	while (s < end) {
		amp = memchr(s, '&', (size_t)(end - s));
		if (amp == NULL)
			amp = end;
		r = parse_pair(&q, &seen, s, (size_t)(amp - s), ret_why);
		if (r < 0) {
			query_release(&q);
			return r;
		}
		s = amp < end ? amp + 1 : end;
	}
	q.has_last_message_id = q.last_message_id != NULL;
	q.has_last_timestamp = q.last_timestamp != NULL;
	*ret = q;
	return 0;
}

void
query_release(struct query *q)
{
	free(q->last_message_id);
	free(q->last_timestamp);
	free(q->rooms);
	free(q->client);
	free(q->token);
	free(q->room_id);
	free(q->before);
	memset(q, 0, sizeof(*q));
}
