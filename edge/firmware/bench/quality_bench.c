/* Counts what gates of quality cost in an emulator.
 *
 *     gates.bin    read: nrv_gates_t, one after the other
 *     results.bin  written: uint32 SysTick ticks of SAMPLES samples of CHANNELS channels, for each
 */
#include <stdint.h>

#include "files.h"
#include "quality.h"

enum { SAMPLES = 4000, CHANNELS = 8 };

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)
#define SYSTICK_MASK 0xFFFFFFu /* it counts down through 24 bits */

static nrv_channel_quality_t channel[CHANNELS];
static int32_t counts[64][CHANNELS];

int main(void)
{
    const int jobs = bench_open_to_read("gates.bin");
    const int results = bench_open_to_write("results.bin");
    nrv_gates_t gates;
    nrv_quality_t quality;
    uint32_t random = 1;
    if (jobs < 0 || results < 0)
        return 3;
    for (int n = 0; n < 64; n++)
        for (int c = 0; c < CHANNELS; c++) {
            random = random * UINT32_C(1664525) + UINT32_C(1013904223);
            counts[n][c] = (int32_t)(random >> 20) - 2048;
        }
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* processor clock, no interrupt, on */
    while (bench_read(jobs, &gates, sizeof gates)) {
        nrv_quality_init(&quality, &gates, CHANNELS, 16, 200, channel);
        const uint32_t before = SYSTICK_VALUE;
        for (unsigned n = 0; n < SAMPLES; n++) {
            nrv_quality_push(&quality, counts[n % 64], 0);
            nrv_quality_push_filtered(&quality, counts[n % 64], CHANNELS);
        }
        const uint32_t ticks = (before - SYSTICK_VALUE) & SYSTICK_MASK;
        if (!bench_write(results, &ticks, sizeof ticks))
            return 3;
    }
    return 0;
}
