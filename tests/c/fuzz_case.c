#include "fuzz_case.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "reference.h"

void log_put(log_t *log, const void *data, size_t size)
{
    if (log->size + size > log->room) {
        log->room = 2 * (log->size + size);
        log->bytes = realloc(log->bytes, log->room);
        if (!log->bytes)
            abort();
    }
    if (size)
        memcpy(log->bytes + log->size, data, size);
    log->size += size;
}

void log_compare(log_t *log, const void *data, size_t size)
{
    if (log->compared + size > log->size || (size && memcmp(log->bytes + log->compared, data, size) != 0))
        fuzz_fail(log->name);
    log->compared += size;
}

void log_compare_end(log_t *log)
{
    if (log->compared != log->size)
        fuzz_fail(log->name);
    log->compared = 0;
}

void log_decision(log_write_t *write, log_t *log, const nrv_decision_t *d)
{
    const uint32_t row[5] = {d->window_index, d->sample_index, d->label, d->confidence, d->flags};
    write(log, row, sizeof row);
}

const int8_t *case_model_output(const case_t *c, size_t windows)
{
    return c->outputs + windows % OUTPUTS * c->rule.classes;
}

static void make_stream(case_t *c)
{
    c->config = setup_path();
    c->rule = setup_rule();
    c->outputs = random_memory((size_t)OUTPUTS * c->rule.classes);
    for (size_t i = 0; i < (size_t)OUTPUTS * c->rule.classes; i++)
        c->outputs[i] = (int8_t)(random_below(3) ? random_within(127) : -128);
    const size_t channels = c->config->channels;
    c->counts = random_memory(STEPS_MAX * channels * sizeof *c->counts);
    c->steps = 0;
    uint32_t index = random_below(2) ? (uint32_t)random_64() : 0u - random_below(100);
    for (unsigned piece = random_below(PIECES_MAX + 1); piece; piece--) {
        /* Ahead, behind, and where one turns into the other. */
        if (random_below(4) == 0)
            index += random_below(4) ? (uint32_t)random_within(10) : UINT32_C(0x80000000) - random_below(2);
        const unsigned length = random_below(PIECE_MAX + 1);
        const uint32_t lead_off = random_below(4) ? 0 : UINT32_C(1) << random_below(3);
        setup_counts(c->config, length, c->counts + c->steps * channels);
        for (unsigned n = 0; n < length; n++)
            c->step[c->steps++] = (step_t){SAMPLE, index++, lead_off};
        if (random_below(8) == 0)
            c->step[c->steps++] = (step_t){random_below(2) ? STALE : RESET, 0, 0};
    }
    memset(&c->expected, 0, sizeof c->expected);
    c->expected.filtered.name = "filtered samples";
    c->expected.windows.name = "windows";
    c->expected.decisions.name = "decisions";
}

/* Which samples are late, which begin a run. */
static void sort_into_runs(case_t *c)
{
    int started = 0;
    uint32_t expected = 0;
    size_t first = 0;
    for (size_t i = 0; i < c->steps; i++) {
        c->events[i] = 0;
        c->first_of_run[i] = first;
        if (c->step[i].what != SAMPLE) {
            started &= c->step[i].what != RESET;
            continue;
        }
        const uint32_t ahead = c->step[i].index - expected;
        if (started && ahead > INT32_MAX) {
            c->events[i] = NRV_EV_LATE;
            continue;
        }
        if (started && ahead)
            c->events[i] = NRV_EV_GAP;
        if (!started || ahead)
            first = i;
        c->first_of_run[i] = first;
        started = 1;
        expected = c->step[i].index + 1u;
    }
}

/* The reference's run that begins at a step: the samples of it that are not late. */
static void run_from(const case_t *c, size_t first, reference_run_t *run)
{
    const size_t channels = c->config->channels;
    int32_t *counts = random_memory(c->steps * channels * sizeof *counts);
    uint32_t *lead_off = random_memory(c->steps * sizeof *lead_off);
    size_t samples = 0;
    for (size_t i = first; i < c->steps && c->first_of_run[i] == first; i++) {
        if (c->step[i].what == RESET)
            break;
        if (c->step[i].what != SAMPLE || c->events[i] & NRV_EV_LATE)
            continue;
        lead_off[samples] = c->step[i].lead_off;
        memcpy(counts + samples++ * channels, c->counts + i * channels, channels * sizeof *counts);
    }
    reference_run(c->config, counts, lead_off, samples, run);
    free(counts);
    free(lead_off);
}

static void expect(case_t *c)
{
    const nrv_path_config_t *config = c->config;
    trace_t *t = &c->expected;
    reference_run_t run = {0};
    uint8_t *votes = random_memory(c->steps);
    size_t place = 0, n_votes = 0, shown = 0;
    nrv_decision_t d = {0, UINT32_MAX, 0, 0, 0};
    sort_into_runs(c);
    for (size_t i = 0; i < c->steps; i++) {
        if (c->step[i].what == RESET) {
            d = (nrv_decision_t){0, UINT32_MAX, 0, 0, 0};
            n_votes = 0;
        } else if (c->step[i].what == STALE) {
            const nrv_decision_t none = {d.window_index, d.sample_index, NRV_NO_LABEL, 0, NRV_FLAG_STALE};
            log_decision(log_put, &t->decisions, &none);
            n_votes = 0;
        }
        if (c->step[i].what != SAMPLE || c->events[i] & NRV_EV_LATE)
            continue;
        d.sample_index = c->step[i].index;
        if (c->first_of_run[i] == i) {
            reference_free(&run);
            run_from(c, i, &run);
            place = 0;
            n_votes = 0;
        }
        if (c->events[i] & NRV_EV_GAP) {
            /* A window of the same sample is counted already, though it is decided on after the gap. */
            const uint32_t windows = d.window_index + (unsigned)reference_completes(config, place);
            const nrv_decision_t none = {windows, d.sample_index, NRV_NO_LABEL, 0, NRV_FLAG_GAP};
            log_decision(log_put, &t->decisions, &none);
        }
        if (reference_gives(config, place)) {
            c->events[i] |= NRV_EV_SAMPLE;
            const size_t row = place / config->decimation * config->outputs;
            log_put(&t->filtered, run.filtered + row, config->outputs * sizeof(int32_t));
        }
        if (reference_completes(config, place)) {
            c->events[i] |= NRV_EV_WINDOW;
            const uint16_t quality = reference_quality(config, &run, place);
            const uint16_t forbidding = quality & (uint16_t)~config->gates.inform;
            log_put(&t->windows, reference_window(config, &run, place), nrv_path_window_len(config));
            votes[n_votes] = reference_decide(&c->rule, case_model_output(c, shown++), forbidding, votes, n_votes, &d);
            d.flags |= quality;
            n_votes++;
            log_decision(log_put, &t->decisions, &d);
            d.window_index++;
        }
        place++;
    }
    reference_free(&run);
    free(votes);
}

void case_make(case_t *c)
{
    make_stream(c);
    expect(c);
}

void case_free(case_t *c)
{
    free(c->expected.filtered.bytes);
    free(c->expected.windows.bytes);
    free(c->expected.decisions.bytes);
    free(c->counts);
    free(c->outputs);
    setup_free(c->config);
}
