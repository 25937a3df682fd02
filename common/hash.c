/*
 * FNV-1a (hash.h).
 */
#include <string.h>

#include "hash.h"

uint64_t
hash_add(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

uint32_t
hash_text(const char *s)
{
	uint64_t h = hash_add(HASH_START, s, strlen(s));

	return (uint32_t)(h ^ h >> 32);
}
