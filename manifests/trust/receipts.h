/*
 * receipts: what the state tells a station: how far its log was accepted, and which closing
 * statements fit.
 */
#ifndef MANIFESTS_TRUST_RECEIPTS_H
#define MANIFESTS_TRUST_RECEIPTS_H

#include "manifests/closing.h"
#include "manifests/receipt.h"
#include "manifests/trust/orders.h"
#include "manifests/trust/trust.h"

/* Fills a receipt for a log of the state, without closings. Errors: ERR_UNKNOWN. */
MUST_USE int trust_receipt(struct trust *t, const char *origin, struct receipt *r,
                           struct error *err);

/*
 * Checks a verified closing statement against what was accepted: the manifest that it names must be
 * in the state and have the same totals, the newest manifest of the log must count as many
 * certificates of the order (after a closing none is made), and with orders (not NULL) its versions
 * must be among them and its totals within the newest. signer: hash of the key that signed it (struct
 * cms_signer); one that was rotated away before that manifest counts no more, and that nothing was
 * made says only the key in force now. Of a log that is not in the state nothing can be checked, and
 * only a statement that names no manifest passes. Errors: ERR_GAP (accept the manifest first),
 * ERR_INTEGRITY (they differ), ERR_IMPOSTOR (the key), ERR_REFUSED (the orders).
 */
MUST_USE int trust_closing(struct trust *t, const struct closing *c,
                           const uint8_t signer[SHA256_SIZE], const struct trust_orders *orders,
                           struct error *err);

#endif
