/* The LSTM of nrv_lstm.h for processors with Helium: four units' sums at a time, then eight units' states. */
#ifndef NRV_MVE_LSTM_H
#define NRV_MVE_LSTM_H

#include "nrv_lstm.h"

/*
 * As nrv_lstm(), for at least four units; the gates' shifts are 0 to -31, hidden_shift -1 to -31. scratch: 10 bytes for
 * each unit, their number rounded up to eight.
 */
void nrv_mve_lstm(const nrv_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell);

#endif
