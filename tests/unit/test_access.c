/*
 * access: the rule in memory against the rule in SQL, on random data; and rights that
 * are kept by the log against rights that are loaded anew.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "access.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "testworld.h"

#define MAX_EVENTS	20000

struct list {
	struct event	*ev[MAX_EVENTS];
	size_t		 len;
};

static int
list_add(struct event *ev, void *arg)
{
	struct list *list = arg;

	assert_true(list->len < MAX_EVENTS);
	list->ev[list->len++] = event_ref(ev);
	return 0;
}

static void
list_clear(struct list *list)
{
	while (list->len > 0)
		event_unref(list->ev[--list->len]);
}

/* Every row of the log after pos. */
static void
list_scan(struct list *list, struct store *st, int64_t pos)
{
	int n;

	do {
		n = eventlog_scan(st, pos, 100, list_add, list);
		assert_true(n >= 0);
		if (list->len > 0)
			pos = list->ev[list->len - 1]->id;
	} while (n == 100);
}

/* What SQL lets the user see of the whole log. */
static void
list_page(struct list *list, struct store *st, const char *user)
{
	int64_t pos = 0;
	int more = 1, rc;

	while (more) {
		rc = eventlog_page(st, user, NULL, 0, pos, 37, list_add, list,
		    &pos, &more);
		assert_true(rc >= 0);
	}
}

static void
assert_rules_agree(struct testdb *db, struct access *a, struct list *all,
    struct list *seen)
{
	int64_t now = clock_wall_us();
	size_t i, k = 0;
	size_t len;

	list_page(seen, db->st, access_user(a));
	for (i = 0; i < all->len; i++) {
		if (!access_may_see(a, all->ev[i], now) ||
		    event_get_text(all->ev[i], access_user(a), &len) == NULL)
			continue;
		if (k == seen->len || seen->ev[k]->id != all->ev[i]->id)
			fail_msg("%s: event %zu (%s) only in memory",
			    access_user(a), i, all->ev[i]->type);
		k++;
	}
	if (k != seen->len)
		fail_msg("%s: %s only in SQL", access_user(a),
		    seen->ev[k]->type);
	list_clear(seen);
}

static void
room_is_member(const char *room_id, void *arg)
{
	assert_true(access_is_member(arg, room_id));
}

static void
assert_same_rights(const struct access *a, struct access *b)
{
	char id[8];
	unsigned i;

	access_each_room(a, room_is_member, b);
	access_each_room(b, room_is_member, (void *)(uintptr_t)a);
	for (i = 0; i < WORLD_USERS; i++) {
		(void)snprintf(id, sizeof(id), "u%u", i);
		assert_int_equal(access_has_blocked(a, id),
		    access_has_blocked(b, id));
	}
}

static void
test_random_world(void **state)
{
	static struct list seen, fresh;
	struct access *a[WORLD_USERS], *b;
	enum access_change change;
	struct testdb db;
	char id[8];
	unsigned i, round, steps;
	size_t k;

	(void)state;
	srand(20251130);
	testdb_open(&db, NULL);
	world_make(&db);
	for (i = 0; i < WORLD_USERS; i++) {
		(void)snprintf(id, sizeof(id), "u%u", i);
		assert_int_equal(access_load(db.st, id, &a[i]), 0);
	}
	for (round = 0; round < 60; round++) {
		for (steps = world_random(25); steps > 0; steps--)
			world_step(&db);
		list_clear(&fresh);
		list_scan(&fresh, db.st, 0);
		for (i = 0; i < WORLD_USERS; i++) {
			for (k = 0; k < fresh.len; k++) {
				assert_int_equal(access_apply(a[i], fresh.ev[k],
				    &change), 0);
				if (change == ACCESS_RELOAD)
					assert_int_equal(access_reload(a[i],
					    db.st), 0);
			}
			assert_int_equal(access_load(db.st, access_user(a[i]),
			    &b), 0);
			assert_same_rights(a[i], b);
			access_free(b);
			assert_rules_agree(&db, a[i], &fresh, &seen);
		}
	}
	assert_true(fresh.len > 500);
	list_clear(&fresh);
	for (i = 0; i < WORLD_USERS; i++)
		access_free(a[i]);
	testdb_close(&db);
}

static void
set(struct event **ret, const char *type, const char *room, const char *user,
    const char *actor, const char *entity)
{
	event_unref(*ret);
	assert_int_equal(event_new(1000, type, room, user, actor, entity, ret), 0);
}

/* The clauses one by one. */
static void
test_rule(void **state)
{
	static const struct {
		const char	*room, *user, *actor, *entity;
		int		 is_open;
		int64_t		 expires_at;
		int		 may_see;
	} cases[] = {
		{ NULL, NULL, NULL, NULL, 0, 0, 1 },
		{ NULL, "u0", NULL, "r1", 0, 0, 1 },
		{ NULL, "u1", NULL, "r1", 0, 0, 0 },
		{ NULL, "", NULL, NULL, 0, 0, 0 },
		{ "r0", NULL, "u1", "m", 1, 0, 1 },	/* open */
		{ "r0", NULL, "u1", "m", 0, 0, 1 },	/* a member */
		{ "r1", NULL, "u1", "m", 0, 0, 0 },	/* neither */
		{ "r1", NULL, "u1", "m", 1, 0, 1 },
		{ "r1", NULL, "u2", "m", 1, 0, 0 },	/* blocked */
		{ NULL, NULL, "u2", NULL, 0, 0, 0 },	/* presence of a blocked */
		{ NULL, NULL, "u2", "u2", 0, 0, 0 },	/* profile of a blocked */
		{ NULL, NULL, "u0", NULL, 0, 0, 0 },	/* one's own presence */
		{ NULL, NULL, "u0", "u0", 0, 0, 1 },	/* one's own profile */
		{ "r0", NULL, "u0", "m", 1, 0, 1 },	/* one's own message */
		{ "r0", NULL, "u1", NULL, 1, 500, 0 },	/* expired */
		{ "r0", NULL, "u1", NULL, 1, 501, 1 },
		{ "r1", "u0", NULL, NULL, 0, 0, 1 },	/* user beats room */
	};
	struct access *a;
	struct event *ev = NULL;
	struct testdb db;
	size_t i;

	(void)state;
	testdb_open(&db, NULL);
	world_make(&db);
	testdb_site(&db, "INSERT INTO user_relationships(user_id, target_id, "
	    "relationship_type) VALUES ('u0','u2','blocked'), "
	    "('u0','u0','blocked'), ('u0','u1','favorite')");
	assert_int_equal(access_load(db.st, "u0", &a), 0);
	assert_false(access_has_blocked(a, "u0"));
	assert_false(access_has_blocked(a, "u1"));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set(&ev, "X", cases[i].room, cases[i].user, cases[i].actor,
		    cases[i].entity);
		ev->is_open = cases[i].is_open;
		ev->expires_at = cases[i].expires_at;
		if (access_may_see(a, ev, 500) != cases[i].may_see)
			fail_msg("case %zu", i);
	}
	event_unref(ev);
	access_free(a);
	testdb_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_random_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
