/* Random numbers that repeat with their seed, and buffers that the address sanitizer watches. */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_seed(uint64_t seed);
uint64_t random_64(void);

/* 0 .. limit - 1 */
uint32_t random_below(uint32_t limit);

/* -limit .. limit */
int32_t random_within(int32_t limit);

/* Any value; every fourth at or next to an end of the range, or to zero. */
int32_t random_int32(void);

/* Exactly `size` bytes, filled with rubbish; ends the program where there are none. */
void *random_memory(size_t size);

/* Ends the program, saying what differs and how to repeat it. */
void fuzz_fail(const char *what);

#endif
