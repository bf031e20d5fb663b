/* Drivers of Arm's MPS boards: UART and watchdog of the Cortex-M System Design Kit (DDI 0479), SysTick. Addresses and
   clocks are in the board's mps.h. Tried under QEMU only, which models both; it has not run on an FPGA. */
#include "board.h"
#include "cortexm.h"
#include "messages.h"
#include "mps.h"
#include "systick.h"

#define UART_DATA NRV_REG(NRV_UART + 0x0u)
#define UART_STATE NRV_REG(NRV_UART + 0x4u)
#define UART_CTRL NRV_REG(NRV_UART + 0x8u)
#define UART_INTCLEAR NRV_REG(NRV_UART + 0xCu)
#define UART_BAUDDIV NRV_REG(NRV_UART + 0x10u)
#define WDOG_LOAD NRV_REG(NRV_WATCHDOG + 0x0u)
#define WDOG_CONTROL NRV_REG(NRV_WATCHDOG + 0x8u)
#define WDOG_INTCLR NRV_REG(NRV_WATCHDOG + 0xCu)
#define WDOG_LOCK NRV_REG(NRV_WATCHDOG + 0xC00u)

#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)
#define STATE_RX_OVERRUN (1u << 3)
#define CTRL_TX (1u << 0)
#define CTRL_RX (1u << 1)
#define CTRL_RX_INTERRUPT (1u << 3)
#define INT_RX (1u << 1)
#define WDOG_INTERRUPT_AND_RESET 3u
#define WDOG_UNLOCK 0x1ACCE551u
#define BAUD 115200u

void nrv_board_init(void)
{
    nrv_machine_start(NRV_RESET_POWER_ON);
    nrv_systick_start(NRV_CLOCK_HZ);
    /* After a second the NMI, which leaves the reason; a second later a reset in any case. */
    WDOG_LOCK = WDOG_UNLOCK;
    WDOG_LOAD = NRV_WATCHDOG_HZ;
    WDOG_CONTROL = WDOG_INTERRUPT_AND_RESET;
    UART_BAUDDIV = (NRV_UART_HZ + BAUD / 2u) / BAUD;
    UART_CTRL = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    nrv_machine_enable(NRV_UART_INTERRUPT);
}

static void receive(void)
{
    const uint32_t state = UART_STATE;
    UART_INTCLEAR = INT_RX; /* before the byte is read: the next one interrupts again */
    if ((state & STATE_RX_OVERRUN) != 0u) {
        UART_STATE = STATE_RX_OVERRUN;
        nrv_machine_overrun();
    }
    if ((state & STATE_RX_FULL) != 0u) {
        nrv_machine_received((uint8_t)UART_DATA);
    }
}

void nrv_board_exception(uint32_t number)
{
    if (number == NRV_INTERRUPT(NRV_UART_INTERRUPT)) {
        receive();
    } else if (number == NRV_SYSTICK) {
        nrv_systick_wrapped();
    } else {
        nrv_board_restart(number == NRV_NMI ? NRV_RESET_WATCHDOG : NRV_RESET_FAULT);
    }
}

void nrv_board_write(const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while ((UART_STATE & STATE_TX_FULL) != 0u) {
        }
        UART_DATA = from[i];
    }
}

void nrv_board_kick(void)
{
    WDOG_INTCLR = 1u; /* loads it anew */
}
