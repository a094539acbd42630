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
 *   any, key mode derived  as above, else naming_next           there is none
 *
 * Where devices make their own keys nothing is made ahead: the serial is promised with KEYGEN
 * (vault/keygen.h), judged then and again when the certificate is signed.
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

#include "station/vault/certifier.h"
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

/*
 * The serial that a new device in this slot says itself, or has on its label; empty: the job's next.
 * Errors: ERR_REFUSED without the label that the job wants, for one whose unit passed, or for one that is
 * not the station's.
 */
MUST_USE int naming_find(const struct vault *v, const struct session *s,
                         char serial[SERIAL_TEXT_MAX + 1], struct error *err);

/*
 * Where nothing is made ahead and the device has no serial of its own: the next of the job's pattern or
 * list that is in the inventory of no order. Errors: ERR_REFUSED when none is left.
 */
MUST_USE int naming_next(struct vault *v, char serial[SERIAL_TEXT_MAX + 1], struct error *err);

/* naming_judge for r->serial, which naming_find found: fills again and replaces. Errors: as
 * naming_judge; ERR_REFUSED for a label where the job gives out serials and nothing is replaced. */
MUST_USE int naming_judge_label(const struct vault *v, struct certify_request *r,
                                struct error *err);

/* Whether no other label than that of this serial was scanned for the slot, or its unit has passed. */
bool naming_fits_label(const struct vault *v, const struct session *s, const char *serial);

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
