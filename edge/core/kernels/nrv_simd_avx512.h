/* The operations of nrv_simd.h with AVX-512: F, BW, VL and VNNI. */
#ifndef NRV_SIMD_AVX512_H
#define NRV_SIMD_AVX512_H

#include <immintrin.h>

enum {
    NRV_SIMD_FLIP = 0x80, /* VPDPBUSD multiplies uint8 with int8 */
    NRV_SIMD_ROWS = 8
};

typedef __m512i nrv_simd_t;
typedef __m512i nrv_simd_taps_t;

typedef struct {
    __m512i multiplier;
    __m512i multiplier_odd; /* those of odd lanes, in even ones */
    __m512i left;
    __m512i right;
    __m512i back; /* -right */
    __m512i half; /* of 2^right */
} nrv_simd_scale_t;

static inline nrv_simd_t nrv_simd_load(const int32_t *from)
{
    return _mm512_loadu_si512(from);
}

static inline void nrv_simd_store(int32_t *to, nrv_simd_t x)
{
    _mm512_storeu_si512(to, x);
}

static inline nrv_simd_t nrv_simd_add(nrv_simd_t a, nrv_simd_t b)
{
    return _mm512_add_epi32(a, b);
}

static inline nrv_simd_t nrv_simd_max(nrv_simd_t a, nrv_simd_t b)
{
    return _mm512_max_epi32(a, b);
}

static inline nrv_simd_taps_t nrv_simd_load_taps(const int8_t *from)
{
    return _mm512_loadu_si512(from);
}

static inline nrv_simd_t nrv_simd_dot(nrv_simd_t acc, const int8_t *x, nrv_simd_taps_t w)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_dpbusd_epi32(acc, _mm512_set1_epi32(four), w);
}

static inline nrv_simd_scale_t nrv_simd_load_scale(const int32_t *multiplier, const int32_t *shift)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i by = _mm512_loadu_si512(shift);
    nrv_simd_scale_t scale;
    scale.multiplier = _mm512_loadu_si512(multiplier);
    scale.multiplier_odd = _mm512_srli_epi64(scale.multiplier, 32);
    scale.left = _mm512_max_epi32(by, zero);
    scale.back = _mm512_min_epi32(by, zero);
    scale.right = _mm512_sub_epi32(zero, scale.back);
    scale.half = _mm512_srli_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), scale.right), 1);
    return scale;
}

static inline nrv_simd_t nrv_simd_requantize(nrv_simd_t x, const nrv_simd_scale_t *scale)
{
    const __m512i half = _mm512_set1_epi64(INT64_C(1) << 30);
    x = _mm512_sllv_epi32(x, scale->left);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, scale->multiplier), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), scale->multiplier_odd), half);
    x = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 31), 0xAAAA, _mm512_slli_epi64(odd, 1));
    /* Halves away from zero are halves upwards of what is one less where negative. */
    const __m512i less = _mm512_srai_epi32(_mm512_and_si512(x, scale->back), 31);
    return _mm512_srav_epi32(_mm512_add_epi32(_mm512_add_epi32(x, scale->half), less), scale->right);
}

static inline void nrv_simd_put(int8_t *to, nrv_simd_t x, int32_t count, int32_t zero, int32_t low, int32_t high)
{
    __m128i bytes = _mm512_cvtsepi32_epi8(_mm512_add_epi32(x, _mm512_set1_epi32(zero)));
    bytes = _mm_max_epi8(bytes, _mm_set1_epi8((char)low));
    bytes = _mm_min_epi8(bytes, _mm_set1_epi8((char)high));
    if (count == 16) {
        _mm_storeu_si128((__m128i *)to, bytes);
    } else {
        _mm_mask_storeu_epi8(to, (__mmask16)((1u << count) - 1u), bytes);
    }
}

#endif
