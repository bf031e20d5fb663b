#include "nrv_extremum.h"

static void choose(const nrv_pairs_t *w, const int8_t *first, const int8_t *second, int8_t *output, int32_t sign)
{
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, row);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, row);
        for (int32_t i = 0; i < w->extent[3]; i++, x += w->first_step[3], y += w->second_step[3]) {
            *output++ = sign * *x > sign * *y ? *x : *y;
        }
    }
}

void nrv_maximum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    choose(&p->pairs, first, second, output, 1);
}

void nrv_minimum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    choose(&p->pairs, first, second, output, -1);
}
