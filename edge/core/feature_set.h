/* Features of windows of int16 samples, in integers, for small classical models and quality gates.
 *
 * x[0..n-1] is one channel of a window, n from 1 to 4096; d its n - 1 first differences, e its n - 2 second
 * ones; m its mean. The error is the greatest distance from the formula's value, in LSB of the output: 0.5 is
 * that value rounded to nearest.
 *
 *  feature              formula                                     output      error
 *  MAV                  sum |x| / n                                 Q8 counts   0.5
 *  RMS                  sqrt(sum x^2 / n)                           Q8 counts   0.6
 *  VARIANCE             sum (x - m)^2 / (n - 1), 0 for n = 1        counts^2    0.5
 *  WAVEFORM_LENGTH      sum |d|                                     counts      0
 *  LINE_LENGTH          sum |d| / (n - 1), 0 for n = 1              Q8 counts   0.5
 *  ZERO_CROSSINGS       x[i] x[i+1] < 0 and |d[i]| >= threshold     number      0
 *  SLOPE_SIGN_CHANGES   d[i] d[i+1] < 0 and one |d| >= threshold    number      0
 *  WILLISON_AMPLITUDE   |d[i]| >= threshold                         number      0
 *  LOG_DETECTOR         exp(sum ln(max(|x|, 1)) / n)                Q8 counts   0.7
 *  ACTIVITY             var(x) = sum (x - m)^2 / n                  counts^2    0.5
 *  MOBILITY             sqrt(var(d) / var(x)), 0 for var(x) = 0     Q16         0.6
 *  COMPLEXITY           mobility(d) / mobility(x), 0 where that     Q16         0.6 below 2^9, then 2^-28 of the
 *                       divides by 0                                            value; saturates at 2^15
 *  AUTOREGRESSION       a[k] of x[i] = sum a[k] x[i-k] + noise      Q20         0.52, see features_ar.h
 *  BAND_POWER           P = sum of power[first..last]               counts^2    see features_spectrum.h:
 *  LOG_BAND_POWER       log2(P), -16 where that is less             Q16         with its bound B for P
 *  SPECTRAL_EDGE        where share / 65536 of P lies below         Q16 bins    what truly lies below: by 2 B
 *  MEAN_FREQUENCY       sum k power[k] / P                          Q16 bins    (last - first) B / (P - B) bins
 *
 * A bin k of SPECTRAL_EDGE spreads its power evenly from k - 1/2 to k + 1/2; share = 32768 gives the median
 * frequency. Both frequencies are 0 where there is no power.
 *
 * Sources: Hudgins, Parker, Scott, "A new strategy for multifunction myoelectric control", IEEE TBME 40(1),
 * 1993 (MAV, WAVEFORM_LENGTH, ZERO_CROSSINGS, SLOPE_SIGN_CHANGES); Phinyomark, Phukpattaranont, Limsakul,
 * "Feature reduction and selection for EMG signal classification", Expert Systems with Applications 39(8), 2012
 * (RMS, WILLISON_AMPLITUDE, LOG_DETECTOR, AUTOREGRESSION, MEAN_FREQUENCY, median frequency); Esteller, Echauz,
 * Tcheng, Litt, Pless, "Line length: an efficient feature for seizure onset detection", EMBC 2001 (LINE_LENGTH);
 * Hjorth, "EEG analysis based on time domain properties", Electroencephalography and Clinical Neurophysiology
 * 29(3), 1970 (ACTIVITY, MOBILITY, COMPLEXITY); Rampil, "A primer for EEG signal processing in anesthesia",
 * Anesthesiology 89(4), 1998 (SPECTRAL_EDGE).
 */
#ifndef NRV_FEATURE_SET_H
#define NRV_FEATURE_SET_H

#include "features_ar.h"
#include "features_spectrum.h"
#include "features_time.h"

#define NRV_FEATURE_SAMPLES_MAX 4096

typedef enum {
    NRV_FEATURE_MAV = 0,
    NRV_FEATURE_RMS,
    NRV_FEATURE_VARIANCE,
    NRV_FEATURE_WAVEFORM_LENGTH,
    NRV_FEATURE_LINE_LENGTH,
    NRV_FEATURE_ZERO_CROSSINGS,
    NRV_FEATURE_SLOPE_SIGN_CHANGES,
    NRV_FEATURE_WILLISON_AMPLITUDE,
    NRV_FEATURE_LOG_DETECTOR,
    NRV_FEATURE_ACTIVITY,
    NRV_FEATURE_MOBILITY,
    NRV_FEATURE_COMPLEXITY,
    NRV_FEATURE_AUTOREGRESSION, /* `order` outputs, a[1] first; every other feature has one */
    NRV_FEATURE_BAND_POWER,     /* from here on of the spectrum */
    NRV_FEATURE_LOG_BAND_POWER,
    NRV_FEATURE_SPECTRAL_EDGE,
    NRV_FEATURE_MEAN_FREQUENCY
} nrv_feature_kind_t;

/* Each kind reads only its own parameters. */
typedef struct {
    uint8_t kind;         /* nrv_feature_kind_t */
    uint8_t order;        /* AUTOREGRESSION: 1..NRV_AR_ORDER_MAX */
    uint16_t threshold;   /* ZERO_CROSSINGS, SLOPE_SIGN_CHANGES, WILLISON_AMPLITUDE: counts */
    uint16_t first, last; /* of the spectrum: bins, both included; first <= last <= length / 2 */
    uint16_t share;       /* SPECTRAL_EDGE: 65536ths of the power, at least 1 */
} nrv_feature_t;

typedef struct {
    const nrv_feature_t *features;
    size_t count;
    size_t length; /* of the transform: a power of two, 64..4096, >= samples; unused without its features */
} nrv_feature_set_t;

/* int32 values of a feature, and of all of them, a channel. */
size_t nrv_feature_values(const nrv_feature_t *feature);
size_t nrv_feature_outputs(const nrv_feature_set_t *set);

/* Whether any feature is of the spectrum. */
int nrv_feature_needs_spectrum(const nrv_feature_set_t *set);

/* Computes all features of each channel of window[samples][channels] into out[channels][outputs].
 * `scratch` holds NRV_SPECTRUM_BINS(set->length) bins; it may be null where no feature is of the spectrum.
 * Nothing is kept between calls. */
void nrv_features_run(const nrv_feature_set_t *set, const int16_t *window, size_t samples, size_t channels,
                      nrv_bin_t *scratch, int32_t *out);

/* The same for a set without features of the spectrum: a program that calls only this needs no transform. */
void nrv_features_run_time(const nrv_feature_set_t *set, const int16_t *window, size_t samples, size_t channels,
                           nrv_bin_t *scratch, int32_t *out);

#endif
