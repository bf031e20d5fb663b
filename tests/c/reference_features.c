/* Vectors of features: which samples they are of, and their scale. The features themselves are compared with float64
 * and exact fractions in tests/test_core_features.py; here they are called on memory of exactly their sizes. */
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "reference.h"

__extension__ typedef __int128 wide_t;

static int is_size(unsigned kind)
{
    static const uint8_t sizes[] = {NRV_FEATURE_MAV,          NRV_FEATURE_RMS,      NRV_FEATURE_VARIANCE,
                                    NRV_FEATURE_WAVEFORM_LENGTH, NRV_FEATURE_LINE_LENGTH, NRV_FEATURE_LOG_DETECTOR,
                                    NRV_FEATURE_ACTIVITY,     NRV_FEATURE_BAND_POWER};
    return memchr(sizes, (int)kind, sizeof sizes) != NULL;
}

void reference_vector(const nrv_path_config_t *config, const int16_t *rows, int8_t *vector)
{
    const nrv_feature_set_t *set = &config->features.set;
    const size_t values = nrv_feature_outputs(set), samples = (size_t)config->window * config->outputs;
    int16_t *window = random_memory(samples * sizeof *window);
    nrv_bin_t *scratch = random_memory(NRV_SPECTRUM_BINS(set->length) * sizeof *scratch);
    int32_t *value = random_memory(config->outputs * values * sizeof *value);
    memcpy(window, rows, samples * sizeof *window);
    nrv_features_run(set, window, config->window, config->outputs, scratch, value);
    size_t at = 0;
    for (size_t c = 0; c < config->outputs; c++)
        for (size_t f = 0; f < set->count; f++)
            for (size_t k = 0; k < nrv_feature_values(&set->features[f]); k++, at++) {
                const nrv_feature_scale_t *scale = &config->features.scale[at];
                const wide_t level = is_size(set->features[f].kind) ? nrv_log2((uint64_t)value[at]) : value[at];
                const wide_t sum = level * scale->multiplier + scale->bias, divisor = (wide_t)1 << scale->shift;
                const wide_t floored = (sum - ((sum % divisor + divisor) % divisor)) / divisor;
                vector[at] = (int8_t)(floored > INT8_MAX ? INT8_MAX : floored < INT8_MIN ? INT8_MIN : floored);
            }
    free(window);
    free(scratch);
    free(value);
}
