/* int8 average and maximum pooling, NHWC. Taps beyond the border do not count. */
#ifndef NRV_POOL_H
#define NRV_POOL_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window; /* no dilation; input_zero unused */
    int32_t channels;
    int32_t act_min;
    int32_t act_max;
} nrv_pool_t;

/* Mean of the taps, half away from zero. */
void nrv_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

void nrv_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
