#include "path.h"

#include <string.h>

#include "fixed.h"

static size_t stages_state_len(const nrv_path_config_t *config)
{
    size_t words = 0, channels = config->channels;
    for (unsigned s = 0; s < config->n_stages; s++) {
        words += nrv_stage_state_len(&config->stages[s], channels);
        channels = config->stages[s].outputs;
    }
    return words;
}

size_t nrv_path_state_len(const nrv_path_config_t *config)
{
    const size_t gains = config->gain_control.target ? config->outputs : 0u;
    return stages_state_len(config) + config->width + gains * NRV_GAIN_WORDS;
}

size_t nrv_path_window_len(const nrv_path_config_t *config)
{
    return (size_t)config->window * config->outputs;
}

void nrv_path_init(nrv_path_t *path, const nrv_path_config_t *config, int32_t *state, int8_t *window)
{
    path->config = config;
    path->state = state;
    path->sample = state + stages_state_len(config);
    path->window = window;
    path->gain = config->gain_control.target ? (nrv_gain_channel_t *)(void *)(path->sample + config->width) : NULL;
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
        memmove(path->window, path->window + config->hop * outputs, path->fill * outputs);
    }
    int8_t *row = path->window + path->fill * outputs;
    const nrv_gain_channel_t *gain = path->gain;
    if (gain) {
        nrv_gain_push(path->gain, outputs, filtered);
        for (size_t c = 0; c < outputs; c++)
            row[c] = nrv_sat8(nrv_requantize(filtered[c], gain[c].multiplier, -(int)gain[c].right_shift));
    } else {
        for (size_t c = 0; c < outputs; c++)
            row[c] = nrv_sat8(nrv_requantize(filtered[c], path->multiplier[c], -(int)path->right_shift[c]));
    }
    path->fill++;
    return path->fill == config->window;
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
                        size_t *ends)
{
    const nrv_path_config_t *config = path->config;
    const size_t size = nrv_path_window_len(config);
    size_t end = path->phase ? config->decimation - path->phase : 0, found = 0;
    const size_t due = nrv_path_filter(path, counts, samples, signal);
    for (size_t i = 0; i < due; i++, end += config->decimation) {
        if (!take(path, signal + i * config->outputs))
            continue;
        memcpy(windows, path->window, size);
        nrv_path_adapt(path, 1);
        windows += size;
        ends[found++] = end;
    }
    return found;
}
