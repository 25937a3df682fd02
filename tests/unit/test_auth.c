/*
 * auth: every way in which a token can be wrong, and the few in which it is
 * right.  The clock stands at NOW; the leeway is 60 seconds.
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
#include "clock.h"
#include "testauth.h"

#define OPT(c)	"{" USER "," EXP "," c "}"	/* with a claim more */
#define SUB(v)	"{" PARTIES "," EXP ",\"sub\":" v "}"
#define END(v)	"{" USER ",\"exp\":" v "}"
#define ISS(v)	"{\"sub\":\"u1\",\"aud\":\"chat\"," EXP ",\"iss\":" v "}"
#define AUD(v)	"{\"sub\":\"u1\",\"iss\":\"site\"," EXP ",\"aud\":" v "}"

static const struct {
	const char	*payload;
	enum problem	 want;
} claims_cases[] = {
	{ GOOD, NONE },
	{ " {\n" USER ",\t" EXP " } ", NONE },

	{ "{" PARTIES "," EXP "}", BAD },
	{ SUB("\"\""), BAD },
	{ SUB("null"), BAD },
	{ SUB("true"), BAD },
	{ SUB("1.5"), BAD },
	{ SUB("1.0"), BAD },
	{ SUB("[\"u1\"]"), BAD },
	{ SUB("{\"id\":\"u1\"}"), BAD },
	{ SUB("\"" U128 "\""), NONE },
	{ SUB("\"" U128 "u\""), BAD },
	{ SUB("\"a\\u0000b\""), BAD },
	{ SUB("\"a\\nb\""), BAD },
	{ SUB("\"a\\u007f\""), BAD },
	{ SUB("\"a\\u0085b\""), BAD },
	{ SUB("\"\302\237\""), BAD },
	{ SUB("\"\302\240\303\251\""), NONE },
	{ SUB("\"\\ud800\""), BAD },
	{ SUB("\"a\xff\""), BAD },
	{ SUB("\"\xc0\x80\""), BAD },
	{ SUB("\"../x'; --\""), NONE },
	{ SUB("42"), NONE },
	{ SUB("9223372036854775808"), BAD },

	{ "{" USER "}", BAD },
	{ END("null"), BAD },
	{ END("true"), BAD },
	{ END("\"20000\""), BAD },
	{ END("[20000]"), BAD },
	{ END("{}"), BAD },
	{ END("20000.5"), NONE },
	{ END("2e4"), NONE },
	{ END("9000000000000000000"), NONE },
	{ END("1e300"), NONE },
	{ END("1e400"), BAD },
	{ END("NaN"), BAD },
	{ END("Infinity"), BAD },
	{ END("99999999999999999999"), BAD },
	{ END("0"), OLD },
	{ END("-1"), OLD },
	{ END("-1e300"), OLD },
	{ END("9939"), OLD },
	{ END("9940"), OLD },
	{ END("9940.9"), OLD },
	{ END("9941"), NONE },
	{ END("9941.9"), NONE },

	{ OPT("\"nbf\":10060"), NONE },
	{ OPT("\"nbf\":10060.5"), BAD },
	{ OPT("\"nbf\":10061"), BAD },
	{ OPT("\"nbf\":-5.5"), NONE },
	{ OPT("\"nbf\":1e300"), BAD },
	{ OPT("\"nbf\":\"10\""), BAD },
	{ OPT("\"nbf\":null"), BAD },
	{ OPT("\"nbf\":false"), BAD },
	{ OPT("\"nbf\":[]"), BAD },
	{ OPT("\"nbf\":{}"), BAD },
	{ OPT("\"iat\":10060"), NONE },
	{ OPT("\"iat\":10061"), BAD },
	{ OPT("\"iat\":10061,\"nbf\":1"), BAD },
	{ OPT("\"iat\":1,\"nbf\":10061"), BAD },
	{ OPT("\"iat\":\"10\""), BAD },
	{ OPT("\"iat\":null"), BAD },
	{ OPT("\"iat\":true"), BAD },
	{ OPT("\"iat\":[1]"), BAD },
	{ OPT("\"iat\":{}"), BAD },

	{ "{\"sub\":\"u1\",\"aud\":\"chat\"," EXP "}", BAD },
	{ ISS("\"other\""), BAD },
	{ ISS("\"Site\""), BAD },
	{ ISS("\"site\\u0000\""), BAD },
	{ ISS("\"sit\""), BAD },
	{ ISS("\"\""), BAD },
	{ ISS("null"), BAD },
	{ ISS("5"), BAD },
	{ ISS("[\"site\"]"), BAD },
	{ ISS("{}"), BAD },
	{ "{\"sub\":\"u1\",\"iss\":\"site\"," EXP "}", BAD },
	{ AUD("\"other\""), BAD },
	{ AUD("\"chat2\""), BAD },
	{ AUD("\"\""), BAD },
	{ AUD("null"), BAD },
	{ AUD("1"), BAD },
	{ AUD("true"), BAD },
	{ AUD("{\"chat\":1}"), BAD },
	{ AUD("[]"), BAD },
	{ AUD("[\"other\"]"), BAD },
	{ AUD("[\"other\",\"chat\"]"), NONE },
	{ AUD("[\"chat\",\"other\"]"), NONE },
	{ AUD("[\"chat\",5]"), BAD },
	{ AUD("[[\"chat\"]]"), BAD },
	{ AUD("[null]"), BAD },

	/* The last of two counts, for us as for libjwt (RFC 7519, 4). */
	{ END("20000,\"exp\":1"), OLD },
	{ END("1,\"exp\":20000"), NONE },
	{ SUB("\"u1\",\"sub\":\"\""), BAD },

	{ OPT("\"scope\":7,\"name\":null,\"avatar\":[]"), NONE },
	{ OPT("\"x\":[[[[[{\"y\":[1,2,{}]}]]]]]"), NONE },

	{ "", BAD },
	{ "{}", BAD },
	{ "[]", BAD },
	{ "null", BAD },
	{ "5", BAD },
	{ "\"u1\"", BAD },
	{ "{" USER "," EXP, BAD },
	{ GOOD "x", BAD },
	{ GOOD GOOD, BAD },
	{ "{" USER "," EXP ",}", BAD },
	{ "{'sub':'u1'," PARTIES "," EXP "}", BAD },
	{ "/**/" GOOD, BAD },
	{ "\xef\xbb\xbf" GOOD, BAD },
};

