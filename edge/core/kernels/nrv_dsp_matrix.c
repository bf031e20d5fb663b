#include "nrv_dsp_matrix.h"

#include "nrv_clamp.h"
#include "nrv_dsp_column.h"

/* One unit's outputs from its sums, with what follows the weights in the stream. */
static int8_t quantized(int32_t acc, const uint32_t *scale, int32_t cut_below_zero)
{
    return nrv_dsp_requantize(acc, (int32_t)scale[0], (int32_t)scale[1], cut_below_zero);
}

/* One column, which lies `step` words apart. */
static void multiply_one(const nrv_dsp_matrix_t *m, const uint32_t *column, int32_t step, int8_t *output)
{
    const uint32_t *w = m->stream;
    for (int32_t unit = 0; unit < m->units; unit += 2, w += 4) {
        const nrv_two_sums_t sums = nrv_dot_two(w, column, step, m->groups);
        w += 2 + 2 * m->groups;
        output[unit] = quantized(sums.a, w, m->cut_below_zero);
        if (unit + 1 < m->units) {
            output[unit + 1] = quantized(sums.b, w + 2, m->cut_below_zero);
        }
    }
}

#ifdef NRV_DSP_ASM

/* One word of weights (two taps of two units) against one row of the columns: 13 instructions for 16 products. */
#define STEP                                                                                                           \
    "ldr %[wb], [%[w]], #4\n\t"                                                                                        \
    "sxtb16 %[wa], %[wb]\n\t"                                                                                          \
    "sxtb16 %[wb], %[wb], ror #8\n\t"                                                                                  \
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

/* A missing unit b is written where unit a follows. */
#define STORE(a, b)                                                                                                    \
    "strb %[" b "], [%[at], %[y]]\n\t"                                                                                 \
    "strb %[" a "], [%[at]]\n\t"

/*
 * Four columns. In assembly because the sums leave no register free: the compiler spills some of them. What the inner
 * loop does not need is kept on the stack. An odd number of groups starts in the middle.
 */
static void multiply_four(const nrv_dsp_matrix_t *m, const uint32_t *columns, int8_t *output)
{
    const uint32_t *w = m->stream;
    const uint32_t *const end = columns + m->groups * NRV_DSP_GROUP_WORDS;
    const int32_t groups = m->groups;
    const int32_t units = m->units;
    const int32_t halves_up = m->cut_below_zero;
    int32_t left = units - 1;
    uint32_t a0, a1, a2, a3, b0, b1, b2, b3, at, wa, wb, x, y;
    __asm__ volatile(
        "0:\n\t"
        "ldrd %[a0], %[b0], [%[w]], #8\n\t"
        "ldr %[x], %[groups]\n\t"
        "ldr %[at], %[columns]\n\t"
        "mov %[a1], %[a0]\n\t"
        "mov %[a2], %[a0]\n\t"
        "mov %[a3], %[a0]\n\t"
        "mov %[b1], %[b0]\n\t"
        "mov %[b2], %[b0]\n\t"
        "mov %[b3], %[b0]\n\t"
        "lsrs %[x], %[x], #1\n\t"
        "bcs 2f\n"
        "1:\n\t" STEP STEP
        "2:\n\t" STEP STEP
        "ldr %[x], %[end]\n\t"
        "cmp %[at], %[x]\n\t"
        "bne 1b\n\t"
        "ldr %[x], %[halves_up]\n\t"
        "cmp %[x], #0\n\t"
        "bne 3f\n\t"
        NRV_DSP_SCALE NRV_DSP_HALVES_AWAY("a0") NRV_DSP_HALVES_AWAY("a1")
        NRV_DSP_HALVES_AWAY("a2") NRV_DSP_HALVES_AWAY("a3")
        NRV_DSP_SCALE NRV_DSP_HALVES_AWAY("b0") NRV_DSP_HALVES_AWAY("b1")
        NRV_DSP_HALVES_AWAY("b2") NRV_DSP_HALVES_AWAY("b3")
        "b 4f\n"
        "3:\n\t"
        NRV_DSP_SCALE NRV_DSP_HALVES_UP("a0") NRV_DSP_HALVES_UP("a1")
        NRV_DSP_HALVES_UP("a2") NRV_DSP_HALVES_UP("a3")
        NRV_DSP_SCALE NRV_DSP_HALVES_UP("b0") NRV_DSP_HALVES_UP("b1")
        NRV_DSP_HALVES_UP("b2") NRV_DSP_HALVES_UP("b3")
        "4:\n\t"
        "ldr %[at], %[output]\n\t"
        "ldr %[wa], %[left]\n\t"
        "ldr %[x], %[units]\n\t"
        "usat %[y], #1, %[wa]\n\t"
        "add %[wb], %[at], #2\n\t"
        "str %[wb], %[output]\n\t"
        STORE("a0", "b0")
        "add %[at], %[at], %[x]\n\t"
        STORE("a1", "b1")
        "add %[at], %[at], %[x]\n\t"
        STORE("a2", "b2")
        "add %[at], %[at], %[x]\n\t"
        STORE("a3", "b3")
        "subs %[wa], %[wa], #2\n\t"
        "str %[wa], %[left]\n\t"
        "bpl 0b"
        : [w] "+r"(w), [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [b0] "=&r"(b0),
          [b1] "=&r"(b1), [b2] "=&r"(b2), [b3] "=&r"(b3), [at] "=&r"(at), [wa] "=&r"(wa), [wb] "=&r"(wb),
          [x] "=&r"(x), [y] "=&r"(y), [output] "+m"(output), [left] "+m"(left)
        : [columns] "m"(columns), [end] "m"(end), [groups] "m"(groups), [units] "m"(units),
          [halves_up] "m"(halves_up)
        : "cc", "memory");
}

#else

static void multiply_four(const nrv_dsp_matrix_t *m, const uint32_t *columns, int8_t *output)
{
    for (int32_t i = 0; i < NRV_DSP_COLUMNS; i++) {
        multiply_one(m, columns + i, NRV_DSP_COLUMNS, output + i * m->units);
    }
}

#endif

void nrv_dsp_multiply(const nrv_dsp_matrix_t *m, const uint32_t *columns, int32_t count, int8_t *output)
{
    if (count == NRV_DSP_COLUMNS) {
        multiply_four(m, columns, output);
    } else {
        for (int32_t i = 0; i < count; i++) {
            multiply_one(m, columns + i, NRV_DSP_COLUMNS, output + i * m->units);
        }
    }
    if (m->act_min > INT8_MIN || m->act_max < INT8_MAX) {
        for (int32_t i = count * m->units; i > 0; i--, output++) {
            *output = nrv_clamp8(*output, m->act_min, m->act_max);
        }
    }
}
