/* int8 softmax for processors with Arm's DSP extension, exponentials from a table. */
#ifndef NRV_DSP_SOFTMAX_H
#define NRV_DSP_SOFTMAX_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    /* [256]: exp of the differences 0, -1, ... to the maximum as Q0.31, 0 where they are too far below to count. */
    const int32_t *exponentials;
} nrv_dsp_softmax_t;

void nrv_dsp_softmax(const nrv_dsp_softmax_t *p, const int8_t *input, int8_t *output);

#endif
