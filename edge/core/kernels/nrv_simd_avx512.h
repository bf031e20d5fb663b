/* The operations of nrv_simd.h with AVX-512: F, BW, VL and VNNI. */
#ifndef NRV_SIMD_AVX512_H
#define NRV_SIMD_AVX512_H

#include <immintrin.h>

enum {
    NRV_SIMD_FLIP = 0x80, /* VPDPBUSD multiplies uint8 with int8 */
    NRV_SIMD_ROWS = 8,
    NRV_SIMD_BLOCKS = 2
};

typedef __m512i nrv_simd_t;
typedef __m512i nrv_simd_taps_t;

/*
 * Both roundings in one: x * multiplier / 2^31, halves upwards, then / 2^-shift, halves upwards, is the product with
 * half of each added, shifted down once. Products are 64 bits wide, those of even lanes and of odd ones.
 */
typedef struct {
    __m512i multiplier[2];
    __m512i half[2];
    __m512i less[2]; /* halves away from zero are halves upwards of what is one less where negative */
    __m512i down[2];
    int32_t away; /* 0 where halves below zero do not matter */
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

/* In assembly because GCC 12 copies the sums of its own intrinsic from register to register, and runs out of them. */
static inline __m512i nrv_simd_dot_sixteen(__m512i acc, __m512i x, __m512i w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
    return acc;
}

static inline nrv_simd_t nrv_simd_dot(nrv_simd_t acc, const int8_t *x, nrv_simd_taps_t w)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return nrv_simd_dot_sixteen(acc, _mm512_set1_epi32(four), w);
}

static inline nrv_simd_scale_t nrv_simd_load_scale(const int32_t *multiplier, const int32_t *shift)
{
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i down = _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_loadu_si512(shift));
    nrv_simd_scale_t scale;
    scale.away = 1;
    scale.multiplier[0] = _mm512_loadu_si512(multiplier);
    scale.multiplier[1] = _mm512_srli_epi64(scale.multiplier[0], 32);
    scale.down[0] = _mm512_and_si512(down, _mm512_set1_epi64(0xFF));
    scale.down[1] = _mm512_srli_epi64(down, 32);
    for (int32_t i = 0; i < 2; i++) {
        const __mmask8 twice = _mm512_cmpgt_epi64_mask(scale.down[i], _mm512_set1_epi64(31));
        scale.half[i] = _mm512_sllv_epi64(one, _mm512_sub_epi64(scale.down[i], one));
        scale.half[i] = _mm512_mask_add_epi64(scale.half[i], twice, scale.half[i], _mm512_set1_epi64(INT64_C(1) << 30));
        scale.less[i] = _mm512_maskz_set1_epi64(twice, INT64_C(1) << 31);
    }
    return scale;
}

static inline nrv_simd_t nrv_simd_requantize(nrv_simd_t x, const nrv_simd_scale_t *scale)
{
    __m512i y[2];
    y[0] = _mm512_mul_epi32(x, scale->multiplier[0]);
    y[1] = _mm512_mul_epi32(_mm512_srli_epi64(x, 32), scale->multiplier[1]);
    for (int32_t i = 0; i < 2; i++) {
        if (scale->away) {
            y[i] = _mm512_mask_sub_epi64(y[i], _mm512_movepi64_mask(y[i]), y[i], scale->less[i]);
        }
        y[i] = _mm512_add_epi64(y[i], scale->half[i]);
        y[i] = _mm512_srav_epi64(y[i], scale->down[i]);
    }
    return _mm512_mask_shuffle_epi32(y[0], 0xAAAA, y[1], _MM_PERM_CCAA);
}

static inline void nrv_simd_put(int8_t *to, nrv_simd_t x, int32_t count, int32_t zero, int32_t low, int32_t high)
{
    __m128i bytes = _mm512_cvtsepi32_epi8(_mm512_add_epi32(x, _mm512_set1_epi32(zero)));
    bytes = _mm_max_epi8(bytes, _mm_set1_epi8((char)low));
    bytes = _mm_min_epi8(bytes, _mm_set1_epi8((char)high));
    _mm_mask_storeu_epi8(to, (__mmask16)((1u << count) - 1u), bytes);
}

/* Few bytes are copied and filled more often than many: the last ones go at once. */
#define NRV_SIMD_MASKED

static inline __mmask64 nrv_simd_first(int32_t n)
{
    return (__mmask64)((UINT64_C(1) << n) - 1u);
}

static inline void nrv_simd_copy_masked(int8_t *to, const int8_t *from, int32_t n)
{
    const __m512i flip = _mm512_set1_epi8((char)NRV_SIMD_FLIP);
    for (; n >= 64; n -= 64, to += 64, from += 64) {
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(from), flip));
    }
    if (n > 0) {
        const __mmask64 first = nrv_simd_first(n);
        _mm512_mask_storeu_epi8(to, first, _mm512_xor_si512(_mm512_maskz_loadu_epi8(first, from), flip));
    }
}

static inline void nrv_simd_fill_masked(int8_t *to, int32_t value, int32_t n)
{
    const __m512i all = _mm512_set1_epi8((char)(value ^ NRV_SIMD_FLIP));
    for (; n >= 64; n -= 64, to += 64) {
        _mm512_storeu_si512(to, all);
    }
    if (n > 0) {
        _mm512_mask_storeu_epi8(to, nrv_simd_first(n), all);
    }
}

static inline nrv_simd_t nrv_simd_scale_once(nrv_simd_t x, const int32_t *multiplier, const int32_t *shift)
{
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i size = _mm512_abs_epi32(x);
    const __m512i factor = _mm512_loadu_si512(multiplier);
    const __m512i by = _mm512_loadu_si512(shift);
    const __m512i down[2] = {_mm512_and_si512(by, _mm512_set1_epi64(0xFF)), _mm512_srli_epi64(by, 32)};
    __m512i y[2] = {_mm512_mul_epu32(size, factor),
                    _mm512_mul_epu32(_mm512_srli_epi64(size, 32), _mm512_srli_epi64(factor, 32))};
    for (int32_t i = 0; i < 2; i++) {
        const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(down[i], one));
        y[i] = _mm512_srlv_epi64(_mm512_add_epi64(y[i], half), down[i]);
    }
    const __m512i all = _mm512_mask_shuffle_epi32(y[0], 0xAAAA, y[1], _MM_PERM_CCAA);
    return _mm512_mask_sub_epi32(all, _mm512_movepi32_mask(x), _mm512_setzero_si512(), all);
}

#endif
