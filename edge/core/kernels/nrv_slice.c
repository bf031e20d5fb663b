#include "nrv_slice.h"

#include <string.h>

void nrv_slice(const nrv_slice_t *p, const int8_t *input, int8_t *output)
{
    const int32_t *in = p->input;
    const int32_t *first = p->begin;
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                const int32_t row = ((first[0] + i) * in[1] + first[1] + j) * in[2] + first[2] + k;
                memcpy(output, input + row * in[3] + first[3], (size_t)p->size[3]);
                output += p->size[3];
            }
        }
    }
}
