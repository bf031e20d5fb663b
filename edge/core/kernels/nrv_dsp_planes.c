#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_dsp_planes.h"

#include "nrv_dsp.h"
#include "nrv_dsp_clamp.h"

enum { BLOCK = 4 /* outputs of a line, taps of a group */ };

/* One channel of a picture, `input` pointing at its first value. */
static __attribute__((noinline)) void fill_plane(const nrv_dsp_planes_t *p, const int8_t *input, int16_t *to)
{
    const int32_t step = p->in_step;
    const int16_t zero = (int16_t)p->input_zero;
    const int32_t most = p->pitch - p->taps_before;
    const int32_t length = p->in_length < most ? p->in_length : most;
    input -= p->lines_before * p->in_line_step;
    for (int32_t i = 0; i < p->plane_lines; i++, input += p->in_line_step) {
        const int32_t line = i - p->lines_before;
        const int8_t *from = input;
        int16_t *const start = to + p->taps_before;
        int16_t *const end = start + (line >= 0 && line < p->in_lines ? length : 0);
        int16_t *const next = to + p->pitch;
        while (to < start) {
            *to++ = zero;
        }
        for (; to < end - 3; to += 4) {
            to[0] = from[0];
            to[1] = from[step];
            from += 2 * step;
            to[2] = from[0];
            to[3] = from[step];
            from += 2 * step;
        }
        for (; to < end; from += step) {
            *to++ = *from;
        }
        while (to < next) {
            *to++ = zero;
        }
    }
}

#ifdef NRV_DSP_ASM

/*
 * Four taps by four outputs. x: inputs 0, 1; e1: 2, 3; y: 2, 1; after it the same for the taps that follow, with e3 in
 * e1's place. y's halves have changed places, as one instruction makes it.
 */
#define GROUP(e1, e3)                                                                                                  \
    "ldrd %[wa], %[wb], [%[w]], #8\n\t"                                                                                \
    "smlad %[a0], %[wa], %[x], %[a0]\n\t"                                                                              \
    "smladx %[a1], %[wa], %[y], %[a1]\n\t"                                                                             \
    "smlad %[a2], %[wa], %[" e1 "], %[a2]\n\t"                                                                         \
    "smlad %[a0], %[wb], %[" e1 "], %[a0]\n\t"                                                                         \
    "ldrd %[x], %[" e3 "], [%[at]], #8\n\t"                                                                            \
    "pkhbt %[y], %[x], %[" e1 "]\n\t"                                                                                  \
    "smladx %[a3], %[wa], %[y], %[a3]\n\t"                                                                             \
    "smladx %[a1], %[wb], %[y], %[a1]\n\t"                                                                             \
    "smlad %[a2], %[wb], %[x], %[a2]\n\t"                                                                              \
    "pkhbt %[y], %[" e3 "], %[x]\n\t"                                                                                  \
    "smladx %[a3], %[wb], %[y], %[a3]\n\t"

