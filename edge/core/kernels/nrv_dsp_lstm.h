/* The LSTM of nrv_lstm.h for processors with Arm's DSP extension. */
#ifndef NRV_DSP_LSTM_H
#define NRV_DSP_LSTM_H

#include "nrv_lstm.h"

typedef struct {
    nrv_lstm_t lstm; /* without weights and biases; all shifts of the gates are 1 to 23 to the right */
    /* Gate after gate, for every two units biases and weights as in nrv_dsp_matrix_t, then the recurrent ones. */
    const uint32_t *stream;
    const int16_t *last_quarter; /* [1024], see nrv_exp15() */
} nrv_dsp_lstm_t;

/* As nrv_lstm(); scratch: 8 * units bytes for the gates, then input and hidden state as int16, filled up to four. */
void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell);

#endif
