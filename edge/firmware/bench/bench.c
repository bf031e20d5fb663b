/*
 * Runs a generated model in an emulator: inputs from a file of the host, outputs to another, SysTick ticks and stack
 * of each run to a third, all by Arm semihosting. Built with -DBENCH_MODEL=name -DBENCH_PREFIX=NAME -DBENCH_HEADER="name.h".
 */
#include <stdint.h>

#include BENCH_HEADER

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)
/* It counts down through 24 bits: runs of up to 2^24 ticks can be told. */
#define SYSTICK_MASK 0xFFFFFFu

/* Semihosting operations and modes: Arm IHI "Semihosting for AArch32 and AArch64". */
enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5, APPLICATION_EXIT = 0x20026 };

static const uint32_t PAINT = 0xA5A5A5A5u;

extern uint32_t stack_limit;

void bench_exit(int status);

static JOIN(BENCH_MODEL, _t) model;
static int8_t input[JOIN(BENCH_PREFIX, _INPUT_SIZE)];
static int8_t output[JOIN(BENCH_PREFIX, _OUTPUT_SIZE)];

static int32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

void bench_exit(int status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

static int32_t open_file(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return semihost(SYS_OPEN, block);
}

/* Both return the number of bytes not transferred. */
static int32_t transfer(uint32_t operation, int32_t file, const void *data, uint32_t size)
{
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, size};
    return semihost(operation, block);
}

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
    const int32_t from = open_file("inputs.bin", 10, MODE_READ_BINARY);
    const int32_t to = open_file("outputs.bin", 11, MODE_WRITE_BINARY);
    const int32_t figures = open_file("figures.bin", 11, MODE_WRITE_BINARY);
    if (from < 0 || to < 0 || figures < 0) {
        return 3;
    }
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* processor clock, no interrupt, on */
    const uint32_t start = SYSTICK_VALUE;
    const uint32_t overhead = (start - SYSTICK_VALUE) & SYSTICK_MASK;
    while (transfer(SYS_READ, from, input, sizeof input) == 0) {
        JOIN(BENCH_MODEL, _reset)(&model); /* windows do not follow one another */
        paint_stack();
        const uint32_t before = SYSTICK_VALUE;
        JOIN(BENCH_MODEL, _run)(&model, input, output);
        const uint32_t taken = ((before - SYSTICK_VALUE) & SYSTICK_MASK) - overhead;
        const uint32_t line[2] = {taken, stack_used()};
        transfer(SYS_WRITE, to, output, sizeof output);
        transfer(SYS_WRITE, figures, line, sizeof line);
    }
    return 0;
}
