#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_mve_dense.h"

#include "nrv_clamp.h"
#include "nrv_mve.h"
#include "nrv_scale.h"

enum { ROWS = 4 /* of weights */ };

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

void nrv_mve_dense(const nrv_dense_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++, input += p->depth) {
        for (int32_t unit = 0; unit < p->units; unit += ROWS) {
            const int32_t count = p->units - unit < ROWS ? p->units - unit : ROWS;
            const int8_t *weights[ROWS];
            int32_t sums[ROWS];
            for (int32_t i = 0; i < ROWS; i++) {
                const int32_t u = unit + (i < count ? i : 0); /* the missing rows repeat one */
                weights[i] = p->weights + u * p->depth;
                sums[i] = p->bias[u];
            }
            add_products(input, weights, p->depth, sums);
            for (int32_t i = 0; i < count; i++) {
                const int32_t value =
                    nrv_scale_once(sums[i], p->multiplier[unit + i], p->shift[unit + i]) + p->output_zero;
                *output++ = nrv_clamp8(value, p->act_min, p->act_max);
            }
        }
    }
}
