/* Vectors and start-up of the STM32F405: RM0090 table 61, ARMv7-M ARM B1.5. */
#include <stdint.h>

#include "board.h"

extern uint32_t nrv_stack_bottom[], nrv_stack_top[], nrv_handler_stack_top[];
extern uint32_t nrv_data_start[], nrv_data_end[], nrv_data_load[];
extern uint32_t nrv_bss_start[], nrv_bss_end[];

void nrv_start(void);
void nrv_board_init(void);
void nrv_board_fault(void);
void nrv_board_systick(void);
void nrv_board_usart1(void);

#define STACK_PAINT 0xC5C5C5C5u
#define VECTORS (16 + 82)

typedef void (*handler_t)(void);

/* An interrupt that nobody asked for is a fault: its entry must not be empty. */
#define FAULT_8 \
    nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault, \
        nrv_board_fault, nrv_board_fault

static const struct {
    uint32_t *stack;
    handler_t handlers[VECTORS - 1];
} vectors __attribute__((section(".vectors"), used)) = {
    nrv_handler_stack_top,
    {
        nrv_start, nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault, 0, 0, 0, 0,
        nrv_board_fault, nrv_board_fault, 0, nrv_board_fault, nrv_board_systick,
        FAULT_8, FAULT_8, FAULT_8, FAULT_8,                                                      /* 0 to 31 */
        nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault, nrv_board_fault,     /* 32 to 36 */
        nrv_board_usart1,                                                                        /* 37 */
        nrv_board_fault, nrv_board_fault,                                                        /* 38, 39 */
        FAULT_8, FAULT_8, FAULT_8, FAULT_8, FAULT_8, nrv_board_fault, nrv_board_fault,           /* 40 to 81 */
    },
};

uint32_t nrv_board_stack_size(void)
{
    return (uint32_t)(nrv_stack_top - nrv_stack_bottom) * (uint32_t)sizeof(uint32_t);
}

uint32_t nrv_board_stack_used(void)
{
    const uint32_t *p = nrv_stack_bottom;
    while (p < nrv_stack_top && *p == STACK_PAINT) {
        p++;
    }
    return (uint32_t)(nrv_stack_top - p) * (uint32_t)sizeof(uint32_t);
}

void nrv_start(void)
{
    for (uint32_t *p = nrv_stack_bottom; p < nrv_stack_top; p++) {
        *p = STACK_PAINT;
    }
    const uint32_t *from = nrv_data_load;
    for (uint32_t *to = nrv_data_start; to < nrv_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = nrv_bss_start; to < nrv_bss_end; to++) {
        *to = 0;
    }
    nrv_board_init();
    /* Thread mode goes on with the process stack; exceptions keep the one this function runs on. */
    __asm__ volatile(
        "msr psp, %0\n\t"
        "msr control, %1\n\t"
        "isb\n\t"
        "bl nrv_app_run" ::"r"(nrv_stack_top), "r"(2u)
        : "memory");
}
