/* Operators on pairs of int8, sixteen at a time. */
#ifndef NRV_SIMD_PAIRS_H
#define NRV_SIMD_PAIRS_H

#include "nrv_pairs.h"
#include "nrv_simd_bytes.h"

/* An operand in a row of pairs. */
typedef struct {
    const int8_t *at;
    const int8_t *end;   /* of the row */
    int32_t is_repeated; /* one value for the whole row */
} nrv_simd_operand_t;

static inline nrv_simd_operand_t nrv_simd_operand(const nrv_pairs_t *p, const int8_t *from, const int32_t step[4],
                                                  int32_t row)
{
    const int8_t *const at = from + nrv_pairs_at(p, step, row);
    const nrv_simd_operand_t operand = {at, at + p->extent[3], step[3] == 0};
    return operand;
}

/* The next sixteen less zero; what lies beyond the row is anything. */
static inline nrv_simd_t nrv_simd_next(nrv_simd_operand_t *x, int32_t zero)
{
    const nrv_simd_t less = nrv_simd_all(-zero);
    if (x->is_repeated) {
        return nrv_simd_add(nrv_simd_all(*x->at), less);
    }
    const nrv_simd_t values = nrv_simd_widen_before(x->at, x->end);
    x->at += NRV_SIMD_LANES;
    return nrv_simd_add(values, less);
}

/* The same multiplier and shift for all lanes, in memory that nrv_simd_load_scale() may go on reading. */
typedef struct {
    int32_t multiplier[NRV_SIMD_LANES];
    int32_t shift[NRV_SIMD_LANES];
} nrv_simd_one_scale_t;

static inline nrv_simd_scale_t nrv_simd_one_scale(nrv_simd_one_scale_t *memory, int32_t multiplier, int32_t shift)
{
    nrv_simd_store(memory->multiplier, nrv_simd_all(multiplier));
    nrv_simd_store(memory->shift, nrv_simd_all(shift));
    return nrv_simd_load_scale(memory->multiplier, memory->shift);
}

#endif
