/* SysTick as the board's clock. */
#ifndef NRV_SYSTICK_H
#define NRV_SYSTICK_H

#include <stdint.h>

/* Starts it on the processor's clock; from then on it interrupts NRV_SPANS_PER_SECOND times a second. */
void nrv_systick_start(uint32_t clock_hz);

/* For its interrupt. */
void nrv_systick_wrapped(void);

#endif
