#include "nrv_dsp_lstm.h"

#include "nrv_dsp.h"

#define NRV_LSTM_SCALE 3

#ifdef NRV_DSP_ASM
/* clang-format off */
#define NRV_LSTM_TO_GATE(sum)                                                                                          \
    "ldm r6!, {r8, r9, r10}\n\t"                                                                                       \
    "smmlar r8, " sum ", r8, r9\n\t"                                                                                   \
    "add r8, r8, " sum ", asr #31\n\t"                                                                                 \
    "asr " sum ", r8, r10\n\t"
/* clang-format on */
#else
static inline int32_t to_gate(int32_t doubled, const int32_t scale[3])
{
    return (nrv_high_mul_rounded(doubled, scale[0]) + (doubled >> 31) + scale[1]) >> scale[2];
}
#endif

#include "nrv_dsp_lstm_steps.h"

void nrv_dsp_lstm(const nrv_dsp_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                  int8_t *cell)
{
    nrv_lstm_steps(p, input, output, scratch, hidden, cell);
}
