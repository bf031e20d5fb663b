/* Products of an int8 matrix with four int8 columns at a time, requantized to int8: the inner loop of convolutions. */
#ifndef NRV_MVE_MATRIX_H
#define NRV_MVE_MATRIX_H

#include "fixed.h"
#include "nrv_clamp.h"
#include "nrv_mve.h"

typedef struct {
    int32_t units;  /* rows of the matrix: output channels */
    int32_t groups; /* of sixteen taps, the last one filled with zeros */
    int32_t output_zero;
    int32_t cut_below_zero; /* 1: the activation cuts off all below the zero point, so how halves round there is moot */
    int32_t act_min;        /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    int32_t pool; /* columns an output, 1 or 2: the higher of two neighbours */
    /*
     * For every two units (the second one all zeros where the last one is alone) group after group 4 words of weights
     * of each; then bias (the input's zero point folded in), multiplier, shift (-1 to -31) of each. Groups follow each
     * other as 0, last, last but one, ... 1 where there are at most NRV_MVE_UNROLLED, else from the first to the last.
     */
    const uint32_t *stream;
} nrv_mve_matrix_t;

enum { NRV_MVE_COLUMNS = 4, NRV_MVE_UNROLLED = 8 };

/* Four columns of groups * 16 values each, at any address, and where their outputs go: offsets of the first unit's. */
typedef struct {
    const int8_t *column[NRV_MVE_COLUMNS];
    int32_t offset[NRV_MVE_COLUMNS];
} nrv_mve_four_t;

/* Where the outputs of `count` columns (1 to 4, a multiple of pool) go: the missing ones repeat them. */
static inline void nrv_mve_place(const nrv_mve_matrix_t *m, int32_t count, nrv_mve_four_t *four)
{
    for (int32_t i = 0; i < NRV_MVE_COLUMNS; i++) {
        four->offset[i] = i % count / m->pool * m->units;
    }
}

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

/*
 * Sums of unit a are in r0, r2, r4, r6, those of unit b in r8, r10, r12, lr: VMLADAV wants even registers.
 * Sixteen taps of both against the columns, `at` into them: 14 instructions of 56 bytes for 128 products.
 */
#define NRV_MVE_GROUP(multiply, at)                                                                                    \
    "vldrb.u8 q0, [%[w]], #16\n\t"                                                                                     \
    "vldrb.u8 q1, [%[w]], #16\n\t"                                                                                     \
    "vldrb.u8 q2, [%[c0], " at "\n\t" multiply " r0, q0, q2\n\t" multiply " r8, q1, q2\n\t"                      \
    "vldrb.u8 q2, [%[c1], " at "\n\t" multiply " r2, q0, q2\n\t" multiply " r10, q1, q2\n\t"                      \
    "vldrb.u8 q2, [%[c2], " at "\n\t" multiply " r4, q0, q2\n\t" multiply " r12, q1, q2\n\t"                      \
    "vldrb.u8 q2, [%[c3], " at "\n\t" multiply " r6, q0, q2\n\t" multiply " lr, q1, q2\n\t"
#define NRV_MVE_GROUP_BYTES 56

/*
 * Requantization of four lanes is equal to nrv_requantize() for shifts to the right: VQRDMULH is the doubling high
 * product, halves upwards; halves away from zero are halves upwards (VRSHL) of what is one less where negative.
 */
#define NRV_MVE_HALVES_AWAY(q)                                                                                         \
    "vshr.s32 q2, " q ", #31\n\t"                                                                                      \
    "vadd.i32 " q ", " q ", q2\n\t"
#define NRV_MVE_CLAMP(q)                                                                                               \
    "vadd.i32 " q ", " q ", %q[zero]\n\t"                                                                              \
    "vmax.s32 " q ", " q ", %q[low]\n\t"                                                                               \
    "vmin.s32 " q ", " q ", %q[high]\n\t"
