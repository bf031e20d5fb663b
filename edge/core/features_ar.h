/* Coefficients of an autoregressive model, by the Yule-Walker equations. */
#ifndef NRV_FEATURES_AR_H
#define NRV_FEATURES_AR_H

#include "features_time.h"

#define NRV_AR_ORDER_MAX 8

/* Writes a[0..order-1] in Q20 of x[i] = a[0] x[i-1] + ... + a[order-1] x[i-order] + noise; 1 <= order <= 8.
 * They solve R a = r with r[k] = sum of x[i] x[i+k], where r[0] on R's diagonal is raised by 2^-20 of itself
 * (white noise 60 dB below the signal): no eigenvalue of R is smaller, which bounds the error.
 *
 * The r[k] are exact. The recursion is Schur's as Le Roux and Gueguen put it ("A fixed point computation of
 * partial correlation coefficients", IEEE Trans. ASSP 25(3), 1977), on 64-bit fractions: none of its values
 * exceeds r[0]. A product is off by at most 3 * 2^-61 of r[0]. As in Cybenko's proof for Levinson's recursion
 * (SIAM J. Sci. Stat. Comput. 1(3), 1980) each of the stages before and after can at most double what is off,
 * so the residual R a - r is below 8 * 3 * 2^8 * 2^-61 < 2^-48 of r[0], and a is off by less than
 * sqrt(8) * 2^-48 / 2^-20 < 2^-26: 0.52 LSB with the rounding. A silent window gives zeros. */
void nrv_autoregression(const nrv_series_t *series, unsigned order, int32_t *a);

#endif
