/*
 * keyfile - the key of a token's signature, read from a file and judged.
 *
 * libjwt takes any bytes as a key, an empty one (then it accepts every token) and
 * a PEM as an HMAC secret (then a public key signs tokens) included; so what is
 * not plainly a key for the configured algorithm is refused here.
 *
 * HS256, HS384, HS512: the bytes of the file less one trailing newline.
 * RS256, ES256: PEM with a PUBLIC KEY block; a private key's block beside it in the
 * same file lets this process sign as well.
 * Threads: any.
 */
#ifndef KEYFILE_H
#define KEYFILE_H

#include <stddef.h>

#include "attr.h"

#define KEYFILE_MAX	16384	/* bytes */

struct keyfile {
	unsigned char	*p;		/* NULL: none */
	size_t		 len;		/* bytes, never 0 */
	int		 can_sign;	/* HMAC, or a private key is there */
};

/*
 * Reads path for algorithm (enum conf_algorithm).  On failure *ret is untouched
 * and why (size bytes) says what to do.  ERR_NOTFOUND; ERR_IO; ERR_NOMEM;
 * ERR_INVAL: empty, over KEYFILE_MAX, an HMAC key under AUTH_MIN_HMAC bytes or a
 * PEM; no public key, one of another kind, RSA under 2048 bits (RFC 7518 section
 * 3.3), a curve other than P-256, a private key with a passphrase.
 */
int	 keyfile_read(const char *path, int algorithm, struct keyfile *ret,
	    char *why, size_t size) ATTR_MUST_CHECK;
/* Wipes and frees the key; an empty struct is fine. */
void	 keyfile_release(struct keyfile *key);

#endif
