/*
 * Helium, Arm's vector extension for Armv8.1-M (MVE, integers): what its kernels share. Each piece of assembly stands
 * beside what it does in plain C, so that the kernels run and are tested on any machine.
 */
#ifndef NRV_MVE_H
#define NRV_MVE_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#define NRV_MVE_ASM 1
#endif

enum { NRV_MVE_LANES = 16 /* of int8 in a vector */ };

/* memcpy without a call; the last vector is cut to what is left. */
static inline void nrv_mve_copy(int8_t *to, int32_t count, const int8_t *from)
{
#ifdef NRV_MVE_ASM
    if (count > 0) {
        __asm__ volatile(
            "wlstp.8 lr, %[count], 2f\n"
            "1:\n\t"
            "vldrb.8 q0, [%[from]], #16\n\t"
            "vstrb.8 q0, [%[to]], #16\n\t"
            "letp lr, 1b\n"
            "2:\n\t"
            : [to] "+r"(to), [from] "+r"(from)
            : [count] "r"(count)
            : "lr", "q0", "memory");
    }
#else
    for (; count > 0; count--) {
        *to++ = *from++;
    }
#endif
}

static inline void nrv_mve_fill(int8_t *to, int32_t count, int32_t value)
{
#ifdef NRV_MVE_ASM
    if (count > 0) {
        __asm__ volatile(
            "vdup.8 q0, %[value]\n\t"
            "wlstp.8 lr, %[count], 2f\n"
            "1:\n\t"
            "vstrb.8 q0, [%[to]], #16\n\t"
            "letp lr, 1b\n"
            "2:\n\t"
            : [to] "+r"(to)
            : [count] "r"(count), [value] "r"(value)
            : "lr", "q0", "memory");
    }
#else
    for (; count > 0; count--) {
        *to++ = (int8_t)value;
    }
#endif
}

#endif
