#include "nrv_dsp_lstm.h"

#include "nrv_dsp_column.h"
#include "nrv_lstm_cell.h"

typedef struct {
    const uint32_t *input; /* as columns */
    const uint32_t *hidden;
    int32_t input_groups;
    int32_t hidden_groups;
} nrv_columns_t;

/* acc to steps of 2^-12 of a gate; equal to nrv_requantize() for a shift to the right, as nrv_dsp_requantize() is. */
static inline int32_t to_gate(int32_t acc, int32_t multiplier, int32_t right, int32_t half)
{
    const int32_t y = nrv_high_mul_rounded((int32_t)((uint32_t)acc << 1), multiplier);
    return (y + (y >> 31) + half) >> right;
}

static void sum_gates(const nrv_dsp_lstm_t *p, const nrv_columns_t *x, int16_t *gates)
{
    const nrv_lstm_t *l = &p->lstm;
    const uint32_t *w = p->stream;
    for (int32_t gate = 0; gate < 4; gate++) {
        const int32_t multiplier = l->multiplier[gate];
        const int32_t recurrent_multiplier = l->recurrent_multiplier[gate];
        const int32_t right = -l->shift[gate];
        const int32_t recurrent_right = -l->recurrent_shift[gate];
        const int32_t half = 1 << (right - 1);
        const int32_t recurrent_half = 1 << (recurrent_right - 1);
        for (int32_t left = l->units; left > 0; left -= 2) {
            const nrv_two_sums_t a = nrv_dot_two(&w, x->input, x->input_groups);
            const nrv_two_sums_t b = nrv_dot_two(&w, x->hidden, x->hidden_groups);
            *gates++ = (int16_t)nrv_clip16(nrv_clip16(to_gate(a.a, multiplier, right, half)) +
                                          to_gate(b.a, recurrent_multiplier, recurrent_right, recurrent_half));
            if (left > 1) {
                *gates++ = (int16_t)nrv_clip16(nrv_clip16(to_gate(a.b, multiplier, right, half)) +
                                              to_gate(b.b, recurrent_multiplier, recurrent_right, recurrent_half));
            }
        }
    }
}

void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell)
{
    const nrv_lstm_t *l = &p->lstm;
    int16_t *const gates = (int16_t *)(void *)scratch; /* the arena's buffers start on words */
    uint32_t *const in = (uint32_t *)(void *)(scratch + 8 * l->units);
    const int32_t input_groups = (l->inputs + 3) / 4;
    uint32_t *const state = in + 2 * input_groups;
    const nrv_columns_t columns = {in, state, input_groups, (l->units + 3) / 4};
    int16_t *cells = (int16_t *)(void *)cell;
    for (int32_t batch = 0; batch < l->batches; batch++, hidden += l->units, cells += l->units) {
        for (int32_t step = 0; step < l->steps; step++, input += l->inputs) {
            nrv_widen(input, l->inputs, 1, in);
            nrv_widen(hidden, l->units, 1, state);
            sum_gates(p, &columns, gates);
            for (int32_t unit = 0; unit < l->units; unit++) {
                const int32_t four[4] = {gates[unit], gates[unit + l->units], gates[unit + 2 * l->units],
                                         gates[unit + 3 * l->units]};
                cells[unit] = nrv_lstm_cell(l, four, cells[unit], &hidden[unit], p->last_quarter);
                *output++ = hidden[unit];
            }
        }
    }
}
