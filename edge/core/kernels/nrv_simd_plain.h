/* The operations of nrv_simd.h in C. */
#ifndef NRV_SIMD_PLAIN_H
#define NRV_SIMD_PLAIN_H

#include "fixed.h"
#include "nrv_clamp.h"
#include "nrv_scale.h"

enum { NRV_SIMD_FLIP = 0, NRV_SIMD_ROWS = 4, NRV_SIMD_BLOCKS = 1 };

/* Sixteen int32. */
typedef struct {
    int32_t lane[16];
} nrv_simd_t;

/* Weights: four taps of each of sixteen lanes. */
typedef struct {
    const int8_t *tap;
} nrv_simd_taps_t;

/* What requantization takes. */
typedef struct {
    const int32_t *multiplier;
    const int32_t *shift;
    int32_t away; /* unused: halves are rounded as the reference does, whether it matters or not */
} nrv_simd_scale_t;

static inline nrv_simd_t nrv_simd_load(const int32_t *from)
{
    nrv_simd_t x;
    memcpy(x.lane, from, sizeof x.lane);
    return x;
}

static inline void nrv_simd_store(int32_t *to, nrv_simd_t x)
{
    memcpy(to, x.lane, sizeof x.lane);
}

static inline nrv_simd_t nrv_simd_add(nrv_simd_t a, nrv_simd_t b)
{
    for (int32_t i = 0; i < 16; i++) {
        a.lane[i] += b.lane[i];
    }
    return a;
}

static inline nrv_simd_t nrv_simd_max(nrv_simd_t a, nrv_simd_t b)
{
    for (int32_t i = 0; i < 16; i++) {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
}

static inline nrv_simd_taps_t nrv_simd_load_taps(const int8_t *from)
{
    const nrv_simd_taps_t w = {from};
    return w;
}

/* acc + four values, the same for all lanes, times their weights; no weight is -128. */
static inline nrv_simd_t nrv_simd_dot(nrv_simd_t acc, const int8_t *x, nrv_simd_taps_t w)
{
    for (int32_t i = 0; i < 16; i++) {
        const int8_t *const tap = w.tap + 4 * i;
        acc.lane[i] += x[0] * tap[0] + x[1] * tap[1] + x[2] * tap[2] + x[3] * tap[3];
    }
    return acc;
}

/* Multipliers and shifts of sixteen lanes, as nrv_requantize() takes them. */
static inline nrv_simd_scale_t nrv_simd_load_scale(const int32_t *multiplier, const int32_t *shift)
{
    const nrv_simd_scale_t scale = {multiplier, shift, 1};
    return scale;
}

/* nrv_requantize() of what does not overflow: |x| << shift < 2^31, or |x| + 2^(-shift - 1) < 2^31. */
static inline nrv_simd_t nrv_simd_requantize(nrv_simd_t x, const nrv_simd_scale_t *scale)
{
    for (int32_t i = 0; i < 16; i++) {
        x.lane[i] = nrv_requantize(x.lane[i], scale->multiplier[i], scale->shift[i]);
    }
    return x;
}

/* Writes the first `count` lanes (1 to 16) plus zero, clamped. */
static inline void nrv_simd_put(int8_t *to, nrv_simd_t x, int32_t count, int32_t zero, int32_t low, int32_t high)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = nrv_clamp8(x.lane[i] + zero, low, high);
    }
}

/* nrv_scale_once(): x * multiplier / 2^shift, rounded once, halves away from zero. */
static inline nrv_simd_t nrv_simd_scale_once(nrv_simd_t x, const int32_t *multiplier, const int32_t *shift)
{
    for (int32_t i = 0; i < 16; i++) {
        x.lane[i] = nrv_scale_once(x.lane[i], (uint64_t)multiplier[i], shift[i]);
    }
    return x;
}

#endif
