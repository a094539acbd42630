/*
 * recover: what a recovery ticket allows, and that it allows it once.
 *
 * A ticket is used on the token before anything is done by it. When the program is killed between
 * the two, the clock needs another ticket; a restore goes on with the same one (vault/restore.h).
 */
#ifndef STATION_VAULT_RECOVER_H
#define STATION_VAULT_RECOVER_H

#include "station/vault/ticket.h"
#include "station/vault/vault.h"

/*
 * Reads the ticket at path, which must be signed by a signer whom store's ledger pins, be for this
 * station, for now, and for action. Errors: ERR_REFUSED, those of ticket_read.
 */
MUST_USE int recover_ticket(const struct config *config, struct store *store, struct hsm *hsm,
                            const char *path, enum ticket_action action, struct ticket *ticket,
                            struct error *err);

/* ERR_REFUSED when the token remembers it. */
MUST_USE int recover_check_unused(struct hsm *hsm, const struct ticket *ticket, struct error *err);

/* Lets the token remember it, on disk when this returns. Errors: as recover_check_unused. */
MUST_USE int recover_use(const struct config *config, struct hsm *hsm, const struct ticket *ticket,
                         struct error *err);

/*
 * Lifts the stop of a wrong clock (vault/clock_stop.h). The store is attached. Errors: ERR_REFUSED
 * when the clock is not stopped or the ticket was used; ERR_CLOCK while the clock is before the
 * ledger's last entry or before this program: a ticket does not make it right.
 */
MUST_USE int recover_clock(const struct config *config, struct store *store, struct hsm *hsm,
                           const char *path, struct error *err);

#endif
