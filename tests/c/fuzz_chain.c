/* The chain against the reference: sample by sample (moved to other buffers at times), in pieces, in bulk. */
#include "fuzz_chain.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz_setup.h"
#include "random.h"
#include "reference.h"

enum { PIECES_MAX = 16, PIECE_MAX = 60, STEPS_MAX = PIECES_MAX * (PIECE_MAX + 1), OUTPUTS = 8 };
enum { SAMPLE, STALE, RESET };

typedef struct {
    uint8_t what;
    uint32_t index;
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

static void put(log_t *log, const void *data, size_t size)
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

static void compare(log_t *log, const void *data, size_t size)
{
    if (log->compared + size > log->size || (size && memcmp(log->bytes + log->compared, data, size) != 0))
        fuzz_fail(log->name);
    log->compared += size;
}

static void compare_end(log_t *log)
{
    if (log->compared != log->size)
        fuzz_fail(log->name);
    log->compared = 0;
}

typedef void write_t(log_t *log, const void *data, size_t size);

static void write_decision(write_t *write, log_t *log, const nrv_decision_t *d)
{
    const uint32_t row[5] = {d->window_index, d->sample_index, d->label, d->confidence, d->flags};
    write(log, row, sizeof row);
}

static const int8_t *model_output(const case_t *c, size_t windows)
{
    return c->outputs + windows % OUTPUTS * c->rule.classes;
}

static void make_case(case_t *c)
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
        for (unsigned n = random_below(PIECE_MAX + 1); n; n--) {
            for (size_t k = 0; k < channels; k++)
                c->counts[c->steps * channels + k] = setup_count(c->config);
            c->step[c->steps++] = (step_t){SAMPLE, index++};
        }
        if (random_below(8) == 0)
            c->step[c->steps++] = (step_t){random_below(2) ? STALE : RESET, 0};
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
    size_t samples = 0;
    for (size_t i = first; i < c->steps && c->first_of_run[i] == first; i++) {
        if (c->step[i].what == RESET)
            break;
        if (c->step[i].what == SAMPLE && !(c->events[i] & NRV_EV_LATE))
            memcpy(counts + samples++ * channels, c->counts + i * channels, channels * sizeof *counts);
    }
    reference_run(c->config, counts, samples, run);
    free(counts);
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
            write_decision(put, &t->decisions, &none);
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
            write_decision(put, &t->decisions, &none);
        }
        if (reference_gives(config, place)) {
            c->events[i] |= NRV_EV_SAMPLE;
            const size_t row = place / config->decimation * config->outputs;
            put(&t->filtered, run.filtered + row, config->outputs * sizeof(int32_t));
        }
        if (reference_completes(config, place)) {
            c->events[i] |= NRV_EV_WINDOW;
            const uint16_t quality = reference_saturated(config, &run, place) ? NRV_FLAG_SATURATED : 0;
            put(&t->windows, reference_window(config, &run, place), nrv_path_window_len(config));
            votes[n_votes] = reference_decide(&c->rule, model_output(c, shown++), quality, votes, n_votes, &d);
            n_votes++;
            write_decision(put, &t->decisions, &d);
            d.window_index++;
        }
        place++;
    }
    reference_free(&run);
    free(votes);
}

typedef struct {
    nrv_chain_t *chain;
    int32_t *words;
    int8_t *window;
    nrv_channel_quality_t *quality;
} device_t;

static device_t make_device(const case_t *c)
{
    const device_t device = {random_memory(sizeof(nrv_chain_t)),
                             random_memory(nrv_path_state_len(c->config) * sizeof(int32_t)),
                             random_memory(nrv_path_window_len(c->config)),
                             random_memory(c->config->channels * sizeof(nrv_channel_quality_t))};
    nrv_chain_init(device.chain, c->config, &c->rule, device.words, device.window, device.quality);
    return device;
}

static void free_device(device_t device)
{
    free(device.chain);
    free(device.words);
    free(device.window);
    free(device.quality);
}

/* State saved and restored elsewhere, as PathRunner does. */
static device_t moved(const case_t *c, device_t from)
{
    const device_t to = make_device(c);
    const nrv_path_t path = to.chain->path;
    *to.chain = *from.chain;
    to.chain->path = path;
    to.chain->path.phase = from.chain->path.phase;
    to.chain->path.unsettled = from.chain->path.unsettled;
    to.chain->path.fill = from.chain->path.fill;
    memcpy(to.words, from.words, nrv_path_state_len(c->config) * sizeof *to.words);
    memcpy(to.window, from.window, nrv_path_window_len(c->config));
    to.chain->quality.channel = to.quality;
    memcpy(to.quality, from.quality, c->config->channels * sizeof *to.quality);
    free_device(from);
    return to;
}

/* What follows from events other than a filtered sample. */
static void answer(case_t *c, nrv_chain_t *chain, unsigned events, size_t *windows)
{
    nrv_decision_t d;
    if (events & NRV_EV_GAP) {
        nrv_chain_gap(chain, &d);
        write_decision(compare, &c->expected.decisions, &d);
    }
    if (events & NRV_EV_WINDOW) {
        compare(&c->expected.windows, nrv_chain_window(chain), nrv_path_window_len(c->config));
        nrv_chain_decide(chain, model_output(c, (*windows)++), &d);
        write_decision(compare, &c->expected.decisions, &d);
    }
}

