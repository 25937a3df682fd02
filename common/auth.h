/*
 * auth - a bearer token (JWT) -> who, until when.  libjwt ends here.
 *
 * One configured algorithm, never the token's choice (RFC 8725 section 3.1); one
 * or two keys (rotation); exp required, nbf and iat with leeway, iss and aud
 * where configured, sub a non-empty string or an integer (RFC 7519 section 4.1).
 * Claims are checked by type and value on the parsed payload.  Whether the user
 * exists is the store's to say, not ours.
 * Tokens that passed are remembered until exp, so that an RS256 signature is
 * checked once.
 * Threads: a struct auth belongs to one thread; peers share what is remembered, and are opened
 * and closed by one thread.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stddef.h>
#include <stdint.h>

#include "attr.h"
#include "problem.h"

#define AUTH_MAX_TOKEN	8192	/* bytes */
#define AUTH_MAX_USER	128	/* bytes of a user id */
#define AUTH_MAX_SCOPE	256
#define AUTH_MAX_NAME	256
#define AUTH_MAX_AVATAR	2048
#define AUTH_NOT_ISSUED	INT64_MIN
#define AUTH_MIN_HMAC	32	/* bytes of an HMAC key (RFC 7518 section 3.2) */

struct conf;
struct auth;

struct auth_claims {
	char	user_id[AUTH_MAX_USER + 1];	/* sub; integers printed in decimal */
	int64_t	expires_at_s;			/* exp, Unix seconds (fractions cut) */
	int64_t	issued_at_s;			/* iat, the same; AUTH_NOT_ISSUED where absent */
	char	scope[AUTH_MAX_SCOPE + 1];	/* "" where absent; space-separated (RFC 8693 4.2) */
	char	name[AUTH_MAX_NAME + 1];	/* for auth.provision; "" where absent */
	char	avatar[AUTH_MAX_AVATAR + 1];
};

/*
 * Reads the key files (keyfile.h); conf is borrowed until auth_close().  On failure
 * why (size bytes) says what to do: ERR_NOTFOUND, ERR_IO, ERR_INVAL (empty, HMAC key
 * under 32 bytes, a PEM given to an HMAC algorithm, no fitting PEM public key given to
 * RS256/ES256, a private key that does not belong to it), ERR_NOMEM.
 * A file's trailing newline is not part of an HMAC key.
 */
int	 auth_open(const struct conf *conf, struct auth **ret, char *why, size_t size)
	    ATTR_MUST_CHECK;
/* The same with the remembered tokens of peer, which may be another thread's; NULL: its own. */
int	 auth_open_peer(const struct conf *conf, struct auth *peer, struct auth **ret,
	    char *why, size_t size) ATTR_MUST_CHECK;
void	 auth_close(struct auth *auth);

/*
 * Verifies len bytes of token at time now_s (Unix seconds).  PROBLEM_NONE and
 * *ret filled, or PROBLEM_MISSING_TOKEN (len 0), PROBLEM_TOKEN_EXPIRED,
 * PROBLEM_INVALID_TOKEN, PROBLEM_OVERLOADED (no memory); then *ret_why is a static
 * sentence for the client that never holds a part of the token.
 * A scope that is too long loses its last words, a name its end; an avatar that is too
 * long, and a scope, name or avatar that is not a string, count as absent.
 */
enum problem auth_verify(struct auth *auth, const char *token, size_t len,
	    int64_t now_s, struct auth_claims *ret, const char **ret_why);

/* Takes the token out of an Authorization header's value ("Bearer TOKEN", RFC 6750
 * section 2.1, scheme in any case).  NULL: it is not of that form. */
const char *auth_parse_bearer(const char *header, size_t *ret_len);

/* Non-zero if scope (space-separated) holds word. */
int	 auth_has_scope(const struct auth_claims *claims, const char *word);

/*
 * Signs a token for user, valid for ttl_s seconds from now_s, with issuer and
 * audience as configured; scope may be NULL.  Needs the private key for RS256 and
 * ES256 (ERR_DENIED: the key file holds the public key alone).  *ret is the caller's
 * to free.  ERR_INVAL: not a user id that auth_verify() would take; ERR_TOOBIG: the
 * scope, or the token; ERR_NOMEM.
 */
int	 auth_sign(struct auth *auth, const char *user_id, const char *scope,
	    int64_t now_s, int64_t ttl_s, char **ret) ATTR_MUST_CHECK;

#endif
