/*
 * The steps of nrv_dsp_lstm(), for a file that defines before how a gate's sum becomes steps of 2^-12:
 * NRV_LSTM_SCALE, words that this takes; NRV_LSTM_TO_GATE(sum), in place, from r6 on, with r8 to r12 and lr free;
 * to_gate(), the same in C.
 *
 * A word of weights is multiplied as it is, which gives 256 times the one gate's sum plus the other's, and once with its
 * low bytes alone, which gives that one: three instructions where unpacking both would take four. What overflows on the
 * way comes off again.
 *
 * In assembly as a whole, for the constants of five functions stay in registers, which leaves none for a compiler:
 * what a unit needs besides lies in one structure on the stack.
 */
#ifndef NRV_DSP_LSTM_STEPS_H
#define NRV_DSP_LSTM_STEPS_H

#include <stddef.h>

#include "nrv_dsp.h"
#include "nrv_dsp_lstm.h"
#include "nrv_dsp_sigmoid.h"
#include "nrv_lstm_cell.h"

/* `count` int8, doubled, as a column of int16 filled up with zeros to four. */
static inline void nrv_widen_twice(const int8_t *from, int32_t count, uint32_t *column)
{
    for (int32_t group = count >> 2; group > 0; group--, from += 4) {
        const uint32_t x = nrv_load4(from);
        *column++ = nrv_even_plus(nrv_even(x), x);
        *column++ = nrv_odd_plus(nrv_odd(x), x);
    }
    if ((count & 3) > 0) {
        const uint32_t x = nrv_load_some(from, count & 3);
        column[0] = nrv_even_plus(nrv_even(x), x);
        column[1] = nrv_odd_plus(nrv_odd(x), x);
    }
}

#ifdef NRV_DSP_ASM

/* What the assembly reads and writes; pairs of neighbours go together. */
typedef struct {
    const uint32_t *column; /* the input's, followed by the state's */
    const uint32_t *stream;
    uint32_t input_groups, hidden_groups; /* and one more */
    const int32_t *scales, *recurrent_scales;
    const int32_t *quarter; /* constants */
    const uint16_t *exponentials; /* from that of 1 on */
    const int32_t *sigmoid; /* constants */
    int32_t input_gate, forget_gate, cell_gate, output_gate;
    int32_t added_half, added_shift; /* the product of input and cell gate to the cell's steps */
    int32_t lowest, range; /* of the cell */
    int32_t fine; /* shift to the left that takes the cell to steps of 2^-16 */
    int32_t shown_multiplier, shown_half, shown_shift; /* to the hidden state, as nrv_dsp_requantize() */
    int16_t *cell;
    int8_t *hidden, *end;
    uint32_t kept; /* r7, which may be the compiler's own */
} nrv_lstm_frame_t;

#define NRV_LSTM_AT(member) [member] "i"(offsetof(nrv_lstm_frame_t, member))

/* clang-format off */
#define NRV_LSTM_TWO(low, both, weights, x)                                                                            \
    "smlad " both ", " weights ", " x ", " both "\n\t"                                                                 \
    "sxtb16 " weights ", " weights "\n\t"                                                                              \
    "smlad " low ", " weights ", " x ", " low "\n\t"
#define NRV_LSTM_FOUR_TAPS                                                                                             \
    "ldrd r12, lr, [r0], #8\n\t"                                                                                       \
    "ldm r1!, {r8, r9, r10, r11}\n\t"                                                                                  \
    NRV_LSTM_TWO("r2", "r3", "r8", "r12") NRV_LSTM_TWO("r2", "r3", "r9", "lr")                                         \
    NRV_LSTM_TWO("r4", "r5", "r10", "r12") NRV_LSTM_TWO("r4", "r5", "r11", "lr")
