/* nrv_dsp_lstm() for gates some of whose sums are not shifted to the right. */
#ifndef NRV_DSP_LSTM_RAISED_H
#define NRV_DSP_LSTM_RAISED_H

#include "nrv_dsp_lstm.h"

void nrv_dsp_lstm_raised(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                         int8_t *cell);

#endif
