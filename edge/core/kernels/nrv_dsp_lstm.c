#include "nrv_dsp_lstm.h"

#include "nrv_dsp.h"

/* `count` int8, doubled, as a column of int16 filled up with zeros to four; returns its end. */
static uint32_t *widen_twice(const int8_t *from, int32_t count, uint32_t *column)
{
    for (; count > 0; count -= 4, from += 4) {
        const uint32_t x = count >= 4 ? nrv_load4(from) : nrv_load_some(from, count);
        *column++ = nrv_even_plus(nrv_even(x), x);
        *column++ = nrv_odd_plus(nrv_odd(x), x);
    }
    return column;
}

/*
 * A unit's four sums over a column; returns where the stream goes on. A word of weights is multiplied as it is, which
 * gives 256 times the one gate's sum plus the other's, and once with its low bytes alone, which gives that one: three
 * instructions where unpacking both would take four. What overflows on the way comes off again.
 */
static inline const uint32_t *four_sums(const uint32_t *w, const uint32_t *column, int32_t groups, int32_t sums[4])
{
    int32_t a = (int32_t)w[0], ab = a;
    int32_t c = (int32_t)w[2], cd = c;
    const int32_t b = (int32_t)w[1], d = (int32_t)w[3];
    w += 4;
#ifdef NRV_DSP_ASM
#define NRV_LSTM_TWO(both, low, p, x)                                                                                  \
    "smlad %[" both "], %[" p "], %[" x "], %[" both "]\n\t"                                                           \
    "sxtb16 %[" p "], %[" p "]\n\t"                                                                                    \
    "smlad %[" low "], %[" p "], %[" x "], %[" low "]\n\t"
#define NRV_LSTM_GROUP                                                                                                 \
    "ldrd %[x], %[y], [%[column]], #8\n\t"                                                                             \
    "ldrd %[p], %[q], [%[w]], #8\n\t"                                                                                  \
    NRV_LSTM_TWO("ab", "a", "p", "x") NRV_LSTM_TWO("ab", "a", "q", "y")                                                \
    "ldrd %[p], %[q], [%[w]], #8\n\t"                                                                                  \
    NRV_LSTM_TWO("cd", "c", "p", "x") NRV_LSTM_TWO("cd", "c", "q", "y")
    int32_t rounds = (groups + 1) / 2;
    uint32_t x, y, p, q;
    __asm__ volatile(
        "lsrs %[p], %[groups], #1\n\t" /* an odd number starts in the middle */
        "bcs 2f\n"
        "1:\n\t" NRV_LSTM_GROUP
        "2:\n\t" NRV_LSTM_GROUP
        "subs %[rounds], %[rounds], #1\n\t"
        "bne 1b"
        : [a] "+r"(a), [ab] "+r"(ab), [c] "+r"(c), [cd] "+r"(cd), [w] "+r"(w), [column] "+r"(column),
          [rounds] "+r"(rounds), [x] "=&r"(x), [y] "=&r"(y), [p] "=&r"(p), [q] "=&r"(q)
        : [groups] "r"(groups)
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
    sums[1] = b + ((int32_t)((uint32_t)ab - (uint32_t)a) >> 8);
    sums[2] = c;
    sums[3] = d + ((int32_t)((uint32_t)cd - (uint32_t)c) >> 8);
    return w;
}

/*
 * From twice a sum to twice the steps of 2^-12 of a gate, not rounded yet: half of it is equal to nrv_requantize(), as
 * nrv_dsp_requantize() is.
 */
static inline int32_t to_gate(int32_t doubled, int32_t multiplier, int32_t places)
{
    const int32_t y = nrv_high_mul_rounded(doubled, multiplier);
    return ((y + (y >> 31)) >> places) + 1;
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

static int32_t tanh_of_cell(const nrv_dsp_lstm_t *p, int32_t cell)
{
    /* With fewer integer bits the arguments are finer than the tables'. */
    const int32_t more = p->lstm.cell_bits - 2;
    return more < 0 ? nrv_tanh15(cell, p->lstm.cell_bits) : nrv_dsp_tanh15(&p->sigmoid, cell, more);
}

/* nrv_lstm_cell(); products are added to what rounds them. */
static inline int16_t next_cell(const nrv_dsp_lstm_t *p, const int32_t gates[4], int32_t cell, int8_t *hidden)
{
    const nrv_lstm_t *l = &p->lstm;
    const int32_t input = nrv_dsp_sigmoid15(&p->sigmoid, gates[0]);
    const int32_t forget = nrv_dsp_sigmoid15(&p->sigmoid, gates[1]);
    const int32_t output = nrv_dsp_sigmoid15(&p->sigmoid, gates[3]);
    const int32_t kept = nrv_rounded_shift(forget * cell, 15);
    const int32_t added = input * nrv_dsp_tanh15(&p->sigmoid, gates[2], 1);
    int32_t next = nrv_clip16(kept + nrv_rounded_shift(added, 15 + l->cell_bits));
    next = next > l->cell_clip ? l->cell_clip : next < -l->cell_clip ? -l->cell_clip : next;
    *hidden = nrv_dsp_requantize(output * tanh_of_cell(p, next), l->hidden_multiplier, p->hidden_scale, 0);
    return (int16_t)next;
}

void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell)
{
    const nrv_lstm_t *l = &p->lstm;
    uint32_t *const in = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    int16_t *cells = (int16_t *)(void *)cell;
    for (int32_t batch = 0; batch < l->batches; batch++, hidden += l->units, cells += l->units) {
        for (int32_t step = 0; step < l->steps; step++, input += l->inputs) {
            uint32_t *const state = widen_twice(input, l->inputs, in);
            widen_twice(hidden, l->units, state);
            const uint32_t *w = p->stream;
            for (int32_t unit = 0; unit < l->units; unit++) {
                int32_t gates[4], recurrent[4];
                w = four_sums(w, in, (l->inputs + 3) / 4, gates);
                w = four_sums(w, state, (l->units + 3) / 4, recurrent);
                for (int i = 0; i < 4; i++) {
                    const int32_t *s = &p->scales[4 * i];
                    const int32_t from_input = halved_clip16(to_gate(gates[i], s[0], s[1]));
                    const int32_t from_hidden = to_gate(recurrent[i], s[2], s[3]) >> 1;
                    gates[i] = nrv_clip16(from_input + from_hidden);
                }
                cells[unit] = next_cell(p, gates, cells[unit], &hidden[unit]);
                *output++ = hidden[unit];
            }
        }
    }
}