/* Twice the four gates' sums in r2 to r5 from stream r1 and column r0. An odd number of groups starts in the middle. */
#define NRV_LSTM_SUMS(groups)                                                                                          \
    "ldr r6, " groups "\n\t"                                                                                           \
    "ldm r1!, {r2, r3, r4, r5}\n\t"                                                                                    \
    "lsrs r6, r6, #1\n\t"                                                                                              \
    "bcc 2f\n"                                                                                                         \
    "1:\n\t" NRV_LSTM_FOUR_TAPS                                                                                        \
    "2:\n\t" NRV_LSTM_FOUR_TAPS                                                                                        \
    "subs r6, r6, #1\n\t"                                                                                              \
    "bne 1b\n\t"                                                                                                       \
    "subs r3, r3, r2\n\t"                                                                                              \
    "asrs r3, r3, #8\n\t"                                                                                              \
    "subs r5, r5, r4\n\t"                                                                                              \
    "asrs r5, r5, #8\n\t"
#define NRV_LSTM_CLIP(x) "ssat " x ", #16, " x "\n\t"
#define NRV_LSTM_TWO_GATES(a, b, gates)                                                                                \
    NRV_LSTM_TO_GATE(a) NRV_LSTM_TO_GATE(b)                                                                            \
    "ldrd r8, r9, " gates "\n\t"                                                                                       \
    "add " a ", " a ", r8\n\t"                                                                                         \
    "add " b ", " b ", r9\n\t"                                                                                         \
    NRV_LSTM_CLIP(a) NRV_LSTM_CLIP(b)                                                                                  \
    "strd " a ", " b ", " gates "\n\t"

