/*
 * Sigmoid and tanh of nrv_lstm_cell.h in assembly: the same steps, so equal for every argument. A high product
 * rounds as nrv_mul15() does where its factors are shifted by 17 together; a factor of 2^14 and more wraps then,
 * which takes the other factor off again: it is added.
 *
 * Registers, throughout:
 *
 *     r0                the caller's, kept
 *     r1                all bits the argument's sign
 *     r2                the argument; its size less 1; at the end 2 / (1 + e^-v) in steps of 2^-30, v the size
 *     r3                e^-v in steps of 2^-15; then (1 + e^-v) / 2 in steps of 2^-15
 *     r4                free
 *     r5                e^-v for v of 1 to 1024 steps of 2^-12; before them what makes 0 a half
 *     r6, r8 - r12, lr  nrv_dsp_sigmoid_constants
 */
#ifndef NRV_DSP_SIGMOID_H
#define NRV_DSP_SIGMOID_H

#include "nrv_dsp.h"

#ifdef NRV_DSP_ASM

/* e^-1/4, e^-1/2, e^-1; 2^14, -32 / 17, 48 / 17, -1. */
static const int32_t nrv_dsp_sigmoid_constants[7] = {
    (25520 - 32768) * 131072, (19875 - 32768) * 131072, 12055 * 131072, 16384, -15420 * 131072, 23130, -8192,
};

/* For NRV_DSP_LAST_QUARTER: half a step beyond the end, for x^4, 1 / 3, e^-1/8 twice. */
static const int32_t nrv_dsp_quarter_constants[5] = {
    0x7FFC0000, 5 * 16384, 10923 * 131072, 28918 * 65536, 28918,
};

/* clang-format off */
/* From x in r2, LEFT to be shifted to the left: r1 and r2, -1 for 0. ASRS leaves the sign in the carry. */
#define NRV_DSP_SIZE(left)                                                                                             \
    "asrs r1, r2, #31\n\t"                                                                                             \
    "eor r2, r1, r2, lsl #" left "\n\t"                                                                                \
    "sbc r2, r2, #0\n\t"

/* e^-v within the last quarter, from the table. */
#define NRV_DSP_LOOK_UP                                                                                                \
    "ubfx r3, r2, #0, #10\n\t"                                                                                         \
    "ldrh r3, [r5, r3, lsl #1]\n\t"
/* The same for v of up to a quarter, and 0. */
#define NRV_DSP_LOOK_UP_FIRST "ldrh r3, [r5, r2, lsl #1]\n"
#define NRV_DSP_TIMES(factor) "smmlar r3, r3, " factor ", r3\n\t"
#define NRV_DSP_TIMES_LOW(factor) "smmulr r3, r3, " factor "\n\t" /* below 2^14 */
/* Times `factor` if a bit is set that an immediate operand can express. */
#define NRV_DSP_TIMES_IF(bit, factor)                                                                                  \
    "tst r2, #" bit "\n\t"                                                                                             \
    "ittt ne\n\t"                                                                                                      \
    "movwne r4, #" factor "\n\t"                                                                                       \
    "smlabbne r3, r3, r4, r10\n\t"                                                                                     \
    "asrne r3, r3, #15\n\t"

/*
 * r3 from r2 by the quarters of v, its bits from `quarter` on: below 8 a jump to what they are to be multiplied by,
 * below 16 (the sign after a shift to the left by `left`, then bit `one`) one after the other; `far` does for more.
 * `first` gives the last quarter's value, `none` that of 0 as well. Ends at label 19.
 */
