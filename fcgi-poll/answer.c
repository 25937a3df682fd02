/*
 * Composing the answer of a poll (answer.h).
 */
#include <string.h>

#include "answer.h"
#include "buf.h"
#include "clock.h"
#include "event.h"

void
answer_begin(struct answer *a, struct buf *body, size_t max_bytes)
{
	memset(a, 0, sizeof(*a));
	a->body = body;
	a->max_bytes = max_bytes;
	buf_adds(body, "{\"events\":[");
}

int
answer_add(struct answer *a, const struct event *ev, const char *text,
    size_t len)
{
	if (a->is_full)
		return 1;
	if (a->n_events > 0 && a->body->len + len > a->max_bytes) {
		a->is_full = 1;
		return 1;
	}
	if (a->n_events > 0)
		buf_addc(a->body, ',');
	buf_add(a->body, text, len);
	a->n_events++;
	a->last_pos = ev->id;
	/* A published event may call itself anything; only a message of the
	 * table has an id that a cursor can be. */
	a->is_message_last = ev->entity_id != NULL &&
	    strcmp(ev->type, "NEW_MESSAGE") == 0;
	return 0;
}

static void
add_sync(struct answer *a, const char *pos)
{
	if (a->n_events > 0)
		buf_addc(a->body, ',');
	buf_adds(a->body, "{\"type\":\"SYNC\",\"payload\":{\"id\":\"");
	buf_adds(a->body, pos);
	buf_adds(a->body, "\"}}");
}

void
answer_end(struct answer *a, struct answer_end *end)
{
	char pos[CLOCK_POS_SIZE];

	if (a->is_full) {
		end->pos = a->last_pos;
		end->is_more = 1;
	}
	(void)clock_print_pos(end->pos, pos);
	if (end->is_legacy && !a->is_message_last &&
	    (a->n_events > 0 || end->is_moved || end->reset != NULL))
		add_sync(a, pos);
	buf_adds(a->body, "],\"timestamp\":\"");
	buf_adds(a->body, pos);
	buf_addc(a->body, '"');
	if (end->is_more)
		buf_adds(a->body, ",\"more\":true");
	if (end->reset != NULL)
		buf_addf(a->body, ",\"reset\":\"%s\"", end->reset);
	buf_addc(a->body, '}');
}
