/* The chain against the reference: sample by sample (moved to other buffers at times), in pieces, in bulk. */
#include "fuzz_chain.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz_case.h"
#include "random.h"
#include "reference.h"

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
        log_decision(log_compare, &c->expected.decisions, &d);
    }
    if (events & NRV_EV_WINDOW) {
        log_compare(&c->expected.windows, nrv_chain_window(chain), nrv_path_window_len(c->config));
        nrv_chain_decide(chain, case_model_output(c, (*windows)++), &d);
        log_decision(log_compare, &c->expected.decisions, &d);
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
    log_decision(log_compare, &c->expected.decisions, &d);
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
            nrv_chain_push(device.chain, c->step[i].index, c->counts + i * c->config->channels, c->step[i].lead_off);
        if (events != c->events[i])
            fuzz_fail("events of a sample");
        if (events & NRV_EV_SAMPLE)
            log_compare(&c->expected.filtered, nrv_path_filtered(&device.chain->path),
                    c->config->outputs * sizeof(int32_t));
        answer(c, device.chain, events, &windows);
    }
    log_compare_end(&c->expected.filtered);
    log_compare_end(&c->expected.windows);
    log_compare_end(&c->expected.decisions);
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
               c->step[i + length].index == c->step[i].index + length &&
               c->step[i + length].lead_off == c->step[i].lead_off)
            length++;
        const unsigned events =
            nrv_chain_feed(device.chain, c->step[i].index, c->counts + i * c->config->channels, length,
                           c->step[i].lead_off, &used);
        unsigned due = 0;
        for (size_t k = 0; k < used; k++)
            due |= c->events[i + k];
        if (events != due || (used < length && !(events & (NRV_EV_GAP | NRV_EV_WINDOW))))
            fuzz_fail("events of a piece");
        answer(c, device.chain, events, &windows);
        i += used;
    }
    log_compare_end(&c->expected.windows);
    log_compare_end(&c->expected.decisions);
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
                if (nrv_path_windows(path, given, piece, signal, windows, ends, NULL) != due)
                    fuzz_fail("number of windows in bulk");
                log_compare(&c->expected.windows, windows, due * nrv_path_window_len(config));
                for (size_t k = 0; k < due; k++)
                    if (!reference_completes(config, done + ends[k]))
                        fuzz_fail("ends of windows in bulk");
                free(windows);
                free(ends);
            } else if (nrv_path_filter(path, given, piece, signal) != rows) {
                fuzz_fail("number of filtered samples in bulk");
            }
            log_compare(&c->expected.filtered, signal, rows * config->outputs * sizeof *signal);
            free(given);
            free(signal);
            done += piece;
        }
    }
    log_compare_end(&c->expected.filtered);
    if (with_windows)
        log_compare_end(&c->expected.windows);
    free(counts);
    free_device(device);
}

void fuzz_chain(void)
{
    static case_t c;
    case_make(&c);
    one_by_one(&c);
    in_pieces(&c);
    in_bulk(&c, 0);
    in_bulk(&c, 1);
    case_free(&c);
}
