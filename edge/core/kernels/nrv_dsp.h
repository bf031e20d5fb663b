/*
 * The few instructions of Arm's DSP extension (Armv7E-M, Armv8-M) that C has no words for, each beside what it does
 * in plain C, so that kernels made of them run and are tested on any machine.
 *
 * Four int8 in memory become two words of two int16: even = (byte 0, byte 2), odd = (byte 1, byte 3), low half first.
 */
#ifndef NRV_DSP_H
#define NRV_DSP_H

#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && defined(__thumb__)
#define NRV_DSP_ASM 1
#endif

/* Four bytes from any address. */
static inline uint32_t nrv_load4(const int8_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static inline void nrv_store4(int8_t *to, uint32_t word)
{
    memcpy(to, &word, sizeof word);
}

/* memcpy and memset for a few bytes, which calls would be slow for. */
static inline void nrv_copy(int8_t *to, int32_t count, const int8_t *from)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        nrv_store4(to, nrv_load4(from));
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

static inline void nrv_fill(int8_t *to, int32_t count, int32_t value)
{
    for (; count > 0; count--) {
        *to++ = (int8_t)value;
    }
}

/* The first `count` (1 to 3) of four bytes, zeros after: nothing beyond them is read. */
static inline uint32_t nrv_load_some(const int8_t *from, int32_t count)
{
    uint32_t word = (uint8_t)from[0];
    if (count > 1) {
        word |= (uint32_t)(uint8_t)from[1] << 8;
    }
    if (count > 2) {
        word |= (uint32_t)(uint8_t)from[2] << 16;
    }
    return word;
}

/* (byte 0, byte 2) as int16. */
static inline uint32_t nrv_even(uint32_t x)
{
#ifdef NRV_DSP_ASM
    uint32_t y;
    __asm__("sxtb16 %0, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return (uint32_t)(uint16_t)(int8_t)(x & 0xFFu) | (uint32_t)(uint16_t)(int8_t)(x >> 16 & 0xFFu) << 16;
#endif
}

/* (byte 1, byte 3) as int16. */
static inline uint32_t nrv_odd(uint32_t x)
{
#ifdef NRV_DSP_ASM
    uint32_t y;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
    return y;
#else
    return nrv_even(x >> 8);
#endif
}

/* The same, each half plus that of `a`. */
static inline uint32_t nrv_even_plus(uint32_t a, uint32_t x)
{
#ifdef NRV_DSP_ASM
    uint32_t y;
    __asm__("sxtab16 %0, %1, %2" : "=r"(y) : "r"(a), "r"(x));
    return y;
#else
    const uint32_t even = nrv_even(x);
    return ((a + even) & 0xFFFFu) | ((a & 0xFFFF0000u) + (even & 0xFFFF0000u));
#endif
}

static inline uint32_t nrv_odd_plus(uint32_t a, uint32_t x)
{
#ifdef NRV_DSP_ASM
    uint32_t y;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(y) : "r"(a), "r"(x));
    return y;
#else
    return nrv_even_plus(a, x >> 8);
#endif
}

/* An int8 four times. */
static inline uint32_t nrv_bytes(int32_t x)
{
    return (uint8_t)x * UINT32_C(0x01010101);
}

/* Of each of four int8 of a and b the higher one. */
static inline uint32_t nrv_highest4(uint32_t a, uint32_t b)
{
    uint32_t y = 0;
#ifdef NRV_DSP_ASM
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(y) : "r"(a), "r"(b));
#else
    for (int i = 0; i < 32; i += 8) {
        const uint32_t mask = UINT32_C(0xFF) << i;
        y |= (int8_t)(a >> i & 0xFFu) >= (int8_t)(b >> i & 0xFFu) ? a & mask : b & mask;
    }
#endif
    return y;
}

/* The lower one: what is not the higher of the complements. */
static inline uint32_t nrv_lowest4(uint32_t a, uint32_t b)
{
    return ~nrv_highest4(~a, ~b);
}

