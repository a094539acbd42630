/*
 * sealing: makes the next manifest of the station's log (P8).
 *
 * Each step is journalled in the store before the next begins (station/store/whitelist.h), and what
 * is signed was journalled before it was signed: sealing again after a crash finishes the same
 * manifest with the same bytes, and no two manifests ever bear one number.
 */
#ifndef STATION_VAULT_SEALING_H
#define STATION_VAULT_SEALING_H

#include "hsm/token.h"
#include "station/config.h"
#include "station/store/store.h"

/* Called now and then with the records written so far; may be NULL. */
struct sealing_watch {
    void (*progress)(void *context, int64_t done, int64_t total);
    void *context;
};

struct sealed {
    int64_t seq;   /* 0: there was nothing new to seal */
    int64_t count; /* records in this manifest */
    int64_t size;  /* records in the whole log */
    char dir[PATH_MAX];
};

/*
 * Finishes an interrupted sealing, or seals what was recorded since the last one. With config->compress
 * the files of records and evidence are compressed (manifests/stream.h), but not in a sealing of which the
 * statement is journalled already: that lists what it lists. Errors: those of
 * the HSM, the store and files; ERR_INTEGRITY when the log in the database is not the one that was
 * sealed before; those of totals_collect (vault/totals.h).
 */
MUST_USE int sealing_run(const struct config *config, struct store *store, struct hsm *hsm,
                         const struct sealing_watch *watch, struct sealed *out, struct error *err);

#endif
