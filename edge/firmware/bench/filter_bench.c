/* Runs filter cascades in an emulator and counts what they cost.
 *
 *     jobs.bin       read: job_t, the sections, the state, int32 signal[calls][samples][channels] for each job
 *     results.bin    written: the filtered signal, the state, uint32 SysTick ticks of all calls for each job
 *
 * The core's two forms give the same integers. With -DBENCH_PEER, CMSIS-DSP's are there for their cost: they get the
 * core's coefficients, for which their scaling is another, and the channels one by one, since they know of one only.
 */
#include <stdint.h>

#include "biquad.h"
#include "files.h"

#ifdef BENCH_PEER
#include "dsp/filtering_functions.h"
#endif

enum { TARGET_FORM = 0, PORTABLE_FORM = 1, PEER_Q31 = 2, PEER_32X64 = 3 };
enum { SECTIONS_MAX = 16, CHANNELS_MAX = 16, SIGNAL_MAX = 1 << 15 };

typedef struct {
    uint32_t form, sections, channels, samples, calls;
} job_t;

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)
#define SYSTICK_MASK 0xFFFFFFu /* it counts down through 24 bits */

/* biquad.c built once more, with NRV_PORTABLE, under this name. */
void portable_cascade_run(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                          int32_t *signal, size_t samples);

static nrv_section_t sections[SECTIONS_MAX];
static int32_t state[NRV_CASCADE_STATE_LEN(SECTIONS_MAX, CHANNELS_MAX)];
static int32_t signal[SIGNAL_MAX];

/* Ticks of a loop over all calls of a job; the loop's own are measured alike, with nothing in it. */
#define TICKS(ticks, job, call)                                                                                       \
    do {                                                                                                              \
        const size_t step = (size_t)(job)->samples * (job)->channels;                                                 \
        int32_t *block = signal;                                                                                      \
        const uint32_t before = SYSTICK_VALUE;                                                                        \
        for (uint32_t left = (job)->calls; left; left--, block += step) {                                             \
            call;                                                                                                     \
            __asm__ volatile("" ::"r"(block) : "memory");                                                             \
        }                                                                                                             \
        (ticks) = (before - SYSTICK_VALUE) & SYSTICK_MASK;                                                            \
    } while (0)

#ifdef BENCH_PEER
static uint32_t peer_ticks(const job_t *job)
{
    static q31_t coefficients[5 * SECTIONS_MAX];
    static q63_t states[CHANNELS_MAX][4 * SECTIONS_MAX];
    static arm_biquad_casd_df1_inst_q31 fast[CHANNELS_MAX];
    static arm_biquad_cas_df1_32x64_ins_q31 exact[CHANNELS_MAX];
    uint32_t ticks;
    for (uint32_t s = 0; s < job->sections; s++)
        for (uint32_t k = 0; k < 5; k++)
            coefficients[5 * s + k] = k < 3 ? sections[s].b[k] : sections[s].c[k - 3];
    for (uint32_t c = 0; c < job->channels; c++) {
        arm_biquad_cascade_df1_init_q31(&fast[c], (uint8_t)job->sections, coefficients, (q31_t *)states[c], 1);
        arm_biquad_cas_df1_32x64_init_q31(&exact[c], (uint8_t)job->sections, coefficients, states[c], 1);
    }
    if (job->form == PEER_Q31)
        TICKS(ticks, job, for (uint32_t c = 0; c < job->channels; c++)
                              arm_biquad_cascade_df1_q31(&fast[c], block + c, block + c, job->samples));
    else
        TICKS(ticks, job, for (uint32_t c = 0; c < job->channels; c++)
                              arm_biquad_cas_df1_32x64_q31(&exact[c], block + c, block + c, job->samples));
    return ticks;
}
#endif

static uint32_t run(const job_t *job)
{
    uint32_t ticks, loop;
    TICKS(loop, job, (void)0);
    switch (job->form) {
    case TARGET_FORM:
        TICKS(ticks, job, nrv_cascade_run(sections, job->sections, job->channels, state, block, job->samples));
        break;
    case PORTABLE_FORM:
        TICKS(ticks, job, portable_cascade_run(sections, job->sections, job->channels, state, block, job->samples));
        break;
    default:
#ifdef BENCH_PEER
        ticks = peer_ticks(job);
#else
        ticks = loop;
#endif
        break;
    }
    return ticks - loop;
}

int main(void)
{
    const int jobs = bench_open_to_read("jobs.bin");
    const int results = bench_open_to_write("results.bin");
    job_t job;
    if (jobs < 0 || results < 0)
        return 3;
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* processor clock, no interrupt, on */
    while (bench_read(jobs, &job, sizeof job)) {
        const size_t state_size = NRV_CASCADE_STATE_LEN(job.sections, job.channels) * sizeof *state;
        const size_t signal_size = (size_t)job.calls * job.samples * job.channels * sizeof *signal;
        if (job.sections > SECTIONS_MAX || job.channels > CHANNELS_MAX || signal_size > sizeof signal)
            return 4;
        if (!bench_read(jobs, sections, job.sections * sizeof *sections) || !bench_read(jobs, state, state_size) ||
            !bench_read(jobs, signal, signal_size))
            return 3;
        const uint32_t ticks = run(&job);
        if (!bench_write(results, signal, signal_size) || !bench_write(results, state, state_size) ||
            !bench_write(results, &ticks, sizeof ticks))
            return 3;
    }
    return 0;
}