static void
test_claims(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, CONF_PARTIES);
	enum problem got;
	char *token;
	size_t i;
	int round;

	(void)state;
	for (i = 0; i < sizeof(claims_cases) / sizeof(claims_cases[0]); i++) {
		token = token_raw(HEADER, claims_cases[i].payload, KEY1);
		/* Twice: the second answer may come from the cache. */
		for (round = 0; round < 2; round++) {
			got = verify(auth, token);
			if (got != claims_cases[i].want)
				fail_msg("%s: %s, not %s",
				    claims_cases[i].payload,
				    problem_info(got)->code,
				    problem_info(claims_cases[i].want)->code);
		}
		free(token);
	}
	close_auth(auth);
}

/* A NUL ends the JSON for libjwt; what is behind it is signed, but not read. */
static void
test_payload_nul(void **state)
{
	static const char payload[] = GOOD "\0{}", nested[] = "\0" GOOD;
	struct auth *auth = open_auth(KEY1, NULL, CONF_PARTIES);
	char *token;

	(void)state;
	token = token_raw_len(HEADER, payload, sizeof(payload) - 1, KEY1,
	    strlen(KEY1));
	assert_int_equal(verify(auth, token), BAD);
	free(token);
	token = token_raw_len(HEADER, payload, sizeof(GOOD), KEY1,
	    strlen(KEY1));
	assert_int_equal(verify(auth, token), BAD);
	free(token);
	token = token_raw_len(HEADER, nested, sizeof(nested) - 1, KEY1,
	    strlen(KEY1));
	assert_int_equal(verify(auth, token), BAD);
	free(token);
	close_auth(auth);
}

