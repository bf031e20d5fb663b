#include "nrv_simd_softmax.h"

#include "nrv_simd_pairs.h"
#include "nrv_softmax_parts.h"

/* Writes the exponentials of a row's differences to its highest value; returns their sum as Q12.19. */
#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)

/* The next sixteen values, as far as there are so many; 0 beyond. */
static inline __m512i values_at(const int8_t *input, int32_t left, __mmask16 *some)
{
    *some = (__mmask16)(left < NRV_SIMD_LANES ? (1u << left) - 1u : 0xFFFFu);
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(*some, input));
}

static int32_t exponentials(const int32_t *table, int32_t depth, const int8_t *input, int32_t *to)
{
    __mmask16 some;
    __m512i highest = _mm512_set1_epi32(INT8_MIN);
    for (int32_t i = 0; i < depth; i += NRV_SIMD_LANES) {
        const __m512i x = values_at(input + i, depth - i, &some);
        highest = _mm512_mask_max_epi32(highest, some, highest, x);
    }
    const __m512i top = _mm512_set1_epi32(_mm512_reduce_max_epi32(highest));
    const __m512i half = _mm512_set1_epi32(1 << (NRV_SUM_INTEGER_BITS - 1));
    __m512i sum = _mm512_setzero_si512();
    for (int32_t i = 0; i < depth; i += NRV_SIMD_LANES) {
        const __m512i difference = _mm512_sub_epi32(top, values_at(input + i, depth - i, &some));
        const __m512i exp = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), some, difference, table, 4);
        _mm512_storeu_si512(to + i, exp);
        sum = _mm512_add_epi32(sum, _mm512_srli_epi32(_mm512_add_epi32(exp, half), NRV_SUM_INTEGER_BITS));
    }
    return _mm512_reduce_add_epi32(sum);
}

#else

static int32_t exponentials(const int32_t *table, int32_t depth, const int8_t *input, int32_t *to)
{
    int8_t highest = INT8_MIN;
    for (int32_t i = 0; i < depth; i++) {
        highest = input[i] > highest ? input[i] : highest;
    }
    uint32_t sum = 0;
    for (int32_t i = 0; i < depth; i++) {
        const int32_t exp = table[highest - input[i]];
        to[i] = exp;
        sum += ((uint32_t)exp + (1u << (NRV_SUM_INTEGER_BITS - 1))) >> NRV_SUM_INTEGER_BITS;
    }
    return (int32_t)sum;
}

#endif

/* nrv_simd_requantize() of what is not negative, but may be as large as int32 can be: AVX2's would overflow. */
#if defined(__AVX2__) && !defined(__AVX512VNNI__)

typedef struct {
    __m256i multiplier;
    __m256i half;
    __m128i down;
} positive_scale_t;

static inline positive_scale_t positive_scale(nrv_softmax_scale_t by, nrv_simd_one_scale_t *memory)
{
    const positive_scale_t scale = {
        _mm256_set1_epi64x(by.multiplier),
        _mm256_set1_epi64x((INT64_C(1) << 30) + (INT64_C(1) << (30 + by.shift))),
        _mm_cvtsi32_si128(31 + by.shift),
    };
    (void)memory;
    return scale;
}

static inline __m256i scaled_eight(__m256i x, const positive_scale_t *scale)
{
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, scale->multiplier), scale->half);
    const __m256i high = _mm256_mul_epi32(_mm256_srli_epi64(x, 32), scale->multiplier);
    const __m256i odd = _mm256_srl_epi64(_mm256_add_epi64(high, scale->half), scale->down);
    return _mm256_or_si256(_mm256_srl_epi64(even, scale->down), _mm256_slli_epi64(odd, 32));
}

static inline nrv_simd_t scaled(nrv_simd_t x, const positive_scale_t *scale)
{
    x.a = scaled_eight(x.a, scale);
    x.b = scaled_eight(x.b, scale);
    return x;
}

#else

typedef nrv_simd_scale_t positive_scale_t;

static inline positive_scale_t positive_scale(nrv_softmax_scale_t by, nrv_simd_one_scale_t *memory)
{
    return nrv_simd_one_scale(memory, by.multiplier, -by.shift);
}

static inline nrv_simd_t scaled(nrv_simd_t x, const positive_scale_t *scale)
{
    return nrv_simd_requantize(x, scale);
}

#endif

void nrv_simd_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const int32_t depth = p->depth;
    int32_t *const exp = (int32_t *)(void *)scratch; /* the arena's buffers start on words */
    for (int32_t i = depth; i % NRV_SIMD_LANES != 0; i++) {
        exp[i] = 0;
    }
    for (int32_t row = 0; row < p->rows; row++, input += depth, output += depth) {
        nrv_simd_one_scale_t memory;
        const int32_t sum = exponentials(p->exponentials, depth, input, exp);
        const positive_scale_t scale = positive_scale(nrv_softmax_scale(sum), &memory);
        for (int32_t i = 0; i < depth; i += NRV_SIMD_LANES) {
            const int32_t count = depth - i < NRV_SIMD_LANES ? depth - i : NRV_SIMD_LANES;
            const nrv_simd_t value = scaled(nrv_simd_load(exp + i), &scale);
            nrv_simd_put(output + i, value, count, INT8_MIN, INT8_MIN, INT8_MAX);
        }
    }
}
