/*
 * int8 ADD and SUB for processors with Arm's DSP extension. The operand with the larger scale comes first: what brings
 * it to the common scale is a power of two.
 */
#ifndef NRV_DSP_ADD_H
#define NRV_DSP_ADD_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs; /* both move by one along the last axis */
    /*
     * Products are rounded high halves, p = round(v * multiplier / 2^32); all is exact as nrv_add has it:
     *   second, to the common scale: v = factor * second + offset; s = (p + round - (v < 0)) >> shift;
     *   twice the sum of both: v = first_factor * first + first_offset + second_factor * s;
     *   output: (p + output_round - (v < 0)) >> output_shift, output_round with the zero point.
     */
    int32_t factor, offset, multiplier, round, shift;
    int32_t first_factor, first_offset, second_factor;
    int32_t output_multiplier, output_round, output_shift;
    int32_t act_min;
    int32_t act_max;
} nrv_dsp_add_t;

/* output may be the same as an input that is not repeated. */
void nrv_dsp_add(const nrv_dsp_add_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
