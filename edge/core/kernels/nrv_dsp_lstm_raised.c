#include "nrv_dsp_lstm_raised.h"

#include "nrv_dsp.h"

#define NRV_LSTM_SCALE 5

#ifdef NRV_DSP_ASM
/* clang-format off */
#define NRV_LSTM_TO_GATE(sum)                                                                                          \
    "ldm r6!, {r8, r9, r10, r11, r12}\n\t"                                                                             \
    "lsl lr, " sum ", r9\n\t"                                                                                          \
    "smmlar lr, lr, r8, r10\n\t"                                                                                       \
    "and r11, r11, " sum ", asr #31\n\t"                                                                               \
    "add lr, lr, r11\n\t"                                                                                              \
    "asr " sum ", lr, r12\n\t"
/* clang-format on */
#else
static inline int32_t to_gate(int32_t doubled, const int32_t scale[5])
{
    const int32_t y = nrv_high_mul_rounded(doubled * (1 << scale[1]), scale[0]);
    return (y + scale[2] + ((doubled >> 31) & scale[3])) >> scale[4];
}
#endif

#include "nrv_dsp_lstm_steps.h"

void nrv_dsp_lstm_raised(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                         int8_t *cell)
{
    nrv_lstm_steps(p, input, output, scratch, hidden, cell);
}
