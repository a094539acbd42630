#include "agent_rig.h"

#include <check.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <string.h>

#include "pki/digest.h"
#include "pki/ec.h"
#include "pki/scheme.h"
#include "rig_port.h"
#if IMPRINT_AGENT_WITH_OTHER_KEYS
#include "agent/port_keys_openssl.h"
#endif

const uint8_t rig_hello_nonce[32] = "the station's nonce for HELLO..";
const uint8_t rig_prove_nonce[32] = "the vault's nonce for PROVE....";

const uint8_t rig_subject[19] = {0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04,
                                 0x03, 0x0c, 0x06, 'd',  'e',  'v',  'i',  'c',  'e'};

/* ------ the cable ------ */

static void device_send(void *context, const uint8_t *bytes, size_t len)
{
    struct rig *rig = context;

    if (!rig->flash.dead)
        buf_put(&rig->sent, bytes, len);
}

static int cable_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                       struct error *err)
{
    struct rig *rig = (struct rig *)t;

    (void)timeout_ms;
    (void)err;
    rig->sent.len = 0;
    imprint_agent_input(&rig->agent, bytes, len);
    if (rig->drop_replies > 0 && rig->sent.len > 0) {
        rig->drop_replies--;
        rig->sent.len = 0;
    }
    if (rig->corrupt_reply > 0 && rig->sent.len >= rig->corrupt_reply) {
        rig->sent.data[rig->corrupt_reply - 1] ^= 0x04;
        rig->corrupt_reply = 0;
    }
    return 0;
}

static int cable_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                      struct error *err)
{
    struct rig *rig = (struct rig *)t;
    size_t n = rig->sent.len < max ? rig->sent.len : max;

    (void)timeout_ms;
    if (rig->flash.dead)
        return error_set(err, ERR_GONE, "the device lost power");
    if (n == 0)
        return error_set(err, ERR_TIMEOUT, "silence");
    memcpy(out, rig->sent.data, n);
    memmove(rig->sent.data, rig->sent.data + n, rig->sent.len - n);
    rig->sent.len -= n;
    *got = n;
    return 0;
}

static void cable_close(struct transport *t)
{
    (void)t;
}

static const struct transport_ops cable_ops = {cable_write, cable_read, cable_close};

/* ------ the device ------ */

static bool enrol_sign(void *context, const uint8_t digest[32], uint8_t sig[64])
{
    struct rig *rig = context;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(rig->enrolled, NULL);
    uint8_t der[EC_SIG_DER_MAX];
    size_t len = sizeof der;
    bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_sign(ctx, der, &len, digest, 32) == 1 && ec_sig_from_der(der, len, sig) == 0;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

void rig_init(struct rig *rig, const uint8_t *authority)
{
    memset(rig, 0, sizeof *rig);
    rig_flash_init(&rig->flash);
    memcpy(rig->chip_id, "chip0001", 8);
    ck_assert(rig_port_init(&rig->platform.crypto));
    rig->platform.store = rig_flash_functions(&rig->flash);
#if IMPRINT_AGENT_WITH_OTHER_KEYS
    rig->platform.keys = &imprint_agent_keys_openssl;
#endif
    rig->platform.send = device_send;
    rig->platform.send_context = rig;
    rig->platform.chip_id = rig->chip_id;
    rig->platform.chip_id_len = sizeof rig->chip_id;
    rig->platform.firmware = "1.2.3";
    rig->platform.authority = authority;
    rig->platform.enrol_sign = enrol_sign;
    rig->platform.enrol_context = rig;
    buf_init(&rig->sent, 65536);
    rig->transport = (struct transport){&cable_ops, "memory"};
    link_client_init(&rig->client, &rig->transport);
    rig->client.timeout_ms =
        10000; /* silence is told at once: this is for machines that are slow */
    imprint_agent_init(&rig->agent, &rig->platform);
}

void rig_done(struct rig *rig)
{
    rig_port_done(&rig->platform.crypto);
    EVP_PKEY_free(rig->enrolled);
    buf_done(&rig->sent);
}

void rig_restart(struct rig *rig)
{
    rig->flash.dead = false;
    rig->flash.failing = false;
    rig->sent.len = 0;
    memset(&rig->agent, 0xa5, sizeof rig->agent);
    imprint_agent_init(&rig->agent, &rig->platform);
}

/* ------ the station ------ */

static X509 *make_cert(EVP_PKEY *subject, const char *name, EVP_PKEY *issuer,
                       const char *issuer_name, int version)
{
    X509 *cert = X509_new();
    X509_NAME *n;

    ck_assert(X509_set_version(cert, version));
    ck_assert(ASN1_INTEGER_set(X509_get_serialNumber(cert), 0x1234));
    n = X509_get_subject_name(cert);
    ck_assert(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0));
    n = X509_get_issuer_name(cert);
    ck_assert(
        X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)issuer_name, -1, -1, 0));
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
    ck_assert(X509_set_pubkey(cert, subject));
    ck_assert(X509_sign(cert, issuer, EVP_sha256()) > 0);
    return cert;
}

