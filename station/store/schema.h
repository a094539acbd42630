/*
 * schema: the tables and indexes of the station's database. Private to station/store.
 *
 * Invariants
 *  1. A database that was opened has the tables and indexes of this program, text by text, and
 *     nothing beside them: no trigger, no view, no index over something else. Whether an index holds
 *     what its text says is another question; of the ledger's, ledger_resume asks it.
 *  2. A file of an older version is brought to this one by commands that write, in one transaction.
 */
#ifndef STATION_STORE_SCHEMA_H
#define STATION_STORE_SCHEMA_H

#include "station/store/store.h"

/*
 * Creates, brings up to date, and checks. Errors: ERR_STORE for another version than this program
 * can use in that mode, ERR_INTEGRITY for other tables than it makes, those of SQLite.
 */
MUST_USE int schema_settle(struct store *store, enum store_mode mode, struct error *err);

#endif
