#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_mve_lstm.h"

#include "nrv_lstm_cell.h"
#include "nrv_mve_sigmoid.h"

#ifdef NRV_MVE_ASM

/* As in nrv_mve_matrix.h. */
static inline int32x4_t scaled(int32x4_t sum, int32_t multiplier, int32_t shift)
{
    const int32x4_t y = vqrdmulhq_n_s32(sum, multiplier);
    return vrshlq_n_s32(vaddq_s32(y, vshrq_n_s32(y, 31)), shift);
}

/* What units are multiplied with, and by: [units][taps] weights, [units] biases. */
typedef struct {
    const int8_t *x;
    int32_t taps;
    const int8_t *weights;
    const int32_t *bias;
    int32_t multiplier;
    int32_t shift;
} nrv_mve_product_t;

/*
 * Steps of a gate from four times `fours` units' products, requantized as in nrv_mve_matrix.h but for a shift of 0,
 * where there is nothing to round, and clipped to 16 bits; `add` adds what *from points at before that. In assembly
 * because the compiler runs out of registers.
 */
#define MULTIPLY(add)                                                                                                  \
    __asm__ volatile(                                                                                                  \
        "0:\n\t"                                                                                                       \
        "ldr %[r0], %[weights]\n\t"                                                                                    \
        "ldrd %[a0], %[a1], [%[bias]], #8\n\t"                                                                         \
        "ldrd %[a2], %[a3], [%[bias]], #8\n\t"                                                                         \
        "add %[r1], %[r0], %[taps]\n\t"                                                                                \
        "add %[r2], %[r1], %[taps]\n\t"                                                                                \
        "add %[r3], %[r2], %[taps]\n\t"                                                                                \
        "add %[x], %[r3], %[taps]\n\t"                                                                                 \
        "str %[x], %[weights]\n\t"                                                                                     \
        "ldr %[x], %[start]\n\t"                                                                                       \
        "wlstp.8 lr, %[taps], 2f\n"                                                                                    \
        "1:\n\t"                                                                                                       \
        "vldrb.8 q0, [%[x]], #16\n\t"                                                                                  \
        "vldrb.8 q1, [%[r0]], #16\n\t"                                                                                 \
        "vmladava.s8 %[a0], q0, q1\n\t"                                                                                \
        "vldrb.8 q1, [%[r1]], #16\n\t"                                                                                 \
        "vmladava.s8 %[a1], q0, q1\n\t"                                                                                \
        "vldrb.8 q1, [%[r2]], #16\n\t"                                                                                 \
        "vmladava.s8 %[a2], q0, q1\n\t"                                                                                \
        "vldrb.8 q1, [%[r3]], #16\n\t"                                                                                 \
        "vmladava.s8 %[a3], q0, q1\n\t"                                                                                \
        "letp lr, 1b\n"                                                                                                \
        "2:\n\t"                                                                                                       \
        "vmov q0[2], q0[0], %[a0], %[a2]\n\t"                                                                          \
        "vmov q0[3], q0[1], %[a1], %[a3]\n\t"                                                                          \
        "vqrdmulh.s32 q0, q0, %q[multiplier]\n\t"                                                                      \
        "vand q1, q0, %q[shift]\n\t"                                                                                   \
        "vshr.s32 q1, q1, #31\n\t"                                                                                     \
        "vadd.i32 q0, q0, q1\n\t"                                                                                      \
        "vrshl.s32 q0, q0, %q[shift]\n\t" add                                                                          \
        "ldr %[a0], %[fours]\n\t"                                                                                      \
        "vqmovnb.s32 q1, q0\n\t"                                                                                       \
        "subs %[a0], %[a0], #1\n\t"                                                                                    \
        "str %[a0], %[fours]\n\t"                                                                                      \
        "vstrh.32 q1, [%[to]], #8\n\t"                                                                                 \
        "bne 0b\n\t"                                                                                                   \
        : [bias] "+r"(bias), [from] "+r"(from), [to] "+r"(to), [x] "=&r"(x), [r0] "=&r"(r0), [r1] "=&r"(r1),           \
          [r2] "=&r"(r2), [r3] "=&r"(r3), [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2), [a3] "=&Te"(a3),          \
          [weights] "+m"(weights), [fours] "+m"(fours)                                                                 \
        : [taps] "r"(taps), [start] "m"(start), [multiplier] "w"(multiplier), [shift] "w"(shift)                     \
        : "q0", "q1", "lr", "cc", "memory")
#define ADD_FROM                                                                                                       \
    "vldrh.s32 q1, [%[from]], #8\n\t"                                                                                  \
    "vadd.i32 q0, q0, q1\n\t"

static void multiply_fours(const nrv_mve_product_t *p, int32_t unit, int32_t fours, const int16_t *from, int16_t *to)
{
    const int32x4_t multiplier = vdupq_n_s32(p->multiplier);
    const int32x4_t shift = vdupq_n_s32(p->shift);
    const int8_t *weights = p->weights + unit * p->taps;
    const int32_t *bias = p->bias + unit;
    const int8_t *const start = p->x;
    const int32_t taps = p->taps;
    const int8_t *x, *r0, *r1, *r2, *r3;
    int32_t a0, a1, a2, a3;
    to += unit;
    if (from == 0) {
        MULTIPLY("");
    } else {
        from += unit;
        MULTIPLY(ADD_FROM);
    }
}

/* All units' steps of a gate; the last four overlap those before where they do not divide. */
static void multiply(const nrv_mve_product_t *p, int32_t units, const int16_t *from, int16_t *to)
{
    multiply_fours(p, 0, units / 4, from, to);
    if (units % 4 != 0) {
        multiply_fours(p, units - 4, 1, from, to);
    }
}