static size_t put_cert(struct buf *out, X509 *cert)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);

    ck_assert_int_gt(len, 0);
    buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    X509_free(cert);
    return (size_t)len;
}

static void make_station_cert(struct rig_station *s)
{
    struct link_station_cert cert = {.generation = 7};
    struct error err = ERROR_INIT;
    struct buf message;
    uint8_t point[65], sig[64];

    ck_assert_int_eq(ec_point(s->auth, point, &err), 0);
    cert.key = link_key_p256(point);
    strcpy(cert.station, "line-1");
    strcpy(cert.environment, "test");
    buf_init(&message, LINK_X_MAX);
    ck_assert_int_eq(link_station_cert_message(&cert, &message, &err), 0);
    ck_assert_int_eq(ec_sign(s->authority, message.data, message.len, sig, &err), 0);
    cert.sig = link_sig_p256(sig);
    ck_assert_int_eq(link_station_cert_encode(&cert, &s->cert, &err), 0);
    buf_done(&message);
}

/* The credential is for this key from now on. */
static void certify(struct rig_station *s, EVP_PKEY *key)
{
    struct error err = ERROR_INIT;
    struct public_key public;
    size_t leaf;

    ck_assert_int_eq(key_of(key, &public, &err), 0);
    if (public.type == KEY_P256)
        memcpy(s->device_point, key_point(&public), sizeof s->device_point);
    else
        s->other = public;
    EVP_PKEY_free(s->device_key);
    s->device_key = key;
    buf_reset(&s->certificates);
    leaf = put_cert(&s->certificates, make_cert(key, s->serial, s->ca, "ca", 2));
    sha256(s->certificates.data, leaf, s->leaf_hash);
    put_cert(&s->certificates, make_cert(s->ca, "ca", s->ca, "ca", 2));
}

/* s->plain as most HSMs have it. */
static void put_plain(struct rig_station *s)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(s->device_key);
    uint8_t *der = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

    ck_assert_int_gt(len, 0);
    buf_reset(&s->plain);
    buf_put(&s->plain, der, (size_t)len);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
}

void rig_station_key(struct rig_station *s, enum key_type type)
{
    struct error err = ERROR_INIT;
    EVP_PKEY *key;

    ck_assert_int_eq(key_generate(type, &key, &err), 0);
    certify(s, key);
    put_plain(s);
}

static bool is_other(const struct rig_station *s)
{
    return s->other.len > 0;
}

void rig_key_hash(const struct rig_station *s, uint8_t hash[32])
{
    uint8_t spki[EC_SPKI_SIZE];

    ec_spki(s->device_point, spki);
    sha256(is_other(s) ? s->other.spki : spki, is_other(s) ? s->other.len : sizeof spki, hash);
}

