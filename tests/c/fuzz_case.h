/* A random configuration, rule and stream, and what the reference expects of it. */
#ifndef FUZZ_CASE_H
#define FUZZ_CASE_H

#include "fuzz_setup.h"

enum { PIECES_MAX = 16, PIECE_MAX = 60, STEPS_MAX = PIECES_MAX * (PIECE_MAX + 1), OUTPUTS = 8 };
enum { SAMPLE, STALE, RESET };

typedef struct {
    uint8_t what;
    uint32_t index;
    uint32_t lead_off;
} step_t;

/* All that comes out, stage by stage; what is written first is the truth, later rounds are compared with it. */
typedef struct {
    const char *name;
    uint8_t *bytes;
    size_t size, room, compared;
} log_t;

typedef struct {
    log_t filtered, windows, decisions;
} trace_t;

typedef struct {
    nrv_path_config_t *config;
    nrv_rule_t rule;
    int8_t *outputs; /* [OUTPUTS][classes], what the model gives in turn */
    size_t steps;
    step_t step[STEPS_MAX];
    int32_t *counts;                /* [steps][channels] */
    uint8_t events[STEPS_MAX];      /* what the reference expects of each sample */
    size_t first_of_run[STEPS_MAX]; /* the step that began the run of each sample */
    trace_t expected;
} case_t;

/* Makes a case and its expected trace; freed by the other. */
void case_make(case_t *c);
void case_free(case_t *c);

/* What the model gives for the window of this number. */
const int8_t *case_model_output(const case_t *c, size_t windows);

/* Adds to a log; compares with it, on from where the last comparison ended; ends a round of comparisons. */
typedef void log_write_t(log_t *log, const void *data, size_t size);
void log_put(log_t *log, const void *data, size_t size);
void log_compare(log_t *log, const void *data, size_t size);
void log_compare_end(log_t *log);
void log_decision(log_write_t *write, log_t *log, const nrv_decision_t *d);

#endif
