#include "fuzz_setup.h"

#include <stdlib.h>

#include "random.h"

enum { STAGES_MAX = 4, CHANNELS_MAX = 9, LENGTH_MAX = 24 };

static const uint16_t QUALITY_FLAGS = NRV_FLAG_SATURATED | NRV_FLAG_FLAT | NRV_FLAG_SLOPE | NRV_FLAG_AMPLITUDE |
                                      NRV_FLAG_MAINS | NRV_FLAG_LEAD_OFF;

/* The absolute weights of one sum must add up to less than this. */
static const uint64_t WEIGHTS_SUM = UINT64_C(1) << 32;

static int32_t coefficient(void)
{
    const int32_t value = random_int32();
    return value == INT32_MIN ? INT32_MAX : value;
}

/* Anything; or a filter that is stable, poles within the unit circle and |b| below one; or plain sums and
 * differences, which land on the very limits. */
static nrv_section_t section(void)
{
    nrv_section_t s = {.b_shift = 8 * (int32_t)random_below(3)};
    const unsigned flavour = random_below(5);
    for (unsigned i = 0; i < 3; i++)
        s.b[i] = flavour == 0 ? random_within(1) * (1 << 30) : flavour < 3 ? random_within(1 << 30) : coefficient();
    for (unsigned i = 0; i < 2; i++)
        s.c[i] = flavour == 0 ? random_within(1) * (1 << 30) : coefficient();
    if (flavour == 0)
        return s;
    for (unsigned i = 0; i < 2; i++) {
        s.c_low[i] = (int16_t)(random_below(3) ? random_int32() : 0);
        s.weight[i] = random_below(3) ? random_within(i ? 64 : 128) : 0;
    }
    if (flavour < 3) {
        /* |c1| < 1 - c2, |c2| < 1 */
        s.c[1] = random_within((1 << 30) - 1);
        const int64_t limit = (INT64_C(1) << 30) - 1 - s.c[1];
        s.c[0] = random_within((int32_t)(limit > INT32_MAX ? INT32_MAX : limit));
    }
    return s;
}

static uint8_t some_channels(void)
{
    return (uint8_t)(1 + random_below(random_below(2) ? 3 : CHANNELS_MAX));
}

static int32_t *weights(size_t rows, size_t length)
{
    int32_t *all = random_memory(rows * length * sizeof *all);
    for (size_t r = 0; r < rows; r++) {
        uint64_t left = WEIGHTS_SUM - 1;
        for (size_t k = 0; k < length; k++) {
            const int32_t weight = coefficient();
            const uint64_t magnitude = (uint64_t)llabs(weight);
            all[r * length + k] = magnitude <= left ? weight : 0;
            left -= magnitude <= left ? magnitude : 0;
        }
    }
    return all;
}

static nrv_stage_t stage(uint8_t channels)
{
    nrv_stage_t s = {.kind = (uint8_t)random_below(4), .outputs = channels, .factor = 1, .length = 1};
    if (s.kind == NRV_STAGE_CASCADE) {
        s.length = (uint16_t)(1 + random_below(4));
        nrv_section_t *cascade = random_memory(s.length * sizeof *cascade);
        for (unsigned k = 0; k < s.length; k++)
            cascade[k] = section();
        s.cascade = cascade;
    } else if (s.kind == NRV_STAGE_FIR) {
        s.length = (uint16_t)(1 + random_below(LENGTH_MAX));
        s.factor = (uint8_t)(random_below(2) ? 1 : 1 + random_below(5));
        s.weights = weights(1, s.length);
    } else if (s.kind == NRV_STAGE_MIX) {
        s.outputs = some_channels();
        s.right_shift = (uint8_t)random_below(32);
        s.weights = weights(s.outputs, channels);
    }
    return s;
}

/* Each off half of the time. */
static nrv_gates_t gates(unsigned counts_bits)
{
    const uint32_t top = UINT32_MAX >> (32 - counts_bits);
    return (nrv_gates_t){.saturated_run = random_below(2) ? 1 + random_below(5) : 0,
                         .flat_run = random_below(2) ? 2 + random_below(8) : 0,
                         .flat_range = random_below(2) ? random_below(8) : 0,
                         .slope = random_below(2) ? (uint32_t)random_64() & top : 0,
                         .amplitude = random_below(2) ? (uint32_t)random_int32() & INT32_MAX : 0,
                         .mains_step = random_below(2) ? (uint32_t)random_64() >> 1 : 0,
                         .lead_mask = random_below(2) ? UINT32_MAX : UINT32_C(1) << random_below(3),
                         .inform = (uint16_t)(random_below(2) ? 0 : random_64() & QUALITY_FLAGS),
                         .mains_shift = (uint8_t)(3 + random_below(8)),
                         .mains_share = (uint8_t)(1 + random_below(255))};
}

