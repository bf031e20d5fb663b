#include "nrv_lstm.h"

#include <string.h>

#include "nrv_lstm_cell.h"

/* Rows of weights times x, to steps of 2^-12. */
static int32_t gate_sum(const int8_t *weights, const int8_t *x, int32_t count, int32_t bias, int32_t multiplier,
                        int32_t shift)
{
    for (int32_t i = 0; i < count; i++) {
        bias += (int32_t)weights[i] * (int32_t)x[i];
    }
    return nrv_requantize(bias, multiplier, shift);
}

static void step(const nrv_lstm_t *p, const int8_t *input, int16_t *gates, int8_t *hidden, int16_t *cell)
{
    const int8_t *weights = p->weights;
    const int8_t *recurrent = p->recurrent_weights;
    for (int32_t gate = 0; gate < 4; gate++) {
        for (int32_t unit = 0; unit < p->units; unit++) {
            const int32_t row = gate * p->units + unit;
            const int32_t from_input = nrv_clip16(
                gate_sum(weights, input, p->inputs, p->bias[row], p->multiplier[gate], p->shift[gate]));
            const int32_t from_hidden = gate_sum(recurrent, hidden, p->units, p->recurrent_bias[row],
                                                 p->recurrent_multiplier[gate], p->recurrent_shift[gate]);
            gates[row] = (int16_t)nrv_clip16(from_input + from_hidden);
            weights += p->inputs;
            recurrent += p->units;
        }
    }
    for (int32_t unit = 0; unit < p->units; unit++) {
        const int32_t four[4] = {gates[unit], gates[unit + p->units], gates[unit + 2 * p->units],
                                 gates[unit + 3 * p->units]};
        cell[unit] = nrv_lstm_cell(p, four, cell[unit], &hidden[unit]);
    }
}

void nrv_lstm(const nrv_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden, int8_t *cell)
{
    int16_t *const gates = (int16_t *)(void *)scratch; /* the arena's buffers start on words */
    int16_t *cells = (int16_t *)(void *)cell;
    for (int32_t batch = 0; batch < p->batches; batch++, hidden += p->units, cells += p->units) {
        for (int32_t i = 0; i < p->steps; i++, input += p->inputs, output += p->units) {
            step(p, input, gates, hidden, cells);
            memcpy(output, hidden, (size_t)p->units);
        }
    }
}
