#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_mve_matmul.h"

#include "fixed.h"
#include "nrv_mve.h"

enum { BLOCK = 4 /* columns at a time */ };

/*
 * (x - x0) . (y - y0) = x . y - y0 sum(x) + (n x0 y0 - x0 sum(y)) for n taps: the last part, of four columns. All of
 * these sums may wrap; what comes out does not.
 */
typedef struct {
    int32_t offset[BLOCK];
} nrv_mve_block_t;

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

/* A column's taps, in turns of eight, to where those of four columns lie in turns of sixteen; returns their sum. */
static inline int32_t pack_column(const nrv_matmul_t *p, const int8_t *from, int8_t *to)
{
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)p->second_step[1]);
    int32_t sum = 0;
    for (int32_t tap = 0; tap < p->depth; tap += 8, from += 8 * p->second_step[1]) {
        const int16x8_t taps = vldrbq_gather_offset_z_s16(from, places, vctp16q((uint32_t)(p->depth - tap)));
        vstrbq_s16(to + tap % NRV_MVE_LANES, taps);
        sum = vaddvaq_s16(sum, taps);
        to += tap % NRV_MVE_LANES == 0 ? 0 : BLOCK * NRV_MVE_LANES;
    }
    return sum;
}

#else

static inline int32_t pack_column(const nrv_matmul_t *p, const int8_t *from, int8_t *to)
{
    int32_t sum = 0;
    for (int32_t tap = 0; tap < p->depth; tap++, from += p->second_step[1]) {
        to[tap / NRV_MVE_LANES * BLOCK * NRV_MVE_LANES + tap % NRV_MVE_LANES] = *from;
        sum += *from;
    }
    return sum;
}

#endif

/* Four columns; those beyond `count` repeat the first one. What fills a group up is not used. */
static void pack(const nrv_matmul_t *p, const int8_t *column, int32_t count, int8_t *packed, nrv_mve_block_t *block)
{
    for (int32_t c = 0; c < BLOCK; c++) {
        const int8_t *const from = column + (c < count ? c : 0) * p->second_step[0];
        const int32_t sum = pack_column(p, from, packed + c * NRV_MVE_LANES);
        block->offset[c] = p->zero[0] * (p->depth * p->zero[1] - sum);
    }
}

#ifdef NRV_MVE_ASM

#define MULTIPLY(a)                                                                                                    \
    "vldrb.8 q1, [%[y]], #16\n\t"                                                                                      \
    "vmladava.s8 %[" a "], q0, q1\n\t"

/* From sums of a row's products in a0 to a3 and of its values to `count` outputs; halves as in nrv_mve_matrix.h. */
#define SCALE_FOUR                                                                                                     \
    "vmov q0[2], q0[0], %[a0], %[a2]\n\t"                                                                              \
    "vmov q0[3], q0[1], %[a1], %[a3]\n\t"                                                                              \
    "ldr %[a0], %[y_zero]\n\t"                                                                                         \
    "mul %[sum], %[sum], %[a0]\n\t"                                                                                    \
    "vadd.i32 q0, q0, %q[offsets]\n\t"                                                                                 \
    "vsub.i32 q0, q0, %[sum]\n\t"                                                                                      \
    "vqrdmulh.s32 q0, q0, %q[multiplier]\n\t"                                                                          \
    "vshr.s32 q1, q0, #31\n\t"                                                                                         \
    "vadd.i32 q0, q0, q1\n\t"                                                                                          \
    "ldr %[a2], %[shift]\n\t"                                                                                          \
    "ldr %[a3], %[zero]\n\t"                                                                                           \
    "vrshl.s32 q0, %[a2]\n\t"                                                                                          \
    "ldr %[a0], %[x_step]\n\t"                                                                                         \
    "ldr %[a1], %[output_step]\n\t"                                                                                    \
    "vqadd.s32 q0, q0, %[a3]\n\t"                                                                                      \
    "vqmovnb.s32 q0, q0\n\t"                                                                                           \
    "vqmovnb.s16 q0, q0\n\t"                                                                                           \
    "vmsr p0, %[some]\n\t"                                                                                             \
    "vpst\n\t"                                                                                                         \
    "vstrbt.32 q0, [%[output]]\n\t"                                                                                    \
    "add %[x], %[x], %[a0]\n\t"                                                                                        \
    "add %[output], %[output], %[a1]\n\t"                                                                              \
    "subs %[rows], %[rows], #1\n\t"                                                                                    \
    "bne 0b\n\t"

