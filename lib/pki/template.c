#include "pki/template.h"

#include "pki/x509_build.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define PLACEHOLDER   "{serial}"
#define SERIAL_PLACES 3 /* subject serialNumber, CN, hwSerialNum */
#define TIME_FORMS    2 /* UTCTime, GeneralizedTime */
#define YEAR_2050     INT64_C(2524608000)
#define YEAR_1950     INT64_C(-631152000)

/* A TBSCertificate and where to patch it. */
struct compiled {
    struct buf tbs;
    size_t number, not_before, point, key_id, serial[SERIAL_PLACES];
};

struct cert_template {
    char *organization, *prefix, *suffix; /* the common name is prefix, serial, suffix */
    ASN1_OBJECT *hw_type;
    X509_NAME *issuer;
    uint8_t issuer_id[CERT_KEY_ID_SIZE];
    struct compiled *cache[TIME_FORMS][SERIAL_MAX + 1];
};

static size_t form_of(int64_t not_before)
{
    return not_before >= YEAR_2050;
}

/* The text of notBefore without tag and length: 13 characters, or 15. */
static size_t time_text(int64_t when, char out[16])
{
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)when);
    size_t len = 0;

    if (time && ASN1_STRING_length(time) < 16) {
        len = (size_t)ASN1_STRING_length(time);
        memcpy(out, ASN1_STRING_get0_data(time), len);
    }
    ASN1_TIME_free(time);
    return len;
}

/* ---- A certificate by OpenSSL: what the patched bytes have to equal. ---- */

static bool set_subject(const struct cert_template *t, X509_NAME *name, const char *serial)
{
    char cn[COMMON_NAME_MAX + 1];
    int len = snprintf(cn, sizeof cn, "%s%s%s", t->prefix, serial, t->suffix);

    return len > 0 && len <= COMMON_NAME_MAX &&
           x509_name_add(name, NID_organizationName, t->organization) &&
           x509_name_add(name, NID_serialNumber, serial) && x509_name_add(name, NID_commonName, cn);
}

static bool reference_tbs(const struct cert_template *t, const struct cert_subject *s,
                          struct buf *out)
{
    X509 *cert = x509_start(s->number, s->not_before);
    EVP_PKEY *any = EVP_EC_gen("P-256");
    uint8_t *der = NULL;
    int len = -1;

    if (cert && X509_set_issuer_name(cert, t->issuer) == 1 &&
        set_subject(t, X509_get_subject_name(cert), s->serial) &&
        x509_add_constraints(cert, false, -1) && x509_add_key_usage(cert, KU_DIGITAL_SIGNATURE) &&
        x509_add_key(cert, s->point) && x509_add_authority(cert, t->issuer_id) &&
        x509_add_hw_module(cert, t->hw_type, s->serial) &&
        /* whoever signs, the signature algorithm inside is set by it */
        X509_sign(cert, any, EVP_sha256()) > 0)
        len = i2d_re_X509_tbs(cert, &der);
    if (len > 0)
        buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    EVP_PKEY_free(any);
    X509_free(cert);
    return len > 0 && !buf_failed(out);
}

/* Random values; a serial of one character, repeated. */
static bool sample(struct cert_subject *s, char serial[SERIAL_MAX + 1], size_t serial_len, char c,
                   int64_t not_before)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    bool good =
        key && ec_point(key, s->point, NULL) == 0 && RAND_bytes(s->number, sizeof s->number) == 1;

    EVP_PKEY_free(key);
    s->number[0] = 0x01;
    s->not_before = not_before;
    memset(serial, c, serial_len);
    serial[serial_len] = 0;
    s->serial = serial;
    return good;
}

/* ---- Compiling. ---- */

/* Finds needle exactly count times. */
static bool locate(const struct buf *tbs, const void *needle, size_t len, size_t *places,
                   size_t count)
{
    size_t found = 0;

    for (size_t at = 0; at + len <= tbs->len; at++)
        if (memcmp(tbs->data + at, needle, len) == 0) {
            if (found == count)
                return false;
            places[found++] = at;
        }
    return found == count;
}

static bool locate_all(struct compiled *c, const struct cert_subject *s)
{
    uint8_t key_id[CERT_KEY_ID_SIZE];
    char when[16];
    size_t when_len = time_text(s->not_before, when);

    cert_key_id(s->point, key_id);
    return when_len > 0 && locate(&c->tbs, s->number, sizeof s->number, &c->number, 1) &&
           locate(&c->tbs, when, when_len, &c->not_before, 1) &&
           locate(&c->tbs, s->point, sizeof s->point, &c->point, 1) &&
           locate(&c->tbs, key_id, sizeof key_id, &c->key_id, 1) &&
           locate(&c->tbs, s->serial, strlen(s->serial), c->serial, SERIAL_PLACES);
}

