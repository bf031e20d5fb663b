/* Vectors and start-up of the Cortex-M boards: ARMv6-M, ARMv7-M and ARMv8-M ARM, B1.5. */
#include "board.h"
#include "cortexm.h"

extern uint32_t nrv_stack_bottom[], nrv_stack_top[], nrv_handler_stack_top[];
extern uint32_t nrv_data_start[], nrv_data_end[], nrv_data_load[];
extern uint32_t nrv_bss_start[], nrv_bss_end[];

void nrv_start(void);

#define STACK_PAINT 0xC5C5C5C5u
#define VECTORS (16 + 64)

/* Coprocessor access control: 10 and 11 are floating point and Helium, off after reset. */
#define CPACR NRV_REG(0xE000ED88u)
#define CPACR_FULL_ACCESS_10_11 (0xFu << 20)

#define MPU_CTRL NRV_REG(0xE000ED94u)
#define MPU_RNR NRV_REG(0xE000ED98u)
#define MPU_RBAR NRV_REG(0xE000ED9Cu)
#define MPU_RASR NRV_REG(0xE000EDA0u)
#define MPU_ON_ELSE_AS_WITHOUT 5u
#define GUARD_BYTES 0x10000u
#define GUARD_64K_NO_ACCESS ((1u << 28) | (15u << 1) | 1u)

typedef void (*handler_t)(void);

static void on_exception(void)
{
    uint32_t number;
    __asm__ volatile("mrs %0, ipsr" : "=r"(number));
    nrv_board_exception(number);
}

/* All exceptions go one way, those that nobody asked for too: no entry is empty. */
#define FOUR on_exception, on_exception, on_exception, on_exception
#define SIXTEEN FOUR, FOUR, FOUR, FOUR

static const struct {
    uint32_t *stack;
    handler_t handlers[VECTORS - 1];
} vectors __attribute__((section(".vectors"), used)) = {
    nrv_handler_stack_top,
    {
        nrv_start, on_exception, on_exception, FOUR, FOUR, FOUR, /* 1 to 15 */
        SIXTEEN, SIXTEEN, SIXTEEN, SIXTEEN,                      /* interrupts 0 to 63 */
    },
};

/* Where nothing answers below the stack, an overflow faults by itself. Buses of MPS2 images answer: the protection unit
   of ARMv7-M says no. Elsewhere it says so earlier than the bus. */
static void guard_stack(void)
{
#if defined(__ARM_ARCH_7EM__)
    MPU_RNR = 0;
    MPU_RBAR = (uint32_t)nrv_stack_bottom - GUARD_BYTES;
    MPU_RASR = GUARD_64K_NO_ACCESS;
    MPU_CTRL = MPU_ON_ELSE_AS_WITHOUT;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
}

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
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= CPACR_FULL_ACCESS_10_11;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    guard_stack();
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
