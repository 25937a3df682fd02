/*
 * hash - FNV-1a of 64 bits: spreads ids over tables, and stands for texts where two of one
 * number do no harm.  Nothing that must not be guessed.
 * The numbers are kept in the database (sends.h), so they stay what they are.
 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START	0xcbf29ce484222325ULL

/* h, HASH_START at first, with len more bytes. */
uint64_t hash_add(uint64_t h, const void *data, size_t len);
/* Of a string, its high half folded into the low one, which alone may be used. */
uint32_t hash_text(const char *s);

#endif
