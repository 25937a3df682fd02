/*
 * Counters and their two printed forms, read back line by line and by json-c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "shm.h"
#include "stats.h"

static const struct stats_gauge gauges[] = {
	{ "ring_events", "Events kept in the ring", 42 },
	{ "lag_seconds", "How far behind", 0.25 },
	{ "odd", "Not a number", NAN },
};
#define N_GAUGES	3

static void
test_add(void **state)
{
	struct shm *shm = NULL;
	int i;

	(void)state;
	stats_add(NULL, STATS_polls, 1);
	assert_int_equal(stats_get(NULL, STATS_polls), 0);
	assert_int_equal(shm_open_private(SHM_POLL, &shm), 0);
	for (i = 0; i < STATS_COUNT; i++)
		stats_add(shm, (enum stats)i, (uint64_t)i);
	stats_add(shm, STATS_polls, UINT64_C(1) << 40);
	for (i = 0; i < STATS_COUNT; i++)
		assert_int_equal(stats_get(shm, (enum stats)i),
		    (uint64_t)i + (i == STATS_polls ? UINT64_C(1) << 40 : 0));
	shm_close(shm);
	assert_string_equal(stats_name(STATS_polls), "polls_total");
	assert_string_equal(stats_name(STATS_pruned), "pruned_total");
}

static void
test_names(void **state)
{
	const char *p;
	int i, k;

	(void)state;
	for (i = 0; i < STATS_COUNT; i++) {
		for (p = stats_name((enum stats)i); *p != '\0'; p++)
			assert_true(islower((unsigned char)*p) || *p == '_' ||
			    isdigit((unsigned char)*p));
		assert_true(strlen(stats_help((enum stats)i)) > 10);
		/* The text format would want these escaped. */
		assert_null(strpbrk(stats_help((enum stats)i), "\\\n"));
		for (k = 0; k < i; k++)
			assert_string_not_equal(stats_name((enum stats)i),
			    stats_name((enum stats)k));
	}
}

/* Every sample has its HELP and TYPE before it, and there is nothing else. */
static void
test_text(void **state)
{
	char help[128], type[128], sample[128], value[64], kind[16], *line;
	struct shm *shm = NULL;
	struct buf b;
	int n = 0, used;

	(void)state;
	assert_int_equal(shm_open_private(SHM_SIDECAR, &shm), 0);
	assert_int_equal(shm_add_connections(shm, 7), 7);
	assert_int_equal(shm_add_held(shm, 3), 3);
	stats_add(shm, STATS_ws_opened, 9);
	buf_init(&b, 65536);
	stats_print(&b, shm, gauges, N_GAUGES);
	assert_int_equal(buf_err(&b), 0);
	assert_non_null(strstr(b.p, "\nsidewire_ws_opened_total 9\n"));
	assert_non_null(strstr(b.p, "\nsidewire_connections 7\n"));
	assert_non_null(strstr(b.p, "\nsidewire_held_requests 3\n"));
	assert_non_null(strstr(b.p, "\nsidewire_sidecar_processes 1\n"));
	assert_non_null(strstr(b.p, "\nsidewire_poll_processes 0\n"));
	assert_non_null(strstr(b.p, "\nsidewire_ring_events 42\n"));
	assert_non_null(strstr(b.p, "\nsidewire_lag_seconds 0.25\n"));
	assert_non_null(strstr(b.p, "\nsidewire_odd NaN\n"));
	for (line = b.p; *line != '\0'; line += used, n++) {
		used = 0;
		sscanf(line, "# HELP %127s %*[^\n]\n# TYPE %127s %15s\n%127s "
		    "%63[^\n]%n", help, type, kind, sample, value, &used);
		assert_true(used > 0);
		used++;
		assert_memory_equal(help, "sidewire_", 9);
		assert_string_equal(help, type);
		assert_string_equal(help, sample);
		assert_string_equal(kind, n < STATS_COUNT ? "counter" :
		    "gauge");
	}
	assert_int_equal(n, STATS_COUNT + 4 + N_GAUGES);
	buf_release(&b);
	shm_close(shm);
}

static void
test_json(void **state)
{
	struct json_object *obj, *v;
	struct shm *shm = NULL;
	struct buf b;

	(void)state;
	assert_int_equal(shm_open_private(SHM_POLL, &shm), 0);
	stats_add(shm, STATS_commits, 123456789012345ULL);
	buf_init(&b, 65536);
	stats_print_json(&b, shm, gauges, N_GAUGES);
	assert_int_equal(buf_err(&b), 0);
	obj = json_tokener_parse(b.p);
	assert_non_null(obj);
	assert_int_equal(json_object_object_length(obj),
	    STATS_COUNT + 4 + N_GAUGES);
	assert_true(json_object_object_get_ex(obj, "commits_total", &v));
	assert_int_equal(json_object_get_int64(v), 123456789012345LL);
	assert_true(json_object_object_get_ex(obj, "poll_processes", &v));
	assert_int_equal(json_object_get_int64(v), 1);
	assert_true(json_object_object_get_ex(obj, "lag_seconds", &v));
	assert_true(fabs(json_object_get_double(v) - 0.25) < 1e-9);
	assert_true(json_object_object_get_ex(obj, "odd", &v));
	assert_null(v);
	json_object_put(obj);
	buf_reset(&b);
	stats_print_json(&b, NULL, NULL, 0);
	obj = json_tokener_parse(b.p);
	assert_non_null(obj);
	json_object_put(obj);
	buf_release(&b);
	shm_close(shm);
}

/* A buffer that is too small remembers it. */
static void
test_small(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	stats_print(&b, NULL, NULL, 0);
	assert_int_not_equal(buf_err(&b), 0);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