static const struct {
	const char	*header;
	enum problem	 want;
} header_cases[] = {
	{ HEADER, NONE },
	{ "{\"alg\":\"HS256\"}", NONE },
	{ "{\"typ\":\"JWT\",\"alg\":\"HS256\",\"kid\":\"../../x\"}", NONE },
	{ "{\"alg\":\"none\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"nOnE\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"hs256\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"HS512\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"PS256\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"\",\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":null,\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":256,\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":[\"HS256\"],\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"HS256\",\"alg\":\"none\"}", BAD },
	{ "{\"typ\":\"JWT\"}", BAD },
	{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", BAD },
	{ "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", BAD },
	{ "{}", BAD },
	{ "[]", BAD },
	{ "null", BAD },
	{ "not json", BAD },
	{ "", BAD },
};

static void
test_headers(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, CONF_PARTIES);
	enum problem got;
	char *token;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(header_cases) / sizeof(header_cases[0]); i++) {
		token = token_raw(header_cases[i].header, GOOD, KEY1);
		got = verify(auth, token);
		if (got != header_cases[i].want)
			fail_msg("%s: %s", header_cases[i].header,
			    problem_info(got)->code);
		/* The same without its signature, with and without the dot. */
		strrchr(token, '.')[1] = '\0';
		assert_int_equal(verify(auth, token), BAD);
		*strrchr(token, '.') = '\0';
		assert_int_equal(verify(auth, token), BAD);
		free(token);
	}
	close_auth(auth);
}

static void
test_forms(void **state)
{
	static const char *const bad[] = {
		".", "..", "...", "....", "a", "a.b", "a.b.c", "a.b.c.d",
		"null", "Bearer x.y.z", " ", "\n", "=", "e30.e30.e30",
		"e30=.e30=.e30=", "eyJhbGciOiJub25lIn0..", "\xff\xfe.\x80.a",
		"eyJhbGciOiJub25lIn0.e30.", ".e30.e30", "e30..e30",
	};
	struct auth *auth = open_auth(KEY1, NULL, "");
	struct auth_claims claims;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (verify(auth, bad[i]) != BAD)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(verify(auth, ""), PROBLEM_MISSING_TOKEN);
	assert_int_equal(verify_len(auth, "a\0b.c", 5, NOW, &claims), BAD);
	close_auth(auth);
}

/* Puts each of these bytes at each place of a good token, and behind it. */
static void
test_foreign_bytes(void **state)
{
	static const char foreign[] = " \n\r\t=+/.\"%\x80\0";
	struct auth *auth = open_auth(KEY1, NULL, CONF_PARTIES);
	struct auth_claims claims;
	char *token = token_raw(HEADER, GOOD, KEY1), odd[1024];
	size_t len = strlen(token), i, c;

	(void)state;
	for (c = 0; c < sizeof(foreign) - 1; c++) {
		for (i = 0; i <= len; i++) {
			memcpy(odd, token, i);
			odd[i] = foreign[c];
			memcpy(odd + i + 1, token + i, len - i);
			if (verify_len(auth, odd, len + 1, NOW, &claims) != BAD)
				fail_msg("byte %zu at %zu", c, i);
		}
	}
	assert_int_equal(verify(auth, token), NONE);
	free(token);
	close_auth(auth);
}

