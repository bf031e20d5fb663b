/* Calibration on the device: how loud each filtered channel is at rest and at maximum voluntary contraction (MVC),
 * and what follows from it: the scale to int8, proportional control, and a record to be stored.
 *
 * Levels are means of |filtered| over the samples of a phase, in units of filtered samples (counts times 2^shift).
 * Sums are exact: 64 bits hold 2^32 - 1 samples of any size, 24 days at 2 kHz.
 *
 * The scale brings `headroom` times the MVC level to 127: 127 / (headroom / 256 * level), as multiplier / 2^(31 +
 * right_shift), with a relative error of at most 2^-29 + 2^-15 / level. A path whose trained scale is one for all
 * channels keeps it so, from the mean of their levels: the pattern of loudness across them is what its model has
 * learned.
 */
#ifndef NRV_CALIBRATION_H
#define NRV_CALIBRATION_H

#include <stddef.h>
#include <stdint.h>

#include "path.h"

enum {
    NRV_CALIBRATION_GOOD = 0,
    NRV_CALIBRATION_SATURATED = 1,      /* a converter channel was at its limits in over 1 of 16 samples */
    NRV_CALIBRATION_FLAT = 2,           /* a filtered channel's MVC level is below one count, or below 128 / headroom */
    NRV_CALIBRATION_NOT_ABOVE_REST = 3, /* a filtered channel's MVC level is below 1.5 times its rest level */
    NRV_CALIBRATION_DAMAGED = 4,        /* a record of wrong size, magic, version, range or CRC */
    NRV_CALIBRATION_OTHER_BUNDLE = 5,   /* a record of another bundle */
    NRV_CALIBRATION_NOT_STORED = 6      /* all is well, but the board could not store it: in use until a reset */
};

#define NRV_PROPORTION_ONE 32768

/* Gathers one phase. Zero a phase's arrays and counters to begin. */
typedef struct {
    uint64_t *sum;      /* [outputs], of |filtered| */
    uint32_t *at_limit; /* [channels], samples at the converter's limits */
    uint32_t wanted;    /* filtered samples, >= 1 */
    uint32_t gathered;  /* of them */
    uint32_t taken;     /* samples of the converter, those in which the filters settle included */
} nrv_levels_t;

/* What a calibration found, per filtered channel: arrays [outputs] of the caller's. */
typedef struct {
    uint32_t *rest;       /* level */
    uint32_t *mvc;        /* level */
    int32_t *multiplier;  /* for nrv_path_set_scale */
    uint8_t *right_shift; /* the same */
} nrv_calibration_t;

/* Takes a sample that was just pushed to the path; `filtered`: whether it brought a filtered sample, which is gathered
 * if the filters have settled. Returns 1 once all wanted are gathered, and takes no more. */
int nrv_levels_take(nrv_levels_t *levels, const nrv_path_t *path, const int32_t *counts, int filtered);

/* Pushes counts[samples][channels] through the path and takes them, until all wanted are gathered. Returns the number
 * of samples used. */
size_t nrv_levels_run(nrv_levels_t *levels, nrv_path_t *path, const int32_t *counts, size_t samples);

/* The level of a filtered channel, rounded; gathered >= 1. */
uint32_t nrv_levels_mean(const nrv_levels_t *levels, size_t channel);

/* The levels of filtered[samples][outputs], such as those of a window: level[outputs], rounded; samples >= 1. */
void nrv_mean_levels(const int32_t *filtered, size_t samples, size_t outputs, uint32_t *level);

/* Checks a phase of rest and writes rest[outputs]. Returns NRV_CALIBRATION_; *channel is the one at fault. */
unsigned nrv_calibration_rest(const nrv_levels_t *levels, const nrv_path_config_t *config, uint32_t *rest,
                              unsigned *channel);

/* Checks a phase of MVC against rest[outputs] and fills `calibration`, which stays as it is unless GOOD is returned.
 * headroom: 256ths. rest may be calibration->rest. */
unsigned nrv_calibration_mvc(const nrv_levels_t *levels, const nrv_path_config_t *config, const uint32_t *rest,
                             uint16_t headroom, const nrv_calibration_t *calibration, unsigned *channel);

/* Proportional control: (level - rest) / (mvc - rest) within 0..1, in 32768ths, rounded; mvc > rest. */
uint16_t nrv_proportion(uint32_t level, uint32_t rest, uint32_t mvc);

/* The record: "NRVC", version, outputs, two zero bytes, the first 8 bytes of the bundle's hash; per channel rest, mvc,
 * multiplier (32 bits each), right_shift (8 bits); CRC-32 of all that. Little-endian. */
#define NRV_CALIBRATION_VERSION 1
#define NRV_CALIBRATION_HASH 8
#define NRV_CALIBRATION_HEAD 16
#define NRV_CALIBRATION_CHANNEL 13
#define NRV_CALIBRATION_SIZE(outputs) (NRV_CALIBRATION_HEAD + NRV_CALIBRATION_CHANNEL * (size_t)(outputs) + 4u)

/* Writes NRV_CALIBRATION_SIZE(outputs) bytes. */
void nrv_calibration_pack(const nrv_calibration_t *calibration, uint8_t outputs, const uint8_t *hash, uint8_t *to);

/* Reads a record; `calibration` stays as it is unless GOOD is returned. */
unsigned nrv_calibration_unpack(const uint8_t *from, size_t size, uint8_t outputs, const uint8_t *hash,
                                const nrv_calibration_t *calibration);

#endif
