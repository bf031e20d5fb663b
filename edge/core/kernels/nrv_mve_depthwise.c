#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register, also in a build with a frame pointer. What is around it is small. */
#pragma GCC optimize("Os", "omit-frame-pointer")
#endif

#include "nrv_mve_depthwise.h"

#include "nrv_mve_matrix.h"

enum { BLOCK = 4 /* windows */ };

/* Where four windows start in a plane, and where their outputs go, for the stripe's first channel. */
typedef struct {
    int32_t start[BLOCK];
    int32_t offset[BLOCK];
} nrv_mve_block_t;

/* Fills in the blocks of a stripe; the last window is repeated until its block is full. Returns how many they are. */
static int32_t place_blocks(const nrv_mve_depthwise_t *p, int32_t rows, int32_t columns, nrv_mve_block_t *block)
{
    const nrv_window_t *w = &p->window;
    const int32_t blocks = (rows * columns + BLOCK - 1) / BLOCK;
    const int32_t out_c = p->in_c * p->channel_multiplier;
    int32_t y = 0;
    int32_t x = 0;
    for (int32_t i = 0; i < blocks; i++, block++) {
        for (int32_t lane = 0; lane < BLOCK; lane++) {
            block->start[lane] = y * w->stride_h * p->step_y + x * w->stride_w * p->step_x;
            block->offset[lane] = (y * w->out_w + x) * out_c;
            if (x + 1 < columns) {
                x++;
            } else if (y + 1 < rows) {
                y++;
                x = 0;
            }
        }
    }
    return blocks;
}

/* The channels of `count` neighbouring pixels, at least one, each to the same place of its plane. */
static inline void spread(const nrv_mve_depthwise_t *p, const int8_t *pixel, int32_t count, int8_t *planes)
{
#ifdef NRV_MVE_ASM
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)p->plane);
    const int32_t beyond = p->in_c - (p->in_c + 7) / 8 * 8;
    int8_t *to;
    __asm__ volatile(
        "0:\n\t"
        "mov %[to], %[planes]\n\t"
        "dlstp.16 lr, %[channels]\n"
        "1:\n\t"
        "vldrb.u16 q0, [%[pixel]], #8\n\t"
        "vstrb.16 q0, [%[to], %q[places]]\n\t"
        "add %[to], %[to], %[step]\n\t"
        "letp lr, 1b\n\t"
        "add %[pixel], %[pixel], %[beyond]\n\t"
        "add %[planes], %[planes], %[step_x]\n\t"
        "subs %[count], %[count], #1\n\t"
        "bne 0b\n\t"
        : [pixel] "+l"(pixel), [planes] "+r"(planes), [count] "+r"(count), [to] "=&r"(to)
        : [channels] "r"(p->in_c), [step] "r"(8 * p->plane), [beyond] "r"(beyond), [step_x] "r"(p->step_x),
          [places] "w"(places)
        : "lr", "q0", "cc", "memory");
#else
    for (; count > 0; count--, pixel += p->in_c, planes += p->step_x) {
        for (int32_t c = 0; c < p->in_c; c++) {
            planes[c * p->plane] = pixel[c];
        }
    }
#endif
}

/* The planes of the stripe whose first output is at (y, x). */
static void fill_planes(const nrv_mve_depthwise_t *p, const int8_t *input, int32_t y, int32_t x, int32_t rows,
                        int32_t columns, int8_t *planes)
{
    const nrv_window_t *w = &p->window;
    const int32_t top = y * w->stride_h - w->pad_top;
    const int32_t left = x * w->stride_w - w->pad_left;
    const int32_t height = (rows - 1) * w->stride_h + (w->kernel_h - 1) * w->dilation_h + 1;
    const int32_t width = (columns - 1) * w->stride_w + (w->kernel_w - 1) * w->dilation_w + 1;
    const int32_t first_row = top < 0 ? -top : 0;
    const int32_t first_column = left < 0 ? -left : 0;
    const int32_t last_row = nrv_min(height, w->in_h - top);
    const int32_t last_column = nrv_min(width, w->in_w - left);
    if (first_row > 0 || first_column > 0 || last_row < height || last_column < width) {
        nrv_mve_fill(planes, p->in_c * p->plane, w->input_zero);
    }
    for (int32_t row = first_row; row < last_row && first_column < last_column; row++) {
        const int8_t *const pixel = input + ((top + row) * w->in_w + left + first_column) * p->in_c;
        spread(p, pixel, last_column - first_column, planes + row * p->step_y + first_column * p->step_x);
    }
}

