#include "nrv_simd_mean.h"

#include <stddef.h>

#include "nrv_simd_bytes.h"

/* Sixteen means from `first` on. */
static inline nrv_simd_t mean(const nrv_mean_t *p, const int8_t *first, const int8_t *end,
                              const nrv_simd_scale_t *scale)
{
    const ptrdiff_t step = p->inner;
    const ptrdiff_t row = p->middle * p->second_count * step;
    const int32_t is_inside = end - first >= (p->count - 1) * row + (p->second_count - 1) * step + NRV_SIMD_LANES;
    nrv_simd_t sum = nrv_simd_all(p->offset);
    for (int32_t i = 0; i < p->count; i++, first += row) {
        for (int32_t k = 0; k < p->second_count; k++) {
            const int8_t *const at = first + k * step;
            sum = nrv_simd_add(sum, is_inside ? nrv_simd_widen(at) : nrv_simd_widen_before(at, end));
        }
    }
    return nrv_simd_requantize(sum, scale);
}

void nrv_simd_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output)
{
    const int32_t size = p->count * p->middle * p->second_count * p->inner;
    const int8_t *const end = input + p->outer * size;
    int32_t multiplier[NRV_SIMD_LANES];
    int32_t shift[NRV_SIMD_LANES];
    nrv_simd_store(multiplier, nrv_simd_all(p->multiplier));
    nrv_simd_store(shift, nrv_simd_all(p->shift));
    const nrv_simd_scale_t scale = nrv_simd_load_scale(multiplier, shift);
    for (int32_t outer = 0; outer < p->outer; outer++, input += size) {
        for (int32_t middle = 0; middle < p->middle; middle++, output += p->inner) {
            const int8_t *const first = input + middle * p->second_count * p->inner;
            for (int32_t inner = 0; inner < p->inner; inner += NRV_SIMD_LANES) {
                const int32_t left = p->inner - inner;
                const int32_t count = left < NRV_SIMD_LANES ? left : NRV_SIMD_LANES;
                nrv_simd_put(output + inner, mean(p, first + inner, end, &scale), count, p->output_zero, INT8_MIN,
                             INT8_MAX);
            }
        }
    }
}
