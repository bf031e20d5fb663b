/* The quality of what comes from the electrodes: which samples no decision may rest on.
 *
 * Each gate looks at every sample (the amplitude: at every filtered sample) and finds it in order or violating.
 * A window carries the flag of a gate when one of the `span` samples up to its end violates. All are integers;
 * a gate whose number is 0 is off.
 *
 *     SATURATED  the last sample of `saturated_run` on end with any channel at a limit of the converter, and
 *                those that go on
 *     FLAT       the same of `flat_run` samples on end in which one channel keeps within `flat_range` counts.
 *                The samples on end are counted from the one that left the range of those before: what stays
 *                within it for 2 x flat_run - 1 samples is always found, at a range of 0 after flat_run
 *     SLOPE      |x[n] - x[n - 1]| > slope, any channel; not of the first sample after a reset
 *     AMPLITUDE  |filtered| > amplitude, any channel
 *     MAINS      the share of power at the mains frequency is above mains_share / 256, any channel
 *     LEAD_OFF   a bit of lead_mask is set in the bits that came with the sample
 *
 * The share of mains. x, clamped to the converter and raised or lowered to 30 bits, loses its mean and is
 * multiplied by a sine and a cosine; T = 2^mains_shift samples, M = 2^-mains_shift:
 *
 *     y = x - floor(m)            m += M y, m = x at the first sample
 *     I += M (y cos - I)          Q += M (y sin - Q)          P += M (y^2 - P)
 *     share = 2 (I^2 + Q^2) / P   1 for a sine of the mains frequency, M for white noise, in the mean
 *
 * The means run with a time constant of T samples. Of a sine at `f` in samples^-1 the share swings within
 * 1 +- g, g = M / |1 - (1 - M) exp(-4 pi j f)|; one off by d has 1 / (1 + (2 pi d T)^2) of it; after n samples
 * it has reached 1 - (1 - M)^n. Rounding moves it by less than 30 / s + 0.0003, s the root mean square of y in
 * steps of 30 bits; half of that is much.
 */
#ifndef NRV_QUALITY_H
#define NRV_QUALITY_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t saturated_run; /* samples */
    uint32_t flat_run;      /* samples */
    uint32_t flat_range;    /* counts */
    uint32_t slope;         /* counts from sample to sample */
    uint32_t amplitude;     /* of filtered samples: counts times 2^shift of the path */
    uint32_t mains_step;    /* mains frequency over sampling rate, times 2^32 */
    uint32_t lead_mask;     /* bit c: the electrode of channel c matters; 31 and all after share bit 31 */
    uint16_t inform;        /* flags (decision.h) that are said and do not forbid a decision */
    uint8_t mains_shift;    /* 3..10 */
    uint8_t mains_share;    /* 256ths */
} nrv_gates_t;

/* What is remembered of one channel. */
typedef struct {
    int64_t mean;            /* m, times 2^32 */
    int64_t in_phase;        /* I / 2, times 2^32 */
    int64_t quadrature;      /* Q / 2, likewise */
    uint64_t power;          /* P / 2^8, times 2^mains_shift */
    int32_t previous;        /* counts */
    int32_t lowest, highest; /* of the last flat_for samples */
    uint32_t flat_for;       /* samples on end within flat_range, at most flat_run */
} nrv_channel_quality_t;

enum { NRV_GATES = 6 };

typedef struct {
    const nrv_gates_t *gates;
    nrv_channel_quality_t *channel; /* [channels] */
    size_t channels;
    uint32_t span; /* samples */
    uint32_t taken;               /* samples since the start, modulo 2^32 */
    uint32_t violated[NRV_GATES]; /* `taken` at the last violation of each gate whose flag is in `seen` */
    uint32_t at_limit;            /* samples on end at a limit, at most saturated_run */
    uint32_t phase;               /* of the mains, 2^32 to a turn */
    uint16_t seen;
    uint8_t counts_bits;
    uint8_t started;
} nrv_quality_t;

/* Gates for windows of `span` >= 1 converter samples of counts_bits-bit counts. Gates and channel[channels]
 * must outlive it; the latter is initialised here. */
void nrv_quality_init(nrv_quality_t *quality, const nrv_gates_t *gates, size_t channels, unsigned counts_bits,
                      uint32_t span, nrv_channel_quality_t *channel);

/* Back to the state after nrv_quality_init. */
void nrv_quality_reset(nrv_quality_t *quality);

/* Looks at one sample, counts[channels], and at the bits of the front end, 1 for an electrode that is off. */
void nrv_quality_push(nrv_quality_t *quality, const int32_t *counts, uint32_t lead_off);

/* Looks at the filtered sample[outputs] that the last sample brought. */
void nrv_quality_push_filtered(nrv_quality_t *quality, const int32_t *sample, size_t outputs);

/* Flags of a window that ends with the last sample. To be called at least once in 2^32 - span samples. */
uint16_t nrv_quality_flags(nrv_quality_t *quality);

/* sin(2 pi phase / 2^32) times 32767, off by less than 4: straight lines between 256 values. */
int32_t nrv_mains_sine(uint32_t phase);

#endif
