#include "station/vault/csr.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdbool.h>
#include <string.h>

#define WHOSE          "the device's certificate request"
#define DER_BOOLEAN    0x01
#define DER_INTEGER    0x02
#define DER_BIT_STRING 0x03
#define DER_OCTETS     0x04
#define DER_OID        0x06
#define DER_SEQUENCE   0x30
#define DER_SET        0x31
#define DER_ATTRIBUTES 0xa0

#define RSA_BITS_MIN   2048
#define WEAK_MULTIPLES 1024 /* of the generator: private keys that somebody counted up to */
#define EXTENSIONS_MAX 16
#define MISSING_LENGTH SIZE_MAX

static const uint8_t oid_ec_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ecdsa_sha256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t oid_extension_request[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                                0x0d, 0x01, 0x09, 0x0e};

/* ---- DER ---- */

/* A part of the request that is being read. */
struct der {
    const uint8_t *p;
    size_t left;
};

/* The length behind a tag; p moves past it. MISSING_LENGTH when it is cut or not DER. */
static size_t take_length(struct der *d)
{
    size_t length, width;

    if (d->left == 0)
        return MISSING_LENGTH;
    length = *d->p++;
    d->left--;
    if (length < 0x80)
        return length;
    width = length & 0x7f;
    /* 0x80 is the indefinite form, and no request needs three bytes. */
    if (width < 1 || width > 2 || d->left < width)
        return MISSING_LENGTH;
    length = width == 1 ? d->p[0] : (size_t)d->p[0] << 8 | d->p[1];
    d->p += width;
    d->left -= width;
    return length < (width == 1 ? 0x80u : 0x100u) ? MISSING_LENGTH : length;
}

/* Steps into the element that comes next: what remains of d is what follows it. */
static int enter(struct der *d, uint8_t tag, const char *what, struct der *inner, struct error *err)
{
    struct der at = *d;
    size_t length;

    if (at.left == 0)
        return error_set(err, ERR_PROTOCOL, WHOSE " has no %s", what);
    if (*at.p != tag)
        return error_set(err, ERR_PROTOCOL, WHOSE " has tag 0x%02x where its %s has 0x%02x", *at.p,
                         what, tag);
    at.p++;
    at.left--;
    length = take_length(&at);
    if (length == MISSING_LENGTH)
        return error_set(err, ERR_PROTOCOL, WHOSE ": the length of its %s is not DER", what);
    if (length > at.left)
        return error_set(err, ERR_PROTOCOL, WHOSE ": its %s is cut short", what);
    *inner = (struct der){at.p, length};
    *d = (struct der){at.p + length, at.left - length};
    return 0;
}

static int end(const struct der *d, const char *what, struct error *err)
{
    if (d->left)
        return error_set(err, ERR_PROTOCOL, WHOSE " has %zu bytes more than its %s", d->left, what);
    return 0;
}

static bool is(const struct der *d, const void *bytes, size_t len)
{
    return d->left == len && memcmp(d->p, bytes, len) == 0;
}

/* A BIT STRING of whole bytes. */
static int enter_bits(struct der *d, const char *what, struct der *inner, struct error *err)
{
    int rc = enter(d, DER_BIT_STRING, what, inner, err);

    if (rc)
        return rc;
    if (inner->left < 2 || *inner->p != 0)
        return error_set(err, ERR_PROTOCOL, WHOSE ": its %s is empty or ends within a byte", what);
    inner->p++;
    inner->left--;
    return 0;
}

/* ---- the key ---- */

/* A multiple of the generator that somebody counted up to, on either side of zero. */
static int check_multiples(const EC_GROUP *group, const EC_POINT *point, BN_CTX *ctx,
                           struct error *err)
{
    const EC_POINT *generator = EC_GROUP_get0_generator(group);
    EC_POINT *sum = EC_POINT_dup(generator, group), *mirror = EC_POINT_dup(point, group);
    bool ok = sum && mirror && EC_POINT_invert(group, mirror, ctx) == 1;
    bool weak = false;