#ifdef NRV_MVE_ASM

#define MULTIPLY_ONE(a)                                                                                                \
    "vldrb.u8 q1, [%[" a "]]\n\t"                                                                                      \
    "vmladav.s8 %[" a "], q0, q1\n\t"
#define MULTIPLY_TWO(a)                                                                                                \
    "vldrb.u8 q1, [%[" a "]]\n\t"                                                                                      \
    "vldrb.u8 q2, [%[" a "], #16]\n\t"                                                                                 \
    "vmladav.s8 %[" a "], q0, q1\n\t"                                                                                  \
    "vmladava.s8 %[" a "], q3, q2\n\t"
#define LOAD_TWO "vldrb.u8 q3, [%[w]], #16\n\t"
#define HALVES_AWAY NRV_MVE_HALVES_AWAY("q1")
#define CLAMP                                                                                                          \
    "vadd.i32 q1, q1, %q[zero]\n\t"                                                                                    \
    "vmax.s32 q1, q1, %q[low]\n\t"                                                                                     \
    "vmin.s32 q1, q1, %q[high]\n\t"

/* All windows of a stripe for every channel_multiplier-th output channel; requantized as in nrv_mve_matrix.h. */
#define UNITS_LOOP(load_second, multiply, halves_away)                                                                 \
    __asm__ volatile(                                                                                                  \
        "0:\n\t"                                                                                                       \
        "vldrb.u8 q0, [%[w]], #16\n\t" load_second                                                                     \
        "ldrd %[bias], %[multiplier], [%[w]], #8\n\t"                                                                  \
        "ldr %[shift], [%[w]], #4\n\t"                                                                                 \
        "ldr %[block], %[first]\n\t"                                                                                   \
        "ldr %[a0], %[skip]\n\t"                                                                                       \
        "ldr lr, %[blocks]\n\t"                                                                                        \
        "add %[w], %[w], %[a0]\n\t"                                                                                    \
        "dls lr, lr\n"                                                                                                 \
        "1:\n\t"                                                                                                       \
        "vldrw.u32 q1, [%[block]], #16\n\t"                                                                            \
        "vadd.i32 q1, q1, %[plane]\n\t"                                                                                \
        "vmov %[a0], %[a2], q1[2], q1[0]\n\t"                                                                          \
        "vmov %[a1], %[a3], q1[3], q1[1]\n\t"                                                                          \
        multiply("a0") multiply("a1") multiply("a2") multiply("a3")                                                    \
        "vmov q1[2], q1[0], %[a0], %[a2]\n\t"                                                                          \
        "vmov q1[3], q1[1], %[a1], %[a3]\n\t"                                                                          \
        "vadd.i32 q1, q1, %[bias]\n\t"                                                                                 \
        "vqrdmulh.s32 q1, q1, %[multiplier]\n\t" halves_away                                                           \
        "vrshl.s32 q1, %[shift]\n\t"                                                                                   \
        "vldrw.u32 q2, [%[block]], #16\n\t" CLAMP                                                                      \
        "vstrb.32 q1, [%[output], q2]\n\t"                                                                             \
        "le lr, 1b\n\t"                                                                                                \
        "ldr %[a0], %[plane_step]\n\t"                                                                                 \
        "ldr %[a1], %[output_step]\n\t"                                                                                \
        "add %[plane], %[plane], %[a0]\n\t"                                                                            \
        "add %[output], %[output], %[a1]\n\t"                                                                          \
        "subs %[units], %[units], #1\n\t"                                                                              \
        "bne 0b\n\t"                                                                                                   \
        : [w] "+r"(w), [plane] "+r"(plane), [output] "+r"(output), [units] "+r"(units), [block] "=&r"(at),             \
          [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2), [a3] "=&Te"(a3), [bias] "=&r"(bias),                      \
          [multiplier] "=&r"(multiplier), [shift] "=&r"(shift)                                                         \
        : [first] "m"(block), [blocks] "m"(blocks), [skip] "m"(skip), [plane_step] "m"(plane_step),                    \
          [output_step] "m"(output_step), [zero] "w"(zero), [low] "w"(low), [high] "w"(high)                           \
        : "q0", "q1", "q2", "q3", "lr", "cc", "memory")

