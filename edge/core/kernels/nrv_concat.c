#include "nrv_concat.h"

#include <string.h>

void nrv_concat(const nrv_concat_t *p, const int8_t *const *inputs, int8_t *output)
{
    for (int32_t outer = 0; outer < p->outer; outer++) {
        for (int32_t part = 0; part < p->parts; part++) {
            const int32_t size = p->sizes[part];
            memcpy(output, inputs[part] + outer * size, (size_t)size);
            output += size;
        }
    }
}
