/* The parts of the application, as they see each other. */
#ifndef NRV_APP_H
#define NRV_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"
#include "path.h"

/* link.c: frames in, frames out. */

/* Handles what has been received; false if there was nothing. */
bool nrv_link_poll(void);
void nrv_link_send(uint8_t type, const uint8_t *payload, size_t size);
void nrv_link_counters(nrv_status_t *status);

/* stream.c: samples through the chain, windows through the model. All but init return 0 or an NRV_ERROR_. */

void nrv_stream_init(void);
void nrv_stream_stop(void);
uint8_t nrv_stream_start(const nrv_start_t *start);
uint8_t nrv_stream_samples(const nrv_samples_t *samples);
uint8_t nrv_stream_run_model(const nrv_run_model_t *piece);
uint8_t nrv_stream_set_context(const nrv_set_context_t *message);
uint32_t nrv_stream_next_index(void);
void nrv_stream_check_stale(void);
void nrv_stream_counters(nrv_status_t *status);

/* calibration.c: its phases, its record. Those of type uint8_t return 0 or an NRV_ERROR_. */

/* Uses the calibration stored with the board, if it is one of this bundle. */
void nrv_calibration_init(nrv_path_t *path);
uint8_t nrv_calibration_start(const nrv_calibrate_t *message);
void nrv_calibration_stop(void);
/* Takes a sample that was just pushed. Returns whether a phase runs, in which nothing is decided. */
bool nrv_calibration_take(const int32_t *counts, bool filtered);
void nrv_calibration_send(void);
uint8_t nrv_calibration_set(const nrv_set_calibration_t *piece);
uint8_t nrv_calibration_clear(void);

/* trace.c: arrays too long for one frame. */

void nrv_trace_filtered(uint32_t index, const int32_t *sample);
void nrv_trace_flush(void);
void nrv_trace_window(uint32_t window_index, const int8_t *window, size_t size);
void nrv_trace_output(uint32_t window_index, const int8_t *output, size_t size);
void nrv_send_model_output(uint32_t ticks, const int8_t *output, size_t size);

#endif
