/* What the headers of edge/core say, computed the slow and plain way: whole signals at a time, nothing kept between
 * samples but the signals themselves, sums in 128 bits. */
#ifndef FUZZ_REFERENCE_H
#define FUZZ_REFERENCE_H

#include "chain.h"

/* As nrv_requantize. */
int32_t reference_requantize(int32_t value, int32_t multiplier, int shift);

/* A run: the samples since a reset, and all that comes of them. */
typedef struct {
    size_t samples;
    size_t filtered_count;
    int32_t *filtered; /* [filtered_count][outputs] */
    int8_t *scaled;    /* the same as int8 */
    int16_t *finer;    /* the same as int16, for features */
    int8_t *vector;    /* of the window that reference_window was asked for last, where the path has features */
    uint16_t *violations; /* [samples], NRV_FLAG_ bits of the gates */
} reference_run_t;

/* Makes a run of counts[samples][channels] and lead_off[samples]; freed by the other. */
void reference_run(const nrv_path_config_t *config, const int32_t *counts, const uint32_t *lead_off, size_t samples,
                   reference_run_t *run);
void reference_free(reference_run_t *run);

/* Whether the sample at this place gives a filtered sample; completes a window. */
int reference_gives(const nrv_path_config_t *config, size_t place);
int reference_completes(const nrv_path_config_t *config, size_t place);

/* The window completed at this place, int8 [window][outputs], or its vector. */
const int8_t *reference_window(const nrv_path_config_t *config, const reference_run_t *run, size_t place);

/* reference_features.c: the vector of the window that begins with rows[window][outputs]. */
void reference_vector(const nrv_path_config_t *config, const int16_t *rows, int8_t *vector);

/* reference_quality.c: fills in a run's violations, from all else of it; the flags of the window that ends at
 * this place. */
void reference_violations(const nrv_path_config_t *config, const int32_t *counts, const uint32_t *lead_off,
                          reference_run_t *run);
uint16_t reference_quality(const nrv_path_config_t *config, const reference_run_t *run, size_t place);

/* The decision from output[classes], given the labels that the windows before it voted for, newest last
 * (NRV_NO_LABEL: did not vote). Sets label, confidence, flags; returns the vote of this window. */
uint8_t reference_decide(const nrv_rule_t *rule, const int8_t *output, uint16_t quality, const uint8_t *votes,
                         size_t n_votes, nrv_decision_t *out);

#endif
