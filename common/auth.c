/*
 * auth - a bearer token (JWT) -> who, until when.
 *
 * libjwt checks the signature, and that alone: its base64 skips what it does
 * not know, its algorithm is the token's choice, claims are not looked at.  So
 * the form of a token is judged before, the algorithm and the claims after it.
 * The claims are read from the very bytes that were signed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>
#include <jwt.h>

#include "auth.h"
#include "clock.h"
#include "conf.h"
#include "err.h"
#include "keyfile.h"
#include "tokencache.h"

#define CACHE_ENTRIES	16384
#define CACHE_BYTES	(8 * 1024 * 1024)
#define MAX_TIME_S	(CLOCK_POS_MAX / 1000000)	/* the year 9999 */

#define WHY_FORM	"The token is not a JWT."
#define WHY_CLAIMS	"The token's claims are not a JSON object."

static const struct algorithm {
	const char	*name;
	jwt_alg_t	 alg;
} algorithms[] = {
	[CONF_HS256] = { "HS256", JWT_ALG_HS256 },
	[CONF_HS384] = { "HS384", JWT_ALG_HS384 },
	[CONF_HS512] = { "HS512", JWT_ALG_HS512 },
	[CONF_RS256] = { "RS256", JWT_ALG_RS256 },
	[CONF_ES256] = { "ES256", JWT_ALG_ES256 },
};

/* What peers share. */
struct memory {
	pthread_mutex_t		 lock;
	struct tokencache	*cache;		/* {lock} */
	int			 peers;		/* of who opens and closes */
};

struct auth {
	const struct conf	*conf;
	const struct algorithm	*algorithm;
	struct keyfile		 key[2];	/* the present one first */
	int			 keys;
	struct json_tokener	*tokener;
	struct memory		*memory;
	char			 token[AUTH_MAX_TOKEN + 1];
	char			 payload[AUTH_MAX_TOKEN / 4 * 3 + 4];
};

static int	sign(const struct auth *auth, const struct keyfile *key,
		    const char *user_id, const char *scope, int64_t now_s,
		    int64_t ttl_s, char **ret);
static enum problem check_signature(const struct auth *auth,
		    const struct keyfile *key, int keys, const char **ret_why);

/* Signs a token and verifies it, where a key can do both. */
static int
try_key(struct auth *auth, const struct keyfile *key, const char *path,
    char *why, size_t size)
{
	const char *ignored;
	char *token;
	int err;

	if (!key->can_sign)
		return 0;
	err = sign(auth, key, "trial", NULL, 0, 1, &token);
	if (err == 0) {
		memcpy(auth->token, token, strlen(token) + 1);
		free(token);
		if (check_signature(auth, key, 1, &ignored) != PROBLEM_NONE)
			err = ERR_INVAL;
	}
	if (err != 0)
		snprintf(why, size, "%s: the private and the public key are "
		    "not a pair for %s", path, auth->algorithm->name);
	return err;
}

static int
add_key(struct auth *auth, const char *path, char *why, size_t size)
{
	struct keyfile *key = &auth->key[auth->keys];
	int err;

	err = keyfile_read(path, auth->conf->jwt_algorithm, key, why, size);
	if (err != 0)
		return err;
	auth->keys++;
	return try_key(auth, key, path, why, size);
}

static int
memory_new(struct memory **ret)
{
	struct memory *m;
	int err;

	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return ERR_NOMEM;
	err = tokencache_new(CACHE_ENTRIES, CACHE_BYTES, &m->cache);
	if (err != 0) {
		free(m);
		return err;
	}
	(void)pthread_mutex_init(&m->lock, NULL);
	m->peers = 1;
	*ret = m;
	return 0;
}