/* No token but the one that was signed is good, before and after it is known. */
static void
check_changes(struct auth *auth, char *token)
{
	struct auth_claims claims;
	size_t len = strlen(token), i;
	int bit;

	for (i = 0; i < len; i++) {
		if (verify_len(auth, token, i, NOW, &claims) == NONE)
			fail_msg("cut at %zu", i);
		for (bit = 0; bit < 8; bit++) {
			token[i] ^= (char)(1 << bit);
			if (verify_len(auth, token, len, NOW, &claims) == NONE)
				fail_msg("bit %d of byte %zu", bit, i);
			token[i] ^= (char)(1 << bit);
		}
	}
}

static void
test_changes(void **state)
{
	static const struct {
		const char *extra, *key;
	} kinds[] = {
		{ "jwt.algorithm = HS256\n", KEY1 },
		{ "jwt.algorithm = HS384\n", KEY1 },
		{ "jwt.algorithm = HS512\n", KEY1 },
		{ "jwt.algorithm = RS256\n", KEY_RSA_PRIVATE KEY_RSA_PUBLIC },
		{ "jwt.algorithm = ES256\n", KEY_EC_PRIVATE KEY_EC_PUBLIC },
	};
	struct auth *auth;
	char *token;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		auth = open_auth(kinds[i].key, NULL, kinds[i].extra);
		assert_int_equal(auth_sign(auth, "u1", NULL, NOW, 60, &token),
		    0);
		check_changes(auth, token);
		assert_int_equal(verify(auth, token), NONE);
		check_changes(auth, token);
		assert_int_equal(verify(auth, token), NONE);
		free(token);
		close_auth(auth);
	}
}

static char *
long_token(size_t len)
{
	char name[AUTH_MAX_TOKEN], payload[2 * AUTH_MAX_TOKEN], *token;
	size_t n;

	for (n = len / 4 * 3 - 200; n < len; n++) {
		memset(name, 'n', n);
		name[n] = '\0';
		(void)snprintf(payload, sizeof(payload),
		    "{\"sub\":\"u1\"," EXP ",\"pad\":\"%s\"}", name);
		token = token_raw(HEADER, payload, KEY1);
		if (strlen(token) == len)
			return token;
		free(token);
	}
	fail_msg("no token of %zu bytes", len);
	return NULL;
}

static void
test_length(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, "");
	struct auth_claims claims;
	char *token;

	(void)state;
	token = long_token(AUTH_MAX_TOKEN);
	assert_int_equal(verify(auth, token), NONE);
	free(token);
	/* 8193 = 36 + 1 + 8112 + 1 + 43 is a length that base64 can have. */
	token = long_token(AUTH_MAX_TOKEN + 1);
	assert_int_equal(verify(auth, token), BAD);
	assert_int_equal(verify_len(auth, token, AUTH_MAX_TOKEN, NOW, &claims),
	    BAD);
	free(token);
	close_auth(auth);
}

static const struct {
	const char	*payload;
	const char	*user_id, *scope, *name, *avatar;
	int64_t		 expires_at_s;
} filled_cases[] = {
	{ "{\"sub\":\"u1\",\"exp\":20000.9}", "u1", "", "", "", 20000 },
	{ "{\"sub\":0,\"exp\":2e4}", "0", "", "", "", 20000 },
	{ "{\"sub\":-17,\"exp\":20000}", "-17", "", "", "", 20000 },
	{ "{\"sub\":9223372036854775807,\"exp\":20000}",
	    "9223372036854775807", "", "", "", 20000 },
	{ "{\"sub\":\"\\u00e9\\ud83d\\ude00\",\"exp\":1e300}",
	    "\303\251\360\237\230\200", "", "", "", CLOCK_POS_MAX / 1000000 },
	{ "{\"sub\":\"u\",\"exp\":20000,\"scope\":\"publish metrics\","
	    "\"name\":\"Ann\",\"avatar\":\"/a.png\"}",
	    "u", "publish metrics", "Ann", "/a.png", 20000 },
	{ "{\"sub\":\"u\",\"exp\":20000,\"scope\":[\"publish\"],"
	    "\"name\":5,\"avatar\":null}", "u", "", "", "", 20000 },
	/* Not configured, so not looked at. */
	{ "{\"sub\":\"u\",\"exp\":20000,\"iss\":5,\"aud\":\"elsewhere\"}",
	    "u", "", "", "", 20000 },
};

