/* Coefficients of an autoregressive model, by the Yule-Walker equations. */
#ifndef NRV_FEATURES_AR_H
#define NRV_FEATURES_AR_H

#include "features_time.h"

#define NRV_AR_ORDER_MAX 8

/* Writes a[0..order-1] in Q20 of x[i] = a[0] x[i-1] + ... + a[order-1] x[i-order] + noise; 1 <= order <= 8.
 * They solve R a = r with r[k] = sum of x[i] x[i+k], where r[0] on R's diagonal is raised by 2^-20 of itself
 * (white noise 60 dB below the signal): that bounds R's condition, and so the error.
 *
 * The r[k] are exact. The recursion is Schur's in the form of Le Roux and Gueguen (1977), on 64-bit
 * fractions: none of its values exceeds r[0]. Its residual is below 2^-44 of r[0] (Cybenko 1980: the
 * arithmetic's error times at most 4^order), and no eigenvalue of R is below 2^-20 of r[0]: the results lie
 * within 1 LSB of the solution rounded. A silent window gives zeros. */
void nrv_autoregression(const nrv_series_t *series, unsigned order, int32_t *a);

#endif
