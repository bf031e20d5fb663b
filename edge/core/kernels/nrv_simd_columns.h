/*
 * Sixty-four int8 at once, neighbours in memory: what is done to each of them alone, as in depthwise convolutions and
 * pools. They are four vectors of nrv_simd.h: byte 16 q + 4 v + i of the sixty-four is lane 4 q + i of vector v, the
 * order in which processors interleave bytes and put them together again.
 */
#ifndef NRV_SIMD_COLUMNS_H
#define NRV_SIMD_COLUMNS_H

#include "nrv_simd.h"

enum { NRV_SIMD_COLUMNS = 64, NRV_SIMD_VECTORS = 4 };

/* How many of them registers hold. */
#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
enum { NRV_SIMD_PIXELS = 2 };
#else
enum { NRV_SIMD_PIXELS = 1 };
#endif

typedef struct {
    nrv_simd_t v[NRV_SIMD_VECTORS];
} nrv_simd_columns_t;

static inline nrv_simd_columns_t nrv_simd_load_columns(const int32_t *from)
{
    nrv_simd_columns_t x;
    for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
        x.v[i] = nrv_simd_load(from + NRV_SIMD_LANES * i);
    }
    return x;
}

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)

/*
 * acc + four taps of each column, 64 bytes at tap + offset[0 .. 3], times weights [4 vectors][16 lanes][4 taps]; for
 * `count` such sums, the first's taps at tap[0].
 */
static inline void nrv_simd_dot_columns(nrv_simd_columns_t *acc, const int8_t *const *tap, int32_t count,
                                        const int32_t *offset, const int8_t *weights)
{
    __m512i w[NRV_SIMD_VECTORS];
    for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
        w[i] = _mm512_loadu_si512(weights + 64 * i);
        __asm__("" : "+v"(w[i])); /* read once, not again for each sum */
    }
    for (int32_t k = 0; k < count; k++) {
        const __m512i a = _mm512_loadu_si512(tap[k] + offset[0]);
        const __m512i b = _mm512_loadu_si512(tap[k] + offset[1]);
        const __m512i c = _mm512_loadu_si512(tap[k] + offset[2]);
        const __m512i d = _mm512_loadu_si512(tap[k] + offset[3]);
        const __m512i ab[2] = {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)};
        const __m512i cd[2] = {_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d)};
        acc[k].v[0] = nrv_simd_dot_sixteen(acc[k].v[0], _mm512_unpacklo_epi16(ab[0], cd[0]), w[0]);
        acc[k].v[1] = nrv_simd_dot_sixteen(acc[k].v[1], _mm512_unpackhi_epi16(ab[0], cd[0]), w[1]);
        acc[k].v[2] = nrv_simd_dot_sixteen(acc[k].v[2], _mm512_unpacklo_epi16(ab[1], cd[1]), w[2]);
        acc[k].v[3] = nrv_simd_dot_sixteen(acc[k].v[3], _mm512_unpackhi_epi16(ab[1], cd[1]), w[3]);
    }
}

/* Writes the first `count` (1 to 64) columns plus zero, clamped. */
static inline void nrv_simd_put_columns(int8_t *to, const nrv_simd_columns_t *x, int32_t count, int32_t zero,
                                        int32_t low, int32_t high)
{
    const __m512i up = _mm512_set1_epi16((int16_t)zero);
    const __m512i first = _mm512_adds_epi16(_mm512_packs_epi32(x->v[0], x->v[1]), up);
    const __m512i last = _mm512_adds_epi16(_mm512_packs_epi32(x->v[2], x->v[3]), up);
    __m512i bytes = _mm512_max_epi8(_mm512_packs_epi16(first, last), _mm512_set1_epi8((char)low));
    bytes = _mm512_min_epi8(bytes, _mm512_set1_epi8((char)high));
    if (count == NRV_SIMD_COLUMNS) {
        _mm512_storeu_si512(to, bytes);
    } else {
        _mm512_mask_storeu_epi8(to, (UINT64_C(1) << count) - 1u, bytes);
    }
}

#elif defined(__AVX2__)

/* Half of the columns, from the first or from the thirty-second on. */
static inline void nrv_simd_dot_half(__m256i acc[4], const int8_t *tap, const int32_t *offset, const int8_t *weights)
{
    const __m256i a = nrv_simd_load_eight(tap + offset[0]);
    const __m256i b = nrv_simd_load_eight(tap + offset[1]);
    const __m256i c = nrv_simd_load_eight(tap + offset[2]);
    const __m256i d = nrv_simd_load_eight(tap + offset[3]);
    const __m256i ab[2] = {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
    const __m256i cd[2] = {_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d)};
    const __m256i x[4] = {_mm256_unpacklo_epi16(ab[0], cd[0]), _mm256_unpackhi_epi16(ab[0], cd[0]),
                          _mm256_unpacklo_epi16(ab[1], cd[1]), _mm256_unpackhi_epi16(ab[1], cd[1])};
    for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
        acc[i] = nrv_simd_dot_eight(acc[i], x[i], nrv_simd_load_eight(weights + 64 * i));
    }
}

static inline void nrv_simd_dot_columns(nrv_simd_columns_t *acc, const int8_t *const *tap, int32_t count,
                                        const int32_t *offset, const int8_t *weights)
{
    (void)count; /* 1 */
    __m256i a[4] = {acc->v[0].a, acc->v[1].a, acc->v[2].a, acc->v[3].a};
    __m256i b[4] = {acc->v[0].b, acc->v[1].b, acc->v[2].b, acc->v[3].b};
    nrv_simd_dot_half(a, tap[0], offset, weights);
    nrv_simd_dot_half(b, tap[0] + 32, offset, weights + 32);
    for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
        acc->v[i].a = a[i];
        acc->v[i].b = b[i];
    }
}

