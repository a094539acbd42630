/*
 * prove: decides whether a device holds its key (P4).
 */
#ifndef STATION_VAULT_PROVE_H
#define STATION_VAULT_PROVE_H

#include "station/vault/session.h"

/*
 * Uses the session's nonce up, whatever comes. Verifies the signature with the key that was issued,
 * over bytes built here, and that the certificate was read back whole. A device that the order
 * wants locked and that is not gets WIRE_LOCK_FIRST; otherwise WIRE_PASS, with everything recorded
 * and committed. Errors: ERR_PROOF; ERR_DUPLICATE when the claim was burned meanwhile; those of the
 * store and the HSM.
 */
MUST_USE int prove_device(struct vault *v, struct session *s, const struct wire_proof *proof,
                          enum wire_verdict *verdict, struct error *err);

#endif
