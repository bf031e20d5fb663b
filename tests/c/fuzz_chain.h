#ifndef FUZZ_CHAIN_H
#define FUZZ_CHAIN_H

/* One random configuration, rule and stream, computed in several ways that must agree. */
void fuzz_chain(void);

#endif
