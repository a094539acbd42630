#include "pki/cert.h"

#include "base/file.h"
#include "pki/profile_build.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define PEM_MAX 16384

int cert_der(X509 *cert, struct buf *out, struct error *err)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);

    if (len <= 0)
        return error_set(err, ERR_CRYPTO, "cannot encode a certificate");
    buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    return buf_check(out, "a certificate", err);
}

int cert_from_der(const void *der, size_t len, X509 **out, struct error *err)
{
    const uint8_t *p = der;
    X509 *cert = len <= PEM_MAX ? d2i_X509(NULL, &p, (long)len) : NULL;

    if (!cert || p != (const uint8_t *)der + len) {
        X509_free(cert);
        return error_set(err, ERR_FORMAT, "%zu bytes are not one certificate in DER", len);
    }
    *out = cert;
    return 0;
}

/* ---- Judging a device certificate. ---- */

static int verify_chain(const struct ca_chain *chain, X509_STORE_CTX *ctx, struct error *err)
{
    if (X509_verify_cert(ctx) != 1)
        return error_set(err, ERR_SIGNATURE, "a device certificate does not verify: %s",
                         X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    if ((size_t)sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) != chain->count + 1)
        return error_set(err, ERR_SIGNATURE,
                         "a device certificate does not reach the root over its issuing CA");
    for (size_t i = 0; i < chain->count; i++)
        if (X509_cmp(sk_X509_value(X509_STORE_CTX_get0_chain(ctx), (int)i + 1), chain->certs[i]))
            return error_set(err, ERR_SIGNATURE,
                             "a device certificate reaches the root another way than expected");
    return 0;
}

int cert_check_chain(X509 *cert, const struct ca_chain *chain, unsigned long flags,
                     struct error *err)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    bool ready = store && ctx && untrusted && chain->count > 0 &&
                 X509_STORE_add_cert(store, chain->certs[chain->count - 1]) == 1;
    int64_t begin = 0, end = 0;
    int rc = 0;

    for (size_t i = 0; ready && i + 1 < chain->count; i++)
        ready = sk_X509_push(untrusted, chain->certs[i]) > 0;
    if (!ready || X509_STORE_CTX_init(ctx, store, cert, untrusted) != 1 ||
        !ca_times(cert, &begin, &end)) {
        rc = error_set(err, ERR_CRYPTO, "cannot set up a certificate verification");
    } else {
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | flags);
        X509_STORE_CTX_set_time(ctx, 0, (time_t)begin);
        rc = verify_chain(chain, ctx, err);
    }
    if (rc == 0)
        rc = ca_chain_check_life(chain, begin, end, err);
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return rc;
}

static bool string_is(const ASN1_STRING *is, const char *text)
{
    return is && (size_t)ASN1_STRING_length(is) == strlen(text) &&
           memcmp(ASN1_STRING_get0_data(is), text, strlen(text)) == 0;
}

static bool number_is(X509 *cert, const uint8_t number[CERT_NUMBER_SIZE])
{
    const ASN1_INTEGER *is = X509_get0_serialNumber(cert);

    return ASN1_STRING_type(is) == V_ASN1_INTEGER && ASN1_STRING_length(is) == CERT_NUMBER_SIZE &&
           memcmp(ASN1_STRING_get0_data(is), number, CERT_NUMBER_SIZE) == 0;
}

bool cert_has_key(X509 *cert, const struct public_key *key)
{
    struct public_key is;

    return key_of(X509_get0_pubkey(cert), &is, NULL) == 0 && key_same(&is, key);
}

bool cert_scheme(X509 *cert, enum sig_scheme *scheme)
{
    const X509_ALGOR *algorithm;
    uint8_t *der = NULL;
    int len;
    bool known;

    X509_get0_signature(NULL, &algorithm, cert);
    len = i2d_X509_ALGOR(algorithm, &der);
    known = len > 0 && scheme_parse(der, (size_t)len, scheme);
    OPENSSL_free(der);
    return known;
}

