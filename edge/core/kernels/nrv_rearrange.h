/* TRANSPOSE, slices and splits: runs of bytes out of a tensor of any type, one after the other. */
#ifndef NRV_REARRANGE_H
#define NRV_REARRANGE_H

#include <stdint.h>

typedef struct {
    int32_t extent[4]; /* of the output, in runs */
    int32_t step[4];   /* bytes in the input from one to the next */
    int32_t start;     /* of the first run, bytes */
    int32_t run;       /* bytes */
} nrv_rearrange_t;

void nrv_rearrange(const nrv_rearrange_t *p, const int8_t *input, int8_t *output);

#endif
