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
/* At the end of a list of clobbered registers: the predicate, which compilers take to be kept where it is not named. */
#ifdef __clang__
#define NRV_MVE_P0
#else
#define NRV_MVE_P0 , "p0"
#endif
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

/* `rows` stretches of `count` bytes, at least one of each; stretches start at these steps. */
static inline void nrv_mve_copy_rows(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step, int32_t count,
                                     int32_t rows)
{
#ifdef NRV_MVE_ASM
    const int32_t taken = (count + NRV_MVE_LANES - 1) / NRV_MVE_LANES * NRV_MVE_LANES;
    __asm__ volatile(
        "1:\n\t"
        "dlstp.8 lr, %[count]\n"
        "2:\n\t"
        "vldrb.8 q0, [%[from]], #16\n\t"
        "vstrb.8 q0, [%[to]], #16\n\t"
        "letp lr, 2b\n\t"
        "add %[from], %[from], %[from_step]\n\t"
        "add %[to], %[to], %[to_step]\n\t"
        "subs %[rows], %[rows], #1\n\t"
        "bne 1b\n\t"
        : [to] "+r"(to), [from] "+r"(from), [rows] "+r"(rows)
        : [count] "r"(count), [from_step] "r"(from_step - taken), [to_step] "r"(to_step - taken)
        : "lr", "q0", "cc", "memory");
#else
    for (; rows > 0; rows--, to += to_step, from += from_step) {
        memcpy(to, from, (size_t)count);
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