static bool scheme_is(X509 *cert, enum sig_scheme scheme)
{
    enum sig_scheme is;

    return cert_scheme(cert, &is) && is == scheme;
}

static bool subject_serial_is(X509 *cert, const char *serial)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_serialNumber, -1);

    return at >= 0 && X509_NAME_get_index_by_NID(subject, NID_serialNumber, at) < 0 &&
           string_is(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), serial);
}

/* What no profile changes. */
static bool is_device(X509 *cert, enum sig_scheme scheme)
{
    return X509_check_ca(cert) == 0 && scheme_is(cert, scheme) &&
           !(X509_get_extension_flags(cert) & EXFLAG_INVALID);
}

/* Is it, to the byte, what OpenSSL builds for the profile and these values? */
static int check_profile(const uint8_t *der, size_t len, X509 *cert, X509 *issuer,
                         const struct cert_expect *expect, struct error *err)
{
    struct profile_input input = {expect->number, expect->key, 0, NULL, issuer};
    const char *values[VALUE_COUNT];
    struct buf tbs;
    struct tm begins;
    long body;
    int tag, class, rc;

    memcpy(values, expect->values, sizeof values);
    values[VALUE_SERIAL] = expect->serial;
    input.values = values;
    if (ASN1_TIME_to_tm(X509_get0_notBefore(cert), &begins) != 1)
        return error_set(err, ERR_FORMAT, "a certificate has no notBefore");
    input.issued = timegm(&begins);
    buf_init(&tbs, PEM_MAX);
    rc = profile_build_tbs(expect->profile, &input, expect->scheme, &tbs, err);
    /* behind the header of the outer SEQUENCE */
    if (rc == 0 && (ASN1_get_object(&der, &body, &tag, &class, (long)len) != V_ASN1_CONSTRUCTED ||
                    (size_t)body < tbs.len || memcmp(der, tbs.data, tbs.len)))
        rc = error_set(err, ERR_INTEGRITY,
                       "the certificate of device '%s' is not what profile '%s' describes",
                       expect->serial, expect->profile->name);
    buf_done(&tbs);
    return rc;
}

static int check_contents(X509 *cert, const struct cert_expect *expect, struct error *err)
{
    const char *wrong = NULL;

    if (!is_device(cert, expect->scheme))
        wrong = "form";
    else if (!number_is(cert, expect->number))
        wrong = "serial number";
    else if (!cert_has_key(cert, expect->key))
        wrong = "public key";
    else if (!subject_serial_is(cert, expect->serial))
        wrong = "subject serialNumber";
    return wrong ? error_set(err, ERR_INTEGRITY,
                             "the certificate of device '%s' does not have the %s it was made for",
                             expect->serial, wrong)
                 : 0;
}

unsigned long cert_own_flags(const struct cert_profile *profile)
{
    unsigned long flags = 0;

    for (size_t i = 0; i < profile->extension_count; i++)
        if (profile->extensions[i].critical)
            flags = X509_V_FLAG_IGNORE_CRITICAL;
    return flags;
}

int cert_check(const void *der, size_t len, const struct ca_chain *chain,
               const struct cert_expect *expect, struct error *err)
{
    X509 *cert;
    int rc = cert_from_der(der, len, &cert, err);

    if (rc)
        return rc;
    rc = cert_check_chain(cert, chain, cert_own_flags(expect->profile), err);
    if (rc == 0)
        rc = check_contents(cert, expect, err);
    if (rc == 0)
        rc = check_profile(der, len, cert, chain->certs[0], expect, err);
    X509_free(cert);
    return rc;
}

/* ---- PEM. ---- */

