/* nrv_lstm for processors with vectors: the four gates of sixteen units at a time. */
#ifndef NRV_SIMD_LSTM_H
#define NRV_SIMD_LSTM_H

#include "nrv_lstm.h"

typedef struct {
    nrv_lstm_t lstm;       /* without weights and biases */
    int32_t input_groups;  /* of four inputs */
    int32_t hidden_groups; /* of four units */
    const int8_t *weights; /* of each sixteen units [input groups, then hidden groups][4 gates][16][4] */
    /*
     * Of each sixteen units [2 parts][4 gates][2][16]: biases from the inputs (their zero point folded in) and from the
     * hidden state, and the same for flipped ones (less 128 times the sum of weights).
     */
    const int32_t *bias;
    /* [9][2][16]: multipliers and shifts, the same sixteen times; the gates' two parts, and the hidden state's. */
    const int32_t *scales;
} nrv_simd_lstm_t;

/* As for nrv_lstm(), but scratch 4 * (input_groups + hidden_groups) bytes and 11 for each unit, of whole sixteens. */
void nrv_simd_lstm(const nrv_simd_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                   int8_t *cell);

#endif
