/* CONCATENATION of tensors of one type and scale: the output is [outer][sum of sizes]. */
#ifndef NRV_CONCAT_H
#define NRV_CONCAT_H

#include <stdint.h>

typedef struct {
    int32_t outer;
    int32_t parts;
    const int32_t *sizes; /* [parts], bytes of each in one run of the output */
} nrv_concat_t;

/* inputs [parts], each [outer][its size]. */
void nrv_concat(const nrv_concat_t *p, const int8_t *const *inputs, int8_t *output);

#endif
