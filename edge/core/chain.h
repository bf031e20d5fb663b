/* The chain around a model: signal path before it, decision rule after it. Host and firmware run this.
 *
 *     unsigned events = nrv_chain_push(&chain, index, counts, lead_off);
 *     if (events & NRV_EV_GAP)
 *         nrv_chain_gap(&chain, &decision);
 *     if (events & NRV_EV_WINDOW) {
 *         run the model on nrv_chain_window(&chain);
 *         nrv_chain_decide(&chain, output, &decision);
 *     }
 *
 * Samples carry a uint32 index that counts modulo 2^32. The one expected is pushed. One ahead of it means
 * that samples were lost: filter, window and votes are reset, and it becomes the first sample after. One
 * behind (a duplicate, or late) is ignored and counted. The first sample after a reset may have any index.
 *
 * A window that a gate of config->gates flags (quality.h) gives no decision and does not vote, unless the gate
 * only informs; `flags` of the decision say which.
 */
#ifndef NRV_CHAIN_H
#define NRV_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "decision.h"
#include "path.h"
#include "quality.h"

enum {
    NRV_EV_WINDOW = 1,
    NRV_EV_GAP = 2,
    NRV_EV_LATE = 4,
    NRV_EV_SAMPLE = 8 /* a filtered sample: nrv_path_filtered(&chain.path) */
};

typedef struct {
    nrv_path_t path;
    nrv_quality_t quality;
    nrv_decider_t decider;
    uint32_t expected; /* index of the next sample */
    uint32_t windows;  /* completed since reset */
    uint32_t spoiled;  /* of them, those whose quality forbade a decision */
    uint32_t gaps;
    uint32_t late;
    uint16_t flags; /* quality of the last window */
    uint8_t started;
} nrv_chain_t;

/* Buffers: state and window as for nrv_path_init, quality[channels]. Configuration, rule and buffers must
 * outlive the chain. */
void nrv_chain_init(nrv_chain_t *chain, const nrv_path_config_t *config, const nrv_rule_t *rule, int32_t *state,
                    int8_t *window, nrv_channel_quality_t *quality);

/* Back to the state after nrv_chain_init, counters too. */
void nrv_chain_reset(nrv_chain_t *chain);

/* Takes one sample, counts[channels]; bit c of lead_off: the front end says that the electrode of channel c is
 * off, bit 31 any from channel 31 on. Returns NRV_EV_ bits. */
unsigned nrv_chain_push(nrv_chain_t *chain, uint32_t index, const int32_t *counts, uint32_t lead_off);

/* Takes samples counts[samples][channels] with consecutive indices from `index`, lead_off the same for all,
 * until one raises NRV_EV_WINDOW or NRV_EV_GAP. Returns the bits raised; *used is the number of samples taken. */
unsigned nrv_chain_feed(nrv_chain_t *chain, uint32_t index, const int32_t *counts, size_t samples,
                        uint32_t lead_off, size_t *used);

/* The window, int8 [window][channels]. Valid from NRV_EV_WINDOW to the next push. */
const int8_t *nrv_chain_window(const nrv_chain_t *chain);

/* Decides on the window just completed from the model's output[classes]; call once for each window. */
void nrv_chain_decide(nrv_chain_t *chain, const int8_t *output, nrv_decision_t *out);

/* The answer to NRV_EV_GAP: no decision, NRV_FLAG_GAP. */
void nrv_chain_gap(const nrv_chain_t *chain, nrv_decision_t *out);

/* To be called when no sample came in time: votes are cleared; no decision, NRV_FLAG_STALE. */
void nrv_chain_stale(nrv_chain_t *chain, nrv_decision_t *out);

#endif
