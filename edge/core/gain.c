#include "gain.h"

#define FRACTION_BITS 16 /* of levels and gains */

static uint64_t get64(const uint32_t *words)
{
    return (uint64_t)words[1] << 32 | words[0];
}

static void put64(uint32_t *words, uint64_t value)
{
    words[0] = (uint32_t)value;
    words[1] = (uint32_t)(value >> 32);
}

void nrv_gain_drop_hop(nrv_gain_channel_t *channel, size_t channels)
{
    for (size_t c = 0; c < channels; c++) {
        put64(channel[c].sum, 0);
        channel[c].samples = 0;
    }
}

void nrv_gain_reset(nrv_gain_channel_t *channel, size_t channels, const int32_t *multiplier,
                    const uint8_t *right_shift)
{
    nrv_gain_drop_hop(channel, channels);
    for (size_t c = 0; c < channels; c++) {
        put64(channel[c].level, 0);
        channel[c].hops = 0;
        channel[c].multiplier = multiplier[c];
        channel[c].right_shift = right_shift[c];
    }
}

void nrv_gain_push(nrv_gain_channel_t *channel, size_t channels, const int32_t *filtered)
{
    for (size_t c = 0; c < channels; c++) {
        const int32_t y = filtered[c];
        put64(channel[c].sum, get64(channel[c].sum) + (y < 0 ? 0u - (uint32_t)y : (uint32_t)y));
        channel[c].samples++;
    }
}

/* x of a channel, rounded down: below 2^47. */
static uint64_t hop_level(const nrv_gain_channel_t *channel, int32_t multiplier, unsigned right_shift)
{
    const uint64_t sum = get64(channel->sum), scale = (uint32_t)multiplier;
    const uint64_t whole = sum / channel->samples;
    const uint64_t part = ((sum % channel->samples) << FRACTION_BITS) / channel->samples;
    return (whole * scale + (part * scale >> FRACTION_BITS)) >> (31u - FRACTION_BITS + right_shift);
}

/* Takes x into L if it counts. Returns whether L is old enough to make a gain of. */
static int track(const nrv_gain_control_t *control, nrv_gain_channel_t *channel, uint64_t x, int fit)
{
    const uint32_t mean_of = UINT32_C(1) << control->time_shift;
    if (fit && x >= (uint64_t)control->floor << (FRACTION_BITS - 8)) {
        uint64_t level = get64(channel->level);
        if (channel->hops >= mean_of)
            level -= level >> control->time_shift;
        put64(channel->level, level + x);
        if (channel->hops <= mean_of)
            channel->hops++;
    }
    return channel->hops > mean_of;
}

static uint32_t gain_for(const nrv_gain_control_t *control, const nrv_gain_channel_t *channel)
{
    const uint64_t level = get64(channel->level) >> control->time_shift;
    const uint64_t lowest = (uint64_t)control->min_gain << (FRACTION_BITS - 8);
    const uint64_t highest = (uint64_t)control->max_gain << (FRACTION_BITS - 8);
    const uint64_t gain =
        level ? (((uint64_t)control->target << (2 * FRACTION_BITS)) + level / 2u) / level : highest;
    return (uint32_t)(gain < lowest ? lowest : gain > highest ? highest : gain);
}

/* multiplier / 2^(31 + right_shift) times the gain, with 31 bits of multiplier where the shift allows. */
static void set_scale(nrv_gain_channel_t *channel, int32_t multiplier, unsigned right_shift, uint32_t gain)
{
    uint64_t product = (uint64_t)(uint32_t)multiplier * gain;
    const unsigned most = right_shift + FRACTION_BITS; /* a shift by so much leaves no shift to the right */
    unsigned drop = most > 31u ? most - 31u : 0u;
    while (product >> drop > INT32_MAX && drop < most)
        drop++;
    product = (product + (UINT64_C(1) << drop >> 1)) >> drop;
    channel->multiplier = product > INT32_MAX ? INT32_MAX : (int32_t)product;
    channel->right_shift = most - drop;
}

void nrv_gain_adapt(const nrv_gain_control_t *control, nrv_gain_channel_t *channel, size_t channels, int fit,
                    const int32_t *multiplier, const uint8_t *right_shift)
{
    uint64_t total = 0;
    if (control->common) {
        for (size_t c = 0; c < channels; c++)
            total += hop_level(&channel[c], multiplier[c], right_shift[c]);
    }
    int ready = control->common && track(control, channel, total / channels, fit);
    for (size_t c = 0; c < channels; c++) {
        nrv_gain_channel_t *tracked = &channel[control->common ? 0 : c];
        if (!control->common)
            ready = track(control, tracked, hop_level(tracked, multiplier[c], right_shift[c]), fit);
        if (ready)
            set_scale(&channel[c], multiplier[c], right_shift[c], gain_for(control, tracked));
    }
    nrv_gain_drop_hop(channel, channels);
}
