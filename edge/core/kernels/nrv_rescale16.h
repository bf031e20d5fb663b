/* QUANTIZE between int8 and int16. */
#ifndef NRV_RESCALE16_H
#define NRV_RESCALE16_H

#include <stdint.h>

typedef struct {
    int32_t count;
    int32_t zero;       /* zero point of the input */
    int32_t multiplier; /* input scale / output scale */
    int32_t shift;
    int32_t output_zero;
} nrv_rescale16_t;

/* int8 to int16 on its boundary. */
void nrv_widen16(const nrv_rescale16_t *p, const int8_t *input, int8_t *output);

/* int16 on its boundary to int8. */
void nrv_narrow16(const nrv_rescale16_t *p, const int8_t *input, int8_t *output);

#endif
