/* Samples through the chain and windows through the model, measured. */
#include <string.h>

#include "app.h"
#include "board.h"
#include "chain.h"
#include "config.h"
#include "frame.h"

static nrv_chain_t chain;
static int32_t path_state[NRV_PATH_WORDS];
static int8_t window[NRV_MODEL_INPUT] __attribute__((aligned(8)));
static nrv_channel_quality_t quality[NRV_CHANNELS];
static int8_t output[NRV_LABELS];
static nrv_model_t model;
static int8_t context[NRV_CONTEXT + 1u]; /* zeros are the mean; C has no array of none */

static bool streaming;
static bool follows; /* the next window goes on from the one that the model ran last */
static uint8_t trace;
static uint32_t samples_taken;
static uint32_t decisions;
static uint64_t stale_ticks; /* 0: never stale */
static uint64_t last_samples;
static bool stale;
static uint32_t injected; /* bytes of a window that came by RunModel */

typedef struct {
    uint32_t last;
    uint32_t max;
} stopwatch_t;

static stopwatch_t filter_time, model_time, decision_time;

static uint32_t stop(stopwatch_t *watch, uint64_t start)
{
    watch->last = (uint32_t)(nrv_board_ticks() - start);
    if (watch->last > watch->max)
        watch->max = watch->last;
    return watch->last;
}

static void send_decision(const nrv_decision_t *made, uint32_t ticks)
{
    decisions++;
    const nrv_decision_made_t message = {made->window_index, made->sample_index, made->label,
                                         made->confidence,   made->flags,        ticks};
    uint8_t payload[NRV_MSG_DECISION_MADE_SIZE];
    nrv_link_send(NRV_MSG_DECISION_MADE, payload, nrv_put_decision_made(payload, &message));
}

static void reset_model(void)
{
    nrv_model_reset(&model);
    follows = false;
}

void nrv_stream_init(void)
{
    nrv_chain_init(&chain, &nrv_path_config, &nrv_rule, path_state, window, quality);
    nrv_calibration_init(&chain.path);
    reset_model();
}

void nrv_stream_stop(void)
{
    streaming = false;
}

uint8_t nrv_stream_start(const nrv_start_t *start)
{
    nrv_calibration_stop();
    nrv_chain_reset(&chain);
    reset_model();
    samples_taken = 0;
    decisions = 0;
    trace = start->trace;
    stale_ticks = (uint64_t)start->stale_hops * NRV_HOP_US * nrv_board_tick_hz() / 1000000u;
    last_samples = nrv_board_ticks();
    stale = false;
    streaming = true;
    return 0;
}

/* Returns the ticks taken. */
static uint32_t run_model(const int8_t *input)
{
    const uint64_t start = nrv_board_ticks();
    if (NRV_MODEL_HOP && follows) {
        nrv_model_push(&model, input + sizeof window - NRV_MODEL_HOP, context, output);
        return stop(&model_time, start);
    }
    if (!NRV_KEEPS_STATE)
        nrv_model_reset(&model);
    for (uint32_t at = 0; at < sizeof window; at += sizeof window / NRV_STEPS)
        nrv_model_step(&model, input + at, context, output);
    return stop(&model_time, start);
}

static void decide(void)
{
    nrv_board_kick();
    const uint32_t window_index = chain.windows - 1u;
    if (trace & NRV_TRACE_WINDOW)
        nrv_trace_window(window_index, nrv_chain_window(&chain), sizeof window);
    uint32_t ticks = run_model(nrv_chain_window(&chain));
    follows = true;
    if (trace & NRV_TRACE_OUTPUT)
        nrv_trace_output(window_index, output, sizeof output);
    nrv_decision_t made;
    const uint64_t start = nrv_board_ticks();
    nrv_chain_decide(&chain, output, &made);
    ticks += stop(&decision_time, start);
    send_decision(&made, ticks);
}