#define NRV_MVE_HIGHER(q)                                                                                              \
    "vrev64.32 q2, " q "\n\t"                                                                                          \
    "vmax.s32 " q ", " q ", q2\n\t"

/*
 * All units against four columns. In assembly, with every register there is: eight sums, columns, weights and output.
 * The rest is in memory.
 */
static inline __attribute__((always_inline)) void nrv_mve_multiply_four(const nrv_mve_matrix_t *m,
                                                                        const nrv_mve_four_t *four, int8_t *output)
{
    const int32x4_t offsets = vldrwq_s32(four->offset);
    const int32x4_t zero = vdupq_n_s32(m->output_zero);
    const int32x4_t low = vdupq_n_s32(m->act_min);
    const int32x4_t high = vdupq_n_s32(m->act_max);
    const int32_t rest = m->groups - 1;
    const int32_t back = rest * NRV_MVE_LANES;
    const int32_t behind = rest < NRV_MVE_UNROLLED ? rest * NRV_MVE_GROUP_BYTES : -1;
    const int32_t pooled = m->pool - 1;
    const int32_t halves_up = m->cut_below_zero;
    int32_t left = m->units - 1;
    uint32_t entry = 0;
    int8_t *kept = output;
    register const uint32_t *w __asm__("r1") = m->stream;
    register const int8_t *c0 __asm__("r3") = four->column[0];
    register const int8_t *c1 __asm__("r5") = four->column[1];
    register const int8_t *c2 __asm__("r7") = four->column[2];
    register const int8_t *c3 __asm__("r9") = four->column[3];
    register int8_t *to __asm__("r11") = output;
    __asm__ volatile(
        /* Where to go after the first group: so many groups before label 2, or to the loop. */
        "ldr r2, %[behind]\n\t"
        "adr r0, 2f\n\t"
        "subs r0, r0, r2\n\t"
        "cmp r2, #0\n\t"
        "bge 1f\n\t"
        "adr r0, 4f\n"
        "1:\n\t"
        "orr r0, r0, #1\n\t"
        "str r0, %[entry]\n\t"
        "b 0f\n"
        /* More groups than are unrolled. */
        "4:\n\t"
        "str %[to], %[kept]\n\t"
        "ldr %[to], %[rest]\n"
        "5:\n\t"
        NRV_MVE_GROUP("vmladava.s8", "#16]!")
        "subs %[to], %[to], #1\n\t"
        "bne 5b\n\t"
        "ldr %[to], %[back]\n\t"
        "sub %[c0], %[c0], %[to]\n\t"
        "sub %[c1], %[c1], %[to]\n\t"
        "sub %[c2], %[c2], %[to]\n\t"
        "sub %[c3], %[c3], %[to]\n\t"
        "ldr %[to], %[kept]\n\t"
        "b 2f\n"
        "0:\n\t"
        NRV_MVE_GROUP("vmladav.s8", "#0]")
        "ldr.w pc, %[entry]\n\t"
        NRV_MVE_GROUP("vmladava.s8", "#112]")
        NRV_MVE_GROUP("vmladava.s8", "#96]")
        NRV_MVE_GROUP("vmladava.s8", "#80]")
        NRV_MVE_GROUP("vmladava.s8", "#64]")
        NRV_MVE_GROUP("vmladava.s8", "#48]")
        NRV_MVE_GROUP("vmladava.s8", "#32]")
        NRV_MVE_GROUP("vmladava.s8", "#16]")
        "2:\n\t"
        "vmov q0[2], q0[0], r0, r4\n\t"
        "vmov q1[2], q1[0], r8, r12\n\t"
        "vmov q0[3], q0[1], r2, r6\n\t"
        "vmov q1[3], q1[1], r10, lr\n\t"
        "ldrd r0, r2, [%[w]], #8\n\t"
        "ldrd r4, r6, [%[w]], #8\n\t"
        "ldrd r8, r10, [%[w]], #8\n\t"
        "vadd.i32 q0, q0, r0\n\t"
        "vadd.i32 q1, q1, r6\n\t"
        "ldr r0, %[halves_up]\n\t"
        "vqrdmulh.s32 q0, q0, r2\n\t"
        "vqrdmulh.s32 q1, q1, r8\n\t"
        "cbnz r0, 3f\n\t"
        NRV_MVE_HALVES_AWAY("q0")
        NRV_MVE_HALVES_AWAY("q1")
        "3:\n\t"
        "vrshl.s32 q0, r4\n\t"
        "vrshl.s32 q1, r10\n\t"
        "ldr r0, %[pooled]\n\t"
        NRV_MVE_CLAMP("q0")
        NRV_MVE_CLAMP("q1")
        "cbz r0, 6f\n\t"
        NRV_MVE_HIGHER("q0")
        NRV_MVE_HIGHER("q1")
        "6:\n\t"
        "ldr r0, %[left]\n\t"
        "usat r2, #1, r0\n\t" /* a missing unit b is written where unit a follows */
        "add r2, r2, %[to]\n\t"
        "vstrb.32 q1, [r2, %q[offsets]]\n\t"
        "vstrb.32 q0, [%[to], %q[offsets]]\n\t"
        "add %[to], %[to], #2\n\t"
        "subs r0, r0, #2\n\t"
        "str r0, %[left]\n\t"
        "bpl 0b\n\t"
        : [w] "+r"(w), [c0] "+r"(c0), [c1] "+r"(c1), [c2] "+r"(c2), [c3] "+r"(c3), [to] "+r"(to),
          [left] "+m"(left), [entry] "+m"(entry), [kept] "+m"(kept)
        : [offsets] "w"(offsets), [zero] "w"(zero), [low] "w"(low), [high] "w"(high), [rest] "m"(rest),
          [back] "m"(back), [behind] "m"(behind), [pooled] "m"(pooled), [halves_up] "m"(halves_up)
        : "r0", "r2", "r4", "r6", "r8", "r10", "r12", "lr", "q0", "q1", "q2", "cc", "memory");
}

