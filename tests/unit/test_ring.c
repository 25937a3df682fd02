/*
 * ring: what is after the floor is in it, in order, within both bounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "event.h"
#include "ring.h"

static struct event *
make(int64_t id, size_t text_len)
{
	char payload[4096];
	struct event *ev;

	assert_int_equal(event_new(id, "X", NULL, NULL, NULL, NULL, &ev), 0);
	memset(payload, ' ', sizeof(payload));
	payload[0] = '{';
	payload[text_len + 1] = '}';
	assert_int_equal(event_set_text(ev, "X", payload, text_len + 2, 0), 0);
	return ev;
}

static void
push(struct ring *r, int64_t id, size_t text_len)
{
	struct event *ev = make(id, text_len);

	ring_push(r, ev);
	event_unref(ev);
}

static void
assert_holds(const struct ring *r, int64_t first, int64_t step, size_t n)
{
	size_t i;

	assert_int_equal(ring_len(r), n);
	for (i = 0; i < n; i++)
		assert_int_equal(ring_at(r, i)->id, first + (int64_t)i * step);
	assert_true(n == 0 || ring_floor(r) < first);
}

static void
test_by_number(void **state)
{
	struct ring *r;
	int64_t id;

	(void)state;
	assert_int_equal(ring_new(8, 1 << 20, 5, &r), 0);
	assert_int_equal(ring_floor(r), 5);
	assert_int_equal(ring_find(r, 5), 0);
	for (id = 10; id <= 80; id += 10)
		push(r, id, 1);
	assert_holds(r, 10, 10, 8);
	assert_int_equal(ring_floor(r), 5);
	push(r, 90, 1);
	assert_holds(r, 20, 10, 8);
	assert_int_equal(ring_floor(r), 10);
	for (id = 100; id <= 400; id += 10)
		push(r, id, 1);
	assert_holds(r, 330, 10, 8);
	assert_int_equal(ring_floor(r), 320);
	ring_free(r);
}

static void
test_find(void **state)
{
	static const struct {
		int64_t	pos;
		size_t	index;
	} cases[] = {
		{ 0, 0 }, { 9, 0 }, { 10, 1 }, { 11, 1 }, { 19, 1 }, { 20, 2 },
		{ 39, 3 }, { 40, 4 }, { 1000, 4 },
	};
	struct ring *r;
	size_t i;

	(void)state;
	assert_int_equal(ring_new(4, 1 << 20, 0, &r), 0);
	push(r, 1, 1);
	push(r, 2, 1);
	for (i = 1; i <= 4; i++)
		push(r, (int64_t)i * 10, 1);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ring_find(r, cases[i].pos), cases[i].index);
	ring_free(r);
}

static void
test_by_bytes(void **state)
{
	struct ring *r;

	(void)state;
	assert_int_equal(ring_new(64, 4000, 0, &r), 0);
	push(r, 1, 1000);
	push(r, 2, 1000);
	push(r, 3, 1000);
	assert_int_equal(ring_len(r), 3);
	push(r, 4, 2500);
	assert_true(ring_bytes(r) <= 4000);
	assert_int_equal(ring_at(r, ring_len(r) - 1)->id, 4);
	/* One that is too large alone stays all the same: it is the newest. */
	push(r, 5, 4000);
	assert_holds(r, 5, 1, 1);
	assert_int_equal(ring_floor(r), 4);
	push(r, 6, 10);
	assert_holds(r, 6, 1, 1);
	ring_reset(r, 77);
	assert_int_equal(ring_len(r), 0);
	assert_int_equal(ring_bytes(r), 0);
	assert_int_equal(ring_floor(r), 77);
	ring_free(r);
	ring_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_number),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_by_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
