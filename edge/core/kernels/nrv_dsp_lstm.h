/* The LSTM of nrv_lstm.h for processors with Arm's DSP extension. */
#ifndef NRV_DSP_LSTM_H
#define NRV_DSP_LSTM_H

#include "nrv_lstm.h"

typedef struct {
    nrv_lstm_t lstm; /* without weights, biases and the gates' scales */
    uint32_t input_groups; /* of four values, the last one filled up */
    uint32_t hidden_groups;
    /*
     * For each gate, then again for the recurrent ones, what takes twice a sum to steps of 2^-12: multiplier, half a
     * step and shift to the right, 1 to 23. nrv_dsp_lstm_raised() takes five words: multiplier, shift to the left before
     * it, half a step, -1 and shift to the right, the last three 0 where nothing is shifted to the right.
     */
    const int32_t *scales;
    /*
     * For every unit, input then recurrent: twice the biases a of the input gate, 256 b + a with the forget gate's b,
     * the same of cell and output gate; for each group of four taps four words. The first two words hold the input
     * gate's weights a and the forget gate's b, 256 b + a as int16 at taps 0 and 2, then at taps 1 and 3; the other two
     * the cell's and the output gate's. No sum is beyond 2^22.
     */
    const uint32_t *stream;
    /* e^-v in steps of 2^-15 for v of 1 to 1024 steps of 2^-12; before them what makes the sigmoid of 0 a half. */
    const uint16_t *exponentials;
} nrv_dsp_lstm_t;

/* As nrv_lstm(); scratch: input and hidden state as int16, each filled up to four. */
void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell);

#endif
