/*
 * An array used as a ring; positions rise, so that finding one is a binary search.
 */
#include <assert.h>
#include <stdlib.h>

#include "err.h"
#include "event.h"
#include "ring.h"

struct ring {
	struct event	**slot;
	size_t		  mask;		/* slots - 1 */
	size_t		  first;	/* slot of the oldest */
	size_t		  len;
	size_t		  bytes;	/* of texts */
	size_t		  max_bytes;
	int64_t		  floor;
};

int
ring_new(size_t max_events, size_t max_bytes, int64_t floor, struct ring **ret)
{
	struct ring *r;

	assert(max_events > 0 && (max_events & (max_events - 1)) == 0);
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ERR_NOMEM;
	r->slot = calloc(max_events, sizeof(*r->slot));
	if (r->slot == NULL) {
		free(r);
		return ERR_NOMEM;
	}
	r->mask = max_events - 1;
	r->max_bytes = max_bytes;
	r->floor = floor;
	*ret = r;
	return 0;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	ring_reset(r, 0);
	free(r->slot);
	free(r);
}

static void
ring_drop_oldest(struct ring *r)
{
	struct event *ev = r->slot[r->first];

	r->floor = ev->id;
	r->bytes -= ev->text_len + ev->self_len;
	r->slot[r->first] = NULL;
	r->first = (r->first + 1) & r->mask;
	r->len--;
	event_unref(ev);
}

void
ring_reset(struct ring *r, int64_t floor)
{
	while (r->len > 0)
		ring_drop_oldest(r);
	r->floor = floor;
}

void
ring_push(struct ring *r, struct event *ev)
{
	assert(r->len == 0 || ring_at(r, r->len - 1)->id < ev->id);
	if (r->len > r->mask)
		ring_drop_oldest(r);
	r->slot[(r->first + r->len) & r->mask] = event_ref(ev);
	r->len++;
	r->bytes += ev->text_len + ev->self_len;
	while (r->bytes > r->max_bytes && r->len > 1)
		ring_drop_oldest(r);
}

int64_t
ring_floor(const struct ring *r)
{
	return r->floor;
}

size_t
ring_find(const struct ring *r, int64_t pos)
{
	size_t lo = 0, hi = r->len, mid;

	/* Most lack only the newest. */
	if (hi > 1 && ring_at(r, hi - 2)->id <= pos)
		return ring_at(r, hi - 1)->id <= pos ? hi : hi - 1;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (ring_at(r, mid)->id <= pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct event *
ring_at(const struct ring *r, size_t index)
{
	return r->slot[(r->first + index) & r->mask];
}

size_t
ring_len(const struct ring *r)
{
	return r->len;
}

size_t
ring_bytes(const struct ring *r)
{
	return r->bytes;
}
