#include "nrv_rescale16.h"

#include "fixed.h"
#include "nrv_clamp.h"
#include "nrv_clamp16.h"

static int32_t rescaled(const nrv_rescale16_t *p, int32_t x)
{
    return nrv_requantize(x - p->zero, p->multiplier, p->shift) + p->output_zero;
}

void nrv_widen16(const nrv_rescale16_t *p, const int8_t *input, int8_t *output)
{
    int16_t *to = (int16_t *)(void *)output;
    for (int32_t i = 0; i < p->count; i++) {
        to[i] = nrv_clamp16(rescaled(p, input[i]), INT16_MIN, INT16_MAX);
    }
}

void nrv_narrow16(const nrv_rescale16_t *p, const int8_t *input, int8_t *output)
{
    const int16_t *from = (const int16_t *)(const void *)input;
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = nrv_clamp8(rescaled(p, from[i]), INT8_MIN, INT8_MAX);
    }
}
