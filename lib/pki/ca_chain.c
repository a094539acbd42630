#include "pki/ca_chain.h"

#include "base/clock.h"
#include "pki/profile.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define FILE_CERTS_MAX 16

/* ---- small questions ---- */

bool ca_times(X509 *cert, int64_t *begin, int64_t *end)
{
    struct tm from, until;

    if (ASN1_TIME_to_tm(X509_get0_notBefore(cert), &from) != 1 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) != 1)
        return false;
    *begin = timegm(&from);
    *end = timegm(&until);
    return true;
}

void ca_name(X509 *cert, char out[CA_NAME_SIZE])
{
    X509_NAME *subject = X509_get_subject_name(cert);

    if (X509_NAME_get_text_by_NID(subject, NID_commonName, out, CA_NAME_SIZE) < 1)
        X509_NAME_oneline(subject, out, CA_NAME_SIZE);
    for (char *p = out; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

bool ca_issued(X509 *ca, X509 *cert)
{
    return X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(cert)) == 0;
}

int64_t ca_chain_end(const struct ca_chain *chain)
{
    int64_t first = PROFILE_END_OF_TIME, begin, end;

    for (size_t i = 0; i < chain->count; i++)
        if (ca_times(chain->certs[i], &begin, &end) && end < first)
            first = end;
    return first;
}

void ca_chain_done(struct ca_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        X509_free(chain->certs[i]);
    chain->count = 0;
}

/* ---- finding the way from the key to a root ---- */

static bool signed_itself(X509 *cert)
{
    bool is = ca_issued(cert, cert) && X509_verify(cert, X509_get0_pubkey(cert)) == 1;

    ERR_clear_error();
    return is;
}

/* The certificates of a file, and which of them were used. */
struct pool {
    const char *name;
    X509 *certs[FILE_CERTS_MAX];
    bool used[FILE_CERTS_MAX];
    size_t count;
};

static int take_pem(struct pool *p, const char *label, const uint8_t *der, long len,
                    struct error *err)
{
    const uint8_t *at = der;
    X509 *cert;

    if (strstr(label, "PRIVATE KEY"))
        return error_set(err, ERR_FORMAT,
                         "'%s' holds a private key: it belongs in no file that goes to a station; "
                         "take it out",
                         p->name);
    if (strcmp(label, PEM_STRING_X509) != 0)
        return error_set(err, ERR_FORMAT, "'%s' holds a %.40s beside certificates: take it out",
                         p->name, label);
    if (p->count == FILE_CERTS_MAX)
        return error_set(err, ERR_FORMAT, "'%s' holds more than %d certificates", p->name,
                         FILE_CERTS_MAX);
    cert = d2i_X509(NULL, &at, len);
    if (!cert || at != der + len) {
        X509_free(cert);
        return error_set(err, ERR_FORMAT, "certificate %zu of '%s' is not one certificate in DER",
                         p->count + 1, p->name);
    }
    p->certs[p->count++] = cert;
    return 0;
}

static int read_pool(const struct buf *pem, struct pool *p, struct error *err)
{
    BIO *in = BIO_new_mem_buf(pem->len ? (const void *)pem->data : "", (int)pem->len);
    char *label = NULL, *header = NULL;
    uint8_t *der = NULL;
    long len;
    int rc = in ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    while (rc == 0 && PEM_read_bio(in, &label, &header, &der, &len) == 1) {
        rc = take_pem(p, label, der, len, err);
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len);
    }
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    if (rc == 0 && p->count == 0)
        rc = error_set(err, ERR_FORMAT, "'%s' holds no certificate in PEM", p->name);
    return rc;
}

static int find_own(struct pool *p, EVP_PKEY *key, size_t *own, struct error *err)
{
    size_t found = 0;

    for (size_t i = 0; i < p->count; i++) {
        EVP_PKEY *of = X509_get0_pubkey(p->certs[i]);

        if (of && EVP_PKEY_eq(of, key) == 1) {
            *own = i;
            found++;
        }
    }
    ERR_clear_error();
    if (found == 0)
        return error_set(err, ERR_MISSING,
                         "no certificate in '%s' is of the key that was requested: it answers "
                         "another request",
                         p->name);
    if (found > 1)
        return error_set(err, ERR_INPUT,
                         "%zu certificates in '%s' are of the key that was requested: leave the "
                         "one that counts",
                         found, p->name);
    return 0;
}

