/* Sixteen int8 as the sixteen int32 of nrv_simd.h, their products and means. */
#ifndef NRV_SIMD_BYTES_H
#define NRV_SIMD_BYTES_H

#include "nrv_simd.h"

/* What nrv_simd_divide() takes of a count of int8 that were added. */
typedef struct {
    int32_t half;
    int32_t reciprocal; /* 2^24 / count, rounded upwards */
} nrv_simd_divisor_t;

enum { NRV_SIMD_MAX_COUNT = 361, NRV_SIMD_QUOTIENT_PLACES = 24 };

/*
 * Of up to NRV_SIMD_MAX_COUNT int8: the magnitude n = |sum| + count / 2 is at most 128.5 count, so that n times the
 * reciprocal fits 32 bits, and what rounding adds to the quotient, below n / 2^24, stays below 1 / count.
 */
static inline nrv_simd_divisor_t nrv_simd_divisor(int32_t count)
{
    const nrv_simd_divisor_t by = {count / 2, ((1 << NRV_SIMD_QUOTIENT_PLACES) + count - 1) / count};
    return by;
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)

/* Sixteen int8. */
static inline nrv_simd_t nrv_simd_widen(const int8_t *from)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
}

static inline nrv_simd_t nrv_simd_all(int32_t x)
{
    return _mm512_set1_epi32(x);
}

static inline nrv_simd_t nrv_simd_mul(nrv_simd_t x, nrv_simd_t y)
{
    return _mm512_mullo_epi32(x, y);
}

/* sum / count, halves away from zero. */
static inline nrv_simd_t nrv_simd_divide(nrv_simd_t sum, const nrv_simd_divisor_t *by)
{
    const __m512i size = _mm512_add_epi32(_mm512_abs_epi32(sum), _mm512_set1_epi32(by->half));
    const __m512i product = _mm512_mullo_epi32(size, _mm512_set1_epi32(by->reciprocal));
    const __m512i quotient = _mm512_srli_epi32(product, NRV_SIMD_QUOTIENT_PLACES);
    return _mm512_mask_sub_epi32(quotient, _mm512_movepi32_mask(sum), _mm512_setzero_si512(), quotient);
}

#elif defined(__AVX2__)

static inline nrv_simd_t nrv_simd_widen(const int8_t *from)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    const nrv_simd_t x = {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
    return x;
}

static inline nrv_simd_t nrv_simd_all(int32_t x)
{
    const nrv_simd_t all = {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
    return all;
}

static inline nrv_simd_t nrv_simd_mul(nrv_simd_t x, nrv_simd_t y)
{
    x.a = _mm256_mullo_epi32(x.a, y.a);
    x.b = _mm256_mullo_epi32(x.b, y.b);
    return x;
}

static inline __m256i nrv_simd_divide_eight(__m256i sum, const nrv_simd_divisor_t *by)
{
    const __m256i size = _mm256_add_epi32(_mm256_abs_epi32(sum), _mm256_set1_epi32(by->half));
    const __m256i product = _mm256_mullo_epi32(size, _mm256_set1_epi32(by->reciprocal));
    return _mm256_sign_epi32(_mm256_srli_epi32(product, NRV_SIMD_QUOTIENT_PLACES), sum);
}

static inline nrv_simd_t nrv_simd_divide(nrv_simd_t sum, const nrv_simd_divisor_t *by)
{
    sum.a = nrv_simd_divide_eight(sum.a, by);
    sum.b = nrv_simd_divide_eight(sum.b, by);
    return sum;
}

#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(__ARM_BIG_ENDIAN)

static inline nrv_simd_t nrv_simd_widen(const int8_t *from)
{
    const int8x16_t bytes = vld1q_s8(from);
    const int16x8_t first = vmovl_s8(vget_low_s8(bytes));
    const int16x8_t last = vmovl_high_s8(bytes);
    const nrv_simd_t x = {{vmovl_s16(vget_low_s16(first)), vmovl_high_s16(first), vmovl_s16(vget_low_s16(last)),
                           vmovl_high_s16(last)}};
    return x;
}

static inline nrv_simd_t nrv_simd_all(int32_t x)
{
    const nrv_simd_t all = {{vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}};
    return all;
}

static inline nrv_simd_t nrv_simd_mul(nrv_simd_t x, nrv_simd_t y)
{
    for (int32_t i = 0; i < 4; i++) {
        x.q[i] = vmulq_s32(x.q[i], y.q[i]);
    }
    return x;
}

static inline nrv_simd_t nrv_simd_divide(nrv_simd_t sum, const nrv_simd_divisor_t *by)
{
    for (int32_t i = 0; i < 4; i++) {
        const uint32x4_t size = vreinterpretq_u32_s32(vaddq_s32(vabsq_s32(sum.q[i]), vdupq_n_s32(by->half)));
        const uint32x4_t product = vmulq_n_u32(size, (uint32_t)by->reciprocal);
        const int32x4_t quotient = vreinterpretq_s32_u32(vshrq_n_u32(product, NRV_SIMD_QUOTIENT_PLACES));
        sum.q[i] = vbslq_s32(vcltzq_s32(sum.q[i]), vnegq_s32(quotient), quotient);
    }
    return sum;
}

#else

static inline nrv_simd_t nrv_simd_widen(const int8_t *from)
{
    nrv_simd_t x;
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        x.lane[i] = from[i];
    }
    return x;
}

static inline nrv_simd_t nrv_simd_all(int32_t x)
{
    nrv_simd_t all;
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        all.lane[i] = x;
    }
    return all;
}

static inline nrv_simd_t nrv_simd_mul(nrv_simd_t x, nrv_simd_t y)
{
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        x.lane[i] *= y.lane[i];
    }
    return x;
}

static inline nrv_simd_t nrv_simd_divide(nrv_simd_t sum, const nrv_simd_divisor_t *by)
{
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        const int32_t x = sum.lane[i];
        const uint32_t size = (uint32_t)((x < 0 ? -x : x) + by->half);
        const int32_t quotient = (int32_t)(size * (uint32_t)by->reciprocal >> NRV_SIMD_QUOTIENT_PLACES);
        sum.lane[i] = x < 0 ? -quotient : quotient;
    }
    return sum;
}

#endif

/* Sixteen int8, of which those from `end` on are not read; what they are then is anything. */
static inline nrv_simd_t nrv_simd_widen_before(const int8_t *from, const int8_t *end)
{
    if (end - from >= NRV_SIMD_LANES) {
        return nrv_simd_widen(from);
    }
    int8_t some[NRV_SIMD_LANES] = {0};
    memcpy(some, from, (size_t)(end - from));
    return nrv_simd_widen(some);
}

#endif
