/*
 * hosted_job: what a job may be whose certificates a hosted CA signs.
 *
 * The CA is sent requests (vault/hosted/making.h) and answers when it likes, so that every certificate is
 * there before a device is: serials are assigned or listed, and nothing is signed while a device waits.
 */
#ifndef STATION_VAULT_HOSTED_JOB_H
#define STATION_VAULT_HOSTED_JOB_H

#include "base/error.h"

struct vault;

/* Fine where v->issuer is the station's own. Errors: ERR_REFUSED for serials that are scanned or the
 * device's. */
MUST_USE int hosted_check_job(const struct vault *v, struct error *err);

/* Before the station signs a certificate: ERR_REFUSED where v->issuer is hosted, with what to do. */
MUST_USE int hosted_check_sign(const struct vault *v, struct error *err);

/* Before a request is made: ERR_REFUSED where v->issuer is the station's own. */
MUST_USE int hosted_check_ask(const struct vault *v, struct error *err);

#endif
