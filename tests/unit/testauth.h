/*
 * testauth - what the tests of auth share: opening with keys in files, and
 * verifying with a look at what is promised for failures.  The clock stands at
 * NOW; the leeway is 60 seconds.
 */
#ifndef TESTAUTH_H
#define TESTAUTH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "conf.h"
#include "testdb.h"
#include "testkeys.h"
#include "testtoken.h"

#define NOW		10000
#define KEY1		"the first key, of thirty-two bytes or more"
#define KEY2		"the second key, of thirty-two bytes or more"
#define KEY3		"the third key, of thirty-two bytes or more"
#define HEADER		"{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define PARTIES		"\"iss\":\"site\",\"aud\":\"chat\""
#define USER		PARTIES ",\"sub\":\"u1\""
#define EXP		"\"exp\":20000"
#define GOOD		"{" USER "," EXP "}"
#define CONF_PARTIES	"jwt.issuer = site\njwt.audience = chat\n"

static char dir[256];
static struct conf conf;

static inline void
write_key(const char *name, const char *text)
{
	char path[300];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Opens with the keys (old may be NULL) and further lines of configuration. */
static inline int
try_open(const char *key, const char *old, const char *extra,
    struct auth **ret, char *why, size_t size)
{
	char lines[1024], old_line[400] = "";
	int err;

	write_key("jwt.key", key);
	if (old != NULL) {
		write_key("old.key", old);
		(void)snprintf(old_line, sizeof(old_line),
		    "jwt.previous_key_file = %s/old.key\n", dir);
	}
	(void)snprintf(lines, sizeof(lines), "%s%s", old_line, extra);
	testdb_conf(dir, lines, &conf);
	err = auth_open(&conf, ret, why, size);
	if (err != 0)
		conf_release(&conf);
	return err;
}

static inline struct auth *
open_auth(const char *key, const char *old, const char *extra)
{
	struct auth *auth;
	char why[512] = "";

	if (try_open(key, old, extra, &auth, why, sizeof(why)) != 0)
		fail_msg("auth_open: %s", why);
	return auth;
}

static inline void
close_auth(struct auth *auth)
{
	auth_close(auth);
	conf_release(&conf);
}

/*
 * Verifies from an allocation that ends with the token, so that the sanitizer
 * sees a byte too far; on failure the claims are as they were and a reason is
 * given.
 */
static inline enum problem
verify_len(struct auth *auth, const char *token, size_t len, int64_t now_s,
    struct auth_claims *ret)
{
	struct auth_claims before;
	enum problem problem;
	const char *why = NULL;
	char *copy = malloc(len + (len == 0));

	assert_non_null(copy);
	memcpy(copy, token, len);
	memset(ret, 0x5a, sizeof(*ret));
	before = *ret;
	problem = auth_verify(auth, copy, len, now_s, ret, &why);
	free(copy);
	if (problem != PROBLEM_NONE) {
		assert_memory_equal(ret, &before, sizeof(before));
		assert_non_null(why);
		assert_true(strlen(why) > 10);
	}
	return problem;
}

static inline enum problem
verify_at(struct auth *auth, const char *token, int64_t now_s)
{
	struct auth_claims claims;

	return verify_len(auth, token, strlen(token), now_s, &claims);
}

static inline enum problem
verify(struct auth *auth, const char *token)
{
	return verify_at(auth, token, NOW);
}

#define NONE	PROBLEM_NONE
#define BAD	PROBLEM_INVALID_TOKEN
#define OLD	PROBLEM_TOKEN_EXPIRED
#define U32	"uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
#define U128	U32 U32 U32 U32

static inline int
set_up(void **state)
{
	(void)state;
	testdb_mkdir(dir, sizeof(dir));
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	testdb_rmdir(dir);
	return 0;
}

#endif
