#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os") /* the loops are assembly */
#endif

#include "nrv_mve_softmax.h"

#include "nrv_mve.h"
#include "nrv_softmax_parts.h"

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

/* y times a power of e where this bit of `rest`, `places` below the sign, is set. */
#define IF_SET(places, low, high)                                                                                      \
    "vshl.i32 q1, %q[rest], #" places "\n\t"                                                                           \
    "movw %[t], #" low "\n\t"                                                                                          \
    "movt %[t], #" high "\n\t"                                                                                         \
    "vpt.s32 lt, q1, zr\n\t"                                                                                           \
    "vqrdmulht.s32 %q[y], %q[y], %[t]\n\t"

/*
 * exp(x) as Q0.31 for four x <= 0 given as Q5.26: nrv_exp_negative() step by step. VQRDMULH is
 * nrv_doubling_high_mul(); what is rounded halves away from zero is never negative here.
 */
static __attribute__((noinline)) int32x4_t exp_negative(int32x4_t x)
{
    const int32_t quarter = 1 << 24;
    const int32x4_t last = vsubq_n_s32(vandq_s32(x, vdupq_n_s32(quarter - 1)), quarter);
    const int32x4_t rest = vsubq_s32(last, x);
    const int32x4_t a = vaddq_n_s32(vshlq_n_s32(last, 5), 1 << 28);
    const int32x4_t a2 = vqrdmulhq_s32(a, a);
    const int32x4_t a3 = vqrdmulhq_s32(a2, a);
    const int32x4_t a4 = vqrdmulhq_s32(a2, a2);
    const int32x4_t third = vqrdmulhq_n_s32(vaddq_s32(vrshrq_n_s32(a4, 2), a3), 715827883);
    const int32x4_t sum = vaddq_s32(vrshrq_n_s32(vaddq_s32(third, a2), 1), a);
    int32x4_t y = vaddq_n_s32(vqrdmulhq_n_s32(sum, 1895147668), 1895147668);
    int32_t t;
    __asm__ volatile(
        IF_SET("7", "48763", "25519")
        IF_SET("6", "52210", "19874")
        IF_SET("5", "44140", "12054")
        IF_SET("4", "43684", "4434")
        IF_SET("3", "10935", "600")
        IF_SET("2", "65041", "10")
        IF_SET("1", "242", "0")
        "mvn %[t], #0x80000000\n\t"
        "vdup.32 q1, %[t]\n\t"
        "vpt.i32 eq, %q[x], zr\n\t"
        "vmovt %q[y], q1\n\t"
        : [y] "+w"(y), [t] "=&r"(t)
        : [rest] "w"(rest), [x] "w"(x)
        : "q1", "cc" NRV_MVE_P0);
    return y;
}

static inline int32_t highest_of(const int8_t *input, int32_t depth)
{
    int32_t highest = INT8_MIN;
    __asm__ volatile(
        "dlstp.8 lr, %[depth]\n"
        "1:\n\t"
        "vldrb.8 q0, [%[input]], #16\n\t"
        "vmaxv.s8 %[highest], q0\n\t"
        "letp lr, 1b\n\t"
        : [input] "+r"(input), [highest] "+r"(highest)
        : [depth] "r"(depth)
        : "lr", "q0", "memory");
    return (int8_t)highest;
}

/* Four exponentials from the table in q1, 0 for values too far below. */
#define LOOK_UP                                                                                                        \
    "vldrb.s32 q0, [%[input]], #4\n\t"                                                                                 \
    "vsub.i32 q0, %q[top], q0\n\t"                                                                                     \
    "vpt.s32 le, q0, %[furthest]\n\t"                                                                                  \
    "vldrwt.u32 q1, [%[table], q0, uxtw #2]\n\t"

static inline int32_t sum_from_table(const nrv_softmax_t *p, const int8_t *input, int32x4_t top)
{
    int32_t sum = 0;
    __asm__ volatile(
        "dlstp.32 lr, %[depth]\n"
        "1:\n\t"
        LOOK_UP
        "vrshr.s32 q1, q1, #12\n\t" /* NRV_SUM_INTEGER_BITS */
        "vaddva.s32 %[sum], q1\n\t"
        "letp lr, 1b\n\t"
        : [input] "+l"(input), [sum] "+Te"(sum)
        : [depth] "r"(p->depth), [table] "r"(p->exponentials), [furthest] "r"(-p->diff_min), [top] "w"(top)
        : "lr", "q0", "q1", "cc", "memory" NRV_MVE_P0);
    return sum;
}

