/*
 * keys - are the signing keys strong, and only read by whom they should be?
 *
 * Who knows an HMAC key is everybody: one token of a user lets anyone try keys at home,
 * billions a second.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli.h"
#include "doctor.h"
#include "keyfile.h"

#define KEYS_MIN_BITS	100	/* 32 random hex digits are estimated at 105 to 128 */
#define KEYS_NEW	"make a new one: (umask 027; openssl rand -hex 32 >FILE), and keep the " \
			"old as jwt.previous_key_file until its tokens have expired"

/* The length after which the bytes repeat; len where they do not. */
static size_t
period(const unsigned char *key, size_t len)
{
	size_t n;

	for (n = 1; n <= len / 2; n++) {
		if (memcmp(key, key + n, len - n) == 0)
			return n;
	}
	return len;
}

/* How far it is a run like "0123" or "zyx": such bytes tell nothing new. */
static size_t
runs(const unsigned char *key, size_t len)
{
	size_t i, n = 0;

	for (i = 2; i < len; i++)
		n += key[i] - key[i - 1] == key[i - 1] - key[i - 2];
	return n;
}

int
keys_bits(const unsigned char *key, size_t len)
{
	unsigned int count[256] = { 0 };
	double bits = 0, share;
	size_t i, n, m;

	n = period(key, len);
	for (i = 0; i < n; i++)
		count[key[i]]++;
	for (i = 0; i < 256; i++) {
		if (count[i] == 0)
			continue;
		share = (double)count[i] / (double)n;
		bits -= share * log2(share);
	}
	m = runs(key, n);
	return (int)(bits * (double)(n - (m > n / 2 ? m : 0)));
}

static const char *
known_word(const struct keyfile *key)
{
	static const char *const words[] = { "secret", "password", "passwort",
	    "changeme", "change-me", "change_me", "example", "your-256-bit",
	    "sidewire" };
	size_t i, at, n;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		n = strlen(words[i]);
		for (at = 0; at + n <= key->len; at++) {
			if (strncasecmp((const char *)key->p + at, words[i],
			    n) == 0)
				return words[i];
		}
	}
	return NULL;
}

static void
check_strength(struct doctor *d, const char *path, const struct keyfile *key)
{
	static const size_t want[] = { [CONF_HS256] = 32, [CONF_HS384] = 48,
	    [CONF_HS512] = 64 };
	int algorithm = d->cli->conf.jwt_algorithm, bits;

	if (algorithm == CONF_RS256 || algorithm == CONF_ES256) {
		report_add(&d->report, VERDICT_OK, "key", NULL, "%s: a public "
		    "key of the right kind and size", path);
		return;
	}
	bits = keys_bits(key->p, key->len);
	if (known_word(key) != NULL)
		report_add(&d->report, VERDICT_FAIL, "key", KEYS_NEW,
		    "%s: holds a word that is tried first", path);
	else if (bits < KEYS_MIN_BITS)
		report_add(&d->report, VERDICT_FAIL, "key", KEYS_NEW,
		    "%s: can be guessed, its bytes hold %d bits at most", path,
		    bits);
	else if (key->len < want[algorithm])
		report_add(&d->report, VERDICT_WARN, "key", KEYS_NEW,
		    "%s: %zu bytes, and this algorithm wants %zu (RFC 7518 "
		    "section 3.2)", path, key->len, want[algorithm]);
	else
		report_add(&d->report, VERDICT_OK, "key", NULL,
		    "%s: %zu bytes that look random", path, key->len);
}

static void
check_mode(struct doctor *d, const char *path, const struct keyfile *key)
{
	struct stat sb;

	if (stat(path, &sb) != 0)
		return;		/* it was just read: somebody is at it */
	if (sb.st_mode & 0002)
		report_add(&d->report, VERDICT_FAIL, "key-mode",
		    "chmod o= FILE: who writes the key signs as anybody",
		    "%s: everybody may write it", path);
	else if (key->can_sign && (sb.st_mode & 0004))
		report_add(&d->report, VERDICT_FAIL, "key-mode",
		    "chmod o= FILE, and make a new key: it may be known",
		    "%s: everybody may read it", path);
	else if (sb.st_mode & 0020)
		report_add(&d->report, VERDICT_WARN, "key-mode",
		    "chmod g-w FILE: the services only read it",
		    "%s: its group may write it", path);
	else
		report_add(&d->report, VERDICT_OK, "key-mode", NULL,
		    "%s: mode %03o", path, (unsigned)sb.st_mode & 0777);
}

static void
check_key(struct doctor *d, const char *path)
{
	struct keyfile key;
	char why[1024];

	if (keyfile_read(path, d->cli->conf.jwt_algorithm, &key, why,
	    sizeof(why)) < 0) {
		report_add(&d->report, VERDICT_FAIL, "key", KEYS_NEW, "%s", why);
		return;
	}
	check_strength(d, path, &key);
	check_mode(d, path, &key);
	keyfile_release(&key);
}

void
keys_check(struct doctor *d)
{
	check_key(d, d->cli->conf.jwt_key_file);
	if (d->cli->conf.jwt_previous_key_file[0] != '\0')
		check_key(d, d->cli->conf.jwt_previous_key_file);
}
