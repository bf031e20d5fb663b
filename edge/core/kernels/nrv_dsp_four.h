/* All units of a matrix against four columns: the inner loop of convolutions. */
#ifndef NRV_DSP_FOUR_H
#define NRV_DSP_FOUR_H

#include "nrv_dsp.h"
#include "nrv_dsp_matrix.h"

/* What stays the same from one set of columns to the next. */
typedef struct {
    const nrv_dsp_matrix_t *m;
    const uint32_t *stream;
    const uint32_t *columns;
    const uint32_t *end; /* of the columns */
    int32_t rest;        /* groups but one */
    int32_t last;        /* unit */
    int32_t units;
    int32_t pool;
    int32_t halves_up;
} nrv_four_t;

static inline nrv_four_t nrv_four(const nrv_dsp_matrix_t *m, const uint32_t *stream, const uint32_t *columns)
{
    const nrv_four_t f = {
        m,       stream, columns, columns + m->groups * NRV_DSP_GROUP_WORDS, m->groups - 1, m->units - 1, m->units,
        m->pool, m->cut_below_zero};
    return f;
}

#ifdef NRV_DSP_ASM

/* Two taps of units a and b against one row of the columns: 13 instructions for 16 products. */
#define NRV_FOUR_WEIGHTS                                                                                               \
    "ldr %[wb], [%[w]], #4\n\t"                                                                                        \
    "sxtb16 %[wa], %[wb]\n\t"                                                                                          \
    "sxtb16 %[wb], %[wb], ror #8\n\t"
#define NRV_FOUR_STEP                                                                                                  \
    NRV_FOUR_WEIGHTS                                                                                                   \
    "ldrd %[x], %[y], [%[at]], #8\n\t"                                                                                 \
    "smlad %[a0], %[wa], %[x], %[a0]\n\t"                                                                              \
    "smlad %[b0], %[wb], %[x], %[b0]\n\t"                                                                              \
    "smlad %[a1], %[wa], %[y], %[a1]\n\t"                                                                              \
    "smlad %[b1], %[wb], %[y], %[b1]\n\t"                                                                              \
    "ldrd %[x], %[y], [%[at]], #8\n\t"                                                                                 \
    "smlad %[a2], %[wa], %[x], %[a2]\n\t"                                                                              \
    "smlad %[b2], %[wb], %[x], %[b2]\n\t"                                                                              \
    "smlad %[a3], %[wa], %[y], %[a3]\n\t"                                                                              \
    "smlad %[b3], %[wb], %[y], %[b3]\n\t"
/* The first one, all sums starting from the biases in a0, b0. */
#define NRV_FOUR_FIRST_STEP                                                                                            \
    NRV_FOUR_WEIGHTS                                                                                                   \
    "ldrd %[x], %[y], [%[at], #8]\n\t"                                                                                 \
    "smlad %[a2], %[wa], %[x], %[a0]\n\t"                                                                              \
    "smlad %[b2], %[wb], %[x], %[b0]\n\t"                                                                              \
    "smlad %[a3], %[wa], %[y], %[a0]\n\t"                                                                              \
    "smlad %[b3], %[wb], %[y], %[b0]\n\t"                                                                              \
    "ldrd %[x], %[y], [%[at]], #16\n\t"                                                                                \
    "smlad %[a1], %[wa], %[y], %[a0]\n\t"                                                                              \
    "smlad %[b1], %[wb], %[y], %[b0]\n\t"                                                                              \
    "smlad %[a0], %[wa], %[x], %[a0]\n\t"                                                                              \
    "smlad %[b0], %[wb], %[x], %[b0]\n\t"

/* to = the higher of a and b; their difference fits 32 bits. */
#define NRV_FOUR_HIGHER(to, a, b)                                                                                      \
    "sub %[x], %[" b "], %[" a "]\n\t"                                                                                 \
    "bic %[x], %[x], %[x], asr #31\n\t"                                                                                \
    "add %[" to "], %[" a "], %[x]\n\t"

#define NRV_FOUR_SCALED(rounded, s)                                                                                    \
    NRV_DSP_SCALE rounded(s "0") rounded(s "1") rounded(s "2") rounded(s "3")
#define NRV_FOUR_POOLED(rounded, s) NRV_DSP_SCALE rounded(s "0") rounded(s "1")

/* A missing unit b is written where unit a follows. */
#define NRV_FOUR_STORE(i)                                                                                              \
    "strb %[b" i "], [%[at], %[y]]\n\t"                                                                                \
    "strb %[a" i "], [%[at]]\n\t"

/*
 * [4 / pool][units] outputs, saturated to int8 only. In assembly because the sums leave no register free: the compiler
 * spills some of them. What the inner loop does not need is in memory; inlined, it is set up once for many calls.
 */
