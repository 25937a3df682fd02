/*
 * hash: the numbers of FNV-1a, which are kept in databases.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hash.h"
#include "sends.h"

#define DIGEST	INT64_C(6557063771687312480)	/* of this message since there are keys */

static void
test_vectors(void **state)
{
	(void)state;
	assert_true(hash_add(HASH_START, "", 0) == 0xcbf29ce484222325ULL);
	assert_true(hash_add(HASH_START, "a", 1) == 0xaf63dc4c8601ec8cULL);
	assert_true(hash_add(HASH_START, "foobar", 6) == 0x85944171f73967e8ULL);
	/* In pieces it is the same. */
	assert_true(hash_add(hash_add(HASH_START, "foo", 3), "bar", 3) ==
	    0x85944171f73967e8ULL);
	assert_true(hash_text("foobar") == (0xf73967e8U ^ 0x85944171U));
}

/* What an older version has remembered of a message is found again. */
static void
test_digest(void **state)
{
	(void)state;
	assert_true(sends_digest("lobby", "Hello", 5, "text") == DIGEST);
	assert_true(sends_digest("lobby", "Hell", 4, "otext") != DIGEST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