static void take(uint32_t index, const int32_t *counts, uint32_t lead_off)
{
    const uint64_t start = nrv_board_ticks();
    const unsigned events = nrv_chain_push(&chain, index, counts, lead_off);
    (void)stop(&filter_time, start);
    if (events & NRV_EV_LATE)
        return;
    samples_taken++;
    last_samples = start;
    stale = false;
    if ((trace & NRV_TRACE_FILTERED) && (events & NRV_EV_SAMPLE))
        nrv_trace_filtered(index, nrv_path_filtered(&chain.path));
    if (nrv_calibration_take(counts, events & NRV_EV_SAMPLE)) {
        follows = false;
        return;
    }
    if (events & NRV_EV_GAP) {
        nrv_decision_t gap;
        reset_model();
        nrv_chain_gap(&chain, &gap);
        send_decision(&gap, 0);
    }
    if (events & NRV_EV_WINDOW)
        decide();
}

static int32_t signed_value(const uint8_t *bytes, size_t width)
{
    const uint32_t sign = UINT32_C(1) << (8u * width - 1u);
    return (int32_t)(((uint32_t)nrv_get(bytes, width) ^ sign) - sign);
}

uint8_t nrv_stream_samples(const nrv_samples_t *samples)
{
    if (!streaming)
        return NRV_ERROR_NOT_STREAMING;
    const size_t width = samples->width;
    if (width < 1 || width > 4)
        return NRV_ERROR_WRONG_WIDTH;
    if (samples->data_size != width * NRV_CHANNELS * samples->count)
        return NRV_ERROR_WRONG_LENGTH;
    const uint8_t *from = samples->data;
    for (uint32_t i = 0; i < samples->count; i++) {
        int32_t counts[NRV_CHANNELS];
        for (size_t c = 0; c < NRV_CHANNELS; c++, from += width)
            counts[c] = signed_value(from, width);
        take(samples->index + i, counts, samples->lead_off);
    }
    nrv_trace_flush();
    return 0;
}

uint8_t nrv_stream_run_model(const nrv_run_model_t *piece)
{
    streaming = false;
    if (piece->offset == 0)
        injected = 0;
    if (piece->offset != injected || piece->data_size > sizeof window - injected) {
        injected = 0;
        return NRV_ERROR_WRONG_FRAGMENT;
    }
    memcpy(window + injected, piece->data, piece->data_size);
    injected += (uint32_t)piece->data_size;
    if (injected == sizeof window) {
        injected = 0;
        follows = false;
        const uint32_t ticks = run_model(window);
        nrv_send_model_output(ticks, output, sizeof output);
    }
    return 0;
}

uint8_t nrv_stream_set_context(const nrv_set_context_t *message)
{
    if (message->data_size != NRV_CONTEXT)
        return NRV_ERROR_WRONG_CONTEXT;
    memcpy(context, message->data, message->data_size);
    return 0;
}

uint32_t nrv_stream_next_index(void)
{
    return chain.expected;
}

void nrv_stream_check_stale(void)
{
    if (!streaming || stale || stale_ticks == 0 || nrv_board_ticks() - last_samples < stale_ticks)
        return;
    stale = true;
    nrv_decision_t none;
    nrv_chain_stale(&chain, &none);
    send_decision(&none, 0);
}

void nrv_stream_counters(nrv_status_t *status)
{
    status->samples = samples_taken;
    status->samples_late = chain.late;
    status->gaps = chain.gaps;
    status->windows = chain.windows;
    status->windows_spoiled = chain.spoiled;
    status->decisions = decisions;
    status->context_crc = nrv_crc32(0, (const uint8_t *)context, NRV_CONTEXT);
    status->filter_last = filter_time.last;
    status->filter_max = filter_time.max;
    status->model_last = model_time.last;
    status->model_max = model_time.max;
    status->decision_last = decision_time.last;
    status->decision_max = decision_time.max;
}
