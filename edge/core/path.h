/* The signal path: counts of the converter -> filter cascade -> int8 -> window for the model.
 *
 * counts are clamped to the converter's range, raised by `shift` bits, filtered, and made int8 by
 * nrv_sat8(nrv_requantize(y, multiplier[c], -right_shift[c])). After a reset the first `settle` samples are
 * filtered but do not enter the window; the first window is complete `window` samples later, the next ones
 * every `hop` samples.
 */
#ifndef NRV_PATH_H
#define NRV_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "biquad.h"

typedef struct {
    uint32_t settle;
    uint32_t window;              /* samples, >= 1 */
    uint32_t hop;                 /* samples, 1..window */
    uint32_t saturated_run;       /* >= 1: so many samples on end at the converter's limits spoil a window */
    uint8_t channels;             /* >= 1 */
    uint8_t sections;             /* 0 for no filter */
    uint8_t counts_bits;          /* 2..32; counts lie in -2^(bits-1) .. 2^(bits-1) - 1 */
    uint8_t shift;                /* counts_bits + shift <= 32 */
    const nrv_section_t *cascade; /* [sections] */
    const int32_t *multiplier;    /* [channels] */
    const uint8_t *right_shift;   /* [channels], 0..31 */
} nrv_path_config_t;

typedef struct {
    const nrv_path_config_t *config;
    int32_t *state;
    int8_t *window;
    uint32_t unsettled; /* samples yet to be kept out of the window */
    uint32_t fill;      /* samples in the window */
} nrv_path_t;

/* Sizes of the caller's buffers: int32 words of state (cascade and one filtered sample), bytes of window. */
#define NRV_PATH_STATE_LEN(sections, channels) (NRV_CASCADE_STATE_LEN(sections, channels) + (size_t)(channels))
#define NRV_PATH_WINDOW_LEN(window, channels) ((size_t)(window) * (size_t)(channels))

/* Ties a path to its configuration and buffers, which must outlive it, and resets it. */
void nrv_path_init(nrv_path_t *path, const nrv_path_config_t *config, int32_t *state, int8_t *window);
void nrv_path_reset(nrv_path_t *path);

/* Takes one sample, counts[channels]. Returns 1 when it completes a window, else 0. */
int nrv_path_push(nrv_path_t *path, const int32_t *counts);

/* The window, int8 [window][channels], oldest sample first. Valid from a push that returned 1 to the next. */
const int8_t *nrv_path_window(const nrv_path_t *path);

/* The sample last given to nrv_path_push, after the cascade, int32 [channels]. */
const int32_t *nrv_path_filtered(const nrv_path_t *path);

/* Bulk: filters counts[samples][channels] into filtered (same shape); nothing enters the window. */
void nrv_path_filter(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *filtered);

/* Bulk: the same as pushing counts[samples][channels] one by one. Copies every window completed to
 * windows[k][window][channels], and to ends[k] the position in counts of its last sample; these arrays hold
 * at least nrv_path_windows_due(path, samples). filtered[samples][channels] is filled on the way. Returns the
 * number of windows. */
size_t nrv_path_windows(nrv_path_t *path, const int32_t *counts, size_t samples, int32_t *filtered,
                        int8_t *windows, size_t *ends);
size_t nrv_path_windows_due(const nrv_path_t *path, size_t samples);

#endif
