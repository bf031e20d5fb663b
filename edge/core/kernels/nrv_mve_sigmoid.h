/*
 * Sigmoid and tanh of nrv_lstm_cell.h in eight lanes of int16: the same steps, so equal for every argument. VQRDMULH is
 * nrv_mul15().
 */
#ifndef NRV_MVE_SIGMOID_H
#define NRV_MVE_SIGMOID_H

#include "nrv_mve.h"

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

#define NRV_MVE_INLINE static inline __attribute__((always_inline))

/* y times exp(-2^k / 4) where a has a 0 at bit 13 - bits + k, which 2 + bits - k places take to the sign. */
#define NRV_MVE_IF_CLEAR(factor)                                                                                       \
    "vmov q1, %q[a]\n\t"                                                                                               \
    "movw %[t], #" factor "\n\t"                                                                                       \
    "vshl.s16 q1, %[places]\n\t"                                                                                       \
    "subs %[places], %[places], #1\n\t"                                                                                \
    "vpt.s16 ge, q1, zr\n\t"                                                                                           \
    "vqrdmulht.s16 q0, q0, %[t]\n\t"
/* y + y (1 - d y), Q2.13, for d in q1, 1 in q3, 4 in t. */
#define NRV_MVE_NEWTON                                                                                                 \
    "vqrdmulh.s16 q2, q1, q0\n\t"                                                                                      \
    "vsub.i16 q2, q3, q2\n\t"                                                                                          \
    "vqrdmulh.s16 q2, q0, q2\n\t"                                                                                      \
    "vmla.s16 q0, q2, %[t]\n\t"

/*
 * 2 / (1 + exp(-|x|)) as Q2.13 for x with `bits` (1 to 7) integer bits; 2^13 where x is 0: nrv_exp15(), then
 * nrv_twice_reciprocal13(). In assembly because the compiler moves each predicate through general registers. What the
 * polynomial rounds halves away from zero is never negative.
 */
NRV_MVE_INLINE int16x8_t nrv_mve_twice_sigmoid13(int16x8_t x, int32_t bits)
{
    const int16x8_t a = vnegq_s16(vabsq_s16(x));
    int32_t places = bits + 3;
    int32_t t = 1 << 12;
    int16x8_t y;
    __asm__ volatile(
        /* q1: from the last quarter's middle, the bits below the quarters in steps of 2^-15; its powers to q2, q3. */
        "vmov q1, %q[a]\n\t"
        "vshl.u16 q1, %[places]\n\t"
        "vshr.u16 q1, q1, #3\n\t"
        "vsub.i16 q1, q1, %[t]\n\t"
        "vqrdmulh.s16 q2, q1, q1\n\t"
        "vqrdmulh.s16 q3, q2, q1\n\t"
        "vqrdmulh.s16 q0, q2, q2\n\t"
        "vrshr.s16 q0, q0, #2\n\t"
        "movw %[t], #10923\n\t"
        "vadd.i16 q0, q0, q3\n\t"
        "vqrdmulh.s16 q0, q0, %[t]\n\t"
        "vadd.i16 q0, q0, q2\n\t"
        "vrshr.s16 q0, q0, #1\n\t"
        "movw %[t], #28918\n\t"
        "vadd.i16 q0, q0, q1\n\t"
        "vqrdmulh.s16 q0, q0, %[t]\n\t"
        "vadd.i16 q0, q0, %[t]\n\t"
        "subs %[places], %[places], #1\n\t"
        NRV_MVE_IF_CLEAR("25520")
        NRV_MVE_IF_CLEAR("19875")
        NRV_MVE_IF_CLEAR("12055")
        "beq 1f\n\t"
        NRV_MVE_IF_CLEAR("4435")
        "beq 1f\n\t"
        NRV_MVE_IF_CLEAR("600")
        "beq 1f\n\t"
        NRV_MVE_IF_CLEAR("11")
        "beq 1f\n\t"
        /* More than 64 quarters below 0. */
        "movw %[t], #32768\n\t"
        "sxth %[t], %[t]\n\t"
        "asr %[t], %[t], %[places]\n\t"
        "vpt.s16 lt, %q[a], %[t]\n\t"
        "veort q0, q0, q0\n"
        "1:\n\t"
        /* d = (1 + y) / 2 */
        "vshr.s16 q1, q0, #1\n\t"
        "mov %[t], #16384\n\t"
        "vadd.i16 q1, q1, %[t]\n\t"
        "movw %[t], #50116\n\t" /* -15420 */
        "vqrdmulh.s16 q0, q1, %[t]\n\t"
        "movw %[t], #23130\n\t"
        "vadd.i16 q0, q0, %[t]\n\t"
        "mov %[t], #8192\n\t"
        "vdup.16 q3, %[t]\n\t"
        "movs %[t], #4\n\t"
        NRV_MVE_NEWTON NRV_MVE_NEWTON NRV_MVE_NEWTON
        "vpt.i16 eq, %q[a], zr\n\t"
        "vmovt q0, q3\n\t"
        "vmov %q[y], q0\n\t"
        : [y] "=w"(y), [places] "+r"(places), [t] "+r"(t)
        : [a] "w"(a)
        : "q0", "q1", "q2", "q3", "cc" NRV_MVE_P0);
    return y;
}

/* nrv_sigmoid15(): Q3.12 to Q0.15. */
NRV_MVE_INLINE int16x8_t nrv_mve_sigmoid15(int16x8_t x)
{
    const int16x8_t size = vqshlq_n_s16(nrv_mve_twice_sigmoid13(x, 3), 1);
    return vsubq_m_s16(size, vdupq_n_s16(INT16_MAX), size, vcmpltq_n_s16(x, 0));
}

/* nrv_tanh15(): x with `bits` (0 to 6) integer bits to Q0.15. */
NRV_MVE_INLINE int16x8_t nrv_mve_tanh15(int16x8_t x, int32_t bits)
{
    const int16x8_t size = vqshlq_n_s16(vsubq_n_s16(nrv_mve_twice_sigmoid13(x, bits + 1), 1 << 13), 2);
    return vnegq_m_s16(size, size, vcmpltq_n_s16(x, 0));
}

#endif

#endif