static void make_credential(struct rig_station *s, const char *serial)
{
    snprintf(s->serial, sizeof s->serial, "%s", serial);
    buf_init(&s->certificates, 8192);
    buf_init(&s->anchors, 8192);
    buf_init(&s->plain, IMPRINT_WRAPPED_OTHER_MAX);
    buf_init(&s->wrapped, IMPRINT_WRAPPED_OTHER_MAX + 64);
    buf_init(&s->wrapped_symmetric, 512);
    buf_init(&s->firmware_key, 512);
    buf_init(&s->configuration, 8192);
    buf_init(&s->configuration_spki, 512);
    buf_init(&s->decommission_spki, 512);
    buf_init(&s->x, LINK_X_MAX);
    buf_init(&s->csr, IMPRINT_CSR_MAX);
    put_cert(&s->anchors, make_cert(s->ca, "server root", s->ca, "server root", 0));
    rig_station_key(s, KEY_P256);
}

void rig_station_init(struct rig_station *s, const char *serial)
{
    struct error err = ERROR_INIT;

    memset(s, 0, sizeof *s);
    s->authority = EVP_EC_gen("P-256");
    s->auth = EVP_EC_gen("P-256");
    s->ca = EVP_EC_gen("P-256");
    ck_assert_int_eq(ec_point(s->authority, s->authority_point, &err), 0);
    buf_init(&s->cert, 512);
    make_station_cert(s);
    make_credential(s, serial);
}

void rig_station_next(struct rig_station *s, const struct rig_station *first, const char *serial)
{
    memset(s, 0, sizeof *s);
    s->authority = first->authority;
    s->auth = first->auth;
    s->ca = first->ca;
    ck_assert(EVP_PKEY_up_ref(s->authority) && EVP_PKEY_up_ref(s->auth) && EVP_PKEY_up_ref(s->ca));
    memcpy(s->authority_point, first->authority_point, 65);
    buf_init(&s->cert, 512);
    buf_put(&s->cert, first->cert.data, first->cert.len);
    make_credential(s, serial);
}

void rig_station_done(struct rig_station *s)
{
    EVP_PKEY_free(s->authority);
    EVP_PKEY_free(s->auth);
    EVP_PKEY_free(s->ca);
    EVP_PKEY_free(s->device_key);
    buf_done(&s->cert);
    buf_done(&s->certificates);
    buf_done(&s->anchors);
    buf_wipe(&s->plain);
    buf_done(&s->wrapped);
    buf_done(&s->wrapped_symmetric);
    buf_done(&s->firmware_key);
    buf_done(&s->configuration);
    buf_done(&s->configuration_spki);
    buf_done(&s->decommission_spki);
    EVP_PKEY_free(s->configuration_key);
    EVP_PKEY_free(s->decommission_key);
    buf_done(&s->x);
    buf_done(&s->csr);
}

static void put_spki(struct buf *out, EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    ck_assert_int_gt(len, 0);
    buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
}

void rig_hmac(const uint8_t key[32], const void *bytes, size_t len, uint8_t mac[32])
{
    ck_assert_ptr_nonnull(HMAC(EVP_sha256(), key, 32, bytes, len, mac, NULL));
}

void rig_every_object(struct rig_station *s, bool derived)
{
    static const uint8_t contents[] = "{\"server\":\"https://onboarding.example\"}";
    struct error err = ERROR_INIT;
    struct buf message;
    uint8_t sig[64];

    s->derived = derived;
    s->has_symmetric = true;
    memset(s->symmetric, 0x5a, sizeof s->symmetric);
    memcpy(s->symmetric, s->serial, strlen(s->serial));
    s->configuration_key = EVP_EC_gen("P-256");
    s->decommission_key = EVP_EC_gen("P-256");
    put_spki(&s->firmware_key, s->ca);
    put_spki(&s->configuration_spki, s->configuration_key);
    put_spki(&s->decommission_spki, s->decommission_key);
    buf_init(&message, 1024);
    ck_assert_int_eq(link_configuration_message(contents, sizeof contents, &message, &err), 0);
    ck_assert_int_eq(ec_sign(s->configuration_key, message.data, message.len, sig, &err), 0);
    ck_assert_int_eq(link_signed_object(contents, sizeof contents, sig, &s->configuration, &err),
                     0);
    buf_done(&message);
}

struct link_farewell rig_farewell(const struct rig *rig, const struct rig_station *s)
{
    struct link_farewell f = {.chip_id_len = sizeof rig->chip_id};
    struct error err = ERROR_INIT;
    struct buf message;
    uint8_t sig[64];

