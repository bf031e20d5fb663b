/* Cascades of second-order filter sections on int32 signals, direct form 1, 64-bit accumulators.
 *
 * One section computes
 *
 *     acc = b0 x0 + b1 x1 + b2 x2 - a1 y1 - a2 y2 + w1 e1 + w2 e2
 *           + floor((b_low0 x0 + b_low1 x1 + b_low2 x2 - a_low1 y1 - a_low2 y2) / 2^16)
 *     y0  = floor((acc + 2^29) / 2^30), saturated to int32
 *     e0  = floor((acc - y0 2^30) / 2^6), 0 when y0 saturated
 *
 * where index 1 is one sample ago, 2 two samples ago. The rounding errors e pass through the poles as the
 * signal does; fed back with weights near -a1, -a2 (2 and -1 for poles close to z = 1) that cancels, and the
 * noise of a section is that of one rounding, however slow or sharp it is (Higgins and Munson, "Noise
 * reduction strategies for digital filters: error spectrum shaping versus the optimal linear state-space
 * formulation", 1982). a_low places such poles more finely than 2^-30 can, b_low is for numerators so small
 * that 2^-30 is too coarse (slow low-passes).
 * acc is summed modulo 2^64, so only its final value has to fit: 2^30 times the output before rounding. Whoever
 * designs the coefficients proves that outputs fit into int32 (train/filter_proof.py); saturation is for those
 * that were not proved, and holds up to four times the range.
 */
#ifndef NRV_BIQUAD_H
#define NRV_BIQUAD_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t b[3];      /* Q2.30 */
    int32_t a[2];      /* Q2.30; a0 = 1 is implied */
    int32_t b_low[3];  /* the 16 bits below b: b0 is b[0] / 2^30 + b_low[0] / 2^46 */
    int32_t a_low[2];  /* and below a */
    int32_t weight[2]; /* 64ths, |w1| <= 128, |w2| <= 64; 0 for no error feedback */
} nrv_section_t;

/* int32 words of state for a cascade: two past inputs, then y1, y2, e1, e2 of each section, per channel. */
#define NRV_CASCADE_STATE_LEN(sections, channels) ((size_t)(channels) * (2u + 4u * (size_t)(sections)))

/* Filters `samples` x `channels` interleaved values in place. A state of zeros is a filter at rest.
 * Splitting a stream into calls of any size gives the same integers. */
void nrv_cascade_run(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                     int32_t *signal, size_t samples);

#endif
