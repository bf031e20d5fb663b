/* Products of rows of int8 and weights of sixteen channels: the inner loop of convolutions and dense layers. */
#ifndef NRV_SIMD_MATRIX_H
#define NRV_SIMD_MATRIX_H

#include <stddef.h>

#include "nrv_simd.h"

/* Loops know the numbers that their callers know; what is apart takes none of their registers. */
#if defined(__GNUC__)
#define NRV_SIMD_INLINE inline __attribute__((always_inline))
#define NRV_SIMD_APART __attribute__((noinline))
#else
#define NRV_SIMD_INLINE inline
#define NRV_SIMD_APART
#endif

/* What -O3 does by itself. */
#if defined(__GNUC__) && !defined(__clang__)
#define NRV_SIMD_UNROLLED _Pragma("GCC unroll 8")
#else
#define NRV_SIMD_UNROLLED
#endif

/* Weights of a block of sixteen channels are [groups][16][4]: group by group four taps of each channel. */
enum { NRV_SIMD_GROUP_BYTES = NRV_SIMD_LANES * NRV_SIMD_TAPS };

/*
 * sums[b * rows + i] = bias of block b + row i times block b; numbers of blocks and rows are known where this is
 * inlined. Biases of blocks are `apart` words from each other: those of int8, then those of flipped ones. Group g of a
 * row is at places[g], or, where they are not `scattered` (known, too), behind the one before.
 */
static NRV_SIMD_INLINE void nrv_simd_multiply(nrv_simd_t *sums, int32_t blocks, int32_t rows, const int8_t *const *row,
                                              int32_t scattered, const int32_t *places, int32_t groups,
                                              const int8_t *weights, const int32_t *bias, int32_t apart)
{
    const ptrdiff_t block = (ptrdiff_t)groups * NRV_SIMD_GROUP_BYTES;
    nrv_simd_t acc[NRV_SIMD_SUMS];
    NRV_SIMD_UNROLLED
    for (int32_t b = 0; b < blocks; b++) {
        NRV_SIMD_UNROLLED
        for (int32_t i = 0; i < rows; i++) {
            acc[i * blocks + b] = nrv_simd_load(bias + b * apart + (NRV_SIMD_FLIP != 0 ? NRV_SIMD_LANES : 0));
        }
    }
    ptrdiff_t g = 0;
    do {
        const ptrdiff_t at = scattered ? places[g] : g * NRV_SIMD_TAPS;
        nrv_simd_taps_t taps[NRV_SIMD_SUMS];
        NRV_SIMD_UNROLLED
        for (int32_t b = 0; b < blocks; b++) {
            taps[b] = nrv_simd_load_taps(weights + b * block);
        }
        NRV_SIMD_UNROLLED
        for (int32_t i = 0; i < rows; i++) {
            NRV_SIMD_UNROLLED
            for (int32_t b = 0; b < blocks; b++) {
                acc[i * blocks + b] = nrv_simd_dot(acc[i * blocks + b], row[i] + at, taps[b]);
            }
        }
        weights += NRV_SIMD_GROUP_BYTES;
    } while (++g < groups);
    NRV_SIMD_UNROLLED
    for (int32_t b = 0; b < blocks; b++) {
        NRV_SIMD_UNROLLED
        for (int32_t i = 0; i < rows; i++) {
            sums[b * rows + i] = acc[i * blocks + b];
        }
    }
}

#endif
