/* The operations of nrv_simd.h with NEON of 64-bit Arm, with its dot products where there are. */
#ifndef NRV_SIMD_NEON_H
#define NRV_SIMD_NEON_H

#include <arm_neon.h>

enum { NRV_SIMD_FLIP = 0, NRV_SIMD_ROWS = 4, NRV_SIMD_BLOCKS = 1 };

typedef struct {
    int32x4_t q[4];
} nrv_simd_t;

typedef struct {
    int8x16_t q[4];
} nrv_simd_taps_t;

typedef struct {
    int32x4_t multiplier[4];
    int32x4_t left[4];
    int32x4_t back[4]; /* shifts to the right, negative */
    int32_t away;      /* 0 where halves below zero do not matter */
} nrv_simd_scale_t;

static inline nrv_simd_t nrv_simd_load(const int32_t *from)
{
    nrv_simd_t x;
    for (int32_t i = 0; i < 4; i++) {
        x.q[i] = vld1q_s32(from + 4 * i);
    }
    return x;
}

static inline void nrv_simd_store(int32_t *to, nrv_simd_t x)
{
    for (int32_t i = 0; i < 4; i++) {
        vst1q_s32(to + 4 * i, x.q[i]);
    }
}

static inline nrv_simd_t nrv_simd_add(nrv_simd_t a, nrv_simd_t b)
{
    for (int32_t i = 0; i < 4; i++) {
        a.q[i] = vaddq_s32(a.q[i], b.q[i]);
    }
    return a;
}

static inline nrv_simd_t nrv_simd_max(nrv_simd_t a, nrv_simd_t b)
{
    for (int32_t i = 0; i < 4; i++) {
        a.q[i] = vmaxq_s32(a.q[i], b.q[i]);
    }
    return a;
}

static inline nrv_simd_taps_t nrv_simd_load_taps(const int8_t *from)
{
    nrv_simd_taps_t w;
    for (int32_t i = 0; i < 4; i++) {
        w.q[i] = vld1q_s8(from + 16 * i);
    }
    return w;
}

static inline int32x4_t nrv_simd_dot_four(int32x4_t acc, int8x16_t x, int8x16_t w)
{
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(acc, w, x);
#else
    /* A pair is at most 2 * 128 * 127, which fits int16. */
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    return vpadalq_s16(acc, vpaddq_s16(low, vmull_high_s8(w, x)));
#endif
}

static inline nrv_simd_t nrv_simd_dot(nrv_simd_t acc, const int8_t *x, nrv_simd_taps_t w)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    const int8x16_t all = vreinterpretq_s8_s32(vdupq_n_s32(four));
    for (int32_t i = 0; i < 4; i++) {
        acc.q[i] = nrv_simd_dot_four(acc.q[i], all, w.q[i]);
    }
    return acc;
}

static inline nrv_simd_scale_t nrv_simd_load_scale(const int32_t *multiplier, const int32_t *shift)
{
    nrv_simd_scale_t scale;
    scale.away = 1;
    for (int32_t i = 0; i < 4; i++) {
        const int32x4_t by = vld1q_s32(shift + 4 * i);
        scale.multiplier[i] = vld1q_s32(multiplier + 4 * i);
        scale.left[i] = vmaxq_s32(by, vdupq_n_s32(0));
        scale.back[i] = vminq_s32(by, vdupq_n_s32(0));
    }
    return scale;
}

static inline nrv_simd_t nrv_simd_requantize(nrv_simd_t x, const nrv_simd_scale_t *scale)
{
    for (int32_t i = 0; i < 4; i++) {
        int32x4_t high = vqrdmulhq_s32(vshlq_s32(x.q[i], scale->left[i]), scale->multiplier[i]);
        /* Halves away from zero are halves upwards of what is one less where negative. */
        if (scale->away) {
            high = vaddq_s32(high, vshrq_n_s32(vandq_s32(high, scale->back[i]), 31));
        }
        x.q[i] = vrshlq_s32(high, scale->back[i]);
    }
    return x;
}

/* Writes the first `count` of sixteen bytes. */
static inline void nrv_simd_put_bytes(int8_t *to, int8x16_t bytes, int32_t count)
{
    if (count == 16) {
        vst1q_s8(to, bytes);
        return;
    }
    int8_t all[16];
    vst1q_s8(all, bytes);
    for (int32_t i = 0; i < count; i++) {
        to[i] = all[i];
    }
}

static inline void nrv_simd_put(int8_t *to, nrv_simd_t x, int32_t count, int32_t zero, int32_t low, int32_t high)
{
    const int32x4_t up = vdupq_n_s32(zero);
    const int16x8_t first = vqmovn_high_s32(vqmovn_s32(vaddq_s32(x.q[0], up)), vaddq_s32(x.q[1], up));
    const int16x8_t last = vqmovn_high_s32(vqmovn_s32(vaddq_s32(x.q[2], up)), vaddq_s32(x.q[3], up));
    int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(first), last);
    bytes = vmaxq_s8(bytes, vdupq_n_s8((int8_t)low));
    bytes = vminq_s8(bytes, vdupq_n_s8((int8_t)high));
    nrv_simd_put_bytes(to, bytes, count);
}

static inline nrv_simd_t nrv_simd_scale_once(nrv_simd_t x, const int32_t *multiplier, const int32_t *shift)
{
    for (int32_t i = 0; i < 4; i++) {
        const uint32x4_t size = vreinterpretq_u32_s32(vabsq_s32(x.q[i]));
        const uint32x4_t factor = vreinterpretq_u32_s32(vld1q_s32(multiplier + 4 * i));
        const int32x4_t up = vnegq_s32(vld1q_s32(shift + 4 * i));
        /* Shifts to the right round halves upwards. */
        const uint64x2_t product = vmull_u32(vget_low_u32(size), vget_low_u32(factor));
        const uint64x2_t low = vrshlq_u64(product, vmovl_s32(vget_low_s32(up)));
        const uint64x2_t high = vrshlq_u64(vmull_high_u32(size, factor), vmovl_high_s32(up));
        const int32x4_t all = vreinterpretq_s32_u32(vmovn_high_u64(vmovn_u64(low), high));
        x.q[i] = vbslq_s32(vcltzq_s32(x.q[i]), vnegq_s32(all), all);
    }
    return x;
}

#endif
