/* What the Cortex-M boards share (startup.c, machine.c), and what each of them gives to it. */
#ifndef NRV_CORTEXM_H
#define NRV_CORTEXM_H

#include <stdint.h>

#define NRV_REG(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Numbers of exceptions, as the processor counts them. */
#define NRV_NMI 2u
#define NRV_SYSTICK 15u
#define NRV_INTERRUPT(n) (16u + (n)) /* external interrupt n, 0..63 */

/* The board's: clock, timer, UART, watchdog. */
void nrv_board_init(void);

/* The board's: deals with an exception. What it did not ask for is a fault. */
void nrv_board_exception(uint32_t number);

/* Called first by nrv_board_init, with the NRV_RESET_ that the chip tells, POWER_ON if none. What the last life left
   for this one (nrv_board_restart) says more. */
void nrv_machine_start(uint8_t chip_says);

/* Whether the RAM has kept its contents since the last life. */
int nrv_machine_kept(void);

void nrv_machine_enable(uint32_t interrupt);
void nrv_machine_received(uint8_t byte);
void nrv_machine_overrun(void);

/* How often the board's timer interrupts. SysTick has 24 bits: no less at 168 MHz. */
#define NRV_SPANS_PER_SECOND 16u

/* A watchdog in the timer's interrupt: restarts the device after a second without a kick. It works where the chip has
   none, and leaves its reason. */
void nrv_watchdog_span(void);
void nrv_watchdog_kick(void);

#endif