static void
memory_put(struct memory *m)
{
	if (m == NULL || --m->peers > 0)
		return;
	tokencache_free(m->cache);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

int
auth_open(const struct conf *conf, struct auth **ret, char *why, size_t size)
{
	return auth_open_peer(conf, NULL, ret, why, size);
}

int
auth_open_peer(const struct conf *conf, struct auth *peer, struct auth **ret,
    char *why, size_t size)
{
	struct auth *auth = calloc(1, sizeof(*auth));
	int err = 0;

	if (auth == NULL)
		goto nomem;
	auth->conf = conf;
	auth->algorithm = &algorithms[conf->jwt_algorithm];
	auth->tokener = json_tokener_new();
	if (auth->tokener == NULL)
		goto nomem;
	json_tokener_set_flags(auth->tokener,
	    JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (peer != NULL) {
		auth->memory = peer->memory;
		auth->memory->peers++;
	} else {
		err = memory_new(&auth->memory);
	}
	if (err == ERR_NOMEM)
		goto nomem;
	if (err != 0) {
		snprintf(why, size, "getrandom: %s", strerror(errno));
		goto fail;
	}
	err = add_key(auth, conf->jwt_key_file, why, size);
	if (err != 0)
		goto fail;
	if (conf->jwt_previous_key_file[0] != '\0') {
		err = add_key(auth, conf->jwt_previous_key_file, why, size);
		if (err != 0)
			goto fail;
	}
	*ret = auth;
	return 0;
nomem:
	snprintf(why, size, "out of memory");
	err = ERR_NOMEM;
fail:
	auth_close(auth);
	return err;
}

void
auth_close(struct auth *auth)
{
	if (auth == NULL)
		return;
	memory_put(auth->memory);
	if (auth->tokener != NULL)
		json_tokener_free(auth->tokener);
	keyfile_release(&auth->key[0]);
	keyfile_release(&auth->key[1]);
	explicit_bzero(auth->token, sizeof(auth->token));
	free(auth);
}

/* The value of a base64url digit (RFC 4648 section 5), -1: it is none. */
static int
b64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/*
 * How many bytes at s are a part of a token; 0 unless a part ends there that is
 * base64url without padding in its one canonical form: nobody shall make a
 * second token out of a good one by its unused bits (RFC 4648 section 3.5).
 */
static size_t
part_len(const char *s)
{
	static const int unused[4] = { 0, -1, 15, 3 };
	size_t len = 0;

	while (b64_digit(s[len]) >= 0)
		len++;
	if (len == 0 || len % 4 == 1
	    || (b64_digit(s[len - 1]) & unused[len % 4]) != 0)
		return 0;
	return len;
}

/* Three parts with a dot between; *ret_payload points at the second. */
static int
is_token(const char *token, size_t len, const char **ret_payload)
{
	const char *p = token;
	size_t n;
	int part;

	for (part = 0; part < 3; part++) {
		n = part_len(p);
		if (n == 0)
			return 0;
		if (part == 1)
			*ret_payload = p;
		p += n;
		if (part < 2 && *p++ != '.')
			return 0;
	}
	return p == token + len;
}

/* Decodes a part that part_len() liked, up to its dot; returns the bytes. */
static size_t
decode_part(const char *s, char *ret)
{
	unsigned bits = 0;
	size_t i, n = 0;

	for (i = 0; s[i] != '.'; i++) {
		bits = bits << 6 | (unsigned)b64_digit(s[i]);
		if (i % 4 != 0)
			ret[n++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	return n;
}

/* The algorithm by its exact name, and no extension that we must know. */
static int
is_our_header(const struct auth *auth, jwt_t *jwt)
{
	const char *name = jwt_get_header(jwt, "alg");
	char *crit;

	if (jwt_get_alg(jwt) != auth->algorithm->alg || name == NULL
	    || strcmp(name, auth->algorithm->name) != 0)
		return 0;
	crit = jwt_get_headers_json(jwt, "crit");	/* RFC 7515, 4.1.11 */
	if (crit == NULL)
		return 1;
	free(crit);
	return 0;
}

/* Looks whether one of the keys signed auth->token with our algorithm. */
static enum problem
check_signature(const struct auth *auth, const struct keyfile *key, int keys,
    const char **ret_why)
{
	jwt_t *jwt = NULL;
	int i, good, err = EINVAL;

	for (i = 0; i < keys && err == EINVAL; i++)
		err = jwt_decode(&jwt, auth->token, key[i].p, (int)key[i].len);
	if (err == ENOMEM) {
		*ret_why = "The server is out of memory.";
		return PROBLEM_OVERLOADED;
	}
	if (err != 0) {
		*ret_why = "The token is not signed by a key of this server.";
		return PROBLEM_INVALID_TOKEN;
	}
	good = is_our_header(auth, jwt);
	jwt_free(jwt);
	if (good)
		return PROBLEM_NONE;
	*ret_why = "The token's algorithm is not the one of this server.";
	return PROBLEM_INVALID_TOKEN;
}

/* Seconds as a whole number, up or down, within what clock.h can print. */
static int64_t
whole_seconds(double t, int is_up)
{
	int64_t s;

	if (t >= (double)MAX_TIME_S)
		return MAX_TIME_S;
	if (t <= (double)-MAX_TIME_S)
		return -MAX_TIME_S;
	s = (int64_t)t;			/* towards 0 */
	if (is_up)
		return (double)s < t ? s + 1 : s;
	return (double)s > t ? s - 1 : s;
}

/* A NumericDate (RFC 7519 section 2): any number.  ERR_NOTFOUND, ERR_INVAL. */
static int
get_time(struct json_object *claims, const char *name, int is_up, int64_t *ret)
{
	struct json_object *v;
	double t;

	if (!json_object_object_get_ex(claims, name, &v))
		return ERR_NOTFOUND;
	if (!json_object_is_type(v, json_type_int)
	    && !json_object_is_type(v, json_type_double))
		return ERR_INVAL;
	t = json_object_get_double(v);
	if (!__builtin_isfinite(t))
		return ERR_INVAL;
	*ret = whole_seconds(t, is_up);
	return 0;
}

static const char *
read_times(struct json_object *claims, struct auth_claims *ret,
    int64_t *ret_not_before)
{
	int64_t nbf = -MAX_TIME_S, iat = -MAX_TIME_S;
	int err;

	err = get_time(claims, "exp", 0, &ret->expires_at_s);
	if (err == ERR_NOTFOUND)
		return "The token has no exp claim.";
	if (err != 0)
		return "The token's exp claim is not a number.";
	if (get_time(claims, "nbf", 1, &nbf) == ERR_INVAL)
		return "The token's nbf claim is not a number.";
	if (get_time(claims, "iat", 1, &iat) == ERR_INVAL)
		return "The token's iat claim is not a number.";
	ret->issued_at_s = AUTH_NOT_ISSUED;
	(void)get_time(claims, "iat", 0, &ret->issued_at_s);	/* or it is absent */
	*ret_not_before = nbf > iat ? nbf : iat;
	return NULL;
}

/* A string claim and its length, NULL: it is absent or of another type. */
static const char *
get_text(struct json_object *claims, const char *name, size_t *ret_len)
{
	struct json_object *v;

	if (!json_object_object_get_ex(claims, name, &v)
	    || !json_object_is_type(v, json_type_string))
		return NULL;
	*ret_len = (size_t)json_object_get_string_len(v);
	return json_object_get_string(v);
}

/* Not empty, not too long, no control characters (C0, DEL, C1). */
static int
is_user_id(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i;

	if (len == 0 || len > AUTH_MAX_USER)
		return 0;
	for (i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return 0;
		if (p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0)
			return 0;
	}
	return 1;
}

static const char *
read_sub(struct json_object *claims, struct auth_claims *ret)
{
	struct json_object *v;
	const char *s;
	size_t len;

	if (!json_object_object_get_ex(claims, "sub", &v))
		return "The token has no sub claim.";
	if (json_object_is_type(v, json_type_int)) {
		snprintf(ret->user_id, sizeof(ret->user_id), "%lld",
		    (long long)json_object_get_int64(v));
		return NULL;
	}
	s = get_text(claims, "sub", &len);
	if (s == NULL || !is_user_id(s, len))
		return "The token's sub claim is not a user id.";
	memcpy(ret->user_id, s, len);
	ret->user_id[len] = '\0';
	return NULL;
}

static int
is_string(struct json_object *v, const char *text)
{
	return json_object_is_type(v, json_type_string)
	    && strcmp(json_object_get_string(v), text) == 0
	    && (size_t)json_object_get_string_len(v) == strlen(text);
}

/* aud is a string or an array of strings (RFC 7519 section 4.1.3). */
static int
is_for_us(struct json_object *aud, const char *audience)
{
	struct json_object *v;
	size_t i, len;
	int found = 0;

	if (!json_object_is_type(aud, json_type_array))
		return is_string(aud, audience);
	len = json_object_array_length(aud);
	for (i = 0; i < len; i++) {
		v = json_object_array_get_idx(aud, i);
		if (!json_object_is_type(v, json_type_string))
			return 0;
		found |= is_string(v, audience);
	}
	return found;
}

static const char *
check_parties(const struct conf *conf, struct json_object *claims)
{
	struct json_object *v;

	if (conf->jwt_issuer[0] != '\0'
	    && (!json_object_object_get_ex(claims, "iss", &v)
	    || !is_string(v, conf->jwt_issuer)))
		return "The token is not from this server's issuer.";
	if (conf->jwt_audience[0] != '\0'
	    && (!json_object_object_get_ex(claims, "aud", &v)
	    || !is_for_us(v, conf->jwt_audience)))
		return "The token is not meant for this server.";
	return NULL;
}

/* Copies s and cuts it between two characters of UTF-8. */
static void
copy_cut(char *ret, size_t size, const char *s, size_t len)
{
	if (len >= size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(ret, s, len);
	ret[len] = '\0';
}

/*
 * The claims that a token may do without.  Of another type they count as
 * absent: "name":null is common and no reason to lock a user out.
 */
static void
read_extras(struct json_object *claims, struct auth_claims *ret)
{
	const char *s;
	size_t len;

	ret->scope[0] = ret->name[0] = ret->avatar[0] = '\0';
	s = get_text(claims, "scope", &len);
	if (s != NULL) {
		if (len > AUTH_MAX_SCOPE) {
			/* Not "publish" of what was "publisher". */
			len = AUTH_MAX_SCOPE;
			while (len > 0 && s[len] != ' ')
				len--;
		}
		memcpy(ret->scope, s, len);
		ret->scope[len] = '\0';
	}
	s = get_text(claims, "name", &len);
	if (s != NULL)
		copy_cut(ret->name, sizeof(ret->name), s, len);
	s = get_text(claims, "avatar", &len);
	if (s != NULL && len <= AUTH_MAX_AVATAR)
		copy_cut(ret->avatar, sizeof(ret->avatar), s, len);
}

/* Reads the claims from their JSON; NULL or the sentence on what is wrong. */
static const char *
read_claims(struct auth *auth, const char *payload, struct auth_claims *ret,
    int64_t *ret_not_before)
{
	struct json_object *claims;
	const char *why;
	size_t len;

	len = decode_part(payload, auth->payload);
	if (memchr(auth->payload, '\0', len) != NULL)
		return WHY_CLAIMS;
	json_tokener_reset(auth->tokener);
	claims = json_tokener_parse_ex(auth->tokener, auth->payload, (int)len);
	if (!json_object_is_type(claims, json_type_object)) {
		json_object_put(claims);
		return WHY_CLAIMS;
	}
	why = read_sub(claims, ret);
	if (why == NULL)
		why = read_times(claims, ret, ret_not_before);
	if (why == NULL)
		why = check_parties(auth->conf, claims);
	if (why == NULL)
		read_extras(claims, ret);
	json_object_put(claims);
	return why;
}

static enum problem
check_time(const struct auth *auth, int64_t expires_at_s, int64_t not_before_s,
    int64_t now_s, const char **ret_why)
{
	int leeway_s = auth->conf->jwt_leeway_s;

	if (now_s - leeway_s >= expires_at_s) {
		*ret_why = "The token has expired.";
		return PROBLEM_TOKEN_EXPIRED;
	}
	if (now_s + leeway_s < not_before_s) {
		*ret_why = "The token is not valid yet.";
		return PROBLEM_INVALID_TOKEN;
	}
	return PROBLEM_NONE;
}

/* The long way, for a token that is not in the cache. */
static enum problem
verify_new(struct auth *auth, const char *token, size_t len, int64_t now_s,
    struct auth_claims *ret, const char **ret_why)
{
	struct auth_claims claims;
	enum problem problem;
	const char *payload = NULL, *why;
	int64_t not_before_s;

	memcpy(auth->token, token, len);
	auth->token[len] = '\0';
	if (!is_token(auth->token, len, &payload)) {
		*ret_why = WHY_FORM;
		return PROBLEM_INVALID_TOKEN;
	}
	problem = check_signature(auth, auth->key, auth->keys, ret_why);
	if (problem != PROBLEM_NONE)
		return problem;
	why = read_claims(auth, payload, &claims, &not_before_s);
	if (why != NULL) {
		*ret_why = why;
		return PROBLEM_INVALID_TOKEN;
	}
	problem = check_time(auth, claims.expires_at_s, not_before_s, now_s,
	    ret_why);
	if (problem != PROBLEM_NONE)
		return problem;
	(void)pthread_mutex_lock(&auth->memory->lock);
	/* A peer may have been faster. */
	if (tokencache_get(auth->memory->cache, token, len) == NULL)
		tokencache_put(auth->memory->cache, token, len, &claims,
		    not_before_s);
	(void)pthread_mutex_unlock(&auth->memory->lock);
	*ret = claims;
	return PROBLEM_NONE;
}

/* 1: the token is known, and *ret_problem what is to be said of it. */
static int
remember(struct auth *auth, const char *token, size_t len, int64_t now_s,
    struct auth_claims *ret, const char **ret_why, enum problem *ret_problem)
{
	const struct tokencache_entry *entry;

	(void)pthread_mutex_lock(&auth->memory->lock);
	entry = tokencache_get(auth->memory->cache, token, len);
	if (entry != NULL) {
		*ret_problem = check_time(auth, entry->expires_at_s,
		    entry->not_before_s, now_s, ret_why);
		if (*ret_problem == PROBLEM_NONE)
			tokencache_print(entry, ret);
	}
	(void)pthread_mutex_unlock(&auth->memory->lock);
	return entry != NULL;
}

enum problem
auth_verify(struct auth *auth, const char *token, size_t len, int64_t now_s,
    struct auth_claims *ret, const char **ret_why)
{
	enum problem problem;

	if (token == NULL || len == 0) {
		*ret_why = "There is no token.";
		return PROBLEM_MISSING_TOKEN;
	}
	if (len > AUTH_MAX_TOKEN) {
		*ret_why = "The token is longer than 8192 bytes.";
		return PROBLEM_INVALID_TOKEN;
	}
	if (remember(auth, token, len, now_s, ret, ret_why, &problem))
		return problem;
	return verify_new(auth, token, len, now_s, ret, ret_why);
}

const char *
auth_parse_bearer(const char *header, size_t *ret_len)
{
	static const char scheme[] = "Bearer ";
	size_t len;

	if (header == NULL
	    || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	header += sizeof(scheme) - 1;
	header += strspn(header, " ");
	len = strcspn(header, " \t\r\n");
	if (len == 0 || header[len + strspn(header + len, " \t")] != '\0')
		return NULL;
	*ret_len = len;
	return header;
}

int
auth_has_scope(const struct auth_claims *claims, const char *word)
{
	const char *s = claims->scope;
	size_t len, word_len = strlen(word);

	while (*s != '\0') {
		s += strspn(s, " ");
		len = strcspn(s, " ");
		if (len > 0 && len == word_len && memcmp(s, word, len) == 0)
			return 1;
		s += len;
	}
	return 0;
}

/* Fills a new token's claims: 0 or an errno of libjwt's. */
static int
add_claims(const struct conf *conf, jwt_t *jwt, const char *user_id,
    const char *scope, int64_t now_s, int64_t expires_at_s)
{
	int err;

	err = jwt_add_grant(jwt, "sub", user_id);
	if (err == 0 && conf->jwt_issuer[0] != '\0')
		err = jwt_add_grant(jwt, "iss", conf->jwt_issuer);
	if (err == 0 && conf->jwt_audience[0] != '\0')
		err = jwt_add_grant(jwt, "aud", conf->jwt_audience);
	if (err == 0 && scope != NULL)
		err = jwt_add_grant(jwt, "scope", scope);
	if (err == 0)
		err = jwt_add_grant_int(jwt, "iat", now_s);
	if (err == 0)
		err = jwt_add_grant_int(jwt, "exp", expires_at_s);
	return err;
}

static int
sign(const struct auth *auth, const struct keyfile *key, const char *user_id,
    const char *scope, int64_t now_s, int64_t ttl_s, char **ret)
{
	jwt_t *jwt = NULL;
	char *token = NULL;
	int64_t expires_at_s;
	int err;

	if (__builtin_add_overflow(now_s, ttl_s, &expires_at_s))
		return ERR_INVAL;
	err = jwt_new(&jwt);
	if (err == 0)
		err = add_claims(auth->conf, jwt, user_id, scope, now_s,
		    expires_at_s);
	if (err == 0)
		err = jwt_set_alg(jwt, auth->algorithm->alg, key->p,
		    (int)key->len);
	if (err == 0) {
		errno = EINVAL;
		token = jwt_encode_str(jwt);
		err = token != NULL ? 0 : errno;
	}
	jwt_free(jwt);
	if (err != 0)
		return err == ENOMEM ? ERR_NOMEM : ERR_INVAL;
	if (strlen(token) > AUTH_MAX_TOKEN) {
		free(token);
		return ERR_TOOBIG;
	}
	*ret = token;
	return 0;
}

int
auth_sign(struct auth *auth, const char *user_id, const char *scope,
    int64_t now_s, int64_t ttl_s, char **ret)
{
	if (!auth->key[0].can_sign)
		return ERR_DENIED;
	if (!is_user_id(user_id, strlen(user_id)))
		return ERR_INVAL;
	if (scope != NULL && strlen(scope) > AUTH_MAX_SCOPE)
		return ERR_TOOBIG;
	return sign(auth, &auth->key[0], user_id, scope, now_s, ttl_s, ret);
}
