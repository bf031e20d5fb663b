#include "nrv_dsp_max_pool.h"

#include "nrv_dsp_pool.h"

void nrv_dsp_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    nrv_dsp_pool(p, input, output, 0);
}
