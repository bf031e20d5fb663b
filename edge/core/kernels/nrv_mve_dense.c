#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_mve_dense.h"

#include "nrv_clamp.h"
#include "nrv_mve.h"
#include "nrv_scale.h"

enum { ROWS = 4 /* of weights */ };

#ifdef NRV_MVE_ASM
#include <arm_mve.h>
#endif

/* sums[i] += x . row[i], over `taps` values; nothing beyond them is read. */
static inline void add_products(const int8_t *x, const int8_t *const row[ROWS], int32_t taps, int32_t sums[ROWS])
{
#ifdef NRV_MVE_ASM
    const int8_t *r0 = row[0];
    const int8_t *r1 = row[1];
    const int8_t *r2 = row[2];
    const int8_t *r3 = row[3];
    int32_t a0 = sums[0];
    int32_t a1 = sums[1];
    int32_t a2 = sums[2];
    int32_t a3 = sums[3];
    __asm__ volatile(
        "wlstp.8 lr, %[taps], 2f\n"
        "1:\n\t"
        "vldrb.8 q0, [%[x]], #16\n\t"
        "vldrb.8 q1, [%[r0]], #16\n\t"
        "vmladava.s8 %[a0], q0, q1\n\t"
        "vldrb.8 q1, [%[r1]], #16\n\t"
        "vmladava.s8 %[a1], q0, q1\n\t"
        "vldrb.8 q1, [%[r2]], #16\n\t"
        "vmladava.s8 %[a2], q0, q1\n\t"
        "vldrb.8 q1, [%[r3]], #16\n\t"
        "vmladava.s8 %[a3], q0, q1\n\t"
        "letp lr, 1b\n"
        "2:\n\t"
        : [x] "+r"(x), [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3), [a0] "+Te"(a0), [a1] "+Te"(a1),
          [a2] "+Te"(a2), [a3] "+Te"(a3)
        : [taps] "r"(taps)
        : "q0", "q1", "lr", "memory");
    sums[0] = a0;
    sums[1] = a1;
    sums[2] = a2;
    sums[3] = a3;
#else
    for (int32_t i = 0; i < ROWS; i++) {
        for (int32_t tap = 0; tap < taps; tap++) {
            sums[i] += x[tap] * row[i][tap];
        }
    }
#endif
}

/* Four sums, their biases not yet added, to outputs. */
static inline void scale_four(const nrv_mve_dense_t *p, const int32_t sums[ROWS], const int32_t *scale, int32_t count,
                              int8_t *output)
{
#ifdef NRV_MVE_ASM
    int32x4_t y = vaddq_s32(vldrwq_s32(sums), vldrwq_s32(scale));
    y = vaddq_s32(vmulhq_s32(vshlq_r_s32(y, p->raised), vldrwq_s32(scale + ROWS)), vldrwq_s32(scale + 2 * ROWS));
    y = vmaxq_s32(vshlq_s32(y, vldrwq_s32(scale + 3 * ROWS)), vdupq_n_s32(p->dense.act_min));
    vstrbq_p_s32(output, vminq_s32(y, vdupq_n_s32(p->dense.act_max)), vctp32q((uint32_t)count));
#else
    for (int32_t i = 0; i < count; i++) {
        const int64_t sum = (int64_t)(sums[i] + scale[i]) * (1 << p->raised);
        const int32_t y = (int32_t)(sum * scale[ROWS + i] >> 32) + scale[2 * ROWS + i];
        output[i] = nrv_clamp8(y >> -scale[3 * ROWS + i], p->dense.act_min, p->dense.act_max);
    }
#endif
}

/* The same by 64-bit products. */
static void scale_each(const nrv_dense_t *p, const int32_t sums[ROWS], int32_t unit, int32_t count, int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t u = unit + i;
        const int32_t value = nrv_scale_once(sums[i] + p->bias[u], p->multiplier[u], p->shift[u]) + p->output_zero;
        output[i] = nrv_clamp8(value, p->act_min, p->act_max);
    }
}

void nrv_mve_dense(const nrv_mve_dense_t *p, const int8_t *input, int8_t *output)
{
    const nrv_dense_t *d = &p->dense;
    for (int32_t row = 0; row < d->rows; row++, input += d->depth, output += d->units) {
        for (int32_t unit = 0; unit < d->units; unit += ROWS) {
            const int32_t count = d->units - unit < ROWS ? d->units - unit : ROWS;
            const int8_t *weights[ROWS];
            int32_t sums[ROWS] = {0, 0, 0, 0};
            for (int32_t i = 0; i < ROWS; i++) {
                weights[i] = d->weights + (unit + (i < count ? i : 0)) * d->depth; /* the missing rows repeat one */
            }
            add_products(input, weights, d->depth, sums);
            if (p->scales != 0) {
                scale_four(p, sums, p->scales + 4 * unit, count, output + unit);
            } else {
                scale_each(d, sums, unit, count, output + unit);
            }
        }
    }
}