/* Of several that bear the issuer's name, the one whose key signed; else any of them, for a message
 * later that says that it did not. FILE_CERTS_MAX for none. */
static size_t find_issuer(const struct pool *p, X509 *cert)
{
    size_t named = FILE_CERTS_MAX;

    for (size_t i = 0; i < p->count; i++) {
        if (p->used[i] || !ca_issued(p->certs[i], cert))
            continue;
        named = i;
        if (X509_verify(cert, X509_get0_pubkey(p->certs[i])) == 1)
            break;
    }
    ERR_clear_error();
    return named;
}

static int missing_issuer(const struct pool *p, X509 *cert, struct error *err)
{
    char subject[CA_NAME_SIZE], issuer[CA_NAME_SIZE];

    ca_name(cert, subject);
    X509_NAME_oneline(X509_get_issuer_name(cert), issuer, sizeof issuer);
    return error_set(err, ERR_INPUT,
                     "'%s' lacks the certificate above '%s', which is of '%s': put every "
                     "certificate up to the root into it",
                     p->name, subject, issuer);
}

static int walk(struct pool *p, size_t at, struct ca_chain *out, struct error *err)
{
    for (;;) {
        X509 *cert = p->certs[at];

        if (out->count == CA_CHAIN_MAX)
            return error_set(err, ERR_INPUT, "the chain in '%s' has more than %d certificates",
                             p->name, CA_CHAIN_MAX);
        X509_up_ref(cert);
        out->certs[out->count++] = cert;
        p->used[at] = true;
        if (signed_itself(cert))
            return 0;
        at = find_issuer(p, cert);
        if (at == FILE_CERTS_MAX)
            return missing_issuer(p, cert, err);
    }
}

static int refuse_unused(const struct pool *p, struct error *err)
{
    char name[CA_NAME_SIZE];

    for (size_t i = 0; i < p->count; i++)
        if (!p->used[i]) {
            ca_name(p->certs[i], name);
            return error_set(err, ERR_INPUT,
                             "the certificate of '%s' in '%s' is not part of the chain: take it "
                             "out",
                             name, p->name);
        }
    return 0;
}

int ca_chain_parse(const struct buf *pem, const char *name, EVP_PKEY *key, struct ca_chain *out,
                   struct error *err)
{
    struct pool p = {.name = name};
    size_t own = 0;
    int rc = read_pool(pem, &p, err);

    out->count = 0;
    if (rc == 0)
        rc = find_own(&p, key, &own, err);
    if (rc == 0)
        rc = walk(&p, own, out, err);
    if (rc == 0)
        rc = refuse_unused(&p, err);
    for (size_t i = 0; i < p.count; i++)
        X509_free(p.certs[i]);
    return rc;
}

/* ---- what a device's certificate may be below it ---- */

int ca_chain_check_life(const struct ca_chain *chain, int64_t begin, int64_t end, struct error *err)
{
    char name[CA_NAME_SIZE], own[CLOCK_TEXT_SIZE], of_ca[CLOCK_TEXT_SIZE];

    for (size_t i = 0; i < chain->count; i++) {
        int64_t from, until;

        ca_name(chain->certs[i], name);
        if (!ca_times(chain->certs[i], &from, &until))
            return error_set(err, ERR_REFUSED, "the certificate of CA '%s' has no validity", name);
        clock_text(begin < from ? begin : end, own);
        clock_text(begin < from ? from : until, of_ca);
        if (begin < from)
            return error_set(err, ERR_REFUSED,
                             "a certificate from %s on would begin before CA '%s' is valid, on %s",
                             own, name, of_ca);
        if (end > until)
            return error_set(err, ERR_REFUSED,
                             "a certificate until %s would outlive CA '%s', which ends on %s: take "
                             "a new issuing CA ('imprint ca request'), or a profile with a shorter "
                             "life",
                             own, name, of_ca);
    }
    return 0;
}

