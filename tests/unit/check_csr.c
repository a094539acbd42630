/* What the vault takes and refuses of certificate requests: each broken one has a message of its own. */
#include "check_util.h"

#include "base/buf.h"
#include "pki/ec.h"
#include "station/vault/csr.h"

#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <string.h>

struct bytes {
    const char *p;
    size_t len;
};
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* Parts of a request; one left out is that of a good request. */
struct parts {
    struct bytes info_head, version, subject, key, attributes, algorithm, signature, after_info,
        after;
};

static EVP_PKEY *key;
static uint8_t point[EC_POINT_SIZE];
static struct error err;
static struct buf request;

#define SUBJECT "\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04SN-1"

static void begin_test(void)
{
    err = (struct error)ERROR_INIT;
    key = EVP_EC_gen("P-256");
    ck_assert_int_eq(ec_point(key, point, &err), 0);
    buf_init(&request, 8192);
}

static void end_test(void)
{
    buf_done(&request);
    EVP_PKEY_free(key);
}

/* A tag, the length in DER, and the contents. */
static void put_der(struct buf *out, uint8_t tag, const struct buf *contents)
{
    buf_put_u8(out, tag);
    if (contents->len >= 0x100) {
        buf_put_u8(out, 0x82);
        buf_put_u8(out, (uint8_t)(contents->len >> 8));
    } else if (contents->len >= 0x80) {
        buf_put_u8(out, 0x81);
    }
    buf_put_u8(out, (uint8_t)contents->len);
    buf_put(out, contents->data, contents->len);
}

static void put_or(struct buf *out, const struct bytes *part, const void *good, size_t len)
{
    if (part->p)
        buf_put(out, part->p, part->len);
    else
        buf_put(out, good, len);
}

static void put_signature(struct buf *out, const struct buf *info)
{
    uint8_t sig[EC_SIG_SIZE], der[EC_SIG_DER_MAX];
    struct buf bits;
    size_t len;

    ck_assert_int_eq(ec_sign(key, info->data, info->len, sig, &err), 0);
    ec_sig_to_der(sig, der, &len);
    buf_init(&bits, 128);
    buf_put_u8(&bits, 0);
    buf_put(&bits, der, len);
    put_der(out, 0x03, &bits);
    buf_done(&bits);
}

/* Builds and signs a request from its parts. */
static void build(const struct parts *p)
{
    static const char algorithm[] = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    struct buf info, contents;
    uint8_t spki[EC_SPKI_SIZE];

    ec_spki(point, spki);
    buf_init(&info, 8192);
    buf_init(&contents, 8192);
    put_or(&contents, &p->version, "\x02\x01\x00", 3);
    put_or(&contents, &p->subject, SUBJECT, sizeof SUBJECT - 1);
    put_or(&contents, &p->key, spki, sizeof spki);
    put_or(&contents, &p->attributes, "\xa0\x00", 2);
    buf_put(&contents, p->after_info.p, p->after_info.len);
    if (p->info_head.p) {
        buf_put(&info, p->info_head.p, p->info_head.len);
        buf_put(&info, contents.data, contents.len);
    } else {
        put_der(&info, 0x30, &contents);
    }
    buf_reset(&contents);
    buf_put(&contents, info.data, info.len);
    put_or(&contents, &p->algorithm, algorithm, sizeof algorithm - 1);
    if (p->signature.p)
        buf_put(&contents, p->signature.p, p->signature.len);
    else
        put_signature(&contents, &info);
    buf_reset(&request);
    put_der(&request, 0x30, &contents);
    buf_put(&request, p->after.p, p->after.len);
    buf_done(&info);
    buf_done(&contents);
}

#define P256_HEAD                                                                                  \
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define REQUEST "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define X16     "xxxxxxxxxxxxxxxx"
#define X64     X16 X16 X16 X16
#define G_X                                                                                        \
    "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2"                             \
    "\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96"
#define G_Y                                                                                        \
    "\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16"                             \
    "\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5"