/* nrv_lstm_cell() of units until f.hidden is f.end. */
#define NRV_LSTM_UNITS                                                                                                 \
    "str r7, [r0, %[kept]]\n\t"                                                                                        \
    "mov r7, r0\n\t"                                                                                                   \
    "movs r0, #0\n" /* so that checks of the code see the address in one place */                                      \
    "3:\n\t"                                                                                                           \
    "ldrd r0, r1, [r7, %[column]]\n\t"                                                                                 \
    NRV_LSTM_SUMS("[r7, %[input_groups]]")                                                                             \
    "ldr r6, [r7, %[scales]]\n\t"                                                                                      \
    NRV_LSTM_TO_GATE("r2") NRV_LSTM_TO_GATE("r3") NRV_LSTM_TO_GATE("r4") NRV_LSTM_TO_GATE("r5")                        \
    NRV_LSTM_CLIP("r2") NRV_LSTM_CLIP("r3") NRV_LSTM_CLIP("r4") NRV_LSTM_CLIP("r5")                                    \
    "strd r2, r3, [r7, %[input_gate]]\n\t"                                                                             \
    "strd r4, r5, [r7, %[cell_gate]]\n\t"                                                                              \
    NRV_LSTM_SUMS("[r7, %[hidden_groups]]")                                                                            \
    "str r1, [r7, %[stream]]\n\t"                                                                                      \
    "ldr r6, [r7, %[recurrent_scales]]\n\t"                                                                            \
    NRV_LSTM_TWO_GATES("r2", "r3", "[r7, %[input_gate]]")                                                              \
    NRV_LSTM_TWO_GATES("r4", "r5", "[r7, %[cell_gate]]")                                                               \
    "ldrd r5, r6, [r7, %[exponentials]]\n\t"                                                                           \
    "ldm r6, {r6, r8, r9, r10, r11, r12, lr}\n\t"                                                                      \
    "ldr r2, [r7, %[cell_gate]]\n\t"                                                                                   \
    NRV_DSP_TANH("r0")                                                                                                 \
    "ldr r2, [r7, %[input_gate]]\n\t"                                                                                  \
    NRV_DSP_SIGMOID("r2")                                                                                              \
    "ldrd r3, r4, [r7, %[added_half]]\n\t"                                                                             \
    "smlawt r3, r0, r2, r3\n\t"                                                                                        \
    "add r3, r3, r0, asr #31\n\t"                                                                                      \
    "asr r0, r3, r4\n\t"                                                                                               \
    "ldr r2, [r7, %[forget_gate]]\n\t"                                                                                 \
    NRV_DSP_SIGMOID("r2")                                                                                              \
    "ldr r4, [r7, %[cell]]\n\t"                                                                                        \
    "ldrsh r3, [r4]\n\t"                                                                                               \
    "smlatb r2, r2, r3, r10\n\t"                                                                                       \
    "add r2, r2, r3, asr #31\n\t"                                                                                      \
    "add r0, r0, r2, asr #15\n\t"                                                                                      \
    "ldrd r2, r3, [r7, %[lowest]]\n\t"                                                                                 \
    "subs r1, r0, r2\n\t"                                                                                              \
    "cmp r1, r3\n\t"                                                                                                   \
    "bls 4f\n\t"                                                                                                       \
    "cmp r0, r2\n\t"                                                                                                   \
    "ite lt\n\t"                                                                                                       \
    "movlt r0, r2\n\t"                                                                                                 \
    "addge r0, r2, r3\n"                                                                                               \
    "4:\n\t"                                                                                                           \
    "strh r0, [r4], #2\n\t"                                                                                            \
    "str r4, [r7, %[cell]]\n\t"                                                                                        \
    "ldr r2, [r7, %[output_gate]]\n\t"                                                                                 \
    NRV_DSP_SIGMOID("r5")                                                                                              \
    "ldr r2, [r7, %[fine]]\n\t"                                                                                        \
    "lsl r2, r0, r2\n\t"                                                                                               \
    NRV_DSP_FINE_TANH("r2", "[r7, %[quarter]]", "[r7, %[sigmoid]]")                                                    \
    "smulwt r2, r2, r5\n\t"                                                                                            \
    "lsls r2, r2, #1\n\t"                                                                                              \
    "ldrd r3, r4, [r7, %[shown_multiplier]]\n\t"                                                                       \
    "ldr r5, [r7, %[shown_shift]]\n\t"                                                                                 \
    "smmlar r3, r2, r3, r4\n\t"                                                                                        \
    "add r3, r3, r2, asr #31\n\t"                                                                                      \
    "asrs r3, r3, r5\n\t"                                                                                              \
    "ssat r3, #8, r3, asr #1\n\t"                                                                                      \
    "ldrd r4, r5, [r7, %[hidden]]\n\t"                                                                                 \
    "strb r3, [r4], #1\n\t"                                                                                            \
    "str r4, [r7, %[hidden]]\n\t"                                                                                      \
    "cmp r4, r5\n\t"                                                                                                   \
    "bne.w 3b\n\t"                                                                                                     \
    "ldr r7, [r7, %[kept]]\n\t"
/* clang-format on */

#else

static inline const uint32_t *nrv_lstm_sums(const uint32_t *w, const uint32_t *column, uint32_t groups,
                                            int32_t sums[4])
{
    uint32_t acc[4] = {w[0], w[1], w[2], w[3]};
    for (w += 4; groups > 0; groups--, column += 2, w += 4) {
        for (int i = 0; i < 4; i++) {
            uint32_t *const a = &acc[i / 2 * 2];
            a[0] = (uint32_t)nrv_dual_mul_add(nrv_even(w[i]), column[i % 2], (int32_t)a[0]);
            a[1] = (uint32_t)nrv_dual_mul_add(w[i], column[i % 2], (int32_t)a[1]);
        }
    }
    sums[0] = (int32_t)acc[0];
    sums[1] = (int32_t)(acc[1] - acc[0]) >> 8;
    sums[2] = (int32_t)acc[2];
    sums[3] = (int32_t)(acc[3] - acc[2]) >> 8;
    return w;
}

