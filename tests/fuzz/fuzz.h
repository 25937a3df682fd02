/*
 * fuzz - what each target of this directory is: one parser, given any bytes.  libFuzzer
 * calls it (`make fuzz`); replay.c does so for the corpus, without a fuzzer.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Names that libFuzzer looks for. */
int	 LLVMFuzzerInitialize(int *argc, char ***argv);
int	 LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

/* Ends the process where a parser broke its word. */
#define EXPECT(x)	do { \
	if (!(x)) { \
		(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
		    __LINE__, #x); \
		abort(); \
	} \
} while (0)

#endif
