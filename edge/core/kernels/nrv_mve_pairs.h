/* Two int8 operands walked over together, four values at a time. */
#ifndef NRV_MVE_PAIRS_H
#define NRV_MVE_PAIRS_H

#include "nrv_clamp.h"
#include "nrv_down.h"
#include "nrv_mve.h"
#include "nrv_pairs.h"

enum { NRV_MVE_WORD = 4 /* values at a time */ };

/* A row of an operand: a value that is repeated along it is read from four copies. */
static inline const int8_t *nrv_mve_operand(const int8_t *row, int32_t step, int8_t copies[NRV_MVE_WORD])
{
    if (step != 0) {
        return row;
    }
    memset(copies, *row, NRV_MVE_WORD);
    return copies;
}

/* An input brought to the scale of both: (value - zero) * 2^left, requantized. */
typedef struct {
    int32_t zero;
    int32_t left;
    int32_t multiplier;
    int32_t shift;
    int32_t step; /* from four values to the next */
} nrv_mve_term_t;

/*
 * `headroom`: bits to the left. A shift of 0 comes with half as the multiplier: half of twice as much, shifted by 1, is
 * the same and exact.
 */
static inline nrv_mve_term_t nrv_mve_term(int32_t zero, int32_t headroom, int32_t multiplier, int32_t shift,
                                          int32_t step)
{
    const int32_t more = shift == 0;
    const nrv_mve_term_t t = {zero, headroom + more, multiplier, shift - more, NRV_MVE_WORD * step};
    return t;
}

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

/* nrv_requantize_down() of four lanes for shifts of -1 to -31: halves as in nrv_mve_matrix.h. */
static inline int32x4_t nrv_mve_requantize_down(int32x4_t x, int32_t multiplier, int32_t shift)
{
    const int32x4_t y = vqrdmulhq_n_s32(x, multiplier);
    return vrshlq_n_s32(vaddq_s32(y, vshrq_n_s32(y, 31)), shift);
}

static inline int32x4_t nrv_mve_raised(const nrv_mve_term_t *t, int32x4_t x)
{
    return nrv_mve_requantize_down(vshlq_r_s32(vsubq_n_s32(x, t->zero), t->left), t->multiplier, t->shift);
}

static inline void nrv_mve_store_clamped(int8_t *output, int32x4_t y, int32_t low, int32_t high, mve_pred16_t some)
{
    vstrbq_p_s32(output, vminq_s32(vmaxq_s32(y, vdupq_n_s32(low)), vdupq_n_s32(high)), some);
}

#else

static inline int32_t nrv_mve_raised(const nrv_mve_term_t *t, int32_t x)
{
    return nrv_requantize_down((x - t->zero) * (1 << t->left), t->multiplier, t->shift);
}

#endif

#endif
