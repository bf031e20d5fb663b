/* Arm MPS2, application notes AN386 and AN500: one clock for all, UART 0 (receive interrupt), watchdog on the NMI. */
#ifndef NRV_MPS_H
#define NRV_MPS_H

#define NRV_CLOCK_HZ 25000000u
#define NRV_UART 0x40004000u
#define NRV_UART_HZ NRV_CLOCK_HZ
#define NRV_UART_INTERRUPT 0u
#define NRV_WATCHDOG 0x40008000u
#define NRV_WATCHDOG_HZ NRV_CLOCK_HZ

#endif
