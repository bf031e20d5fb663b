/* The signal path: counts of the converter -> stages (montage, filters, decimation) -> int8 -> window for the
 * model; or -> int16 -> window -> features -> int8 vector for the model.
 *
 * Counts are clamped to the converter's range, raised by `shift` bits, and go through the stages, which give one
 * filtered sample for `decimation` taken: for the first after a reset, then for every decimation-th. It is made
 * int8 by nrv_sat8(nrv_requantize(y, multiplier[c], -right_shift[c])). After a reset the first `settle` filtered
 * samples do not enter the window; the first window is complete `window` filtered samples later, the next ones
 * every `hop`.
 *
 * A path that ends in features keeps its window as int16 instead, with eight bits more of the same scale:
 * nrv_sat16(nrv_requantize(y, multiplier[c], 8 - right_shift[c])). When the window is complete, feature_vector.h
 * makes the vector for the model of it.
 */
#ifndef NRV_PATH_H
#define NRV_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "feature_vector.h"
#include "gain.h"
#include "quality.h"
#include "stage.h"

typedef struct {
    uint32_t settle;            /* filtered samples */
    uint32_t window;            /* filtered samples, >= 1 */
    uint32_t hop;               /* filtered samples, 1..window */
    uint32_t decimation;        /* >= 1, the product of the stages' factors */
    nrv_gates_t gates;          /* of the samples' quality; the path itself takes no notice */
    nrv_gain_control_t gain_control;
    nrv_feature_vector_t features; /* set.count 0: the window itself is the model's */
    uint8_t channels;           /* >= 1, of the counts */
    uint8_t outputs;            /* >= 1, of filtered samples and windows */
    uint8_t width;              /* the most channels before or after any stage */
    uint8_t n_stages;
    uint8_t counts_bits;        /* 2..32; counts lie in -2^(bits-1) .. 2^(bits-1) - 1 */
    uint8_t shift;              /* counts_bits + shift <= 32 */
    const nrv_stage_t *stages;  /* [n_stages] */
    const int32_t *multiplier;  /* [outputs] */
    const uint8_t *right_shift; /* [outputs], 0..31 */
} nrv_path_config_t;

typedef struct {
    const nrv_path_config_t *config;
    int32_t *state;
    int32_t *sample;    /* the last filtered sample */
    int8_t *window;
    nrv_gain_channel_t *gain;   /* [outputs], in `state`; NULL without gain control */
    /* With features, in `state`: */
    int32_t *levels;            /* [outputs][values of a channel], of the last window */
    int16_t *samples;           /* [window][outputs] */
    nrv_bin_t *scratch;
    const int32_t *multiplier;  /* in use: the configuration's, unless nrv_path_set_scale gave others */
    const uint8_t *right_shift;
    uint32_t phase;     /* samples taken since the one that gave the last filtered sample; 0 at rest */
    uint32_t unsettled; /* filtered samples yet to be kept out of the window */
    uint32_t fill;      /* filtered samples in the window */
} nrv_path_t;

/* What a push brought. */
enum {
    NRV_PATH_SAMPLE = 1, /* a filtered sample */
    NRV_PATH_WINDOW = 2  /* which completed a window */
};

/* Sizes of the caller's buffers: int32 words of state, bytes of what the model gets. */
size_t nrv_path_state_len(const nrv_path_config_t *config);
size_t nrv_path_window_len(const nrv_path_config_t *config);

/* Ties a path to its configuration and buffers, which must outlive it, and resets it. */
void nrv_path_init(nrv_path_t *path, const nrv_path_config_t *config, int32_t *state, int8_t *window);
void nrv_path_reset(nrv_path_t *path);

/* A reset because samples were lost: gain control goes on with what it knows. */
void nrv_path_gap(nrv_path_t *path);

/* Scales by multiplier[outputs] and right_shift[outputs], which must outlive the path, instead of the configuration's.
 * A reset keeps them; gain control starts again. */
void nrv_path_set_scale(nrv_path_t *path, const int32_t *multiplier, const uint8_t *right_shift);

/* Takes one sample, counts[channels]. Returns NRV_PATH_ bits. */
unsigned nrv_path_push(nrv_path_t *path, const int32_t *counts);

/* To be called after each window that a push completed: gain control, if there is any, takes note. fit: whether the
 * window is fit to decide on. */
void nrv_path_adapt(nrv_path_t *path, int fit);

/* What the model gets: the window, int8 [window][outputs], oldest sample first; with features int8 [outputs][values of
 * a channel]. Valid from NRV_PATH_WINDOW to the next push. */
const int8_t *nrv_path_window(const nrv_path_t *path);

/* The filtered sample, int32 [outputs]. Valid from NRV_PATH_SAMPLE to the next push. */
const int32_t *nrv_path_filtered(const nrv_path_t *path);

/* Filtered samples that so many more samples will give. */
size_t nrv_path_samples_due(const nrv_path_t *path, size_t samples);

/* Bulk: filters counts[samples][channels]; nothing enters the window. Returns the number of filtered samples,
 * nrv_path_samples_due(path, samples); they are signal[that][outputs]. signal has room for samples x width. */
size_t nrv_path_filter(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *signal);

/* Bulk: the same as pushing counts[samples][channels] one by one, every window being fit. Copies what the model gets of
 * every window completed to windows[k], to ends[k] the position in counts of its last sample, and with features their
 * levels to levels[k][outputs][values of a channel] if that is not NULL; these arrays hold at least
 * nrv_path_windows_due(path, samples). signal as above. Returns the number of windows. */
size_t nrv_path_windows(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *signal, int8_t *windows,
                        size_t *ends, int32_t *levels);
size_t nrv_path_windows_due(const nrv_path_t *path, size_t samples);

#endif
