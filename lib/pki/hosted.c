#include "pki/hosted.h"

#include "base/clock.h"
#include "pki/profile_build.h"
#include "pki/template.h"

#include <openssl/x509v3.h>
#include <string.h>

#define NUMBER_MAX 20 /* octets, RFC 5280 section 4.1.2.2 */

static int differs(const struct hosted_expect *expect, const char *what, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "the certificate of device '%s' is not what profile '%s' describes: %s",
                     expect->serial, expect->profile->name, what);
}

/* ---- form, number, signature ---- */

static bool number_is_good(X509 *cert)
{
    const ASN1_INTEGER *number = X509_get0_serialNumber(cert);
    int len = ASN1_STRING_length(number);

    return ASN1_STRING_type(number) == V_ASN1_INTEGER && len >= 1 && len <= NUMBER_MAX &&
           !(len == 1 && ASN1_STRING_get0_data(number)[0] == 0);
}

/* OpenSSL reads more than DER, and devices do not: what it would write by itself has to be the same. */
static bool is_der(X509 *cert, const void *der, size_t len)
{
    uint8_t *again = NULL;
    int again_len;
    bool same;

    (void)i2d_re_X509_tbs(cert, NULL); /* it forgets the octets that it read */
    again_len = i2d_X509(cert, &again);
    same = again_len > 0 && (size_t)again_len == len && memcmp(again, der, len) == 0;
    OPENSSL_free(again);
    return same;
}

static int check_form(X509 *cert, const void *der, size_t len, const struct hosted_expect *expect,
                      struct error *err)
{
    size_t most = expect->profile->max_size ? (size_t)expect->profile->max_size : CERT_DER_MAX;
    const ASN1_BIT_STRING *issuer_id = NULL, *subject_id = NULL;

    X509_get0_uids(cert, &issuer_id, &subject_id);
    if (!is_der(cert, der, len))
        return differs(expect, "it is not written as DER has it", err);
    if (X509_check_ca(cert))
        return differs(expect, "it is that of a CA", err);
    if (X509_get_extension_flags(cert) & EXFLAG_INVALID)
        return differs(expect, "an extension is malformed, or there twice", err);
    if (X509_get_version(cert) + 1 != expect->profile->version)
        return differs(expect, "its version is another", err);
    if (issuer_id || subject_id)
        return differs(expect, "it has a unique identifier", err);
    if (!number_is_good(cert))
        return differs(expect, "its serial number is not positive, or longer than 20 octets", err);
    if (len > most)
        return differs(expect, "it is larger than it may be", err);
    if (!cert_has_key(cert, expect->key))
        return differs(expect, "its public key is another", err);
    return 0;
}

static int check_scheme(X509 *cert, const struct hosted_expect *expect, struct error *err)
{
    enum sig_scheme scheme;

    if (!cert_scheme(cert, &scheme))
        return error_set(err, ERR_REFUSED,
                         "the certificate of device '%s' is signed in a way that importers do not "
                         "know: they know " SCHEME_NAMES,
                         expect->serial);
    return cert_profile_allows(expect->profile, expect->key->type, scheme, err);
}

/* ---- subject ---- */

static bool same_text(const ASN1_STRING *a, const ASN1_STRING *b)
{
    unsigned char *x = NULL, *y = NULL;
    int x_len = ASN1_STRING_to_UTF8(&x, a), y_len = ASN1_STRING_to_UTF8(&y, b);
    bool same = x_len >= 0 && x_len == y_len && memcmp(x, y, (size_t)x_len) == 0;

    OPENSSL_free(x);
    OPENSSL_free(y);
    return same;
}

/* Letter by letter, which X509_NAME_cmp does not do. */
static bool same_name(const X509_NAME *a, const X509_NAME *b)
{
    bool same = X509_NAME_entry_count(a) == X509_NAME_entry_count(b);

    for (int i = 0; same && i < X509_NAME_entry_count(a); i++) {
        const X509_NAME_ENTRY *x = X509_NAME_get_entry(a, i), *y = X509_NAME_get_entry(b, i);

        same = X509_NAME_ENTRY_set(x) == X509_NAME_ENTRY_set(y) &&
               OBJ_cmp(X509_NAME_ENTRY_get_object(x), X509_NAME_ENTRY_get_object(y)) == 0 &&
               same_text(X509_NAME_ENTRY_get_data(x), X509_NAME_ENTRY_get_data(y));
    }
    return same;
}

/* ---- extensions ---- */

static int wrong_extension(const struct hosted_expect *expect, X509_EXTENSION *e, const char *how,
                           struct error *err)
{
    char name[80] = "", what[160];

    OBJ_obj2txt(name, sizeof name, X509_EXTENSION_get_object(e), 0);
    snprintf(what, sizeof what, "%s extension '%s'", how, name);
    return differs(expect, what, err);
}

/* Criticality is a number to OpenSSL, which writes it as it was read: 1 is true, and is not DER. */
static bool same_octets(X509_EXTENSION *a, X509_EXTENSION *b)
{
    uint8_t *x = NULL, *y = NULL;
    int x_len = i2d_X509_EXTENSION(a, &x), y_len = i2d_X509_EXTENSION(b, &y);
    bool same = x_len > 0 && x_len == y_len && memcmp(x, y, (size_t)x_len) == 0;

    OPENSSL_free(x);
    OPENSSL_free(y);
    return same;
}

