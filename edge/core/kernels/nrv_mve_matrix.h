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
     * of each. Groups follow each other as 0, last, last but one, ... 1 where there are at most NRV_MVE_UNROLLED, else
     * from the first to the last.
     */
    const uint32_t *stream;
    const int32_t *scales; /* of each unit of these pairs bias (the input's zero point folded in), multiplier, shift */
} nrv_mve_matrix_t;

enum { NRV_MVE_COLUMNS = 4, NRV_MVE_UNROLLED = 8, NRV_MVE_SCALES = 6 /* words, of a pair of units */ };

/* Four columns of groups * 16 values each, at any address, and where their outputs go. */
typedef struct {
    const int8_t *column[NRV_MVE_COLUMNS];
    int32_t count; /* of columns: 1 to 4, a multiple of pool; the others repeat these */
    uint16_t offset[2 * NRV_MVE_COLUMNS]; /* outputs of columns 0, 1 of a pair's first unit, of its second; 2, 3 */
} nrv_mve_four_t;

static inline void nrv_mve_place(const nrv_mve_matrix_t *m, int32_t count, nrv_mve_four_t *four)
{
    four->count = count;
    for (int32_t i = 0; i < 2 * NRV_MVE_COLUMNS; i++) {
        const int32_t column = (i / 4 * 2 + i % 2) % count;
        four->offset[i] = (uint16_t)(column / m->pool * m->units + i / 2 % 2);
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

/* What leads from a block of columns to the next one, in the order in which LDM fills registers. */
typedef struct {
    const uint32_t *stream;
    int32_t last; /* unit */
    int32_t step; /* of columns */
    int32_t onward; /* of the output */
    int32_t back; /* bytes of scales */
} nrv_mve_next_t;

/*
 * All units against `blocks` times four columns, each `step` bytes beyond those before it. In assembly, with every
 * register there is: eight sums, columns, weights and output; the rest is in memory. Sums of columns 0 and 2 go to q0,
 * of 1 and 3 to q1, units a and b in turns.
 */
static inline __attribute__((always_inline)) void nrv_mve_multiply(const nrv_mve_matrix_t *m,
                                                                   const nrv_mve_four_t *four, int8_t *output,
                                                                   int32_t blocks, int32_t step)
{
    const int32_t pooled = m->pool - 1;
    const int32_t units = m->units;
    const uint16x8_t offsets = vldrhq_u16(four->offset);
    const int16x8_t zero = vdupq_n_s16((int16_t)m->output_zero);
    const int16x8_t low = vdupq_n_s16((int16_t)m->act_min);
    const int16x8_t high = vdupq_n_s16((int16_t)m->act_max);
    const uint32_t scale_bytes = 4 * NRV_MVE_SCALES;
    const uint32x4_t lanes = vmulq_n_u32(vandq_u32(vidupq_n_u32(0, 1), vdupq_n_u32(1)), scale_bytes / 2);
    /* Of each lane's bias; before the first one, as it is advanced before it is used. */
    uint32x4_t scales = vaddq_n_u32(lanes, (uint32_t)(uintptr_t)m->scales - scale_bytes);
    const int32_t rest = m->groups - 1;
    const int32_t halves_up = m->cut_below_zero;
    const int32_t pairs = (units + 1) / 2;
    const nrv_mve_next_t block = {m->stream, units - 1, step, NRV_MVE_COLUMNS / m->pool * units - 2 * pairs,
                                  pairs * (int32_t)scale_bytes};
    const nrv_mve_next_t *const next = &block;
    int32_t left = units - 1;
    /* Where to go after the first group: at first how many before label 2, NRV_MVE_UNROLLED for the loop. */
    int32_t entry = rest < NRV_MVE_UNROLLED ? rest : NRV_MVE_UNROLLED;
    int8_t *kept;
    register const uint32_t *w __asm__("r1") = m->stream;
    register const int8_t *c0 __asm__("r3") = four->column[0];
    register const int8_t *c1 __asm__("r5") = four->column[1];
    register const int8_t *c2 __asm__("r7") = four->column[2];
    register const int8_t *c3 __asm__("r9") = four->column[3];
    register int8_t *to __asm__("r11") = output;
    __asm__ volatile(
        ".p2align 2\n\t" /* ADR counts from a whole word, also where functions begin at half ones */
        "ldr r2, %[entry]\n\t"
        "adr r0, 4f\n\t"
        "lsrs r4, r2, #3\n\t"
        "bne 1f\n\t"
        "and r2, r2, #7\n\t" /* no more than there are, which object code can show */
        "movs r4, %[group_bytes]\n\t"
        "muls r2, r4, r2\n\t"
        "adr r0, 2f\n\t"
        "subs r0, r0, r2\n"
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
        "ldr %[to], %[rest]\n\t"
        "lsl %[to], %[to], #4\n\t"
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
        "vmov q0[3], q0[1], r8, r12\n\t"
        "vmov q1[2], q1[0], r2, r6\n\t"
        "vmov q1[3], q1[1], r10, lr\n\t"
        "ldr r0, %[pooled]\n\t"
        "ldr r2, %[left]\n\t"
        "vldrw.u32 q2, [%q[scales], #24]!\n\t"
        "cbnz r0, 6f\n\t"
        "ldr r4, %[halves_up]\n\t"
        "vadd.i32 q0, q0, q2\n\t"
        "vadd.i32 q1, q1, q2\n\t"
        "vldrw.u32 q2, [%q[scales], #4]\n\t"
        "vqrdmulh.s32 q0, q0, q2\n\t"
        "vqrdmulh.s32 q1, q1, q2\n\t"
        "cbnz r4, 3f\n\t"
        NRV_MVE_HALVES_AWAY("q0")
        NRV_MVE_HALVES_AWAY("q1")
        "3:\n\t"
        "vldrw.u32 q2, [%q[scales], #8]\n\t"
        "vrshl.s32 q0, q0, q2\n\t"
        "vrshl.s32 q1, q1, q2\n"
        "1:\n\t"
        "vqmovnb.s32 q0, q0\n\t"
        "vqmovnt.s32 q0, q1\n\t"
        "vqadd.s16 q0, q0, %q[zero]\n\t"
        "vmax.s16 q0, q0, %q[low]\n\t"
        "vmin.s16 q0, q0, %q[high]\n\t"
        "cbz r2, 8f\n\t"
        "vstrb.16 q0, [%[to], %q[offsets]]\n"
        "7:\n\t"
        "add %[to], %[to], #2\n\t"
        "subs r2, r2, #2\n\t"
        "str r2, %[left]\n\t"
        "bpl 0b\n\t"
        "b 5f\n"
        /* The higher of two columns: requantization is monotonic. */
        "6:\n\t"
        "vmax.s32 q0, q0, q1\n\t"
        "vadd.i32 q0, q0, q2\n\t"
        "vldrw.u32 q2, [%q[scales], #4]\n\t"
        "vqrdmulh.s32 q0, q0, q2\n\t"
        "ldr r4, %[halves_up]\n\t"
        "cbnz r4, 3f\n\t"
        NRV_MVE_HALVES_AWAY("q0")
        "3:\n\t"
        "vldrw.u32 q2, [%q[scales], #8]\n\t"
        "vrshl.s32 q0, q0, q2\n\t"
        "vmov q1, q0\n\t"
        "b 1b\n"
        /* There is no unit b. */
        "8:\n\t"
        "movw r4, #0x0f0f\n\t"
        "vmsr p0, r4\n\t"
        "vpst\n\t"
        "vstrbt.16 q0, [%[to], %q[offsets]]\n\t"
        "b 7b\n"
        /* The next block. */
        "5:\n\t"
        "ldr r0, %[blocks]\n\t"
        "subs r0, r0, #1\n\t"
        "beq 9f\n\t"
        "str r0, %[blocks]\n\t"
        "ldr r0, %[next]\n\t"
        "ldm r0, {%[w], r2, r4, r6, r8}\n\t"
        "str r2, %[left]\n\t"
        "add %[c0], %[c0], r4\n\t"
        "add %[c1], %[c1], r4\n\t"
        "add %[c2], %[c2], r4\n\t"
        "add %[c3], %[c3], r4\n\t"
        "add %[to], %[to], r6\n\t"
        "vsub.i32 %q[scales], %q[scales], r8\n\t"
        "b 0b\n"
        "9:\n\t"
        : [w] "+r"(w), [c0] "+r"(c0), [c1] "+r"(c1), [c2] "+r"(c2), [c3] "+r"(c3), [to] "+r"(to),
          [left] "+m"(left), [entry] "+m"(entry), [kept] "=m"(kept), [blocks] "+m"(blocks), [scales] "+w"(scales)
        : [offsets] "w"(offsets), [zero] "w"(zero), [low] "w"(low), [high] "w"(high), [rest] "m"(rest),
          [pooled] "m"(pooled), [halves_up] "m"(halves_up), [next] "m"(next), [group_bytes] "i"(NRV_MVE_GROUP_BYTES)
        : "r0", "r2", "r4", "r6", "r8", "r10", "r12", "lr", "q0", "q1", "q2", "cc",
          "memory" NRV_MVE_P0);
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

static inline void nrv_mve_multiply(const nrv_mve_matrix_t *m, const nrv_mve_four_t *four, int8_t *output,
                                    int32_t blocks, int32_t step)
{
    const int32_t words = m->groups * NRV_MVE_LANES / 2;
    for (int32_t block = 0; block < blocks; block++, output += NRV_MVE_COLUMNS / m->pool * m->units) {
        for (int32_t unit = 0; unit < m->units; unit++) {
            const int32_t *const scale = m->scales + 3 * unit;
            for (int32_t c = 0; c < four->count; c += m->pool) {
                int32_t acc = INT32_MIN;
                for (int32_t i = c; i < c + m->pool; i++) {
                    const int8_t *const column = four->column[i] + block * step;
                    const int32_t sum = nrv_mve_sum(m, m->stream + unit / 2 * words, unit % 2, column);
                    acc = sum > acc ? sum : acc;
                }
                const int32_t value = nrv_requantize(acc + scale[0], scale[1], scale[2]) + m->output_zero;
                output[c / m->pool * m->units + unit] = nrv_clamp8(value, m->act_min, m->act_max);
            }
        }
    }
}

#endif

#endif
