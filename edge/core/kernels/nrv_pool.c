#include "nrv_pool.h"

#include "nrv_clamp.h"

void nrv_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    const nrv_window_t *w = &p->window;
    const int32_t row_step = w->in_w * p->channels;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                const nrv_pool_part_t part = nrv_pool_inside(p, input, y, x);
                const int32_t count = part.rows * part.columns;
                for (int32_t c = 0; c < p->channels; c++) {
                    int32_t sum = 0;
                    for (int32_t row = 0; row < part.rows; row++) {
                        const int8_t *tap = part.taps + row * row_step + c;
                        for (int32_t column = 0; column < part.columns; column++, tap += p->channels) {
                            sum += *tap;
                        }
                    }
                    const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                    *output++ = nrv_clamp8(mean, p->act_min, p->act_max);
                }
            }
        }
        input += w->in_h * row_step;
    }
}

void nrv_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    const nrv_window_t *w = &p->window;
    const int32_t row_step = w->in_w * p->channels;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                const nrv_pool_part_t part = nrv_pool_inside(p, input, y, x);
                for (int32_t c = 0; c < p->channels; c++) {
                    int32_t highest = INT8_MIN;
                    for (int32_t row = 0; row < part.rows; row++) {
                        const int8_t *tap = part.taps + row * row_step + c;
                        for (int32_t column = 0; column < part.columns; column++, tap += p->channels) {
                            highest = *tap > highest ? *tap : highest;
                        }
                    }
                    *output++ = nrv_clamp8(highest, p->act_min, p->act_max);
                }
            }
        }
        input += w->in_h * row_step;
    }
}
