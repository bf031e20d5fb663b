#include "nrv_dsp_lstm.h"

#include "nrv_dsp.h"

/* `count` int8, doubled, as a column of int16 filled up with zeros to four. */
static void widen_twice(const int8_t *from, int32_t count, uint32_t *column)
{
    for (; count > 0; count -= 4, from += 4) {
        const uint32_t x = count >= 4 ? nrv_load4(from) : nrv_load_some(from, count);
        *column++ = nrv_even_plus(nrv_even(x), x);
        *column++ = nrv_odd_plus(nrv_odd(x), x);
    }
}

/*
 * A unit's four sums over a column; returns where the stream goes on. A word of weights is multiplied as it is, which
 * gives 256 times the one gate's sum plus the other's, and once with its low bytes alone, which gives that one: three
 * instructions where unpacking both would take four. What overflows on the way comes off again.
 */
static inline const uint32_t *four_sums(const uint32_t *w, const uint32_t *column, uint32_t groups, int32_t sums[4])
{
    int32_t a = (int32_t)w[0], ab = a;
    int32_t c = (int32_t)w[1], cd = c;
    w += 2;
#ifdef NRV_DSP_ASM
#define NRV_LSTM_TWO(both, low, p, x)                                                                                  \
    "smlad %[" both "], %[" p "], %[" x "], %[" both "]\n\t"                                                           \
    "sxtb16 %[" p "], %[" p "]\n\t"                                                                                    \
    "smlad %[" low "], %[" p "], %[" x "], %[" low "]\n\t"
#define NRV_LSTM_GROUP                                                                                                 \
    "ldrd %[x], %[y], [%[column]], #8\n\t"                                                                             \
    "ldmia %[w]!, {%[p], %[q], %[r], %[s]}\n\t"                                                                        \
    NRV_LSTM_TWO("ab", "a", "p", "x") NRV_LSTM_TWO("ab", "a", "q", "y")                                                \
    NRV_LSTM_TWO("cd", "c", "r", "x") NRV_LSTM_TWO("cd", "c", "s", "y")
    uint32_t x, y;
    /* In rising order, for LDMIA. */
    register uint32_t p __asm__("r4");
    register uint32_t q __asm__("r5");
    register uint32_t r __asm__("r6");
    register uint32_t s __asm__("r8");
    groups++;
    __asm__ volatile(
        "lsrs %[groups], %[groups], #1\n\t" /* an odd number starts in the middle */
        "bcc 2f\n"
        "1:\n\t" NRV_LSTM_GROUP
        "2:\n\t" NRV_LSTM_GROUP
        "subs %[groups], %[groups], #1\n\t"
        "bne 1b"
        : [a] "+r"(a), [ab] "+r"(ab), [c] "+r"(c), [cd] "+r"(cd), [w] "+r"(w), [column] "+r"(column),
          [groups] "+r"(groups), [x] "=&r"(x), [y] "=&r"(y), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r),
          [s] "=&r"(s)
        :
        : "cc", "memory");
#undef NRV_LSTM_GROUP
#undef NRV_LSTM_TWO
#else
    for (; groups > 0; groups--, column += 2, w += 4) {
        for (int i = 0; i < 2; i++) {
            ab = nrv_dual_mul_add(w[i], column[i], ab);
            a = nrv_dual_mul_add(nrv_even(w[i]), column[i], a);
            cd = nrv_dual_mul_add(w[i + 2], column[i], cd);
            c = nrv_dual_mul_add(nrv_even(w[i + 2]), column[i], c);
        }
    }
#endif
    sums[0] = a;
    sums[1] = (int32_t)w[0] + ((int32_t)((uint32_t)ab - (uint32_t)a) >> 8);
    sums[2] = c;
    sums[3] = (int32_t)w[1] + ((int32_t)((uint32_t)cd - (uint32_t)c) >> 8);
    return w + 2;
}

/*
 * From twice a sum to twice the steps of 2^-12 of a gate, not rounded yet: half of it is equal to nrv_requantize(), as
 * nrv_dsp_requantize() is. What is not shifted to the right (only where `raised`) is rounded once.
 */