static inline __m256i nrv_simd_pack_half(const __m256i x[4], int32_t zero, int32_t low, int32_t high)
{
    const __m256i up = _mm256_set1_epi16((int16_t)zero);
    const __m256i first = _mm256_adds_epi16(_mm256_packs_epi32(x[0], x[1]), up);
    const __m256i last = _mm256_adds_epi16(_mm256_packs_epi32(x[2], x[3]), up);
    const __m256i bytes = _mm256_max_epi8(_mm256_packs_epi16(first, last), _mm256_set1_epi8((char)low));
    return _mm256_min_epi8(bytes, _mm256_set1_epi8((char)high));
}

static inline void nrv_simd_put_columns(int8_t *to, const nrv_simd_columns_t *x, int32_t count, int32_t zero,
                                        int32_t low, int32_t high)
{
    const __m256i a[4] = {x->v[0].a, x->v[1].a, x->v[2].a, x->v[3].a};
    const __m256i b[4] = {x->v[0].b, x->v[1].b, x->v[2].b, x->v[3].b};
    int8_t some[NRV_SIMD_COLUMNS];
    int8_t *const all = count == NRV_SIMD_COLUMNS ? to : some;
    _mm256_storeu_si256((__m256i *)(void *)all, nrv_simd_pack_half(a, zero, low, high));
    _mm256_storeu_si256((__m256i *)(void *)(all + 32), nrv_simd_pack_half(b, zero, low, high));
    if (count < NRV_SIMD_COLUMNS) {
        memcpy(to, some, (size_t)count);
    }
}

#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(__ARM_BIG_ENDIAN)

static inline void nrv_simd_dot_columns(nrv_simd_columns_t *acc, const int8_t *const *tap, int32_t count,
                                        const int32_t *offset, const int8_t *weights)
{
    (void)count; /* 1 */
    for (int32_t q = 0; q < 4; q++, weights += 16) {
        const int8x16_t a = vld1q_s8(tap[0] + offset[0] + 16 * q);
        const int8x16_t b = vld1q_s8(tap[0] + offset[1] + 16 * q);
        const int8x16_t c = vld1q_s8(tap[0] + offset[2] + 16 * q);
        const int8x16_t d = vld1q_s8(tap[0] + offset[3] + 16 * q);
        const int16x8_t ab[2] = {vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(a, b))};
        const int16x8_t cd[2] = {vreinterpretq_s16_s8(vzip1q_s8(c, d)), vreinterpretq_s16_s8(vzip2q_s8(c, d))};
        const int16x8_t x[4] = {vzip1q_s16(ab[0], cd[0]), vzip2q_s16(ab[0], cd[0]), vzip1q_s16(ab[1], cd[1]),
                                vzip2q_s16(ab[1], cd[1])};
        for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
            acc->v[i].q[q] = nrv_simd_dot_four(acc->v[i].q[q], vreinterpretq_s8_s16(x[i]), vld1q_s8(weights + 64 * i));
        }
    }
}

static inline void nrv_simd_put_columns(int8_t *to, const nrv_simd_columns_t *x, int32_t count, int32_t zero,
                                        int32_t low, int32_t high)
{
    const int16x8_t up = vdupq_n_s16((int16_t)zero);
    int8_t some[NRV_SIMD_COLUMNS];
    int8_t *const all = count == NRV_SIMD_COLUMNS ? to : some;
    for (int32_t q = 0; q < 4; q++) {
        const int16x8_t first = vqmovn_high_s32(vqmovn_s32(x->v[0].q[q]), x->v[1].q[q]);
        const int16x8_t last = vqmovn_high_s32(vqmovn_s32(x->v[2].q[q]), x->v[3].q[q]);
        int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(vqaddq_s16(first, up)), vqaddq_s16(last, up));
        bytes = vmaxq_s8(bytes, vdupq_n_s8((int8_t)low));
        vst1q_s8(all + 16 * q, vminq_s8(bytes, vdupq_n_s8((int8_t)high)));
    }
    if (count < NRV_SIMD_COLUMNS) {
        memcpy(to, some, (size_t)count);
    }
}

#else

static inline void nrv_simd_dot_columns(nrv_simd_columns_t *acc, const int8_t *const *tap, int32_t count,
                                        const int32_t *offset, const int8_t *weights)
{
    (void)count; /* 1 */
    for (int32_t i = 0; i < NRV_SIMD_COLUMNS; i++) {
        const int32_t vector = i / 4 % 4;
        const int32_t lane = i / 16 * 4 + i % 4;
        const int8_t *const weight = weights + 64 * vector + 4 * lane;
        for (int32_t k = 0; k < NRV_SIMD_TAPS; k++) {
            acc->v[vector].lane[lane] += tap[0][offset[k] + i] * weight[k];
        }
    }
}

static inline void nrv_simd_put_columns(int8_t *to, const nrv_simd_columns_t *x, int32_t count, int32_t zero,
                                        int32_t low, int32_t high)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = nrv_clamp8(x->v[i / 4 % 4].lane[i / 16 * 4 + i % 4] + zero, low, high);
    }
}

#endif

#endif
