/*
 * auditing: the keys of the station's CAs on the token, compared with what the ledger tells of them.
 *
 * The audit of the token (hsm/audit.h) knows the policy; which CAs a station has, or gave up, it does
 * not know.
 */
#ifndef STATION_VAULT_CA_AUDITING_H
#define STATION_VAULT_CA_AUDITING_H

#include "hsm/audit.h"
#include "station/vault/ca/issuers.h"

/* Whether a key of this label need not be on the token: the ledger tells that it was destroyed, or
 * that the station has no root of its own. */
bool auditing_is_gone(const struct issuers *issuers, const char *label);

/*
 * Tells which key of a CA is missing, and which is there and should not be; the first one of a station
 * is the audit's of the token. text is valid during the call. Errors: those of the HSM.
 */
MUST_USE int auditing_run(const struct issuers *issuers, struct hsm *hsm,
                          void (*finding)(void *context, enum hsm_finding_kind kind,
                                          const char *key, const char *text),
                          void *context, struct error *err);

#endif
