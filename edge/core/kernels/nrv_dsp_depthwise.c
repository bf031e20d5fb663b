#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_dsp_depthwise.h"

#include "nrv_clamp.h"
#include "nrv_dsp.h"

enum { BLOCK = 4 /* channels */ };

/* The taps of a window that lie inside: rows x columns of them. */
typedef struct {
    const int8_t *taps;
    int32_t rows;
    int32_t columns;
    int32_t row_step; /* between rows, from the end of one to the start of the next */
    int32_t column_step;
    /* Words of weights to pass over before the first row, after each row, and after all rows. */
    int32_t first;
    int32_t skip;
    int32_t after;
} nrv_part_t;

static nrv_part_t inside(const nrv_dsp_depthwise_t *p, const int8_t *input, int32_t y, int32_t x)
{
    const nrv_window_t *w = &p->window;
    const int32_t top = y * w->stride_h - w->pad_top;
    const int32_t left = x * w->stride_w - w->pad_left;
    int32_t row = 0;
    int32_t column = 0;
    int32_t rows = w->kernel_h;
    int32_t columns = w->kernel_w;
    if (y < w->inside_top || y >= w->inside_bottom) {
        row = nrv_first_tap(top, w->dilation_h);
        rows = nrv_min(rows, nrv_first_tap(top - w->in_h, w->dilation_h)) - row;
    }
    if (x < w->inside_left || x >= w->inside_right) {
        column = nrv_first_tap(left, w->dilation_w);
        columns = nrv_min(columns, nrv_first_tap(left - w->in_w, w->dilation_w)) - column;
    }
    const int32_t row_step = w->dilation_h * w->in_w * p->in_c;
    nrv_part_t part;
    part.taps = input + ((top + row * w->dilation_h) * w->in_w + left + column * w->dilation_w) * p->in_c;
    part.rows = rows;
    part.columns = columns;
    part.column_step = w->dilation_w * p->in_c;
    part.row_step = row_step - columns * part.column_step;
    part.first = 2 * (row * w->kernel_w + column);
    part.skip = 2 * (w->kernel_w - columns);
    part.after = 2 * (w->kernel_h - rows) * w->kernel_w - part.first;
    if (rows <= 0 || columns <= 0) {
        /* Dilated taps can lie on both sides of a short input, and none in it. */
        part.rows = 0;
        part.first = 0;
        part.after = 2 * w->kernel_h * w->kernel_w;
    } else if (w->kernel_w == 1) {
        /* One column is worked through as a row. */
        part.columns = rows;
        part.rows = columns;
        part.column_step = row_step;
    }
    return part;
}

#ifdef NRV_DSP_ASM

