/*
 * serving: answers the channels that the line opens, until it ends.
 *
 * Invariants
 *  1. What came together is one transaction of the database with one anchor (store_group_begin), and no
 *     answer of it leaves before both are durable. When they are not, every answer is the reason.
 *  2. A request is answered on its own channel, in the order in which that channel asked.
 */
#ifndef STATION_VAULT_SERVING_H
#define STATION_VAULT_SERVING_H

#include "station/vault/vault.h"

/*
 * control: the vault's end (wire/channel.h), which stays the caller's. Returns 0 when the other end was
 * closed; an error is one that the vault itself cannot go on after. All channels are closed then.
 */
MUST_USE int serving_run(struct vault *v, int control, struct error *err);

#endif
