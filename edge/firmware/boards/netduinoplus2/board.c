/* Drivers of the Netduino Plus 2 (STM32F405): clock, SysTick, USART1, watchdogs. Registers after RM0090 (STM32F405
   reference manual) and the ARMv7-M ARM.

   Tried under QEMU's netduinoplus2 machine, which models neither RCC nor IWDG: writes to them are ignored there and
   reads give 0. Therefore the watchdog is double: the hardware IWDG, and one in the SysTick interrupt, which works in
   both and can leave a note of why it fired. The clock set-up and the IWDG have not run on silicon yet. */
#include "board.h"
#include "cortexm.h"
#include "messages.h"
#include "systick.h"

#define RCC_CR NRV_REG(0x40023800u)
#define RCC_PLLCFGR NRV_REG(0x40023804u)
#define RCC_CFGR NRV_REG(0x40023808u)
#define RCC_AHB1ENR NRV_REG(0x40023830u)
#define RCC_APB2ENR NRV_REG(0x40023844u)
#define RCC_CSR NRV_REG(0x40023874u)
#define FLASH_ACR NRV_REG(0x40023C00u)
#define GPIOA_MODER NRV_REG(0x40020000u)
#define GPIOA_AFRH NRV_REG(0x40020024u)
#define USART1_SR NRV_REG(0x40011000u)
#define USART1_DR NRV_REG(0x40011004u)
#define USART1_BRR NRV_REG(0x40011008u)
#define USART1_CR1 NRV_REG(0x4001100Cu)
#define IWDG_KR NRV_REG(0x40003000u)
#define IWDG_PR NRV_REG(0x40003004u)
#define IWDG_RLR NRV_REG(0x40003008u)

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

#define USART1_INTERRUPT 37u
#define BAUD 115200u
#define HSI_HZ 16000000u
#define PLL_HZ 168000000u

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

static void start_usart(uint32_t clock_hz)
{
    RCC_AHB1ENR |= 1u;
    RCC_APB2ENR |= 1u << 4;
    GPIOA_MODER = (GPIOA_MODER & ~(15u << 18)) | (10u << 18); /* PA9 and PA10: alternate function */
    GPIOA_AFRH = (GPIOA_AFRH & ~(255u << 4)) | (0x77u << 4);
    const uint32_t bus_hz = clock_hz == PLL_HZ ? PLL_HZ / 2u : clock_hz;
    USART1_BRR = (bus_hz + BAUD / 2u) / BAUD;
    USART1_CR1 = (1u << 13) | (1u << 5) | (1u << 3) | (1u << 2); /* on, receive interrupt, transmitter, receiver */
    nrv_machine_enable(USART1_INTERRUPT);
}

static uint8_t cause_of_chip(void)
{
    const uint32_t flags = RCC_CSR;
    RCC_CSR = flags | RCC_CSR_RMVF;
    if ((flags & RCC_CSR_IWDGRSTF) != 0u) {
        return NRV_RESET_WATCHDOG;
    }
    if ((flags & RCC_CSR_SFTRSTF) != 0u) {
        return NRV_RESET_SOFTWARE;
    }
    return (flags & RCC_CSR_PINRSTF) != 0u && (flags & RCC_CSR_PORRSTF) == 0u ? NRV_RESET_PIN
                                                                              : NRV_RESET_POWER_ON;
}

void nrv_board_init(void)
{
    nrv_machine_start(cause_of_chip());
    const uint32_t clock_hz = start_clock();
    nrv_systick_start(clock_hz);
    IWDG_KR = 0x5555u;
    IWDG_PR = 4u;     /* 32 kHz / 64 */
    IWDG_RLR = 1000u; /* 2 s: twice the software watchdog, which is to come first and leave its note */
    IWDG_KR = 0xCCCCu;
    start_usart(clock_hz);
}

static void receive(void)
{
    const uint32_t status = USART1_SR;
    const uint8_t byte = (uint8_t)USART1_DR; /* after SR: clears RXNE and ORE */
    if ((status & USART_SR_ORE) != 0u) {
        nrv_machine_overrun();
    }
    if ((status & USART_SR_RXNE) != 0u) {
        nrv_machine_received(byte);
    }
}

void nrv_board_exception(uint32_t number)
{
    if (number == NRV_INTERRUPT(USART1_INTERRUPT)) {
        receive();
    } else if (number == NRV_SYSTICK) {
        nrv_systick_wrapped();
        nrv_watchdog_span();
    } else {
        nrv_board_restart(NRV_RESET_FAULT);
    }
}

void nrv_board_write(const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while ((USART1_SR & USART_SR_TXE) == 0u) {
        }
        USART1_DR = from[i];
    }
}

void nrv_board_kick(void)
{
    nrv_watchdog_kick();
    IWDG_KR = 0xAAAAu;
}
