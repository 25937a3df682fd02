/*
 * auth: its keys - what it opens with and what not, rotation, each algorithm from
 * signing to verifying, and a public key that is tried as a secret.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "err.h"
#include "testauth.h"

static void
test_rotation(void **state)
{
	struct auth *auth = open_auth(KEY1, KEY2 "\n", CONF_PARTIES);
	char *first = token_raw(HEADER, GOOD, KEY1);
	char *second = token_raw(HEADER, GOOD, KEY2);
	char *third = token_raw(HEADER, GOOD, KEY3), *token;

	(void)state;
	assert_int_equal(verify(auth, first), NONE);
	assert_int_equal(verify(auth, second), NONE);
	assert_int_equal(verify(auth, third), BAD);
	/* The present key signs. */
	assert_int_equal(auth_sign(auth, "u1", NULL, NOW, 60, &token), 0);
	close_auth(auth);
	auth = open_auth(KEY1, NULL, CONF_PARTIES);
	assert_int_equal(verify(auth, token), NONE);
	assert_int_equal(verify(auth, second), BAD);
	close_auth(auth);
	free(token);

	auth = open_auth(KEY_RSA_OTHER_PUBLIC, KEY_RSA_PRIVATE KEY_RSA_PUBLIC,
	    "jwt.algorithm = RS256\n");
	assert_int_equal(auth_sign(auth, "u1", NULL, NOW, 60, &token),
	    ERR_DENIED);
	close_auth(auth);
	free(first);
	free(second);
	free(third);
}

/* The public key is no secret: an HMAC made with it is nobody's signature. */
static void
test_public_key_as_secret(void **state)
{
	static const char *const keys[] = {
		KEY_RSA_PUBLIC, KEY_EC_PUBLIC
	};
	static const char *const extra[] = {
		"jwt.algorithm = RS256\n", "jwt.algorithm = ES256\n"
	};
	struct auth *auth;
	char *token, why[512];
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		auth = open_auth(keys[i], keys[i], extra[i]);
		token = token_raw(HEADER, "{\"sub\":\"u1\"," EXP "}", keys[i]);
		assert_int_equal(verify(auth, token), BAD);
		free(token);
		close_auth(auth);
		assert_int_equal(try_open(keys[i], NULL, "", &auth, why,
		    sizeof(why)), ERR_INVAL);
	}
}

static const struct {
	const char	*extra, *key, *verify_key, *other;
} sign_cases[] = {
	{ "jwt.algorithm = HS256\n", KEY1, KEY1 "\n", KEY2 },
	{ "jwt.algorithm = HS384\n", KEY1, KEY1 "\r\n", KEY2 },
	{ "jwt.algorithm = HS512\n", KEY1, KEY1, KEY2 },
	{ "jwt.algorithm = RS256\n", KEY_RSA_PRIVATE KEY_RSA_PUBLIC,
	    KEY_RSA_PUBLIC, KEY_RSA_OTHER_PUBLIC },
	{ "jwt.algorithm = ES256\n", KEY_EC_PUBLIC KEY_EC_SEC1, KEY_EC_PUBLIC,
	    KEY_EC_OTHER_PUBLIC },
};

#define SIGN_CASES	(sizeof(sign_cases) / sizeof(sign_cases[0]))

/* Signs with each algorithm; who verifies has the public key alone. */
static void
test_sign(void **state)
{
	struct auth_claims claims;
	struct auth *auth;
	char *token[SIGN_CASES], lines[256];
	size_t i, k;

	(void)state;
	for (i = 0; i < SIGN_CASES; i++) {
		(void)snprintf(lines, sizeof(lines), "%s" CONF_PARTIES,
		    sign_cases[i].extra);
		auth = open_auth(sign_cases[i].key, NULL, lines);
		assert_int_equal(auth_sign(auth, "user \303\251", "a publish",
		    NOW, 600, &token[i]), 0);
		close_auth(auth);
	}
	for (i = 0; i < SIGN_CASES; i++) {
		(void)snprintf(lines, sizeof(lines), "%s" CONF_PARTIES,
		    sign_cases[i].extra);
		auth = open_auth(sign_cases[i].verify_key, NULL, lines);
		for (k = 0; k < SIGN_CASES; k++)
			assert_int_equal(verify(auth, token[k]),
			    k == i ? NONE : BAD);
		assert_int_equal(verify_len(auth, token[i], strlen(token[i]),
		    NOW + 659, &claims), NONE);
		assert_string_equal(claims.user_id, "user \303\251");
		assert_string_equal(claims.scope, "a publish");
		assert_int_equal(claims.expires_at_s, NOW + 600);
		assert_int_equal(verify_at(auth, token[i], NOW + 660), OLD);
		assert_int_equal(verify_at(auth, token[i], NOW - 60), NONE);
		assert_int_equal(verify_at(auth, token[i], NOW - 61), BAD);
		close_auth(auth);
		auth = open_auth(sign_cases[i].other, NULL, lines);
		assert_int_equal(verify(auth, token[i]), BAD);
		close_auth(auth);
		auth = open_auth(sign_cases[i].verify_key, NULL,
		    sign_cases[i].extra);
		assert_int_equal(verify(auth, token[i]), NONE);
		close_auth(auth);
	}
	for (i = 0; i < SIGN_CASES; i++)
		free(token[i]);
}

