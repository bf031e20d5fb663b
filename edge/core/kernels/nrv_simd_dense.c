#include "nrv_simd_dense.h"

#include "nrv_clamp.h"
#include "nrv_scale.h"
#include "nrv_simd_matrix.h"

enum { ROWS = NRV_SIMD_ROWS, ACROSS = NRV_SIMD_SUMS / 4 /* blocks of units of a single row */ };

/* The outputs of `units` units from `unit` on. */
static inline void put_units(const nrv_simd_dense_t *p, nrv_simd_t sums, int32_t unit, int32_t units, int8_t *output)
{
    if (p->scales) {
        const int32_t *const scales = p->scales + 2 * unit;
        nrv_simd_put(output, nrv_simd_scale_once(sums, scales, scales + NRV_SIMD_LANES), units, p->output_zero,
                     p->act_min, p->act_max);
        return;
    }
    int32_t acc[NRV_SIMD_LANES];
    nrv_simd_store(acc, sums);
    for (int32_t u = 0; u < units; u++) {
        const int32_t value = nrv_scale_once(acc[u], p->multiplier[unit + u], p->shift[unit + u]) + p->output_zero;
        output[u] = nrv_clamp8(value, p->act_min, p->act_max);
    }
}

/* Units of so many blocks, from `unit` on, of so many rows (both known where this is inlined), `count` are written. */
static NRV_SIMD_INLINE void multiply(const nrv_simd_dense_t *p, int32_t unit, int32_t blocks, int32_t rows,
                                     const int8_t *const *row, int32_t count, int8_t *output)
{
    nrv_simd_t sums[NRV_SIMD_SUMS];
    nrv_simd_multiply(sums, blocks, rows, row, 0, 0, p->groups, p->weights + unit * p->groups * NRV_SIMD_TAPS,
                      p->bias + 2 * unit, 2 * NRV_SIMD_LANES);
    for (int32_t b = 0; b < blocks; b++, unit += NRV_SIMD_LANES) {
        const int32_t units = p->units - unit < NRV_SIMD_LANES ? p->units - unit : NRV_SIMD_LANES;
        for (int32_t i = 0; i < count; i++) {
            put_units(p, sums[b * rows + i], unit, units, output + i * p->units + unit);
        }
    }
}

void nrv_simd_dense(const nrv_simd_dense_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const int32_t width = p->groups * NRV_SIMD_TAPS;
    for (int32_t left = p->rows; left > 0; left -= ROWS) {
        const int32_t count = left < ROWS ? left : ROWS;
        const int8_t *row[ROWS]; /* the missing ones repeat the last */
        for (int32_t i = 0; i < ROWS; i++) {
            int8_t *const copy = scratch + (i < count ? i : count - 1) * width;
            row[i] = copy;
            if (i < count) {
                nrv_simd_copy(copy, input, p->depth);
                nrv_simd_fill(copy + p->depth, 0, width - p->depth);
                input += p->depth;
            }
        }
        int32_t unit = 0;
        if (count == 1) {
            for (; p->units - unit > (ACROSS - 1) * NRV_SIMD_LANES; unit += ACROSS * NRV_SIMD_LANES) {
                multiply(p, unit, ACROSS, 1, row, 1, output);
            }
            for (; unit < p->units; unit += NRV_SIMD_LANES) {
                multiply(p, unit, 1, 1, row, 1, output);
            }
        } else {
            for (; unit < p->units; unit += NRV_SIMD_LANES) {
                multiply(p, unit, 1, ROWS, row, count, output);
            }
        }
        output += count * p->units;
    }
}
