/* int8 softmax over the last axis; output scale 1/256, zero point -128. */
#ifndef NRV_SOFTMAX_H
#define NRV_SOFTMAX_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t multiplier; /* beta * input scale as Q5.26: multiplier * 2^(shift - 31) */
    int32_t shift;      /* to the left */
    int32_t diff_min;   /* inputs further than this below the row's maximum have probability 0 */
    /* exp of the differences 0, -1, ... to the maximum as Q0.31, down to diff_min or -255; null: they are computed. */
    const int32_t *exponentials;
} nrv_softmax_t;

void nrv_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output);

#endif
