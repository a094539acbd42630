/*
 * sample: one certificate of a profile under throw-away keys, as the station would make it.
 *
 * It goes the way of the hot path (template, signature, assembly) and is judged by cert_check, so
 * that what a sample shows is what devices get. Its issuer is a CA of the profile that the profile
 * names as its issuer, or one named "Sample CA".
 */
#ifndef STATION_PROFILE_SAMPLE_H
#define STATION_PROFILE_SAMPLE_H

#include "pki/cert_profile.h"

struct sample {
    X509 *root, *issuing; /* issuing NULL where the profile is that of a CA: it is below the root */
    X509 *cert;
    EVP_PKEY *key;
};

/* Values for everything that a profile can name. */
void sample_values(const char *values[VALUE_COUNT]);

/* Of the device's key and of both CAs; zero: P-256. */
struct sample_algorithms {
    enum key_type key;
    struct ca_algorithm ca;
};

/* A way to sign that the profile allows, for a sample whose CA is nobody's. */
struct ca_algorithm sample_ca(const struct cert_profile *profile);

/*
 * issued: the time of issue. Errors: ERR_INPUT for a value that does not fit, ERR_REFUSED for
 * algorithms that the profile does not allow, those of profile_find for the issuer, ERR_CRYPTO.
 * sample_done in any case.
 */
MUST_USE int sample_make(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                         int64_t issued, const struct sample_algorithms *algorithms,
                         struct sample *out, struct error *err);
void sample_done(struct sample *s);

#endif
