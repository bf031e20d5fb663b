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
    int32_t act_min; /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    int32_t pool; /* columns an output, 1 or 2: the higher of two neighbours */
    /*
     * For every unit its weights, groups * 4 words, then bias (the input's zero point folded in), multiplier, shift
     * (-1 to -31). Groups follow each other as 0, last, last but one, ... 1 where there are at most NRV_MVE_UNROLLED
     * of them, else from the first to the last.
     */
    const uint32_t *stream;
} nrv_mve_matrix_t;

enum { NRV_MVE_COLUMNS = 4, NRV_MVE_UNROLLED = 8 };

/* Four columns of groups * 16 values each, at any address, and where their outputs go: offsets of the first unit's. */
typedef struct {
    const int8_t *column[NRV_MVE_COLUMNS];
    int32_t offset[NRV_MVE_COLUMNS];
} nrv_mve_four_t;

/* `count` (1 to 4, a multiple of pool) columns of `size` values from scratch on: the missing ones repeat them. */
static inline void nrv_mve_place(const nrv_mve_matrix_t *m, int32_t count, nrv_mve_four_t *four)
{
    for (int32_t i = 0; i < NRV_MVE_COLUMNS; i++) {
        four->column[i] = four->column[i % count];
        four->offset[i] = i % count / m->pool * m->units;
    }
}

#ifdef NRV_MVE_ASM

/* Sixteen taps of a unit against the columns, `at` into them: 9 instructions of 36 bytes for 64 products. */
#define NRV_MVE_GROUP(multiply, at)                                                                                    \
    "vldrb.u8 q0, [%[w]], #16\n\t"                                                                                     \
    "vldrb.u8 q1, [%[c0], " at "\n\t" multiply " %[a0], q0, q1\n\t"                                                    \
    "vldrb.u8 q1, [%[c1], " at "\n\t" multiply " %[a1], q0, q1\n\t"                                                    \
    "vldrb.u8 q1, [%[c2], " at "\n\t" multiply " %[a2], q0, q1\n\t"                                                    \
    "vldrb.u8 q1, [%[c3], " at "\n\t" multiply " %[a3], q0, q1\n\t"
#define NRV_MVE_GROUP_BYTES "36"

/*
 * Sums a0 .. a3 of one unit, of which w points at bias, multiplier and shift, to outputs in the lanes of q0: equal to
 * nrv_requantize() for shifts to the right: VQRDMULH is the doubling high product, halves upwards; halves away from
 * zero are halves upwards (VRSHL) of what is one less where negative.
 */
#define NRV_MVE_REQUANTIZE                                                                                             \
    "vmov q0[2], q0[0], %[a0], %[a2]\n\t"                                                                              \
    "vmov q0[3], q0[1], %[a1], %[a3]\n\t"                                                                              \
    "ldrd %[a0], %[a1], [%[w]], #8\n\t"                                                                                \
    "vadd.i32 q0, q0, %[a0]\n\t"                                                                                       \
    "ldr %[a2], [%[w]], #4\n\t"                                                                                        \
    "vqrdmulh.s32 q0, q0, %[a1]\n\t"                                                                                   \
    "vshr.s32 q1, q0, #31\n\t"                                                                                         \
    "vadd.i32 q0, q0, q1\n\t"                                                                                          \
    "vrshl.s32 q0, %[a2]\n\t"                                                                                          \
    "vadd.i32 q0, q0, %q[zero]\n\t"                                                                                    \
    "vmax.s32 q0, q0, %q[low]\n\t"                                                                                     \
    "vmin.s32 q0, q0, %q[high]\n\t"

#include <arm_mve.h>

