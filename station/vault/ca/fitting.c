#include "station/vault/ca/fitting.h"

#include "base/clock.h"
#include "base/codec.h"
#include "pki/cert.h"
#include "pki/profile_build.h"
#include "pki/template.h"
#include "station/vault/vault.h"
#include "station/wire/wire.h"

#include <string.h>

/* Stand for what only a device knows, where a certificate is built to be looked at. */
#define SOME_SERIAL "A1-0000001"
#define SOME_CHIP   "0123456789abcdef"
#define SOME_UDI    "010950600013435221A1-0000001"

bool issuer_is_listed(const struct order_share *share, const struct issuer *issuer)
{
    if (share->hosted != issuer->hosted)
        return false;
    for (size_t i = 0; issuer->chain.count && i < share->issuer_count; i++)
        if (sha256_equal(share->issuers[i], issuer->sha256))
            return true;
    return false;
}

static int refuse_hosted(const struct order *order, const struct order_share *share,
                         struct error *err)
{
    char hash[2 * SHA256_SIZE + 1];

    hex_encode(share->issuers[0], SHA256_SIZE, hash);
    return error_set(err, ERR_REFUSED,
                     "order '%s' names a hosted CA (%s) that this station does not know: take its "
                     "certificate and those above it in with 'imprint ca import FILE --hosted'",
                     order->id, hash);
}

static int refuse_all(const struct issuers *issuers, const struct order *order,
                      const struct order_share *share, struct error *err)
{
    const struct issuer *newest = issuers_newest(issuers);
    char hash[2 * SHA256_SIZE + 1];

    if (share->hosted)
        return refuse_hosted(order, share, err);
    if (!newest)
        return error_set(err, ERR_REFUSED,
                         "this station has no issuing CA yet, or none whose key is on the token: "
                         "'imprint ca request', let it be "
                         "certified, and 'imprint ca import'");
    hex_encode(newest->sha256, sizeof newest->sha256, hash);
    return error_set(err, ERR_REFUSED,
                     "order '%s' names another issuing CA for this station: ask the owner for "
                     "one that names %s (station.json)",
                     order->id, hash);
}

static int choose_wanted(const struct issuers *issuers, const struct order *order,
                         const struct order_share *share, const char *wanted,
                         const struct issuer **out, struct error *err)
{
    const struct issuer *i = issuers_of_name(issuers, wanted);

    if (!i)
        return error_set(err, ERR_REFUSED,
                         "the job names issuing CA '%s', which this station does not have: "
                         "'imprint ca list' tells their names",
                         wanted);
    if (i->state != ISSUER_ACTIVE)
        return error_set(err, ERR_REFUSED,
                         "the job names issuing CA '%s', whose key was destroyed: name another",
                         wanted);
    if (!issuer_is_usable(i))
        return error_set(err, ERR_REFUSED,
                         "the job names issuing CA '%s', whose key is not on the token: name "
                         "another",
                         wanted);
    if (!issuer_is_listed(share, i))
        return error_set(err, ERR_REFUSED,
                         "the job names issuing CA '%s', which order '%s' does not list for this "
                         "station: ask the owner for an amendment, or name another",
                         wanted, order->id);
    *out = i;
    return 0;
}

int issuers_choose(const struct issuers *issuers, const struct order *order,
                   const struct order_share *share, const char *wanted, const struct issuer **out,
                   struct error *err)
{
    if (*wanted)
        return choose_wanted(issuers, order, share, wanted, out, err);
    for (size_t n = issuers->count; n > 0; n--) {
        const struct issuer *i = &issuers->of[n - 1];

        if (issuer_is_usable(i) && issuer_is_listed(share, i)) {
            *out = i;
            return 0;
        }
    }
    return refuse_all(issuers, order, share, err);
}

/* ---- a certificate to look at ---- */

static int build_sample(const struct vault *v, int64_t now, X509 **out, struct error *err)
{
    const char *values[VALUE_COUNT];
    uint8_t number[CERT_NUMBER_SIZE] = {0x01};
    struct public_key key; /* nobody's */
    struct profile_input input = {number, &key, now, values, v->issuer->chain.certs[0]};
    int rc = key_random(v->key, &key, err);

    job_values(v->job, v->order, values);
    values[VALUE_SERIAL] = SOME_SERIAL;
    values[VALUE_CHIP_ID] = SOME_CHIP;
    values[VALUE_UDI] = SOME_UDI;
    return rc ? rc : profile_build(&v->profile, &input, out, err);
}

