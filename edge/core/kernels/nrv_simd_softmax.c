#include "nrv_simd_softmax.h"

#include "nrv_simd_pairs.h"
#include "nrv_softmax_parts.h"

/* Writes the exponentials of a row's differences to its highest value; returns their sum as Q12.19. */
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
