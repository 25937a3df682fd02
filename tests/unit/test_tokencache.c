/*
 * tokencache: what went in comes out, nothing else does, and it never outgrows
 * its bounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "auth.h"
#include "tokencache.h"

#define NO_LIMIT	(1024 * 1024)

static struct auth_claims
claims_of(const char *user_id, int64_t expires_at_s)
{
	struct auth_claims c;

	memset(&c, 0, sizeof(c));
	(void)snprintf(c.user_id, sizeof(c.user_id), "%s", user_id);
	c.expires_at_s = expires_at_s;
	return c;
}

static struct tokencache *
new_cache(size_t entries, size_t bytes)
{
	struct tokencache *tc;

	assert_int_equal(tokencache_new(entries, bytes, &tc), 0);
	return tc;
}

static size_t
count(const struct tokencache *tc, size_t *bytes)
{
	size_t n;

	tokencache_count(tc, &n, bytes);
	return n;
}

static void
test_round_trip(void **state)
{
	struct tokencache *tc = new_cache(64, NO_LIMIT);
	struct auth_claims in, out;
	const struct tokencache_entry *entry;
	size_t bytes;

	(void)state;
	assert_null(tokencache_get(tc, "a.b.c", 5));
	memset(&in, 0, sizeof(in));
	memset(in.user_id, 'u', AUTH_MAX_USER);
	memset(in.scope, 's', AUTH_MAX_SCOPE);
	memset(in.name, 'n', AUTH_MAX_NAME);
	memset(in.avatar, 'a', AUTH_MAX_AVATAR);
	in.expires_at_s = 1234;
	tokencache_put(tc, "a.b.c", 5, &in, 1000);
	entry = tokencache_get(tc, "a.b.c", 5);
	assert_non_null(entry);
	assert_int_equal(entry->expires_at_s, 1234);
	assert_int_equal(entry->not_before_s, 1000);
	memset(&out, 0, sizeof(out));
	tokencache_print(entry, &out);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(count(tc, &bytes), 1);
	assert_int_equal(bytes, entry->size);
	tokencache_free(tc);
	tokencache_free(NULL);
}

static void
test_whole_token(void **state)
{
	struct tokencache *tc = new_cache(64, NO_LIMIT);
	struct auth_claims c = claims_of("u", 10);
	char token[] = "aaaaaaaa.bbbbbbbb.cccccc";
	size_t len = sizeof(token) - 1, i;

	(void)state;
	tokencache_put(tc, token, len, &c, 0);
	for (i = 0; i < len; i++)
		assert_null(tokencache_get(tc, token, i));
	assert_null(tokencache_get(tc, token, len + 1));
	for (i = 0; i < 8 * len; i++) {
		token[i / 8] ^= (char)(1 << i % 8);
		assert_null(tokencache_get(tc, token, len));
		token[i / 8] ^= (char)(1 << i % 8);
	}
	assert_non_null(tokencache_get(tc, token, len));
	tokencache_free(tc);
}

/* One set: one token more takes the place of the one that expires first. */
static void
test_replacement(void **state)
{
	static const int64_t expires[TOKENCACHE_WAYS] = {
		40, 20, 30, 10, 45, 44, 43, 42
	};
	struct tokencache *tc = new_cache(TOKENCACHE_WAYS, NO_LIMIT);
	struct auth_claims c;
	char token[16];
	size_t bytes;
	int i;

	(void)state;
	for (i = 0; i < TOKENCACHE_WAYS; i++) {
		c = claims_of("u", expires[i]);
		(void)snprintf(token, sizeof(token), "t%d", i);
		tokencache_put(tc, token, 2, &c, 0);
	}
	c = claims_of("u", 50);
	tokencache_put(tc, "t8", 2, &c, 0);
	tokencache_put(tc, "t9", 2, &c, 0);
	assert_null(tokencache_get(tc, "t3", 2));
	assert_null(tokencache_get(tc, "t1", 2));
	assert_non_null(tokencache_get(tc, "t0", 2));
	assert_non_null(tokencache_get(tc, "t2", 2));
	assert_non_null(tokencache_get(tc, "t8", 2));
	assert_non_null(tokencache_get(tc, "t9", 2));
	assert_int_equal(count(tc, &bytes), TOKENCACHE_WAYS);
	tokencache_free(tc);
}

static void
test_bounds(void **state)
{
	struct tokencache *tc = new_cache(1024, 64 * 1024);
	struct auth_claims c = claims_of("u", 10);
	char token[AUTH_MAX_TOKEN];
	size_t bytes, n;
	int i;

	(void)state;
	memset(token, 't', sizeof(token));
	for (i = 0; i < 5000; i++) {
		memcpy(token, &i, sizeof(i));
		tokencache_put(tc, token, 300 + (size_t)i % 3000, &c, 0);
		assert_non_null(tokencache_get(tc, token,
		    300 + (size_t)i % 3000));
		n = count(tc, &bytes);
		assert_true(n > 0 && n <= 1024);
		assert_true(bytes <= 64 * 1024);
	}
	tokencache_free(tc);

	/* What is larger than all is not kept, and throws nothing out. */
	tc = new_cache(64, 4096);
	tokencache_put(tc, token, 100, &c, 0);
	tokencache_put(tc, token, 4096, &c, 0);
	assert_null(tokencache_get(tc, token, 4096));
	assert_int_equal(count(tc, &bytes), 1);
	tokencache_free(tc);
}

/* Users' tokens spread over the sets: nearly all of half a table is kept. */
static void
test_spread(void **state)
{
	struct tokencache *tc = new_cache(4096, NO_LIMIT);
	struct auth_claims c = claims_of("u", 10);
	char token[32];
	size_t len, bytes;
	int i;

	(void)state;
	for (i = 0; i < 2048; i++) {
		len = (size_t)snprintf(token, sizeof(token), "token-%d", i);
		tokencache_put(tc, token, len, &c, 0);
	}
	assert_true(count(tc, &bytes) > 1950);
	tokencache_free(tc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_whole_token),
		cmocka_unit_test(test_replacement),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
