#include "nrv_dense16.h"

#include "nrv_clamp16.h"

enum { LOW_BITS = 27, DOUBLE_BITS = 53 };

/* Of a number that is not 0. */
static int32_t highest_bit(uint64_t x)
{
    int32_t place = 0;
    for (int32_t width = 32; width > 0; width >>= 1) {
        if (x >> width != 0) {
            x >>= width;
            place += width;
        }
    }
    return place;
}

/*
 * What the reference kernel does in floating point: the double nearest to |sum| * scale, rounded, halves upwards. That
 * is the exact product rounded, unless it is so little below a half that the nearest double is that half.
 */
static int64_t scaled(const nrv_dense16_t *p, int32_t unit, uint64_t size)
{
    const int32_t places = p->shift[unit] - LOW_BITS;
    const uint64_t low = size * p->scale_low[unit];
    /* The product is that many times 2^LOW_BITS, and rest. */
    const uint64_t product = size * p->scale_high[unit] + (low >> LOW_BITS);
    const uint64_t rest = low & ((UINT64_C(1) << LOW_BITS) - 1);
    const uint64_t raised = product + (UINT64_C(1) << (places - 1));
    const uint64_t rounded = raised >> places;
    const uint64_t gap = (UINT64_C(1) << places) - (raised & ((UINT64_C(1) << places) - 1)); /* to the next half */
    const int32_t exponent = rounded == 0 ? -2 : highest_bit(rounded); /* of what is a little below the half */
    const int32_t within = p->shift[unit] + exponent - DOUBLE_BITS; /* 2^within of the product is half a step */
    if (gap < UINT64_C(1) << 31 && within >= 0 && (gap << LOW_BITS) - rest <= UINT64_C(1) << within) {
        return (int64_t)rounded + 1;
    }
    return (int64_t)rounded;
}

void nrv_dense16(const nrv_dense16_t *p, const int8_t *input, int8_t *output)
{
    const int16_t *from = (const int16_t *)(const void *)input;
    int16_t *to = (int16_t *)(void *)output;
    for (int32_t row = 0; row < p->rows; row++, from += p->depth) {
        const int8_t *weight = p->weights;
        for (int32_t unit = 0; unit < p->units; unit++) {
            int64_t sum = p->bias[unit];
            for (int32_t i = 0; i < p->depth; i++) {
                sum += (int32_t)from[i] * (int32_t)*weight++;
            }
            const int64_t value = scaled(p, unit, (uint64_t)(sum < 0 ? -sum : sum));
            *to++ = nrv_clamp16(sum < 0 ? -value : value, p->act_min, p->act_max);
        }
    }
}
