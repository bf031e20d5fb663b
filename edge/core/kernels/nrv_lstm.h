/*
 * int8 LSTM with a 16-bit cell state, gate after gate input, forget, cell, output, as TFLite's fused
 * UNIDIRECTIONAL_SEQUENCE_LSTM computes it. Both states are kept from call to call.
 */
#ifndef NRV_LSTM_H
#define NRV_LSTM_H

#include <stdint.h>

typedef struct {
    int32_t batches;
    int32_t steps;
    int32_t inputs;
    int32_t units;
    /* All gates below one another. */
    const int8_t *weights;           /* [4][units][inputs] */
    const int8_t *recurrent_weights; /* [4][units][units] */
    const int32_t *bias;             /* [4][units], the input's zero point folded in */
    const int32_t *recurrent_bias;   /* [4][units], what the hidden state's zero point adds */
    /* To steps of 2^-12, for each gate. */
    int32_t multiplier[4];
    int32_t shift[4];
    int32_t recurrent_multiplier[4];
    int32_t recurrent_shift[4];
    int32_t cell_bits; /* integer bits of the cell state, 0 to 6: its steps are 2^(cell_bits - 15) */
    int32_t cell_clip; /* in its steps */
    int32_t hidden_multiplier; /* from steps of 2^-30 to those of the hidden state */
    int32_t hidden_shift;
    int32_t hidden_zero;
} nrv_lstm_t;

/*
 * input [batches][steps][inputs], output [batches][steps][units], scratch 8 * units bytes, hidden int8
 * [batches][units], cell int16 [batches][units] on a word.
 */
void nrv_lstm(const nrv_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden, int8_t *cell);

#endif
