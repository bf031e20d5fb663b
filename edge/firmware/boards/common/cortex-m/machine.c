/* What a Cortex-M board does whatever the chip: lives and their causes, received bytes, sleep, a watchdog, and a store
   in RAM that start-up code leaves alone. */
#include <string.h>

#include "board.h"
#include "calibration.h"
#include "config.h"
#include "cortexm.h"
#include "messages.h"
#include "ring.h"

#define NVIC_ISER(n) NRV_REG(0xE000E100u + 4u * (n))
#define SCB_AIRCR NRV_REG(0xE000ED0Cu)
#define AIRCR_SYSRESETREQ 0x05FA0004u
#define NOTE_MAGIC 0x4E525621u

static struct {
    uint32_t magic;
    uint32_t cause;
    uint32_t boots;
} note __attribute__((section(".noinit")));

/* Survives a reset, not a loss of power: no flash is written. Room for the one record there is. */
static struct {
    uint32_t size;
    uint8_t bytes[NRV_CALIBRATION_SIZE(NRV_OUTPUTS)];
} stored __attribute__((section(".noinit")));

static nrv_ring_t received;
static volatile uint32_t overruns;
static volatile uint32_t spans_left = NRV_SPANS_PER_SECOND;
static uint8_t reset_cause;

int nrv_machine_kept(void)
{
    return note.magic == NOTE_MAGIC;
}

void nrv_machine_start(uint8_t chip_says)
{
    const int kept = nrv_machine_kept();
    reset_cause = kept && note.cause != NRV_RESET_POWER_ON ? (uint8_t)note.cause : chip_says;
    note.boots = kept ? note.boots + 1u : 1u;
    note.cause = NRV_RESET_POWER_ON;
    note.magic = NOTE_MAGIC;
}

void nrv_machine_enable(uint32_t interrupt)
{
    NVIC_ISER(interrupt / 32u) = 1u << interrupt % 32u;
}

void nrv_machine_received(uint8_t byte)
{
    if (!nrv_ring_put(&received, byte)) {
        nrv_machine_overrun();
    }
}

void nrv_machine_overrun(void)
{
    overruns++;
}

void nrv_watchdog_span(void)
{
    if (--spans_left == 0u) {
        nrv_board_restart(NRV_RESET_WATCHDOG);
    }
}

void nrv_watchdog_kick(void)
{
    spans_left = NRV_SPANS_PER_SECOND;
}

uint16_t nrv_board_credit(void)
{
    return NRV_RING_SIZE;
}

size_t nrv_board_read(uint8_t *to, size_t room)
{
    return nrv_ring_take(&received, to, room);
}

uint32_t nrv_board_overruns(void)
{
    return overruns;
}

void nrv_board_idle(void)
{
    /* With interrupts masked, one that comes after the look at the ring still ends the wfi. */
    __asm__ volatile("cpsid i" ::: "memory");
    if (nrv_ring_empty(&received)) {
        __asm__ volatile("wfi");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

void nrv_board_restart(uint8_t cause)
{
    note.cause = cause;
    __asm__ volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

uint8_t nrv_board_reset_cause(void)
{
    return reset_cause;
}

uint32_t nrv_board_boots(void)
{
    return note.boots;
}

int nrv_board_store(const uint8_t *from, size_t size)
{
    if (size > sizeof stored.bytes) {
        return 0;
    }
    memcpy(stored.bytes, from, size);
    stored.size = (uint32_t)size;
    return 1;
}

size_t nrv_board_load(uint8_t *to, size_t room)
{
    /* After power-on the size is anything. */
    if (stored.size > sizeof stored.bytes || stored.size > room) {
        return 0;
    }
    memcpy(to, stored.bytes, stored.size);
    return stored.size;
}
