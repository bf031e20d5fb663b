/* int16 in memory: the sixteen int32 of nrv_simd.h as such, and their products. */
#ifndef NRV_SIMD_SHORT_H
#define NRV_SIMD_SHORT_H

#include "nrv_simd.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)

static inline nrv_simd_t nrv_simd_load_short(const int16_t *from)
{
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

/* Saturates. */
static inline void nrv_simd_store_short(int16_t *to, nrv_simd_t x)
{
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtsepi32_epi16(x));
}

/* acc + two values, the same for all lanes, times two of each lane, w[16][2]. */
static inline nrv_simd_t nrv_simd_dot_short(nrv_simd_t acc, const int16_t *x, const int16_t *w)
{
    int32_t two;
    memcpy(&two, x, sizeof two);
    /* In assembly as nrv_simd_dot_sixteen(). */
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(_mm512_set1_epi32(two)), "v"(_mm512_loadu_si512(w)));
    return acc;
}

#elif defined(__AVX2__)

static inline nrv_simd_t nrv_simd_load_short(const int16_t *from)
{
    const nrv_simd_t x = {_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)),
                          _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(from + 8)))};
    return x;
}

static inline void nrv_simd_store_short(int16_t *to, nrv_simd_t x)
{
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xD8);
    _mm256_storeu_si256((__m256i *)(void *)to, packed);
}

static inline nrv_simd_t nrv_simd_dot_short(nrv_simd_t acc, const int16_t *x, const int16_t *w)
{
    int32_t two;
    memcpy(&two, x, sizeof two);
    const __m256i all = _mm256_set1_epi32(two);
    acc.a = _mm256_add_epi32(acc.a, _mm256_madd_epi16(all, nrv_simd_load_eight(w)));
    acc.b = _mm256_add_epi32(acc.b, _mm256_madd_epi16(all, nrv_simd_load_eight(w + 16)));
    return acc;
}

#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(__ARM_BIG_ENDIAN)

static inline nrv_simd_t nrv_simd_load_short(const int16_t *from)
{
    const int16x8_t first = vld1q_s16(from);
    const int16x8_t last = vld1q_s16(from + 8);
    const nrv_simd_t x = {{vmovl_s16(vget_low_s16(first)), vmovl_high_s16(first), vmovl_s16(vget_low_s16(last)),
                           vmovl_high_s16(last)}};
    return x;
}

static inline void nrv_simd_store_short(int16_t *to, nrv_simd_t x)
{
    vst1q_s16(to, vqmovn_high_s32(vqmovn_s32(x.q[0]), x.q[1]));
    vst1q_s16(to + 8, vqmovn_high_s32(vqmovn_s32(x.q[2]), x.q[3]));
}

static inline nrv_simd_t nrv_simd_dot_short(nrv_simd_t acc, const int16_t *x, const int16_t *w)
{
    for (int32_t i = 0; i < 4; i++) {
        const int16x4x2_t two = vld2_s16(w + 8 * i);
        acc.q[i] = vmlal_n_s16(vmlal_n_s16(acc.q[i], two.val[0], x[0]), two.val[1], x[1]);
    }
    return acc;
}

#else

static inline nrv_simd_t nrv_simd_load_short(const int16_t *from)
{
    nrv_simd_t x;
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        x.lane[i] = from[i];
    }
    return x;
}

static inline void nrv_simd_store_short(int16_t *to, nrv_simd_t x)
{
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        to[i] = nrv_sat16(x.lane[i]);
    }
}

static inline nrv_simd_t nrv_simd_dot_short(nrv_simd_t acc, const int16_t *x, const int16_t *w)
{
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        acc.lane[i] += x[0] * w[2 * i] + x[1] * w[2 * i + 1];
    }
    return acc;
}

#endif

#endif
