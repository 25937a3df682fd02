/*
 * session_out - what a client is sent next.
 *
 * Order: answers, ping, the present state, events, sync.  A session writes
 * whole RFC 6455 frames (section 5.2; a server's are not masked) into a buffer
 * that all sessions share, so that everything that waits for a client goes out
 * in one write and an idle client holds no buffer.
 */
#include <string.h>

#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "frame.h"
#include "log.h"
#include "session_impl.h"
#include "stats.h"

#define OP_TEXT		0x81	/* FIN and the opcode */
#define OP_PING		0x89
#define HEAD_MAX	10	/* bytes in front of a frame's text */
#define MAX_EVENTS	512	/* of one write */
#define SYNC_LOOK_MS	50	/* until a sync that waits for the tail is tried again */

/* The head of a frame of len bytes of text, to end at end; where it begins. */
static unsigned char *
put_head(unsigned char *end, size_t len)
{
	unsigned char *p;
	size_t i, n = len < 126 ? 2 : len <= 0xffff ? 4 : HEAD_MAX;

	p = end - n;
	p[0] = OP_TEXT;
	p[1] = (unsigned char)(n == 2 ? len : n == 4 ? 126 : 127);
	for (i = 2; i < n; i++)
		p[i] = (unsigned char)(len >> (8 * (n - 1 - i)));
	return p;
}

void
session_frame(struct buf *b, const char *text, size_t len)
{
	unsigned char head[HEAD_MAX], *end = head + sizeof(head);
	unsigned char *p = put_head(end, len);

	buf_add(b, p, (size_t)(end - p));
	buf_add(b, text, len);
}

/* Bytes of the frame at p, which session_frame() made. */
static size_t
frame_size(const char *p)
{
	const unsigned char *head = (const unsigned char *)p;
	size_t len = head[1], n = 2, i;

	if (len >= 126) {
		n = len == 126 ? 4 : 10;
		for (i = 2, len = 0; i < n; i++)
			len = len << 8 | head[i];
	}
	return n + len;
}

struct reading {
	struct session	*s;
	struct buf	*out;
};

/* Into out as long as there is room, and then to what waits. */
static int
add_state(struct event *ev, void *arg)
{
	struct reading *r = arg;
	struct session *s = r->s;
	const char *text;
	size_t len;

	text = event_get_text(ev, s->user->id, &len);
	if (text == NULL)
		return 0;
	if (s->state.len == 0 &&
	    r->out->len + len + HEAD_MAX <= SESSION_WRITE_MAX) {
		session_frame(r->out, text, len);
		return buf_err(r->out);
	}
	session_frame(&s->state, text, len);
	return buf_err(&s->state);
}

/*
 * The state of this moment, with its position.  What of it does not fit in out is
 * the one thing that waits ready made, bounded for one and for all (many may ask
 * for it and take nothing), and freed when it was sent.  ERR_BUSY: it is the
 * others' turn first.
 */
static int
begin_state(struct session *s, struct buf *out)
{
	struct clients *c = s->clients;
	struct reading r = { s, out };
	size_t len = out->len;
	int64_t pos;
	int rc;

	s->needs_state = 0;
	if (c->states_size >= SESSION_STATES_MAX) {
		stats_add(c->env.shm, STATS_ws_refused, 1);
		return ERR_BUSY;
	}
	rc = eventlog_state(c->store, s->user->id, add_state, &r, &pos);
	if (rc == ERR_TOOBIG)
		log_warnx("the present state is over %d bytes: user %s cannot "
		    "connect", SESSION_STATE_MAX, s->user->id);
	s->state_size = s->state.cap;
	c->states_size += s->state_size;
	if (rc < 0) {
		buf_cut(out, len);
		return rc;
	}
	hub_seek(c->hub, &s->sub, pos);
	s->told_pos = pos;
	return 0;
}

void
session_drop_state(struct session *s)
{
	s->clients->states_size -= s->state_size;
	s->state_size = 0;
	buf_release(&s->state);
}

static void
write_state(struct session *s, struct buf *out)
{
	size_t size;
	int n;

	if (s->state.len == 0)
		return;
	/* At least one, however long it is: out is never quite empty. */
	for (n = 0; s->state_at < s->state.len; n++) {
		size = frame_size(s->state.p + s->state_at);
		if (n > 0 && out->len + size > SESSION_WRITE_MAX)
			return;
		buf_add(out, s->state.p + s->state_at, size);
		s->state_at += size;
	}
	session_drop_state(s);
}

/* The head goes into the room in front of the text, so that one copy takes both. */
static int
add_event(const struct event *ev, const char *text, size_t len, void *arg)
{
	struct reading *r = arg;
	unsigned char *p, *end;

	_Static_assert(HEAD_MAX <= EVENT_PRE, "room for a frame's head");

	end = (unsigned char *)(uintptr_t)text;
	p = put_head(end, len);
	buf_add(r->out, p, (size_t)(end - p) + len);
	r->s->told_pos = ev->id;
	return buf_err(r->out);
}

static int
write_events(struct session *s, struct buf *out)
{
	struct reading r = { s, out };
	int n;

	if (!hub_has_news(&s->sub) || out->len >= SESSION_WRITE_MAX)
		return 0;
	n = hub_read(s->clients->hub, &s->sub, MAX_EVENTS,
	    SESSION_WRITE_MAX - out->len, add_event, &r);
	if (n > 0)
		stats_add(s->clients->env.shm, STATS_ws_events, (uint64_t)n);
	return n < 0 ? n : 0;
}

/* Due after what was missed when it was asked for, even while more comes. */
static void
write_sync(struct session *s, struct buf *out)
{
	struct buf text;
	int64_t pos;

	if (!s->needs_sync)
		return;
	pos = hub_position(s->clients->hub, &s->sub);
	if (pos < s->sync_pos) {
		if (hub_has_news(&s->sub))
			return;
		/* The tail has yet to read what may not be for this client. */
		s->sync_ms = s->clients->mono_ms + SYNC_LOOK_MS;
		session_plan_by(s, s->sync_ms);
		return;
	}
	buf_init(&text, 256);
	frame_print_sync(&text, pos, s->reset);
	if (buf_err(&text) == 0)
		session_frame(out, text.p, text.len);
	buf_release(&text);
	s->needs_sync = 0;
	s->reset = NULL;
	s->told_pos = pos;
}

static int
write_live(struct session *s, struct buf *out)
{
	/* With a payload: the library does not tell of a pong without one. */
	static const char ping[] = { (char)OP_PING, 2, 's', 'w' };
	int rc = 0;

	if (s->needs_ping)
		buf_add(out, ping, sizeof(ping));
	s->needs_ping = 0;
	if (s->needs_state)
		rc = begin_state(s, out);
	else
		write_state(s, out);
	if (rc < 0)
		return rc;
	if (s->state.len > 0)
		return 0;
	rc = write_events(s, out);
	if (rc < 0)
		return rc;
	write_sync(s, out);
	return 0;
}

void
session_write(struct session *s, struct buf *out)
{
	int rc;

	s->is_wanted = 0;
	if (s->control.len > 0) {
		buf_add(out, s->control.p, s->control.len);
		buf_release(&s->control);
	}
	if (s->phase != SESSION_LIVE)
		return;
	rc = write_live(s, out);
	if (rc == 0)
		rc = buf_err(out);
	if (rc < 0)
		session_fail(s, rc);
	else if (s->state.len > 0 || hub_has_news(&s->sub))
		session_want(s);
}
