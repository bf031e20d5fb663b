/* Runs the chain of a generated configuration over a file of steps, and writes every integer that comes out.
 *
 *     steps.bin      read: uint32 what, uint32 index, uint32 lead_off, int32 counts[channels] each
 *     events.bin     written: uint32 for each step, NRV_EV_ bits
 *     filtered.bin   int32 [outputs] for each filtered sample
 *     windows.bin    int8 [window][outputs] for each window
 *     decisions.bin  five uint32 for each decision: window, sample, label, confidence, flags
 *     counters.bin   uint32 expected, windows, spoiled, gaps, late, after the last step
 *
 * Little-endian, as all targets are. The model is a stand-in that gives prepared outputs one after the other.
 */
#include "config.h"
#include "files.h"

enum { STEP_SAMPLE = 0, STEP_STALE = 1, STEP_RESET = 2 };

static nrv_chain_t chain;
static int32_t state[NRV_PATH_WORDS];
static int8_t window[NRV_MODEL_INPUT];
static nrv_channel_quality_t quality[NRV_CHANNELS];
static nrv_model_t model;
static int8_t output[NRV_LABELS];

static int events_file, filtered_file, windows_file, decisions_file;

static int write_decision(const nrv_decision_t *made)
{
    const uint32_t row[5] = {made->window_index, made->sample_index, made->label, made->confidence, made->flags};
    return bench_write(decisions_file, row, sizeof row);
}

static int take(uint32_t index, uint32_t lead_off, const int32_t *counts)
{
    const uint32_t events = nrv_chain_push(&chain, index, counts, lead_off);
    nrv_decision_t made;
    int good = bench_write(events_file, &events, sizeof events);
    if (events & NRV_EV_SAMPLE)
        good &= bench_write(filtered_file, nrv_path_filtered(&chain.path), NRV_OUTPUTS * sizeof(int32_t));
    if (events & NRV_EV_GAP) {
        nrv_chain_gap(&chain, &made);
        good &= write_decision(&made);
    }
    if (events & NRV_EV_WINDOW) {
        good &= bench_write(windows_file, nrv_chain_window(&chain), sizeof window);
        nrv_model_step(&model, nrv_chain_window(&chain), 0, output);
        nrv_chain_decide(&chain, output, &made);
        good &= write_decision(&made);
    }
    return good;
}

static int other_step(uint32_t what)
{
    const uint32_t events = 0;
    nrv_decision_t made;
    int good = bench_write(events_file, &events, sizeof events);
    if (what == STEP_RESET) {
        nrv_chain_reset(&chain);
    } else {
        nrv_chain_stale(&chain, &made);
        good &= write_decision(&made);
    }
    return good;
}

int main(void)
{
    static int32_t step[3 + NRV_CHANNELS];
    const int steps_file = bench_open_to_read("steps.bin");
    const int counters_file = bench_open_to_write("counters.bin");
    events_file = bench_open_to_write("events.bin");
    filtered_file = bench_open_to_write("filtered.bin");
    windows_file = bench_open_to_write("windows.bin");
    decisions_file = bench_open_to_write("decisions.bin");
    if (steps_file < 0 || counters_file < 0 || events_file < 0 || filtered_file < 0 || windows_file < 0 ||
        decisions_file < 0)
        return 3;
    nrv_chain_init(&chain, &nrv_path_config, &nrv_rule, state, window, quality);
    nrv_model_reset(&model);
    int good = 1;
    while (good && bench_read(steps_file, step, sizeof step)) {
        const uint32_t what = (uint32_t)step[0], index = (uint32_t)step[1], lead_off = (uint32_t)step[2];
        good = what == STEP_SAMPLE ? take(index, lead_off, step + 3) : other_step(what);
    }
    const uint32_t counters[5] = {chain.expected, chain.windows, chain.spoiled, chain.gaps, chain.late};
    return good && bench_write(counters_file, counters, sizeof counters) ? 0 : 4;
}
