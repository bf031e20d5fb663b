#include "biquad.h"

#include "fixed.h"

#define FRACTION_BITS 30
#define HALF (UINT32_C(1) << (FRACTION_BITS - 1))
#define FRACTION_MASK ((UINT32_C(1) << FRACTION_BITS) - 1u)
#define ERROR_DROPPED_BITS 6

/* Runs one section over one channel. past: y1, y2, e1, e2. `fine` and `fine_b` are constants where this is
 * inlined: whether there are low bits at all, and whether the numerator has some. */
static inline void run_section(const nrv_section_t *section, int32_t x1, int32_t x2, int32_t *past,
                               int32_t *signal, size_t samples, size_t stride, int fine, int fine_b)
{
    const int32_t b0 = section->b[0], b1 = section->b[1], b2 = section->b[2];
    /* Negated, so that every product is an addition: one SMLAL each on Armv7E-M. */
    const int32_t c1 = -section->a[0], c2 = -section->a[1];
    const int32_t *b_low = section->b_low;
    const int32_t c_low1 = -section->a_low[0], c_low2 = -section->a_low[1];
    const int32_t w1 = section->weight[0], w2 = section->weight[1];
    int32_t y1 = past[0], y2 = past[1], e1 = past[2], e2 = past[3];

    for (; samples; samples--, signal += stride) {
        const int32_t x0 = *signal;
        /* Modulo 2^64: partial sums may pass 2^63 and come back; only the whole sum has to fit. */
        uint64_t sum = (uint64_t)(int64_t)(w1 * e1 + w2 * e2) + HALF;
        if (fine) {
            int64_t low = (int64_t)c_low1 * y1 + (int64_t)c_low2 * y2;
            if (fine_b)
                low += (int64_t)b_low[0] * x0 + (int64_t)b_low[1] * x1 + (int64_t)b_low[2] * x2;
            sum += (uint64_t)(low >> 16);
        }
        sum += (uint64_t)((int64_t)b0 * x0);
        sum += (uint64_t)((int64_t)b1 * x1);
        sum += (uint64_t)((int64_t)b2 * x2);
        sum += (uint64_t)((int64_t)c1 * y1);
        sum += (uint64_t)((int64_t)c2 * y2);
        const int64_t exact = (int64_t)sum >> FRACTION_BITS;
        const int32_t y0 = nrv_sat32(exact);
        e2 = e1;
        e1 = y0 == exact ? (int32_t)(((uint32_t)sum & FRACTION_MASK) - HALF) >> ERROR_DROPPED_BITS : 0;
        x2 = x1;
        x1 = x0;
        y2 = y1;
        y1 = y0;
        *signal = y0;
    }
    past[0] = y1;
    past[1] = y2;
    past[2] = e1;
    past[3] = e2;
}

void nrv_cascade_run(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                     int32_t *signal, size_t samples)
{
    if (samples == 0)
        return;
    for (size_t c = 0; c < channels; c++) {
        int32_t *channel = signal + c;
        int32_t x1 = state[0], x2 = state[1];
        state[1] = samples > 1 ? channel[(samples - 2) * channels] : x1;
        state[0] = channel[(samples - 1) * channels];
        state += 2;
        for (size_t s = 0; s < n_sections; s++, state += 4) {
            /* A section's past outputs are the next one's past inputs: kept once. */
            const int32_t before1 = state[0], before2 = state[1];
            const nrv_section_t *section = &sections[s];
            if (section->b_low[0] | section->b_low[1] | section->b_low[2])
                run_section(section, x1, x2, state, channel, samples, channels, 1, 1);
            else if (section->a_low[0] | section->a_low[1])
                run_section(section, x1, x2, state, channel, samples, channels, 1, 0);
            else
                run_section(section, x1, x2, state, channel, samples, channels, 0, 0);
            x1 = before1;
            x2 = before2;
        }
    }
}