/* The leaf is at most CERT_DER_MAX; the device gets what is above it as well, without the root. */
static int check_room(const struct vault *v, struct error *err)
{
    size_t size = CERT_DER_MAX;

    for (size_t i = 0; i + 1 < v->issuer->chain.count; i++)
        size += (size_t)i2d_X509(v->issuer->chain.certs[i], NULL);
    if (size <= WIRE_OBJECT_MAX)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the chain of issuing CA '%s' has up to %zu octets with a device's "
                     "certificate, and a device takes %d: let it be certified nearer to the root",
                     v->issuer->name, size, WIRE_OBJECT_MAX);
}

static int check_alive(const struct issuer *issuer, int64_t now, const char *what_to_do,
                       struct error *err)
{
    int64_t end = ca_chain_end(&issuer->chain);
    char text[CLOCK_TEXT_SIZE];

    if (now < end)
        return 0;
    clock_text(end, text);
    return error_set(err, ERR_REFUSED,
                     "issuing CA '%s', or one above it, expired on %s, and nobody accepts what is "
                     "below it any more: %s",
                     issuer->name, text, what_to_do);
}

/* A profile may say times that are past, so a certificate's own do not tell. */
int fitting_check_life(const struct vault *v, int64_t now, struct error *err)
{
    int64_t begin, end;
    const char *next = v->issuer->hosted
                           ? "take in the one that follows it ('imprint ca import FILE --hosted'), "
                             "and ask the owner for an amendment that lists it"
                           : "take a new issuing CA ('imprint ca request'), and ask the owner for "
                             "an amendment that lists it";
    int rc = check_alive(v->issuer, now, next, err);

    if (rc == 0)
        rc = profile_times(&v->profile.validity, now, &begin, &end, err);

    return rc ? rc : ca_chain_check_life(&v->issuer->chain, begin, end, err);
}

int fitting_check(const struct vault *v, struct error *err)
{
    const char *values[VALUE_COUNT];
    int64_t now = clock_utc();
    X509 *sample = NULL;
    int rc;

    job_values(v->job, v->order, values);
    rc = cert_issuer_check(&v->profile, values, v->issuer->chain.certs[0], err);
    if (rc == 0)
        rc = build_sample(v, now, &sample, err);
    if (rc == 0)
        rc = ca_chain_check_names(&v->issuer->chain, sample, err);
    X509_free(sample);
    return rc ? rc : check_room(v, err);
}

static int check_listed(const struct vault *v, const struct issuer *issuer, struct error *err)
{
    if (issuer_is_listed(v->share, issuer))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' does not list issuing CA '%s' any more, and certificates of it "
                     "are in stock: void them, or ask the owner for an amendment that lists it "
                     "beside the new one",
                     v->order->id, issuer->name);
}

int fitting_check_stock(const struct vault *v, const struct buf *der, struct error *err)
{
    const struct issuer *issuer;
    int rc;

    if (!v->share)
        return 0;
    rc = issuers_of_der(&v->issuers, der, &issuer, err);
    if (rc == 0)
        rc = check_listed(v, issuer, err);
    return rc ? rc
              : check_alive(
                    issuer, clock_utc(),
                    issuer->hosted
                        ? "void its certificates that are in stock ('imprint void SERIAL'), "
                          "and ask the hosted CA that follows it for others ('imprint csr "
                          "export')"
                        : "void its certificates that are in stock ('imprint void SERIAL'), "
                          "and generate others under a new issuing CA ('imprint ca request')",
                    err);
}

int64_t fitting_last(const struct vault *v, int64_t now)
{
    int64_t end = ca_chain_end(&v->issuer->chain), begin, until;

    if (end == PROFILE_END_OF_TIME ||
        profile_times(&v->profile.validity, now, &begin, &until, NULL) ||
        !profile_end_is_relative(&v->profile.validity))
        return end;
    return end - (until - begin);
}
