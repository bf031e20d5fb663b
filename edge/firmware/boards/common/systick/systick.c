/* ARMv7-M ARM, B3.3. */
#include "systick.h"

#include "board.h"
#include "cortexm.h"

#define SYST_CSR NRV_REG(0xE000E010u)
#define SYST_RVR NRV_REG(0xE000E014u)
#define SYST_CVR NRV_REG(0xE000E018u)
#define SCB_ICSR NRV_REG(0xE000ED04u)

#define ICSR_PENDSTSET (1u << 26)

static volatile uint32_t spans; /* wraps */
static uint32_t span;           /* ticks in one */
static uint32_t tick_hz;

void nrv_systick_start(uint32_t clock_hz)
{
    tick_hz = clock_hz;
    span = clock_hz / NRV_SPANS_PER_SECOND;
    SYST_RVR = span - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7u; /* processor clock, interrupt, on */
}

void nrv_systick_wrapped(void)
{
    spans++;
}

uint64_t nrv_board_ticks(void)
{
    uint32_t high, low;
    do {
        high = spans;
        low = span - 1u - SYST_CVR;
    } while (high != spans || (SCB_ICSR & ICSR_PENDSTSET) != 0u);
    return (uint64_t)high * span + low;
}

uint32_t nrv_board_tick_hz(void)
{
    return tick_hz;
}