static inline void scale_from_table(const nrv_softmax_t *p, const int8_t *input, int32x4_t top,
                                    nrv_softmax_scale_t scale, int8_t *output)
{
    const int32x4_t lowest = vdupq_n_s32(INT8_MIN);
    __asm__ volatile(
        "dlstp.32 lr, %[depth]\n"
        "1:\n\t"
        LOOK_UP
        "vqrdmulh.s32 q1, q1, %[multiplier]\n\t"
        "vrshl.s32 q1, %[shift]\n\t"
        "vadd.i32 q1, q1, %q[lowest]\n\t"
        "vqmovnb.s16 q1, q1\n\t"
        "vstrb.32 q1, [%[output]], #4\n\t"
        "letp lr, 1b\n\t"
        : [input] "+l"(input), [output] "+l"(output)
        : [depth] "r"(p->depth), [table] "r"(p->exponentials), [furthest] "r"(-p->diff_min), [top] "w"(top),
          [multiplier] "r"(scale.multiplier), [shift] "r"(-scale.shift), [lowest] "w"(lowest)
        : "lr", "q0", "q1", "cc", "memory" NRV_MVE_P0);
}

/* Of up to four values less their row's maximum; 0 for those too far below. */
static inline int32x4_t exponentials(const nrv_softmax_t *p, const int8_t *input, int32_t highest, int32_t left)
{
    const mve_pred16_t some = vctp32q((uint32_t)left);
    const int32x4_t difference = vsubq_n_s32(vldrbq_z_s32(input, some), highest);
    const int32x4_t x = vqrdmulhq_n_s32(vshlq_r_s32(difference, p->shift), p->multiplier);
    return vpselq_s32(exp_negative(x), vdupq_n_s32(0), vcmpgeq_m_n_s32(difference, p->diff_min, some));
}

static void softmax_row(const nrv_softmax_t *p, const int8_t *input, int8_t *output)
{
    const int32_t highest = highest_of(input, p->depth);
    if (p->exponentials != 0) {
        const int32x4_t top = vdupq_n_s32(highest);
        scale_from_table(p, input, top, nrv_softmax_scale(sum_from_table(p, input, top)), output);
        return;
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i += 4) {
        const int32x4_t y = exponentials(p, input + i, highest, p->depth - i);
        sum = vaddvaq_s32(sum, vrshrq_n_s32(y, NRV_SUM_INTEGER_BITS));
    }
    const nrv_softmax_scale_t scale = nrv_softmax_scale(sum);
    for (int32_t i = 0; i < p->depth; i += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(p->depth - i));
        int32x4_t y = vqrdmulhq_n_s32(exponentials(p, input + i, highest, p->depth - i), scale.multiplier);
        y = vaddq_n_s32(vrshlq_n_s32(y, -scale.shift), INT8_MIN);
        vstrbq_p_s32(output + i, vminq_s32(y, vdupq_n_s32(INT8_MAX)), some);
    }
}

#else

static inline int32_t exponential(const nrv_softmax_t *p, int32_t difference)
{
    if (difference < p->diff_min) {
        return 0;
    }
    if (p->exponentials != 0) {
        return p->exponentials[-difference];
    }
    return nrv_exp_negative(nrv_doubling_high_mul(difference * (int32_t)(UINT32_C(1) << p->shift), p->multiplier));
}

static void softmax_row(const nrv_softmax_t *p, const int8_t *input, int8_t *output)
{
    int32_t highest = INT8_MIN;
    int32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        highest = input[i] > highest ? input[i] : highest;
    }
    for (int32_t i = 0; i < p->depth; i++) {
        sum += nrv_rounding_divide_by_pot(exponential(p, input[i] - highest), NRV_SUM_INTEGER_BITS);
    }
    const nrv_softmax_scale_t scale = nrv_softmax_scale(sum);
    for (int32_t i = 0; i < p->depth; i++) {
        const int32_t y = nrv_doubling_high_mul(exponential(p, input[i] - highest), scale.multiplier);
        output[i] = nrv_sat8(nrv_rounding_divide_by_pot(y, scale.shift) + INT8_MIN);
    }
}

#endif

void nrv_mve_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++, input += p->depth, output += p->depth) {
        softmax_row(p, input, output);
    }
}

