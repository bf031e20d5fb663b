#include "biquad_avx2.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define LANES 4  /* channels in a vector, 64 bits each: products of the lower 32 */
#define VECTORS 2 /* at a time, so that one's multiplications fill the waits of the other's */
#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((target("avx2"), always_inline))

/* Word `at` of each lane's state, in the lower halves. */
AVX2_INLINE __m256i gather(const int32_t *state, size_t pitch, size_t at)
{
    return _mm256_set_epi64x(state[3 * pitch + at], state[2 * pitch + at], state[pitch + at], state[at]);
}

AVX2_INLINE __m128i lower_halves(__m256i lanes)
{
    return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(lanes, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6)));
}

AVX2_INLINE void scatter(int32_t *state, size_t pitch, size_t at, __m256i lanes)
{
    int32_t words[LANES];
    _mm_storeu_si128((__m128i *)words, lower_halves(lanes));
    for (size_t k = 0; k < LANES; k++)
        state[k * pitch + at] = words[k];
}

/* Arithmetic, of 64-bit lanes, which AVX2 lacks: 2^63 is added before and what became of it taken away after. */
AVX2_INLINE __m256i shift_right(__m256i lanes, int bits)
{
    if (bits == 0)
        return lanes;
    const __m256i top = _mm256_set1_epi64x(INT64_MIN);
    return _mm256_sub_epi64(_mm256_srli_epi64(_mm256_xor_si256(lanes, top), bits), _mm256_srli_epi64(top, bits));
}

typedef struct {
    __m256i x1, x2, e1, e2, y1, y2;
} past_t;

/* One sample of one section; returns y0. Garbage in the upper halves of lanes is harmless. */
AVX2_INLINE __m256i step(const nrv_section_t *s, past_t *p, __m256i x0, int b_shift)
{
#define TIMES(lanes, factor) _mm256_mul_epi32(lanes, _mm256_set1_epi32(factor))
    __m256i sum = _mm256_add_epi64(TIMES(p->x1, s->b[1]), TIMES(p->x2, s->b[2]));
    sum = shift_right(_mm256_add_epi64(sum, TIMES(x0, s->b[0])), b_shift);
    const __m256i low1 = _mm256_srli_epi64(TIMES(p->y1, s->c_low[0]), 16);
    const __m256i low2 = _mm256_srli_epi64(TIMES(p->y2, s->c_low[1]), 16);
    const __m256i errors = _mm256_add_epi64(TIMES(p->e1, s->weight[0]), TIMES(p->e2, s->weight[1]));
    sum = _mm256_add_epi64(sum, _mm256_add_epi64(errors, TIMES(p->y2, s->c[1])));
    sum = _mm256_add_epi64(sum, TIMES(_mm256_add_epi32(low1, low2), 1)); /* extends the sign */
    sum = _mm256_add_epi64(sum, TIMES(p->y1, s->c[0]));
#undef TIMES
    /* 4 high and the next bits rounded stay within uint32; what is above int32 where high is not negative is
     * beyond the limit. */
    const __m256i high = _mm256_srli_epi64(sum, 32);
    const __m256i within = _mm256_max_epi32(_mm256_min_epi32(high, _mm256_set1_epi32(1 << 29)),
                                            _mm256_set1_epi32(-(1 << 29)));
    const __m256i left = _mm256_slli_epi32(sum, 2);
    const __m256i next = _mm256_add_epi32(_mm256_srli_epi32(sum, 30), _mm256_srli_epi32(left, 31));
    const __m256i limit = _mm256_or_si256(_mm256_srai_epi32(high, 31), _mm256_set1_epi32(INT32_MAX));
    const __m256i y0 = _mm256_min_epu32(_mm256_add_epi32(_mm256_slli_epi32(within, 2), next), limit);
    p->e2 = p->e1;
    p->e1 = _mm256_srai_epi32(left, 8);
    p->x2 = p->x1;
    p->x1 = x0;
    p->y2 = p->y1;
    p->y1 = y0;
    return y0;
}

/* One section over `vectors` vectors of channels; `vectors` and `b_shift` are constants where this is inlined. */
AVX2_INLINE void run_section(const nrv_section_t *section, int32_t *state, size_t pitch, int32_t *signal,
                             size_t samples, size_t stride, size_t vectors, int b_shift)
{
    const nrv_section_t s = *section; /* signal might be the section, for all the compiler knows */
    past_t past[VECTORS];
    for (size_t v = 0; v < vectors; v++) {
        const int32_t *from = state + v * LANES * pitch;
        past[v].x1 = gather(from, pitch, 0);
        past[v].x2 = gather(from, pitch, 1);
        past[v].e1 = gather(from, pitch, 2);
        past[v].e2 = gather(from, pitch, 3);
        past[v].y1 = gather(from, pitch, 4);
        past[v].y2 = gather(from, pitch, 5);
    }
    for (; samples; samples--, signal += stride)
        for (size_t v = 0; v < vectors; v++) {
            __m128i *at = (__m128i *)(signal + v * LANES);
            const __m256i x0 = _mm256_cvtepi32_epi64(_mm_loadu_si128(at));
            _mm_storeu_si128(at, lower_halves(step(&s, &past[v], x0, b_shift)));
        }
    for (size_t v = 0; v < vectors; v++) {
        int32_t *to = state + v * LANES * pitch;
        scatter(to, pitch, 0, past[v].x1);
        scatter(to, pitch, 1, past[v].x2);
        scatter(to, pitch, 2, past[v].e1);
        scatter(to, pitch, 3, past[v].e2);
    }
}

AVX2_INLINE void run_group(const nrv_section_t *sections, size_t n_sections, int32_t *state, int32_t *signal,
                           size_t samples, size_t stride, size_t vectors)
{
    const size_t pitch = NRV_CASCADE_STATE_LEN(n_sections, 1);
    for (size_t n = 0; n < n_sections; n++, state += 4) {
        const nrv_section_t *s = &sections[n];
        if (s->b_shift == 0)
            run_section(s, state, pitch, signal, samples, stride, vectors, 0);
        else if (s->b_shift == 8)
            run_section(s, state, pitch, signal, samples, stride, vectors, 8);
        else
            run_section(s, state, pitch, signal, samples, stride, vectors, 16);
    }
    const int32_t *last = signal + (samples - 1) * stride;
    for (size_t k = 0; k < vectors * LANES; k++, state += pitch) {
        state[1] = samples > 1 ? last[k - stride] : state[0];
        state[0] = last[k];
    }
}

AVX2 static size_t run_groups(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                              int32_t *signal, size_t samples)
{
    size_t c = 0;
    for (; channels - c >= VECTORS * LANES; c += VECTORS * LANES)
        run_group(sections, n_sections, state + c * NRV_CASCADE_STATE_LEN(n_sections, 1), signal + c, samples,
                  channels, VECTORS);
    for (; channels - c >= LANES; c += LANES)
        run_group(sections, n_sections, state + c * NRV_CASCADE_STATE_LEN(n_sections, 1), signal + c, samples,
                  channels, 1);
    return c;
}

size_t nrv_cascade_run_avx2(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                            int32_t *signal, size_t samples)
{
    if (!__builtin_cpu_supports("avx2"))
        return 0;
    return run_groups(sections, n_sections, channels, state, signal, samples);
}

#endif
