/* fuzz.h - what every fuzz target needs: checks, chance, exact memory.
 *
 * All chance comes from the input, so that an input tells the whole story and
 * a finding comes back when it is run again.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   libc.
 */
#ifndef LQ_FUZZ_H
#define LQ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the run as a finding when `cond` does not hold. */
#define FUZZ_CHECK(cond)                                                       \
    ((cond) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #cond))

/* What libFuzzer calls for each input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

_Noreturn static inline void fuzz_failed(const char *file, int line,
                                         const char *cond)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, cond);
    abort();
}

/* A seed for fuzz_next (FNV-1a). */
static inline uint64_t fuzz_seed(const uint8_t *data, size_t len)
{
    uint64_t seed = UINT64_C(0xcbf29ce484222325);
    size_t i;

    for (i = 0; i < len; i++) seed = (seed ^ data[i]) * UINT64_C(0x100000001b3);
    return seed;
}

/* The next number, below `bound`, which is not 0 (xorshift*). */
static inline size_t fuzz_next(uint64_t *seed, size_t bound)
{
    uint64_t x = *seed | 1;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *seed = x;
    return (size_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

/* Gives a copy behind which the sanitizer's red zone begins at once. */
static inline char *fuzz_copy(const void *bytes, size_t len)
{
    char *copy = malloc(len);

    FUZZ_CHECK(copy);
    if (len) memcpy(copy, bytes, len);
    return copy;
}

#endif