    memcpy(f.chip_id, rig->chip_id, sizeof rig->chip_id);
    if (s->derived)
        rig_hmac(s->symmetric, "imprint kcv v1", 15, f.identity);
    else
        memcpy(f.identity, s->leaf_hash, sizeof f.identity);
    buf_init(&message, 256);
    ck_assert_int_eq(
        link_decommission_message(f.chip_id, f.chip_id_len, f.identity, &message, &err), 0);
    ck_assert_int_eq(ec_sign(s->decommission_key, message.data, message.len, sig, &err), 0);
    f.sig = link_sig_p256(sig);
    buf_done(&message);
    return f;
}

static void get_scalar(EVP_PKEY *key, uint8_t scalar[32])
{
    BIGNUM *d = NULL;

    ck_assert(EVP_PKEY_get_bn_param(key, "priv", &d));
    ck_assert_int_eq(BN_bn2binpad(d, scalar, 32), 32);
    BN_clear_free(d);
}

void rig_plain_softhsm(struct rig_station *s)
{
    static const uint8_t head[] = {0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07,
                                   0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
                                   0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04,
                                   0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20};
    uint8_t scalar[32];

    get_scalar(s->device_key, scalar);
    buf_reset(&s->plain);
    buf_put(&s->plain, head, sizeof head);
    buf_put(&s->plain, scalar, 32);
    buf_put(&s->plain, "\0\0\0\0\0", 5);
    ck_assert_uint_eq(s->plain.len, 72);
}

/* AES-256 in a mode without padding of its own, or key wrap with padding. */
static void encrypt(const EVP_CIPHER *cipher, const uint8_t key[32], const uint8_t *in, size_t len,
                    struct buf *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *room = buf_grow(out, len + 16);
    int n = 0, m = 0;

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    ck_assert(EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL));
    EVP_CIPHER_CTX_set_padding(ctx, 0);
    ck_assert(EVP_EncryptUpdate(ctx, room, &n, in, (int)len));
    ck_assert(EVP_EncryptFinal_ex(ctx, room + n, &m));
    out->len -= len + 16 - (size_t)(n + m);
    EVP_CIPHER_CTX_free(ctx);
}

static void derive_kek(struct rig_station *s, EVP_PKEY *ephemeral, const struct link_key *dev_pub)
{
    uint8_t context[32];
    size_t len = sizeof s->z;
    EVP_PKEY *peer;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ephemeral, NULL);
    struct error err = ERROR_INIT;
    struct buf b;

    ck_assert_int_eq(ec_public_key(dev_pub->bytes, &peer, &err), 0);
    ck_assert(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
              EVP_PKEY_derive(ctx, s->z, &len) == 1);
    link_kek_context(&s->x, context);
    buf_init(&b, 256);
    if (s->begin.suite == IMPRINT_SUITE_ECB) {
        encrypt(EVP_aes_256_ecb(), s->z, context, 32, &b);
        memcpy(s->kek, b.data, 32);
    } else {
        buf_put(&b, s->z, 32);
        buf_put_u32(&b, 1);
        buf_put(&b, context, 32);
        sha256(b.data, b.len, s->kek);
    }
    buf_done(&b);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
}

/* The fields of X that KEYGEN and BEGIN share. */
static struct link_transcript transcript_of(const struct rig_station *s,
                                            const struct link_hello *hello)
{
    struct link_transcript t = {
        .environment = "test",
        .serial = s->serial,
        .chip_id = hello->facts.chip_id,
        .chip_id_len = hello->facts.chip_id_len,
        .dev_pub = hello->facts.dev_pub,
    };
    struct error err = ERROR_INIT;

    ck_assert_int_eq(link_facts_hash(&hello->facts, t.facts_hash, &err), 0);
    return t;
}

/* Signs X with the label that put names. */
static struct link_key sign_x(struct rig_station *s, const struct link_transcript *t,
                              int (*put)(const struct buf *, struct buf *, struct error *))
{
    struct error err = ERROR_INIT;
    struct buf message;
    uint8_t sig[64];

    buf_reset(&s->x);
    ck_assert_int_eq(link_transcript_encode(t, &s->x, &err), 0);
    sha256(s->x.data, s->x.len, s->x_hash);
    buf_init(&message, LINK_X_MAX);
    ck_assert_int_eq(put(&s->x, &message, &err), 0);
    ck_assert_int_eq(ec_sign(s->auth, message.data, message.len, sig, &err), 0);
    buf_done(&message);
    return link_sig_p256(sig);
}

