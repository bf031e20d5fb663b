/* Counts what a sample costs in an emulator that completes a window, and one that does not.
 *
 *     counts.bin   read: int32 counts[channels] of each sample
 *     results.bin  written: uint32 SysTick ticks of each push, with the highest bit set where it completed a window
 */
#include "config.h"
#include "files.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)
#define SYSTICK_MASK 0xFFFFFFu /* it counts down through 24 bits */

static nrv_path_t path;
static int32_t state[NRV_PATH_WORDS];
static int8_t window[NRV_MODEL_INPUT];

int main(void)
{
    int32_t counts[NRV_CHANNELS];
    const int samples = bench_open_to_read("counts.bin");
    const int results = bench_open_to_write("results.bin");
    if (samples < 0 || results < 0)
        return 3;
    nrv_path_init(&path, &nrv_path_config, state, window);
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* processor clock, no interrupt, on */
    while (bench_read(samples, counts, sizeof counts)) {
        const uint32_t before = SYSTICK_VALUE;
        const unsigned brought = nrv_path_push(&path, counts);
        uint32_t ticks = (before - SYSTICK_VALUE) & SYSTICK_MASK;
        if (brought & NRV_PATH_WINDOW)
            ticks |= UINT32_C(0x80000000);
        if (!bench_write(results, &ticks, sizeof ticks))
            return 3;
    }
    return 0;
}
