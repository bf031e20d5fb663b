/* Products of an int8 matrix with int16 columns, requantized to int8. */
#ifndef NRV_DSP_MATRIX_H
#define NRV_DSP_MATRIX_H

#include <stdint.h>

typedef struct {
    int32_t units;  /* rows of the matrix: output channels */
    int32_t groups; /* of four taps, the last one filled with zeros */
    int32_t cut_below_zero; /* 1: the activation cuts off all below the zero point, so how halves round there is moot */
    int32_t act_min;        /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    int32_t pool; /* columns an output, 1, 2 or 4: the highest of so many neighbours */
    /*
     * For every two units a, b (b all zeros where the last one is alone), in the order in which it is read:
     *   biases of a, b, the input's zero point folded in;
     *   groups * 2 words of weights: the first of a group holds taps 0 and 2 of a in bytes 0 and 2, those of b in
     *   bytes 1 and 3; the second word taps 1 and 3 likewise;
     *   multiplier of a, shift of a, multiplier of b, shift of b, a shift being that to the right less one and above
     *   it, from bit 8 on, 2 * output zero point + 1.
     */
    const uint32_t *stream;
} nrv_dsp_matrix_t;

/* Four columns side by side: [groups][even taps, odd taps][column]. */
enum { NRV_DSP_COLUMNS = 4, NRV_DSP_GROUP_WORDS = 8 };

/*
 * By `stream`, which is m's own or another like it. The first `count` of four columns, a multiple of pool; [count / pool][units] outputs. They are saturated to int8
 * only: nrv_dsp_clamp() takes care of narrower activations.
 */
void nrv_dsp_multiply_some(const nrv_dsp_matrix_t *m, const uint32_t *stream, const uint32_t *columns, int32_t count,
                           int8_t *output);

#endif
