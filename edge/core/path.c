#include "path.h"

#include <string.h>

#include "fixed.h"

static int32_t *filtered_sample(const nrv_path_t *path)
{
    return path->state + NRV_CASCADE_STATE_LEN(path->config->sections, path->config->channels);
}

void nrv_path_init(nrv_path_t *path, const nrv_path_config_t *config, int32_t *state, int8_t *window)
{
    path->config = config;
    path->state = state;
    path->window = window;
    nrv_path_reset(path);
}

void nrv_path_reset(nrv_path_t *path)
{
    const nrv_path_config_t *config = path->config;
    memset(path->state, 0, NRV_PATH_STATE_LEN(config->sections, config->channels) * sizeof *path->state);
    path->unsettled = config->settle;
    path->fill = 0;
}

void nrv_path_filter(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *filtered)
{
    const nrv_path_config_t *config = path->config;
    const int32_t highest = (int32_t)((UINT32_C(1) << (config->counts_bits - 1)) - 1u);
    const int32_t lowest = -highest - 1;
    const int64_t scale = INT64_C(1) << config->shift;
    const size_t values = samples * config->channels;
    for (size_t i = 0; i < values; i++) {
        const int32_t count = counts[i] > highest ? highest : counts[i] < lowest ? lowest : counts[i];
        filtered[i] = (int32_t)(count * scale);
    }
    nrv_cascade_run(config->cascade, config->sections, config->channels, path->state, filtered, samples);
}

/* Takes one filtered sample into the window. Returns 1 when that completes it. */
static int take(nrv_path_t *path, const int32_t *filtered)
{
    const nrv_path_config_t *config = path->config;
    const size_t channels = config->channels;
    if (path->unsettled) {
        path->unsettled--;
        return 0;
    }
    if (path->fill == config->window) {
        path->fill -= config->hop;
        memmove(path->window, path->window + config->hop * channels, path->fill * channels);
    }
    int8_t *row = path->window + path->fill * channels;
    for (size_t c = 0; c < channels; c++)
        row[c] = nrv_sat8(nrv_requantize(filtered[c], config->multiplier[c], -(int)config->right_shift[c]));
    path->fill++;
    return path->fill == config->window;
}

int nrv_path_push(nrv_path_t *path, const int32_t *counts)
{
    int32_t *filtered = filtered_sample(path);
    nrv_path_filter(path, counts, 1, filtered);
    return take(path, filtered);
}

const int8_t *nrv_path_window(const nrv_path_t *path)
{
    return path->window;
}

const int32_t *nrv_path_filtered(const nrv_path_t *path)
{
    return filtered_sample(path);
}

size_t nrv_path_windows_due(const nrv_path_t *path, size_t samples)
{
    const nrv_path_config_t *config = path->config;
    const uint32_t full = path->fill == config->window;
    const size_t first = full ? config->hop : (size_t)path->unsettled + config->window - path->fill;
    return samples < first ? 0 : 1 + (samples - first) / config->hop;
}

size_t nrv_path_windows(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *filtered,
                        int8_t *windows, size_t *ends)
{
    const size_t channels = path->config->channels;
    const size_t size = NRV_PATH_WINDOW_LEN(path->config->window, channels);
    size_t found = 0;
    nrv_path_filter(path, counts, samples, filtered);
    for (size_t i = 0; i < samples; i++) {
        if (!take(path, filtered + i * channels))
            continue;
        memcpy(windows, path->window, size);
        windows += size;
        ends[found++] = i;
    }
    return found;
}
