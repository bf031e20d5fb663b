#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_dsp_add.h"

#include "nrv_clamp.h"
#include "nrv_dsp.h"
#include "nrv_dsp_clamp.h"

static int8_t sum_of(const nrv_dsp_add_t *p, int32_t first, int32_t second)
{
    int32_t v = p->factor * second + p->offset;
    const int32_t s = nrv_high_mul_plus(v, p->multiplier, p->round + (v >> 31)) >> p->shift;
    v = p->first_factor * first + p->first_offset + p->second_factor * s;
    const int32_t y = nrv_high_mul_plus(v, p->output_multiplier, p->output_round + (v >> 31)) >> p->output_shift;
    return nrv_clamp8(y, INT8_MIN, INT8_MAX);
}

#ifdef NRV_DSP_ASM

#define SECOND(b)                                                                                                      \
    "ldrsb %[" b "], [%[second]], #1\n\t"                                                                              \
    "mla %[" b "], %[" b "], %[k0], %[k1]\n\t"                                                                         \
    "add %[t], %[k3], %[" b "], asr #31\n\t"                                                                           \
    "smmlar %[" b "], %[" b "], %[k2], %[t]\n\t"                                                                       \
    "asr %[" b "], %[" b "], %[k4]\n\t"
#define SUM(b)                                                                                                         \
    "ldrsb %[t], [%[first]], #1\n\t"                                                                                   \
    "mla %[t], %[t], %[k0], %[k1]\n\t"                                                                                 \
    "mla %[" b "], %[" b "], %[k2], %[t]\n\t"
#define OUTPUT(b)                                                                                                      \
    "add %[t], %[k1], %[" b "], asr #31\n\t"                                                                           \
    "smmlar %[" b "], %[" b "], %[k0], %[t]\n\t"                                                                       \
    "asr %[" b "], %[" b "], %[k2]\n\t"                                                                                \
    "ssat %[" b "], #8, %[" b "]\n\t"                                                                                  \
    "strb %[" b "], [%[output]], #1\n\t"

/* `blocks` times four values, saturated to int8 only. In assembly because constants and values fill the registers. */
static __attribute__((noinline)) void sum_fours(const int32_t *k, int32_t blocks, const int8_t *first, const int8_t *second,
                                                int8_t *output)
{
    int32_t a, b, c, d, t, k0, k1, k2, k3, k4;
    __asm__ volatile(
        "1:\n\t"
        "ldrd %[k0], %[k1], [%[k]]\n\t"
        "ldrd %[k2], %[k3], [%[k], #8]\n\t"
        "ldr %[k4], [%[k], #16]\n\t"
        SECOND("a") SECOND("b") SECOND("c") SECOND("d")
        "ldrd %[k0], %[k1], [%[k], #20]\n\t"
        "ldr %[k2], [%[k], #28]\n\t"
        SUM("a") SUM("b") SUM("c") SUM("d")
        "ldrd %[k0], %[k1], [%[k], #32]\n\t"
        "ldr %[k2], [%[k], #40]\n\t"
        OUTPUT("a") OUTPUT("b") OUTPUT("c") OUTPUT("d")
        "ldr %[t], %[blocks]\n\t"
        "subs %[t], %[t], #1\n\t"
        "str %[t], %[blocks]\n\t"
        "bne 1b"
        : [first] "+r"(first), [second] "+r"(second), [output] "+r"(output), [blocks] "+m"(blocks), [a] "=&r"(a),
          [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [t] "=&r"(t), [k0] "=&r"(k0), [k1] "=&r"(k1), [k2] "=&r"(k2),
          [k3] "=&r"(k3), [k4] "=&r"(k4)
        : [k] "r"(k)
        : "cc", "memory");
}

#endif

void nrv_dsp_add(const nrv_dsp_add_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    int8_t *const start = output;
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, row);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, row);
        int32_t left = w->extent[3];
#ifdef NRV_DSP_ASM
        if (left >= 4) {
            sum_fours(&p->factor, left / 4, x, y, output);
            x += left / 4 * 4;
            y += left / 4 * 4;
            output += left / 4 * 4;
            left %= 4;
        }
#endif
        for (; left > 0; left--) {
            *output++ = sum_of(p, *x++, *y++);
        }
    }
    nrv_dsp_clamp(start, (int32_t)(output - start), p->act_min, p->act_max);
}
