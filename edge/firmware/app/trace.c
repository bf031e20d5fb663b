/* Arrays that do not fit one frame go in pieces with offsets. */
#include <string.h>

#include "app.h"
#include "config.h"

#define FILTERED_MAX ((NRV_MAX_PAYLOAD - NRV_MSG_TRACE_FILTERED_SIZE) / (4u * NRV_OUTPUTS))

static uint8_t payload[NRV_MAX_PAYLOAD];
static uint8_t filtered[FILTERED_MAX * 4u * NRV_OUTPUTS];
static uint8_t filtered_count;
static uint32_t filtered_index;

void nrv_trace_filtered(uint32_t index, const int32_t *sample)
{
    /* Those of one frame come from samples `decimation` apart: a gap lies between others. */
    if (filtered_count == FILTERED_MAX || index != filtered_index + filtered_count * nrv_path_config.decimation)
        nrv_trace_flush();
    if (filtered_count == 0)
        filtered_index = index;
    uint8_t *to = filtered + filtered_count * 4u * NRV_OUTPUTS;
    for (size_t c = 0; c < NRV_OUTPUTS; c++)
        nrv_put(to + 4u * c, (uint32_t)sample[c], 4);
    filtered_count++;
}

void nrv_trace_flush(void)
{
    if (filtered_count == 0)
        return;
    const nrv_trace_filtered_t message = {filtered_index, filtered_count, filtered,
                                          filtered_count * 4u * NRV_OUTPUTS};
    filtered_count = 0;
    nrv_link_send(NRV_MSG_TRACE_FILTERED, payload, nrv_put_trace_filtered(payload, &message));
}

/* The next piece of `size` bytes from `offset` in a frame whose other fields take `fixed` bytes. */
static size_t piece(size_t size, size_t offset, size_t fixed)
{
    const size_t room = NRV_MAX_PAYLOAD - fixed;
    return size - offset < room ? size - offset : room;
}

void nrv_trace_window(uint32_t window_index, const int8_t *window, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = piece(size, at, NRV_MSG_TRACE_WINDOW_SIZE);
        const nrv_trace_window_t message = {window_index, (uint32_t)at, (const uint8_t *)window + at, n};
        nrv_link_send(NRV_MSG_TRACE_WINDOW, payload, nrv_put_trace_window(payload, &message));
    }
}

void nrv_trace_output(uint32_t window_index, const int8_t *output, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = piece(size, at, NRV_MSG_TRACE_OUTPUT_SIZE);
        const nrv_trace_output_t message = {window_index, (uint32_t)at, (const uint8_t *)output + at, n};
        nrv_link_send(NRV_MSG_TRACE_OUTPUT, payload, nrv_put_trace_output(payload, &message));
    }
}

void nrv_send_model_output(uint32_t ticks, const int8_t *output, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = piece(size, at, NRV_MSG_MODEL_OUTPUT_SIZE);
        const nrv_model_output_t message = {ticks, (uint32_t)at, (const uint8_t *)output + at, n};
        nrv_link_send(NRV_MSG_MODEL_OUTPUT, payload, nrv_put_model_output(payload, &message));
    }
}
