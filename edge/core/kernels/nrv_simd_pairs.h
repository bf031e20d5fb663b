/* Operators on pairs of int8, sixteen at a time. */
#ifndef NRV_SIMD_PAIRS_H
#define NRV_SIMD_PAIRS_H

#include "nrv_pairs.h"
#include "nrv_simd_bytes.h"

/* Rows of pairs one after the other: which one, and where its operands are. */
typedef struct {
    int32_t row[3];
    const int8_t *first;
    const int8_t *second;
} nrv_simd_rows_t;

/* Moves on to the next row; 0 after the last one. */
static inline int32_t nrv_simd_next_row(const nrv_pairs_t *p, nrv_simd_rows_t *at)
{
    for (int32_t axis = 2; axis >= 0; axis--) {
        at->first += p->first_step[axis];
        at->second += p->second_step[axis];
        if (++at->row[axis] < p->extent[axis]) {
            return 1;
        }
        at->first -= p->extent[axis] * p->first_step[axis];
        at->second -= p->extent[axis] * p->second_step[axis];
        at->row[axis] = 0;
    }
    return 0;
}

/* Where an operand ends. */
static inline const int8_t *nrv_simd_end(const nrv_pairs_t *p, const int8_t *from, const int32_t step[4])
{
    for (int32_t axis = 0; axis < 4; axis++) {
        from += (p->extent[axis] - 1) * step[axis];
    }
    return from + 1;
}

/* An operand in a row. */
typedef struct {
    const int8_t *at;
    const int8_t *end; /* of the whole operand */
    int32_t is_repeated; /* one value for the whole row */
} nrv_simd_operand_t;

/* The next sixteen less zero; those beyond the row are anything. */
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
