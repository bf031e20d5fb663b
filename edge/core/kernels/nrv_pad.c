#include "nrv_pad.h"

#include <string.h>

void nrv_pad(const nrv_pad_t *p, const int8_t *input, int8_t *output)
{
    const int32_t *out = p->output;
    memset(output, p->fill, (size_t)(out[0] * out[1] * out[2] * out[3]));
    for (int32_t i = 0; i < p->input[0]; i++) {
        for (int32_t j = 0; j < p->input[1]; j++) {
            for (int32_t k = 0; k < p->input[2]; k++) {
                const int32_t row = ((i + p->before[0]) * out[1] + j + p->before[1]) * out[2] + k + p->before[2];
                memcpy(output + row * out[3] + p->before[3], input, (size_t)p->input[3]);
                input += p->input[3];
            }
        }
    }
}
