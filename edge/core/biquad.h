/* Cascades of second-order filter sections on int32 signals, direct form 1, 64-bit accumulators.
 *
 * One section computes, for coefficients b, a in Q2.30 (a0 = 1 is implied) and a_low, the 16 bits below a:
 *
 *     acc = b0 x0 + b1 x1 + b2 x2 - a1 y1 - a2 y2 - ((a_low1 y1 + a_low2 y2) >> 16) + (2 e1 - e2 if feedback)
 *     y0  = (acc + 2^29) >> 30,  saturated to int32
 *     e0  = acc - y0 2^30 if feedback, else 0;  0 when y0 saturated
 *
 * Index 1 is one sample ago, 2 two samples ago. Feeding the rounding error back shapes it by (1 - 1/z)^2,
 * which cancels the noise gain of poles close to z = 1 (slow high-passes); a_low places such poles more
 * finely than 2^-30 can. Whoever designs the coefficients proves that acc and y0 fit (train/filter_design.py).
 */
#ifndef NRV_BIQUAD_H
#define NRV_BIQUAD_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t b[3];
    int32_t a[2];
    int32_t a_low[2];
    int32_t feedback;
} nrv_section_t;

/* int32 words of state for a cascade: two past inputs, then y1, y2, e1, e2 of each section, per channel. */
#define NRV_CASCADE_STATE_LEN(sections, channels) ((size_t)(channels) * (2u + 4u * (size_t)(sections)))

/* Filters `samples` x `channels` interleaved values in place. A state of zeros is a filter at rest.
 * Splitting a stream into calls of any size gives the same integers. */
void nrv_cascade_run(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                     int32_t *signal, size_t samples);

#endif
