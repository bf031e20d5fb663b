/* Gain control: an optional slow factor on the scale to int8, one a channel or one for all.
 *
 * A hop is what entered the window since the window before; of the first window, all of it. Its level is
 *
 *     x = mean of |filtered| times the scale, in int8 steps; `common`: the mean of the channels' x
 *
 * A hop counts if the window that it completes is fit to decide on and x is not below the floor. Of the first
 * T = 2^time_shift that count L becomes the mean, and the gain stays 1. From the next on
 *
 *     L += (x - L) / T            gain = target / L, within min_gain .. max_gain
 *
 * so L has a time constant of T hops. A gain holds from the next filtered sample. L errs by less than 2^-13, the gain
 * by less than 2^-13 / L + 2^-16 / gain + 2^-29 of itself (and L below 2^-13 counts as 0).
 */
#ifndef NRV_GAIN_H
#define NRV_GAIN_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint16_t floor;     /* 256ths of an int8 step */
    uint16_t min_gain;  /* 256ths, 1..256 */
    uint16_t max_gain;  /* 256ths, >= 256 */
    uint8_t target;     /* int8 steps, 1..127; 0: no gain control */
    uint8_t time_shift; /* 0..15 */
    uint8_t common;     /* one gain for all channels: the first one's L is that of all */
} nrv_gain_control_t;

/* What is remembered of a filtered channel. 64-bit numbers are two words, low first: they live among int32 words. */
typedef struct {
    uint32_t sum[2];   /* of |filtered| in the hop so far */
    uint32_t samples;  /* in the hop so far */
    uint32_t level[2]; /* L times T, with 16 bits of fraction */
    uint32_t hops;     /* that counted, at most T + 1 */
    int32_t multiplier; /* the scale with the gain */
    uint32_t right_shift;
} nrv_gain_channel_t;

#define NRV_GAIN_WORDS (sizeof(nrv_gain_channel_t) / sizeof(int32_t))

/* Gain 1, for a scale of multiplier[channels] and right_shift[channels]. */
void nrv_gain_reset(nrv_gain_channel_t *channel, size_t channels, const int32_t *multiplier,
                    const uint8_t *right_shift);

/* Forgets the hop so far: samples were lost. */
void nrv_gain_drop_hop(nrv_gain_channel_t *channel, size_t channels);

/* Takes filtered[channels] into the hop. */
void nrv_gain_push(nrv_gain_channel_t *channel, size_t channels, const int32_t *filtered);

/* Ends a hop of at least one sample; `fit`: whether its window is fit to decide on. The scale as for the reset. */
void nrv_gain_adapt(const nrv_gain_control_t *control, nrv_gain_channel_t *channel, size_t channels, int fit,
                    const int32_t *multiplier, const uint8_t *right_shift);

#endif
