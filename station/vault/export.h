/*
 * export: hands a signed copy of the ledger to whoever audits it (manifests/ledger_export.h).
 */
#ifndef STATION_VAULT_EXPORT_H
#define STATION_VAULT_EXPORT_H

#include "hsm/token.h"
#include "manifests/ledger_export.h"
#include "station/config.h"
#include "station/store/store.h"

/* Called now and then with the entries written so far. */
struct export_watch {
    void (*progress)(void *context, int64_t done, int64_t total);
    void *context;
};

/*
 * Writes the entries from number first to the last one into the new folder dir, after it verified
 * their chain and MACs; statement is what was signed. The store is attached, so it is the one that
 * the token remembers. Errors: ERR_EXISTS when there is a dir, ERR_MISSING when there is no entry
 * first, ERR_INTEGRITY; those of files, the store and the HSM.
 */
MUST_USE int export_ledger(const struct config *config, struct store *store, struct hsm *hsm,
                           int64_t first, const char *dir, const struct export_watch *watch,
                           struct ledger_statement *statement, struct error *err);

#endif