/* All rows of up to sixteen taps: the columns stay in registers. */
static void multiply_short_rows(const nrv_matmul_t *p, const int8_t *x, const int8_t *packed,
                                const nrv_mve_block_t *block, int32_t count, int8_t *output)
{
    const mve_pred16_t taps = vctp8q((uint32_t)p->depth);
    const int32x4_t offsets = vldrwq_s32(block->offset);
    const int32x4_t multiplier = vdupq_n_s32(p->multiplier);
    const int8x16_t y0 = vldrbq_z_s8(packed, taps);
    const int8x16_t y1 = vldrbq_z_s8(packed + NRV_MVE_LANES, taps);
    const int8x16_t y2 = vldrbq_z_s8(packed + 2 * NRV_MVE_LANES, taps);
    const int8x16_t y3 = vldrbq_z_s8(packed + 3 * NRV_MVE_LANES, taps);
    const int32_t x_step = p->first_step[0];
    const int32_t output_step = p->columns;
    const int32_t y_zero = p->zero[1];
    const int32_t shift = p->shift;
    const int32_t zero = p->output_zero;
    const int32_t some = (1 << 4 * count) - 1; /* lanes' bytes */
    int32_t rows = p->rows;
    int32_t a0, a1, a2, a3, sum;
    __asm__ volatile(
        "0:\n\t"
        "vctp.8 %[depth]\n\t"
        "vpst\n\t"
        "vldrbt.u8 q0, [%[x]]\n\t"
        "vmladav.s8 %[a0], q0, %q[y0]\n\t"
        "vmladav.s8 %[a1], q0, %q[y1]\n\t"
        "vmladav.s8 %[a2], q0, %q[y2]\n\t"
        "vmladav.s8 %[a3], q0, %q[y3]\n\t"
        "vaddv.s8 %[sum], q0\n\t"
        SCALE_FOUR
        : [x] "+r"(x), [output] "+l"(output), [rows] "+r"(rows), [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2),
          [a3] "=&Te"(a3), [sum] "=&Te"(sum)
        : [depth] "r"(p->depth), [some] "r"(some), [y0] "w"(y0), [y1] "w"(y1), [y2] "w"(y2), [y3] "w"(y3),
          [offsets] "w"(offsets), [multiplier] "w"(multiplier), [shift] "m"(shift), [zero] "m"(zero),
          [x_step] "m"(x_step), [output_step] "m"(output_step), [y_zero] "m"(y_zero)
        : "q0", "q1", "cc", "memory" NRV_MVE_P0);
}

/* All rows against the first `count` columns of a block. */
static void multiply_rows(const nrv_matmul_t *p, const int8_t *x, const int8_t *packed, const nrv_mve_block_t *block,
                          int32_t count, int8_t *output)
{
    if (p->depth <= NRV_MVE_LANES) {
        multiply_short_rows(p, x, packed, block, count, output);
        return;
    }
    const int32_t groups = (p->depth + NRV_MVE_LANES - 1) / NRV_MVE_LANES;
    const int32x4_t offsets = vldrwq_s32(block->offset);
    const int32x4_t multiplier = vdupq_n_s32(p->multiplier);
    const int32_t shift = p->shift;
    const int32_t zero = p->output_zero;
    const int32_t x_step = p->first_step[0] - groups * NRV_MVE_LANES;
    const int32_t output_step = p->columns;
    const int32_t y_zero = p->zero[1];
    const int32_t some = (1 << 4 * count) - 1; /* lanes' bytes */
    const int8_t *y;
    int32_t rows = p->rows;
    int32_t a0, a1, a2, a3, sum;
    __asm__ volatile(
        "0:\n\t"
        "mov %[y], %[packed]\n\t"
        "movs %[a0], #0\n\t"
        "movs %[a1], #0\n\t"
        "movs %[a2], #0\n\t"
        "movs %[a3], #0\n\t"
        "movs %[sum], #0\n\t"
        "dlstp.8 lr, %[depth]\n"
        "1:\n\t"
        "vldrb.8 q0, [%[x]], #16\n\t"
        MULTIPLY("a0") MULTIPLY("a1") MULTIPLY("a2") MULTIPLY("a3")
        "vaddva.s8 %[sum], q0\n\t"
        "letp lr, 1b\n\t"
        SCALE_FOUR
        : [x] "+r"(x), [y] "=&r"(y), [output] "+l"(output), [rows] "+r"(rows), [a0] "=&Te"(a0), [a1] "=&Te"(a1),
          [a2] "=&Te"(a2), [a3] "=&Te"(a3), [sum] "=&Te"(sum)
        : [packed] "r"(packed), [depth] "r"(p->depth), [some] "r"(some), [offsets] "w"(offsets),
          [multiplier] "w"(multiplier), [shift] "m"(shift), [zero] "m"(zero), [x_step] "m"(x_step),
          [output_step] "m"(output_step), [y_zero] "m"(y_zero)
        : "q0", "q1", "lr", "cc", "memory" NRV_MVE_P0);
}

#else

static void multiply_rows(const nrv_matmul_t *p, const int8_t *x, const int8_t *packed, const nrv_mve_block_t *block,
                          int32_t count, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->first_step[0], output += p->columns) {
        for (int32_t c = 0; c < count; c++) {
            int32_t sum = 0;
            int32_t acc = block->offset[c];
            for (int32_t i = 0; i < p->depth; i++) {
                const int32_t group = i / NRV_MVE_LANES;
                acc += x[i] * packed[(group * BLOCK + c) * NRV_MVE_LANES + i % NRV_MVE_LANES];
                sum += x[i];
            }
            const int32_t value = nrv_requantize(acc - p->zero[1] * sum, p->multiplier, p->shift) + p->output_zero;
            output[c] = nrv_sat8(value);
        }
    }
}

#endif

void nrv_mve_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output, int8_t *scratch)
{
    const nrv_pairs_t *w = &p->batches;
    for (int32_t batch = 0; batch < nrv_pairs_rows(w); batch++, output += p->rows * p->columns) {
        const int8_t *const x = first + nrv_pairs_at(w, w->first_step, batch);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, batch);
        for (int32_t column = 0; column < p->columns; column += BLOCK, y += BLOCK * p->second_step[0]) {
            const int32_t count = p->columns - column < BLOCK ? p->columns - column : BLOCK;
            nrv_mve_block_t block;
            pack(p, y, count, scratch, &block);
            multiply_rows(p, x, scratch, &block, count, output + column);
        }
    }
}
