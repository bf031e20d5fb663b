/* The LSTM of nrv_lstm.h for processors with Arm's DSP extension. */
#ifndef NRV_DSP_LSTM_H
#define NRV_DSP_LSTM_H

#include "nrv_dsp_sigmoid.h"
#include "nrv_lstm.h"

typedef struct {
    nrv_lstm_t lstm; /* without weights, biases and the gates' scales */
    uint32_t input_groups; /* of four values, the last one filled up */
    uint32_t hidden_groups;
    /* For each gate multiplier and shift to the right less one, up to 22, then the recurrent ones. */
    int32_t scales[16];
    int32_t raised; /* some of these shifts are negative */
    int32_t hidden_scale; /* hidden_shift and hidden_zero as nrv_dsp_requantize() takes them */
    /*
     * For every unit, input then recurrent: twice the biases of input and cell gate; for each group of four taps four
     * words; twice the biases of forget and output gate. The first two words hold the input gate's weights a and the
     * forget gate's b, 256 b + a as int16 at taps 0 and 2, then at taps 1 and 3; the other two the cell's and the
     * output gate's. The sum of |b| is below 2^15.
     */
    const uint32_t *stream;
    nrv_dsp_sigmoid_t sigmoid;
    nrv_dsp_curve_t fine_tanh; /* for cell_bits below 2: 2 / (1 + e^-2x) by the cell state's magnitude */
} nrv_dsp_lstm_t;

/* As nrv_lstm(); scratch: input and hidden state as int16, each filled up to four. */
void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell);

#endif
