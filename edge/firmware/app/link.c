/* Frames in and out. A frame that is late or repeated is counted and dropped, whatever it says; only a Hello is
   always taken: it comes from a host that begins to count, and so does the device. */
#include <string.h>

#include "app.h"
#include "board.h"
#include "config.h"
#include "frame.h"

#if NRV_MAX_PAYLOAD != NRV_FRAME_PAYLOAD_MAX
#error "edge/wire.py and edge/core/frame.h disagree on the longest payload"
#endif

static nrv_frame_decoder_t decoder;
static uint16_t next_sequence;
static uint32_t refused;

void nrv_link_send(uint8_t type, const uint8_t *payload, size_t size)
{
    static uint8_t wire[NRV_FRAME_WIRE_MAX];
    nrv_board_kick(); /* a long trace on a slow line is no stall */
    nrv_board_write(wire, nrv_frame_encode(type, next_sequence++, payload, size, wire));
}

static void send_info(void)
{
    nrv_info_t info;
    memset(&info, 0, sizeof info);
    info.protocol = NRV_PROTOCOL;
    memcpy(info.firmware, nrv_firmware_version, sizeof info.firmware);
    memcpy(info.build_id, nrv_build_id, sizeof info.build_id);
    memcpy(info.bundle_hash, nrv_bundle_hash, sizeof info.bundle_hash);
    memcpy(info.board, nrv_board_name, sizeof info.board);
    info.channels = NRV_CHANNELS;
    info.outputs = NRV_OUTPUTS;
    info.window = NRV_WINDOW;
    info.hop = NRV_HOP;
    info.rows = NRV_MODEL_ROWS;
    info.columns = NRV_MODEL_COLUMNS;
    info.context = NRV_CONTEXT;
    info.labels = NRV_LABELS;
    info.credit = nrv_board_credit();
    info.tick_hz = nrv_board_tick_hz();
    uint8_t payload[NRV_MSG_INFO_SIZE];
    nrv_link_send(NRV_MSG_INFO, payload, nrv_put_info(payload, &info));
}

static void send_status(void)
{
    nrv_status_t status;
    memset(&status, 0, sizeof status);
    nrv_link_counters(&status);
    nrv_stream_counters(&status);
    status.bytes_overrun = nrv_board_overruns();
    status.stack_used = nrv_board_stack_used();
    status.stack_size = nrv_board_stack_size();
    status.reset_cause = nrv_board_reset_cause();
    status.boots = nrv_board_boots();
    status.uptime = nrv_board_ticks();
    uint8_t payload[NRV_MSG_STATUS_SIZE];
    nrv_link_send(NRV_MSG_STATUS, payload, nrv_put_status(payload, &status));
}

static void send_ack(uint16_t sequence)
{
    const nrv_ack_t ack = {sequence, nrv_stream_next_index(), nrv_board_credit()};
    uint8_t payload[NRV_MSG_ACK_SIZE];
    nrv_link_send(NRV_MSG_ACK, payload, nrv_put_ack(payload, &ack));
}

static void send_refused(uint16_t sequence, uint8_t code)
{
    refused++;
    const nrv_refused_t message = {code, sequence};
    uint8_t payload[NRV_MSG_REFUSED_SIZE];
    nrv_link_send(NRV_MSG_REFUSED, payload, nrv_put_refused(payload, &message));
}

/* The watchdog test: what a main loop does that waits for something that never comes. */
static void stall(void)
{
    for (;;)
        nrv_board_idle();
}

/* Messages answered by an Ack. Returns 0 or an NRV_ERROR_. */
static uint8_t handle_acknowledged(uint8_t type, const uint8_t *payload, size_t size)
{
    union {
        nrv_start_t start;
        nrv_samples_t samples;
        nrv_run_model_t piece;
        nrv_calibrate_t calibrate;
        nrv_set_calibration_t record;
        nrv_set_context_t context;
    } message;
    switch (type) {
    case NRV_MSG_START:
        return nrv_get_start(payload, size, &message.start) ? nrv_stream_start(&message.start)
                                                            : NRV_ERROR_WRONG_LENGTH;
    case NRV_MSG_SAMPLES:
        return nrv_get_samples(payload, size, &message.samples) ? nrv_stream_samples(&message.samples)
                                                                : NRV_ERROR_WRONG_LENGTH;
    case NRV_MSG_RUN_MODEL:
        return nrv_get_run_model(payload, size, &message.piece) ? nrv_stream_run_model(&message.piece)
                                                                : NRV_ERROR_WRONG_LENGTH;
    case NRV_MSG_CALIBRATE:
        return nrv_get_calibrate(payload, size, &message.calibrate) ? nrv_calibration_start(&message.calibrate)
                                                                    : NRV_ERROR_WRONG_LENGTH;
    case NRV_MSG_SET_CALIBRATION:
        return nrv_get_set_calibration(payload, size, &message.record) ? nrv_calibration_set(&message.record)
                                                                       : NRV_ERROR_WRONG_LENGTH;
    case NRV_MSG_SET_CONTEXT:
        return nrv_get_set_context(payload, size, &message.context) ? nrv_stream_set_context(&message.context)
                                                                    : NRV_ERROR_WRONG_LENGTH;
    case NRV_MSG_CLEAR_CALIBRATION:
        return size == 0 ? nrv_calibration_clear() : NRV_ERROR_WRONG_LENGTH;
    default:
        return NRV_ERROR_UNKNOWN_TYPE;
    }
}

static void handle(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t size)
{
    const bool simple = type == NRV_MSG_HELLO || type == NRV_MSG_GET_STATUS || type == NRV_MSG_RESET ||
                        type == NRV_MSG_STALL || type == NRV_MSG_GET_CALIBRATION;
    if (simple && size != 0) {
        send_refused(sequence, NRV_ERROR_WRONG_LENGTH);
        return;
    }
    switch (type) {
    case NRV_MSG_HELLO:
        send_info();
        return;
    case NRV_MSG_GET_STATUS:
        send_status();
        return;
    case NRV_MSG_GET_CALIBRATION:
        nrv_calibration_send();
        return;
    case NRV_MSG_RESET:
        nrv_board_restart(NRV_RESET_SOFTWARE);
        return;
    case NRV_MSG_STALL:
        stall();
        return;
    default:
        break;
    }
    const uint8_t error = handle_acknowledged(type, payload, size);
    if (error)
        send_refused(sequence, error);
    else
        send_ack(sequence);
}

static void begin(uint16_t sequence)
{
    decoder.started = 1;
    decoder.expected = (uint16_t)(sequence + 1u);
    decoder.good = 1;
    decoder.corrupt = 0;
    decoder.lost = 0;
    decoder.behind = 0;
    refused = 0;
}

bool nrv_link_poll(void)
{
    uint8_t bytes[64];
    const size_t n = nrv_board_read(bytes, sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        const int result = nrv_frame_decoder_push(&decoder, bytes[i]);
        if (result == NRV_FRAME_NONE)
            continue;
        if (decoder.type == NRV_MSG_HELLO)
            begin(decoder.sequence);
        if (decoder.type == NRV_MSG_HELLO || result == NRV_FRAME_GOOD)
            handle(decoder.type, decoder.sequence, decoder.payload, decoder.length);
    }
    return n > 0;
}

void nrv_link_counters(nrv_status_t *status)
{
    status->frames_ok = decoder.good;
    status->frames_corrupt = decoder.corrupt;
    status->frames_lost = decoder.lost;
    status->frames_duplicate = decoder.behind;
    status->frames_refused = refused;
}
