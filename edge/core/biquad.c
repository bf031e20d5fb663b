#include "biquad.h"

#include "biquad_avx2.h"
#include "fixed.h"

/* The same condition as in biquad_armv7em.S. NRV_PORTABLE asks for C there, too. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && !defined(NRV_PORTABLE)
#define IN_ASSEMBLY (__ARM_ARCH_PROFILE == 'M')
#else
#define IN_ASSEMBLY 0
#endif

#if IN_ASSEMBLY

/* Offsets that the assembly counts on. */
typedef char nrv_section_layout_t[offsetof(nrv_section_t, b_shift) == 12 && offsetof(nrv_section_t, c_low) == 16 &&
                                          offsetof(nrv_section_t, c) == 20 &&
                                          offsetof(nrv_section_t, weight) == 28 && sizeof(nrv_section_t) == 36
                                      ? 1
                                      : -1];

#else

#define FRACTION_BITS 30
#define ERROR_DROPPED_BITS 6
#define BLOCK_SAMPLES 256 /* stay in the cache from one section to the next */

static inline int32_t rounded(uint64_t sum)
{
    const uint64_t half = UINT64_C(1) << (FRACTION_BITS - 1);
    const uint64_t beyond = UINT64_C(1) << (FRACTION_BITS + 31);
    /* Nothing to limit: a branch that is foreseen costs less time than limits on the way to the next sample. */
    if (sum + beyond < 2 * beyond - half)
        return (int32_t)((int64_t)(sum + half) >> FRACTION_BITS);
    const int32_t high = nrv_sat32((int64_t)(int32_t)(sum >> 32) * 4);
    const uint32_t next = ((uint32_t)sum >> (FRACTION_BITS - 1)) + 1u;
    return nrv_sat32((int64_t)high + (int32_t)(next >> 1));
}

/* Runs one section over one channel; past: x1, x2, e1, e2, y1, y2. Leaves y1, y2 to the next section, whose x1,
 * x2 they are. `b_shift` is a constant where this is inlined. */
static inline void run_section(const nrv_section_t *section, int32_t *past, int32_t *signal, size_t samples,
                               size_t stride, int b_shift)
{
    const int32_t b0 = section->b[0], b1 = section->b[1], b2 = section->b[2];
    const int32_t c1 = section->c[0], c2 = section->c[1];
    const int32_t c_low1 = section->c_low[0], c_low2 = section->c_low[1];
    const int32_t w1 = section->weight[0], w2 = section->weight[1];
    int32_t x1 = past[0], x2 = past[1], e1 = past[2], e2 = past[3], y1 = past[4], y2 = past[5];

    for (; samples; samples--, signal += stride) {
        const int32_t x0 = *signal;
        /* Unsigned: sums may wrap and come back. */
        uint64_t sum = (uint64_t)((int64_t)b0 * x0);
        sum += (uint64_t)((int64_t)b1 * x1);
        sum += (uint64_t)((int64_t)b2 * x2);
        sum = (uint64_t)((int64_t)sum >> b_shift);
        const uint32_t below = (uint32_t)((int64_t)c_low1 * y1 >> 16) + (uint32_t)((int64_t)c_low2 * y2 >> 16);
        sum += (uint64_t)(int64_t)((int32_t)below + (int64_t)(w1 * e1 + w2 * e2));
        sum += (uint64_t)((int64_t)c2 * y2);
        sum += (uint64_t)((int64_t)c1 * y1);
        const int32_t y0 = rounded(sum);
        e2 = e1;
        e1 = (int32_t)((uint32_t)sum << 2) >> (2 + ERROR_DROPPED_BITS);
        x2 = x1;
        x1 = x0;
        y2 = y1;
        y1 = y0;
        *signal = y0;
    }
    past[0] = x1;
    past[1] = x2;
    past[2] = e1;
    past[3] = e2;
}

static void run_channel(const nrv_section_t *sections, size_t n_sections, int32_t *past, int32_t *signal,
                        size_t samples, size_t stride)
{
    for (const nrv_section_t *s = sections; s < sections + n_sections; s++, past += 4) {
        if (s->b_shift == 0)
            run_section(s, past, signal, samples, stride, 0);
        else if (s->b_shift == 8)
            run_section(s, past, signal, samples, stride, 8);
        else
            run_section(s, past, signal, samples, stride, 16);
    }
    past[1] = samples > 1 ? signal[(samples - 2) * stride] : past[0];
    past[0] = signal[(samples - 1) * stride];
}

void nrv_cascade_run(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                     int32_t *signal, size_t samples)
{
    while (samples) {
        const size_t block = samples < BLOCK_SAMPLES ? samples : BLOCK_SAMPLES;
        size_t c = nrv_cascade_run_avx2(sections, n_sections, channels, state, signal, block);
        for (; c < channels; c++)
            run_channel(sections, n_sections, state + c * NRV_CASCADE_STATE_LEN(n_sections, 1), signal + c, block,
                        channels);
        signal += block * channels;
        samples -= block;
    }
}

#endif