/* All channels of one window. In assembly to keep in registers what the loop over the taps needs, and nothing else. */
static void all_channels(const nrv_dsp_depthwise_t *p, const nrv_part_t *part, int32_t blocks, uint32_t minus_zero,
                         int8_t *output)
{
    const uint32_t *w = p->stream;
    const int8_t *const origin = part->taps;
    const int32_t first = part->first * 4;
    const int32_t skip = part->skip * 4;
    const int32_t after = part->after * 4;
    const int32_t all_rows = part->rows;
    const int32_t all_columns = part->columns;
    const int32_t row_step = part->row_step;
    const int32_t out_step = p->channel_multiplier;
    /* Twice the blocks that are left but one, and how halves are rounded. */
    int32_t left = 2 * (blocks - 1) + p->cut_below_zero;
    uint32_t a0, a1, a2, a3, wa, wb, x, y, taps, rows, columns;
    __asm__ volatile(
        "0:\n\t"
        "ldr %[taps], %[origin]\n\t"
        "ldr %[y], [%[w]], #4\n\t"
        "ldrd %[a0], %[a1], [%[w]], #8\n\t"
        "ldrd %[a2], %[a3], [%[w]], #8\n\t"
        "add %[taps], %[taps], %[y]\n\t"
        "ldr %[x], %[first]\n\t"
        "ldr %[rows], %[all_rows]\n\t"
        "add %[w], %[w], %[x]\n\t"
        "cbz %[rows], 5f\n"
        "1:\n\t"
        "ldr %[columns], %[all_columns]\n"
        "2:\n\t"
        "ldrd %[wa], %[wb], [%[w]], #8\n\t"
        "ldr %[y], [%[taps]]\n\t"
        "add %[taps], %[taps], %[column_step]\n\t"
        "sxtab16 %[x], %[minus_zero], %[y]\n\t"
        "sxtab16 %[y], %[minus_zero], %[y], ror #8\n\t"
        "smlabb %[a0], %[x], %[wa], %[a0]\n\t"
        "smlabb %[a1], %[y], %[wb], %[a1]\n\t"
        "smlatt %[a2], %[x], %[wa], %[a2]\n\t"
        "smlatt %[a3], %[y], %[wb], %[a3]\n\t"
        "subs %[columns], %[columns], #1\n\t"
        "bne 2b\n\t"
        "ldr %[x], %[row_step]\n\t"
        "ldr %[y], %[skip]\n\t"
        "add %[taps], %[taps], %[x]\n\t"
        "add %[w], %[w], %[y]\n\t"
        "subs %[rows], %[rows], #1\n\t"
        "bne 1b\n"
        "5:\n\t"
        "ldr %[y], %[after]\n\t"
        "ldr %[rows], %[left]\n\t"
        "add %[w], %[w], %[y]\n\t"
        "lsls %[y], %[rows], #31\n\t"
        "bne 3f\n\t"
        NRV_DSP_SCALE NRV_DSP_HALVES_AWAY("a0") NRV_DSP_SCALE NRV_DSP_HALVES_AWAY("a1")
        NRV_DSP_SCALE NRV_DSP_HALVES_AWAY("a2") NRV_DSP_SCALE NRV_DSP_HALVES_AWAY("a3")
        "b 4f\n"
        "3:\n\t"
        NRV_DSP_SCALE NRV_DSP_HALVES_UP("a0") NRV_DSP_SCALE NRV_DSP_HALVES_UP("a1")
        NRV_DSP_SCALE NRV_DSP_HALVES_UP("a2") NRV_DSP_SCALE NRV_DSP_HALVES_UP("a3")
        "4:\n\t"
        "ldr %[taps], [%[w]], #4\n\t"
        "ldr %[x], %[output]\n\t"
        "ldr %[y], %[out_step]\n\t"
        "add %[taps], %[taps], %[x]\n\t"
        "strb %[a0], [%[taps]]\n\t"
        "strb %[a1], [%[taps], %[y]]\n\t"
        "strb %[a2], [%[taps], %[y], lsl #1]\n\t"
        "add %[taps], %[taps], %[y], lsl #1\n\t"
        "strb %[a3], [%[taps], %[y]]\n\t"
        "subs %[rows], %[rows], #2\n\t"
        "str %[rows], %[left]\n\t"
        "bpl 0b"
        : [w] "+r"(w), [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [wa] "=&r"(wa), [wb] "=&r"(wb),
          [x] "=&r"(x), [y] "=&r"(y), [taps] "=&r"(taps), [rows] "=&l"(rows), [columns] "=&r"(columns),
          [left] "+m"(left)
        : [minus_zero] "r"(minus_zero), [column_step] "r"(part->column_step), [origin] "m"(origin), [first] "m"(first),
          [skip] "m"(skip), [after] "m"(after), [all_rows] "m"(all_rows), [all_columns] "m"(all_columns),
          [row_step] "m"(row_step), [out_step] "m"(out_step), [output] "m"(output)
        : "cc", "memory");
}

#else

/* Low halves and high halves multiplied, each added to a sum of its own. */
static void multiply_add(uint32_t a, uint32_t b, int32_t *low, int32_t *high)
{
    *low += (int16_t)(a & 0xFFFFu) * (int16_t)(b & 0xFFFFu);
    *high += (int16_t)(a >> 16) * (int16_t)(b >> 16);
}

static void all_channels(const nrv_dsp_depthwise_t *p, const nrv_part_t *part, int32_t blocks, uint32_t minus_zero,
                         int8_t *output)
{
    const uint32_t *w = p->stream;
    for (; blocks > 0; blocks--) {
        const int8_t *taps = part->taps + *w++;
        int32_t acc[BLOCK];
        memcpy(acc, w, sizeof acc);
        w += BLOCK + part->first;
        for (int32_t row = part->rows; row > 0; row--) {
            for (int32_t column = part->columns; column > 0; column--, w += 2) {
                const uint32_t x = nrv_load4(taps);
                multiply_add(nrv_even_plus(minus_zero, x), w[0], &acc[0], &acc[2]);
                multiply_add(nrv_odd_plus(minus_zero, x), w[1], &acc[1], &acc[3]);
                taps += part->column_step;
            }
            taps += part->row_step;
            w += part->skip;
        }
        w += part->after;
        int8_t *to = output + w[2 * BLOCK];
        for (int32_t i = 0; i < BLOCK; i++, w += 2, to += p->channel_multiplier) {
            *to = nrv_dsp_requantize(acc[i], (int32_t)w[0], (int32_t)w[1], p->cut_below_zero);
        }
        w++;
    }
}

#endif

void nrv_dsp_depthwise(const nrv_dsp_depthwise_t *p, const int8_t *input, int8_t *output)
{
    const nrv_window_t *w = &p->window;
    const int32_t out_c = p->in_c * p->channel_multiplier;
    const uint32_t minus_zero = (uint32_t)(uint16_t)-w->input_zero * UINT32_C(0x10001);
    /* Where the taps start, biases, taps, multipliers and shifts, where the outputs start. */
    const int32_t blocks = p->stream_words / (1 + BLOCK + 2 * w->kernel_h * w->kernel_w + 2 * BLOCK + 1);
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                const nrv_part_t part = inside(p, input, y, x);
                all_channels(p, &part, blocks, minus_zero, output);
                output += out_c;
            }
        }
        input += w->in_h * w->in_w * p->in_c;
    }
    if (p->act_min > INT8_MIN || p->act_max < INT8_MAX) {
        for (int32_t i = w->batches * w->out_h * w->out_w * out_c; i > 0; i--) {
            output--;
            *output = nrv_clamp8(*output, p->act_min, p->act_max);
        }
    }
}
