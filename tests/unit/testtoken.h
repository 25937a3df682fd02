/*
 * testtoken - tokens that no decent library would make, for the tests of auth.
 *
 * token_raw() signs any header and payload, byte for byte, with HMAC-SHA256
 * (FIPS 180-4, RFC 2104); that auth_verify() takes a decent one of them shows
 * that it is right.
 */
#ifndef TESTTOKEN_H
#define TESTTOKEN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SHA_LEN		32
#define SHA_BLOCK	64

struct sha {
	uint32_t	 h[8];
	unsigned char	 block[SHA_BLOCK];
	uint64_t	 len;
};

static const uint32_t sha_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static inline uint32_t
sha_ror(uint32_t v, int bits)
{
	return v >> bits | v << (32 - bits);
}

static inline void
sha_block(struct sha *s)
{
	uint32_t w[64], v[8], t1, t2;
	int i;

	for (i = 0; i < 16; i++)
		w[i] = (uint32_t)s->block[4 * i] << 24
		    | (uint32_t)s->block[4 * i + 1] << 16
		    | (uint32_t)s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
	for (; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7]
		    + (sha_ror(w[i - 15], 7) ^ sha_ror(w[i - 15], 18)
		    ^ w[i - 15] >> 3)
		    + (sha_ror(w[i - 2], 17) ^ sha_ror(w[i - 2], 19)
		    ^ w[i - 2] >> 10);
	memcpy(v, s->h, sizeof(v));
	for (i = 0; i < 64; i++) {
		t1 = v[7] + (sha_ror(v[4], 6) ^ sha_ror(v[4], 11)
		    ^ sha_ror(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6]))
		    + sha_k[i] + w[i];
		t2 = (sha_ror(v[0], 2) ^ sha_ror(v[0], 13) ^ sha_ror(v[0], 22))
		    + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		s->h[i] += v[i];
}

static inline void
sha_init(struct sha *s)
{
	static const uint32_t h[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};

	memcpy(s->h, h, sizeof(h));
	s->len = 0;
}

static inline void
sha_add(struct sha *s, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (; len > 0; len--) {
		s->block[s->len++ % SHA_BLOCK] = *p++;
		if (s->len % SHA_BLOCK == 0)
			sha_block(s);
	}
}

static inline void
sha_end(struct sha *s, unsigned char ret[SHA_LEN])
{
	uint64_t bits = s->len * 8;
	unsigned char b = 0x80;
	int i;

	do {
		sha_add(s, &b, 1);
		b = 0;
	} while (s->len % SHA_BLOCK != SHA_BLOCK - 8);
	for (i = 56; i >= 0; i -= 8) {
		b = (unsigned char)(bits >> i);
		sha_add(s, &b, 1);
	}
	for (i = 0; i < SHA_LEN; i++)
		ret[i] = (unsigned char)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

static inline void
hmac(const char *key, size_t key_len, const char *text, size_t len,
    unsigned char ret[SHA_LEN])
{
	unsigned char pad[SHA_BLOCK] = "";
	struct sha s;
	int i;

	if (key_len > SHA_BLOCK) {
		sha_init(&s);
		sha_add(&s, key, key_len);
		sha_end(&s, pad);
	} else {
		memcpy(pad, key, key_len);
	}
	for (i = 0; i < SHA_BLOCK; i++)
		pad[i] ^= 0x36;
	sha_init(&s);
	sha_add(&s, pad, SHA_BLOCK);
	sha_add(&s, text, len);
	sha_end(&s, ret);
	for (i = 0; i < SHA_BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha_init(&s);
	sha_add(&s, pad, SHA_BLOCK);
	sha_add(&s, ret, SHA_LEN);
	sha_end(&s, ret);
}

/* Appends base64url to the string at, which has room; returns the new end. */
static inline char *
b64_add(char *at, const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *p = data;
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		bits = bits << 8 | p[i];
		*at++ = digits[bits >> (2 + 2 * (i % 3)) & 63];
		if (i % 3 == 2)
			*at++ = digits[bits & 63];
	}
	if (len % 3 != 0)
		*at++ = digits[bits << (6 - 2 * (len % 3)) & 63];
	*at = '\0';
	return at;
}

/* HEADER.PAYLOAD.SIGNATURE; free() it. */
static inline char *
token_raw_len(const char *header, const char *payload, size_t payload_len,
    const char *key, size_t key_len)
{
	unsigned char mac[SHA_LEN];
	size_t len = strlen(header) + payload_len + SHA_LEN;
	char *token = malloc(len * 4 / 3 + 16), *at;

	if (token == NULL)
		abort();
	at = b64_add(token, header, strlen(header));
	*at++ = '.';
	at = b64_add(at, payload, payload_len);
	hmac(key, key_len, token, (size_t)(at - token), mac);
	*at++ = '.';
	b64_add(at, mac, SHA_LEN);
	return token;
}

static inline char *
token_raw(const char *header, const char *payload, const char *key)
{
	return token_raw_len(header, payload, strlen(payload), key, strlen(key));
}

#endif
