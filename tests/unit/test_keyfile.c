/*
 * keyfile: what is taken as a key, what is refused, and that the refusal says
 * what to do.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "conf.h"
#include "err.h"
#include "keyfile.h"
#include "testdb.h"
#include "testkeys.h"

#define KEY32	"0123456789abcdef0123456789ABCDEF"
#define TEXT(s)	s, sizeof(s) - 1

static char dir[256], path[300];

static void
write_file(const char *text, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static const struct {
	int		 algorithm;
	const char	*text;
	size_t		 len;
	size_t		 key_len;	/* 0: as long as the file */
	int		 can_sign;
} good[] = {
	{ CONF_HS256, TEXT(KEY32), 32, 1 },
	{ CONF_HS256, TEXT(KEY32 "\n"), 32, 1 },
	{ CONF_HS256, TEXT(KEY32 "\r\n"), 32, 1 },
	{ CONF_HS256, TEXT(KEY32 "\n\n"), 33, 1 },
	{ CONF_HS256, TEXT(" " KEY32 " \n"), 34, 1 },
	{ CONF_HS384, TEXT(KEY32 KEY32), 64, 1 },
	{ CONF_HS512, TEXT(KEY32 "\0\n\0"), 35, 1 },
	{ CONF_RS256, TEXT(KEY_RSA_PUBLIC), 0, 0 },
	{ CONF_RS256, TEXT(KEY_RSA_PUBLIC KEY_RSA_PRIVATE), 0, 1 },
	{ CONF_RS256, TEXT("our key\n" KEY_RSA_PRIVATE KEY_RSA_PUBLIC), 0, 1 },
	{ CONF_ES256, TEXT(KEY_EC_PUBLIC), 0, 0 },
	{ CONF_ES256, TEXT(KEY_EC_PRIVATE KEY_EC_PUBLIC), 0, 1 },
	{ CONF_ES256, TEXT(KEY_EC_SEC1 KEY_EC_PUBLIC), 0, 1 },
};

static void
test_good(void **state)
{
	struct keyfile key;
	char why[256];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		write_file(good[i].text, good[i].len);
		why[0] = '\0';
		if (keyfile_read(path, good[i].algorithm, &key, why,
		    sizeof(why)) != 0)
			fail_msg("case %zu: %s", i, why);
		len = good[i].key_len != 0 ? good[i].key_len : good[i].len;
		assert_int_equal(key.len, len);
		assert_memory_equal(key.p, good[i].text, len);
		assert_int_equal(key.can_sign, good[i].can_sign);
		keyfile_release(&key);
		assert_null(key.p);
		assert_int_equal(key.len, 0);
	}
}

static const struct {
	int		 algorithm;
	const char	*text;
	size_t		 len;
	const char	*why;
} bad[] = {
	{ CONF_HS256, TEXT(""), "empty" },
	{ CONF_RS256, TEXT(""), "empty" },
	{ CONF_HS256, TEXT("\n"), "32 bytes" },
	{ CONF_HS256, TEXT("secret"), "32 bytes" },
	{ CONF_HS512, TEXT("0123456789abcdef0123456789ABCDE\r\n"), "32 bytes" },
	{ CONF_HS256, TEXT(KEY_RSA_PUBLIC), "PEM" },
	{ CONF_HS256, TEXT("\n " KEY_EC_PUBLIC), "PEM" },
	{ CONF_HS384, TEXT(KEY_RSA_PRIVATE), "PEM" },
	{ CONF_RS256, TEXT(KEY32), "PUBLIC KEY" },
	{ CONF_ES256, TEXT(KEY32), "PUBLIC KEY" },
	{ CONF_RS256, TEXT(KEY_EC_PUBLIC), "RSA" },
	{ CONF_ES256, TEXT(KEY_RSA_PUBLIC), "P-256" },
	{ CONF_ES256, TEXT(KEY_EC_P384_PUBLIC), "P-256" },
	{ CONF_RS256, TEXT(KEY_RSA_1024_PUBLIC), "2048" },
	{ CONF_RS256, TEXT(KEY_RSA_PRIVATE), "-pubout" },
	{ CONF_ES256, TEXT(KEY_EC_PRIVATE), "-pubout" },
	{ CONF_ES256, TEXT(KEY_EC_SEC1), "-pubout" },
	{ CONF_ES256, TEXT(KEY_EC_ENCRYPTED KEY_EC_PUBLIC), "passphrase" },
	{ CONF_RS256, TEXT("-----BEGIN PUBLIC KEY-----\n"), "PUBLIC KEY" },
	{ CONF_RS256, TEXT("-----END PUBLIC KEY-----\n"
	    "-----BEGIN PUBLIC KEY-----\n"), "PUBLIC KEY" },
	{ CONF_RS256, TEXT("-----BEGIN PUBLIC KEY-----\n"
	    "-----END PUBLIC KEY-----\n"), "PUBLIC KEY" },
	{ CONF_ES256, TEXT("-----BEGIN PUBLIC KEY-----\n"
	    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
	    "-----END PUBLIC KEY-----\n"), "P-256" },
	{ CONF_RS256, TEXT("-----BEGIN CERTIFICATE-----\nMIIB\n"
	    "-----END CERTIFICATE-----\n"), "PUBLIC KEY" },
};

static void
test_bad(void **state)
{
	struct keyfile key = { .len = 77 };
	char why[256];
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(bad[i].text, bad[i].len);
		err = keyfile_read(path, bad[i].algorithm, &key, why,
		    sizeof(why));
		if (err != ERR_INVAL || strstr(why, bad[i].why) == NULL)
			fail_msg("case %zu: %s, %s", i, err_name(err), why);
		assert_memory_equal(why, path, strlen(path));
		assert_null(strstr(why, KEY32));
		assert_int_equal(key.len, 77);
	}
}

static void
test_files(void **state)
{
	static char big[KEYFILE_MAX + 1];
	struct keyfile key;
	char why[256];

	(void)state;
	memset(big, 'k', sizeof(big));
	write_file(big, KEYFILE_MAX);
	assert_int_equal(keyfile_read(path, CONF_HS256, &key, why,
	    sizeof(why)), 0);
	assert_int_equal(key.len, KEYFILE_MAX);
	keyfile_release(&key);
	keyfile_release(&key);
	write_file(big, sizeof(big));
	assert_int_equal(keyfile_read(path, CONF_HS256, &key, why,
	    sizeof(why)), ERR_INVAL);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(keyfile_read(path, CONF_HS256, &key, why,
	    sizeof(why)), ERR_NOTFOUND);
	assert_non_null(strstr(why, "jwt.key_file"));
	assert_int_equal(keyfile_read(dir, CONF_HS256, &key, why,
	    sizeof(why)), ERR_IO);
	assert_non_null(strstr(why, "directory"));
	/* A why that is too small is cut. */
	memset(why, 'x', sizeof(why));
	assert_int_equal(keyfile_read(dir, CONF_HS256, &key, why, 4), ERR_IO);
	assert_int_equal(why[3], '\0');
	assert_int_equal(why[4], 'x');
}

static int
set_up(void **state)
{
	(void)state;
	testdb_mkdir(dir, sizeof(dir));
	(void)snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	testdb_rmdir(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