static bool has_dns_name(X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool has = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        has |= sk_GENERAL_NAME_value(names, i)->type == GEN_DNS;
    GENERAL_NAMES_free(names);
    return has;
}

/* RFC 5280 does not know common names that are DNS names, and verifiers do. */
static int judge_constraints(NAME_CONSTRAINTS *names, X509 *cert)
{
    int found = NAME_CONSTRAINTS_check(cert, names);

    return found == X509_V_OK && !has_dns_name(cert) ? NAME_CONSTRAINTS_check_CN(cert, names)
                                                     : found;
}

static int check_constraints(X509 *ca, X509 *cert, struct error *err)
{
    NAME_CONSTRAINTS *names = X509_get_ext_d2i(ca, NID_name_constraints, NULL, NULL);
    char name[CA_NAME_SIZE];
    int found = names ? judge_constraints(names, cert) : X509_V_OK;

    NAME_CONSTRAINTS_free(names);
    if (found == X509_V_OK)
        return 0;
    ca_name(ca, name);
    return error_set(err, ERR_REFUSED,
                     "the name constraints of CA '%s' do not allow this certificate: %s; choose "
                     "other values or another issuing CA",
                     name, X509_verify_cert_error_string(found));
}

static bool has_usage(const EXTENDED_KEY_USAGE *list, const ASN1_OBJECT *wanted)
{
    for (int i = 0; i < sk_ASN1_OBJECT_num(list); i++) {
        const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(list, i);

        if (OBJ_obj2nid(o) == NID_anyExtendedKeyUsage || OBJ_cmp(o, wanted) == 0)
            return true;
    }
    return false;
}

/* RFC 5280 does not say it, and verifiers do it all the same: what a CA's extended key usage lacks,
 * nothing below it may be used for. */
static int check_usages(X509 *ca, X509 *cert, struct error *err)
{
    EXTENDED_KEY_USAGE *allowed = X509_get_ext_d2i(ca, NID_ext_key_usage, NULL, NULL);
    EXTENDED_KEY_USAGE *wanted = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    char name[CA_NAME_SIZE], usage[64] = "";

    for (int i = 0; allowed && !*usage && i < sk_ASN1_OBJECT_num(wanted); i++)
        if (!has_usage(allowed, sk_ASN1_OBJECT_value(wanted, i)))
            OBJ_obj2txt(usage, sizeof usage, sk_ASN1_OBJECT_value(wanted, i), 0);
    EXTENDED_KEY_USAGE_free(allowed);
    EXTENDED_KEY_USAGE_free(wanted);
    if (!*usage)
        return 0;
    ca_name(ca, name);
    return error_set(err, ERR_REFUSED,
                     "the extended key usage of CA '%s' does not allow '%s', which the profile "
                     "names: choose another issuing CA",
                     name, usage);
}

/* Of an extension that is there twice, or cannot be read, X509_get_ext_d2i says what it says of none. */
static int check_readable(X509 *cert, const char *what, struct error *err)
{
    char name[CA_NAME_SIZE];

    /* OpenSSL finds the alternative names then, too. What it returns is also 0 of one that is not signed yet. */
    (void)X509_check_purpose(cert, -1, 0);
    if (!(X509_get_extension_flags(cert) & EXFLAG_INVALID))
        return 0;
    ERR_clear_error();
    ca_name(cert, name);
    return error_set(err, ERR_REFUSED, "%s '%s' has an extension that is malformed, or there twice",
                     what, name);
}

int ca_chain_check_names(const struct ca_chain *chain, X509 *cert, struct error *err)
{
    int rc = check_readable(cert, "the certificate of", err);

    for (size_t i = 0; rc == 0 && i < chain->count; i++) {
        rc = check_readable(chain->certs[i], "CA", err);
        if (rc == 0)
            rc = check_constraints(chain->certs[i], cert, err);
        if (rc == 0)
            rc = check_usages(chain->certs[i], cert, err);
    }
    return rc;
}
