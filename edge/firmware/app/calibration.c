/* Calibration on the device: gathers its phases from the stream, uses what they gave, stores it with the board. */
#include "calibration.h"

#include <string.h>

#include "app.h"
#include "board.h"
#include "config.h"

#define RECORD_SIZE NRV_CALIBRATION_SIZE(NRV_OUTPUTS)
#define REPORTS 10u /* of progress in a phase */

typedef char nrv_record_fits_board[RECORD_SIZE <= NRV_BOARD_STORE_MAX ? 1 : -1];

static nrv_path_t *path;

/* In use, if `calibrated`. */
static uint32_t rest[NRV_OUTPUTS], mvc[NRV_OUTPUTS];
static int32_t multiplier[NRV_OUTPUTS];
static uint8_t right_shift[NRV_OUTPUTS];
static const nrv_calibration_t calibration = {rest, mvc, multiplier, right_shift};
static bool calibrated;

/* The phase that is being gathered. */
static bool gathering;
static uint8_t phase;
static uint16_t headroom;
static nrv_levels_t levels;
static uint64_t sum[NRV_OUTPUTS];
static uint32_t at_limit[NRV_CHANNELS];
static uint32_t new_rest[NRV_OUTPUTS];
static bool rested;

static uint8_t record[RECORD_SIZE];
static uint32_t received; /* bytes of it that came by SetCalibration */

static void use(void)
{
    calibrated = true;
    nrv_path_set_scale(path, multiplier, right_shift);
}

static bool use_and_store(void)
{
    use();
    nrv_calibration_pack(&calibration, NRV_OUTPUTS, nrv_bundle_hash, record);
    return nrv_board_store(record, RECORD_SIZE);
}

void nrv_calibration_init(nrv_path_t *of)
{
    path = of;
    const size_t size = nrv_board_load(record, RECORD_SIZE);
    if (nrv_calibration_unpack(record, size, NRV_OUTPUTS, nrv_bundle_hash, &calibration) == NRV_CALIBRATION_GOOD)
        use();
}

uint8_t nrv_calibration_start(const nrv_calibrate_t *message)
{
    if (message->phase > NRV_PHASE_MVC || message->samples == 0 || message->headroom == 0 ||
        (message->phase == NRV_PHASE_MVC && !rested))
        return NRV_ERROR_WRONG_CALIBRATION;
    const nrv_start_t start = {0, 0};
    const uint8_t error = nrv_stream_start(&start);
    if (error)
        return error;
    memset(sum, 0, sizeof sum);
    memset(at_limit, 0, sizeof at_limit);
    levels.sum = sum;
    levels.at_limit = at_limit;
    levels.wanted = message->samples;
    levels.gathered = 0;
    levels.taken = 0;
    phase = message->phase;
    headroom = message->headroom;
    gathering = true;
    return 0;
}

void nrv_calibration_stop(void)
{
    gathering = false;
}

static void report(unsigned reason, unsigned channel)
{
    const nrv_calibration_result_t message = {phase, (uint8_t)reason, (uint8_t)channel, levels.gathered};
    uint8_t payload[NRV_MSG_CALIBRATION_RESULT_SIZE];
    nrv_link_send(NRV_MSG_CALIBRATION_RESULT, payload, nrv_put_calibration_result(payload, &message));
}

static void finish(void)
{
    unsigned channel, reason;
    if (phase == NRV_PHASE_REST) {
        reason = nrv_calibration_rest(&levels, &nrv_path_config, new_rest, &channel);
        rested = reason == NRV_CALIBRATION_GOOD;
    } else {
        reason = nrv_calibration_mvc(&levels, &nrv_path_config, new_rest, headroom, &calibration, &channel);
        if (reason == NRV_CALIBRATION_GOOD && !use_and_store())
            reason = NRV_CALIBRATION_NOT_STORED;
    }
    report(reason, channel);
}

bool nrv_calibration_take(const int32_t *counts, bool filtered)
{
    if (!gathering)
        return false;
    const uint32_t before = levels.gathered;
    const bool done = nrv_levels_take(&levels, path, counts, filtered);
    if (levels.gathered == before)
        return true;
    if (done)
        finish();
    else if (levels.gathered % (levels.wanted / REPORTS + 1u) == 0)
        report(NRV_CALIBRATION_GOOD, 0);
    return true;
}

void nrv_calibration_send(void)
{
    static uint8_t payload[NRV_MAX_PAYLOAD];
    const size_t size = calibrated ? RECORD_SIZE : 0, room = NRV_MAX_PAYLOAD - NRV_MSG_CALIBRATION_RECORD_SIZE;
    if (calibrated)
        nrv_calibration_pack(&calibration, NRV_OUTPUTS, nrv_bundle_hash, record);
    received = 0;
    size_t at = 0;
    do {
        const size_t n = size - at < room ? size - at : room;
        const nrv_calibration_record_t message = {(uint16_t)size, (uint16_t)at, record + at, n};
        nrv_link_send(NRV_MSG_CALIBRATION_RECORD, payload, nrv_put_calibration_record(payload, &message));
        at += n;
    } while (at < size);
}

uint8_t nrv_calibration_set(const nrv_set_calibration_t *piece)
{
    nrv_stream_stop();
    if (piece->offset == 0)
        received = 0;
    if (piece->offset != received || piece->data_size > RECORD_SIZE - received) {
        received = 0;
        return NRV_ERROR_WRONG_FRAGMENT;
    }
    memcpy(record + received, piece->data, piece->data_size);
    received += (uint32_t)piece->data_size;
    if (received < RECORD_SIZE)
        return 0;
    received = 0;
    if (nrv_calibration_unpack(record, RECORD_SIZE, NRV_OUTPUTS, nrv_bundle_hash, &calibration) !=
        NRV_CALIBRATION_GOOD)
        return NRV_ERROR_WRONG_CALIBRATION;
    return use_and_store() ? 0 : NRV_ERROR_NOT_STORED;
}

uint8_t nrv_calibration_clear(void)
{
    nrv_stream_stop();
    calibrated = false;
    nrv_path_set_scale(path, nrv_path_config.multiplier, nrv_path_config.right_shift);
    return nrv_board_store(record, 0) ? 0 : NRV_ERROR_NOT_STORED;
}
