/* How two operands are walked over together, the shorter one repeated. */
#ifndef NRV_PAIRS_H
#define NRV_PAIRS_H

#include <stdint.h>

typedef struct {
    int32_t extent[4];      /* of the output */
    int32_t first_step[4];  /* how far the operand moves along each axis; 0 repeats it */
    int32_t second_step[4];
} nrv_pairs_t;

/* Rows of extent[3] values in the output. */
static inline int32_t nrv_pairs_rows(const nrv_pairs_t *p)
{
    return p->extent[0] * p->extent[1] * p->extent[2];
}

/* Where an operand stands at the start of a row. */
static inline int32_t nrv_pairs_at(const nrv_pairs_t *p, const int32_t step[4], int32_t row)
{
    const int32_t plane = row / p->extent[2];
    return plane / p->extent[1] * step[0] + plane % p->extent[1] * step[1] + row % p->extent[2] * step[2];
}

#endif
