#include "calibration.h"

#include <string.h>

#include "fixed.h"
#include "frame.h"

#define LEVEL_BITS 16 /* fraction of the levels that the scale is made from */
#define CLIPPED 16    /* one of so many samples at the limits is too many */

static uint32_t magnitude(int32_t x)
{
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

int nrv_levels_take(nrv_levels_t *levels, const nrv_path_t *path, const int32_t *counts, int filtered)
{
    const nrv_path_config_t *config = path->config;
    if (levels->gathered == levels->wanted)
        return 1;
    const int32_t highest = nrv_highest_count(config->counts_bits);
    levels->taken++;
    for (size_t c = 0; c < config->channels; c++)
        levels->at_limit[c] += counts[c] >= highest || counts[c] <= -highest - 1;
    /* A sample that has entered the window is a settled one. */
    if (!filtered || path->fill == 0)
        return 0;
    for (size_t c = 0; c < config->outputs; c++)
        levels->sum[c] += magnitude(nrv_path_filtered(path)[c]);
    levels->gathered++;
    return levels->gathered == levels->wanted;
}

size_t nrv_levels_run(nrv_levels_t *levels, nrv_path_t *path, const int32_t *counts, size_t samples)
{
    size_t used = 0;
    while (used < samples && levels->gathered < levels->wanted) {
        const int32_t *sample = counts + used * path->config->channels;
        const unsigned brought = nrv_path_push(path, sample);
        (void)nrv_levels_take(levels, path, sample, (brought & NRV_PATH_SAMPLE) != 0);
        used++;
    }
    return used;
}

uint32_t nrv_levels_mean(const nrv_levels_t *levels, size_t channel)
{
    return (uint32_t)((levels->sum[channel] + levels->gathered / 2u) / levels->gathered);
}

void nrv_mean_levels(const int32_t *filtered, size_t samples, size_t outputs, uint32_t *level)
{
    for (size_t c = 0; c < outputs; c++) {
        uint64_t sum = samples / 2u;
        for (size_t i = 0; i < samples; i++)
            sum += magnitude(filtered[i * outputs + c]);
        level[c] = (uint32_t)(sum / samples);
    }
}

/* The level with LEVEL_BITS of fraction, rounded down: below 2^48. */
static uint64_t fine_mean(const nrv_levels_t *levels, size_t channel)
{
    const uint64_t whole = levels->sum[channel] / levels->gathered;
    const uint64_t rest = levels->sum[channel] % levels->gathered;
    return (whole << LEVEL_BITS) + (rest << LEVEL_BITS) / levels->gathered;
}

static unsigned check_limits(const nrv_levels_t *levels, const nrv_path_config_t *config, unsigned *channel)
{
    for (*channel = 0; *channel < config->channels; (*channel)++)
        if ((uint64_t)levels->at_limit[*channel] * CLIPPED > levels->taken)
            return NRV_CALIBRATION_SATURATED;
    *channel = 0;
    return NRV_CALIBRATION_GOOD;
}

unsigned nrv_calibration_rest(const nrv_levels_t *levels, const nrv_path_config_t *config, uint32_t *rest,
                              unsigned *channel)
{
    const unsigned reason = check_limits(levels, config, channel);
    if (reason == NRV_CALIBRATION_GOOD)
        for (size_t c = 0; c < config->outputs; c++)
            rest[c] = nrv_levels_mean(levels, c);
    return reason;
}

/* One trained scale for all channels. */
static int is_common(const nrv_path_config_t *config)
{
    for (size_t c = 1; c < config->outputs; c++)
        if (config->multiplier[c] != config->multiplier[0] || config->right_shift[c] != config->right_shift[0])
            return 0;
    return 1;
}

/* What is to become 127, in filtered samples with LEVEL_BITS + 8 bits of fraction: below 2^64. */
static uint64_t full_scale(uint64_t level, uint16_t headroom)
{
    return level * headroom;
}

static int is_flat(uint64_t level, uint16_t headroom, unsigned shift)
{
    return level < UINT64_C(1) << (LEVEL_BITS + shift) ||
           full_scale(level, headroom) < UINT64_C(128) << (LEVEL_BITS + 8);
}

/* 127 / full as multiplier / 2^(31 + right_shift): full >= 2^31 is cut to 32 bits, so that the quotient has 30 or 31. */
static void make_scale(uint64_t full, int32_t *multiplier, uint8_t *right_shift)
{
    uint8_t shift = 0;
    while (full >> 32) {
        full >>= 1;
        shift++;
    }
    *multiplier = (int32_t)(((UINT64_C(127) << 55) + full / 2u) / full);
    *right_shift = shift;
}

unsigned nrv_calibration_mvc(const nrv_levels_t *levels, const nrv_path_config_t *config, const uint32_t *rest,
                             uint16_t headroom, const nrv_calibration_t *calibration, unsigned *channel)
{
    const size_t outputs = config->outputs;
    uint64_t total = 0;
    const unsigned reason = check_limits(levels, config, channel);
    if (reason != NRV_CALIBRATION_GOOD)
        return reason;
    for (*channel = 0; *channel < outputs; (*channel)++) {
        const uint64_t level = fine_mean(levels, *channel);
        total += level;
        if (is_flat(level, headroom, config->shift))
            return NRV_CALIBRATION_FLAT;
        if ((uint64_t)nrv_levels_mean(levels, *channel) * 2u < (uint64_t)rest[*channel] * 3u)
            return NRV_CALIBRATION_NOT_ABOVE_REST;
    }
    *channel = 0;
    const int common = is_common(config);
    for (size_t c = 0; c < outputs; c++) {
        const uint64_t level = common ? total / outputs : fine_mean(levels, c);
        calibration->rest[c] = rest[c];
        calibration->mvc[c] = nrv_levels_mean(levels, c);
        make_scale(full_scale(level, headroom), &calibration->multiplier[c], &calibration->right_shift[c]);
    }
    return NRV_CALIBRATION_GOOD;
}

uint16_t nrv_proportion(uint32_t level, uint32_t rest, uint32_t mvc)
{
    if (level <= rest)
        return 0;
    if (level >= mvc)
        return NRV_PROPORTION_ONE;
    const uint32_t range = mvc - rest;
    return (uint16_t)(((uint64_t)(level - rest) * NRV_PROPORTION_ONE + range / 2u) / range);
}

static uint8_t *put32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8u * i));
    return to + 4;
}

