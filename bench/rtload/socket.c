/*
 * WebSocket clients: handshake, then frames (RFC 6455 section 5.2).  All use the key of
 * the RFC's example, so that what is to be accepted is known without SHA-1.
 *
 * Socket.IO's packets are text frames: Engine.IO's type, a digit, and where that is 4,
 * a message, Socket.IO's type, another digit.  Only what a server sends to a client that
 * just listens is known here.
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "http.h"
#include "load.h"

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

void
socket_shake(struct load *l, struct conn *c)
{
	c->state = CONN_SHAKING;
	conn_add_headers(l, c, l->o->path);
	buf_adds(&c->out, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	conn_flush(l, c);
}

static void
set_open(struct load *l, struct conn *c)
{
	c->state = CONN_OPEN;
	l->n_opening--;
	l->n_open++;
}

static long
take_handshake(struct load *l, struct conn *c, const char *data, size_t len)
{
	static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
	struct http_answer a;
	const char *value;
	size_t n = 0;
	long used;

	used = http_parse(data, len, 0, &l->chunks, &a);
	if (used == ERR_AGAIN)
		return 0;
	if (used < 0)
		return -1;
	value = http_header(&a, "sec-websocket-accept", &n);
	if (a.status != 101 || value == NULL || n != sizeof(accept) - 1 ||
	    memcmp(value, accept, n) != 0) {
		l->bad_status = a.status;
		return -1;
	}
	if (l->o->is_socketio)
		c->state = CONN_JOINING;
	else
		set_open(l, c);
	return used;
}

/* At most 125 bytes.  A mask of zeros is a mask (section 5.3 asks for chance: against
 * proxies, not here). */
static void
add_frame(struct conn *c, int op, const char *payload, size_t len)
{
	unsigned char head[6] = { 0, 0, 0, 0, 0, 0 };

	head[0] = (unsigned char)(0x80 | op);
	head[1] = (unsigned char)(0x80 | len);
	buf_add(&c->out, head, sizeof(head));
	buf_add(&c->out, payload, len);
}

/* Answers a packet that is not an event; whether it was one of those. */
static int
take_packet(struct load *l, struct conn *c, const char *text, size_t len)
{
	if (len >= 1 && text[0] == '0') {		/* opened: connect */
		add_frame(c, OP_TEXT, "40", 2);
	} else if (len >= 2 && memcmp(text, "40", 2) == 0) {
		if (c->state == CONN_JOINING)
			set_open(l, c);
	} else if (len >= 1 && text[0] == '2') {	/* ping */
		add_frame(c, OP_TEXT, "3", 1);
	} else {
		return 0;
	}
	return 1;
}

/* One frame: bytes consumed, 0: not all there, -1: the connection is over. */
static long
take_frame(struct load *l, struct conn *c, const char *data, size_t len,
    uint64_t now_ns)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t head = 2, size, i;
	int op;

	if (len < 2)
		return 0;
	if ((p[0] & 0x80) == 0 || (p[1] & 0x80) != 0)
		return -1;	/* in pieces, which no peer here sends; masked */
	op = p[0] & 15;
	size = p[1];
	if (size >= 126) {
		head = size == 126 ? 4 : 10;
		if (len < head)
			return 0;
		for (i = 2, size = 0; i < head; i++)
			size = size << 8 | p[i];
	}
	if (len - head < size)
		return 0;
	if (op == OP_CLOSE)
		return -1;
	if (op == OP_PING) {
		add_frame(c, OP_PONG, data + head, size);
	} else if (op == OP_TEXT && !(l->o->is_socketio &&
	    take_packet(l, c, data + head, size))) {
		l->n_frames++;
		(void)load_take_marks(l, c, data + head, size, now_ns);
	}
	return (long)(head + size);
}

long
socket_take(struct load *l, struct conn *c, const char *data, size_t len,
    uint64_t now_ns)
{
	size_t used = 0;
	long n;

	if (c->state == CONN_SHAKING) {
		n = take_handshake(l, c, data, len);
		if (n <= 0)
			return n;
		used = (size_t)n;
	}
	for (;;) {
		n = take_frame(l, c, data + used, len - used, now_ns);
		if (n < 0)
			return -1;
		if (n == 0)
			return (long)used;
		used += (size_t)n;
	}
}