static inline int32_t to_gate(int32_t doubled, const int32_t scale[2], int raised)
{
    if (raised && scale[1] < 0) {
        return 2 * nrv_high_mul_rounded((int32_t)((uint32_t)doubled << (-1 - scale[1])), scale[0]);
    }
    const int32_t y = nrv_high_mul_rounded(doubled, scale[0]);
    return ((y + (y >> 31)) >> scale[1]) + 1;
}

/* x / 2 cut downwards, within int16. */
static inline int32_t halved_clip16(int32_t x)
{
#ifdef NRV_DSP_ASM
    __asm__("ssat %0, #16, %1, asr #1" : "=r"(x) : "r"(x));
    return x;
#else
    return nrv_clip16(x >> 1);
#endif
}

static inline int32_t gate(int32_t from_input, int32_t doubled, const int32_t recurrent_scale[2], int raised)
{
    return nrv_clip16(from_input + (to_gate(doubled, recurrent_scale, raised) >> 1));
}

/* A unit's next cell state and *hidden state, as nrv_lstm_cell(); returns where the stream goes on. */
static inline __attribute__((always_inline)) const uint32_t *next_cell(const nrv_dsp_lstm_t *p, const uint32_t *w,
                                                                       const uint32_t *in, const uint32_t *state,
                                                                       int16_t *cell, int8_t *hidden, int raised)
{
    const nrv_lstm_t *l = &p->lstm;
    const nrv_dsp_sigmoid_t *sigmoid = &p->sigmoid;
    const int32_t *scales = p->scales;
    int32_t x[4], h[4];
    w = four_sums(w, in, p->input_groups, x);
    x[0] = halved_clip16(to_gate(x[0], scales, raised));
    x[1] = halved_clip16(to_gate(x[1], scales + 4, raised));
    x[2] = halved_clip16(to_gate(x[2], scales + 8, raised));
    x[3] = halved_clip16(to_gate(x[3], scales + 12, raised));
    w = four_sums(w, state, p->hidden_groups, h);
    const int32_t input = nrv_dsp_sigmoid15(sigmoid, gate(x[0], h[0], scales + 2, raised));
    const int32_t added = input * nrv_dsp_tanh15(sigmoid, gate(x[2], h[2], scales + 10, raised), 1);
    const int32_t twice = ((added + (added >> 31)) >> (14 + l->cell_bits)) + 1;
    const int32_t forget = nrv_dsp_sigmoid15(sigmoid, gate(x[1], h[1], scales + 6, raised));
    int32_t next = nrv_clip16(nrv_rounded_shift(forget * *cell, 15) + (twice >> 1));
    next = next > l->cell_clip ? l->cell_clip : next < -l->cell_clip ? -l->cell_clip : next;
    *cell = (int16_t)next;
    const int32_t output = nrv_dsp_sigmoid15(sigmoid, gate(x[3], h[3], scales + 14, raised));
    const int32_t tanh = l->cell_bits < 2 ? nrv_dsp_fine_tanh15(&p->fine_tanh, next)
                                          : nrv_dsp_tanh15(sigmoid, next, l->cell_bits - 2);
    *hidden = nrv_dsp_requantize(output * tanh, l->hidden_multiplier, p->hidden_scale, 0);
    return w;
}

/* One step; apart for each `raised`, which is known where this is inlined. */
static inline __attribute__((always_inline)) void next_cells(const nrv_dsp_lstm_t *p, const uint32_t *in,
                                                             const uint32_t *state, int16_t *cells, int8_t *hidden,
                                                             int raised)
{
    const uint32_t *w = p->stream;
    for (int32_t unit = 0; unit < p->lstm.units; unit++) {
        w = next_cell(p, w, in, state, &cells[unit], &hidden[unit], raised);
    }
}

void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell)
{
    const nrv_lstm_t *l = &p->lstm;
    uint32_t *const in = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    uint32_t *const state = in + 2 * p->input_groups;
    int16_t *cells = (int16_t *)(void *)cell;
    for (int32_t batch = 0; batch < l->batches; batch++, hidden += l->units, cells += l->units) {
        for (int32_t step = 0; step < l->steps; step++, input += l->inputs, output += l->units) {
            widen_twice(input, l->inputs, in);
            widen_twice(hidden, l->units, state);
            if (p->raised) {
                next_cells(p, in, state, cells, hidden, 1);
            } else {
                next_cells(p, in, state, cells, hidden, 0);
            }
            nrv_copy(output, l->units, hidden);
        }
    }
}
