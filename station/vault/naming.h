/*
 * naming: which serial a device gets that has none yet, and whether it may have it. The rule of P3
 * for serials in one place.
 *
 *   serials of the job     the serial                           the certificate
 *   ---------------------- ------------------------------------ -----------------------
 *   assigned, listed       that of the next credential          was made ahead
 *   scanned                of the label scanned for its slot    is signed now
 *   device                 prefix and chip id                   is signed now
 *   any, label scanned     of the label: a replacement          is signed now
 *
 *   what the serial has, from the newest credential on          then
 *   ----------------------------------------------------------- ----------------------------------
 *   nothing                                                     it may have it
 *   one that is available, claimed or proven                    refuse as duplicate
 *   one that was scrapped or burned                             go by the one before it
 *   one that was revoked, and a supervisor allowed a            it replaces that one
 *     replacement (vault/rework.h)
 *   one that was revoked, and nobody did                        refuse
 *   one of a serial that differs in nothing but case            refuse as duplicate
 *
 * The ledger must tell the same of each credential that came to an end.
 */
#ifndef STATION_VAULT_NAMING_H
#define STATION_VAULT_NAMING_H

#include "station/vault/session.h"

/* How a new device came by its credential. */
struct naming {
    bool issued; /* its certificate was signed in this transaction */
    bool spare;  /* over a key that was made ahead */
};

/*
 * Inside the transaction of a claim: fills s->credential with one that is available. Errors:
 * ERR_EXHAUSTED, ERR_REFUSED, ERR_DUPLICATE; those of certifier_issue.
 */
MUST_USE int naming_take(struct vault *v, struct session *s, struct naming *how, struct error *err);

/* Whether a label that was scanned for the slot is that of the device's credential. Errors:
 * ERR_REFUSED. */
MUST_USE int naming_check_label(const struct vault *v, const struct session *s, struct error *err);

/*
 * The second table. *again: the serial had credentials, which all came to an end; *replaces is the
 * id of the one that is replaced, or 0. Errors: ERR_REFUSED, ERR_DUPLICATE, ERR_INTEGRITY.
 */
MUST_USE int naming_judge(const struct vault *v, const char *serial, bool *again, int64_t *replaces,
                          struct error *err);

#endif
