/* Random configurations of the chain: any numbers that the headers allow, proved or not. */
#ifndef FUZZ_SETUP_H
#define FUZZ_SETUP_H

#include "chain.h"

/* Makes a configuration, with arrays of exactly the sizes needed; freed by the other. */
nrv_path_config_t *setup_path(void);
void setup_free(nrv_path_config_t *config);

nrv_rule_t setup_rule(void);

/* Fills counts[samples][channels]: within the converter's range, at its limits, beyond; or nearly constant; or a
 * tone of the mains. */
void setup_counts(const nrv_path_config_t *config, size_t samples, int32_t *counts);

#endif