static const struct {
    int code;
    const char *text;
    struct parts parts;
} refused[] = {
    {ERR_PROTOCOL, "has 1 bytes more than its outer sequence", {.after = BYTES("x")}},
    {ERR_PROTOCOL, "where its version has 0x02", {.version = BYTES("\x03\x01\x00")}},
    {ERR_PROTOCOL, "another version than 1", {.version = BYTES("\x02\x01\x01")}},
    {ERR_PROTOCOL, "another version than 1", {.version = BYTES("\x02\x02\x00\x00")}},
    {ERR_PROTOCOL, "length of its request info is not DER", {.info_head = BYTES("\x30\x80")}},
    {ERR_PROTOCOL, "its request info is cut short", {.info_head = BYTES("\x30\x82\x7f\xff")}},
    {ERR_PROTOCOL, "length of its subject is not DER", {.subject = BYTES("\x30\x81\x00")}},
    {ERR_PROTOCOL, "length of its subject is not DER", {.subject = BYTES("\x30\x82\x00\x01x")}},
    {ERR_PROTOCOL, "length of its subject is not DER", {.subject = BYTES("\x30\x83\x00\x00\x01x")}},
    {ERR_PROTOCOL, "where its subject has 0x30", {.subject = BYTES("\x31\x00")}},
    {ERR_PROTOCOL, "its subject is cut short", {.subject = BYTES("\x30\x82\x7f\xff")}},
    {ERR_PROTOCOL, "where its public key info has 0x30", {.key = BYTES("\x31\x00")}},
    {ERR_PROTOCOL, "has no key algorithm", {.key = BYTES("\x30\x00")}},
    {ERR_PROTOCOL, "has no key algorithm's name", {.key = BYTES("\x30\x02\x30\x00")}},
    {ERR_REFUSED,
     "a key of another kind", /* Ed25519 */
     {.key = BYTES("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" X16 X16)}},
    {ERR_PROTOCOL,
     "has no curve",
     {.key = BYTES("\x30\x0b\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x02\x01")}},
    {ERR_REFUSED,
     "spells out its curve",
     {.key = BYTES("\x30\x0d\x30\x0b\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x30\x00")}},
    {ERR_REFUSED,
     "on another curve than P-256", /* P-384 */
     {.key = BYTES("\x30\x12\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00"
                   "\x22")}},
    {ERR_PROTOCOL,
     "has no public key",
     {.key = BYTES("\x30\x15\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce"
                   "\x3d\x03\x01\x07")}},
    {ERR_PROTOCOL,
     "public key is empty or ends within a byte",
     {.key = BYTES(P256_HEAD "\x03\x42\x01\x04" X64)}},
    {ERR_REFUSED,
     "a compressed key",
     {.key = BYTES("\x30\x39\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce"
                   "\x3d\x03\x01\x07\x03\x22\x00\x02" X16 X16)}},
    {ERR_PROTOCOL,
     "a key of 2 bytes that is no P-256 point", /* no infinity either */
     {.key = BYTES("\x30\x1a\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce"
                   "\x3d\x03\x01\x07\x03\x03\x00\x00\x00")}},
    {ERR_REFUSED, "no point of the curve P-256", {.key = BYTES(P256_HEAD "\x03\x42\x00\x04" X64)}},
    {ERR_REFUSED, "a weak key", {.key = BYTES(P256_HEAD "\x03\x42\x00\x04" G_X G_Y)}},
    {ERR_REFUSED,
     "an RSA key of 128 bits, which is too short",
     {.key =
          BYTES("\x30\x2a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x19\x00"
                "\x30\x16\x02\x10\x81"
                "xxxxxxxxxxxxxxx"
                "\x02\x02\x01\x01")}},
    {ERR_PROTOCOL,
     "its RSA modulus is cut short",
     {.key =
          BYTES("\x30\x18\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x07\x00"
                "\x30\x04\x02\x10\x81x")}},
    {ERR_PROTOCOL, "where its attributes has 0xa0", {.attributes = BYTES("\xa1\x00")}},
    {ERR_PROTOCOL, "has no attributes", {.attributes = BYTES("")}},
    {ERR_PROTOCOL, "bytes more than its attributes", {.after_info = BYTES("\x05\x00")}},
    {ERR_REFUSED,
     "an attribute that is no extension request", /* challengePassword */
     {.attributes = BYTES("\xa0\x11\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x02\x0c"
                          "\x00")}},
    {ERR_PROTOCOL,
     "more than its one attribute",
     {.attributes = BYTES("\xa0\x04\x30\x00\x30\x00")}},
    {ERR_PROTOCOL,
     "an extension request without extensions",
     {.attributes = BYTES("\xa0\x11\x30\x0f" REQUEST "\x31\x02\x30\x00")}},
    {ERR_PROTOCOL,
     "more than its list of extensions",
     {.attributes = BYTES("\xa0\x13\x30\x11" REQUEST "\x31\x04\x30\x00\x30\x00")}},
    {ERR_PROTOCOL,
     "criticality is not DER",
     {.attributes = BYTES("\xa0\x1d\x30\x1b" REQUEST "\x31\x0e\x30\x0c\x30\x0a\x06\x03\x55\x1d\x0f"
                          "\x01\x01\x00\x04\x00")}},
    {ERR_PROTOCOL,
     "has no extension's value",
     {.attributes = BYTES("\xa0\x18\x30\x16" REQUEST "\x31\x09\x30\x07\x30\x05\x06\x03\x55\x1d"
                          "\x0f")}},
    {ERR_REFUSED,
     "signed with another algorithm", /* ECDSA with SHA-1 */
     {.algorithm = BYTES("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01")}},
    {ERR_REFUSED,
     "signed with another algorithm", /* parameters */
     {.algorithm = BYTES("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00")}},
    {ERR_PROTOCOL, "no ECDSA signature", {.signature = BYTES("\x03\x04\x00\x30\x01\x00")}},
    {ERR_PROTOCOL,
     "signature is empty or ends within a byte",
     {.signature = BYTES("\x03\x01\x00")}},
    {ERR_PROTOCOL, "has no signature", {.signature = BYTES("")}},
    {ERR_SIGNATURE,
     "not signed by the key in it",
     {.signature = BYTES("\x03\x09\x00\x30\x06\x02\x01\x01\x02\x01\x01")}},
};

