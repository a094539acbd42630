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

#include "station/vault/scanners.h"

/*
 * control: the vault's end (wire/channel.h), and scanners: NULL where there are none; both stay the
 * caller's. Returns 0 when the other end was closed; an error is one that the vault itself cannot go on
 * after. All channels are closed then.
 */
MUST_USE int serving_run(struct vault *v, int control, struct scanners *scanners,
                         struct error *err);

#endif