static int take_bio(BIO *bio, int written, struct buf *out, struct error *err)
{
    char *text;
    long len = bio ? BIO_get_mem_data(bio, &text) : 0;

    if (written == 1 && len > 0)
        buf_put(out, text, (size_t)len);
    BIO_free(bio);
    return written == 1 && len > 0 ? buf_check(out, "a PEM text", err)
                                   : error_set(err, ERR_CRYPTO, "cannot write a PEM text");
}

int cert_pem(X509 *cert, struct buf *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return take_bio(bio, bio ? PEM_write_bio_X509(bio, cert) : 0, out, err);
}

int cert_key_pem(const uint8_t point[EC_POINT_SIZE], struct buf *out, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = NULL;
    int written = 0;

    if (bio && ec_public_key(point, &key, NULL) == 0)
        written = PEM_write_bio_PUBKEY(bio, key);
    EVP_PKEY_free(key);
    return take_bio(bio, written, out, err);
}

/* The one object of this label in a PEM file; *der is freed with OPENSSL_free. */
static int read_one(const char *path, const char *label, uint8_t **der, long *len,
                    struct error *err)
{
    char *name = NULL, *header = NULL;
    struct buf text;
    BIO *bio = NULL;
    uint8_t *data = NULL, next;
    int rc;

    buf_init(&text, PEM_MAX);
    rc = file_read(path, &text, err);
    if (rc == 0) {
        bio = BIO_new_mem_buf(text.data, (int)text.len);
        if (!bio || PEM_read_bio(bio, &name, &header, &data, len) != 1 || strcmp(name, label) ||
            BIO_read(bio, &next, 1) == 1)
            rc = error_set(err, ERR_FORMAT, "'%s' is not a PEM file with one %s and nothing else",
                           path, label);
    }
    BIO_free(bio);
    buf_done(&text);
    OPENSSL_free(name);
    OPENSSL_free(header);
    if (rc)
        OPENSSL_free(data);
    else
        *der = data;
    return rc;
}

int cert_read(const char *path, X509 **out, struct error *err)
{
    uint8_t *der;
    long len;
    int rc = read_one(path, PEM_STRING_X509, &der, &len, err);

    if (rc)
        return rc;
    rc = cert_from_der(der, (size_t)len, out, err);
    if (rc)
        error_prefix(err, "'%s'", path);
    OPENSSL_free(der);
    return rc;
}

int cert_key_read(const char *path, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    uint8_t *der, spki[EC_SPKI_SIZE];
    EVP_PKEY *key = NULL;
    long len;
    int rc = read_one(path, PEM_STRING_PUBLIC, &der, &len, err);

    if (rc)
        return rc;
    /* The SubjectPublicKeyInfo of P-256 has one encoding, so comparing is parsing. */
    if (len == EC_SPKI_SIZE)
        ec_spki(der + EC_SPKI_SIZE - EC_POINT_SIZE, spki);
    if (len != EC_SPKI_SIZE || memcmp(spki, der, sizeof spki) ||
        ec_public_key(der + EC_SPKI_SIZE - EC_POINT_SIZE, &key, NULL))
        rc =
            error_set(err, ERR_FORMAT, "'%s' does not hold an uncompressed P-256 public key", path);
    else
        memcpy(point, der + EC_SPKI_SIZE - EC_POINT_SIZE, EC_POINT_SIZE);
    EVP_PKEY_free(key);
    OPENSSL_free(der);
    return rc;
}

static int write_text(const char *path, struct buf *text, int rc, struct error *err)
{
    if (rc == 0)
        rc = file_write(path, text->data, text->len, 0644, err);
    buf_done(text);
    return rc;
}

int cert_write(const char *path, X509 *cert, struct error *err)
{
    struct buf text;

    buf_init(&text, PEM_MAX);
    return write_text(path, &text, cert_pem(cert, &text, err), err);
}

int cert_key_write(const char *path, const uint8_t point[EC_POINT_SIZE], struct error *err)
{
    struct buf text;

    buf_init(&text, PEM_MAX);
    return write_text(path, &text, cert_key_pem(point, &text, err), err);
}
