/*
 * clock_stop: nothing is issued while the station's clock cannot be right.
 *
 * Certificates, records and the ledger say when. A clock that was set back would let them lie, and a
 * short-lived order live again. A clock is in doubt when it is more than CLOCK_TOLERANCE behind the
 * ledger's last entry, or behind the commit that this program was built from.
 *
 * The doubt lasts: the entry clock_stopped stands in the ledger, and only a later clock_confirmed
 * lifts it, not a clock that somebody has set again. An entry's own time is never before that of the
 * entry before it, so what the clock said is in the entry's data.
 *
 * What it cannot see is a clock that is ahead.
 */
#ifndef STATION_VAULT_CLOCK_STOP_H
#define STATION_VAULT_CLOCK_STOP_H

#include "station/store/store.h"

#define CLOCK_TOLERANCE 120 /* seconds: what a time server may set back */

/*
 * Called before anything is released or signed, outside a transaction. The first time that the clock
 * is in doubt it commits clock_stopped. Errors: ERR_CLOCK; those of the store.
 */
MUST_USE int clock_stop_check(struct store *store, struct error *err);

/* For a station that has no ledger yet: ERR_CLOCK when the clock is behind the program. */
MUST_USE int clock_stop_check_build(struct error *err);

#endif
