/* int8 PAD of up to four dimensions; missing leading ones are 1. */
#ifndef NRV_PAD_H
#define NRV_PAD_H

#include <stdint.h>

typedef struct {
    int32_t input[4];
    int32_t before[4];
    int32_t output[4];
    int32_t fill; /* the quantized zero */
} nrv_pad_t;

void nrv_pad(const nrv_pad_t *p, const int8_t *input, int8_t *output);

#endif
