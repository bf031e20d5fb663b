/* int8 BATCH_MATMUL: both operands are computed, either may lie transposed or serve several batches. */
#ifndef NRV_MATMUL_H
#define NRV_MATMUL_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t batches; /* its rows are pairs of matrices */
    int32_t rows;
    int32_t columns;
    int32_t depth;
    int32_t first_step[2];  /* from row to row, and along the sum */
    int32_t second_step[2]; /* from column to column, and along the sum */
    int32_t zero[2];        /* zero points of the inputs */
    int32_t multiplier;     /* product of the input scales / output scale */
    int32_t shift;
    int32_t output_zero;
} nrv_matmul_t;

void nrv_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
