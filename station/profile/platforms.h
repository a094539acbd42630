/*
 * platforms: who would refuse a certificate, and by which rule.
 *
 * Rules are checked on a real certificate and its issuer, so they hold for whatever a profile
 * writes. They are what the documents of docs/profiles/ say; what a service does beyond its
 * documents is not known here.
 */
#ifndef STATION_PROFILE_PLATFORMS_H
#define STATION_PROFILE_PLATFORMS_H

#include <openssl/x509.h>

struct platform {
    const char *name;
    /* The first rule that a certificate breaks, as a sentence, or NULL. issuer is its CA. */
    const char *(*refuses)(X509 *cert, X509 *issuer);
};

extern const struct platform platforms[]; /* ends with name NULL */

#endif
