#include <stdlib.h>

#include "random.h"
#include "reference.h"

static int64_t distance(int32_t a, int32_t b)
{
    return llabs((long long)a - b);
}

static int at_limit(const nrv_path_config_t *config, const int32_t *counts)
{
    const int64_t top = INT64_C(1) << (config->counts_bits - 1);
    int found = 0;
    for (size_t c = 0; c < config->channels; c++)
        found |= counts[c] >= top - 1 || counts[c] <= -top;
    return found;
}

/* Samples on end, up to place n, that keep within the range; the one that leaves it begins anew. */
static size_t flat_for(const nrv_path_config_t *config, const int32_t *channel, size_t n)
{
    size_t begin = 0;
    for (size_t k = 0; k <= n; k++)
        for (size_t j = begin; j < k; j++)
            if (distance(channel[j * config->channels], channel[k * config->channels]) > config->gates.flat_range)
                begin = k;
    return n - begin + 1;
}

/* The share of the mains is a formula of many roundings with an oracle of its own (tests/test_core_quality.py):
 * here the core computes it, by itself and for windows of one sample. */
static void mains(const nrv_path_config_t *config, const int32_t *counts, size_t samples, uint16_t *flags)
{
    const nrv_gates_t gates = {.mains_step = config->gates.mains_step,
                               .mains_shift = config->gates.mains_shift,
                               .mains_share = config->gates.mains_share};
    nrv_channel_quality_t *channel = random_memory(config->channels * sizeof *channel);
    nrv_quality_t quality;
    nrv_quality_init(&quality, &gates, config->channels, config->counts_bits, 1, channel);
    for (size_t n = 0; n < samples; n++) {
        nrv_quality_push(&quality, counts + n * config->channels, 0);
        flags[n] |= nrv_quality_flags(&quality);
    }
    free(channel);
}

void reference_violations(const nrv_path_config_t *config, const int32_t *counts, const uint32_t *lead_off,
                          reference_run_t *run)
{
    const nrv_gates_t *gates = &config->gates;
    const size_t channels = config->channels;
    size_t limits = 0;
    for (size_t n = 0; n < run->samples; n++) {
        uint16_t flags = 0;
        limits = at_limit(config, counts + n * channels) ? limits + 1 : 0;
        if (gates->saturated_run && limits >= gates->saturated_run)
            flags |= NRV_FLAG_SATURATED;
        if (lead_off[n] & gates->lead_mask)
            flags |= NRV_FLAG_LEAD_OFF;
        for (size_t c = 0; c < channels; c++) {
            const int32_t *channel = counts + c;
            if (gates->flat_run && flat_for(config, channel, n) >= gates->flat_run)
                flags |= NRV_FLAG_FLAT;
            if (gates->slope && n && distance(channel[n * channels], channel[(n - 1) * channels]) > gates->slope)
                flags |= NRV_FLAG_SLOPE;
        }
        if (gates->amplitude && n % config->decimation == 0)
            for (size_t o = 0; o < config->outputs; o++)
                if (distance(run->filtered[n / config->decimation * config->outputs + o], 0) > gates->amplitude)
                    flags |= NRV_FLAG_AMPLITUDE;
        run->violations[n] = flags;
    }
    if (gates->mains_step)
        mains(config, counts, run->samples, run->violations);
}

uint16_t reference_quality(const nrv_path_config_t *config, const reference_run_t *run, size_t place)
{
    const size_t span = (size_t)config->window * config->decimation;
    uint16_t flags = 0;
    for (size_t n = place + 1 > span ? place + 1 - span : 0; n <= place; n++)
        flags |= run->violations[n];
    return flags;
}