void rig_sign(struct rig_station *s, const struct link_hello *hello)
{
    const struct link_begin *b = &s->begin;
    struct link_transcript t = transcript_of(s, hello);
    struct error err = ERROR_INIT;

    t.suite = b->suite;
    t.environment = b->environment;
    t.serial = b->serial;
    t.station_pub = b->station_pub;
    memcpy(t.order_hash, b->order_hash, 32);
    memcpy(t.transaction, b->transaction, 16);
    memcpy(t.station_nonce, b->station_nonce, 32);
    ck_assert_int_eq(link_bundle_hash(b->objects, b->object_count, t.bundle_hash, &err), 0);
    s->begin.sig = sign_x(s, &t, link_station_message);
}

static void transaction_of(const struct rig_station *s, uint8_t transaction[16])
{
    uint8_t hash[32];

    sha256(s->serial, strlen(s->serial), hash);
    memcpy(transaction, hash, 16);
}

static void add_object(struct rig_station *s, uint16_t type, uint16_t format, uint32_t length)
{
    s->objects[s->begin.object_count++] =
        (struct link_object){.type = type, .format = format, .length = length};
}

static void add_bytes(struct rig_station *s, uint16_t type, uint16_t format)
{
    const struct buf *b = rig_object(s, type);

    if (b->len == 0)
        return;
    add_object(s, type, format, (uint32_t)b->len);
    sha256(b->data, b->len, s->objects[s->begin.object_count - 1].hash);
}

/* With suite 0 it is the device's own, and not carried. */
static void add_private_key(struct rig_station *s)
{
    if (s->begin.suite == IMPRINT_SUITE_NONE)
        add_object(s, IMPRINT_OBJ_PRIVATE_KEY, IMPRINT_FMT_NONE, 0);
    else
        add_object(s, IMPRINT_OBJ_PRIVATE_KEY,
                   is_other(s) ? IMPRINT_FMT_PKCS8_OTHER : IMPRINT_FMT_PKCS8_RFC5649,
                   (uint32_t)(s->plain.len + 7) / 8 * 8 + 8);
    rig_key_hash(s, s->objects[0].hash);
    add_bytes(s, IMPRINT_OBJ_CERTIFICATES, IMPRINT_FMT_X509_DER);
}

static void add_objects(struct rig_station *s)
{
    if (!s->derived)
        add_private_key(s);
    add_bytes(s, IMPRINT_OBJ_TRUST_ANCHORS, IMPRINT_FMT_X509_DER);
    add_bytes(s, IMPRINT_OBJ_FIRMWARE_KEY, IMPRINT_FMT_SPKI_DER);
    if (s->has_symmetric) {
        add_object(s, IMPRINT_OBJ_SYMMETRIC_KEY, IMPRINT_FMT_KEY_RFC5649, 40);
        rig_hmac(s->symmetric, "imprint kcv v1", 15, s->objects[s->begin.object_count - 1].hash);
    }
    add_bytes(s, IMPRINT_OBJ_CONFIGURATION, IMPRINT_FMT_SIGNED);
    add_bytes(s, IMPRINT_OBJ_CONFIGURATION_KEY, IMPRINT_FMT_SPKI_DER);
    add_bytes(s, IMPRINT_OBJ_DECOMMISSION_KEY, IMPRINT_FMT_SPKI_DER);
}

void rig_wrap_symmetric(struct rig_station *s, size_t len)
{
    buf_reset(&s->wrapped_symmetric);
    encrypt(EVP_aes_256_wrap_pad(), s->kek, s->symmetric, len, &s->wrapped_symmetric);
}

