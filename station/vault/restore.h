/*
 * restore: a backup takes the place of a database that is missing, damaged or older, and the past
 * that it does not know is made safe.
 *
 * The token remembers how many ledger entries there were. What is missing between the backup's last
 * one and that number is lost: N entries, of which each may have given out one credential, and the
 * vault gives out the oldest of an order first. (With a counter, vault/counting.h, N is what the
 * counter is ahead by, if that is more: the token may be a copy as well.) So the first N available credentials of each order
 * are burned, before anything else can be done: void leaves, as for a burned claim, by ledger
 * entries `lost`. Open claims stay: their devices are known. Batches that were made since are
 * unknown, so nothing more is generated under an order until the owner amends it for this restore.
 *
 * Invariants
 *  1. Entry numbers and the anchor never go back. `restored` follows the anchored number.
 *  2. A backup that lacks a manifest which was published is refused: it would fork the log.
 *  3. The database that was there is kept aside, never deleted.
 *  4. Nothing is lost when it is killed: the copy is made as station.db.restoring, with its entries,
 *     then the ticket is used, then the copy is anchored, then it takes its place. The same command
 *     goes on: with the copy, if the token remembers its last entry and its whole ledger leads there,
 *     and else from the beginning, with the same ticket (vault/recover.h). Nothing else that a
 *     station.db.restoring says is believed: whoever can write it could have made it.
 */
#ifndef STATION_VAULT_RESTORE_H
#define STATION_VAULT_RESTORE_H

#include "station/vault/vault.h"

struct restore_request {
    const char *ticket;                                           /* file */
    const char *backup;                                           /* folder of `imprint backup` */
    const char *operator, * reason;                               /* for the ledger */
    void (*progress)(void *context, int64_t done, int64_t total); /* pages of the database */
    void *context;
};

struct restore_result {
    int64_t seq;    /* of the last ledger entry now */
    int64_t lost;   /* entries that nobody has any more */
    int64_t burned; /* credentials that were burned for them */
};

/*
 * Errors: ERR_REFUSED when the ticket is not for this or was used, or the database is as the token
 * remembers it and sound; ERR_ROLLBACK when the backup lacks a published manifest; ERR_INTEGRITY
 * when it is not this station's or was changed; ERR_BUSY; those of files, the store and the HSM.
 */
MUST_USE int restore_run(const struct config *config, struct hsm *hsm,
                         const struct restore_request *request, struct restore_result *result,
                         struct error *err);

/*
 * Whether more may be generated under the vault's order. After a restore that lost entries an order
 * that began before it, or that the token knows and the backup does not, needs an amendment: it
 * names that restore's ticket, so that it was written after it, and gives this station serials apart
 * from all before. Errors: ERR_REFUSED.
 */
MUST_USE int restore_check_order(const struct vault *v, struct error *err);

#endif
