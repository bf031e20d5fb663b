/* The stages that a signal path is made of: each takes int32 [samples][channels] and gives int32
 * [samples][outputs], in place.
 *
 *     NRV_STAGE_CASCADE  second-order sections: biquad.h
 *     NRV_STAGE_FIR      y[n] = round(sum over k of weights[k] x[n - k] / 2^30), one y for `factor` x: for the
 *                        first x after a reset, then for every factor-th
 *     NRV_STAGE_MIX      y_o = round(sum over i of weights[o][i] x_i / 2^right_shift): a montage
 *     NRV_STAGE_RECTIFY  y = |x|
 *
 * Rounding is to the nearest, halves upwards; results are limited to int32. Sums have 64 bits: the absolute
 * weights of one sum must add up to less than 2^32.
 */
#ifndef NRV_STAGE_H
#define NRV_STAGE_H

#include <stddef.h>
#include <stdint.h>

#include "biquad.h"

enum {
    NRV_STAGE_CASCADE = 0,
    NRV_STAGE_FIR = 1,
    NRV_STAGE_MIX = 2,
    NRV_STAGE_RECTIFY = 3
};

typedef struct {
    uint8_t kind;
    uint8_t outputs;              /* channels after the stage; the number before unless a MIX */
    uint8_t right_shift;          /* MIX: 0..31 */
    uint8_t factor;               /* FIR: >= 1 */
    uint16_t length;              /* CASCADE: sections; FIR: weights; >= 1 */
    const nrv_section_t *cascade; /* CASCADE */
    const int32_t *weights;       /* FIR: [length], Q2.30, for the newest sample first; MIX: [outputs][channels] */
} nrv_stage_t;

/* int32 words of state; all zeros is a stage at rest. */
size_t nrv_stage_state_len(const nrv_stage_t *stage, size_t channels);

/* Runs a stage over signal[samples][channels], which becomes [the number returned][outputs]; there must be
 * room for samples times the larger of both. */
size_t nrv_stage_run(const nrv_stage_t *stage, size_t channels, int32_t *state, int32_t *signal, size_t samples);

#endif
