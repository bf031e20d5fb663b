#include "nrv_add.h"

#include "nrv_clamp.h"
#include "fixed.h"

/* Both inputs are brought to a common scale with 20 more bits, as TFLite's specification has it. */
enum { HEADROOM = 1 << 20 };

void nrv_add(const nrv_add_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t a = nrv_requantize((first[i] - p->zero[0]) * HEADROOM, p->multiplier[0], p->shift[0]);
        const int32_t b = nrv_requantize((second[i] - p->zero[1]) * HEADROOM, p->multiplier[1], p->shift[1]);
        const int32_t value = nrv_requantize(a + b, p->output_multiplier, p->output_shift) + p->output_zero;
        output[i] = nrv_clamp8(value, p->act_min, p->act_max);
    }
}
