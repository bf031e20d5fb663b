#include "nrv_add.h"

#include "nrv_clamp.h"
#include "nrv_down.h"

/* Both inputs are brought to a common scale with 20 more bits, as TFLite's specification has it. */
enum { HEADROOM = 1 << 20 };

void nrv_add(const nrv_add_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, row);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, row);
        for (int32_t i = 0; i < w->extent[3]; i++, x += w->first_step[3], y += w->second_step[3]) {
            const int32_t a = nrv_requantize_down((*x - p->zero[0]) * HEADROOM, p->multiplier[0], p->shift[0]);
            const int32_t b = nrv_requantize_down((*y - p->zero[1]) * HEADROOM, p->multiplier[1], p->shift[1]);
            const int32_t sum = a + p->sign * b;
            const int32_t value = nrv_requantize_down(sum, p->output_multiplier, p->output_shift) + p->output_zero;
            *output++ = nrv_clamp8(value, p->act_min, p->act_max);
        }
    }
}
