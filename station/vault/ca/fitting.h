/*
 * fitting: which issuing CA signs the certificates of a job, and whether it can.
 *
 * The order lists by hash the CAs that may sign for this station, and a job may name one of them; where
 * it does not, it is the newest: a rollover is another CA in the order, and the next certificate is of
 * it. What was made under the one before is delivered all the same, as long as the order lists both.
 */
#ifndef STATION_VAULT_CA_FITTING_H
#define STATION_VAULT_CA_FITTING_H

#include "station/order.h"
#include "station/vault/ca/issuers.h"

struct vault;

/* Whether the share lists this CA. */
bool issuer_is_listed(const struct order_share *share, const struct issuer *issuer);

/*
 * The CA for new certificates under a share; wanted is the name that the job says, or empty. Errors:
 * ERR_REFUSED when the order lists none that is active on this station, or wanted is none of them.
 */
MUST_USE int issuers_choose(const struct issuers *issuers, const struct order *order,
                            const struct order_share *share, const char *wanted,
                            const struct issuer **out, struct error *err);

/*
 * Whether v->issuer can sign certificates of v's profile and job, before any is made: its kind
 * (template.h), the name constraints and usages of its chain, and that a device has room for the
 * chain. Errors: ERR_REFUSED; ERR_INPUT for values that do not fit.
 */
MUST_USE int fitting_check(const struct vault *v, struct error *err);

/* Whether a certificate that is signed now outlives no CA above it, and none of these has expired: asked
 * whenever one is to be signed, for what was made before can still be delivered. Errors: ERR_REFUSED. */
MUST_USE int fitting_check_life(const struct vault *v, int64_t now, struct error *err);

/* Whether an available credential may still be given out: its CA is listed by the order in force, and
 * neither it nor a CA above it has expired. Errors: ERR_REFUSED. */
MUST_USE int fitting_check_stock(const struct vault *v, const struct buf *der, struct error *err);

/* The last moment at which v->issuer can sign certificates of v's profile, seconds since 1970 UTC;
 * PROFILE_END_OF_TIME for ever. */
int64_t fitting_last(const struct vault *v, int64_t now);

#endif
