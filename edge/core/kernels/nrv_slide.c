#include "nrv_slide.h"

#include <string.h>

static void put(const nrv_slide_t *p, const int8_t *input, int32_t count, int32_t step, int8_t *kept)
{
    for (int32_t row = 0; row < p->rows; row++) {
        memcpy(kept + row * p->row + p->end - count, input + row * step, (size_t)count);
    }
}

void nrv_slide(const nrv_slide_t *p, int8_t *kept)
{
    for (int32_t row = 0; row < p->rows; row++) {
        int8_t *const first = kept + row * p->row + p->first;
        memmove(first, first + p->hop, (size_t)(p->end - p->first - p->hop));
    }
}

void nrv_put(const nrv_slide_t *p, const int8_t *hop, int8_t *kept)
{
    put(p, hop, p->hop, p->hop, kept);
}

void nrv_take(const nrv_slide_t *p, const int8_t *input, int8_t *kept, int32_t count, int32_t step)
{
    nrv_slide(p, kept);
    put(p, input, count, step, kept);
}