/* `blocks` times four outputs of a line, saturated to int8 only. In assembly for the registers. */
static __attribute__((noinline)) void multiply(const nrv_dsp_planes_t *p, const uint32_t *stream, const int16_t *plane,
                                               int32_t blocks, int32_t out_step, int8_t *output)
{
    const int16_t *start = plane;
    const int16_t *const end = plane + BLOCK * blocks;
    const int32_t all_lines = p->kernel_lines;
    const int32_t groups_and_one = p->groups + 1;
    const int32_t line_step = 2 * p->line_dilation * p->pitch - 8 * groups_and_one;
    const int32_t halves_up = p->cut_below_zero;
    uint32_t a0, a1, a2, a3, w, at, wa, wb, x, y, e, f, n, lines;
    __asm__ volatile(
        "0:\n\t"
        "ldr %[w], %[stream]\n\t"
        "ldr %[at], %[start]\n\t"
        "ldr %[lines], %[all_lines]\n\t"
        "ldr %[a0], [%[w]], #4\n\t"
        "mov %[a1], %[a0]\n\t"
        "mov %[a2], %[a0]\n\t"
        "mov %[a3], %[a0]\n"
        "1:\n\t"
        "ldrd %[x], %[e], [%[at]], #8\n\t"
        "ldr %[n], %[groups_and_one]\n\t"
        "pkhbt %[y], %[e], %[x]\n\t"
        "lsrs %[n], %[n], #1\n\t" /* an odd number starts in the middle */
        "bcs 2f\n\t"
        "mov %[f], %[e]\n\t"
        "b 3f\n"
        "2:\n\t" GROUP("e", "f")
        "3:\n\t" GROUP("f", "e")
        "subs %[n], %[n], #1\n\t"
        "bne 2b\n\t"
        "ldr %[x], %[line_step]\n\t"
        "subs %[lines], %[lines], #1\n\t"
        "add %[at], %[at], %[x]\n\t"
        "bne 1b\n\t"
        "ldr %[n], %[halves_up]\n\t"
        NRV_DSP_SCALE
        "cmp %[n], #0\n\t"
        "bne 4f\n\t"
        NRV_DSP_HALVES_AWAY("a0") NRV_DSP_HALVES_AWAY("a1") NRV_DSP_HALVES_AWAY("a2") NRV_DSP_HALVES_AWAY("a3")
        "b 5f\n"
        "4:\n\t"
        NRV_DSP_HALVES_UP("a0") NRV_DSP_HALVES_UP("a1") NRV_DSP_HALVES_UP("a2") NRV_DSP_HALVES_UP("a3")
        "5:\n\t"
        "ldr %[at], %[output]\n\t"
        "ldr %[n], %[out_step]\n\t"
        "ldr %[x], %[start]\n\t"
        "ldr %[y], %[end]\n\t"
        "strb %[a0], [%[at]]\n\t"
        "strb %[a1], [%[at], %[n]]\n\t"
        "add %[at], %[at], %[n], lsl #1\n\t"
        "strb %[a2], [%[at]]\n\t"
        "strb %[a3], [%[at], %[n]]\n\t"
        "add %[at], %[at], %[n], lsl #1\n\t"
        "str %[at], %[output]\n\t"
        "adds %[x], %[x], #8\n\t"
        "str %[x], %[start]\n\t"
        "cmp %[x], %[y]\n\t"
        "bne 0b"
        : [w] "=&r"(w), [a0] "=&r"(a0), [a1] "=&r"(a1), [a2] "=&r"(a2), [a3] "=&r"(a3), [at] "=&r"(at),
          [wa] "=&r"(wa), [wb] "=&r"(wb), [x] "=&r"(x), [y] "=&r"(y), [e] "=&r"(e), [f] "=&r"(f), [n] "=&r"(n),
          [lines] "=&r"(lines), [output] "+m"(output), [start] "+m"(start)
        : [stream] "m"(stream), [end] "m"(end), [all_lines] "m"(all_lines), [groups_and_one] "m"(groups_and_one),
          [line_step] "m"(line_step), [out_step] "m"(out_step), [halves_up] "m"(halves_up)
        : "cc", "memory");
}

#else

static __attribute__((noinline)) void multiply(const nrv_dsp_planes_t *p, const uint32_t *stream, const int16_t *plane,
                                               int32_t blocks, int32_t out_step, int8_t *output)
{
    for (int32_t i = 0; i < BLOCK * blocks; i++, plane++, output += out_step) {
        const uint32_t *w = stream;
        int32_t acc = (int32_t)*w++;
        for (int32_t line = 0; line < p->kernel_lines; line++) {
            const int16_t *taps = plane + line * p->line_dilation * p->pitch;
            for (int32_t pair = 0; pair < 2 * p->groups; pair++, taps += 2) {
                uint32_t two;
                memcpy(&two, taps, sizeof two);
                acc = nrv_dual_mul_add(two, *w++, acc);
            }
        }
        *output = nrv_dsp_requantize(acc, (int32_t)w[0], (int32_t)w[1], p->cut_below_zero);
    }
}

#endif

/* All outputs of a channel by one filter. */
static void filter_plane(const nrv_dsp_planes_t *p, const uint32_t *stream, const int16_t *plane, int8_t *output)
{
    const int32_t blocks = p->out_length / BLOCK;
    const int32_t rest = p->out_length % BLOCK;
    for (int32_t line = 0; line < p->out_lines; line++) {
        if (blocks > 0) {
            multiply(p, stream, plane, blocks, p->out_step, output);
        }
        if (rest > 0) {
            int8_t four[BLOCK];
            multiply(p, stream, plane + BLOCK * blocks, 1, 1, four);
            int8_t *to = output + BLOCK * blocks * p->out_step;
            for (int32_t i = 0; i < rest; i++, to += p->out_step) {
                *to = four[i];
            }
        }
        plane += p->line_stride * p->pitch;
        output += p->out_line_step;
    }
}

void nrv_dsp_planes(const nrv_dsp_planes_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    int16_t *const plane = (int16_t *)(void *)scratch; /* the arena's buffers start on words */
    const int32_t out_c = p->channels * p->multiplier;
    const int32_t out_size = p->out_lines * p->out_length * out_c;
    for (int32_t batch = 0; batch < p->batches; batch++, output += out_size) {
        const uint32_t *stream = p->stream;
        for (int32_t c = 0; c < out_c; c++, stream += p->filter_words) {
            if (c % p->multiplier == 0) {
                fill_plane(p, input + c / p->multiplier, plane);
            }
            filter_plane(p, stream, plane, output + c);
        }
        input += p->in_lines * p->in_length * p->channels;
        nrv_dsp_clamp(output, out_size, p->act_min, p->act_max);
    }
}
