#include "nrv_mean.h"

#include "nrv_clamp.h"
#include "fixed.h"

void nrv_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output)
{
    const int32_t plane = p->second_count * p->inner;
    for (int32_t outer = 0; outer < p->outer; outer++, input += p->count * p->middle * plane) {
        for (int32_t middle = 0; middle < p->middle; middle++) {
            for (int32_t inner = 0; inner < p->inner; inner++) {
                const int8_t *first = input + middle * plane + inner;
                int32_t sum = p->offset;
                for (int32_t i = 0; i < p->count; i++, first += p->middle * plane) {
                    const int8_t *tap = first;
                    for (int32_t j = 0; j < p->second_count; j++, tap += p->inner) {
                        sum += *tap;
                    }
                }
                const int32_t value = nrv_requantize(sum, p->multiplier, p->shift) + p->output_zero;
                *output++ = nrv_clamp8(value, INT8_MIN, INT8_MAX);
            }
        }
    }
}
