#include "path.h"

#include <string.h>

#include "fixed.h"

#define FINER_BITS 8 /* of samples that features are computed of, than int8 */

static size_t stages_state_len(const nrv_path_config_t *config)
{
    size_t words = 0, channels = config->channels;
    for (unsigned s = 0; s < config->n_stages; s++) {
        words += nrv_stage_state_len(&config->stages[s], channels);
        channels = config->stages[s].outputs;
    }
    return words;
}

/* Values of a window's features, 0 without any. */
static size_t levels_len(const nrv_path_config_t *config)
{
    return config->outputs * nrv_feature_outputs(&config->features.set);
}

static size_t features_state_len(const nrv_path_config_t *config)
{
    const nrv_feature_set_t *set = &config->features.set;
    if (!set->count)
        return 0;
    const size_t samples = (size_t)config->window * config->outputs;
    size_t words = levels_len(config) + (samples + 1u) / 2u;
    if (nrv_feature_needs_spectrum(set))
        words += NRV_SPECTRUM_BINS(set->length) * (sizeof(nrv_bin_t) / sizeof(int32_t)) + 1u; /* to align them */
    return words;
}

size_t nrv_path_state_len(const nrv_path_config_t *config)
{
    const size_t gains = config->gain_control.target ? config->outputs : 0u;
    return stages_state_len(config) + config->width + gains * NRV_GAIN_WORDS + features_state_len(config);
}

size_t nrv_path_window_len(const nrv_path_config_t *config)
{
    return config->features.set.count ? levels_len(config) : (size_t)config->window * config->outputs;
}

static void place_features(nrv_path_t *path, int32_t *words)
{
    const nrv_path_config_t *config = path->config;
    path->levels = words;
    words += levels_len(config);
    path->samples = (int16_t *)(void *)words;
    words += ((size_t)config->window * config->outputs + 1u) / 2u;
    words += ((uintptr_t)words / sizeof *words) % (sizeof(nrv_bin_t) / sizeof *words);
    path->scratch = (nrv_bin_t *)(void *)words;
}

void nrv_path_init(nrv_path_t *path, const nrv_path_config_t *config, int32_t *state, int8_t *window)
{
    const int with_gain = config->gain_control.target != 0;
    path->config = config;
    path->state = state;
    path->sample = state + stages_state_len(config);
    path->window = window;
    int32_t *words = path->sample + config->width;
    path->gain = with_gain ? (nrv_gain_channel_t *)(void *)words : NULL;
    path->levels = NULL;
    path->samples = NULL;
    path->scratch = NULL;
    if (config->features.set.count)
        place_features(path, words + (with_gain ? config->outputs * NRV_GAIN_WORDS : 0u));
    nrv_path_set_scale(path, config->multiplier, config->right_shift);
    nrv_path_reset(path);
}

void nrv_path_set_scale(nrv_path_t *path, const int32_t *multiplier, const uint8_t *right_shift)
{
    path->multiplier = multiplier;
    path->right_shift = right_shift;
    if (path->gain)
        nrv_gain_reset(path->gain, path->config->outputs, multiplier, right_shift);
}

void nrv_path_adapt(nrv_path_t *path, int fit)
{
    const nrv_path_config_t *config = path->config;
    if (path->gain)
        nrv_gain_adapt(&config->gain_control, path->gain, config->outputs, fit, path->multiplier, path->right_shift);
}

void nrv_path_reset(nrv_path_t *path)
{
    nrv_path_gap(path);
    if (path->gain)
        nrv_gain_reset(path->gain, path->config->outputs, path->multiplier, path->right_shift);
}

void nrv_path_gap(nrv_path_t *path)
{
    const nrv_path_config_t *config = path->config;
    memset(path->state, 0, (stages_state_len(config) + config->width) * sizeof *path->state);
    if (path->gain)
        nrv_gain_drop_hop(path->gain, config->outputs);
    path->phase = 0;
    path->unsettled = config->settle;
    path->fill = 0;
}

size_t nrv_path_samples_due(const nrv_path_t *path, size_t samples)
{
    const size_t decimation = path->config->decimation;
    const size_t first = path->phase ? decimation - path->phase : 0;
    return samples <= first ? 0 : 1 + (samples - first - 1) / decimation;
}