#else

/* The sums of unit a or b (`unit` is 0 or 1), whose pair's weights start at `w`. */
static inline int32_t nrv_mve_sum(const nrv_mve_matrix_t *m, const uint32_t *w, int32_t unit, const int8_t *column)
{
    int32_t acc = 0;
    for (int32_t i = 0; i < m->groups; i++) {
        const int32_t group = m->groups <= NRV_MVE_UNROLLED && i > 0 ? m->groups - i : i;
        const int8_t *const weights = (const int8_t *)(w + (2 * i + unit) * NRV_MVE_LANES / 4);
        for (int32_t tap = 0; tap < NRV_MVE_LANES; tap++) {
            acc += weights[tap] * column[group * NRV_MVE_LANES + tap];
        }
    }
    return acc;
}

static inline void nrv_mve_multiply_four(const nrv_mve_matrix_t *m, const nrv_mve_four_t *four, int8_t *output)
{
    const int32_t words = m->groups * NRV_MVE_LANES / 2;
    for (int32_t unit = 0; unit < m->units; unit++, output++) {
        const uint32_t *const w = m->stream + unit / 2 * (words + 6);
        const uint32_t *const scale = w + words + unit % 2 * 3;
        int8_t values[NRV_MVE_COLUMNS];
        for (int32_t c = 0; c < NRV_MVE_COLUMNS; c++) {
            const int32_t acc = nrv_mve_sum(m, w, unit % 2, four->column[c]) + (int32_t)scale[0];
            const int32_t value = nrv_requantize(acc, (int32_t)scale[1], (int32_t)scale[2]) + m->output_zero;
            values[c] = nrv_clamp8(value, m->act_min, m->act_max);
        }
        for (int32_t c = 0; c < NRV_MVE_COLUMNS; c++) {
            const int8_t other = values[c ^ (m->pool - 1)];
            output[four->offset[c]] = values[c] > other ? values[c] : other;
        }
    }
}

#endif

#endif
