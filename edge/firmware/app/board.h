/* What a board gives the application. One implementation a board, in boards/NAME/board.c. */
#ifndef NRV_BOARD_H
#define NRV_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Bytes received and not read yet that the board can hold: what the host may have under way. */
uint16_t nrv_board_credit(void);

/* Received bytes, at most `room`; returns their number at once, 0 if there are none. */
size_t nrv_board_read(uint8_t *to, size_t room);

/* Bytes that came while there was no room for them. */
uint32_t nrv_board_overruns(void);

/* Returns when the transmitter has taken all. */
void nrv_board_write(const uint8_t *from, size_t size);

/* Sleeps until something happens: a received byte, a timer. May return early. */
void nrv_board_idle(void);

/* The main loop is alive. Not called for about a second: the device restarts with cause WATCHDOG. */
void nrv_board_kick(void);

/* Monotonic time since start, and its unit. */
uint64_t nrv_board_ticks(void);
uint32_t nrv_board_tick_hz(void);

/* Restarts the device; the cause (NRV_RESET_...) survives. Safe in interrupts. */
void nrv_board_restart(uint8_t cause);

/* Why the device started, and how often since power-on. */
uint8_t nrv_board_reset_cause(void);
uint32_t nrv_board_boots(void);

/* Bytes of stack there are, and the most that were ever in use. */
uint32_t nrv_board_stack_size(void);
uint32_t nrv_board_stack_used(void);

/* Keeps at most NRV_BOARD_STORE_MAX bytes over a reset, instead of those kept before; size 0: none. Returns 0 if it
 * could not. What survives beyond a reset is for the board to say. */
#define NRV_BOARD_STORE_MAX 1024u
int nrv_board_store(const uint8_t *from, size_t size);

/* What is kept, if it fits `room`: its size, or 0. It may be damaged. */
size_t nrv_board_load(uint8_t *to, size_t room);

/* The application; called by the board's start-up code once all of the above works. */
void nrv_app_run(void);

#endif
