/* Sums of products of one int8 vector with four others. */
#ifndef NRV_MVE_DOT_H
#define NRV_MVE_DOT_H

#include "nrv_mve.h"

enum { NRV_MVE_ROWS = 4 };

/* sums[i] += x . row[i], over `taps` values; nothing beyond them is read. */
static inline void nrv_mve_dot_four(const int8_t *x, const int8_t *const row[NRV_MVE_ROWS], int32_t taps,
                                    int32_t sums[NRV_MVE_ROWS])
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
    for (int32_t i = 0; i < NRV_MVE_ROWS; i++) {
        for (int32_t tap = 0; tap < taps; tap++) {
            sums[i] += x[tap] * row[i][tap];
        }
    }
#endif
}

#endif
