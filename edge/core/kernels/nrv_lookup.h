/* Any function of one int8 value, as a table. */
#ifndef NRV_LOOKUP_H
#define NRV_LOOKUP_H

#include <stdint.h>

typedef struct {
    int32_t count;
    const int8_t *table; /* [256]: results of 0 .. 127, then of -128 .. -1 */
} nrv_lookup_t;

/* output may be the same as the input. */
void nrv_lookup(const nrv_lookup_t *p, const int8_t *input, int8_t *output);

#endif
