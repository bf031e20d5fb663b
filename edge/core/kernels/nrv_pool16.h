/* int16 average and maximum pooling, NHWC. Taps beyond the border do not count. */
#ifndef NRV_POOL16_H
#define NRV_POOL16_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window; /* no dilation */
    int32_t channels;
    int32_t average; /* else the maximum */
    int32_t act_min;
    int32_t act_max;
} nrv_pool16_t;

/* input and output are int16 on their boundaries. The mean is rounded, halves away from zero. */
void nrv_pool16(const nrv_pool16_t *p, const int8_t *input, int8_t *output);

#endif
