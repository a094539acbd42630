/*
 * vendor: reads what makers of parts ship: lists of devices whose keys they made.
 *
 * Invariants
 *  1. Nothing is read out of bytes that no pinned certificate signed: a Microchip manifest is signed
 *     entry by entry, a CSV file by a detached signature beside it (<file>.p7s, DER).
 *  2. A pin has no expiry: who pinned it takes it back.
 */
#ifndef MANIFESTS_PLATFORM_VENDOR_H
#define MANIFESTS_PLATFORM_VENDOR_H

#include "agent/ids.h"
#include "base/buf.h"

#include <openssl/x509.h>
#include <stdio.h>

/* One part; valid during the call. */
struct vendor_device {
    char serial[IMPRINT_SERIAL_MAX + 1];
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    size_t chip_len; /* 0: not told */
    X509 *cert;      /* or NULL */
    EVP_PKEY *key;   /* or NULL: the maker tells none */
};

struct vendor_reader {
    const char *format;
    /* What is wrong with a device ends the reading, and is prefixed with its place. */
    int (*take)(void *context, const struct vendor_device *d, struct error *err);
    void *context;
    STACK_OF(X509) * pins;
};

/*
 * Reads the file at path in the reader's format: "microchip", "espressif" or "nrf-cloud". Errors:
 * ERR_USAGE (the format), ERR_SIGNATURE, ERR_FORMAT, ERR_MISSING (a signature), those of take and of
 * file_read.
 */
MUST_USE int vendor_read(const struct vendor_reader *r, const char *path, struct error *err);

/* The formats themselves: for vendor.c. */
MUST_USE int vendor_read_microchip(const struct vendor_reader *r, const char *path,
                                   struct error *err);
MUST_USE int vendor_read_csv(const struct vendor_reader *r, const char *path, struct error *err);

/*
 * The same for bytes at hand, for who fuzzes them: entries of a Microchip manifest, each verified; and
 * the text of a CSV file, taken apart in place, with room for one more byte behind it, whose signature
 * is the caller's to verify.
 */
MUST_USE int vendor_parse_microchip(const struct vendor_reader *r, FILE *in, struct error *err);
MUST_USE int vendor_parse_csv(const struct vendor_reader *r, char *text, size_t len,
                              struct error *err);

/* Copies a serial that a record can hold. Errors: ERR_FORMAT. */
MUST_USE int vendor_serial(struct vendor_device *d, const char *text, size_t len,
                           struct error *err);

#endif
