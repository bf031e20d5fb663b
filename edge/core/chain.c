#include "chain.h"

void nrv_chain_init(nrv_chain_t *chain, const nrv_path_config_t *config, const nrv_rule_t *rule, int32_t *state,
                    int8_t *window, nrv_channel_quality_t *quality)
{
    nrv_path_init(&chain->path, config, state, window);
    nrv_quality_init(&chain->quality, &config->gates, config->channels, config->counts_bits,
                     config->window * config->decimation, quality);
    nrv_decider_init(&chain->decider, rule);
    nrv_chain_reset(chain);
}

void nrv_chain_reset(nrv_chain_t *chain)
{
    nrv_path_reset(&chain->path);
    nrv_quality_reset(&chain->quality);
    nrv_decider_clear(&chain->decider);
    chain->expected = 0;
    chain->windows = 0;
    chain->spoiled = 0;
    chain->gaps = 0;
    chain->late = 0;
    chain->flags = 0;
    chain->started = 0;
}

/* Flags of the last window that forbid a decision. */
static uint16_t forbidding(const nrv_chain_t *chain)
{
    return (uint16_t)(chain->flags & ~chain->path.config->gates.inform);
}

unsigned nrv_chain_push(nrv_chain_t *chain, uint32_t index, const int32_t *counts, uint32_t lead_off)
{
    unsigned events = 0;
    if (chain->started && index != chain->expected) {
        if (index - chain->expected >= UINT32_C(0x80000000)) {
            chain->late++;
            return NRV_EV_LATE;
        }
        events = NRV_EV_GAP;
        nrv_quality_reset(&chain->quality);
        nrv_path_gap(&chain->path);
        nrv_decider_clear(&chain->decider);
        chain->gaps++;
    }
    chain->started = 1;
    chain->expected = index + 1u;
    nrv_quality_push(&chain->quality, counts, lead_off);
    const unsigned brought = nrv_path_push(&chain->path, counts);
    if (brought & NRV_PATH_SAMPLE) {
        events |= NRV_EV_SAMPLE;
        nrv_quality_push_filtered(&chain->quality, nrv_path_filtered(&chain->path),
                                  chain->path.config->outputs);
    }
    if (brought & NRV_PATH_WINDOW) {
        events |= NRV_EV_WINDOW;
        chain->flags = nrv_quality_flags(&chain->quality);
        chain->windows++;
        chain->spoiled += forbidding(chain) != 0;
        nrv_path_adapt(&chain->path, forbidding(chain) == 0);
    }
    return events;
}

unsigned nrv_chain_feed(nrv_chain_t *chain, uint32_t index, const int32_t *counts, size_t samples,
                        uint32_t lead_off, size_t *used)
{
    const size_t channels = chain->path.config->channels;
    unsigned events = 0;
    size_t i = 0;
    while (i < samples && !(events & (NRV_EV_WINDOW | NRV_EV_GAP))) {
        events |= nrv_chain_push(chain, index + (uint32_t)i, counts + i * channels, lead_off);
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
    nrv_decider_decide(&chain->decider, output, forbidding(chain), out);
    out->flags |= chain->flags;
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
