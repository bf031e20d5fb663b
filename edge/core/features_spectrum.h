/* The power spectrum of one channel, and features of it.
 *
 * Less its mean, times a periodic Hann window, padded with zeros to the length N of the transform:
 *
 *     power[k] = c |X[k]|^2 / (N sum(w^2)) counts^2,   c = 1 for k = 0 and N/2, else 2
 *
 * so that all bins together are the mean square under the window: scipy.signal.periodogram(x, fs, "hann", N)
 * times fs / N. Bin k is at k / N of the sampling rate.
 *
 * The transform is block floating point: before each of its stages the widest value lies between 2^28 and
 * 2^29 (2^27 and 2^28 before the last), and each stage adds a rounding error of at most 1.3 a value. By
 * Parseval's theorem that is, of the root of the whole power, at most 13 * 1.3 * sqrt(N / 2) / 2^28 < 2^-18
 * whatever the signal. The window adds 2^-20 (interpolated table) and its rounding, 2^-12 counts at most.
 * Powers are stored with a last bit of at most 2^-37 of all bins together. So for the true power P of any bins
 * and T of all:
 *
 *     |computed - P| < 2 r sqrt(P) + r^2 + 2^-27 T,   r = 2^-17 sqrt(T) + 2^-12
 */
#ifndef NRV_FEATURES_SPECTRUM_H
#define NRV_FEATURES_SPECTRUM_H

#include "features_math.h"
#include "features_time.h"

#define NRV_SINE_QUARTER 1024

/* sin(i / 1024 * pi / 2) in Q30; written by sine_table.py. */
extern const int32_t nrv_sine[1025];

/* On the way a complex value, in the end the power of a bin. */
typedef union {
    struct {
        int32_t re, im;
    } z;
    uint64_t power; /* all bins together stay below 2^52 */
} nrv_bin_t;

/* Bins of a transform of `length` samples: from 0 to half the sampling rate. */
#define NRV_SPECTRUM_BINS(length) ((length) / 2u + 1u)

typedef struct {
    const nrv_bin_t *bins;
    nrv_scaled_t unit; /* counts^2 that a power of 1 stands for */
} nrv_spectrum_t;

/* Transforms `series`, n <= length, a power of two from 64 to 4096, into bins[NRV_SPECTRUM_BINS(length)]. */
nrv_spectrum_t nrv_spectrum(const nrv_series_t *series, size_t length, nrv_bin_t *bins);

/* Of the bins from `first` to `last`, both included; last <= length / 2. */
int32_t nrv_band_power(const nrv_spectrum_t *spectrum, size_t first, size_t last);
int32_t nrv_log_band_power(const nrv_spectrum_t *spectrum, size_t first, size_t last);
int32_t nrv_spectral_edge(const nrv_spectrum_t *spectrum, size_t first, size_t last, uint16_t share);
int32_t nrv_mean_frequency(const nrv_spectrum_t *spectrum, size_t first, size_t last);

#endif
