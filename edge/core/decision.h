/* The decision rule: from a model's int8 outputs to one label, or to none.
 *
 * Outputs are softmax probabilities, scale 1/256, zero point -128; confidence is output + 128. A window
 * is rejected when its highest confidence is below the threshold or shared by two classes; it then gives
 * no decision, takes a place among the last `votes` windows, and never votes. An accepted window gives
 * the label with most votes among them; a tie, or fewer than `min_votes` votes for it, gives none.
 */
#ifndef NRV_DECISION_H
#define NRV_DECISION_H

#include <stddef.h>
#include <stdint.h>

#define NRV_NO_LABEL 255
#define NRV_VOTES_MAX 32

enum {
    NRV_FLAG_REJECTED = 1,  /* confidence below the threshold, or two classes equally likely */
    NRV_FLAG_GAP = 2,       /* samples were lost: filter, window and votes start again */
    NRV_FLAG_STALE = 4,     /* no samples came in time */
    NRV_FLAG_SATURATED = 8, /* within the window: counts at the limits of the converter, for too long */
    NRV_FLAG_NO_MAJORITY = 16,
    NRV_FLAG_FLAT = 32, /* a channel that does not move */
    NRV_FLAG_SLOPE = 64, /* a jump from one sample to the next */
    NRV_FLAG_AMPLITUDE = 128, /* a filtered sample too large */
    NRV_FLAG_MAINS = 256, /* too great a share of mains hum */
    NRV_FLAG_LEAD_OFF = 512 /* the front end says that an electrode is off */
};

typedef struct {
    uint16_t threshold; /* 0..255, 256ths of probability */
    uint8_t classes;    /* 2..254 */
    uint8_t votes;      /* 1..NRV_VOTES_MAX */
    uint8_t min_votes;  /* 1..votes */
} nrv_rule_t;

typedef struct {
    uint32_t window_index; /* windows before this one since the chain was reset */
    uint32_t sample_index; /* of the last sample taken */
    uint8_t label;         /* or NRV_NO_LABEL */
    uint8_t confidence;    /* 256ths of probability, of the likeliest class of this window */
    uint16_t flags;        /* why there is no label; and of a window's quality, what is only said */
} nrv_decision_t;

typedef struct {
    const nrv_rule_t *rule;
    uint8_t ring[NRV_VOTES_MAX]; /* labels of the last windows; NRV_NO_LABEL does not vote */
    uint8_t next;
} nrv_decider_t;

void nrv_decider_init(nrv_decider_t *decider, const nrv_rule_t *rule);

/* Forgets all votes. */
void nrv_decider_clear(nrv_decider_t *decider);

/* Sets label, confidence and flags of `out` from output[classes]. `quality` holds flags that forbid a
 * decision (0 for a good window); such a window does not vote. */
void nrv_decider_decide(nrv_decider_t *decider, const int8_t *output, uint16_t quality, nrv_decision_t *out);

#endif
