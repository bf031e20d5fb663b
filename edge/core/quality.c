#include "quality.h"

#include <string.h>

#include "decision.h"
#include "fixed.h"

#define MAINS_BITS 30 /* of x and y */
#define POWER_DROP 4  /* power is that of y without so many bits */

enum { SATURATED, FLAT, SLOPE, AMPLITUDE, MAINS, LEAD_OFF };

static const uint16_t flag_of[NRV_GATES] = {NRV_FLAG_SATURATED, NRV_FLAG_FLAT,  NRV_FLAG_SLOPE,
                                            NRV_FLAG_AMPLITUDE, NRV_FLAG_MAINS, NRV_FLAG_LEAD_OFF};

/* round(32767 sin(pi / 2 i / 64)) */
static const int16_t quarter[65] = {
    0,     804,   1608,  2410,  3212,  4011,  4808,  5602,  6393,  7179,  7962,  8739,  9512,
    10278, 11039, 11793, 12539, 13279, 14010, 14732, 15446, 16151, 16846, 17530, 18204, 18868,
    19519, 20159, 20787, 21403, 22005, 22594, 23170, 23731, 24279, 24811, 25329, 25832, 26319,
    26790, 27245, 27683, 28105, 28510, 28898, 29268, 29621, 29956, 30273, 30571, 30852, 31113,
    31356, 31580, 31785, 31971, 32137, 32285, 32412, 32521, 32609, 32678, 32728, 32757, 32767};

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

/* mean += (x - mean) / 2^shift for a mean of 32 whole bits and 32 below, gain = 2^(32 - shift). */
static int32_t follow(int64_t *mean, int32_t x, int32_t gain)
{
    *mean += (int64_t)(x - (int32_t)(*mean >> 32)) * gain;
    /* Not as a shift of the sign: the compiler would then take products of it for those of 64 bits. */
    return (int32_t)(uint32_t)((uint64_t)*mean >> 32);
}

static int32_t high_product(int32_t a, int32_t b)
{
    return (int32_t)((int64_t)a * b >> 32);
}

/* x >> shift, 1 <= shift <= 31: the compiler does not know that it is less than 32. */
static uint64_t lowered(uint64_t x, unsigned shift)
{
    const uint32_t high = (uint32_t)(x >> 32), low = (uint32_t)x;
    return (uint64_t)(high >> shift) << 32 | (low >> shift | high << (32 - shift));
}

typedef struct {
    int32_t sine, cosine;
    int32_t gain; /* 2^(32 - shift) */
    uint32_t share;
    unsigned shift;
} mains_t;

/* One more x of a channel. Returns whether the share is too large. */
static int take_mains(nrv_channel_quality_t *c, const mains_t *mains, int32_t x)
{
    const int32_t y = x - (int32_t)(c->mean >> 32);
    (void)follow(&c->mean, x, mains->gain);
    const int32_t i = follow(&c->in_phase, high_product(y, mains->cosine), mains->gain);
    const int32_t q = follow(&c->quadrature, high_product(y, mains->sine), mains->gain);
    const int32_t coarse = (y + (1 << (POWER_DROP - 1))) >> POWER_DROP;
    const uint64_t power = c->power - lowered(c->power, mains->shift) + (uint64_t)((int64_t)coarse * coarse);
    c->power = power;
    /* i is I / 2, and the power that of y / 2^4: this is 2 (I^2 + Q^2) > P mains_share / 256. */
    const uint64_t found = (uint64_t)((int64_t)i * i + (int64_t)q * q);
    return found << 3 > lowered(power, mains->shift) * mains->share;
}

static int is_mains(nrv_quality_t *quality, const int32_t *counts, int32_t highest)
{
    const nrv_gates_t *gates = quality->gates;
    const unsigned bits = quality->counts_bits;
    const unsigned coarser = bits > MAINS_BITS ? bits - MAINS_BITS : 0;
    const unsigned finer = bits < MAINS_BITS ? MAINS_BITS - bits : 0;
    const mains_t mains = {nrv_mains_sine(quality->phase) * 65536,
                           nrv_mains_sine(quality->phase + UINT32_C(0x40000000)) * 65536,
                           (int32_t)(UINT32_C(1) << (32 - gates->mains_shift)), gates->mains_share,
                           gates->mains_shift};
    int too_large = 0;
    quality->phase += gates->mains_step;
    for (size_t n = 0; n < quality->channels; n++) {
        nrv_channel_quality_t *c = &quality->channel[n];
        const int32_t count = counts[n] > highest        ? highest
                              : counts[n] < -highest - 1 ? -highest - 1
                                                         : counts[n];
        const int32_t x = (int32_t)((uint32_t)(count >> coarser) << finer);
        if (!quality->started)
            c->mean = x * (INT64_C(1) << 32);
        too_large |= take_mains(c, &mains, x);
    }
    return too_large;
}

static void note(nrv_quality_t *quality, unsigned gate)
{
    quality->violated[gate] = quality->taken;
    quality->seen |= flag_of[gate];
}

void nrv_quality_push(nrv_quality_t *quality, const int32_t *counts, uint32_t lead_off)
{
    const nrv_gates_t *gates = quality->gates;
    const int32_t highest = nrv_highest_count(quality->counts_bits);
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
