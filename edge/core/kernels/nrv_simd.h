/*
 * Sixteen int32 at once, for processors with vectors: the lanes are output channels. One set of operations, carried out
 * by what the compiler may use (-march=native, or a Raspberry Pi's): AVX-512 VNNI, AVX2, NEON, else plain C. All give
 * the same integers.
 */
#ifndef NRV_SIMD_H
#define NRV_SIMD_H

#include <stdint.h>
#include <string.h>

enum { NRV_SIMD_LANES = 16, NRV_SIMD_TAPS = 4 /* multiplied at once */ };

/*
 * Each header has three constants: NRV_SIMD_FLIP, 0x80 where int8 are kept flipped (uint8, x + 128) for multiplication;
 * NRV_SIMD_ROWS (4 or 8) by NRV_SIMD_BLOCKS sums of sixteen lanes that its registers hold, with what feeds them.
 */
#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include "nrv_simd_avx512.h"
#elif defined(__AVX2__)
#include "nrv_simd_avx2.h"
#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(__ARM_BIG_ENDIAN)
#include "nrv_simd_neon.h"
#else
#include "nrv_simd_plain.h"
#endif

enum { NRV_SIMD_SUMS = NRV_SIMD_ROWS * NRV_SIMD_BLOCKS };

/* Copies n int8 to where they are multiplied. */
static inline void nrv_simd_copy(int8_t *to, const int8_t *from, int32_t n)
{
#ifdef NRV_SIMD_MASKED
    nrv_simd_copy_masked(to, from, n);
#else
    if (NRV_SIMD_FLIP == 0) {
        memcpy(to, from, (size_t)n);
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        to[i] = (int8_t)(from[i] ^ NRV_SIMD_FLIP);
    }
#endif
}

/* Fills n int8 there. */
static inline void nrv_simd_fill(int8_t *to, int32_t value, int32_t n)
{
#ifdef NRV_SIMD_MASKED
    nrv_simd_fill_masked(to, value, n);
#else
    memset(to, value ^ NRV_SIMD_FLIP, (size_t)n);
#endif
}

#endif
