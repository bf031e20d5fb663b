/*
 * Runs a generated model in an emulator: inputs from a file of the host, outputs to another, SysTick ticks and stack
 * of each run to a third (files.h). Built with -DBENCH_MODEL=name -DBENCH_PREFIX=NAME -DBENCH_HEADER="name.h".
 */
#include <stdint.h>

#include "files.h"

#include BENCH_HEADER

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)
/* It counts down through 24 bits: runs of up to 2^24 ticks can be told. */
#define SYSTICK_MASK 0xFFFFFFu

static const uint32_t PAINT = 0xA5A5A5A5u;

extern uint32_t stack_limit;

static JOIN(BENCH_MODEL, _t) model;
static int8_t input[JOIN(BENCH_PREFIX, _INPUT_SIZE)];
static int8_t output[JOIN(BENCH_PREFIX, _OUTPUT_SIZE)];

/* The caller's stack pointer: all below is free. Both functions below are inlined, so that they need no frame. */
#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t *stack_pointer(void)
{
    uint32_t *sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

INLINE void paint_stack(void)
{
    for (volatile uint32_t *word = &stack_limit; word < stack_pointer(); word++) {
        *word = PAINT;
    }
}

INLINE uint32_t stack_used(void)
{
    const volatile uint32_t *word = &stack_limit;
    while (word < stack_pointer() && *word == PAINT) {
        word++;
    }
    return (uint32_t)((const char *)stack_pointer() - (const volatile char *)word);
}

int main(void)
{
    const int from = bench_open_to_read("inputs.bin");
    const int to = bench_open_to_write("outputs.bin");
    const int figures = bench_open_to_write("figures.bin");
    if (from < 0 || to < 0 || figures < 0) {
        return 3;
    }
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* processor clock, no interrupt, on */
    const uint32_t start = SYSTICK_VALUE;
    const uint32_t overhead = (start - SYSTICK_VALUE) & SYSTICK_MASK;
    while (bench_read(from, input, sizeof input)) {
        JOIN(BENCH_MODEL, _reset)(&model); /* windows do not follow one another */
        paint_stack();
        const uint32_t before = SYSTICK_VALUE;
        JOIN(BENCH_MODEL, _run)(&model, input, output);
        const uint32_t taken = ((before - SYSTICK_VALUE) & SYSTICK_MASK) - overhead;
        const uint32_t line[2] = {taken, stack_used()};
        bench_write(to, output, sizeof output);
        bench_write(figures, line, sizeof line);
    }
    return 0;
}
