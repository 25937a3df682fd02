/*
 * Ten thousand held polls or sockets have ten thousand different deadlines, and most
 * of them are moved or cancelled before they are due (timer.h).
 */
#include <stdlib.h>

#include "err.h"
#include "timer.h"

#define FIRST_CAP	64

void
timers_init(struct timers *ts)
{
	ts->heap = NULL;
	ts->len = ts->cap = 0;
}

void
timers_release(struct timers *ts)
{
	size_t i;

	for (i = 0; i < ts->len; i++)
		ts->heap[i]->place = 0;
	free(ts->heap);
	timers_init(ts);
}

static void
put(struct timers *ts, size_t place, struct timer *t)
{
	ts->heap[place - 1] = t;
	t->place = place;
}

static void
rise(struct timers *ts, struct timer *t)
{
	size_t place = t->place;

	while (place > 1 && ts->heap[place / 2 - 1]->at_ms > t->at_ms) {
		put(ts, place, ts->heap[place / 2 - 1]);
		place /= 2;
	}
	put(ts, place, t);
}

static void
sink(struct timers *ts, struct timer *t)
{
	size_t place = t->place, child;

	for (;;) {
		child = place * 2;
		if (child > ts->len)
			break;
		if (child < ts->len &&
		    ts->heap[child]->at_ms < ts->heap[child - 1]->at_ms)
			child++;
		if (ts->heap[child - 1]->at_ms >= t->at_ms)
			break;
		put(ts, place, ts->heap[child - 1]);
		place = child;
	}
	put(ts, place, t);
}

int
timers_reserve(struct timers *ts, size_t n)
{
	struct timer **heap;
	size_t cap = ts->cap == 0 ? FIRST_CAP : ts->cap;

	if (n <= ts->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	heap = reallocarray(ts->heap, cap, sizeof(*heap));
	if (heap == NULL)
		return ERR_NOMEM;
	ts->heap = heap;
	ts->cap = cap;
	return 0;
}

int
timers_set(struct timers *ts, struct timer *t, void *owner, int64_t at_ms)
{
	if (t->place == 0) {
		if (timers_reserve(ts, ts->len + 1) < 0)
			return ERR_NOMEM;
		ts->len++;
		put(ts, ts->len, t);
	}
	t->owner = owner;
	t->at_ms = at_ms;
	rise(ts, t);
	sink(ts, t);
	return 0;
}

void
timers_cancel(struct timers *ts, struct timer *t)
{
	struct timer *last;
	size_t place = t->place;

	if (place == 0)
		return;
	t->place = 0;
	last = ts->heap[--ts->len];
	if (last == t)
		return;
	put(ts, place, last);
	rise(ts, last);
	sink(ts, last);
}

struct timer *
timers_take(struct timers *ts, int64_t now_ms)
{
	struct timer *t;

	if (ts->len == 0 || ts->heap[0]->at_ms > now_ms)
		return NULL;
	t = ts->heap[0];
	timers_cancel(ts, t);
	return t;
}

int64_t
timers_wait_ms(const struct timers *ts, int64_t now_ms)
{
	int64_t wait;

	if (ts->len == 0)
		return -1;
	wait = ts->heap[0]->at_ms - now_ms;
	return wait > 0 ? wait : 0;
}