/* wanted is one of the profile's. */
static int check_extension(X509 *cert, X509_EXTENSION *wanted, const struct hosted_expect *expect,
                           struct error *err)
{
    int at = X509_get_ext_by_OBJ(cert, X509_EXTENSION_get_object(wanted), -1);
    X509_EXTENSION *is = at < 0 ? NULL : X509_get_ext(cert, at);

    if (!is)
        return wrong_extension(expect, wanted, "it lacks the", err);
    if (X509_EXTENSION_get_critical(is) != X509_EXTENSION_get_critical(wanted))
        return wrong_extension(expect, wanted,
                               X509_EXTENSION_get_critical(is) ? "it has as critical the"
                                                               : "it has as not critical the",
                               err);
    if (ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(is), X509_EXTENSION_get_data(wanted)))
        return wrong_extension(expect, wanted, "it has with another value the", err);
    if (!same_octets(is, wanted))
        return wrong_extension(expect, wanted, "it has not in DER the", err);
    return 0;
}

static int check_extensions(X509 *cert, X509 *model, const struct hosted_expect *expect,
                            struct error *err)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < X509_get_ext_count(model); i++)
        rc = check_extension(cert, X509_get_ext(model, i), expect, err);
    for (int i = 0; rc == 0 && i < X509_get_ext_count(cert); i++) {
        X509_EXTENSION *e = X509_get_ext(cert, i);

        if (X509_get_ext_by_OBJ(model, X509_EXTENSION_get_object(e), -1) < 0)
            rc = wrong_extension(expect, e, "it has besides the", err);
    }
    if (rc == 0 && X509_get_ext_count(cert) != X509_get_ext_count(model))
        rc = differs(expect, "it has an extension twice", err);
    return rc;
}

/* ---- validity ---- */

static int wrong_time(const struct hosted_expect *expect, const char *what, int64_t is,
                      int64_t other, struct error *err)
{
    char text[CLOCK_TEXT_SIZE], than[CLOCK_TEXT_SIZE];

    clock_text(is, text);
    clock_text(other, than);
    return error_set(err, ERR_CLOCK, "the certificate of device '%s' %s: %s, and not %s",
                     expect->serial, what, text, than);
}

static int check_begin(int64_t begin, int64_t wanted, const struct hosted_expect *expect,
                       struct error *err)
{
    if (!profile_begins_at_issuance(&expect->profile->validity))
        return begin == wanted ? 0
                               : wrong_time(expect, "begins at another time than its profile says",
                                            begin, wanted, err);
    if (begin < expect->asked - HOSTED_BACKDATED)
        return wrong_time(expect, "begins more than two days before it was asked for", begin,
                          expect->asked, err);
    if (begin > expect->now + HOSTED_AHEAD)
        return wrong_time(expect, "begins more than a day from now", begin, expect->now, err);
    return 0;
}

static int check_end(int64_t end, int64_t wanted, const struct hosted_expect *expect,
                     struct error *err)
{
    int64_t shorter = profile_end_is_relative(&expect->profile->validity) ? HOSTED_SHORTER : 0;

    if (end > wanted || end < wanted - shorter)
        return wrong_time(expect, "ends at another time than its profile says", end, wanted, err);
    if (end <= expect->now)
        return wrong_time(expect, "has ended", end, expect->now, err);
    return 0;
}

static int check_times(X509 *cert, const struct hosted_expect *expect, struct error *err)
{
    int64_t begin, end, from, until;
    int rc;

    if (!ca_times(cert, &begin, &end))
        return differs(expect, "its validity cannot be read", err);
    rc = profile_times(&expect->profile->validity, begin, &from, &until, err);
    if (rc == 0)
        rc = check_begin(begin, from, expect, err);
    return rc ? rc : check_end(end, until, expect, err);
}

/* ---- all of it ---- */

/* Compared with what OpenSSL builds for the profile; number and times are not looked at. */
static int check_contents(X509 *cert, X509 *issuer, const struct hosted_expect *expect,
                          struct error *err)
{
    static const uint8_t number[CERT_NUMBER_SIZE] = {1};
    const char *values[VALUE_COUNT];
    struct profile_input input = {number, expect->key, expect->asked, values, issuer};
    X509 *model = NULL;
    int rc;

    memcpy(values, expect->values, sizeof values);
    values[VALUE_SERIAL] = expect->serial;
    rc = profile_build(expect->profile, &input, &model, err);
    if (rc == 0 && !same_name(X509_get_subject_name(cert), X509_get_subject_name(model)))
        rc = differs(expect, "its subject is another", err);
    if (rc == 0)
        rc = check_extensions(cert, model, expect, err);
    X509_free(model);
    return rc;
}

int hosted_check(const void *der, size_t len, const struct ca_chain *chain,
                 const struct hosted_expect *expect, struct error *err)
{
    X509 *cert;
    int rc = cert_from_der(der, len, &cert, err);

    if (rc)
        return rc;
    (void)X509_check_purpose(cert, -1, 0); /* OpenSSL reads the extensions then */
    rc = check_form(cert, der, len, expect, err);
    if (rc == 0)
        rc = check_contents(cert, chain->certs[0], expect, err);
    if (rc == 0)
        rc = check_times(cert, expect, err);
    if (rc == 0)
        rc = check_scheme(cert, expect, err);
    if (rc == 0)
        rc = cert_check_chain(cert, chain, cert_own_flags(expect->profile), err);
    if (rc == 0)
        rc = ca_chain_check_names(chain, cert, err);
    X509_free(cert);
    return rc;
}
