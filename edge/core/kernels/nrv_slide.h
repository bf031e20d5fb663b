/* Columns kept from call to call: rows of bytes that move on by a hop, and what is put behind them. */
#ifndef NRV_SLIDE_H
#define NRV_SLIDE_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t row; /* bytes from row to row */
    int32_t first, end; /* bytes of each row that take part */
    int32_t hop; /* bytes */
} nrv_slide_t;

/* Moves bytes first + hop to end of each row to first. */
void nrv_slide(const nrv_slide_t *p, int8_t *kept);

/* Puts one hop, rows side by side, at the end of each row. */
void nrv_put(const nrv_slide_t *p, const int8_t *hop, int8_t *kept);

/* Moves, then puts the first `count` bytes of each row of `input`, `step` bytes apart, at the end of each row. */
void nrv_take(const nrv_slide_t *p, const int8_t *input, int8_t *kept, int32_t count, int32_t step);

#endif