/* Of four windows, of any number of vectors, in turns: their places become sums, the rest of them is free. */
static void multiply_many(const nrv_mve_depthwise_t *p, const uint32_t *w, const int8_t *plane,
                          const nrv_mve_block_t *block, int32_t blocks, int8_t *output)
{
    const int32x4_t zero = vdupq_n_s32(p->output_zero);
    const int32x4_t low = vdupq_n_s32(p->act_min);
    const int32x4_t high = vdupq_n_s32(p->act_max);
    const int32_t groups = p->groups;
    for (int32_t unit = 0; unit < p->in_c; unit++) {
        const uint32_t *taps = w;
        const nrv_mve_block_t *at = block;
        int32_t left = blocks;
        int32_t a0, a1, a2, a3;
        const int8_t *c0, *c1, *c2, *c3;
        __asm__ volatile(
            "0:\n\t"
            "vldrw.u32 q1, [%[at]], #16\n\t"
            "ldr lr, %[groups]\n\t"
            "vadd.i32 q1, q1, %[plane]\n\t"
            "vmov %[c0], %[c2], q1[2], q1[0]\n\t"
            "vmov %[c1], %[c3], q1[3], q1[1]\n\t"
            "movs %[a0], #0\n\t"
            "movs %[a1], #0\n\t"
            "movs %[a2], #0\n\t"
            "movs %[a3], #0\n\t"
            "dls lr, lr\n"
            "1:\n\t"
            "vldrb.u8 q0, [%[taps]], #16\n\t"
            "vldrb.u8 q1, [%[c0]], #16\n\t"
            "vmladava.s8 %[a0], q0, q1\n\t"
            "vldrb.u8 q1, [%[c1]], #16\n\t"
            "vmladava.s8 %[a1], q0, q1\n\t"
            "vldrb.u8 q1, [%[c2]], #16\n\t"
            "vmladava.s8 %[a2], q0, q1\n\t"
            "vldrb.u8 q1, [%[c3]], #16\n\t"
            "vmladava.s8 %[a3], q0, q1\n\t"
            "le lr, 1b\n\t"
            "ldrd %[c0], %[c1], [%[taps]]\n\t"
            "ldr %[c2], [%[taps], #8]\n\t"
            "vmov q1[2], q1[0], %[a0], %[a2]\n\t"
            "vmov q1[3], q1[1], %[a1], %[a3]\n\t"
            "ldr %[taps], %[w]\n\t"
            "vadd.i32 q1, q1, %[c0]\n\t"
            "vqrdmulh.s32 q1, q1, %[c1]\n\t" HALVES_AWAY
            "vrshl.s32 q1, %[c2]\n\t"
            "vldrw.u32 q2, [%[at]], #16\n\t" CLAMP
            "vstrb.32 q1, [%[output], q2]\n\t"
            "subs %[left], %[left], #1\n\t"
            "bne 0b\n\t"
            : [taps] "+r"(taps), [at] "+r"(at), [left] "+r"(left), [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2),
              [a3] "=&Te"(a3), [c0] "=&r"(c0), [c1] "=&r"(c1), [c2] "=&r"(c2), [c3] "=&r"(c3)
            : [plane] "r"(plane), [output] "r"(output), [groups] "m"(groups), [w] "m"(w), [zero] "w"(zero),
              [low] "w"(low), [high] "w"(high)
            : "q0", "q1", "q2", "lr", "cc", "memory");
        w += p->channel_multiplier * (p->groups * 4 + 3);
        plane += p->plane;
        output += p->channel_multiplier;
    }
}

