/* Arm application note AN547 and SSE-300 TRM: UART 0 (combined interrupt), watchdog of the slow clock on the NMI; the
   addresses are those that secure code sees. */
#ifndef NRV_MPS_H
#define NRV_MPS_H

#define NRV_CLOCK_HZ 32000000u
#define NRV_UART 0x59303000u
#define NRV_UART_HZ 25000000u
#define NRV_UART_INTERRUPT 43u
#define NRV_WATCHDOG 0x5802E000u
#define NRV_WATCHDOG_HZ 32768u

#endif
