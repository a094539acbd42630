/*
 * report: what became of units, as figures: of one unit, of a lot, or of a shift.
 *
 * Invariants
 *  1. The database is only read, and nothing is asked for: no PIN, no job.
 *  2. States, people and builds are what the ledger says; slot, chip and firmware come from the claim, whose row
 *     has a MAC; attempts are plain rows, which nothing protects. The report says which of it was verified.
 *  3. An attempt is one session with a device in one slot. It passed, or passed again (a device that was finished
 *     before, which consumes nothing), or failed. Yield is passed of passed and failed, whatever the reason.
 */
#ifndef STATION_REPORT_REPORT_H
#define STATION_REPORT_REPORT_H

#include "base/clock.h"
#include "station/store/history.h"

struct report_attempt {
    int64_t at;
    int code; /* 0: passed */
    bool again;
    bool has_tx;
    uint8_t tx[IMPRINT_TX_SIZE];
    char slot[CLAIM_SLOT_MAX + 1];
    char serial[65];
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];
    char *text;
};

struct report_unit {
    int64_t credential;
    uint8_t tx[IMPRINT_TX_SIZE];
    char serial[65], product[65], order[129];
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];
    char slot[CLAIM_SLOT_MAX + 1];
    char firmware[IMPRINT_FIRMWARE_MAX + 1], image_hash[65];
    bool debug;
    char certificate[65];     /* SHA-256, hexadecimal; empty: a symmetric key alone */
    char number[41];          /* the certificate's serial number, hexadecimal */
    char state[16];           /* "claimed", "proven", "burned", "revoked" or "lost" */
    int64_t claimed, proven;  /* seconds since 1970 UTC; 0: not */
    int64_t leaf;             /* of its record; -1: none */
    int64_t manifest;         /* that it was sealed in; 0: none */
    char who[65];             /* who proved it: the person's name, else the system's user */
    char build[65];           /* of the station that proved it; empty: not recorded */
    int64_t attempts, failed; /* of this identity, without those that passed again */
};

/* What was verified before the figures were taken. */
struct report_verified {
    int64_t entries; /* of the ledger, whose chain was followed */
    bool macs; /* and whose MACs, and those of the units' rows, were verified with the token */
};

struct report {
    struct history_filter filter;
    char station[65], environment[17];
    int64_t made;
    struct report_verified verified;
    struct report_unit *units;
    size_t unit_count;
    struct report_attempt *attempts; /* the oldest first */
    size_t attempt_count;
};

/* Reads what the filter is about; report_done in any case. The names of the filter stay the caller's. Errors:
 * ERR_MISSING when there is no such unit or lot; those of the store. */
MUST_USE int report_read(struct store *store, const struct history_filter *filter,
                         struct report *report, struct error *err);
void report_done(struct report *report);

#endif
