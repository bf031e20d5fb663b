/* Drivers of the Netduino Plus 2 (STM32F405): clock, SysTick, USART1, watchdogs. Registers after RM0090 (STM32F405
   reference manual) and the ARMv7-M ARM.

   Tried under QEMU's netduinoplus2 machine, which models neither RCC nor IWDG: writes to them are ignored there and
   reads give 0. Therefore the watchdog is double: the hardware IWDG, and one in the SysTick interrupt, which works in
   both and can leave a note of why it fired. The clock set-up and the IWDG have not run on silicon yet. */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "messages.h"
#include "ring.h"

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define RCC_CR REG(0x40023800u)
#define RCC_PLLCFGR REG(0x40023804u)
#define RCC_CFGR REG(0x40023808u)
#define RCC_AHB1ENR REG(0x40023830u)
#define RCC_APB2ENR REG(0x40023844u)
#define RCC_CSR REG(0x40023874u)
#define FLASH_ACR REG(0x40023C00u)
#define GPIOA_MODER REG(0x40020000u)
#define GPIOA_AFRH REG(0x40020024u)
#define USART1_SR REG(0x40011000u)
#define USART1_DR REG(0x40011004u)
#define USART1_BRR REG(0x40011008u)
#define USART1_CR1 REG(0x4001100Cu)
#define IWDG_KR REG(0x40003000u)
#define IWDG_PR REG(0x40003004u)
#define IWDG_RLR REG(0x40003008u)
#define SYST_CSR REG(0xE000E010u)
#define SYST_RVR REG(0xE000E014u)
#define SYST_CVR REG(0xE000E018u)
#define NVIC_ISER1 REG(0xE000E104u)
#define SCB_ICSR REG(0xE000ED04u)
#define SCB_AIRCR REG(0xE000ED0Cu)

#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_CSR_RMVF (1u << 24)
#define RCC_CSR_PINRSTF (1u << 26)
#define RCC_CSR_PORRSTF (1u << 27)
#define RCC_CSR_SFTRSTF (1u << 28)
#define RCC_CSR_IWDGRSTF (1u << 29)
#define USART_SR_ORE (1u << 3)
#define USART_SR_RXNE (1u << 5)
#define USART_SR_TXE (1u << 7)
#define ICSR_PENDSTSET (1u << 26)

#define USART1_IRQ 37u
#define BAUD 115200u
#define HSI_HZ 16000000u
#define PLL_HZ 168000000u
#define SYSTICK_SPAN 0x1000000u /* the whole 24 bits: one interrupt in 100 ms at 168 MHz */
#define WATCHDOG_SPANS 10u      /* about a second, far beyond the slowest pass of the main loop */
#define NOTE_MAGIC 0x4E525621u

static struct {
    uint32_t magic;
    uint32_t cause;
    uint32_t boots;
} note __attribute__((section(".noinit")));

/* Survives a reset, not a loss of power: the flash is not written. */
static struct {
    uint32_t size;
    uint8_t bytes[NRV_BOARD_STORE_MAX];
} stored __attribute__((section(".noinit")));

static nrv_ring_t received;
static volatile uint32_t overruns;
static volatile uint32_t spans;       /* wraps of SysTick */
static volatile uint32_t spans_alive; /* the same at the last kick */
static uint32_t clock_hz;
static uint8_t reset_cause;

/* 168 MHz from the internal oscillator: it needs no knowledge of the board's crystal, and its 1 % is enough for a UART. */
static uint32_t start_clock(void)
{
    if ((RCC_CR & RCC_CR_HSIRDY) == 0u) {
        return PLL_HZ; /* never so on silicon after reset: this is QEMU, whose clock is fixed */
    }
    FLASH_ACR = (7u << 8) | 5u; /* caches, prefetch, five wait states */
    RCC_PLLCFGR = 16u | (336u << 6) | (7u << 24);
    RCC_CR |= RCC_CR_PLLON;
    for (uint32_t i = 0; (RCC_CR & RCC_CR_PLLRDY) == 0u; i++) {
        if (i == 100000u) {
            return HSI_HZ;
        }
    }
    RCC_CFGR = 2u | (5u << 10) | (4u << 13); /* PLL, APB1 / 4, APB2 / 2 */
    while ((RCC_CFGR & (3u << 2)) != (2u << 2)) {
    }
    return PLL_HZ;
}

