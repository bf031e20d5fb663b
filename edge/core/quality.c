#include "quality.h"

#include <string.h>

#include "decision.h"

#define MAINS_BITS 24 /* of x */
#define SINE_BITS 14
/* I^2 + Q^2 and P are compared with so many bits below those of x^2: I and Q with half of them. */
#define SHARE_BITS 12

enum { SATURATED, FLAT, SLOPE, AMPLITUDE, MAINS, LEAD_OFF };

static const uint16_t flag_of[NRV_GATES] = {NRV_FLAG_SATURATED, NRV_FLAG_FLAT,  NRV_FLAG_SLOPE,
                                            NRV_FLAG_AMPLITUDE, NRV_FLAG_MAINS, NRV_FLAG_LEAD_OFF};

/* round(2^14 sin(pi / 2 i / 64)) */
static const int16_t quarter[65] = {
    0,     402,   804,   1205,  1606,  2006,  2404,  2801,  3196,  3590,  3981,  4370,  4756,
    5139,  5520,  5897,  6270,  6639,  7005,  7366,  7723,  8076,  8423,  8765,  9102,  9434,
    9760,  10080, 10394, 10702, 11003, 11297, 11585, 11866, 12140, 12406, 12665, 12916, 13160,
    13395, 13623, 13842, 14053, 14256, 14449, 14635, 14811, 14978, 15137, 15286, 15426, 15557,
    15679, 15791, 15893, 15986, 16069, 16143, 16207, 16261, 16305, 16340, 16364, 16379, 16384};

void nrv_quality_init(nrv_quality_t *quality, const nrv_gates_t *gates, size_t channels, unsigned counts_bits,
                      uint32_t span, nrv_channel_quality_t *channel)
{
    quality->gates = gates;
    quality->channel = channel;
    quality->channels = channels;
    quality->span = span;
    quality->counts_bits = (uint8_t)counts_bits;
    nrv_quality_reset(quality);
}

void nrv_quality_reset(nrv_quality_t *quality)
{
    memset(quality->channel, 0, quality->channels * sizeof *quality->channel);
    memset(quality->violated, 0, sizeof quality->violated);
    quality->taken = 0;
    quality->at_limit = 0;
    quality->phase = 0;
    quality->seen = 0;
    quality->started = 0;
}

int32_t nrv_mains_sine(uint32_t phase)
{
    const uint32_t within = (phase & UINT32_C(0x40000000) ? ~phase : phase) & UINT32_C(0x3FFFFFFF);
    const int16_t *at = quarter + (within >> 24);
    const int32_t fraction = (int32_t)(within >> 8 & 0xFFFFu);
    const int32_t value = at[0] + (((at[1] - at[0]) * fraction + 0x8000) >> 16);
    return phase & UINT32_C(0x80000000) ? -value : value;
}

/* a - b or b - a, whichever is not negative. */
static uint32_t distance(int32_t a, int32_t b)
{
    return a > b ? (uint32_t)a - (uint32_t)b : (uint32_t)b - (uint32_t)a;
}

static int is_saturated(nrv_quality_t *quality, const int32_t *counts, int32_t highest)
{
    const uint32_t run = quality->gates->saturated_run;
    for (size_t c = 0; c < quality->channels; c++) {
        if (counts[c] >= highest || counts[c] <= -highest - 1) {
            if (quality->at_limit < run)
                quality->at_limit++;
            return quality->at_limit == run;
        }
    }
    quality->at_limit = 0;
    return 0;
}

static int is_flat(const nrv_quality_t *quality, const int32_t *counts)
{
    const nrv_gates_t *gates = quality->gates;
    int flat = 0;
    for (size_t i = 0; i < quality->channels; i++) {
        nrv_channel_quality_t *c = &quality->channel[i];
        const int32_t x = counts[i];
        const int32_t lowest = x < c->lowest ? x : c->lowest, highest = x > c->highest ? x : c->highest;
        if (c->flat_for && distance(highest, lowest) <= gates->flat_range) {
            c->lowest = lowest;
            c->highest = highest;
            if (c->flat_for < gates->flat_run)
                c->flat_for++;
        } else {
            c->lowest = c->highest = x;
            c->flat_for = 1;
        }
        flat |= c->flat_for == gates->flat_run;
    }
    return flat;
}