static void
test_sign_refuses(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, "");
	char scope[AUTH_MAX_SCOPE + 2], *token = NULL;

	(void)state;
	memset(scope, 's', sizeof(scope) - 1);
	scope[sizeof(scope) - 1] = '\0';
	assert_int_equal(auth_sign(auth, "", NULL, NOW, 1, &token), ERR_INVAL);
	assert_int_equal(auth_sign(auth, "a\nb", NULL, NOW, 1, &token),
	    ERR_INVAL);
	assert_int_equal(auth_sign(auth, "a\xff", NULL, NOW, 1, &token),
	    ERR_INVAL);
	assert_int_equal(auth_sign(auth, U128 "u", NULL, NOW, 1, &token),
	    ERR_INVAL);
	assert_int_equal(auth_sign(auth, "u1", NULL, NOW, INT64_MAX, &token),
	    ERR_INVAL);
	assert_int_equal(auth_sign(auth, "u1", scope, NOW, 1, &token),
	    ERR_TOOBIG);
	assert_null(token);
	assert_int_equal(auth_sign(auth, "u1", scope + 1, NOW, 1, &token), 0);
	assert_int_equal(verify(auth, token), NONE);
	free(token);
	close_auth(auth);
	auth = open_auth(KEY_RSA_PUBLIC, NULL, "jwt.algorithm = RS256\n");
	token = NULL;
	assert_int_equal(auth_sign(auth, "u1", NULL, NOW, 1, &token),
	    ERR_DENIED);
	assert_null(token);
	close_auth(auth);
}

static void
test_open_fails(void **state)
{
	static const struct {
		const char *key, *old, *extra;
		int err;
	} cases[] = {
		{ "", NULL, "", ERR_INVAL },
		{ "short", NULL, "", ERR_INVAL },
		{ KEY1, "", "", ERR_INVAL },
		{ KEY1, KEY_RSA_PUBLIC, "", ERR_INVAL },
		{ KEY1, NULL, "jwt.algorithm = RS256\n", ERR_INVAL },
		{ KEY1, NULL, "jwt.previous_key_file = /nonexistent/key\n",
		    ERR_NOTFOUND },
		{ KEY_RSA_PRIVATE KEY_RSA_OTHER_PUBLIC, NULL,
		    "jwt.algorithm = RS256\n", ERR_INVAL },
		{ KEY_EC_PRIVATE KEY_EC_OTHER_PUBLIC, NULL,
		    "jwt.algorithm = ES256\n", ERR_INVAL },
		{ KEY_RSA_PRIVATE KEY_EC_PUBLIC, NULL,
		    "jwt.algorithm = ES256\n", ERR_INVAL },
		{ KEY_EC_PUBLIC, KEY_EC_PRIVATE KEY_EC_OTHER_PUBLIC,
		    "jwt.algorithm = ES256\n", ERR_INVAL },
	};
	struct auth *auth = NULL;
	char why[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = '\0';
		if (try_open(cases[i].key, cases[i].old, cases[i].extra, &auth,
		    why, sizeof(why)) != cases[i].err)
			fail_msg("case %zu: %s", i, why);
		assert_true(why[0] == '/');	/* names the file */
		assert_null(auth);
	}
	auth_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_public_key_as_secret),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_sign_refuses),
		cmocka_unit_test(test_open_fails),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