START_TEST(a_broken_request_is_refused_with_its_own_message)
{
    struct csr csr;
    int rc;

    begin_test();
    build(&refused[_i].parts);
    rc = csr_read(request.data, request.len, KEY_P256, &csr, &err);
    ck_assert_msg(rc == refused[_i].code && strstr(err.text, refused[_i].text),
                  "row %d: %s: %s, expected: %s", _i, error_name(rc), err.text, refused[_i].text);
    ck_assert_ptr_nonnull(strstr(err.text, "the device's certificate request"));
    end_test();
}
END_TEST

/* OpenSSL's own request, with this subject and these extensions (NULL: none). */
static void make(EVP_PKEY *with, const char *cn, const char *usage)
{
    X509_REQ *req = X509_REQ_new();
    uint8_t *der = NULL;
    int len;

    ck_assert(X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_ASC,
                                         (const uint8_t *)cn, -1, -1, 0));
    ck_assert(X509_REQ_set_pubkey(req, with));
    if (usage) {
        STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

        sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage));
        ck_assert(X509_REQ_add_extensions(req, list));
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    }
    ck_assert(X509_REQ_sign(req, with, EVP_sha256()) > 0);
    len = i2d_X509_REQ(req, &der);
    buf_reset(&request);
    buf_put(&request, der, (size_t)len);
    OPENSSL_free(der);
    X509_REQ_free(req);
}