static void start_usart(void)
{
    RCC_AHB1ENR |= 1u;
    RCC_APB2ENR |= 1u << 4;
    GPIOA_MODER = (GPIOA_MODER & ~(15u << 18)) | (10u << 18); /* PA9 and PA10: alternate function */
    GPIOA_AFRH = (GPIOA_AFRH & ~(255u << 4)) | (0x77u << 4);
    uint32_t bus_hz = clock_hz == PLL_HZ ? PLL_HZ / 2u : clock_hz;
    USART1_BRR = (bus_hz + BAUD / 2u) / BAUD;
    USART1_CR1 = (1u << 13) | (1u << 5) | (1u << 3) | (1u << 2); /* on, receive interrupt, transmitter, receiver */
    NVIC_ISER1 = 1u << (USART1_IRQ - 32u);
}

static void note_reset_cause(void)
{
    uint32_t flags = RCC_CSR;
    RCC_CSR = flags | RCC_CSR_RMVF;
    bool kept = note.magic == NOTE_MAGIC;
    if (kept && note.cause != NRV_RESET_POWER_ON) {
        reset_cause = (uint8_t)note.cause;
    } else if ((flags & RCC_CSR_IWDGRSTF) != 0u) {
        reset_cause = NRV_RESET_WATCHDOG;
    } else if ((flags & RCC_CSR_SFTRSTF) != 0u) {
        reset_cause = NRV_RESET_SOFTWARE;
    } else if ((flags & RCC_CSR_PINRSTF) != 0u && (flags & RCC_CSR_PORRSTF) == 0u) {
        reset_cause = NRV_RESET_PIN;
    } else {
        reset_cause = NRV_RESET_POWER_ON;
    }
    note.boots = kept ? note.boots + 1u : 1u;
    note.cause = NRV_RESET_POWER_ON;
    note.magic = NOTE_MAGIC;
}

void nrv_board_init(void);
void nrv_board_fault(void);
void nrv_board_systick(void);
void nrv_board_usart1(void);

void nrv_board_init(void)
{
    note_reset_cause();
    clock_hz = start_clock();
    SYST_RVR = SYSTICK_SPAN - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7u; /* processor clock, interrupt, on */
    IWDG_KR = 0x5555u;
    IWDG_PR = 4u;     /* 32 kHz / 64 */
    IWDG_RLR = 1000u; /* 2 s: twice the software watchdog, which is to come first and leave its note */
    IWDG_KR = 0xCCCCu;
    start_usart();
}

void nrv_board_fault(void)
{
    nrv_board_restart(NRV_RESET_FAULT);
}

void nrv_board_systick(void)
{
    spans++;
    if (spans - spans_alive > WATCHDOG_SPANS) {
        nrv_board_restart(NRV_RESET_WATCHDOG);
    }
}

void nrv_board_usart1(void)
{
    uint32_t status = USART1_SR;
    if ((status & USART_SR_ORE) != 0u) {
        overruns++;
    }
    uint8_t byte = (uint8_t)USART1_DR; /* after SR: clears RXNE and ORE */
    if ((status & USART_SR_RXNE) != 0u && !nrv_ring_put(&received, byte)) {
        overruns++;
    }
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

void nrv_board_write(const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while ((USART1_SR & USART_SR_TXE) == 0u) {
        }
        USART1_DR = from[i];
    }
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

void nrv_board_kick(void)
{
    spans_alive = spans;
    IWDG_KR = 0xAAAAu;
}

uint64_t nrv_board_ticks(void)
{
    uint32_t high, low;
    do {
        high = spans;
        low = SYSTICK_SPAN - 1u - SYST_CVR;
    } while (high != spans || (SCB_ICSR & ICSR_PENDSTSET) != 0u);
    return (uint64_t)high * SYSTICK_SPAN + low;
}

uint32_t nrv_board_tick_hz(void)
{
    return clock_hz;
}

void nrv_board_restart(uint8_t cause)
{
    note.cause = cause;
    __asm__ volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05FA0004u;
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