/* In assembly because the compiler runs out of registers. */
static void multiply_units(const nrv_mve_depthwise_t *p, const uint32_t *w, const int8_t *plane,
                           const nrv_mve_block_t *block, int32_t blocks, int8_t *output)
{
    const int32x4_t zero = vdupq_n_s32(p->output_zero);
    const int32x4_t low = vdupq_n_s32(p->act_min);
    const int32x4_t high = vdupq_n_s32(p->act_max);
    const int32_t plane_step = p->plane;
    const int32_t output_step = p->channel_multiplier;
    const int32_t skip = (p->channel_multiplier - 1) * (p->groups * 4 + 3) * 4; /* bytes */
    const nrv_mve_block_t *at;
    int32_t units = p->in_c;
    int32_t a0, a1, a2, a3, bias, multiplier, shift;
    if (p->groups > 2) {
        multiply_many(p, w, plane, block, blocks, output);
    } else if (p->groups == 1 && p->cut_below_zero) {
        UNITS_LOOP("", MULTIPLY_ONE, "");
    } else if (p->groups == 1) {
        UNITS_LOOP("", MULTIPLY_ONE, HALVES_AWAY);
    } else {
        UNITS_LOOP(LOAD_TWO, MULTIPLY_TWO, HALVES_AWAY);
    }
}

#else

static void multiply_units(const nrv_mve_depthwise_t *p, const uint32_t *w, const int8_t *plane,
                           const nrv_mve_block_t *block, int32_t blocks, int8_t *output)
{
    const int32_t taps = p->groups * NRV_MVE_LANES;
    const int32_t words = p->groups * 4 + 3;
    for (int32_t c = 0; c < p->in_c; c++, w += p->channel_multiplier * words, plane += p->plane) {
        const int8_t *const weights = (const int8_t *)w;
        const uint32_t *const scale = w + p->groups * 4;
        for (int32_t i = 0; i < blocks * BLOCK; i++) {
            const int8_t *const x = plane + block[i / BLOCK].start[i % BLOCK];
            int32_t acc = (int32_t)scale[0];
            for (int32_t tap = 0; tap < taps; tap++) {
                acc += weights[tap] * x[tap];
            }
            const int32_t value = nrv_requantize(acc, (int32_t)scale[1], (int32_t)scale[2]) + p->output_zero;
            output[block[i / BLOCK].offset[i % BLOCK]] = nrv_clamp8(value, p->act_min, p->act_max);
        }
        output += p->channel_multiplier;
    }
}

#endif

void nrv_mve_depthwise(const nrv_mve_depthwise_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    nrv_mve_block_t *const block = (nrv_mve_block_t *)(void *)scratch; /* the arena's buffers start on words */
    int8_t *const planes = (int8_t *)(block + (p->rows * p->columns + BLOCK - 1) / BLOCK);
    const int32_t out_c = p->in_c * p->channel_multiplier;
    const int32_t down = (w->out_h + p->rows - 1) / p->rows; /* stripes */
    const int32_t across = (w->out_w + p->columns - 1) / p->columns;
    int32_t placed_rows = 0; /* what the blocks in scratch are for */
    int32_t placed_columns = 0;
    int32_t blocks = 0;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t i = 0; i < down; i++) {
            const int32_t y = i * p->rows;
            const int32_t rows = nrv_min(p->rows, w->out_h - y);
            for (int32_t j = 0; j < across; j++) {
                const int32_t x = j * p->columns;
                const int32_t columns = nrv_min(p->columns, w->out_w - x);
                if (rows != placed_rows || columns != placed_columns) {
                    blocks = place_blocks(p, rows, columns, block);
                    placed_rows = rows;
                    placed_columns = columns;
                }
                fill_planes(p, input, y, x, rows, columns, planes);
                for (int32_t m = 0; m < p->channel_multiplier; m++) {
                    int8_t *const to = output + (y * w->out_w + x) * out_c + m;
                    multiply_units(p, p->stream + m * (p->groups * 4 + 3), planes, block, blocks, to);
                }
            }
        }
        input += w->in_h * w->in_w * p->in_c;
        output += w->out_h * w->out_w * out_c;
    }
}
