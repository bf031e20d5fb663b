/* Random configurations of the chain: any numbers that the headers allow, proved or not. */
#ifndef FUZZ_SETUP_H
#define FUZZ_SETUP_H

#include "chain.h"

/* Makes a configuration, with arrays of exactly the sizes needed; freed by the other. */
nrv_path_config_t *setup_path(void);
void setup_free(nrv_path_config_t *config);

nrv_rule_t setup_rule(void);

/* A count that the configuration may meet: within the converter's range, at its limits, beyond. */
int32_t setup_count(const nrv_path_config_t *config);

#endif