static uint32_t get32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void put_head(uint8_t outputs, const uint8_t *hash, uint8_t *to)
{
    static const uint8_t magic[4] = {'N', 'R', 'V', 'C'};
    memcpy(to, magic, sizeof magic);
    to[4] = NRV_CALIBRATION_VERSION;
    to[5] = outputs;
    to[6] = to[7] = 0;
    memcpy(to + 8, hash, NRV_CALIBRATION_HASH);
}

static int has_head(const uint8_t *from, uint8_t outputs, const uint8_t *hash)
{
    uint8_t head[NRV_CALIBRATION_HEAD];
    put_head(outputs, hash, head);
    for (size_t i = 0; i < sizeof head; i++)
        if (head[i] != from[i])
            return 0;
    return 1;
}

void nrv_calibration_pack(const nrv_calibration_t *calibration, uint8_t outputs, const uint8_t *hash, uint8_t *to)
{
    uint8_t *at = to + NRV_CALIBRATION_HEAD;
    put_head(outputs, hash, to);
    for (size_t c = 0; c < outputs; c++) {
        at = put32(at, calibration->rest[c]);
        at = put32(at, calibration->mvc[c]);
        at = put32(at, (uint32_t)calibration->multiplier[c]);
        *at++ = calibration->right_shift[c];
    }
    put32(at, nrv_crc32(0, to, (size_t)(at - to)));
}

/* Whether a channel's numbers are such as a calibration can give. */
static int is_possible(const uint8_t *channel)
{
    const uint32_t multiplier = get32(channel + 8);
    return get32(channel) < get32(channel + 4) && multiplier > 0 && multiplier <= INT32_MAX && channel[12] <= 31;
}

unsigned nrv_calibration_unpack(const uint8_t *from, size_t size, uint8_t outputs, const uint8_t *hash,
                                const nrv_calibration_t *calibration)
{
    if (size < NRV_CALIBRATION_SIZE(0) || nrv_crc32(0, from, size - 4u) != get32(from + size - 4u))
        return NRV_CALIBRATION_DAMAGED;
    if (!has_head(from, from[5], from + 8) || size != NRV_CALIBRATION_SIZE(from[5]))
        return NRV_CALIBRATION_DAMAGED;
    if (!has_head(from, outputs, hash))
        return NRV_CALIBRATION_OTHER_BUNDLE;
    const uint8_t *at = from + NRV_CALIBRATION_HEAD;
    for (size_t c = 0; c < outputs; c++)
        if (!is_possible(at + c * NRV_CALIBRATION_CHANNEL))
            return NRV_CALIBRATION_DAMAGED;
    for (size_t c = 0; c < outputs; c++, at += NRV_CALIBRATION_CHANNEL) {
        calibration->rest[c] = get32(at);
        calibration->mvc[c] = get32(at + 4);
        calibration->multiplier[c] = (int32_t)get32(at + 8);
        calibration->right_shift[c] = at[12];
    }
    return NRV_CALIBRATION_GOOD;
}