/* BEGIN without the station's key and signature. */
static void prepare_begin(struct rig_station *s, uint16_t suite)
{
    s->begin = (struct link_begin){
        .suite = suite,
        .environment = "test",
        .serial = s->serial,
        .objects = s->objects,
        .cert = s->cert.data,
        .cert_len = s->cert.len,
    };
    memset(s->begin.order_hash, 0x0d, 32);
    transaction_of(s, s->begin.transaction);
    memcpy(s->begin.station_nonce, rig_hello_nonce, 32);
    add_objects(s);
}

void rig_prepare_made(struct rig_station *s, const struct link_hello *hello)
{
    prepare_begin(s, IMPRINT_SUITE_NONE);
    buf_reset(&s->wrapped);
    rig_sign(s, hello);
}

void rig_prepare_keygen(struct rig_station *s, const struct link_hello *hello)
{
    struct link_keygen *k = &s->keygen;
    struct link_transcript t = transcript_of(s, hello);

    *k = (struct link_keygen){
        .environment = "test",
        .serial = s->serial,
        .key_alg = link_key_algorithm(s->other.type),
        .subject = rig_subject,
        .subject_len = sizeof rig_subject,
        .cert = s->cert.data,
        .cert_len = s->cert.len,
    };
    memset(k->order_hash, 0x0d, 32);
    transaction_of(s, k->transaction);
    memcpy(k->station_nonce, rig_hello_nonce, 32);
    t.keygen = true;
    memcpy(t.order_hash, k->order_hash, 32);
    memcpy(t.transaction, k->transaction, 16);
    memcpy(t.station_nonce, k->station_nonce, 32);
    k->sig = sign_x(s, &t, link_keygen_message);
}

int rig_keygen(struct rig *rig, struct rig_station *s, struct error *err)
{
    struct link_request request;
    const uint8_t *p;
    X509_REQ *req;
    EVP_PKEY *key;
    uint8_t *subject = NULL;
    int len, rc = link_client_keygen(&rig->client, &s->keygen, &request, err);

    if (rc)
        return rc;
    buf_reset(&s->csr);
    buf_put(&s->csr, request.csr, request.csr_len);
    s->attest_key_sig = request.attest_sig;
    p = s->csr.data;
    req = d2i_X509_REQ(NULL, &p, (long)s->csr.len);
    ck_assert_ptr_nonnull(req);
    ck_assert_ptr_eq(p, s->csr.data + s->csr.len);
    key = X509_REQ_get_pubkey(req);
    ck_assert_int_eq(X509_REQ_verify(req, key), 1);
    ck_assert_int_eq(X509_REQ_get_version(req), 0);
    ck_assert_int_eq(X509_REQ_get_attr_count(req), 0);
    len = i2d_X509_NAME(X509_REQ_get_subject_name(req), &subject);
    ck_assert_int_eq(len, (int)s->keygen.subject_len);
    ck_assert_mem_eq(subject, s->keygen.subject, (size_t)len);
    OPENSSL_free(subject);
    X509_REQ_free(req);
    if (EVP_PKEY_eq(key, s->device_key) == 1)
        EVP_PKEY_free(key); /* asked again: it has its certificate */
    else
        certify(s, key);
    return 0;
}

void rig_prepare(struct rig_station *s, const struct link_hello *hello, uint16_t suite)
{
    struct error err = ERROR_INIT;
    EVP_PKEY *ephemeral = EVP_EC_gen("P-256");
    uint8_t point[65];

    ck_assert_int_eq(ec_point(ephemeral, point, &err), 0);
    get_scalar(ephemeral, s->ephemeral);
    prepare_begin(s, suite);
    s->begin.station_pub = link_key_p256(point);
    rig_sign(s, hello);
    derive_kek(s, ephemeral, &hello->facts.dev_pub);
    buf_reset(&s->wrapped);
    encrypt(EVP_aes_256_wrap_pad(), s->kek, s->plain.data, s->plain.len, &s->wrapped);
    if (!s->derived)
        ck_assert_uint_eq(s->wrapped.len, s->objects[0].length);
    rig_wrap_symmetric(s, sizeof s->symmetric);
    EVP_PKEY_free(ephemeral);
}

/* ------ the steps ------ */