static int is_steep(const nrv_quality_t *quality, const int32_t *counts)
{
    int steep = 0;
    for (size_t i = 0; i < quality->channels; i++) {
        nrv_channel_quality_t *c = &quality->channel[i];
        steep |= quality->started && distance(counts[i], c->previous) > quality->gates->slope;
        c->previous = counts[i];
    }
    return steep;
}

static int is_mains(nrv_quality_t *quality, const int32_t *counts, int32_t highest)
{
    const unsigned shift = quality->gates->mains_shift, bits = quality->counts_bits;
    const unsigned coarser = bits > MAINS_BITS ? bits - MAINS_BITS : 0;
    const int32_t finer = (int32_t)(bits < MAINS_BITS ? UINT32_C(1) << (MAINS_BITS - bits) : 1u);
    const int32_t sine = nrv_mains_sine(quality->phase), cosine = nrv_mains_sine(quality->phase + UINT32_C(0x40000000));
    const int64_t scale = INT64_C(1) << shift;
    const uint64_t share = quality->gates->mains_share;
    int mains = 0;
    quality->phase += quality->gates->mains_step;
    for (size_t n = 0; n < quality->channels; n++) {
        nrv_channel_quality_t *c = &quality->channel[n];
        const int32_t count = counts[n] > highest        ? highest
                              : counts[n] < -highest - 1 ? -highest - 1
                                                         : counts[n];
        const int32_t x = (count >> coarser) * finer;
        if (!quality->started)
            c->mean = x * scale;
        const int32_t y = x - (int32_t)((c->mean + scale / 2) >> shift);
        c->mean += y;
        c->in_phase += (int64_t)y * cosine - (c->in_phase >> shift);
        c->quadrature += (int64_t)y * sine - (c->quadrature >> shift);
        c->power += (int64_t)y * y - (c->power >> shift);
        /* 2 (I^2 + Q^2) 2^SHARE_BITS > P 2^SHARE_BITS mains_share / 256; all sums below 2^61 */
        const int32_t i = (int32_t)(c->in_phase >> (shift + SINE_BITS - SHARE_BITS / 2));
        const int32_t q = (int32_t)(c->quadrature >> (shift + SINE_BITS - SHARE_BITS / 2));
        const uint64_t power = (uint64_t)(c->power >> (shift - (SHARE_BITS - 1 - 8)));
        mains |= (uint64_t)((int64_t)i * i + (int64_t)q * q) > share * power;
    }
    return mains;
}

static void note(nrv_quality_t *quality, unsigned gate)
{
    quality->violated[gate] = quality->taken;
    quality->seen |= flag_of[gate];
}

void nrv_quality_push(nrv_quality_t *quality, const int32_t *counts, uint32_t lead_off)
{
    const nrv_gates_t *gates = quality->gates;
    const int32_t highest = (int32_t)((UINT32_C(1) << (quality->counts_bits - 1)) - 1u);
    quality->taken++;
    if (gates->saturated_run && is_saturated(quality, counts, highest))
        note(quality, SATURATED);
    if (gates->flat_run && is_flat(quality, counts))
        note(quality, FLAT);
    if (gates->slope && is_steep(quality, counts))
        note(quality, SLOPE);
    if (gates->mains_step && is_mains(quality, counts, highest))
        note(quality, MAINS);
    if (lead_off & gates->lead_mask)
        note(quality, LEAD_OFF);
    quality->started = 1;
}

void nrv_quality_push_filtered(nrv_quality_t *quality, const int32_t *sample, size_t outputs)
{
    const uint32_t amplitude = quality->gates->amplitude;
    if (!amplitude)
        return;
    for (size_t c = 0; c < outputs; c++) {
        if (distance(sample[c], 0) > amplitude) {
            note(quality, AMPLITUDE);
            return;
        }
    }
}

uint16_t nrv_quality_flags(nrv_quality_t *quality)
{
    for (unsigned gate = 0; gate < NRV_GATES; gate++)
        if (quality->taken - quality->violated[gate] >= quality->span)
            quality->seen &= (uint16_t)~flag_of[gate];
    return quality->seen;
}
