#include "nrv_dsp_product.h"

#include "nrv_dsp.h"

enum { GROUP = 4 /* taps */ };

/* The first `count` of four taps `step` apart, zeros after. */
static inline uint32_t four_taps(const int8_t *from, int32_t step, int32_t count)
{
    if (step == 1) {
        return count >= GROUP ? nrv_load4(from) : nrv_load_some(from, count);
    }
    uint32_t word = (uint8_t)from[0];
    word |= count > 1 ? (uint32_t)(uint8_t)from[step] << 8 : 0;
    word |= count > 2 ? (uint32_t)(uint8_t)from[2 * step] << 16 : 0;
    word |= count > 3 ? (uint32_t)(uint8_t)from[3 * step] << 24 : 0;
    return word;
}

static inline int32_t plus_taps(int32_t sum, uint32_t four)
{
    const uint32_t ones = UINT32_C(0x10001);
    return nrv_dual_mul_add(nrv_odd(four), ones, nrv_dual_mul_add(nrv_even(four), ones, sum));
}

/* The stream of nrv_dsp_matrix_t from columns; a missing last one is a copy of the one before it. */
static void lay_out(const nrv_dsp_product_t *p, const int8_t *column, uint32_t *w)
{
    const uint32_t low = UINT32_C(0x00FF00FF);
    const int32_t step = p->second_step[1];
    for (int32_t unit = 0; unit < p->rows.matrix.units; unit += 2, column += 2 * p->second_step[0]) {
        const int8_t *a = column;
        const int8_t *b = unit + 1 < p->rows.matrix.units ? column + p->second_step[0] : column;
        uint32_t *const bias = w;
        int32_t sum_a = 0;
        int32_t sum_b = 0;
        w += 2;
        for (int32_t left = p->depth; left > 0; left -= GROUP, a += GROUP * step, b += GROUP * step, w += 2) {
            const uint32_t x = four_taps(a, step, left);
            const uint32_t y = four_taps(b, step, left);
            sum_a = plus_taps(sum_a, x);
            sum_b = plus_taps(sum_b, y);
            w[0] = (x & low) | (y & low) << 8;
            w[1] = (x >> 8 & low) | (y & ~low);
        }
        bias[0] = (uint32_t)(-p->first_zero * sum_a);
        bias[1] = (uint32_t)(-p->first_zero * sum_b);
        w[0] = w[2] = (uint32_t)p->multiplier;
        w[1] = w[3] = (uint32_t)p->shift;
        w += 4;
    }
}

void nrv_dsp_product(const nrv_dsp_product_t *p, const int8_t *first, const int8_t *second, int8_t *output,
                     int8_t *scratch)
{
    uint32_t *const stream = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    const nrv_pairs_t *w = &p->batches;
    const int32_t size = p->rows.window.out_w * p->rows.matrix.units;
    for (int32_t batch = 0; batch < nrv_pairs_rows(w); batch++, output += size) {
        lay_out(p, second + nrv_pairs_at(w, w->second_step, batch), stream);
        const int8_t *const rows = first + nrv_pairs_at(w, w->first_step, batch);
        nrv_dsp_convolve(&p->rows, stream, rows, output, scratch + p->stream_words * 4);
    }
}
