/*
 * recover: what a recovery ticket allows, and that it allows it once.
 *
 * A ticket is used on the token before anything is done by it. When the program is killed between
 * the two, the clock and the counter need another ticket. A restore may begin again with the same one as long as the
 * token remembers the same ledger entry as when the ticket was used: nothing was done by it then.
 */
#ifndef STATION_VAULT_RECOVER_H
#define STATION_VAULT_RECOVER_H

#include "hsm/anchor.h"
#include "station/vault/ticket.h"
#include "station/vault/vault.h"

/*
 * Reads the ticket at path, which must be signed by a signer whom store's ledger pins, be for this
 * station, for now, and for action. Errors: ERR_REFUSED, those of ticket_read.
 */
MUST_USE int recover_ticket(const struct config *config, struct store *store, struct hsm *hsm,
                            const char *path, enum ticket_action action, struct ticket *ticket,
                            struct error *err);

/*
 * Whether a ticket allows to restore while the token remembers anchored: it was not used, or for
 * this and nothing since. Errors: ERR_REFUSED.
 */
MUST_USE int recover_check_restore(struct hsm *hsm, const struct ticket *ticket,
                                   const struct hsm_anchor *anchored, struct error *err);

/*
 * Lets the token remember that the ticket is used, and with which entry it was; on disk when this
 * returns. Then anchor the restored database, which is what uses the ticket up.
 */
MUST_USE int recover_begin_restore(const struct config *config, struct hsm *hsm,
                                   const struct ticket *ticket, const struct hsm_anchor *anchored,
                                   struct error *err);

/*
 * Lifts the stop of a wrong clock (vault/clock_stop.h). The store is attached. Errors: ERR_REFUSED
 * when the clock is not stopped or the ticket was used; ERR_CLOCK while the clock is before the
 * ledger's last entry or before this program: a ticket does not make it right.
 */
MUST_USE int recover_clock(const struct config *config, struct store *store, struct hsm *hsm,
                           const char *path, struct error *err);

/*
 * Makes a counter at this NV index, in the TPM that station.yaml names, in the place of one that is
 * gone. The store is attached without a counter (vault_attach_anchor). What the station published, and
 * what the ticket says that the owner accepted last, must be in the store. Errors: ERR_REFUSED when the
 * station has no counter, has it still, or the ticket was used; ERR_COUNTER when its counter is there
 * and ahead: the database is an old copy, which no new counter makes good; ERR_EXISTS when the TPM has
 * an index of this number; those of counting.h and published.h.
 */
MUST_USE int recover_counter(struct anchoring *a, struct store *store, const char *path,
                             uint32_t index, struct error *err);

#endif
