#include "chain.h"

void nrv_chain_init(nrv_chain_t *chain, const nrv_path_config_t *config, const nrv_rule_t *rule, int32_t *state,
                    int8_t *window)
{
    nrv_path_init(&chain->path, config, state, window);
    nrv_decider_init(&chain->decider, rule);
    nrv_chain_reset(chain);
}

void nrv_chain_reset(nrv_chain_t *chain)
{
    nrv_path_reset(&chain->path);
    nrv_decider_clear(&chain->decider);
    chain->expected = 0;
    chain->windows = 0;
    chain->gaps = 0;
    chain->late = 0;
    chain->at_limit = 0;
    chain->clean = chain->path.config->window;
    chain->started = 0;
}

static int at_limit(const nrv_path_config_t *config, const int32_t *counts)
{
    const int32_t highest = (int32_t)((UINT32_C(1) << (config->counts_bits - 1)) - 1u);
    for (size_t c = 0; c < config->channels; c++)
        if (counts[c] >= highest || counts[c] <= -highest - 1)
            return 1;
    return 0;
}

unsigned nrv_chain_push(nrv_chain_t *chain, uint32_t index, const int32_t *counts)
{
    const nrv_path_config_t *config = chain->path.config;
    unsigned events = 0;
    if (chain->started && index != chain->expected) {
        if (index - chain->expected >= UINT32_C(0x80000000)) {
            chain->late++;
            return NRV_EV_LATE;
        }
        chain->gaps++;
        events = NRV_EV_GAP;
        nrv_path_reset(&chain->path);
        nrv_decider_clear(&chain->decider);
        chain->at_limit = 0;
        chain->clean = config->window;
    }
    chain->started = 1;
    chain->expected = index + 1u;
    if (!at_limit(config, counts))
        chain->at_limit = 0;
    else if (chain->at_limit < config->saturated_run)
        chain->at_limit++;
    if (chain->at_limit == config->saturated_run)
        chain->clean = 0;
    else if (chain->clean < config->window)
        chain->clean++;
    const unsigned brought = nrv_path_push(&chain->path, counts);
    if (brought & NRV_PATH_SAMPLE)
        events |= NRV_EV_SAMPLE;
    if (brought & NRV_PATH_WINDOW) {
        chain->windows++;
        events |= NRV_EV_WINDOW;
    }
    return events;
}

unsigned nrv_chain_feed(nrv_chain_t *chain, uint32_t index, const int32_t *counts, size_t samples, size_t *used)
{
    const size_t channels = chain->path.config->channels;
    unsigned events = 0;
    size_t i = 0;
    while (i < samples && !(events & (NRV_EV_WINDOW | NRV_EV_GAP))) {
        events |= nrv_chain_push(chain, index + (uint32_t)i, counts + i * channels);
        i++;
    }
    *used = i;
    return events;
}

const int8_t *nrv_chain_window(const nrv_chain_t *chain)
{
    return nrv_path_window(&chain->path);
}

void nrv_chain_decide(nrv_chain_t *chain, const int8_t *output, nrv_decision_t *out)
{
    /* The window holds the last `window` samples, so a limit fewer samples ago lies inside it. */
    const uint16_t quality = chain->clean < chain->path.config->window ? NRV_FLAG_SATURATED : 0;
    nrv_decider_decide(&chain->decider, output, quality, out);
    out->window_index = chain->windows - 1u;
    out->sample_index = chain->expected - 1u;
}

static void no_decision(const nrv_chain_t *chain, uint16_t flags, nrv_decision_t *out)
{
    out->window_index = chain->windows;
    out->sample_index = chain->expected - 1u;
    out->label = NRV_NO_LABEL;
    out->confidence = 0;
    out->flags = flags;
}

void nrv_chain_gap(const nrv_chain_t *chain, nrv_decision_t *out)
{
    no_decision(chain, NRV_FLAG_GAP, out);
}

void nrv_chain_stale(nrv_chain_t *chain, nrv_decision_t *out)
{
    nrv_decider_clear(&chain->decider);
    no_decision(chain, NRV_FLAG_STALE, out);
}