/* All gates in steps of 2^-12, [4][stride]; after them what the input adds to one. */
static void sum_gates(const nrv_lstm_t *p, const int8_t *input, const int8_t *hidden, int16_t *gates, int32_t stride)
{
    for (int32_t gate = 0; gate < 4; gate++) {
        const int32_t row = gate * p->units;
        const nrv_mve_product_t in = {input,           p->inputs,           p->weights + row * p->inputs,
                                      p->bias + row, p->multiplier[gate], p->shift[gate]};
        const nrv_mve_product_t state = {hidden,
                                         p->units,
                                         p->recurrent_weights + row * p->units,
                                         p->recurrent_bias + row,
                                         p->recurrent_multiplier[gate],
                                         p->recurrent_shift[gate]};
        multiply(&in, p->units, 0, gates + 4 * stride);
        multiply(&state, p->units, gates + 4 * stride, gates + gate * stride);
    }
}

/* a * b / 2^places in eight lanes, halves away from zero; `minus` is -places, and the result fits 16 bits. */
static inline int16x8_t product(int16x8_t a, int16x8_t b, int32_t minus)
{
    int32x4_t even = vmullbq_int_s16(a, b);
    int32x4_t odd = vmulltq_int_s16(a, b);
    even = vrshlq_n_s32(vaddq_s32(even, vshrq_n_s32(even, 31)), minus);
    odd = vrshlq_n_s32(vaddq_s32(odd, vshrq_n_s32(odd, 31)), minus);
    return vmovntq_s32(vmovnbq_s32(vdupq_n_s16(0), even), odd);
}

/* a * b to the hidden state. */
static inline int16x8_t shown(const nrv_lstm_t *p, int16x8_t a, int16x8_t b)
{
    int32x4_t even = scaled(vmullbq_int_s16(a, b), p->hidden_multiplier, p->hidden_shift);
    int32x4_t odd = scaled(vmulltq_int_s16(a, b), p->hidden_multiplier, p->hidden_shift);
    even = vaddq_n_s32(even, p->hidden_zero);
    odd = vaddq_n_s32(odd, p->hidden_zero);
    const int16x8_t both = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
    return vmaxq_s16(vminq_s16(both, vdupq_n_s16(INT8_MAX)), vdupq_n_s16(INT8_MIN));
}

/* nrv_lstm_cell() of all units, eight at a time. */
static void next_states(const nrv_lstm_t *p, const int16_t *gates, int32_t stride, int16_t *cell, int8_t *hidden,
                        int8_t *output)
{
    const int16x8_t highest = vdupq_n_s16(nrv_sat16(p->cell_clip));
    const int16x8_t lowest = vdupq_n_s16(nrv_sat16(-p->cell_clip));
    for (int32_t left = p->units; left > 0; left -= 8, gates += 8, cell += 8, hidden += 8, output += 8) {
        const mve_pred16_t some = vctp16q((uint32_t)left);
        const int16x8_t input = nrv_mve_sigmoid15(vldrhq_s16(gates));
        int16x8_t next = product(input, nrv_mve_tanh15(vldrhq_s16(gates + 2 * stride), 3), -15 - p->cell_bits);
        const int16x8_t forget = nrv_mve_sigmoid15(vldrhq_s16(gates + stride));
        next = vqaddq_s16(next, product(forget, vldrhq_z_s16(cell, some), -15));
        next = vmaxq_s16(vminq_s16(next, highest), lowest);
        vstrhq_p_s16(cell, next, some);
        const int16x8_t out = nrv_mve_sigmoid15(vldrhq_s16(gates + 3 * stride));
        const int16x8_t state = shown(p, out, nrv_mve_tanh15(next, p->cell_bits));
        vstrbq_p_s16(hidden, state, some);
        vstrbq_p_s16(output, state, some);
    }
}

#else

static int32_t dot(const int8_t *a, const int8_t *b, int32_t count)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void sum_gates(const nrv_lstm_t *p, const int8_t *input, const int8_t *hidden, int16_t *gates, int32_t stride)
{
    for (int32_t row = 0; row < 4 * p->units; row++) {
        const int32_t gate = row / p->units;
        const int32_t x = dot(p->weights + row * p->inputs, input, p->inputs) + p->bias[row];
        const int32_t h = dot(p->recurrent_weights + row * p->units, hidden, p->units) + p->recurrent_bias[row];
        const int32_t from_input = nrv_sat16(nrv_requantize(x, p->multiplier[gate], p->shift[gate]));
        const int32_t from_hidden = nrv_requantize(h, p->recurrent_multiplier[gate], p->recurrent_shift[gate]);
        gates[gate * stride + row % p->units] = nrv_sat16(from_input + from_hidden);
    }
}

static void next_states(const nrv_lstm_t *p, const int16_t *gates, int32_t stride, int16_t *cell, int8_t *hidden,
                        int8_t *output)
{
    for (int32_t unit = 0; unit < p->units; unit++, gates++) {
        const int32_t four[4] = {gates[0], gates[stride], gates[2 * stride], gates[3 * stride]};
        cell[unit] = nrv_lstm_cell(p, four, cell[unit], &hidden[unit]);
        output[unit] = hidden[unit];
    }
}

#endif

void nrv_mve_lstm(const nrv_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell)
{
    int16_t *const gates = (int16_t *)(void *)scratch; /* the arena's buffers start on words */
    int16_t *cells = (int16_t *)(void *)cell;
    const int32_t stride = (p->units + 7) / 8 * 8;
    for (int32_t batch = 0; batch < p->batches; batch++, hidden += p->units, cells += p->units) {
        for (int32_t step = 0; step < p->steps; step++, input += p->inputs, output += p->units) {
            sum_gates(p, input, hidden, gates, stride);
            next_states(p, gates, stride, cells, hidden, output);
        }
    }
}
