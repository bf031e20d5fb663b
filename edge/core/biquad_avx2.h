/* The cascade of biquad.h by AVX2: what a desk has, to filter whole recordings. */
#ifndef NRV_BIQUAD_AVX2_H
#define NRV_BIQUAD_AVX2_H

#include "biquad.h"

#if defined(__x86_64__) && defined(__GNUC__)

/* As nrv_cascade_run, samples and sections >= 1, for the first channels only: returns how many, 0 where the
 * processor has no AVX2. */
size_t nrv_cascade_run_avx2(const nrv_section_t *sections, size_t n_sections, size_t channels, int32_t *state,
                            int32_t *signal, size_t samples);

#else

static inline size_t nrv_cascade_run_avx2(const nrv_section_t *sections, size_t n_sections, size_t channels,
                                          int32_t *state, int32_t *signal, size_t samples)
{
    (void)sections, (void)n_sections, (void)channels, (void)state, (void)signal, (void)samples;
    return 0;
}

#endif

#endif