    for (int i = 0; ok && !weak && i < WEAK_MULTIPLES; i++) {
        weak =
            EC_POINT_cmp(group, sum, point, ctx) == 0 || EC_POINT_cmp(group, sum, mirror, ctx) == 0;
        ok = EC_POINT_add(group, sum, sum, generator, ctx) == 1;
    }
    EC_POINT_free(sum);
    EC_POINT_free(mirror);
    if (weak)
        return error_set(err, ERR_REFUSED,
                         WHOSE " has a weak key, which anybody can guess: its random source is "
                               "broken, set it aside");
    return ok ? 0 : error_set(err, ERR_INTERNAL, "out of memory");
}

static int check_point(const uint8_t bytes[EC_POINT_SIZE], struct error *err)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BN_CTX *ctx = BN_CTX_new();
    int rc;

    if (!point || !ctx)
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (EC_POINT_oct2point(group, point, bytes, EC_POINT_SIZE, ctx) != 1)
        rc = error_set(err, ERR_REFUSED, WHOSE " has a key that is no point of the curve P-256");
    else
        rc = check_multiples(group, point, ctx, err);
    BN_CTX_free(ctx);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return rc;
}

static int read_point(struct der *key, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    struct der bits;
    int rc = enter_bits(key, "public key", &bits, err);

    if (rc == 0)
        rc = end(key, "public key", err);
    if (rc)
        return rc;
    if (bits.left == (EC_POINT_SIZE + 1) / 2 && (*bits.p == 2 || *bits.p == 3))
        return error_set(err, ERR_REFUSED,
                         WHOSE " has a compressed key, and certificates here have whole ones");
    if (bits.left != EC_POINT_SIZE || *bits.p != 4)
        return error_set(err, ERR_PROTOCOL, WHOSE " has a key of %zu bytes that is no P-256 point",
                         bits.left);
    memcpy(point, bits.p, EC_POINT_SIZE);
    return check_point(point, err);
}