int rig_hello(struct rig *rig, struct link_hello *hello, struct error *err)
{
    return link_client_hello(&rig->client, rig_hello_nonce, hello, err);
}

const struct buf *rig_object(const struct rig_station *s, uint16_t type)
{
    const struct buf *const all[] = {
        [IMPRINT_OBJ_PRIVATE_KEY] = &s->wrapped,
        [IMPRINT_OBJ_CERTIFICATES] = &s->certificates,
        [IMPRINT_OBJ_TRUST_ANCHORS] = &s->anchors,
        [IMPRINT_OBJ_FIRMWARE_KEY] = &s->firmware_key,
        [IMPRINT_OBJ_SYMMETRIC_KEY] = &s->wrapped_symmetric,
        [IMPRINT_OBJ_CONFIGURATION] = &s->configuration,
        [IMPRINT_OBJ_CONFIGURATION_KEY] = &s->configuration_spki,
        [IMPRINT_OBJ_DECOMMISSION_KEY] = &s->decommission_spki,
    };

    return all[type];
}

int rig_begin(struct rig *rig, struct rig_station *s, struct error *err)
{
    struct link_held held;

    return link_client_begin(&rig->client, &s->begin, &held, err);
}

int rig_put_all(struct rig *rig, struct rig_station *s, struct error *err)
{
    struct link_held held;
    int rc = link_client_begin(&rig->client, &s->begin, &held, err);

    for (size_t i = 0; rc == 0 && i < s->begin.object_count; i++) {
        const struct buf *b = rig_object(s, s->objects[i].type);

        rc = link_client_put_object(&rig->client, s->begin.transaction, s->objects[i].type, b->data,
                                    (uint32_t)b->len, held.bytes[i], err);
    }
    return rc;
}

int rig_commit(struct rig *rig, struct rig_station *s, struct error *err)
{
    uint32_t commit_count;

    return link_client_commit(&rig->client, s->begin.transaction, &commit_count, err);
}

/* The proof is the signature, or the HMAC, over these bytes. */
static int check_proof(const struct rig_station *s, const struct link_proof *proof,
                       const struct buf *message, struct error *err)
{
    uint8_t mac[32];
    bool good = proof->sig.alg == IMPRINT_ALG_ECDSA_SHA256 && proof->sig.len == 64 &&
                !ec_verify(s->device_point, message->data, message->len, proof->sig.bytes, err);

    if (is_other(s))
        good = proof->sig.alg == link_proof_algorithm(s->other.type) &&
               !scheme_verify_raw(&s->other, message->data, message->len, proof->sig.bytes,
                                  proof->sig.len, err);
    if (s->derived) {
        rig_hmac(s->symmetric, message->data, message->len, mac);
        good = proof->sig.alg == IMPRINT_ALG_HMAC_SHA256 && proof->sig.len == 32 &&
               memcmp(mac, proof->sig.bytes, 32) == 0;
    }
    return good ? 0 : error_set(err, ERR_PROOF, "the proof does not verify");
}

static int check_read(struct rig *rig, const struct rig_station *s, struct error *err)
{
    struct buf read;
    int rc;

    buf_init(&read, 8192);
    rc = link_client_read(&rig->client, &read, err);
    if (s->derived) { /* there is none */
        ck_assert(rc == ERR_REFUSED && err->native == IMPRINT_ERR_STATE);
        rc = 0;
    } else if (rc == 0 && (read.len != s->certificates.len ||
                           memcmp(read.data, s->certificates.data, read.len) != 0))
        rc = error_set(err, ERR_PROOF, "other certificates are read back");
    buf_done(&read);
    return rc;
}

int rig_prove(struct rig *rig, struct rig_station *s, struct error *err)
{
    struct link_prove p = {.alg = s->derived ? IMPRINT_ALG_HMAC_SHA256 : IMPRINT_ALG_ECDSA_SHA256};
    struct link_proof proof;
    struct buf message;
    int rc = link_client_prove(&rig->client, s->begin.transaction, rig_prove_nonce, &proof, err);

    if (rc)
        return rc;
    if (is_other(s))
        p.alg = link_proof_algorithm(s->other.type);
    memcpy(p.nonce, rig_prove_nonce, 32);
    memcpy(p.x_hash, s->x_hash, 32);
    memcpy(p.leaf_hash, s->leaf_hash, 32);
    p.lifecycle = (uint8_t)proof.lifecycle;
    p.commit_count = proof.commit_count;
    buf_init(&message, LINK_X_MAX);
    rc = link_prove_message(&p, &message, err);
    if (rc == 0)
        rc = check_proof(s, &proof, &message, err);
    if (rc == 0)
        rc = check_read(rig, s, err);
    buf_done(&message);
    return rc;
}

