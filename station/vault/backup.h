/*
 * backup: a copy of what a station needs to go on after its disk is lost, but for the token.
 *
 * The folder has the database, the configuration, the certificates and pins, and backup.json, which
 * lists them. It has neither token nor PIN. Whoever has it has wrapped keys that only the station's
 * token unwraps, serials and certificates.
 *
 * Invariants
 *  1. The database is one committed state, whatever `run` does meanwhile.
 *  2. The folder takes its name when everything in it is on the disk.
 */
#ifndef STATION_VAULT_BACKUP_H
#define STATION_VAULT_BACKUP_H

#include "station/config.h"
#include "station/store/ledger.h"
#include "station/store/store.h"

#define BACKUP_FORMAT "imprint-backup/1"
#define BACKUP_LIST   "backup.json"

struct backup_watch {
    void (*progress)(void *context, int64_t done, int64_t total); /* pages of the database */
    void *context;
};

/*
 * Copies the station into the new folder dir; head is the last ledger entry of the copy. store is
 * open for reading. Errors: ERR_EXISTS when there is a dir, ERR_STORE when the copy is damaged as
 * the database is; those of files and the store.
 */
MUST_USE int backup_make(const struct config *config, struct store *store, const char *dir,
                         const struct backup_watch *watch, struct ledger_head *head,
                         struct error *err);

/*
 * Whether dir is a backup of this station whose database is the one that its list names. Errors:
 * ERR_REFUSED for another station's, ERR_INTEGRITY when it was changed, ERR_INPUT when it has no
 * list; those of files.
 */
MUST_USE int backup_check(const struct config *config, const char *dir, struct error *err);

#endif