static void patch(const struct compiled *c, const struct cert_subject *s, uint8_t *tbs)
{
    char when[16];
    size_t when_len = time_text(s->not_before, when), serial_len = strlen(s->serial);

    memcpy(tbs, c->tbs.data, c->tbs.len);
    memcpy(tbs + c->number, s->number, sizeof s->number);
    memcpy(tbs + c->not_before, when, when_len);
    memcpy(tbs + c->point, s->point, sizeof s->point);
    cert_key_id(s->point, tbs + c->key_id);
    for (size_t i = 0; i < SERIAL_PLACES; i++)
        memcpy(tbs + c->serial[i], s->serial, serial_len);
}

/* Does patching give what OpenSSL gives, for values that have nothing in common with the sample? */
static bool reproduces(const struct cert_template *t, const struct compiled *c, size_t serial_len,
                       int64_t not_before)
{
    struct cert_subject other;
    char serial[SERIAL_MAX + 1];
    uint8_t patched[CERT_DER_MAX];
    struct buf reference;
    bool good;

    buf_init(&reference, sizeof patched);
    good = sample(&other, serial, serial_len, 'm', not_before);
    for (size_t i = 1; i < serial_len; i++)
        serial[i] = (char)('a' + i % 26);
    good = good && reference_tbs(t, &other, &reference) && reference.len == c->tbs.len;
    if (good) {
        patch(c, &other, patched);
        good = memcmp(patched, reference.data, reference.len) == 0;
    }
    buf_done(&reference);
    return good;
}

static void compiled_free(struct compiled *c)
{
    if (c)
        buf_done(&c->tbs);
    free(c);
}

/* Tries one character after the other until the sample's serial stands where it must and nowhere
 * else, say in the organization. */
static bool find_places(const struct cert_template *t, struct compiled *c, size_t serial_len,
                        size_t form)
{
    static const char characters[] = "QZXJKVW0123456789qzxjkvw";
    const int64_t when = form ? YEAR_2050 + 86399 : INT64_C(981173106); /* 2001-02-03 04:05:06 */

    for (const char *p = characters; *p; p++) {
        struct cert_subject s;
        char serial[SERIAL_MAX + 1];

        buf_reset(&c->tbs);
        if (sample(&s, serial, serial_len, *p, when) && reference_tbs(t, &s, &c->tbs) &&
            locate_all(c, &s))
            return reproduces(t, c, serial_len, when + INT64_C(86400) * 400 + 7);
    }
    return false;
}

static int compile(struct cert_template *t, size_t serial_len, size_t form, struct error *err)
{
    struct compiled *c = calloc(1, sizeof *c);

    if (!c)
        return error_set(err, ERR_INTERNAL, "out of memory");
    buf_init(&c->tbs, CERT_DER_MAX - 128);
    if (!find_places(t, c, serial_len, form)) {
        compiled_free(c);
        return error_set(err, ERR_CRYPTO,
                         "cannot compile a certificate template for serials of %zu characters: a "
                         "name is too long, or holds what the template has to find",
                         serial_len);
    }
    t->cache[form][serial_len] = c;
    return 0;
}

/* ---- The public face. ---- */

static int split_common_name(struct cert_template *t, const char *pattern, struct error *err)
{
    const char *at;

    pattern = pattern ? pattern : PLACEHOLDER;
    at = strstr(pattern, PLACEHOLDER);
    if (!at || strstr(at + 1, PLACEHOLDER) || strlen(pattern) > COMMON_NAME_MAX)
        return error_set(err, ERR_INPUT,
                         "common name '%.80s' does not hold '" PLACEHOLDER "' exactly once, or is "
                         "too long",
                         pattern);
    t->prefix = strndup(pattern, (size_t)(at - pattern));
    t->suffix = strdup(at + strlen(PLACEHOLDER));
    return t->prefix && t->suffix ? 0 : error_set(err, ERR_INTERNAL, "out of memory");
}

static int take_issuer(struct cert_template *t, X509 *issuer, struct error *err)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);

    if (X509_check_ca(issuer) != 1 || !id || ASN1_STRING_length(id) != CERT_KEY_ID_SIZE)
        return error_set(err, ERR_INPUT,
                         "the issuer of a certificate template is not a CA certificate with a "
                         "subject key identifier of %d octets",
                         CERT_KEY_ID_SIZE);
    memcpy(t->issuer_id, ASN1_STRING_get0_data(id), CERT_KEY_ID_SIZE);
    t->issuer = X509_NAME_dup(X509_get_subject_name(issuer));
    return t->issuer ? 0 : error_set(err, ERR_INTERNAL, "out of memory");
}

