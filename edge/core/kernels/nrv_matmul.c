#include "nrv_matmul.h"

#include "nrv_clamp.h"
#include "fixed.h"

static int32_t product_sum(const nrv_matmul_t *p, const int8_t *x, const int8_t *y)
{
    const int32_t x_step = p->first_step[1];
    const int32_t y_step = p->second_step[1];
    const int32_t x_zero = p->zero[0];
    const int32_t y_zero = p->zero[1];
    int32_t acc = 0;
    for (int32_t i = p->depth; i > 0; i--, x += x_step, y += y_step) {
        acc += (*x - x_zero) * (*y - y_zero);
    }
    return acc;
}

void nrv_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->batches;
    for (int32_t batch = 0; batch < nrv_pairs_rows(w); batch++) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, batch);
        for (int32_t row = 0; row < p->rows; row++, x += p->first_step[0]) {
            const int8_t *y = second + nrv_pairs_at(w, w->second_step, batch);
            for (int32_t column = 0; column < p->columns; column++, y += p->second_step[0]) {
                const int32_t value = nrv_requantize(product_sum(p, x, y), p->multiplier, p->shift) + p->output_zero;
                *output++ = nrv_clamp8(value, INT8_MIN, INT8_MAX);
            }
        }
    }
}
