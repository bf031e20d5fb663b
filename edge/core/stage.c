#include "stage.h"

#include <string.h>

#include "fixed.h"

#define FIR_FRACTION_BITS 30
#define FIR_HEAD 2 /* words before the past samples: place of the newest one, samples until the next output */

size_t nrv_stage_state_len(const nrv_stage_t *stage, size_t channels)
{
    switch (stage->kind) {
    case NRV_STAGE_CASCADE:
        return NRV_CASCADE_STATE_LEN(stage->length, channels);
    case NRV_STAGE_FIR:
        return FIR_HEAD + (size_t)stage->length * channels;
    case NRV_STAGE_MIX:
        return stage->outputs;
    default:
        return 0;
    }
}

static int32_t rounded(uint64_t sum, unsigned shift)
{
    /* Half of the last bit kept; none where nothing is dropped. */
    return nrv_sat32((int64_t)(sum + (UINT64_C(1) << shift >> 1)) >> shift);
}

/* sum + weights[0] past[0] + weights[1] past[-1] + ... */
static uint64_t convolve(uint64_t sum, const int32_t *weights, const int32_t *past, size_t count)
{
    for (; count; count--)
        sum += (uint64_t)((int64_t)*weights++ * *past--);
    return sum;
}

static size_t run_fir(const nrv_stage_t *stage, size_t channels, int32_t *state, int32_t *signal, size_t samples)
{
    const size_t length = stage->length;
    size_t newest = (size_t)state[0], wait = (size_t)state[1];
    int32_t *const rings = state + FIR_HEAD; /* [channels][length] */
    int32_t *to = signal;
    size_t given = 0;
    for (; samples; samples--, signal += channels) {
        newest = newest + 1 == length ? 0 : newest + 1;
        int32_t *ring = rings;
        for (size_t c = 0; c < channels; c++, ring += length)
            ring[newest] = signal[c];
        if (wait) {
            wait--;
            continue;
        }
        wait = stage->factor - 1u;
        ring = rings;
        for (size_t c = 0; c < channels; c++, ring += length) {
            uint64_t sum = convolve(0, stage->weights, ring + newest, newest + 1);
            if (newest + 1 < length)
                sum = convolve(sum, stage->weights + newest + 1, ring + length - 1, length - newest - 1);
            to[c] = rounded(sum, FIR_FRACTION_BITS);
        }
        to += channels;
        given++;
    }
    state[0] = (int32_t)newest;
    state[1] = (int32_t)wait;
    return given;
}

static void run_mix(const nrv_stage_t *stage, size_t channels, int32_t *row, int32_t *signal, size_t samples)
{
    const size_t outputs = stage->outputs;
    for (size_t n = 0; n < samples; n++) {
        /* From the end where rows grow, so that none is overwritten before it is read. */
        const size_t at = outputs > channels ? samples - 1 - n : n;
        const int32_t *weight = stage->weights;
        for (size_t o = 0; o < outputs; o++) {
            uint64_t sum = 0;
            for (size_t i = 0; i < channels; i++)
                sum += (uint64_t)((int64_t)*weight++ * signal[at * channels + i]);
            row[o] = rounded(sum, stage->right_shift);
        }
        memcpy(signal + at * outputs, row, outputs * sizeof *row);
    }
}

static void rectify(int32_t *signal, size_t values)
{
    for (size_t i = 0; i < values; i++)
        if (signal[i] < 0)
            signal[i] = signal[i] == INT32_MIN ? INT32_MAX : -signal[i];
}

size_t nrv_stage_run(const nrv_stage_t *stage, size_t channels, int32_t *state, int32_t *signal, size_t samples)
{
    switch (stage->kind) {
    case NRV_STAGE_CASCADE:
        nrv_cascade_run(stage->cascade, stage->length, channels, state, signal, samples);
        break;
    case NRV_STAGE_FIR:
        return run_fir(stage, channels, state, signal, samples);
    case NRV_STAGE_MIX:
        run_mix(stage, channels, state, signal, samples);
        break;
    default:
        rectify(signal, samples * channels);
        break;
    }
    return samples;
}