static void
test_filled(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, "");
	struct auth_claims got;
	char *token;
	size_t i;
	int round;

	(void)state;
	for (i = 0; i < sizeof(filled_cases) / sizeof(filled_cases[0]); i++) {
		token = token_raw(HEADER, filled_cases[i].payload, KEY1);
		for (round = 0; round < 2; round++) {
			assert_int_equal(verify_len(auth, token, strlen(token),
			    NOW, &got), NONE);
			assert_string_equal(got.user_id,
			    filled_cases[i].user_id);
			assert_string_equal(got.scope, filled_cases[i].scope);
			assert_string_equal(got.name, filled_cases[i].name);
			assert_string_equal(got.avatar,
			    filled_cases[i].avatar);
			assert_true(got.expires_at_s
			    == filled_cases[i].expires_at_s);
		}
		free(token);
	}
	close_auth(auth);
}

/* What is too long: a scope loses words, a name characters, an avatar all. */
static void
test_long_claims(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, "");
	struct auth_claims got;
	char scope[400] = "", name[400] = "", avatar[AUTH_MAX_AVATAR + 2];
	char payload[4096], *token;
	int i;

	(void)state;
	for (i = 0; i < AUTH_MAX_SCOPE - 7; i++)
		strncat(scope, i % 2 ? " " : "s", 2);
	strncat(scope, " publisher", 16);	/* "publish" would just fit */
	for (i = 0; i < AUTH_MAX_NAME - 1; i++)
		strncat(name, "n", 2);
	strncat(name, "\303\251", 3);
	memset(avatar, 'a', sizeof(avatar) - 1);
	avatar[sizeof(avatar) - 1] = '\0';
	(void)snprintf(payload, sizeof(payload), "{\"sub\":\"u\"," EXP
	    ",\"scope\":\"%s\",\"name\":\"%s\",\"avatar\":\"%s\"}", scope, name,
	    avatar);
	token = token_raw(HEADER, payload, KEY1);
	assert_int_equal(verify_len(auth, token, strlen(token), NOW, &got),
	    NONE);
	free(token);
	assert_true(auth_has_scope(&got, "s"));
	assert_false(auth_has_scope(&got, "publish"));
	assert_false(auth_has_scope(&got, "publisher"));
	assert_int_equal(strlen(got.name), AUTH_MAX_NAME - 1);
	assert_string_equal(got.avatar, "");

	/* One word that does not fit. */
	memset(scope, 's', AUTH_MAX_SCOPE + 1);
	scope[AUTH_MAX_SCOPE + 1] = '\0';
	(void)snprintf(payload, sizeof(payload), "{\"sub\":\"u\"," EXP
	    ",\"scope\":\"%s\",\"avatar\":\"%s\"}", scope, avatar + 1);
	token = token_raw(HEADER, payload, KEY1);
	assert_int_equal(verify_len(auth, token, strlen(token), NOW, &got),
	    NONE);
	free(token);
	assert_string_equal(got.scope, "");
	assert_int_equal(strlen(got.avatar), AUTH_MAX_AVATAR);
	close_auth(auth);
}

