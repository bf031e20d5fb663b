#include "decision.h"

#include <string.h>

void nrv_decider_init(nrv_decider_t *decider, const nrv_rule_t *rule)
{
    decider->rule = rule;
    nrv_decider_clear(decider);
}

void nrv_decider_clear(nrv_decider_t *decider)
{
    memset(decider->ring, NRV_NO_LABEL, sizeof decider->ring);
    decider->next = 0;
}

static unsigned votes_for(const nrv_decider_t *decider, uint8_t label)
{
    unsigned votes = 0;
    for (unsigned i = 0; i < decider->rule->votes; i++)
        votes += decider->ring[i] == label;
    return votes;
}

/* The label with most votes, or NRV_NO_LABEL for a tie or too few. */
static uint8_t plurality(const nrv_decider_t *decider)
{
    uint8_t winner = NRV_NO_LABEL;
    unsigned most = 0;
    for (unsigned i = 0; i < decider->rule->votes; i++) {
        const uint8_t label = decider->ring[i];
        if (label == NRV_NO_LABEL || label == winner)
            continue;
        const unsigned votes = votes_for(decider, label);
        if (votes > most) {
            most = votes;
            winner = label;
        } else if (votes == most) {
            winner = NRV_NO_LABEL;
        }
    }
    return most >= decider->rule->min_votes ? winner : NRV_NO_LABEL;
}

void nrv_decider_decide(nrv_decider_t *decider, const int8_t *output, uint16_t quality, nrv_decision_t *out)
{
    const nrv_rule_t *rule = decider->rule;
    uint8_t best = 0;
    int shared = 0;
    for (uint8_t k = 1; k < rule->classes; k++) {
        if (output[k] > output[best]) {
            best = k;
            shared = 0;
        } else if (output[k] == output[best]) {
            shared = 1;
        }
    }
    out->confidence = (uint8_t)(output[best] + 128);
    out->label = NRV_NO_LABEL;
    out->flags = quality;
    if (shared || out->confidence < rule->threshold)
        out->flags |= NRV_FLAG_REJECTED;

    decider->ring[decider->next] = out->flags ? NRV_NO_LABEL : best;
    decider->next = (uint8_t)((decider->next + 1u) % rule->votes);
    if (out->flags)
        return;
    out->label = plurality(decider);
    if (out->label == NRV_NO_LABEL)
        out->flags = NRV_FLAG_NO_MAJORITY;
}
