#include "biquad.h"

#include "fixed.h"

#define FRACTION_BITS 30
#define ERROR_DROPPED_BITS 6
#define HIGH_LIMIT (INT32_C(1) << 29)

/* Runs one section over one channel. past: y1, y2, e1, e2. `b_shift` is a constant where this is inlined. */
static inline void run_section(const nrv_section_t *section, int32_t x1, int32_t x2, int32_t *past,
                               int32_t *signal, size_t samples, size_t stride, int b_shift)
{
    const int32_t b0 = section->b[0], b1 = section->b[1], b2 = section->b[2];
    const int32_t c1 = section->c[0], c2 = section->c[1];
    const int32_t c_low1 = section->c_low[0], c_low2 = section->c_low[1];
    const int32_t w1 = section->weight[0], w2 = section->weight[1];
    int32_t y1 = past[0], y2 = past[1], e1 = past[2], e2 = past[3];

    for (; samples; samples--, signal += stride) {
        const int32_t x0 = *signal;
        /* Unsigned: partial sums may wrap and come back. */
        uint64_t sum = (uint64_t)((int64_t)b0 * x0);
        sum += (uint64_t)((int64_t)b1 * x1);
        sum += (uint64_t)((int64_t)b2 * x2);
        sum = (uint64_t)((int64_t)sum >> b_shift);
        sum += (uint64_t)(((int64_t)c_low1 * y1 >> 16) + ((int64_t)c_low2 * y2 >> 16));
        sum += (uint64_t)(int64_t)(w1 * e1 + w2 * e2);
        sum += (uint64_t)((int64_t)c1 * y1);
        sum += (uint64_t)((int64_t)c2 * y2);
        const int32_t high = (int32_t)((int64_t)sum >> 32);
        const uint32_t low = (uint32_t)sum;
        const int32_t limited = high >= HIGH_LIMIT ? HIGH_LIMIT - 1 : high < -HIGH_LIMIT ? -HIGH_LIMIT : high;
        const int32_t next = (int32_t)((low >> FRACTION_BITS) + (low >> (FRACTION_BITS - 1) & 1u));
        const int32_t y0 = nrv_sat32((int64_t)limited * 4 + next);
        e2 = e1;
        e1 = (int32_t)(low << 2) >> (2 + ERROR_DROPPED_BITS);
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
            if (section->b_shift == 0)
                run_section(section, x1, x2, state, channel, samples, channels, 0);
            else if (section->b_shift == 8)
                run_section(section, x1, x2, state, channel, samples, channels, 8);
            else
                run_section(section, x1, x2, state, channel, samples, channels, 16);
            x1 = before1;
            x2 = before2;
        }
    }
}
