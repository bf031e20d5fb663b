/* Drivers of the BBC micro:bit (nRF51822): TIMER0, UART0, watchdogs. Registers after the nRF51 Series Reference Manual
   3.0.

   Tried under QEMU's microbit machine only, which models neither the CLOCK and POWER registers (all read 1) nor the WDT
   (writes are ignored). Therefore the watchdog is double, as on other boards: the hardware's, and one in the timer's
   interrupt, which leaves its reason. The Cortex-M0 of this chip has no SysTick. */
#include "board.h"
#include "cortexm.h"
#include "messages.h"

#define TASKS_HFCLKSTART NRV_REG(0x40000000u)
#define EVENTS_HFCLKSTARTED NRV_REG(0x40000100u)
#define RESETREAS NRV_REG(0x40000400u)

#define UART_STARTRX NRV_REG(0x40002000u)
#define UART_STARTTX NRV_REG(0x40002008u)
#define UART_RXDRDY NRV_REG(0x40002108u)
#define UART_TXDRDY NRV_REG(0x4000211Cu)
#define UART_ERROR NRV_REG(0x40002124u)
#define UART_INTENSET NRV_REG(0x40002304u)
#define UART_ERRORSRC NRV_REG(0x40002480u)
#define UART_ENABLE NRV_REG(0x40002500u)
#define UART_PSELTXD NRV_REG(0x4000250Cu)
#define UART_PSELRXD NRV_REG(0x40002514u)
#define UART_RXD NRV_REG(0x40002518u)
#define UART_TXD NRV_REG(0x4000251Cu)
#define UART_BAUDRATE NRV_REG(0x40002524u)

#define TIMER_START NRV_REG(0x40008000u)
#define TIMER_CAPTURE1 NRV_REG(0x40008044u)
#define TIMER_COMPARE0 NRV_REG(0x40008140u)
#define TIMER_INTENSET NRV_REG(0x40008304u)
#define TIMER_BITMODE NRV_REG(0x40008508u)
#define TIMER_PRESCALER NRV_REG(0x40008510u)
#define TIMER_CC0 NRV_REG(0x40008540u)
#define TIMER_CC1 NRV_REG(0x40008544u)

#define WDT_START NRV_REG(0x40010000u)
#define WDT_CRV NRV_REG(0x40010504u)
#define WDT_RREN NRV_REG(0x40010508u)
#define WDT_RR0 NRV_REG(0x40010600u)

#define GPIO_OUTSET NRV_REG(0x50000508u)
#define GPIO_DIRSET NRV_REG(0x50000518u)
#define GPIO_PIN_CNF(n) NRV_REG(0x50000700u + 4u * (n))

#define RESETREAS_PIN (1u << 0)
#define RESETREAS_WATCHDOG (1u << 1)
#define RESETREAS_SOFTWARE (1u << 2)
#define RESETREAS_LOCKUP (1u << 3)
#define UART_ON 4u
#define UART_115200 0x01D7E000u
#define UART_INT_RXDRDY (1u << 2)
#define UART_INT_ERROR (1u << 9)
#define ERRORSRC_OVERRUN (1u << 0)
#define TIMER_INT_COMPARE0 (1u << 16)
#define TIMER_32_BITS 3u
#define WDT_RELOAD 0x6E524635u

#define TX_PIN 24u /* to and from the board's USB interface */
#define RX_PIN 25u
#define UART_INTERRUPT 2u
#define TIMER0_INTERRUPT 8u
#define CLOCK_HZ 16000000u
#define SPAN (CLOCK_HZ / NRV_SPANS_PER_SECOND)

static uint64_t ticks;    /* up to `captured` */
static uint32_t captured; /* the timer's 32 bits; it is looked at far more often than it wraps */

