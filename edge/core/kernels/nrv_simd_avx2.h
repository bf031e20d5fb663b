/* The operations of nrv_simd.h with AVX2. */
#ifndef NRV_SIMD_AVX2_H
#define NRV_SIMD_AVX2_H

#include <immintrin.h>

#ifdef __AVXVNNI__
enum { NRV_SIMD_FLIP = 0x80 /* VPDPBUSD multiplies uint8 with int8 */ };
#else
enum { NRV_SIMD_FLIP = 0 };
#endif
enum { NRV_SIMD_ROWS = 4, NRV_SIMD_BLOCKS = 1 };

typedef struct {
    __m256i a, b; /* the first eight lanes, the others */
} nrv_simd_t;

typedef nrv_simd_t nrv_simd_taps_t;

/* Of eight lanes. */
typedef struct {
    __m256i multiplier;
    __m256i multiplier_odd; /* those of odd lanes, in even ones */
    __m256i left;
    __m256i right;
    __m256i back; /* -right */
    __m256i half; /* of 2^right */
} nrv_simd_eight_t;

typedef struct {
    nrv_simd_eight_t a, b;
    int32_t away; /* 0 where halves below zero do not matter */
} nrv_simd_scale_t;

static inline __m256i nrv_simd_load_eight(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

static inline nrv_simd_t nrv_simd_load(const int32_t *from)
{
    const nrv_simd_t x = {nrv_simd_load_eight(from), nrv_simd_load_eight(from + 8)};
    return x;
}

static inline void nrv_simd_store(int32_t *to, nrv_simd_t x)
{
    _mm256_storeu_si256((__m256i *)to, x.a);
    _mm256_storeu_si256((__m256i *)(to + 8), x.b);
}

static inline nrv_simd_t nrv_simd_add(nrv_simd_t x, nrv_simd_t y)
{
    const nrv_simd_t sum = {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
    return sum;
}

static inline nrv_simd_t nrv_simd_max(nrv_simd_t x, nrv_simd_t y)
{
    const nrv_simd_t higher = {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)};
    return higher;
}

static inline nrv_simd_taps_t nrv_simd_load_taps(const int8_t *from)
{
    const nrv_simd_taps_t w = {nrv_simd_load_eight(from), nrv_simd_load_eight(from + 32)};
    return w;
}

static inline __m256i nrv_simd_dot_eight(__m256i acc, __m256i x, __m256i w)
{
#ifdef __AVXVNNI__
    return _mm256_dpbusd_avx_epi32(acc, x, w);
#else
    /* |x| * (w with the sign of x): a pair is at most 2 * 128 * 127, which does not saturate. */
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

static inline nrv_simd_t nrv_simd_dot(nrv_simd_t acc, const int8_t *x, nrv_simd_taps_t w)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    const __m256i all = _mm256_set1_epi32(four);
    acc.a = nrv_simd_dot_eight(acc.a, all, w.a);
    acc.b = nrv_simd_dot_eight(acc.b, all, w.b);
    return acc;
}

static inline nrv_simd_eight_t nrv_simd_load_scale_eight(const int32_t *multiplier, const int32_t *shift)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i by = nrv_simd_load_eight(shift);
    nrv_simd_eight_t scale;
    scale.multiplier = nrv_simd_load_eight(multiplier);
    scale.multiplier_odd = _mm256_srli_epi64(scale.multiplier, 32);
    scale.left = _mm256_max_epi32(by, zero);
    scale.back = _mm256_min_epi32(by, zero);
    scale.right = _mm256_sub_epi32(zero, scale.back);
    scale.half = _mm256_srli_epi32(_mm256_sllv_epi32(_mm256_set1_epi32(1), scale.right), 1);
    return scale;
}

static inline nrv_simd_scale_t nrv_simd_load_scale(const int32_t *multiplier, const int32_t *shift)
{
    const nrv_simd_scale_t scale = {nrv_simd_load_scale_eight(multiplier, shift),
                                    nrv_simd_load_scale_eight(multiplier + 8, shift + 8), 1};
    return scale;
}

static inline __m256i nrv_simd_requantize_eight(__m256i x, const nrv_simd_eight_t *scale, int32_t away)
{
    const __m256i half = _mm256_set1_epi64x(INT64_C(1) << 30);
    x = _mm256_sllv_epi32(x, scale->left);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, scale->multiplier), half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), scale->multiplier_odd), half);
    x = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
    /* Halves away from zero are halves upwards of what is one less where negative. */
    if (away) {
        x = _mm256_add_epi32(x, _mm256_srai_epi32(_mm256_and_si256(x, scale->back), 31));
    }
    return _mm256_srav_epi32(_mm256_add_epi32(x, scale->half), scale->right);
}

static inline nrv_simd_t nrv_simd_requantize(nrv_simd_t x, const nrv_simd_scale_t *scale)
{
    x.a = nrv_simd_requantize_eight(x.a, &scale->a, scale->away);
    x.b = nrv_simd_requantize_eight(x.b, &scale->b, scale->away);
    return x;
}

/* Writes the first `count` of sixteen bytes. */
static inline void nrv_simd_put_bytes(int8_t *to, __m128i bytes, int32_t count)
{
    if (count == 16) {
        _mm_storeu_si128((__m128i *)to, bytes);
        return;
    }
    int8_t all[16];
    _mm_storeu_si128((__m128i *)all, bytes);
    for (int32_t i = 0; i < count; i++) {
        to[i] = all[i];
    }
}

static inline void nrv_simd_put(int8_t *to, nrv_simd_t x, int32_t count, int32_t zero, int32_t low, int32_t high)
{
    const __m256i up = _mm256_set1_epi32(zero);
    /* Packing is by halves of 128 bits: lanes 0 to 3, 8 to 11; 4 to 7, 12 to 15. */
    const __m256i words = _mm256_packs_epi32(_mm256_add_epi32(x.a, up), _mm256_add_epi32(x.b, up));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xD8);
    __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
    bytes = _mm_max_epi8(bytes, _mm_set1_epi8((char)low));
    bytes = _mm_min_epi8(bytes, _mm_set1_epi8((char)high));
    nrv_simd_put_bytes(to, bytes, count);
}

static inline __m256i nrv_simd_scale_eight_once(__m256i x, const int32_t *multiplier, const int32_t *shift)
{
    const __m256i one = _mm256_set1_epi64x(1);
    const __m256i size = _mm256_abs_epi32(x);
    const __m256i factor = nrv_simd_load_eight(multiplier);
    const __m256i by = nrv_simd_load_eight(shift);
    const __m256i down[2] = {_mm256_and_si256(by, _mm256_set1_epi64x(0xFF)), _mm256_srli_epi64(by, 32)};
    __m256i y[2] = {_mm256_mul_epu32(size, factor),
                    _mm256_mul_epu32(_mm256_srli_epi64(size, 32), _mm256_srli_epi64(factor, 32))};
    for (int32_t i = 0; i < 2; i++) {
        const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(down[i], one));
        y[i] = _mm256_srlv_epi64(_mm256_add_epi64(y[i], half), down[i]);
    }
    return _mm256_sign_epi32(_mm256_blend_epi32(y[0], _mm256_slli_epi64(y[1], 32), 0xAA), x);
}

static inline nrv_simd_t nrv_simd_scale_once(nrv_simd_t x, const int32_t *multiplier, const int32_t *shift)
{
    x.a = nrv_simd_scale_eight_once(x.a, multiplier, shift);
    x.b = nrv_simd_scale_eight_once(x.b, multiplier + 8, shift + 8);
    return x;
}

#endif
