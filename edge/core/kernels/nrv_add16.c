#include "nrv_add16.h"

#include "nrv_down.h"
#include "nrv_clamp16.h"

enum { HEADROOM = 1 << 15 };

void nrv_add16(const nrv_add16_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    int16_t *to = (int16_t *)(void *)output;
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++) {
        const int16_t *x = (const int16_t *)(const void *)first + nrv_pairs_at(w, w->first_step, row);
        const int16_t *y = (const int16_t *)(const void *)second + nrv_pairs_at(w, w->second_step, row);
        for (int32_t i = 0; i < w->extent[3]; i++, x += w->first_step[3], y += w->second_step[3]) {
            const int32_t a = nrv_requantize_down(*x * HEADROOM, p->multiplier[0], p->shift[0]);
            const int32_t b = nrv_requantize_down(*y * HEADROOM, p->multiplier[1], p->shift[1]);
            *to++ = nrv_clamp16(nrv_requantize_down(a + b, p->output_multiplier, p->output_shift), p->act_min, p->act_max);
        }
    }
}