/* Bits of an unsigned INTEGER. */
static size_t bits_of(const struct der *d)
{
    size_t skip = 0, bits;

    while (skip < d->left && d->p[skip] == 0)
        skip++;
    if (skip == d->left)
        return 0;
    bits = (d->left - skip) * 8;
    for (uint8_t top = d->p[skip]; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

/* No profile has RSA keys: what is said of one tells the engineer what the device made. */
static int refuse_rsa(struct der *key, struct error *err)
{
    struct der bits, numbers, modulus, exponent;
    int rc = enter_bits(key, "public key", &bits, err);

    if (rc == 0)
        rc = enter(&bits, DER_SEQUENCE, "RSA key", &numbers, err);
    if (rc == 0)
        rc = enter(&numbers, DER_INTEGER, "RSA modulus", &modulus, err);
    if (rc == 0)
        rc = enter(&numbers, DER_INTEGER, "RSA exponent", &exponent, err);
    if (rc)
        return rc;
    if (bits_of(&modulus) < RSA_BITS_MIN)
        return error_set(err, ERR_REFUSED, WHOSE " has an RSA key of %zu bits, which is too short",
                         bits_of(&modulus));
    if (!(modulus.p[modulus.left - 1] & 1))
        return error_set(err, ERR_REFUSED, WHOSE " has an RSA key whose modulus is even");
    if (bits_of(&exponent) < 17 || !(exponent.p[exponent.left - 1] & 1))
        return error_set(err, ERR_REFUSED,
                         WHOSE " has an RSA key with a weak exponent: even, or below 65537");
    return error_set(err, ERR_REFUSED,
                     WHOSE " has an RSA key of %zu bits, and the order's profile is for P-256 keys",
                     bits_of(&modulus));
}

static int read_key(struct der *info, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    struct der key, algorithm, oid, curve;
    int rc = enter(info, DER_SEQUENCE, "public key info", &key, err);

    if (rc == 0)
        rc = enter(&key, DER_SEQUENCE, "key algorithm", &algorithm, err);
    if (rc == 0)
        rc = enter(&algorithm, DER_OID, "key algorithm's name", &oid, err);
    if (rc)
        return rc;
    if (is(&oid, oid_rsa, sizeof oid_rsa))
        return refuse_rsa(&key, err);
    if (!is(&oid, oid_ec_key, sizeof oid_ec_key))
        return error_set(err, ERR_REFUSED,
                         WHOSE " has a key of another kind than the order's profile, which is for "
                               "P-256 keys");
    if (algorithm.left && *algorithm.p == DER_SEQUENCE)
        return error_set(err, ERR_REFUSED, WHOSE " spells out its curve instead of naming it");
    rc = enter(&algorithm, DER_OID, "curve", &curve, err);
    if (rc == 0)
        rc = end(&algorithm, "curve", err);
    if (rc)
        return rc;
    if (!is(&curve, oid_p256, sizeof oid_p256))
        return error_set(err, ERR_REFUSED, WHOSE " has a key on another curve than P-256");
    return read_point(&key, point, err);
}

/* ---- what it asks for besides ---- */

/* One Extension: takes it off d. value is what its OCTET STRING holds. */
static int read_extension(struct der *d, struct der *oid, bool *critical, struct der *value,
                          struct error *err)
{
    struct der extension, flag;
    int rc = enter(d, DER_SEQUENCE, "extension", &extension, err);

    if (rc == 0)
        rc = enter(&extension, DER_OID, "extension's name", oid, err);
    *critical = rc == 0 && extension.left && *extension.p == DER_BOOLEAN;
    if (*critical) {
        rc = enter(&extension, DER_BOOLEAN, "extension's criticality", &flag, err);
        if (rc == 0 && !is(&flag, "\xff", 1)) /* DER leaves FALSE out */
            rc = error_set(err, ERR_PROTOCOL, WHOSE ": an extension's criticality is not DER");
    }
    if (rc == 0)
        rc = enter(&extension, DER_OCTETS, "extension's value", value, err);
    return rc ? rc : end(&extension, "extension", err);
}

static int check_extension_list(struct der list, struct error *err)
{
    struct der oid, value;
    bool critical;
    int rc = 0;

    if (list.left == 0)
        return error_set(err, ERR_PROTOCOL, WHOSE " has an extension request without extensions");
    for (int i = 0; rc == 0 && list.left; i++) {
        if (i == EXTENSIONS_MAX)
            return error_set(err, ERR_PROTOCOL, WHOSE " asks for more than %d extensions",
                             EXTENSIONS_MAX);
        rc = read_extension(&list, &oid, &critical, &value, err);
    }
    return rc;
}

static int read_extension_request(struct der *attribute, struct csr *out, struct error *err)
{
    struct der set, list;
    int rc = enter(attribute, DER_SET, "extension request", &set, err);

    if (rc == 0)
        rc = enter(&set, DER_SEQUENCE, "list of extensions", &list, err);
    if (rc == 0)
        rc = end(&set, "list of extensions", err);
    if (rc == 0)
        rc = end(attribute, "extension request", err);
    if (rc == 0)
        rc = check_extension_list(list, err);
    if (rc)
        return rc;
    out->extensions = list.p;
    out->extensions_len = list.left;
    return 0;
}

static int read_attributes(struct der *info, struct csr *out, struct error *err)
{
    struct der attributes, attribute, oid;
    int rc = enter(info, DER_ATTRIBUTES, "attributes", &attributes, err);

    if (rc || attributes.left == 0)
        return rc;
    rc = enter(&attributes, DER_SEQUENCE, "attribute", &attribute, err);
    if (rc == 0)
        rc = end(&attributes, "one attribute", err);
    if (rc == 0)
        rc = enter(&attribute, DER_OID, "attribute's name", &oid, err);
    if (rc)
        return rc;
    if (!is(&oid, oid_extension_request, sizeof oid_extension_request))
        return error_set(err, ERR_REFUSED, WHOSE " has an attribute that is no extension request");
    return read_extension_request(&attribute, out, err);
}

/* ---- the whole ---- */

static int read_info(struct der info, struct csr *out, struct error *err)
{
    struct der version, name;
    const uint8_t *start;
    int rc = enter(&info, DER_INTEGER, "version", &version, err);

    if (rc)
        return rc;
    if (!is(&version, "\0", 1))
        return error_set(err, ERR_PROTOCOL, WHOSE " has another version than 1");
    start = info.p;
    rc = enter(&info, DER_SEQUENCE, "subject", &name, err);
    if (rc)
        return rc;
    out->subject = start;
    out->subject_len = (size_t)(info.p - start);
    rc = read_key(&info, out->point, err);
    if (rc == 0)
        rc = read_attributes(&info, out, err);
    return rc ? rc : end(&info, "attributes", err);
}

static int check_signature(struct der *request, const struct csr *csr,
                           const struct der *signed_part, struct error *err)
{
    struct der algorithm, oid, bits;
    uint8_t sig[EC_SIG_SIZE];
    int rc = enter(request, DER_SEQUENCE, "signature algorithm", &algorithm, err);

    if (rc == 0)
        rc = enter(&algorithm, DER_OID, "signature algorithm's name", &oid, err);
    if (rc == 0 && !(is(&oid, oid_ecdsa_sha256, sizeof oid_ecdsa_sha256) && algorithm.left == 0))
        rc = error_set(err, ERR_REFUSED,
                       WHOSE " is signed with another algorithm than ECDSA with SHA-256");
    if (rc == 0)
        rc = enter_bits(request, "signature", &bits, err);
    if (rc == 0)
        rc = end(request, "signature", err);
    if (rc)
        return rc;
    if (ec_sig_from_der(bits.p, bits.left, sig))
        return error_set(err, ERR_PROTOCOL, WHOSE " has a signature that is no ECDSA signature");
    if (ec_verify(csr->point, signed_part->p, signed_part->left, sig, NULL))
        return error_set(err, ERR_SIGNATURE,
                         WHOSE " is not signed by the key in it: whoever sent it does not hold it");
    return 0;
}

int csr_read(const uint8_t *der, size_t len, struct csr *out, struct error *err)
{
    struct der all = {der, len}, request, info, signed_part;
    struct csr made = {0};
    int rc;

    if (len > IMPRINT_CSR_MAX)
        return error_set(err, ERR_PROTOCOL, WHOSE " has %zu bytes, and may have %d", len,
                         IMPRINT_CSR_MAX);
    rc = enter(&all, DER_SEQUENCE, "outer sequence", &request, err);
    if (rc == 0)
        rc = end(&all, "outer sequence", err);
    if (rc)
        return rc;
    signed_part.p = request.p;
    rc = enter(&request, DER_SEQUENCE, "request info", &info, err);
    if (rc)
        return rc;
    signed_part.left = (size_t)(request.p - signed_part.p);
    rc = read_info(info, &made, err);
    if (rc == 0)
        rc = check_signature(&request, &made, &signed_part, err);
    if (rc == 0)
        *out = made;
    return rc;
}

int csr_check_subject(const struct csr *csr, const uint8_t *subject, size_t len, struct error *err)
{
    if (csr->subject_len == len && memcmp(csr->subject, subject, len) == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     WHOSE " names another subject than the job gives this device: set it aside");
}

/* Whether the certificate has this extension with this value. */
static bool has_extension(X509 *cert, const struct der *oid, bool critical, const struct der *value)
{
    for (int i = 0; i < X509_get_ext_count(cert); i++) {
        X509_EXTENSION *extension = X509_get_ext(cert, i);
        const ASN1_OBJECT *name = X509_EXTENSION_get_object(extension);
        const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(extension);

        if (is(oid, OBJ_get0_data(name), OBJ_length(name)))
            return (X509_EXTENSION_get_critical(extension) != 0) == critical &&
                   is(value, ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
    }
    return false;
}

int csr_check_extensions(const struct csr *csr, X509 *cert, struct error *err)
{
    struct der list = {csr->extensions, csr->extensions_len}, oid, value;
    bool critical;
    int rc = 0;

    for (int i = 1; rc == 0 && list.left; i++) {
        rc = read_extension(&list, &oid, &critical, &value, err);
        if (rc == 0 && !has_extension(cert, &oid, critical, &value))
            rc = error_set(err, ERR_REFUSED,
                           WHOSE " asks for an extension (number %d) that the order's profile does "
                                 "not give: set it aside",
                           i);
    }
    return rc;
}