static int take_params(struct cert_template *t, const struct cert_template_params *params,
                       struct error *err)
{
    size_t len = strlen(params->organization);

    if (len == 0 || len > 64)
        return error_set(err, ERR_INPUT,
                         "organization '%.80s' has %zu characters, it must have 1 "
                         "to 64",
                         params->organization, len);
    t->hw_type = OBJ_txt2obj(params->hw_type, 1);
    if (!t->hw_type || OBJ_length(t->hw_type) > 64)
        return error_set(err, ERR_INPUT, "hardware type '%.80s' is not an object identifier",
                         params->hw_type);
    t->organization = strdup(params->organization);
    if (!t->organization)
        return error_set(err, ERR_INTERNAL, "out of memory");
    return split_common_name(t, params->common_name, err);
}

static int check_serial_len(const struct cert_template *t, size_t serial_len, struct error *err)
{
    size_t name_len = strlen(t->prefix) + serial_len + strlen(t->suffix);

    if (serial_len < SERIAL_MIN || serial_len > SERIAL_MAX || name_len > COMMON_NAME_MAX)
        return error_set(err, ERR_INPUT,
                         "serials of %zu characters give a common name of %zu: a serial may have "
                         "%d to %d, a common name %d",
                         serial_len, name_len, SERIAL_MIN, SERIAL_MAX, COMMON_NAME_MAX);
    return 0;
}

int cert_template_new(const struct cert_template_params *params, size_t serial_len,
                      struct cert_template **out, struct error *err)
{
    struct cert_template *t = calloc(1, sizeof *t);
    int rc;

    if (!t)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = take_params(t, params, err);
    if (rc == 0)
        rc = take_issuer(t, params->issuer, err);
    if (rc == 0)
        rc = check_serial_len(t, serial_len, err);
    if (rc == 0)
        rc = compile(t, serial_len, 0, err);
    if (rc) {
        cert_template_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void cert_template_free(struct cert_template *t)
{
    if (!t)
        return;
    for (size_t form = 0; form < TIME_FORMS; form++)
        for (size_t len = 0; len <= SERIAL_MAX; len++)
            compiled_free(t->cache[form][len]);
    ASN1_OBJECT_free(t->hw_type);
    X509_NAME_free(t->issuer);
    free(t->organization);
    free(t->prefix);
    free(t->suffix);
    free(t);
}

int cert_template_tbs(struct cert_template *t, const struct cert_subject *subject, struct buf *tbs,
                      struct error *err)
{
    size_t len = strlen(subject->serial), form = form_of(subject->not_before);
    uint8_t *room;
    int rc = serial_valid(subject->serial, err);

    if (rc)
        return rc;
    if (subject->number[0] != 0x01)
        return error_set(err, ERR_INPUT, "a certificate serial number does not begin with 0x01");
    if (subject->not_before < YEAR_1950)
        return error_set(err, ERR_INPUT, "a certificate cannot begin before 1950");
    if (!t->cache[form][len]) {
        rc = check_serial_len(t, len, err);
        if (rc == 0)
            rc = compile(t, len, form, err);
        if (rc)
            return rc;
    }
    room = buf_grow(tbs, t->cache[form][len]->tbs.len);
    if (room)
        patch(t->cache[form][len], subject, room);
    return buf_check(tbs, "a certificate to be signed", err);
}

/* The DER header of a constructed value of len content octets. */
static void put_header(struct buf *out, uint8_t tag, size_t len)
{
    buf_put_u8(out, tag);
    if (len >= 256) {
        buf_put_u8(out, 0x82);
        buf_put_u8(out, (uint8_t)(len >> 8));
    } else if (len >= 128) {
        buf_put_u8(out, 0x81);
    }
    buf_put_u8(out, (uint8_t)len);
}

int cert_assemble(const struct buf *tbs, const uint8_t sig[EC_SIG_SIZE], struct buf *der,
                  struct error *err)
{
    /* AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 section 3.2), without parameters */
    static const uint8_t algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                        0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t sig_der[EC_SIG_DER_MAX];
    size_t sig_len;

    ec_sig_to_der(sig, sig_der, &sig_len);
    put_header(der, 0x30, tbs->len + sizeof algorithm + 2 + 1 + sig_len);
    buf_put(der, tbs->data, tbs->len);
    buf_put(der, algorithm, sizeof algorithm);
    put_header(der, 0x03, sig_len + 1);
    buf_put_u8(der, 0); /* unused bits of the BIT STRING */
    buf_put(der, sig_der, sig_len);
    return buf_check(der, "a certificate", err);
}
