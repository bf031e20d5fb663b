/* Cascades of second-order filter sections on int32 signals, direct form 1, 64-bit accumulators.
 *
 * One section computes, with every shift an arithmetic one (towards minus infinity),
 *
 *     acc = ((b0 x0 + b1 x1 + b2 x2) >> b_shift) + c1 y1 + c2 y2
 *           + (c_low1 y1 >> 16) + (c_low2 y2 >> 16) + w1 e1 + w2 e2                    modulo 2^64
 *     y0  = (acc + 2^29) >> 30, limited as said below
 *     e0  = what this rounding left out, acc - (y0 << 30), without its 6 lowest bits
 *
 * where index 1 is one sample ago, 2 two samples ago. The rounding errors e pass through the poles as the
 * signal does; fed back with weights near c1, c2 (2 and -1 for poles close to z = 1) that cancels, and the
 * noise of a section is that of one rounding, however slow or sharp it is (Higgins and Munson, "Noise
 * reduction strategies for digital filters: error spectrum shaping versus the optimal linear state-space
 * formulation", 1982). c_low places such poles more finely than 2^-30 can; b_shift does so for numerators that
 * are small (slow low-passes).
 *
 * Only the whole sum has to fit, not its parts. Whoever designs the coefficients proves that outputs fit into
 * int32 (train/filter_proof.py); for those that were not proved, y0 is 4 (acc >> 32) limited to int32, plus the
 * next bits of acc rounded (0 to 4), and that limited to int32: at the lower limit to within 4, up to four times
 * the range. The two terms of c_low are added modulo 2^32, which only their largest values can tell.
 *
 * Every product is one multiply-accumulate of Armv7E-M (SMLAL, SMLAWB), every limit one instruction:
 * biquad_armv7em.S is this in assembly; biquad_avx2.c does four channels at a time on x86-64.
 */
#ifndef NRV_BIQUAD_H
#define NRV_BIQUAD_H

#include <stddef.h>
#include <stdint.h>

/* The assembly reads it in this order. */
typedef struct {
    int32_t b[3];      /* Q2.30, of b times 2^b_shift */
    int32_t b_shift;   /* 0, 8 or 16 */
    int16_t c_low[2];  /* the 16 bits below c: c1 is c[0] / 2^30 + c_low[0] / 2^46 */
    int32_t c[2];      /* -a1, -a2, Q2.30; a0 = 1 is implied */
    int32_t weight[2]; /* 64ths, |w1| <= 128, |w2| <= 64; 0 for no error feedback */
} nrv_section_t;

/* int32 words of state for a cascade, per channel: x1, x2, e1, e2 of each section, then the last one's y1, y2.
 * A section's y1, y2 are the next one's x1, x2: kept once. */
#define NRV_CASCADE_STATE_LEN(sections, channels) ((size_t)(channels) * (2u + 4u * (size_t)(sections)))

/* Filters `samples` x `channels` interleaved values in place; n_sections and channels are 1 or more. A state of
 * zeros is a filter at rest. Splitting a stream into calls of any size gives the same integers. */
void nrv_cascade_run(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                     int32_t *signal, size_t samples);

#endif
