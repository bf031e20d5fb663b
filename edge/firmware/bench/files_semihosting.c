/* Files through the debugger or emulator: Arm IHI "Semihosting for AArch32 and AArch64", on M-profile cores. */
#include "files.h"

enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5, APPLICATION_EXIT = 0x20026 };

void bench_exit(int status);

static int32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

/* Called by startup.c with what main returned. */
void bench_exit(int status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

static int open_file(const char *name, uint32_t mode)
{
    uint32_t length = 0;
    while (name[length])
        length++;
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, length};
    return semihost(SYS_OPEN, block);
}

int bench_open_to_read(const char *name)
{
    return open_file(name, MODE_READ_BINARY);
}

int bench_open_to_write(const char *name)
{
    return open_file(name, MODE_WRITE_BINARY);
}

/* Read and write answer with the number of bytes not transferred. */
static int transfer(uint32_t operation, int file, const void *data, size_t size)
{
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, size};
    return semihost(operation, block) == 0;
}

int bench_read(int file, void *data, size_t size)
{
    return transfer(SYS_READ, file, data, size);
}

int bench_write(int file, const void *data, size_t size)
{
    return transfer(SYS_WRITE, file, data, size);
}