/* A known token is judged by the clock at each use, and by nothing else. */
static void
test_cache(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, "jwt.leeway_s = 0\n");
	char *token = token_raw(HEADER,
	    "{\"sub\":\"u1\",\"nbf\":9000,\"exp\":11000}", KEY1), *issuer;

	(void)state;
	assert_int_equal(verify_at(auth, token, 10000), NONE);
	/* No configuration changes at run time, but here it shows the hit. */
	issuer = conf.jwt_issuer;
	conf.jwt_issuer = (char[]){ "somebody else" };
	assert_int_equal(verify_at(auth, token, 10000), NONE);
	assert_int_equal(verify_at(auth, token, 9000), NONE);
	assert_int_equal(verify_at(auth, token, 8999), BAD);
	assert_int_equal(verify_at(auth, token, 10999), NONE);
	assert_int_equal(verify_at(auth, token, 11000), OLD);
	assert_int_equal(verify_at(auth, token, 10000), NONE);
	conf.jwt_issuer = issuer;
	free(token);
	close_auth(auth);
}

/* Peers know what either has verified, as long as one of them lives. */
static void
test_peers(void **state)
{
	struct auth *auth = open_auth(KEY1, NULL, ""), *peer;
	char *token = token_raw(HEADER, "{\"sub\":\"u1\",\"exp\":11000}", KEY1);
	char *other = token_raw(HEADER, "{\"sub\":\"u2\",\"exp\":11000}", KEY1);
	char *issuer, why[512] = "";

	(void)state;
	assert_int_equal(auth_open_peer(&conf, auth, &peer, why, sizeof(why)),
	    0);
	assert_int_equal(verify_at(auth, token, 10000), NONE);
	assert_int_equal(verify_at(peer, other, 10000), NONE);
	issuer = conf.jwt_issuer;
	conf.jwt_issuer = (char[]){ "somebody else" };
	assert_int_equal(verify_at(peer, token, 10000), NONE);
	assert_int_equal(verify_at(auth, other, 10000), NONE);
	auth_close(auth);
	assert_int_equal(verify_at(peer, token, 10000), NONE);
	conf.jwt_issuer = issuer;
	free(token);
	free(other);
	close_auth(peer);
}

static void
test_bearer(void **state)
{
	static const struct {
		const char *header, *token;
	} cases[] = {
		{ "Bearer a.b.c", "a.b.c" },
		{ "bearer a.b.c", "a.b.c" },
		{ "BEARER   a.b.c", "a.b.c" },
		{ "Bearer a.b.c  \t", "a.b.c" },
		{ "Bearer ~+/x==", "~+/x==" },
		{ NULL, NULL },
		{ "", NULL },
		{ "Bearer", NULL },
		{ "Bearer ", NULL },
		{ "Bearer    ", NULL },
		{ "Bearer\ta.b.c", NULL },
		{ "Bearera.b.c", NULL },
		{ "Bearer a.b.c d", NULL },
		{ "Bearer a.b.c\r\nX: y", NULL },
		{ "Basic dTpw", NULL },
		{ " Bearer a.b.c", NULL },
		{ "a.b.c", NULL },
	};
	const char *got;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = 99;
		got = auth_parse_bearer(cases[i].header, &len);
		if (cases[i].token == NULL) {
			assert_null(got);
			assert_int_equal(len, 99);
			continue;
		}
		assert_non_null(got);
		assert_int_equal(len, strlen(cases[i].token));
		assert_memory_equal(got, cases[i].token, len);
	}
}

static void
test_scope(void **state)
{
	static const struct {
		const char *scope, *word;
		int has;
	} cases[] = {
		{ "publish", "publish", 1 }, { "a publish b", "publish", 1 },
		{ " a  publish ", "publish", 1 }, { "", "publish", 0 },
		{ "publisher", "publish", 0 }, { "pub", "publish", 0 },
		{ "a b", "", 0 }, { "", "", 0 }, { "  ", "", 0 },
		{ "Publish", "publish", 0 }, { "a b", "a b", 0 },
	};
	struct auth_claims claims;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(claims.scope, sizeof(claims.scope), "%s",
		    cases[i].scope);
		assert_int_equal(auth_has_scope(&claims, cases[i].word),
		    cases[i].has);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_payload_nul),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_foreign_bytes),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_filled),
		cmocka_unit_test(test_long_claims),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_scope),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
