#include "nrv_mve_mean.h"

#include "fixed.h"
#include "nrv_mve.h"

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

/* Four neighbours. */
static void mean(const nrv_mean_t *p, const int8_t *tap, int32_t inner, int8_t *output)
{
    const mve_pred16_t some = vctp32q((uint32_t)(p->inner - inner));
    int32x4_t sum = vdupq_n_s32(p->offset);
    tap += inner;
    for (int32_t i = p->count; i > 0; i--, tap += p->inner) {
        sum = vaddq_s32(sum, vldrbq_z_s32(tap, some));
    }
    /* As NRV_MVE_REQUANTIZE of nrv_mve_matrix.h. */
    sum = vqrdmulhq_n_s32(sum, p->multiplier);
    sum = vrshlq_n_s32(vaddq_s32(sum, vshrq_n_s32(sum, 31)), p->shift);
    sum = vmaxq_s32(vaddq_n_s32(sum, p->output_zero), vdupq_n_s32(INT8_MIN));
    vstrbq_p_s32(output + inner, vminq_s32(sum, vdupq_n_s32(INT8_MAX)), some);
}

#else

static void mean(const nrv_mean_t *p, const int8_t *tap, int32_t inner, int8_t *output)
{
    for (int32_t at = inner; at < inner + 4 && at < p->inner; at++) {
        int32_t sum = p->offset;
        for (int32_t i = 0; i < p->count; i++) {
            sum += tap[i * p->inner + at];
        }
        output[at] = nrv_sat8(nrv_requantize(sum, p->multiplier, p->shift) + p->output_zero);
    }
}

#endif

/* Of values side by side. */
static void mean_of_row(const nrv_mean_t *p, const int8_t *input, int8_t *output)
{
    int32_t sum = p->offset;
#ifdef NRV_MVE_ASM
    __asm__ volatile(
        "dlstp.8 lr, %[count]\n"
        "1:\n\t"
        "vldrb.8 q0, [%[input]], #16\n\t"
        "vaddva.s8 %[sum], q0\n\t"
        "letp lr, 1b\n\t"
        : [input] "+r"(input), [sum] "+Te"(sum)
        : [count] "r"(p->count)
        : "lr", "q0", "memory");
#else
    for (int32_t i = 0; i < p->count; i++) {
        sum += input[i];
    }
#endif
    *output = nrv_sat8(nrv_requantize(sum, p->multiplier, p->shift) + p->output_zero);
}

void nrv_mve_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t outer = 0; outer < p->outer; outer++) {
        if (p->inner == 1) {
            mean_of_row(p, input, output);
        } else {
            for (int32_t inner = 0; inner < p->inner; inner += 4) {
                mean(p, input, inner, output);
            }
        }
        input += p->count * p->inner;
        output += p->inner;
    }
}
