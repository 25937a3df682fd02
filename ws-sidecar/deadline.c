/*
 * deadline - a binary heap, the earliest on top.  Each deadline knows its slot, so
 * that it can be moved or taken out in logarithmic time.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "err.h"

void
deadlines_init(struct deadlines *ds)
{
	memset(ds, 0, sizeof(*ds));
}

void
deadlines_release(struct deadlines *ds)
{
	free(ds->heap);
	memset(ds, 0, sizeof(*ds));
}

int
deadlines_reserve(struct deadlines *ds, size_t n)
{
	struct deadline **heap;
	size_t cap;

	if (n < ds->cap)
		return 0;
	cap = n + n / 2 + 64;
	heap = realloc(ds->heap, cap * sizeof(*heap));
	if (heap == NULL)
		return ERR_NOMEM;
	ds->heap = heap;
	ds->cap = cap;
	return 0;
}

static void
put(struct deadlines *ds, struct deadline *d, size_t slot)
{
	ds->heap[slot] = d;
	d->slot = slot;
}

static void
move(struct deadlines *ds, struct deadline *d)
{
	struct deadline *other;
	size_t slot = d->slot, child;

	while (slot > 1 && ds->heap[slot / 2]->at_ms > d->at_ms) {
		put(ds, ds->heap[slot / 2], slot);
		slot /= 2;
	}
	for (child = slot * 2; child <= ds->n; child = slot * 2) {
		other = ds->heap[child];
		if (child < ds->n && ds->heap[child + 1]->at_ms < other->at_ms)
			other = ds->heap[child + 1];
		if (other->at_ms >= d->at_ms)
			break;
		child = other->slot;
		put(ds, other, slot);
		slot = child;
	}
	put(ds, d, slot);
}

void
deadlines_set(struct deadlines *ds, struct deadline *d, int64_t at_ms)
{
	if (d->slot == 0) {
		assert(ds->n + 1 < ds->cap);
		put(ds, d, ++ds->n);
	}
	d->at_ms = at_ms;
	move(ds, d);
}

void
deadlines_clear(struct deadlines *ds, struct deadline *d)
{
	struct deadline *last;
	size_t slot = d->slot;

	if (slot == 0)
		return;
	d->slot = 0;
	last = ds->heap[ds->n--];
	if (last == d)
		return;
	put(ds, last, slot);
	move(ds, last);
}

struct deadline *
deadlines_first(const struct deadlines *ds)
{
	return ds->n == 0 ? NULL : ds->heap[1];
}