int rig_lock(struct rig *rig, struct rig_station *s, struct error *err)
{
    return link_client_lock(&rig->client, s->begin.transaction, err);
}

int rig_provision(struct rig *rig, struct rig_station *s, uint16_t suite, struct error *err)
{
    struct link_hello hello;
    int rc = rig_hello(rig, &hello, err);

    if (rc == 0) {
        rig_prepare(s, &hello, suite);
        rc = rig_put_all(rig, s, err);
    }
    if (rc == 0)
        rc = rig_commit(rig, s, err);
    if (rc == 0)
        rc = rig_prove(rig, s, err);
    return rc;
}

int rig_provision_made(struct rig *rig, struct rig_station *s, struct error *err)
{
    struct link_hello hello;
    int rc = rig_hello(rig, &hello, err);

    if (rc == 0) {
        rig_prepare_keygen(s, &hello);
        rc = rig_keygen(rig, s, err);
    }
    if (rc == 0) {
        rig_prepare_made(s, &hello);
        rc = rig_put_all(rig, s, err);
    }
    if (rc == 0)
        rc = rig_commit(rig, s, err);
    if (rc == 0)
        rc = rig_prove(rig, s, err);
    return rc;
}

static bool holds_other(struct rig *rig, const struct rig_station *s)
{
    uint8_t der[IMPRINT_AGENT_PRIVATE_MAX];
    const uint8_t *p = der;
    EVP_PKEY *key;
    size_t len;
    bool same;

    if (!imprint_agent_private_read(&rig->agent, der, sizeof der, &len))
        return false;
    key = d2i_AutoPrivateKey(NULL, &p, (long)len);
    same = key && EVP_PKEY_eq(key, s->device_key) == 1;
    EVP_PKEY_free(key);
    return same;
}

static bool holds_keys(struct rig *rig, const struct rig_station *s,
                       const struct imprint_agent_identity *identity)
{
    const struct imprint_agent_crypto *c = &rig->platform.crypto;
    uint8_t point[65];

    if (identity->has_other != is_other(s))
        return false;
    if (is_other(s))
        return !identity->has_private && holds_other(rig, s);
    if (identity->has_private == s->derived || identity->has_symmetric != s->has_symmetric ||
        (s->has_symmetric && memcmp(identity->symmetric, s->symmetric, 32) != 0))
        return false;
    return s->derived || (c->p256_public(c->context, identity->scalar, point) &&
                          memcmp(point, s->device_point, 65) == 0);
}

/* What is not wrapped is in flash as the station has it. */
static bool holds_objects(struct rig *rig, const struct rig_station *s)
{
    uint8_t bytes[8192];

    for (uint16_t type = IMPRINT_OBJ_CERTIFICATES; type <= IMPRINT_OBJ_DECOMMISSION_KEY; type++) {
        const struct buf *b = rig_object(s, type);

        if (type == IMPRINT_OBJ_SYMMETRIC_KEY || b->len == 0 ||
            (s->derived && type == IMPRINT_OBJ_CERTIFICATES))
            continue;
        if (imprint_agent_object_length(&rig->agent, type) != b->len ||
            !imprint_agent_object_read(&rig->agent, type, 0, bytes, b->len) ||
            memcmp(bytes, b->data, b->len) != 0)
            return false;
    }
    return true;
}

bool rig_holds(struct rig *rig, const struct rig_station *s)
{
    struct imprint_agent_identity identity;

    return imprint_agent_identity(&rig->agent, &identity) && holds_keys(rig, s, &identity) &&
           strcmp(identity.serial, s->serial) == 0 && holds_objects(rig, s);
}
