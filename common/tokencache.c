/*
 * tokencache - tokens that were verified, and what they said.
 *
 * A table of sets of TOKENCACHE_WAYS places: a token can be in the places of
 * its set alone, so a look-up is a hash and at most that many comparisons of
 * hashes.  A new entry takes an empty place, else that of the one which expires
 * first, and so has perhaps expired already.  The ceiling of bytes is kept by a
 * hand that goes round the table and throws out what it meets.
 */
#include <sys/random.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "err.h"
#include "tokencache.h"

struct tokencache {
	uint64_t	  key[2];
	size_t		  max_bytes, bytes;
	size_t		  entries;
	size_t		  places;	/* a power of two */
	size_t		  hand;
	struct place {
		uint64_t		 hash;
		struct tokencache_entry	*entry;	/* NULL: empty */
	}		  place[];
};

int
tokencache_new(size_t max_entries, size_t max_bytes, struct tokencache **ret)
{
	struct tokencache *tc;

	assert(max_entries >= TOKENCACHE_WAYS
	    && (max_entries & (max_entries - 1)) == 0);
	tc = calloc(1, sizeof(*tc) + max_entries * sizeof(tc->place[0]));
	if (tc == NULL)
		return ERR_NOMEM;
	if (getrandom(tc->key, sizeof(tc->key), 0) != sizeof(tc->key)) {
		free(tc);
		return ERR_IO;
	}
	tc->max_bytes = max_bytes;
	tc->places = max_entries;
	*ret = tc;
	return 0;
}

static void
drop(struct tokencache *tc, struct place *pl)
{
	if (pl->entry == NULL)
		return;
	tc->bytes -= pl->entry->size;
	tc->entries--;
	explicit_bzero(pl->entry->token, pl->entry->len);
	free(pl->entry);
	pl->entry = NULL;
}

void
tokencache_free(struct tokencache *tc)
{
	size_t i;

	if (tc == NULL)
		return;
	for (i = 0; i < tc->places; i++)
		drop(tc, &tc->place[i]);
	free(tc);
}

static uint64_t
rotate(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static void
sip_rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012), in the machine's byte order. */
static uint64_t
hash_token(const struct tokencache *tc, const char *token, size_t len)
{
	uint64_t v[4] = {
		tc->key[0] ^ 0x736f6d6570736575ULL,
		tc->key[1] ^ 0x646f72616e646f6dULL,
		tc->key[0] ^ 0x6c7967656e657261ULL,
		tc->key[1] ^ 0x7465646279746573ULL
	};
	uint64_t w;
	size_t i;

	for (i = 0; len - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, token + i, sizeof(w));
		v[3] ^= w;
		sip_rounds(v, 2);
		v[0] ^= w;
	}
	w = (uint64_t)len << 56;
	memcpy(&w, token + i, len - i);
	v[3] ^= w;
	sip_rounds(v, 2);
	v[0] ^= w;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Takes the same time wherever the first difference is. */
static int
is_same(const char *a, const char *b, size_t len)
{
	uint64_t differ = 0, x, y;
	size_t i;

	for (i = 0; len - i >= sizeof(x); i += sizeof(x)) {
		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		differ |= x ^ y;
	}
	for (; i < len; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

static size_t
first_place(const struct tokencache *tc, uint64_t hash)
{
	return hash & (tc->places - TOKENCACHE_WAYS);
}

const struct tokencache_entry *
tokencache_get(const struct tokencache *tc, const char *token, size_t len)
{
	uint64_t hash = hash_token(tc, token, len);
	const struct place *pl = &tc->place[first_place(tc, hash)];
	int i;

	for (i = 0; i < TOKENCACHE_WAYS; i++, pl++) {
		if (pl->entry != NULL && pl->hash == hash
		    && pl->entry->len == len
		    && is_same(pl->entry->token, token, len))
			return pl->entry;
	}
	return NULL;
}

void
tokencache_print(const struct tokencache_entry *entry, struct auth_claims *ret)
{
	ret->expires_at_s = entry->expires_at_s;
	ret->issued_at_s = entry->issued_at_s;
	memcpy(ret->user_id, entry->user_id, strlen(entry->user_id) + 1);
	memcpy(ret->scope, entry->scope, strlen(entry->scope) + 1);
	memcpy(ret->name, entry->name, strlen(entry->name) + 1);
	memcpy(ret->avatar, entry->avatar, strlen(entry->avatar) + 1);
}

static const char *
put_string(char **at, const char *s)
{
	char *to = *at;
	size_t size = strlen(s) + 1;

	memcpy(to, s, size);
	*at += size;
	return to;
}

static struct tokencache_entry *
make_entry(const char *token, size_t len, const struct auth_claims *claims,
    size_t size)
{
	struct tokencache_entry *entry = malloc(size);
	char *at;

	if (entry == NULL)
		return NULL;
	entry->size = size;
	entry->len = len;
	entry->expires_at_s = claims->expires_at_s;
	entry->issued_at_s = claims->issued_at_s;
	memcpy(entry->token, token, len);
	at = entry->token + len;
	entry->user_id = put_string(&at, claims->user_id);
	entry->scope = put_string(&at, claims->scope);
	entry->name = put_string(&at, claims->name);
	entry->avatar = put_string(&at, claims->avatar);
	return entry;
}

/* The place that a new entry takes: empty, else the one that expires first. */
static struct place *
choose_place(struct tokencache *tc, uint64_t hash)
{
	struct place *pl = &tc->place[first_place(tc, hash)], *best = pl;
	int i;

	for (i = 0; i < TOKENCACHE_WAYS; i++, pl++) {
		if (pl->entry == NULL)
			return pl;
		if (pl->entry->expires_at_s < best->entry->expires_at_s)
			best = pl;
	}
	return best;
}

void
tokencache_put(struct tokencache *tc, const char *token, size_t len,
    const struct auth_claims *claims, int64_t not_before_s)
{
	struct tokencache_entry *entry;
	struct place *pl;
	uint64_t hash;
	size_t size;

	size = sizeof(*entry) + len + strlen(claims->user_id)
	    + strlen(claims->scope) + strlen(claims->name)
	    + strlen(claims->avatar) + 4;
	if (size > tc->max_bytes)
		return;
	entry = make_entry(token, len, claims, size);
	if (entry == NULL)
		return;
	entry->not_before_s = not_before_s;
	while (tc->bytes + size > tc->max_bytes) {
		drop(tc, &tc->place[tc->hand]);
		tc->hand = (tc->hand + 1) & (tc->places - 1);
	}
	hash = hash_token(tc, token, len);
	pl = choose_place(tc, hash);
	drop(tc, pl);
	pl->hash = hash;
	pl->entry = entry;
	tc->bytes += size;
	tc->entries++;
}

void
tokencache_count(const struct tokencache *tc, size_t *ret_entries,
    size_t *ret_bytes)
{
	*ret_entries = tc->entries;
	*ret_bytes = tc->bytes;
}
