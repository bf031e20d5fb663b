#include "feature_vector.h"

#include "fixed.h"

static int is_size(const nrv_feature_t *feature)
{
    switch ((nrv_feature_kind_t)feature->kind) {
    case NRV_FEATURE_MAV:
    case NRV_FEATURE_RMS:
    case NRV_FEATURE_VARIANCE:
    case NRV_FEATURE_WAVEFORM_LENGTH:
    case NRV_FEATURE_LINE_LENGTH:
    case NRV_FEATURE_LOG_DETECTOR:
    case NRV_FEATURE_ACTIVITY:
    case NRV_FEATURE_BAND_POWER: return 1;
    default: return 0;
    }
}

static int8_t scaled(const nrv_feature_scale_t *scale, int32_t level)
{
    const int64_t x = ((int64_t)level * scale->multiplier + scale->bias) >> scale->shift;
    return nrv_sat8(nrv_sat32(x));
}

void nrv_feature_vector(const nrv_feature_vector_t *config, const int16_t *window, size_t samples, size_t channels,
                        nrv_bin_t *scratch, int32_t *levels, int8_t *vector)
{
    config->run(&config->set, window, samples, channels, scratch, levels);
    const nrv_feature_scale_t *scale = config->scale;
    for (size_t channel = 0; channel < channels; channel++) {
        for (size_t i = 0; i < config->set.count; i++) {
            const nrv_feature_t *feature = &config->set.features[i];
            const int logarithm = is_size(feature);
            for (size_t k = nrv_feature_values(feature); k; k--, levels++) {
                if (logarithm)
                    *levels = nrv_log2((uint64_t)*levels);
                *vector++ = scaled(scale++, *levels);
            }
        }
    }
}
