/*
 * receipt: what an owner answers a station: how far its log was accepted.
 *
 * Canonical JSON and one line end, signed as an order is (pki/signed.h): CMS with the content inside,
 * by a key whose certificate the station pins. docs/manifest-format.md section 14 has the members.
 */
#ifndef MANIFESTS_RECEIPT_H
#define MANIFESTS_RECEIPT_H

#include "manifests/statement.h"

#define RECEIPT_FORMAT       "manifest-receipt/1"
#define RECEIPT_MAX          65536 /* bytes of the signed receipt */
#define RECEIPT_CLOSINGS_MAX 64

struct receipt {
    char origin[NOTE_NAME_MAX + 1];
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    uint64_t seq, size; /* of the manifest that was accepted last */
    struct merkle_hash root;
    uint8_t sha256[SHA256_SIZE];                         /* of its manifest.json */
    int64_t accepted;                                    /* when, seconds since 1970 UTC */
    uint8_t closings[RECEIPT_CLOSINGS_MAX][SHA256_SIZE]; /* of each closing.json that was checked */
    size_t closing_count;
};

/* Appends the exact bytes. Errors: ERR_INPUT. */
MUST_USE int receipt_write(const struct receipt *r, struct buf *out, struct error *err);

/* Reads exactly such bytes. Errors: ERR_FORMAT. */
MUST_USE int receipt_parse(const void *bytes, size_t len, struct receipt *r, struct error *err);

#endif
