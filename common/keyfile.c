/*
 * keyfile - the key of a token's signature, read from a file and judged.
 *
 * A public key is judged by the first characters of its PEM: in a
 * SubjectPublicKeyInfo (RFC 5480, RFC 8017) the kind of key and the curve stand
 * in front, at a place where base64 shows them always in the same letters.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "conf.h"
#include "err.h"
#include "keyfile.h"

#define PEM_BEGIN	"-----BEGIN "
#define PUBLIC_BEGIN	"-----BEGIN PUBLIC KEY-----"
#define PUBLIC_END	"-----END PUBLIC KEY-----"

/* SEQUENCE, id-ecPublicKey, prime256v1, BIT STRING, uncompressed point. */
#define P256_HEAD	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
#define P256_LEN	124	/* characters of base64 */
/* rsaEncryption, NULL; behind two lengths of two bytes each. */
#define RSA_HEAD	"BgkqhkiG9w0BAQEFAA"
#define RSA_HEAD_AT	8
#define RSA_MIN_LEN	388	/* characters of base64: 2048 bits */

static const char *
find(const struct keyfile *key, const char *text)
{
	return memmem(key->p, key->len, text, strlen(text));
}

static int
refuse(char *why, size_t size, const char *path, const char *text)
{
	snprintf(why, size, "%s: %s", path, text);
	return ERR_INVAL;
}

static int
judge_hmac(const char *path, struct keyfile *key, char *why, size_t size)
{
	if (find(key, PEM_BEGIN) != NULL)
		return refuse(why, size, path, "is a PEM, but jwt.algorithm is "
		    "an HMAC: with a public key as the secret everybody could "
		    "sign; set jwt.algorithm to RS256 or ES256");
	if (key->p[key->len - 1] == '\n')
		key->len--;
	if (key->len > 0 && key->p[key->len - 1] == '\r')
		key->len--;
	if (key->len < AUTH_MIN_HMAC)
		return refuse(why, size, path, "an HMAC key must have 32 bytes "
		    "or more; make one with: openssl rand -hex 32");
	key->can_sign = 1;
	return 0;
}

/*
 * Copies the base64 of the first public key without its line breaks to ret
 * (size bytes, cut and NUL-terminated).  Returns how many characters there are
 * in all, 0 without a block that has an end.
 */
static size_t
public_base64(const struct keyfile *key, char *ret, size_t size)
{
	const char *p = find(key, PUBLIC_BEGIN), *end = find(key, PUBLIC_END);
	size_t n = 0;

	if (p == NULL || end == NULL)
		return 0;
	for (p += strlen(PUBLIC_BEGIN); p < end; p++) {
		if (*p == '\n' || *p == '\r')
			continue;
		if (n + 1 < size)
			ret[n] = *p;
		n++;
	}
	ret[n < size ? n : size - 1] = '\0';
	return n;
}

static int
judge_pem(const char *path, int algorithm, struct keyfile *key, char *why,
    size_t size)
{
	char head[64] = "";
	size_t len;

	key->can_sign = find(key, "PRIVATE KEY-----") != NULL;
	/* OpenSSL would ask for the passphrase on the terminal. */
	if (find(key, "ENCRYPTED") != NULL)
		return refuse(why, size, path, "the private key has a "
		    "passphrase; remove it with: openssl pkey");
	len = public_base64(key, head, sizeof(head));
	if (len == 0 && key->can_sign)
		return refuse(why, size, path, "holds a private key alone; "
		    "append its public key, as printed by: openssl pkey -in "
		    "FILE -pubout");
	if (len == 0)
		return refuse(why, size, path, "is not a public key in PEM "
		    "(\"" PUBLIC_BEGIN "\"), as RS256 and ES256 need it");
	if (algorithm == CONF_ES256) {
		if (len == P256_LEN
		    && strncmp(head, P256_HEAD, strlen(P256_HEAD)) == 0)
			return 0;
		return refuse(why, size, path, "the public key is not of the "
		    "curve P-256, which ES256 needs");
	}
	if (len >= RSA_MIN_LEN && strncmp(head + RSA_HEAD_AT, RSA_HEAD,
	    strlen(RSA_HEAD)) == 0)
		return 0;
	return refuse(why, size, path, "the public key is not RSA of 2048 bits "
	    "or more, which RS256 needs");
}

/* Reads at most KEYFILE_MAX bytes and one more, to tell a longer file. */
static int
read_all(const char *path, struct keyfile *key)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	for (;;) {
		n = read(fd, key->p + key->len, KEYFILE_MAX + 1 - key->len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		key->len += (size_t)n;
	}
	close(fd);
	return n == 0 ? 0 : -1;
}

int
keyfile_read(const char *path, int algorithm, struct keyfile *ret, char *why,
    size_t size)
{
	struct keyfile key = { .p = NULL };
	int err;

	key.p = malloc(KEYFILE_MAX + 1);
	if (key.p == NULL) {
		snprintf(why, size, "%s: out of memory", path);
		return ERR_NOMEM;
	}
	err = 0;
	if (read_all(path, &key) != 0) {
		err = errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
		snprintf(why, size, "%s: %s%s", path, strerror(errno),
		    err == ERR_NOTFOUND ? "; jwt.key_file must name the key "
		    "that tokens are signed with" : "");
	} else if (key.len == 0) {
		err = refuse(why, size, path, "is empty; with an empty key "
		    "every token would be good");
	} else if (key.len > KEYFILE_MAX) {
		err = refuse(why, size, path, "is too long for a key");
	} else if (algorithm == CONF_RS256 || algorithm == CONF_ES256) {
		err = judge_pem(path, algorithm, &key, why, size);
	} else {
		err = judge_hmac(path, &key, why, size);
	}
	if (err != 0) {
		key.len = KEYFILE_MAX + 1;
		keyfile_release(&key);
		return err;
	}
	*ret = key;
	return 0;
}

void
keyfile_release(struct keyfile *key)
{
	if (key->p != NULL)
		explicit_bzero(key->p, key->len);
	free(key->p);
	*key = (struct keyfile){ .p = NULL };
}
