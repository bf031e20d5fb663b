#include "nrv_rearrange.h"

#include <string.h>

void nrv_rearrange(const nrv_rearrange_t *p, const int8_t *input, int8_t *output)
{
    const int32_t *n = p->extent;
    const int32_t *step = p->step;
    for (int32_t i = 0; i < n[0]; i++) {
        for (int32_t j = 0; j < n[1]; j++) {
            for (int32_t k = 0; k < n[2]; k++) {
                const int8_t *from = input + p->start + i * step[0] + j * step[1] + k * step[2];
                for (int32_t l = 0; l < n[3]; l++, from += step[3], output += p->run) {
                    if (p->run == 1) {
                        *output = *from;
                    } else {
                        memcpy(output, from, (size_t)p->run);
                    }
                }
            }
        }
    }
}
