/*
 * cert: a device certificate taken apart in place, without building an object for each of millions.
 *
 * Strict DER (X.690) of the parts that a manifest is checked against; what is in between is skipped
 * by its length. Profiles are not judged here: that is the business of who signs the order.
 */
#ifndef MANIFESTS_CERT_H
#define MANIFESTS_CERT_H

#include "manifests/record.h"
#include "pki/scheme.h"

/* Views into the certificate. */
struct cert {
    struct record_bytes tbs;       /* what is signed, with its header */
    struct record_bytes serial;    /* contents of the serial number */
    struct record_bytes issuer;    /* name, with its header */
    struct record_bytes sn;        /* subject serialNumber (2.5.4.5); p NULL when there is none */
    struct record_bytes spki;      /* SubjectPublicKeyInfo, with its header */
    struct record_bytes signature; /* as in the BIT STRING */
    enum sig_scheme scheme;        /* how it is signed */
    int64_t not_before;            /* seconds since 1970 UTC */
    bool is_ca;                    /* basicConstraints says so */
};

/*
 * Errors: ERR_FORMAT when it is not exactly one certificate, has two serialNumber attributes or an
 * extension twice, begins at
 * no date from 1970 on, or is signed in a way that pki/scheme.h does not have.
 */
MUST_USE int cert_parse(const uint8_t *der, size_t len, struct cert *cert);

#endif
