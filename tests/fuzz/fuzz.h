/*
 * What a fuzz target is: two functions. driver.c runs them as a program of its own, libFuzzer can as well.
 *
 * A target holds nothing from one input to the next that could change an outcome, so that the bytes of an input are
 * all that is needed to repeat what it did. What must hold and does not ends the program: fuzz_require().
 */
#ifndef TOLLGATE_TESTS_FUZZ_FUZZ_H
#define TOLLGATE_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_INPUT_MAX 20000 /* bytes of an input; more than any message here may have (KRB_MESSAGE_MAX) */

/* Runs one input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Writes the nth (from 0) valid input into out and returns its length; 0 when there are no more. Made by the encoders
 * that the simulator uses, so that mutations start from what a parser accepts.
 */
size_t fuzz_seed_input(unsigned nth, uint8_t *out, size_t size);

#define fuzz_require(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* A heap copy of exactly len bytes: a read behind it is seen by the address sanitizer. free() it. */
static inline uint8_t *fuzz_exact(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	fuzz_require(copy != NULL);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

/* A seed input out of a byte of options and a message; 0 when it does not fit. */
static inline size_t fuzz_seed(uint8_t options, const void *bytes, size_t len, uint8_t *out, size_t size)
{
	fuzz_require(len > 0);
	if (len + 1 > size)
		return 0;
	out[0] = options;
	memcpy(out + 1, bytes, len);
	return len + 1;
}

#endif
