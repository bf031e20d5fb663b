#include "nrv_dsp_matmul.h"

#include "nrv_dsp.h"

enum { BLOCK = 4 /* columns at a time */, WORDS = 2 * BLOCK /* of four taps of each */ };

/* Four columns less their zero point as (even, odd) words, the missing taps and columns 0. */
static void widen_columns(const nrv_matmul_t *p, const int8_t *column, int32_t count, uint32_t *words)
{
    int16_t *const taps = (int16_t *)(void *)words;
    static const int8_t place[4] = {0, 2, 1, 3}; /* of a tap in its two words */
    memset(words, 0, (size_t)((p->depth + 3) / 4 * WORDS) * sizeof *words);
    for (int32_t c = 0; c < count; c++, column += p->second_step[0]) {
        const int8_t *tap = column;
        for (int32_t i = 0; i < p->depth; i++, tap += p->second_step[1]) {
            taps[(i / 4 * BLOCK + c) * 4 + place[i % 4]] = (int16_t)(*tap - p->zero[1]);
        }
    }
}

static void sum_columns(const nrv_matmul_t *p, const int8_t *row, const uint32_t *words, int32_t sums[BLOCK])
{
    const uint32_t less_zero = (uint32_t)(uint16_t)-p->zero[0] * UINT32_C(0x10001);
    int32_t a = 0;
    int32_t b = 0;
    int32_t c = 0;
    int32_t d = 0;
    for (int32_t left = p->depth; left > 0; left -= 4, row += 4, words += WORDS) {
        const uint32_t x = left >= 4 ? nrv_load4(row) : nrv_load_some(row, left);
        const uint32_t even = nrv_even_plus(less_zero, x);
        const uint32_t odd = nrv_odd_plus(less_zero, x);
        a = nrv_dual_mul_add(odd, words[1], nrv_dual_mul_add(even, words[0], a));
        b = nrv_dual_mul_add(odd, words[3], nrv_dual_mul_add(even, words[2], b));
        c = nrv_dual_mul_add(odd, words[5], nrv_dual_mul_add(even, words[4], c));
        d = nrv_dual_mul_add(odd, words[7], nrv_dual_mul_add(even, words[6], d));
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

void nrv_dsp_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output, int8_t *scratch)
{
    uint32_t *const words = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    const nrv_pairs_t *w = &p->batches;
    const int32_t shift = -1 - p->shift + 256 * (2 * p->output_zero + 1);
    for (int32_t batch = 0; batch < nrv_pairs_rows(w); batch++, output += p->rows * p->columns) {
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, batch);
        for (int32_t column = 0; column < p->columns; column += BLOCK, y += BLOCK * p->second_step[0]) {
            const int32_t count = p->columns - column < BLOCK ? p->columns - column : BLOCK;
            const int8_t *x = first + nrv_pairs_at(w, w->first_step, batch);
            int8_t *to = output + column;
            widen_columns(p, y, count, words);
            for (int32_t row = 0; row < p->rows; row++, x += p->first_step[0], to += p->columns) {
                int32_t sums[BLOCK];
                sum_columns(p, x, words, sums);
                for (int32_t c = 0; c < count; c++) {
                    to[c] = nrv_dsp_requantize(sums[c], p->multiplier, shift, 0);
                }
            }
        }
    }
}