/* acc + low a * low b + high a * high b. */
static inline int32_t nrv_dual_mul_add(uint32_t a, uint32_t b, int32_t acc)
{
#ifdef NRV_DSP_ASM
    __asm__("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
#else
    const int32_t low = (int16_t)(a & 0xFFFFu) * (int16_t)(b & 0xFFFFu);
    const int32_t high = (int16_t)(a >> 16) * (int16_t)(b >> 16);
    /* Wraps as the instruction does: only columns whose result is not used can come to that. */
    return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
#endif
}

/* round(a * b / 2^32), halves upwards. */
static inline int32_t nrv_high_mul_rounded(int32_t a, int32_t b)
{
#ifdef NRV_DSP_ASM
    int32_t y;
    __asm__("smmulr %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
#else
    return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
#endif
}

/* c + round(a * b / 2^32), halves upwards. */
static inline int32_t nrv_high_mul_plus(int32_t a, int32_t b, int32_t c)
{
#ifdef NRV_DSP_ASM
    int32_t y;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(c));
    return y;
#else
    return c + (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
#endif
}

/* c + a * b / 2^32, cut downwards. */
static inline int32_t nrv_high_mul_plus_down(int32_t a, int32_t b, int32_t c)
{
#ifdef NRV_DSP_ASM
    int32_t y;
    __asm__("smmla %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(c));
    return y;
#else
    return c + (int32_t)(((int64_t)a * b) >> 32);
#endif
}

/* x within int8. */
static inline int32_t nrv_within8(int32_t x)
{
#ifdef NRV_DSP_ASM
    int32_t y;
    __asm__("ssat %0, #8, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return x > 127 ? 127 : x < -128 ? -128 : x;
#endif
}

/* x / 2 cut downwards, within int8. */
static inline int32_t nrv_halved_sat8(int32_t x)
{
#ifdef NRV_DSP_ASM
    int32_t y;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(y) : "r"(x));
    return y;
#else
    x >>= 1;
    return x > 127 ? 127 : x < -128 ? -128 : x;
#endif
}

/*
 * From a sum to an int8 output, equal to nrv_requantize() of fixed.h plus the zero point and saturated wherever
 * the shift is 1 to 23 to the right and |acc| < 2^30 (the compiler sees to both): the high product of 2 acc is the
 * doubling one, and halves away from zero are halves upwards of what is one less where negative. The zero point
 * is added before the last shift.
 *
 * shift holds in bits 0 to 7 the shift to the right less one, above them 2 * zero point + 1. With cut_below_zero the
 * result is only right where it is not below the zero point: elsewhere it is not above it.
 */
static inline int8_t nrv_dsp_requantize(int32_t acc, int32_t multiplier, int32_t shift, int32_t cut_below_zero)
{
    const int32_t places = shift & 0xFF;
    const int32_t y = nrv_high_mul_rounded((int32_t)((uint32_t)acc << 1), multiplier);
    const int32_t down = cut_below_zero ? 0 : y >> 31;
    return (int8_t)nrv_halved_sat8((y + down + (shift >> 8) * (int32_t)(UINT32_C(1) << places)) >> places);
}

#ifdef NRV_DSP_ASM

/*
 * The same in assembly, in place, with what SCALE loads through pointer w: multiplier wa, shift wb, round x. Where the
 * sum is below zero and the product 0, HALVES_AWAY takes one from it, which half a step, at least 1, makes good.
 */
#define NRV_DSP_SCALE                                                                                                  \
    "ldrd %[wa], %[wb], [%[w]], #8\n\t"                                                                                \
    "asrs %[x], %[wb], #8\n\t"                                                                                         \
    "lsls %[x], %[x], %[wb]\n\t"
#define NRV_DSP_HALVES_AWAY(s)                                                                                         \
    "lsl %[" s "], %[" s "], #1\n\t"                                                                                   \
    "add %[y], %[x], %[" s "], asr #31\n\t"                                                                            \
    "smmlar %[" s "], %[" s "], %[wa], %[y]\n\t"                                                                       \
    "asr %[" s "], %[" s "], %[wb]\n\t"                                                                                \
    "ssat %[" s "], #8, %[" s "], asr #1\n\t"
/* With cut_below_zero. */
#define NRV_DSP_HALVES_UP(s)                                                                                           \
    "lsl %[" s "], %[" s "], #1\n\t"                                                                                   \
    "smmlar %[" s "], %[" s "], %[wa], %[x]\n\t"                                                                       \
    "asr %[" s "], %[" s "], %[wb]\n\t"                                                                                \
    "ssat %[" s "], #8, %[" s "], asr #1\n\t"

#endif

#endif
