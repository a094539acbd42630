/*
 * pass: what the judge shows devices so that they believe it: a station's key and the compact station
 * certificate (docs/device-link.md, section 6) that goes with it.
 *
 * `imprint conform` makes it and hands it to imprint-conform, which signs with it: the authority's key
 * stays behind, and the process that parses a device's bytes never has it. The station's key lives for
 * one run, unless the caller has one of its own.
 */
#ifndef STATION_CONFORM_PASS_H
#define STATION_CONFORM_PASS_H

#include "base/buf.h"

#include <openssl/evp.h>

#define PASS_MAX         1024 /* bytes of a pass on its way */
#define PASS_ENVIRONMENT "conform"

struct pass {
    EVP_PKEY *key;   /* of the station, P-256 */
    struct buf cert; /* compact station certificate */
    char environment[17];
};

/*
 * A new station key, certified by the authority whose private key lies in a PEM file, or, for NULL, by
 * one that is forgotten at once: a device that pins an authority then refuses it. Appends the pass to
 * out. Errors: ERR_INPUT for a file without a P-256 key, ERR_CRYPTO, those of error_set_errno.
 */
MUST_USE int pass_make(const char *authority_key, struct buf *out, struct error *err);

/* A station's own key, PEM, and certificate. Errors: ERR_INPUT also when they do not fit together. */
MUST_USE int pass_read(const char *key, const char *cert, struct buf *out, struct error *err);

/* Takes a pass that came. Release with pass_done in any case. Errors: ERR_FORMAT. */
MUST_USE int pass_take(const void *bytes, size_t len, struct pass *pass, struct error *err);
void pass_done(struct pass *pass);

#endif
