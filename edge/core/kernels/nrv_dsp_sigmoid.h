/*
 * The LSTM's sigmoid and tanh from tables that the compiler fills with what nrv_lstm_cell.h computes, so that both are
 * equal for every argument. The 16-bit arithmetic leaves each value up to three steps off a smooth curve: straight
 * lines and a few bits for each argument take a fifth of a plain table.
 */
#ifndef NRV_DSP_SIGMOID_H
#define NRV_DSP_SIGMOID_H

#include "nrv_lstm_cell.h"

#define NRV_SIGMOID_FAR 16384    /* where the far tables start */
#define NRV_SIGMOID_FLAT 37464   /* from here on the value is 2^14 */

/* Of 2 / (1 + e^-v) in steps of 2^-13, v in steps of 2^-12. */
typedef struct {
    /* Below NRV_SIGMOID_FAR: for every 256 arguments half the first value above a slope in steps of 2^-15; for every
     * argument how far above the line it lies, the first of eight in bits 28 to 31, the next in 0 to 3 and so on. */
    const uint32_t *near_lines;
    const uint32_t *near_above;
    /* From there on: for every 256 arguments and for every argument the same for e^-v in steps of 2^-14, the value in
     * whole and the slope in steps of 2^-16; the first of 32 bits in bit 31, the next in bit 0. */
    const uint32_t *far_lines;
    const uint32_t *far_above;
    const int16_t *far_values; /* by e^-v in steps of 2^-14 */
} nrv_dsp_sigmoid_t;

static inline uint32_t nrv_rotated(uint32_t x, uint32_t places)
{
    return x >> (places & 31u) | x << (-places & 31u);
}

/* A line's value at v, in the line's own steps. */
static inline int32_t nrv_on_line(uint32_t line, uint32_t v)
{
    return (int32_t)line + (int16_t)(line & 0xFFFFu) * (int16_t)(v & 0xFFu);
}

/* 2 / (1 + e^-v). */
static inline int32_t nrv_twice_sigmoid13(const nrv_dsp_sigmoid_t *p, uint32_t v)
{
    if (v < NRV_SIGMOID_FAR) {
        const int32_t line = nrv_on_line(p->near_lines[v >> 8], v);
        return (line >> 15) + (int32_t)(nrv_rotated(p->near_above[v >> 3], 4 * v) >> 28);
    }
    if (v >= NRV_SIGMOID_FLAT) {
        return 1 << 14;
    }
    v -= NRV_SIGMOID_FAR;
    const int32_t line = nrv_on_line(p->far_lines[v >> 8], v);
    return p->far_values[(line >> 16) + (int32_t)(nrv_rotated(p->far_above[v >> 5], v) >> 31)];
}

/* nrv_sigmoid15(). */
static inline int32_t nrv_dsp_sigmoid15(const nrv_dsp_sigmoid_t *p, int32_t x)
{
    const int32_t sign = x >> 31;
    const int32_t size = nrv_clip16(2 * nrv_twice_sigmoid13(p, (uint32_t)((x ^ sign) - sign)));
    return size ^ (int32_t)((uint32_t)sign >> 17);
}

/* nrv_tanh15() of x with 2 + `more` integer bits. */
static inline int32_t nrv_dsp_tanh15(const nrv_dsp_sigmoid_t *p, int32_t x, int32_t more)
{
    const int32_t sign = x >> 31;
    const int32_t size = nrv_twice_sigmoid13(p, (uint32_t)((x ^ sign) - sign) << more) - (1 << 13);
    return (nrv_clip16(4 * size) ^ sign) - sign;
}

#endif
