/* Vector table and start-up for any M-profile board: memory as the linker script lays it out. */
#include <stdint.h>

/* Coprocessor access control: 10 and 11 are floating point and Helium, off after reset. */
#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define CPACR_FULL_ACCESS_10_11 (0xFu << 20)

extern uint32_t data_start, data_end, data_load, bss_start, bss_end, stack_top;

int main(void);
void reset_handler(void);
void fault_handler(void);
void bench_exit(int status);

void reset_handler(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    CPACR |= CPACR_FULL_ACCESS_10_11;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0;
    }
    bench_exit(main());
}

void fault_handler(void)
{
    bench_exit(2);
}

typedef union {
    void (*handler)(void);
    uint32_t *stack;
} vector_t;

/* Stack pointer, reset, NMI, the faults, five reserved, supervisor call, monitor, reserved, PendSV, SysTick. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    {.stack = &stack_top},          {.handler = reset_handler}, {.handler = fault_handler}, {.handler = fault_handler},
    {.handler = fault_handler},     {.handler = fault_handler}, {.handler = fault_handler}, {0},
    {0},                            {0},                        {0},                        {.handler = fault_handler},
    {.handler = fault_handler},     {0},                        {.handler = fault_handler}, {.handler = fault_handler},
};
