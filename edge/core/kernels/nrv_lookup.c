#include "nrv_lookup.h"

void nrv_lookup(const nrv_lookup_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = p->table[(uint8_t)input[i]];
    }
}