size_t nrv_path_filter(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *signal)
{
    const nrv_path_config_t *config = path->config;
    const int32_t highest = nrv_highest_count(config->counts_bits);
    const int32_t lowest = -highest - 1;
    const int64_t scale = INT64_C(1) << config->shift;
    size_t channels = config->channels;
    const size_t values = samples * channels;
    for (size_t i = 0; i < values; i++) {
        const int32_t count = counts[i] > highest ? highest : counts[i] < lowest ? lowest : counts[i];
        signal[i] = (int32_t)(count * scale);
    }
    path->phase = (uint32_t)((path->phase + samples) % config->decimation);
    int32_t *state = path->state;
    for (unsigned s = 0; s < config->n_stages; s++) {
        const nrv_stage_t *stage = &config->stages[s];
        samples = nrv_stage_run(stage, channels, state, signal, samples);
        state += nrv_stage_state_len(stage, channels);
        channels = stage->outputs;
    }
    return samples;
}

/* The next row of the window, from one filtered sample. */
static void put_int8(const nrv_path_t *path, const int32_t *filtered, int8_t *row)
{
    const size_t outputs = path->config->outputs;
    const nrv_gain_channel_t *gain = path->gain;
    if (gain) {
        for (size_t c = 0; c < outputs; c++)
            row[c] = nrv_sat8(nrv_requantize(filtered[c], gain[c].multiplier, -(int)gain[c].right_shift));
    } else {
        for (size_t c = 0; c < outputs; c++)
            row[c] = nrv_sat8(nrv_requantize(filtered[c], path->multiplier[c], -(int)path->right_shift[c]));
    }
}

static void put_int16(const nrv_path_t *path, const int32_t *filtered, int16_t *row)
{
    const size_t outputs = path->config->outputs;
    const nrv_gain_channel_t *gain = path->gain;
    for (size_t c = 0; c < outputs; c++) {
        const int32_t multiplier = gain ? gain[c].multiplier : path->multiplier[c];
        const int right_shift = gain ? (int)gain[c].right_shift : path->right_shift[c];
        row[c] = nrv_sat16(nrv_requantize(filtered[c], multiplier, FINER_BITS - right_shift));
    }
}

/* Takes one filtered sample into the window. Returns 1 when that completes it. */
static int take(nrv_path_t *path, const int32_t *filtered)
{
    const nrv_path_config_t *config = path->config;
    const size_t outputs = config->outputs;
    if (path->unsettled) {
        path->unsettled--;
        return 0;
    }
    if (path->fill == config->window) {
        path->fill -= config->hop;
        const size_t from = config->hop * outputs, kept = path->fill * outputs;
        if (path->samples)
            memmove(path->samples, path->samples + from, kept * sizeof *path->samples);
        else
            memmove(path->window, path->window + from, kept);
    }
    if (path->gain)
        nrv_gain_push(path->gain, outputs, filtered);
    const size_t at = path->fill * outputs;
    if (path->samples)
        put_int16(path, filtered, path->samples + at);
    else
        put_int8(path, filtered, path->window + at);
    path->fill++;
    if (path->fill < config->window)
        return 0;
    if (path->samples)
        nrv_feature_vector(&config->features, path->samples, config->window, outputs, path->scratch, path->levels,
                           path->window);
    return 1;
}

unsigned nrv_path_push(nrv_path_t *path, const int32_t *counts)
{
    const size_t due = nrv_path_samples_due(path, 1);
    (void)nrv_path_filter(path, counts, 1, path->sample);
    if (!due)
        return 0;
    return take(path, path->sample) ? NRV_PATH_SAMPLE | NRV_PATH_WINDOW : NRV_PATH_SAMPLE;
}

const int8_t *nrv_path_window(const nrv_path_t *path)
{
    return path->window;
}

const int32_t *nrv_path_filtered(const nrv_path_t *path)
{
    return path->sample;
}

size_t nrv_path_windows_due(const nrv_path_t *path, size_t samples)
{
    const nrv_path_config_t *config = path->config;
    const uint32_t full = path->fill == config->window;
    const size_t first = full ? config->hop : (size_t)path->unsettled + config->window - path->fill;
    const size_t due = nrv_path_samples_due(path, samples);
    return due < first ? 0 : 1 + (due - first) / config->hop;
}

size_t nrv_path_windows(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *signal, int8_t *windows,
                        size_t *ends, int32_t *levels)
{
    const nrv_path_config_t *config = path->config;
    const size_t size = nrv_path_window_len(config), values = levels_len(config);
    size_t end = path->phase ? config->decimation - path->phase : 0, found = 0;
    const size_t due = nrv_path_filter(path, counts, samples, signal);
    for (size_t i = 0; i < due; i++, end += config->decimation) {
        if (!take(path, signal + i * config->outputs))
            continue;
        memcpy(windows, path->window, size);
        if (levels)
            memcpy(levels + found * values, path->levels, values * sizeof *levels);
        nrv_path_adapt(path, 1);
        windows += size;
        ends[found++] = end;
    }
    return found;
}