/* None half of the time. Scales of all sizes: some always saturate, some never move. */
static nrv_feature_vector_t features(uint8_t outputs)
{
    nrv_feature_vector_t vector = {.set = {.count = random_below(2) ? 0 : 1 + random_below(4), .length = 64}};
    nrv_feature_t *feature = random_memory(vector.set.count * sizeof *feature);
    for (size_t i = 0; i < vector.set.count; i++) {
        const uint16_t last = (uint16_t)random_below(33);
        feature[i] = (nrv_feature_t){.kind = (uint8_t)random_below(NRV_FEATURE_MEAN_FREQUENCY + 1),
                                     .order = (uint8_t)(1 + random_below(NRV_AR_ORDER_MAX)),
                                     .threshold = (uint16_t)(random_below(2) ? random_below(9) : random_below(65536)),
                                     .first = (uint16_t)random_below(last + 1u),
                                     .last = last,
                                     .share = (uint16_t)(1 + random_below(65535))};
    }
    vector.set.features = feature;
    const size_t values = outputs * nrv_feature_outputs(&vector.set);
    nrv_feature_scale_t *scale = random_memory(values * sizeof *scale);
    for (size_t i = 0; i < values; i++) {
        const unsigned shift = 1 + random_below(62);
        scale[i] = (nrv_feature_scale_t){.multiplier = (int32_t)(random_64() >> (33 + random_below(31))),
                                         .bias = (int64_t)(random_64() >> (1 + random_below(63))) / 2,
                                         .shift = (uint8_t)shift};
        if (random_below(2))
            scale[i].bias = -scale[i].bias;
    }
    vector.scale = scale;
    vector.run = nrv_feature_needs_spectrum(&vector.set) ? nrv_features_run : nrv_features_run_time;
    return vector;
}

nrv_path_config_t *setup_path(void)
{
    nrv_path_config_t *config = random_memory(sizeof *config);
    const uint8_t bits = (uint8_t)(2 + random_below(31)), channels = some_channels();
    const uint8_t n_stages = (uint8_t)random_below(STAGES_MAX + 1);
    const uint32_t window = 1 + random_below(12);
    nrv_stage_t *stages = random_memory(n_stages * sizeof *stages);
    uint32_t decimation = 1;
    uint8_t outputs = channels, width = channels;
    for (unsigned k = 0; k < n_stages; k++) {
        stages[k] = stage(outputs);
        decimation *= stages[k].factor;
        outputs = stages[k].outputs;
        width = outputs > width ? outputs : width;
    }
    int32_t *multiplier = random_memory(outputs * sizeof *multiplier);
    uint8_t *right_shift = random_memory(outputs);
    for (unsigned c = 0; c < outputs; c++) {
        multiplier[c] = (int32_t)(random_64() >> 33);
        right_shift[c] = (uint8_t)random_below(32);
    }
    *config = (nrv_path_config_t){.settle = random_below(8),
                                  .window = window,
                                  .hop = 1 + random_below(window),
                                  .decimation = decimation,
                                  .gates = gates(bits),
                                  .features = features(outputs),
                                  .channels = channels,
                                  .outputs = outputs,
                                  .width = width,
                                  .n_stages = n_stages,
                                  .counts_bits = bits,
                                  .shift = (uint8_t)random_below(33u - bits),
                                  .stages = stages,
                                  .multiplier = multiplier,
                                  .right_shift = right_shift};
    return config;
}

void setup_free(nrv_path_config_t *config)
{
    for (unsigned k = 0; k < config->n_stages; k++) {
        const nrv_stage_t *s = &config->stages[k];
        if (s->kind == NRV_STAGE_CASCADE)
            free((void *)(uintptr_t)s->cascade);
        else if (s->kind != NRV_STAGE_RECTIFY)
            free((void *)(uintptr_t)s->weights);
    }
    free((void *)(uintptr_t)config->features.set.features);
    free((void *)(uintptr_t)config->features.scale);
    free((void *)(uintptr_t)config->stages);
    free((void *)(uintptr_t)config->multiplier);
    free((void *)(uintptr_t)config->right_shift);
    free(config);
}

nrv_rule_t setup_rule(void)
{
    const uint8_t votes = (uint8_t)(1 + random_below(random_below(2) ? 4 : NRV_VOTES_MAX));
    return (nrv_rule_t){.threshold = (uint16_t)random_below(256),
                        .classes = (uint8_t)(2 + random_below(random_below(2) ? 2 : 253)),
                        .votes = votes,
                        .min_votes = (uint8_t)(1 + random_below(votes))};
}

static int32_t some_count(const nrv_path_config_t *config)
{
    if (random_below(8) == 0)
        return random_int32();
    const unsigned unused = 32u - config->counts_bits;
    const int32_t count = (int32_t)random_64() >> unused;
    return random_below(6) ? count / 3 : count < 0 ? INT32_MIN >> unused : INT32_MAX >> unused;
}

void setup_counts(const nrv_path_config_t *config, size_t samples, int32_t *counts)
{
    const size_t channels = config->channels;
    const unsigned unused = 32u - config->counts_bits, flavour = random_below(3);
    const int32_t top = INT32_MAX >> unused;
    for (size_t i = 0; i < samples * channels; i++) {
        const int32_t tone = nrv_mains_sine((uint32_t)(i / channels) * config->gates.mains_step);
        if (flavour == 0 || i < channels || random_below(30) == 0)
            counts[i] = some_count(config);
        else if (flavour == 1)
            counts[i] = (int32_t)((uint32_t)counts[i - channels] + (uint32_t)random_within(3));
        else
            counts[i] = (int32_t)((int64_t)top * tone >> 15) + random_within(1);
    }
}