static void other_step(case_t *c, nrv_chain_t *chain, uint8_t what)
{
    nrv_decision_t d;
    if (what == RESET) {
        nrv_chain_reset(chain);
        return;
    }
    nrv_chain_stale(chain, &d);
    write_decision(compare, &c->expected.decisions, &d);
}

static void one_by_one(case_t *c)
{
    device_t device = make_device(c);
    size_t windows = 0;
    for (size_t i = 0; i < c->steps; i++) {
        if (random_below(20) == 0)
            device = moved(c, device);
        if (c->step[i].what != SAMPLE) {
            other_step(c, device.chain, c->step[i].what);
            continue;
        }
        const unsigned events =
            nrv_chain_push(device.chain, c->step[i].index, c->counts + i * c->config->channels, 0);
        if (events != c->events[i])
            fuzz_fail("events of a sample");
        if (events & NRV_EV_SAMPLE)
            compare(&c->expected.filtered, nrv_path_filtered(&device.chain->path),
                    c->config->outputs * sizeof(int32_t));
        answer(c, device.chain, events, &windows);
    }
    compare_end(&c->expected.filtered);
    compare_end(&c->expected.windows);
    compare_end(&c->expected.decisions);
    free_device(device);
}

static void in_pieces(case_t *c)
{
    device_t device = make_device(c);
    size_t windows = 0;
    for (size_t i = 0; i < c->steps;) {
        if (c->step[i].what != SAMPLE) {
            other_step(c, device.chain, c->step[i++].what);
            continue;
        }
        size_t length = 1, used = 0;
        const size_t wanted = 1 + random_below(2 * PIECE_MAX);
        while (length < wanted && i + length < c->steps && c->step[i + length].what == SAMPLE &&
               c->step[i + length].index == c->step[i].index + length)
            length++;
        const unsigned events = nrv_chain_feed(device.chain, c->step[i].index,
                                               c->counts + i * c->config->channels, length, 0, &used);
        unsigned due = 0;
        for (size_t k = 0; k < used; k++)
            due |= c->events[i + k];
        if (events != due || (used < length && !(events & (NRV_EV_GAP | NRV_EV_WINDOW))))
            fuzz_fail("events of a piece");
        answer(c, device.chain, events, &windows);
        i += used;
    }
    compare_end(&c->expected.windows);
    compare_end(&c->expected.decisions);
    free_device(device);
}

/* The bulk functions, on each run by itself: `windows` or `filter`, which both move the filters on. */
static void in_bulk(case_t *c, int with_windows)
{
    const nrv_path_config_t *config = c->config;
    device_t device = make_device(c);
    nrv_path_t *path = &device.chain->path;
    int32_t *counts = random_memory(STEPS_MAX * config->channels * sizeof *counts);
    for (size_t i = 0; i < c->steps;) {
        /* The samples up to where the next run begins. */
        size_t samples = 0, done = 0;
        const size_t first = i;
        for (; i < c->steps && (i == first || c->first_of_run[i] != i || c->step[i].what != SAMPLE); i++)
            if (c->step[i].what == SAMPLE && !(c->events[i] & NRV_EV_LATE))
                memcpy(counts + samples++ * config->channels, c->counts + i * config->channels,
                       config->channels * sizeof *counts);
        nrv_path_reset(path);
        while (done < samples) {
            const size_t piece = random_below(4) ? 1 + random_below((uint32_t)(samples - done)) : 0;
            const size_t rows = nrv_path_samples_due(path, piece), due = nrv_path_windows_due(path, piece);
            int32_t *given = random_memory(piece * config->channels * sizeof *given);
            int32_t *signal = random_memory(piece * config->width * sizeof *signal);
            if (piece)
                memcpy(given, counts + done * config->channels, piece * config->channels * sizeof *given);
            if (with_windows) {
                int8_t *windows = random_memory(due * nrv_path_window_len(config));
                size_t *ends = random_memory(due * sizeof *ends);
                if (nrv_path_windows(path, given, piece, signal, windows, ends) != due)
                    fuzz_fail("number of windows in bulk");
                compare(&c->expected.windows, windows, due * nrv_path_window_len(config));
                for (size_t k = 0; k < due; k++)
                    if (!reference_completes(config, done + ends[k]))
                        fuzz_fail("ends of windows in bulk");
                free(windows);
                free(ends);
            } else if (nrv_path_filter(path, given, piece, signal) != rows) {
                fuzz_fail("number of filtered samples in bulk");
            }
            compare(&c->expected.filtered, signal, rows * config->outputs * sizeof *signal);
            free(given);
            free(signal);
            done += piece;
        }
    }
    compare_end(&c->expected.filtered);
    if (with_windows)
        compare_end(&c->expected.windows);
    free(counts);
    free_device(device);
}

void fuzz_chain(void)
{
    static case_t c;
    make_case(&c);
    expect(&c);
    one_by_one(&c);
    in_pieces(&c);
    in_bulk(&c, 0);
    in_bulk(&c, 1);
    free(c.expected.filtered.bytes);
    free(c.expected.windows.bytes);
    free(c.expected.decisions.bytes);
    free(c.counts);
    free(c.outputs);
    setup_free(c.config);
}