static inline __attribute__((always_inline)) void nrv_dsp_multiply_four(const nrv_four_t *f, int8_t *output)
{
    const uint32_t *w = f->stream;
    int32_t left = f->last;
    uint32_t a0, a1, a2, a3, b0, b1, b2, b3, at, wa, wb, x, y;
    __asm__ volatile(
        "0:\n\t"
        "ldr %[at], %[columns]\n\t"
        "ldrd %[a0], %[b0], [%[w]], #8\n\t"
        NRV_FOUR_FIRST_STEP NRV_FOUR_STEP
        "ldr %[x], %[rest]\n\t"
        "lsrs %[x], %[x], #1\n\t" /* an odd number starts in the middle */
        "bcs 2f\n\t"
        "beq 3f\n"
        "1:\n\t" NRV_FOUR_STEP NRV_FOUR_STEP
        "2:\n\t" NRV_FOUR_STEP NRV_FOUR_STEP
        "ldr %[x], %[end]\n\t"
        "cmp %[at], %[x]\n\t"
        "blo 1b\n"
        "3:\n\t"
        "ldr %[x], %[pool]\n\t"
        "ldr %[y], %[halves_up]\n\t"
        "cmp %[x], #1\n\t"
        "bne 5f\n\t"
        "cmp %[y], #0\n\t"
        "bne 4f\n\t"
        NRV_FOUR_SCALED(NRV_DSP_HALVES_AWAY, "a") NRV_FOUR_SCALED(NRV_DSP_HALVES_AWAY, "b")
        "b 8f\n"
        "4:\n\t"
        NRV_FOUR_SCALED(NRV_DSP_HALVES_UP, "a") NRV_FOUR_SCALED(NRV_DSP_HALVES_UP, "b")
        "b 8f\n"
        "5:\n\t"
        "cmp %[x], #2\n\t"
        NRV_FOUR_HIGHER("a0", "a0", "a1") NRV_FOUR_HIGHER("a1", "a2", "a3")
        NRV_FOUR_HIGHER("b0", "b0", "b1") NRV_FOUR_HIGHER("b1", "b2", "b3")
        "beq 6f\n\t"
        NRV_FOUR_HIGHER("a0", "a0", "a1") NRV_FOUR_HIGHER("b0", "b0", "b1")
        "6:\n\t"
        "cmp %[y], #0\n\t"
        "bne 7f\n\t"
        NRV_FOUR_POOLED(NRV_DSP_HALVES_AWAY, "a") NRV_FOUR_POOLED(NRV_DSP_HALVES_AWAY, "b")
        "b 8f\n"
        "7:\n\t"
        NRV_FOUR_POOLED(NRV_DSP_HALVES_UP, "a") NRV_FOUR_POOLED(NRV_DSP_HALVES_UP, "b")
        "8:\n\t"
        "ldr %[wb], %[pool]\n\t"
        "ldr %[at], %[output]\n\t"
        "ldr %[wa], %[left]\n\t"
        "ldr %[x], %[units]\n\t"
        "usat %[y], #1, %[wa]\n\t"
        "cmp %[wb], #2\n\t"
        "add %[wb], %[at], #2\n\t"
        "str %[wb], %[output]\n\t"
        NRV_FOUR_STORE("0")
        "bhi 9f\n\t"
        "add %[at], %[at], %[x]\n\t"
        NRV_FOUR_STORE("1")
        "beq 9f\n\t"
        "add %[at], %[at], %[x]\n\t"
        NRV_FOUR_STORE("2")
        "add %[at], %[at], %[x]\n\t"
        NRV_FOUR_STORE("3")
        "9:\n\t"
        "subs %[wa], %[wa], #2\n\t"
        "str %[wa], %[left]\n\t"
        "bpl 0b"
        : [w] "+r"(w), [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [b0] "=&r"(b0),
          [b1] "=&r"(b1), [b2] "=&r"(b2), [b3] "=&r"(b3), [at] "=&r"(at), [wa] "=&r"(wa), [wb] "=&r"(wb),
          [x] "=&r"(x), [y] "=&r"(y), [output] "+m"(output), [left] "+m"(left)
        : [columns] "m"(f->columns), [end] "m"(f->end), [rest] "m"(f->rest), [units] "m"(f->units),
          [pool] "m"(f->pool), [halves_up] "m"(f->halves_up)
        : "cc", "memory");
}

#else

static inline void nrv_dsp_multiply_four(const nrv_four_t *f, int8_t *output)
{
    nrv_dsp_multiply_some(f->m, f->stream, f->columns, NRV_DSP_COLUMNS, output);
}

#endif

#endif
