#include "nrv_dsp_clamp.h"

#include "nrv_clamp.h"
#include "nrv_dsp.h"

void nrv_dsp_clamp(int8_t *values, int32_t count, int32_t low, int32_t high)
{
    if (low == INT8_MIN && high == INT8_MAX) {
        return;
    }
    for (; count >= 4; count -= 4, values += 4) {
        const uint32_t x = nrv_highest4(nrv_load4(values), nrv_bytes(low));
        nrv_store4(values, nrv_lowest4(x, nrv_bytes(high)));
    }
    for (; count > 0; count--, values++) {
        *values = nrv_clamp8(*values, low, high);
    }
}
