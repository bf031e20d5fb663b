/* A box out of an int8 tensor of up to four dimensions; missing leading ones are 1. */
#ifndef NRV_SLICE_H
#define NRV_SLICE_H

#include <stdint.h>

typedef struct {
    int32_t input[4];
    int32_t begin[4];
    int32_t size[4];
} nrv_slice_t;

void nrv_slice(const nrv_slice_t *p, const int8_t *input, int8_t *output);

#endif
