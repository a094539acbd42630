/*
 * vendors: parts that their maker provisioned, entered into the whitelist.
 *
 * Each becomes an `attr` record of a log of its own, which is in the state alone: nobody signs it, and
 * the state is believed as everything in it is. The log is named after the pinned certificates, so
 * what another maker signed is another log. The record's ext has the member `vendor`, an object with
 * `format`, and `key` (base64 DER) where the maker tells one. The state also keeps the hashes of key
 * and certificate, so that `check --cert` finds the device.
 */
#ifndef MANIFESTS_TRUST_VENDORS_H
#define MANIFESTS_TRUST_VENDORS_H

#include "manifests/platforms/vendor.h"
#include "manifests/trust/trust.h"
#include "pki/digest.h"

#include <stdio.h>

struct trust_vendor {
    const char *format;    /* platforms/vendor.h */
    STACK_OF(X509) * pins; /* who may have signed */
    const char *product;   /* of all devices */
    const uint8_t *order;  /* hash of the order that they belong to, or NULL for none */
    FILE *records;         /* receives the records, or NULL */
};

struct trust_imported {
    uint64_t devices, without_key;
    char origin[129]; /* of the log */
};

/*
 * Imports files, all or none. Errors: those of vendor_read; ERR_DUPLICATE when a device, chip or key is
 * in the state already; ERR_INPUT (the product); those of the state.
 */
MUST_USE int trust_import(struct trust *t, const struct trust_vendor *v, char *const *files,
                          size_t count, struct trust_imported *out, struct error *err);

#endif