static uint8_t cause_of_chip(void)
{
    const uint32_t reasons = RESETREAS;
    RESETREAS = reasons; /* ones clear */
    if ((reasons & RESETREAS_WATCHDOG) != 0u) {
        return NRV_RESET_WATCHDOG;
    }
    if ((reasons & RESETREAS_SOFTWARE) != 0u) {
        return NRV_RESET_SOFTWARE;
    }
    if ((reasons & RESETREAS_LOCKUP) != 0u) {
        return NRV_RESET_FAULT;
    }
    /* The pin keeps the RAM. */
    return (reasons & RESETREAS_PIN) != 0u && nrv_machine_kept() ? NRV_RESET_PIN : NRV_RESET_POWER_ON;
}

static void start_timer(void)
{
    TIMER_BITMODE = TIMER_32_BITS;
    TIMER_PRESCALER = 0;
    TIMER_CC0 = SPAN;
    TIMER_INTENSET = TIMER_INT_COMPARE0;
    TIMER_START = 1u;
    nrv_machine_enable(TIMER0_INTERRUPT);
}

static void start_uart(void)
{
    GPIO_OUTSET = 1u << TX_PIN; /* the line idles high */
    GPIO_DIRSET = 1u << TX_PIN;
    GPIO_PIN_CNF(RX_PIN) = 0; /* an input, connected */
    UART_PSELTXD = TX_PIN;
    UART_PSELRXD = RX_PIN;
    UART_BAUDRATE = UART_115200;
    UART_ENABLE = UART_ON;
    UART_INTENSET = UART_INT_RXDRDY | UART_INT_ERROR;
    UART_STARTRX = 1u;
    UART_STARTTX = 1u;
    nrv_machine_enable(UART_INTERRUPT);
}

void nrv_board_init(void)
{
    nrv_machine_start(cause_of_chip());
    /* The crystal: the internal oscillator, which serves until it runs, may be too far off for a UART. */
    TASKS_HFCLKSTART = 1u;
    for (uint32_t i = 0; EVENTS_HFCLKSTARTED == 0u && i < 100000u; i++) {
    }
    start_timer();
    WDT_CRV = 2u * 32768u - 1u; /* 2 s: twice the software watchdog, which is to come first and leave its note */
    WDT_RREN = 1u;
    WDT_START = 1u;
    start_uart();
}

static void receive(void)
{
    if (UART_ERROR != 0u) {
        UART_ERROR = 0;
        const uint32_t errors = UART_ERRORSRC;
        UART_ERRORSRC = errors; /* ones clear */
        if ((errors & ERRORSRC_OVERRUN) != 0u) {
            nrv_machine_overrun();
        }
    }
    while (UART_RXDRDY != 0u) { /* a FIFO of six bytes; each one that is left sets it again */
        UART_RXDRDY = 0;
        nrv_machine_received((uint8_t)UART_RXD);
    }
}

/* With interrupts masked, or in one. */
static uint64_t advance(void)
{
    TIMER_CAPTURE1 = 1u;
    const uint32_t now = TIMER_CC1;
    ticks += now - captured;
    captured = now;
    return ticks;
}

void nrv_board_exception(uint32_t number)
{
    if (number == NRV_INTERRUPT(UART_INTERRUPT)) {
        receive();
    } else if (number == NRV_INTERRUPT(TIMER0_INTERRUPT)) {
        TIMER_COMPARE0 = 0;
        (void)advance();
        TIMER_CC0 = captured + SPAN;
        nrv_watchdog_span();
    } else {
        nrv_board_restart(NRV_RESET_FAULT);
    }
}

void nrv_board_write(const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        UART_TXD = from[i];
        while (UART_TXDRDY == 0u) {
        }
        UART_TXDRDY = 0;
    }
}

void nrv_board_kick(void)
{
    nrv_watchdog_kick();
    WDT_RR0 = WDT_RELOAD;
}

uint64_t nrv_board_ticks(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
    const uint64_t now = advance();
    __asm__ volatile("cpsie i" ::: "memory");
    return now;
}

uint32_t nrv_board_tick_hz(void)
{
    return CLOCK_HZ;
}
