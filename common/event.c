/*
 * event - one event of the log, ready for the wire.
 *
 * The struct and its strings are one allocation, each text is another one that
 * begins EVENT_PRE bytes before it.  The string printer here is the one that
 * all payloads go through: users' text is most of what is sent, so it copies
 * whole runs of bytes that need no thought, and it is the place where bytes
 * that are not UTF-8 stop.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "event.h"

#define REPLACEMENT	"\xef\xbf\xbd"		/* U+FFFD */
/* The byte b in each byte of a word. */
#define BYTES(b)	(0x0101010101010101ULL * (b))
/* Has the top bit of each byte set that is zero in v, and perhaps above one. */
#define ZEROES(v)	(((v) - BYTES(0x01)) & ~(v))

/* Bytes that event_print() adds to type and payload. */
#define FRAME_LEN \
	(sizeof("{\"type\":\"\",\"payload\":,\"timestamp\":\"\"}") - 1 \
	    + CLOCK_POS_LEN)

static size_t
string_size(const char *s)
{
	return s == NULL ? 0 : strlen(s) + 1;
}

/* Copies s to where *at points and moves *at behind it; NULL is kept. */
static const char *
put_string(char **at, const char *s)
{
	char *to = *at;
	size_t size = string_size(s);

	if (s == NULL)
		return NULL;
	memcpy(to, s, size);
	*at += size;
	return to;
}

int
event_new(int64_t id, const char *type, const char *room_id,
    const char *user_id, const char *actor_id, const char *entity_id,
    struct event **ret)
{
	struct event *ev;
	char *at;

	ev = malloc(sizeof(*ev) + string_size(type) + string_size(room_id)
	    + string_size(user_id) + string_size(actor_id)
	    + string_size(entity_id));
	if (ev == NULL)
		return ERR_NOMEM;
	at = (char *)(ev + 1);
	*ev = (struct event){ .id = id, .refs = 1 };
	ev->type = put_string(&at, type);
	ev->room_id = put_string(&at, room_id);
	ev->user_id = put_string(&at, user_id);
	ev->actor_id = put_string(&at, actor_id);
	ev->entity_id = put_string(&at, entity_id);
	ev->self_id = ev->entity_id;
	*ret = ev;
	return 0;
}

struct event *
event_ref(struct event *ev)
{
	assert(ev->refs > 0);
	ev->refs++;
	return ev;
}

static void
free_text(char *text)
{
	if (text != NULL)
		free(text - EVENT_PRE);
}

void
event_unref(struct event *ev)
{
	if (ev == NULL)
		return;
	assert(ev->refs > 0);
	if (--ev->refs > 0)
		return;
	free_text(ev->text);
	free_text(ev->self);
	free(ev);
}

int
event_set_text(struct event *ev, const char *wire_type, const char *payload,
    size_t len, int is_self)
{
	static const char pre[EVENT_PRE];
	struct buf b;
	char *text;
	size_t size;
	int err;

	buf_init(&b, EVENT_PRE + EVENT_MAX_TEXT);
	/* Escapes only add to this: what it refuses is too big indeed. */
	buf_reserve(&b, EVENT_PRE + FRAME_LEN + strlen(wire_type) + len);
	buf_add(&b, pre, EVENT_PRE);
	event_print(&b, wire_type, payload, len, ev->id);
	err = buf_err(&b);
	if (err != 0) {
		buf_release(&b);
		return err;
	}
	text = buf_take(&b, &size);
	text += EVENT_PRE;
	size -= EVENT_PRE;
	if (is_self) {
		free_text(ev->self);
		ev->self = text;
		ev->self_len = size;
		ev->is_self = 1;
	} else {
		free_text(ev->text);
		ev->text = text;
		ev->text_len = size;
	}
	return 0;
}

const char *
event_get_text(const struct event *ev, const char *user_id, size_t *ret_len)
{
	if (ev->self != NULL && ev->self_id != NULL && user_id != NULL
	    && strcmp(ev->self_id, user_id) == 0) {
		*ret_len = ev->self_len;
		return ev->self;
	}
	*ret_len = ev->text_len;
	return ev->text;
}

void
event_print(struct buf *b, const char *wire_type, const char *payload,
    size_t len, int64_t id)
{
	char pos[CLOCK_POS_SIZE];

	clock_print_pos(id, pos);
	buf_adds(b, "{\"type\":");
	event_print_string(b, wire_type, strlen(wire_type));
	buf_adds(b, ",\"payload\":");
	buf_add(b, payload, len);
	buf_adds(b, ",\"timestamp\":\"");
	buf_add(b, pos, CLOCK_POS_LEN);
	buf_adds(b, "\"}");
}

static int
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many bytes at s are ASCII that a JSON string holds as it is. */
static size_t
plain_run(const unsigned char *s, size_t len)
{
	size_t i = 0;
	uint64_t w, stop;

	while (len - i >= sizeof(w)) {
		memcpy(&w, s + i, sizeof(w));
		stop = w | (w - BYTES(0x20)) | ZEROES(w ^ BYTES('"'))
		    | ZEROES(w ^ BYTES('\\'));
		if ((stop & BYTES(0x80)) != 0)
			break;
		i += sizeof(w);
	}
	while (i < len && is_plain(s[i]))
		i++;
	return i;
}

/*
 * Looks at the UTF-8 sequence at s, which begins with a byte over 0x7f.
 * Returns its length, *ret_good telling whether it is one (RFC 3629 section 4);
 * of a bad one, the length of its maximal subpart, that one U+FFFD stands for
 * (The Unicode Standard, section 3.9).
 */
static size_t
utf8_step(const unsigned char *s, size_t len, int *ret_good)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t need, i;

	*ret_good = 0;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 1;
	if (s[0] == 0xe0)
		lo = 0xa0;		/* below: overlong */
	else if (s[0] == 0xed)
		hi = 0x9f;		/* above: surrogates */
	else if (s[0] == 0xf0)
		lo = 0x90;		/* below: overlong */
	else if (s[0] == 0xf4)
		hi = 0x8f;		/* above: over U+10FFFF */
	need = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < need; i++) {
		if (i == len || s[i] < lo || s[i] > hi)
			return i;
		lo = 0x80;
		hi = 0xbf;
	}
	*ret_good = 1;
	return need;
}

/* Appends the escape of one ASCII byte (RFC 8259 section 7). */
static void
print_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	char out[6] = { '\\', 'u', '0', '0', 0, 0 };
	const char *p = memchr(letters, c, sizeof(letters) - 1);

	if (p != NULL) {
		out[1] = names[p - letters];
		buf_add(b, out, 2);
		return;
	}
	out[4] = hex[c >> 4];
	out[5] = hex[c & 15];
	buf_add(b, out, sizeof(out));
}

void
event_print_string(struct buf *b, const char *str, size_t len)
{
	const unsigned char *s = (const unsigned char *)str;
	size_t done = 0, i = 0, n;	/* s[done..i) is good, not yet copied */
	int good;

	if (str == NULL) {
		buf_adds(b, "null");
		return;
	}
	buf_addc(b, '"');
	while (i < len) {
		i += plain_run(s + i, len - i);
		if (i == len)
			break;
		n = 1;
		good = 0;
		if (s[i] >= 0x80)
			n = utf8_step(s + i, len - i, &good);
		if (!good) {
			buf_add(b, str + done, i - done);
			if (s[i] >= 0x80)
				buf_adds(b, REPLACEMENT);
			else
				print_escape(b, s[i]);
			done = i + n;
		}
		i += n;
	}
	buf_add(b, str + done, len - done);
	buf_addc(b, '"');
}