/* All units against four columns. In assembly because the compiler runs out of registers. */
static inline __attribute__((always_inline)) void nrv_mve_multiply_four(const nrv_mve_matrix_t *m,
                                                                        const nrv_mve_four_t *four, int8_t *output)
{
    const uint32_t *w = m->stream;
    const int8_t *c0 = four->column[0];
    const int8_t *c1 = four->column[1];
    const int8_t *c2 = four->column[2];
    const int8_t *c3 = four->column[3];
    const int32x4_t offsets = vldrwq_s32(four->offset);
    const int32x4_t zero = vdupq_n_s32(m->output_zero);
    const int32x4_t low = vdupq_n_s32(m->act_min);
    const int32x4_t high = vdupq_n_s32(m->act_max);
    const int32_t rest = m->groups - 1;
    const int32_t pool = m->pool;
    int32_t units = m->units;
    int32_t a0, a1, a2, a3, entry;
    __asm__ volatile(
        /* Where to go after the first group: so many groups before label 2, or to the loop. */
        "ldr lr, %[rest]\n\t"
        "mov %[a0], #" NRV_MVE_GROUP_BYTES "\n\t"
        "cmp lr, #7\n\t"
        "bls 1f\n\t"
        "adr %[entry], 4f\n\t"
        "b 8f\n"
        "1:\n\t"
        "adr %[entry], 2f\n\t"
        "mls %[entry], lr, %[a0], %[entry]\n"
        "8:\n\t"
        "orr %[entry], %[entry], #1\n\t"
        "b 0f\n"
        /* More groups than are unrolled. */
        "4:\n\t"
        "ldr lr, %[rest]\n\t"
        "dls lr, lr\n"
        "5:\n\t"
        NRV_MVE_GROUP("vmladava.s8", "#16]!")
        "le lr, 5b\n\t"
        "ldr lr, %[rest]\n\t"
        "sub %[c0], %[c0], lr, lsl #4\n\t"
        "sub %[c1], %[c1], lr, lsl #4\n\t"
        "sub %[c2], %[c2], lr, lsl #4\n\t"
        "sub %[c3], %[c3], lr, lsl #4\n\t"
        "b 2f\n"
        "0:\n\t"
        NRV_MVE_GROUP("vmladav.s8", "#0]")
        "bx %[entry]\n\t"
        NRV_MVE_GROUP("vmladava.s8", "#112]")
        NRV_MVE_GROUP("vmladava.s8", "#96]")
        NRV_MVE_GROUP("vmladava.s8", "#80]")
        NRV_MVE_GROUP("vmladava.s8", "#64]")
        NRV_MVE_GROUP("vmladava.s8", "#48]")
        NRV_MVE_GROUP("vmladava.s8", "#32]")
        NRV_MVE_GROUP("vmladava.s8", "#16]")
        "2:\n\t"
        NRV_MVE_REQUANTIZE
        "ldr lr, %[pool]\n\t"
        "cmp lr, #1\n\t"
        "beq 3f\n\t"
        "vrev64.32 q1, q0\n\t"
        "vmax.s32 q0, q0, q1\n"
        "3:\n\t"
        "vstrb.32 q0, [%[output], %q[offsets]]\n\t"
        "adds %[output], %[output], #1\n\t"
        "subs %[units], %[units], #1\n\t"
        "bne 0b\n\t"
        : [w] "+r"(w), [c0] "+r"(c0), [c1] "+r"(c1), [c2] "+r"(c2), [c3] "+r"(c3), [output] "+r"(output),
          [units] "+r"(units), [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2), [a3] "=&Te"(a3),
          [entry] "=&r"(entry)
        : [offsets] "w"(offsets), [zero] "w"(zero), [low] "w"(low), [high] "w"(high), [rest] "m"(rest), [pool] "m"(pool)
        : "q0", "q1", "lr", "cc", "memory");
}

#else

static inline void nrv_mve_multiply_four(const nrv_mve_matrix_t *m, const nrv_mve_four_t *four, int8_t *output)
{
    const uint32_t *w = m->stream;
    const int32_t unrolled = m->groups <= NRV_MVE_UNROLLED;
    for (int32_t unit = 0; unit < m->units; unit++, output++) {
        int32_t acc[NRV_MVE_COLUMNS] = {0};
        for (int32_t i = 0; i < m->groups; i++, w += NRV_MVE_LANES / 4) {
            const int32_t group = unrolled && i > 0 ? m->groups - i : i;
            const int8_t *const weights = (const int8_t *)w;
            for (int32_t c = 0; c < NRV_MVE_COLUMNS; c++) {
                const int8_t *const x = four->column[c] + group * NRV_MVE_LANES;
                for (int32_t tap = 0; tap < NRV_MVE_LANES; tap++) {
                    acc[c] += weights[tap] * x[tap];
                }
            }
        }
        int8_t values[NRV_MVE_COLUMNS];
        for (int32_t c = 0; c < NRV_MVE_COLUMNS; c++) {
            const int32_t value = nrv_requantize(acc[c] + (int32_t)w[0], (int32_t)w[1], (int32_t)w[2]) + m->output_zero;
            values[c] = nrv_clamp8(value, m->act_min, m->act_max);
        }
        for (int32_t c = 0; c < NRV_MVE_COLUMNS; c++) {
            const int8_t other = values[c ^ (m->pool - 1)];
            output[four->offset[c]] = values[c] > other ? values[c] : other;
        }
        w += 3;
    }
}

#endif

#endif
