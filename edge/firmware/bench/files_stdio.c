/* Files through the C library. */
#include <stdio.h>

#include "files.h"

static FILE *files[BENCH_FILES_MAX];
static int opened;

static int open_file(const char *name, const char *mode)
{
    if (opened == BENCH_FILES_MAX || !(files[opened] = fopen(name, mode)))
        return -1;
    return opened++;
}

int bench_open_to_read(const char *name)
{
    return open_file(name, "rb");
}

int bench_open_to_write(const char *name)
{
    return open_file(name, "wb");
}

int bench_read(int file, void *data, size_t size)
{
    return fread(data, 1, size, files[file]) == size;
}

int bench_write(int file, const void *data, size_t size)
{
    return fwrite(data, 1, size, files[file]) == size;
}
