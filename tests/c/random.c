#include "random.h"

#include <stdlib.h>
#include <string.h>

static uint64_t state;

void random_seed(uint64_t seed)
{
    state = seed;
}

/* SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
uint64_t random_64(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t random_below(uint32_t limit)
{
    return (uint32_t)(random_64() % limit);
}

int32_t random_within(int32_t limit)
{
    return (int32_t)((int64_t)random_below(2u * (uint32_t)limit + 1u) - limit);
}

int32_t random_int32(void)
{
    static const int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    return random_below(4) ? (int32_t)random_64() : edges[random_below(7)];
}

void *random_memory(size_t size)
{
    /* malloc(0) may give a null pointer, which memset must not get. */
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    memset(memory, 0xa5, size ? size : 1);
    return memory;
}
