/*
 * The LSTM's sigmoid and tanh from tables that the compiler fills with what nrv_lstm_cell.h computes, so that both are
 * equal for every argument. The 16-bit arithmetic leaves each value up to three steps off a smooth curve: straight
 * lines and a few bits for each argument take a fifth of a plain table.
 */
#ifndef NRV_DSP_SIGMOID_H
#define NRV_DSP_SIGMOID_H

#include "nrv_lstm_cell.h"

#define NRV_SIGMOID_FAR 16384  /* where the far tables start */
#define NRV_SIGMOID_FLAT 37464 /* from here on the value is 2^14 */

/*
 * A curve of up to 2^14: for every 256 arguments half the first value above a slope in steps of 2^-15; for every
 * argument how far above the line it lies, the first of eight in bits 28 to 31, the next in 0 to 3 and so on.
 */
typedef struct {
    const uint32_t *lines;
    const uint32_t *above;
} nrv_dsp_curve_t;

/* 2 / (1 + e^-v) in steps of 2^-13, v in steps of 2^-12. */
typedef struct {
    nrv_dsp_curve_t near; /* below NRV_SIGMOID_FAR */
    /*
     * From there on e^-v in steps of 2^-14: for every 256 arguments the first value above a slope in steps of 2^-16;
     * for every argument whether it lies 1 above the line, the first of 32 in bit 31, the next in bit 0.
     */
    const uint32_t *far_lines;
    const uint32_t *far_above;
    const int16_t *far_values; /* by e^-v */
} nrv_dsp_sigmoid_t;

/* To the right, by the places modulo 32. */
static inline uint32_t nrv_rotated(uint32_t x, uint32_t places)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    uint32_t y;
    __asm__("ror %0, %1, %2" : "=r"(y) : "r"(x), "r"(places));
    return y;
#else
    return x >> (places & 31u) | x << (-places & 31u);
#endif
}

/* A line's value at v, in the line's own steps. */
static inline int32_t nrv_on_line(uint32_t line, uint32_t v)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t y;
    __asm__("smlabb %0, %1, %2, %1" : "=r"(y) : "r"(line), "r"(v & 0xFFu));
    return y;
#else
    return (int32_t)line + (int16_t)(line & 0xFFFFu) * (int16_t)(v & 0xFFu);
#endif
}

static inline int32_t nrv_on_curve(const nrv_dsp_curve_t *p, uint32_t v)
{
    const int32_t line = nrv_on_line(p->lines[v >> 8], v);
    return (line >> 15) + (int32_t)(nrv_rotated(p->above[v >> 3], 4 * v) >> 28);
}

static inline int32_t nrv_on_far_lines(const nrv_dsp_sigmoid_t *p, uint32_t v)
{
    if (v >= NRV_SIGMOID_FLAT - NRV_SIGMOID_FAR) {
        return 1 << 14;
    }
    const int32_t line = nrv_on_line(p->far_lines[v >> 8], v);
    return p->far_values[(line >> 16) + (int32_t)(nrv_rotated(p->far_above[v >> 5], v) >> 31)];
}

/* 2 / (1 + e^-v). Most arguments are near ones. */
static inline int32_t nrv_twice_sigmoid13(const nrv_dsp_sigmoid_t *p, uint32_t v)
{
#ifdef __GNUC__
    const int is_near = (int)__builtin_expect(v < NRV_SIGMOID_FAR, 1);
#else
    const int is_near = v < NRV_SIGMOID_FAR;
#endif
    return is_near ? nrv_on_curve(&p->near, v) : nrv_on_far_lines(p, v - NRV_SIGMOID_FAR);
}

/* nrv_sigmoid15() of x within 16 bits. Nothing saturates: arguments end at 8. */
static inline int32_t nrv_dsp_sigmoid15(const nrv_dsp_sigmoid_t *p, int32_t x)
{
    const int32_t size = 2 * nrv_twice_sigmoid13(p, (uint32_t)(x < 0 ? -x : x));
    return size ^ (int32_t)((uint32_t)x >> 17); /* 2^15 - 1 less it below zero */
}

/* tanh as Q0.15 from 2 / (1 + e^-2x), with x's sign. */
static inline int32_t nrv_dsp_to_tanh15(int32_t twice_sigmoid, int32_t x)
{
    return (nrv_clip16(4 * (twice_sigmoid - (1 << 13))) ^ (x >> 31)) - (x >> 31);
}

/* nrv_tanh15() of x within 16 bits, with 2 + `more` integer bits. */
static inline int32_t nrv_dsp_tanh15(const nrv_dsp_sigmoid_t *p, int32_t x, int32_t more)
{
    return nrv_dsp_to_tanh15(nrv_twice_sigmoid13(p, (uint32_t)(x < 0 ? -x : x) << more), x);
}

/* The same with 0 or 1 integer bits, from a curve of its own: the arguments are finer than those above. */
static inline int32_t nrv_dsp_fine_tanh15(const nrv_dsp_curve_t *p, int32_t x)
{
    return nrv_dsp_to_tanh15(nrv_on_curve(p, (uint32_t)(x < 0 ? -x : x)), x);
}

#endif