#define NRV_DSP_EXPONENTIAL(quarter, left, one, many, first, none, far)                                                \
    "usat r4, #4, r2, asr #" quarter "\n\t"                                                                            \
    "tbb [pc, r4]\n"                                                                                                   \
    "10:\n\t"                                                                                                          \
    ".byte (18f - 10b) / 2, (11f - 10b) / 2, (12f - 10b) / 2, (13f - 10b) / 2\n\t"                                     \
    ".byte (14f - 10b) / 2, (15f - 10b) / 2, (16f - 10b) / 2, (17f - 10b) / 2\n\t"                                     \
    ".byte (9f - 10b) / 2, (9f - 10b) / 2, (9f - 10b) / 2, (9f - 10b) / 2\n\t"                                         \
    ".byte (9f - 10b) / 2, (9f - 10b) / 2, (9f - 10b) / 2, (9f - 10b) / 2\n"                                           \
    "11:\n\t" first NRV_DSP_TIMES("r6") "b 19f\n"                                                                      \
    "12:\n\t" first NRV_DSP_TIMES("r8") "b 19f\n"                                                                      \
    "13:\n\t" first NRV_DSP_TIMES("r6") NRV_DSP_TIMES("r8") "b 19f\n"                                                  \
    "14:\n\t" first NRV_DSP_TIMES_LOW("r9") "b 19f\n"                                                                  \
    "15:\n\t" first NRV_DSP_TIMES("r6") NRV_DSP_TIMES_LOW("r9") "b 19f\n"                                              \
    "16:\n\t" first NRV_DSP_TIMES("r8") NRV_DSP_TIMES_LOW("r9") "b 19f\n"                                              \
    "17:\n\t" first NRV_DSP_TIMES("r6") NRV_DSP_TIMES("r8") NRV_DSP_TIMES_LOW("r9") "b 19f\n"                          \
    "9:\n\t" first                                                                                                     \
    "lsls r4, r2, #" left "\n\t"                                                                                       \
    "it mi\n\t"                                                                                                        \
    "smmlarmi r3, r3, r6, r3\n\t"                                                                                      \
    "it cs\n\t"                                                                                                        \
    "smmlarcs r3, r3, r8, r3\n\t"                                                                                      \
    "tst r2, #" one "\n\t"                                                                                             \
    "it ne\n\t"                                                                                                        \
    "smmulrne r3, r3, r9\n\t"                                                                                          \
    "lsrs r4, r2, #" many "\n\t"                                                                                       \
    "bne 8f\n\t"                                                                                                       \
    "movw r4, #4435\n\t"                                                                                               \
    "smlabb r3, r3, r4, r10\n\t"                                                                                       \
    "asrs r3, r3, #15\n\t"                                                                                             \
    "b 19f\n"                                                                                                          \
    "8:\n\t" far "b 19f\n"                                                                                            \
    "18:\n\t" none                                                                                                     \
    "19:\n\t"

/* x + x (1 - d x), x in steps of 2^-30: 8192 is 0 modulo 2^32 in the last one. */
#define NRV_DSP_NEWTON                                                                                                 \
    "smmlar r4, r3, r2, lr\n\t"                                                                                        \
    "smmlsr r4, r4, r2, lr\n\t"                                                                                        \
    "add r2, r2, r4, lsl #19\n\t"
/* r2 from r3. */
#define NRV_DSP_RECIPROCAL                                                                                             \
    "add r3, r10, r3, asr #1\n\t"                                                                                      \
    "smmlar r2, r3, r11, r12\n\t"                                                                                      \
    "lsl r2, r2, #17\n\t"                                                                                              \
    NRV_DSP_NEWTON NRV_DSP_NEWTON NRV_DSP_NEWTON

/* nrv_sigmoid15() of r2 in the upper half of `to`. */
#define NRV_DSP_SIGMOID(to)                                                                                            \
    NRV_DSP_SIZE("0")                                                                                                  \
    NRV_DSP_EXPONENTIAL("10", "21", "4096", "14", NRV_DSP_LOOK_UP, NRV_DSP_LOOK_UP_FIRST,                              \
                        NRV_DSP_TIMES_IF("8192", "4435") NRV_DSP_TIMES_IF("16384", "600"))                             \
    NRV_DSP_RECIPROCAL                                                                                                 \
    "eor " to ", r2, r1, lsr #1\n\t"

/* e^-v below 4 steps makes a tanh of 1, which saturates: r2 that NRV_DSP_TO_TANH takes to that, at label 7. */
#define NRV_DSP_SATURATED                                                                                              \
    "cmp r3, #4\n\t"                                                                                                   \
    "bhs 19f\n"                                                                                                        \
    "7:\n\t"                                                                                                           \
    "movw r2, #0x8000\n\t"                                                                                             \
    "movt r2, #0x7FFF\n\t"                                                                                             \
    "b 20f\n\t"
