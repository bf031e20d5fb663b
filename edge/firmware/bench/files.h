/* Files of the host, for programs that run under an emulator or natively: files_semihosting.c on bare metal,
 * files_stdio.c where there is an operating system. */
#ifndef BENCH_FILES_H
#define BENCH_FILES_H

#include <stddef.h>
#include <stdint.h>

/* Up to so many files at a time. */
#define BENCH_FILES_MAX 8

/* Opens a file in the working folder. Returns a handle, negative if it cannot be opened. */
int bench_open_to_read(const char *name);
int bench_open_to_write(const char *name);

/* Transfer exactly `size` bytes. Return 1, or 0 at the end of the file or on failure. */
int bench_read(int file, void *data, size_t size);
int bench_write(int file, const void *data, size_t size);

#endif