START_TEST(a_good_request_is_read)
{
    static const struct parts good;
    struct csr csr;

    begin_test();
    build(&good);
    ASSERT_OK(csr_read(request.data, request.len, KEY_P256, &csr, &err), err);
    ck_assert_mem_eq(key_point(&csr.key), point, sizeof point);
    ck_assert_uint_eq(csr.extensions_len, 0);
    ASSERT_OK(csr_check_subject(&csr, (const uint8_t *)SUBJECT, sizeof SUBJECT - 1, &err), err);
    ASSERT_FAILS(csr_check_subject(&csr, (const uint8_t *)"\x30\x00", 2, &err), ERR_REFUSED);
    make(key, "SN-1", NULL);
    ASSERT_OK(csr_read(request.data, request.len, KEY_P256, &csr, &err), err);
    ck_assert_mem_eq(key_point(&csr.key), point, sizeof point);
    end_test();
}
END_TEST

START_TEST(a_cut_or_changed_request_is_never_taken)
{
    static const struct parts good;
    struct csr csr;

    begin_test();
    build(&good);
    for (size_t len = 0; len < request.len; len++)
        ck_assert_int_ne(csr_read(request.data, len, KEY_P256, &csr, &err), 0);
    for (size_t at = 0; at < request.len; at++) {
        request.data[at] ^= 0x01;
        ck_assert_msg(csr_read(request.data, request.len, KEY_P256, &csr, &err) != 0, "byte %zu",
                      at);
        request.data[at] ^= 0x01;
    }
    end_test();
}
END_TEST

START_TEST(a_long_request_is_not_even_looked_at)
{
    static uint8_t bytes[IMPRINT_CSR_MAX + 1];
    struct csr csr;

    err = (struct error)ERROR_INIT;
    ASSERT_FAILS(csr_read(bytes, sizeof bytes, KEY_P256, &csr, &err), ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(err.text, "has 2049 bytes, and may have 2048"));
}
END_TEST

START_TEST(an_rsa_key_is_refused_by_its_size_and_kind)
{
    struct csr csr;
    EVP_PKEY *rsa;

    begin_test();
    rsa = EVP_RSA_gen(2048);
    make(rsa, "SN-1", NULL);
    ASSERT_FAILS(csr_read(request.data, request.len, KEY_P256, &csr, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(
        strstr(err.text, "an RSA key of 2048 bits, and this job is for P-256 keys"));
    EVP_PKEY_free(rsa);
    end_test();
}
END_TEST

/* A certificate with this key usage. */
static X509 *certificate(const char *usage)
{
    X509 *cert = X509_new();
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage);

    ck_assert(X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
    return cert;
}

START_TEST(a_request_widens_no_profile)
{
    X509 *cert = certificate("critical,digitalSignature");
    struct csr csr;

    begin_test();
    make(key, "SN-1", "critical,digitalSignature");
    ASSERT_OK(csr_read(request.data, request.len, KEY_P256, &csr, &err), err);
    ASSERT_OK(csr_check_extensions(&csr, cert, &err), err);
    make(key, "SN-1", "critical,digitalSignature,keyCertSign");
    ASSERT_OK(csr_read(request.data, request.len, KEY_P256, &csr, &err), err);
    ASSERT_FAILS(csr_check_extensions(&csr, cert, &err), ERR_REFUSED);
    make(key, "SN-1", "digitalSignature");
    ASSERT_OK(csr_read(request.data, request.len, KEY_P256, &csr, &err), err);
    ASSERT_FAILS(csr_check_extensions(&csr, cert, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "an extension (number 1) that the order's profile"));
    X509_free(cert);
    end_test();
}
END_TEST

CHECK_ITEMS_MAIN("csr", EACH_ROW(a_broken_request_is_refused_with_its_own_message, refused),
                 ONCE(a_good_request_is_read), ONCE(a_cut_or_changed_request_is_never_taken),
                 ONCE(a_long_request_is_not_even_looked_at),
                 ONCE(an_rsa_key_is_refused_by_its_size_and_kind),
                 ONCE(a_request_widens_no_profile))