/* From r2 and r1. */
#define NRV_DSP_TO_TANH(to)                                                                                            \
    "eor r4, r1, #0x80000000\n\t"                                                                                      \
    "eor " to ", r4, r2, lsl #1\n\t"                                                                                   \
    "sub " to ", " to ", r1\n\t"

/* nrv_tanh15() of r2 with 3 integer bits, shifted by 16, in `to`. */
#define NRV_DSP_TANH(to)                                                                                               \
    NRV_DSP_SIZE("1")                                                                                                  \
    NRV_DSP_EXPONENTIAL("10", "21", "4096", "14", NRV_DSP_LOOK_UP, NRV_DSP_LOOK_UP_FIRST,                              \
                        NRV_DSP_TIMES_IF("8192", "4435") NRV_DSP_TIMES_IF("16384", "600")                              \
                            NRV_DSP_TIMES_IF("32768", "11") NRV_DSP_SATURATED)                                         \
    NRV_DSP_RECIPROCAL                                                                                                 \
    "20:\n\t" NRV_DSP_TO_TANH(to)

/*
 * The polynomial of nrv_exp15_last_quarter() from r2, for sizes in steps of 2^-15, constants at r3. r1, r2 and r5 are
 * kept. What it rounds halves away from zero is never negative.
 */
#define NRV_DSP_LAST_QUARTER                                                                                           \
    "ldm r3, {r4, r6, r8, r9, r10}\n\t"                                                                                \
    "sub r3, r4, r2, lsl #19\n\t"     /* x, half a step more, in the highest bits */                                   \
    "asrs r4, r3, #19\n\t"            /* x */                                                                          \
    "lsl r11, r4, #17\n\t"                                                                                             \
    "smmulr r12, r11, r4\n\t"         /* x^2 */                                                                        \
    "smmulr r11, r11, r12\n\t"        /* x^3 */                                                                        \
    "smlabb lr, r12, r12, r6\n\t"     /* x^4 / 4 */                                                                    \
    "add r11, r11, lr, asr #17\n\t"                                                                                    \
    "smmlar r11, r11, r8, r12\n\t"    /* (x^4 / 4 + x^3) / 3 + x^2 */                                                  \
    "add r11, r11, r3, asr #18\n\t"                                                                                    \
    "bic r11, r11, #1\n\t"            /* twice x + half of that */                                                     \
    "smmlar r3, r11, r9, r10\n\t"

/*
 * nrv_tanh15() of r2 in steps of 2^-16, shifted by 16, in `to`; `quarter` and `constants` are where the addresses of
 * nrv_dsp_quarter_constants and nrv_dsp_sigmoid_constants lie. r5 is kept, r0 is free.
 */
#define NRV_DSP_FINE_TANH(to, quarter, constants)                                                                      \
    "asrs r1, r2, #31\n\t"                                                                                             \
    "eor r2, r1, r2\n\t"                                                                                               \
    "sbcs r2, r2, #0\n\t"                                                                                              \
    "bmi 6f\n\t"                                                                                                       \
    "ldr r3, " quarter "\n\t"                                                                                          \
    NRV_DSP_LAST_QUARTER                                                                                               \
    "ldr r4, " constants "\n\t"                                                                                        \
    "ldm r4, {r6, r8, r9, r10, r11, r12, lr}\n\t"                                                                      \
    NRV_DSP_EXPONENTIAL("13", "18", "32768", "17", "", "",                                                             \
                        "lsrs r4, r2, #19\n\t"                                                                         \
                        "bne 7f\n\t"                                                                                   \
                        NRV_DSP_TIMES_IF("65536", "4435") NRV_DSP_TIMES_IF("131072", "600")                            \
                            NRV_DSP_TIMES_IF("262144", "11") NRV_DSP_SATURATED                                         \
                        "6:\n\t"                                                                                       \
                        "mov r2, #0x40000000\n\t"                                                                      \
                        "b 20f\n\t")                                                                                   \
    NRV_DSP_RECIPROCAL                                                                                                 \
    "20:\n\t" NRV_DSP_TO_TANH(to)
/* clang-format on */

#endif

#endif