static inline void nrv_lstm_units(const nrv_dsp_lstm_t *p, const uint32_t *column, int16_t *cell, int8_t *hidden)
{
    const uint32_t *w = p->stream;
    for (int32_t unit = 0; unit < p->lstm.units; unit++) {
        int32_t gates[4], recurrent[4];
        w = nrv_lstm_sums(w, column, p->input_groups, gates);
        w = nrv_lstm_sums(w, column + 2 * p->input_groups, p->hidden_groups, recurrent);
        for (int i = 0; i < 4; i++) {
            const int32_t *const scale = p->scales + i * NRV_LSTM_SCALE;
            gates[i] = nrv_clip16(nrv_clip16(to_gate(gates[i], scale)) +
                                  to_gate(recurrent[i], scale + 4 * NRV_LSTM_SCALE));
        }
        cell[unit] = nrv_lstm_cell(&p->lstm, gates, cell[unit], &hidden[unit]);
    }
}

#endif

static inline void nrv_lstm_steps(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch,
                                  int8_t *hidden, int8_t *cell)
{
    const nrv_lstm_t *l = &p->lstm;
    uint32_t *const column = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    int16_t *cells = (int16_t *)(void *)cell;
#ifdef NRV_DSP_ASM
    const int32_t lowest = l->cell_clip > INT16_MAX ? INT16_MIN : -l->cell_clip;
    const int32_t highest = l->cell_clip > INT16_MAX ? INT16_MAX : l->cell_clip;
    const int32_t shown_shift = -1 - l->hidden_shift;
    nrv_lstm_frame_t f = {
        column, 0, p->input_groups + 1, p->hidden_groups + 1,
        p->scales, p->scales + 4 * NRV_LSTM_SCALE,
        nrv_dsp_quarter_constants, p->exponentials + 1, nrv_dsp_sigmoid_constants,
        0, 0, 0, 0,
        1 << (14 + l->cell_bits), 15 + l->cell_bits,
        lowest, highest - lowest,
        l->cell_bits + 1,
        l->hidden_multiplier, (2 * l->hidden_zero + 1) * (1 << shown_shift), shown_shift,
        0, 0, 0, 0,
    };
#endif
    for (int32_t batch = 0; batch < l->batches; batch++, hidden += l->units, cells += l->units) {
        for (int32_t step = 0; step < l->steps; step++, input += l->inputs, output += l->units) {
            nrv_widen_twice(input, l->inputs, column);
            nrv_widen_twice(hidden, l->units, column + 2 * p->input_groups);
#ifdef NRV_DSP_ASM
            f.stream = p->stream;
            f.cell = cells;
            f.hidden = hidden;
            f.end = hidden + l->units;
            register nrv_lstm_frame_t *at __asm__("r0") = &f;
            __asm__ volatile(NRV_LSTM_UNITS
                             : "+r"(at)
                             : NRV_LSTM_AT(column), NRV_LSTM_AT(stream), NRV_LSTM_AT(input_groups),
                               NRV_LSTM_AT(hidden_groups), NRV_LSTM_AT(scales), NRV_LSTM_AT(recurrent_scales),
                               NRV_LSTM_AT(exponentials), NRV_LSTM_AT(quarter), NRV_LSTM_AT(sigmoid),
                               NRV_LSTM_AT(input_gate), NRV_LSTM_AT(forget_gate), NRV_LSTM_AT(cell_gate),
                               NRV_LSTM_AT(output_gate), NRV_LSTM_AT(added_half), NRV_LSTM_AT(lowest),
                               NRV_LSTM_AT(fine), NRV_LSTM_AT(shown_multiplier), NRV_LSTM_AT(shown_shift),
                               NRV_LSTM_AT(cell), NRV_LSTM_AT(hidden), NRV_LSTM_AT(kept)
                             : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
                               "memory");
#else
            nrv_lstm_units(p, column, cells, hidden);
#endif
            nrv_copy(output, l->units, hidden);
        }
    }
}

#endif
