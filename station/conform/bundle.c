#include "station/conform/bundle.h"

#include "station/conform/certificate.h"
#include "station/conform/wrap.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_MAX   8192
#define PLAIN_SIZE   67
#define PLAIN_SCALAR 35 /* where the scalar is in plain */

/* A key that SoftHSM2 wraps: PKCS#8 without the public key, and zeros to a multiple of eight. */
static const uint8_t plain_head[PLAIN_SCALAR] = {
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20};

static const char configuration[] = "{\"server\":\"https://onboarding.example\"}";

/* ---- making ---- */

int bundle_plain(struct bundle *b, const uint8_t *scalar, struct error *err)
{
    uint8_t own[IMPRINT_P256_SCALAR_SIZE];
    BIGNUM *d = NULL;
    int rc = 0;

    if (!scalar && (EVP_PKEY_get_bn_param(b->key, "priv", &d) != 1 ||
                    BN_bn2binpad(d, own, sizeof own) != (int)sizeof own))
        rc = error_set(err, ERR_CRYPTO, "cannot read the key that was made");
    BN_free(d);
    buf_reset(&b->plain);
    buf_put(&b->plain, plain_head, sizeof plain_head);
    buf_put(&b->plain, scalar ? scalar : own, IMPRINT_P256_SCALAR_SIZE);
    return rc;
}

static int put_spki(struct buf *out, EVP_PKEY *key, struct error *err)
{
    uint8_t point[EC_POINT_SIZE], spki[EC_SPKI_SIZE];
    int rc = ec_point(key, point, err);

    if (rc)
        return rc;
    ec_spki(point, spki);
    buf_reset(out);
    buf_put(out, spki, sizeof spki);
    return buf_check(out, "a public key", err);
}

/* The certificates of b->point. */
static int certify(struct bundle *b, const struct provider *p, struct error *err)
{
    struct buf *certificates = &b->bytes[IMPRINT_OBJ_CERTIFICATES];
    int rc;

    buf_reset(certificates);
    rc = certificate_put(certificates, b->point, b->serial, p->ca, err);
    if (rc)
        return rc;
    sha256(certificates->data, certificates->len, b->leaf_hash);
    buf_put(certificates, b->bytes[IMPRINT_OBJ_TRUST_ANCHORS].data,
            b->bytes[IMPRINT_OBJ_TRUST_ANCHORS].len);
    return buf_check(certificates, "the certificates", err);
}

static int make_key(struct bundle *b, const struct provider *p, struct error *err)
{
    int rc;

    b->key = EVP_EC_gen("P-256");
    if (!b->key)
        return error_set(err, ERR_CRYPTO, "cannot make a key");
    rc = ec_point(b->key, b->point, err);
    if (rc == 0)
        rc = bundle_plain(b, NULL, err);
    buf_put(&b->plain, "\0\0\0\0\0", 5);
    return rc ? rc : certify(b, p, err);
}

static int make(struct bundle *b, const struct provider *p, struct error *err)
{
    uint8_t ca[EC_POINT_SIZE];
    int rc = ec_point(p->ca, ca, err);

    if (rc == 0)
        rc = certificate_put(&b->bytes[IMPRINT_OBJ_TRUST_ANCHORS], ca, CERTIFICATE_CA, p->ca, err);
    if (rc == 0 && p->decommission)
        rc = put_spki(&b->bytes[IMPRINT_OBJ_DECOMMISSION_KEY], p->owner, err);
    if (rc == 0 && b->mode == IMPRINT_MODE_HSM)
        rc = make_key(b, p, err);
    if (rc == 0 && (RAND_bytes(b->begin.transaction, IMPRINT_TX_SIZE) != 1 ||
                    RAND_bytes(b->begin.order_hash, IMPRINT_HASH_SIZE) != 1 ||
                    RAND_bytes(b->symmetric, sizeof b->symmetric) != 1))
        rc = error_set(err, ERR_CRYPTO, "no random numbers");
    return rc;
}

struct bundle *bundle_new(const struct provider *p, uint32_t mode, const char *serial,
                          struct error *err)
{
    struct bundle *b = calloc(1, sizeof *b);

    if (!b) {
        (void)error_set(err, ERR_INTERNAL, "out of memory");
        return NULL;
    }
    b->mode = mode;
    (void)snprintf(b->serial, sizeof b->serial, "%s", serial);
    buf_init(&b->plain, OBJECT_MAX);
    for (size_t i = 0; i <= IMPRINT_OBJECTS_MAX; i++)
        buf_init(&b->bytes[i], OBJECT_MAX);
    if (make(b, p, err)) {
        bundle_free(b);
        return NULL;
    }
    return b;
}

void bundle_free(struct bundle *b)
{
    if (!b)
        return;
    EVP_PKEY_free(b->key);
    EVP_PKEY_free(b->ephemeral);
    buf_done(&b->plain);
    for (size_t i = 0; i <= IMPRINT_OBJECTS_MAX; i++)
        buf_done(&b->bytes[i]);
    free(b);
}

int bundle_configure(struct bundle *b, const struct provider *p, struct error *err)
{
    uint8_t sig[EC_SIG_SIZE];
    struct buf message;
    int rc = put_spki(&b->bytes[IMPRINT_OBJ_CONFIGURATION_KEY], p->owner, err);

    buf_init(&message, OBJECT_MAX);
    if (rc == 0)
        rc = link_configuration_message((const uint8_t *)configuration, sizeof configuration,
                                        &message, err);
    if (rc == 0)
        rc = ec_sign(p->owner, message.data, message.len, sig, err);
    if (rc == 0)
        rc = link_signed_object((const uint8_t *)configuration, sizeof configuration, sig,
                                &b->bytes[IMPRINT_OBJ_CONFIGURATION], err);
    buf_done(&message);
    return rc;
}

/* ---- signing ---- */

static int transcript_of(const struct bundle *b, const struct link_hello *hello,
                         struct link_transcript *t, struct error *err)
{
    *t = (struct link_transcript){.serial = b->begin.serial,
                                  .environment = b->begin.environment,
                                  .chip_id = hello->facts.chip_id,
                                  .chip_id_len = hello->facts.chip_id_len,
                                  .dev_pub = hello->facts.dev_pub};
    memcpy(t->order_hash, b->begin.order_hash, IMPRINT_HASH_SIZE);
    memcpy(t->transaction, b->begin.transaction, IMPRINT_TX_SIZE);
    memcpy(t->station_nonce, b->begin.station_nonce, IMPRINT_NONCE_SIZE);
    return link_facts_hash(&hello->facts, t->facts_hash, err);
}

typedef int message_fn(const struct buf *x, struct buf *out, struct error *err);

/* Signs X, which is put together here, under a label. */
static int sign_x(const struct provider *p, const struct link_transcript *t, message_fn *message_of,
                  struct buf *x, struct link_key *sig, struct error *err)
{
    uint8_t raw[EC_SIG_SIZE];
    struct buf message;
    int rc;

    buf_init(&message, LINK_X_MAX);
    rc = link_transcript_encode(t, x, err);
    if (rc == 0)
        rc = message_of(x, &message, err);
    if (rc == 0)
        rc = ec_sign(p->pass.key, message.data, message.len, raw, err);
    if (rc == 0)
        *sig = link_sig_p256(raw);
    buf_done(&message);
    return rc;
}

int bundle_sign(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                struct error *err)
{
    struct link_transcript t;
    struct buf x;
    int rc = transcript_of(b, hello, &t, err);

    buf_init(&x, LINK_X_MAX);
    t.suite = b->begin.suite;
    t.station_pub = b->begin.station_pub;
    if (rc == 0)
        rc = link_bundle_hash(b->begin.objects, b->begin.object_count, t.bundle_hash, err);
    if (rc == 0)
        rc = sign_x(p, &t, link_station_message, &x, &b->begin.sig, err);
    if (rc == 0) {
        sha256(x.data, x.len, b->x_hash);
        link_kek_context(&x, b->context);
    }
    buf_done(&x);
    return rc;
}

int bundle_keygen_sign(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                       struct error *err)
{
    struct link_transcript t;
    struct buf x;
    int rc = transcript_of(b, hello, &t, err);

    buf_init(&x, LINK_X_MAX);
    t.keygen = true;
    if (rc == 0)
        rc = sign_x(p, &t, link_keygen_message, &x, &b->keygen.sig, err);
    buf_done(&x);
    return rc;
}

static void begin_common(struct bundle *b, const struct provider *p,
                         const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    b->begin.environment = p->pass.environment;
    b->begin.serial = b->serial;
    b->begin.cert = p->pass.cert.data;
    b->begin.cert_len = p->pass.cert.len;
    memcpy(b->begin.station_nonce, nonce, IMPRINT_NONCE_SIZE);
}

int bundle_keygen(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                  const uint8_t nonce[IMPRINT_NONCE_SIZE], struct error *err)
{
    struct link_keygen *k = &b->keygen;

    begin_common(b, p, nonce);
    *k = (struct link_keygen){.environment = b->begin.environment,
                              .serial = b->serial,
                              .key_alg = IMPRINT_ALG_P256,
                              .subject = certificate_subject,
                              .subject_len = certificate_subject_len,
                              .cert = b->begin.cert,
                              .cert_len = b->begin.cert_len};
    memcpy(k->order_hash, b->begin.order_hash, IMPRINT_HASH_SIZE);
    memcpy(k->transaction, b->begin.transaction, IMPRINT_TX_SIZE);
    memcpy(k->station_nonce, nonce, IMPRINT_NONCE_SIZE);
    return bundle_keygen_sign(b, p, hello, err);
}

int bundle_request(struct bundle *b, const struct provider *p, const struct link_request *request,
                   struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key;
    int rc = certificate_request(request->csr, request->csr_len, b->keygen.subject,
                                 b->keygen.subject_len, &key, err);

    if (rc)
        return rc;
    rc = ec_point(key, point, err);
    if (rc) {
        EVP_PKEY_free(key);
        return error_recode(err, ERR_PROTOCOL);
    }
    if (b->key && memcmp(point, b->point, sizeof point)) {
        EVP_PKEY_free(key);
        return error_set(err, ERR_PROTOCOL,
                         "the repeat has a request for another key than the first answer");
    }
    EVP_PKEY_free(b->key);
    b->key = key;
    memcpy(b->point, point, sizeof point);
    return certify(b, p, err);
}

/* ---- BEGIN ---- */

static void check_value(const struct bundle *b, uint8_t value[IMPRINT_HASH_SIZE])
{
    (void)HMAC(EVP_sha256(), b->symmetric, sizeof b->symmetric, (const uint8_t *)IMPRINT_LABEL_KCV,
               sizeof IMPRINT_LABEL_KCV, value, NULL);
}

static struct link_object *add_row(struct bundle *b, uint16_t type, uint16_t format, size_t length)
{
    struct link_object *row = &b->rows[b->begin.object_count++];

    *row = (struct link_object){.type = type, .format = format, .length = (uint32_t)length};
    return row;
}

static void add_bytes(struct bundle *b, uint16_t type, uint16_t format)
{
    const struct buf *bytes = &b->bytes[type];

    if (bytes->len)
        sha256(bytes->data, bytes->len, add_row(b, type, format, bytes->len)->hash);
}

static void add_private_key(struct bundle *b)
{
    uint8_t spki[EC_SPKI_SIZE];
    struct link_object *row = b->mode == IMPRINT_MODE_DEVICE
                                  ? add_row(b, IMPRINT_OBJ_PRIVATE_KEY, IMPRINT_FMT_NONE, 0)
                                  : add_row(b, IMPRINT_OBJ_PRIVATE_KEY, IMPRINT_FMT_PKCS8_RFC5649,
                                            wrap_size(b->plain.len));

    ec_spki(b->point, spki);
    sha256(spki, sizeof spki, row->hash);
}

static void add_rows(struct bundle *b)
{
    b->begin.objects = b->rows;
    b->begin.object_count = 0;
    if (b->mode != IMPRINT_MODE_DERIVED) {
        add_private_key(b);
        add_bytes(b, IMPRINT_OBJ_CERTIFICATES, IMPRINT_FMT_X509_DER);
    }
    add_bytes(b, IMPRINT_OBJ_TRUST_ANCHORS, IMPRINT_FMT_X509_DER);
    if (b->mode == IMPRINT_MODE_DERIVED)
        check_value(b, add_row(b, IMPRINT_OBJ_SYMMETRIC_KEY, IMPRINT_FMT_KEY_RFC5649,
                               wrap_size(sizeof b->symmetric))
                           ->hash);
    add_bytes(b, IMPRINT_OBJ_CONFIGURATION, IMPRINT_FMT_SIGNED);
    add_bytes(b, IMPRINT_OBJ_CONFIGURATION_KEY, IMPRINT_FMT_SPKI_DER);
    add_bytes(b, IMPRINT_OBJ_DECOMMISSION_KEY, IMPRINT_FMT_SPKI_DER);
}

int bundle_seal(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                struct error *err)
{
    struct buf symmetric = {.data = b->symmetric, .len = sizeof b->symmetric};
    bool derived = b->mode == IMPRINT_MODE_DERIVED;
    uint8_t kek[IMPRINT_KEK_SIZE];
    int rc = bundle_sign(b, p, hello, err);

    if (rc || b->mode == IMPRINT_MODE_DEVICE)
        return rc;
    rc = wrap_kek(b->begin.suite, b->ephemeral, b->dev_pub.bytes, b->context, kek, err);
    if (rc == 0)
        rc =
            wrap_put(kek, derived ? &symmetric : &b->plain,
                     &b->bytes[derived ? IMPRINT_OBJ_SYMMETRIC_KEY : IMPRINT_OBJ_PRIVATE_KEY], err);
    return rc;
}

static int make_ephemeral(struct bundle *b, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    int rc;

    EVP_PKEY_free(b->ephemeral);
    b->ephemeral = EVP_EC_gen("P-256");
    if (!b->ephemeral)
        return error_set(err, ERR_CRYPTO, "cannot make a key");
    rc = ec_point(b->ephemeral, point, err);
    b->begin.station_pub = link_key_p256(point);
    return rc;
}

int bundle_offer(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                 const uint8_t nonce[IMPRINT_NONCE_SIZE], uint16_t suite, struct error *err)
{
    int rc = 0;

    begin_common(b, p, nonce);
    b->begin.suite = suite;
    b->begin.station_pub = (struct link_key){0};
    b->dev_pub = hello->facts.dev_pub;
    if (suite != IMPRINT_SUITE_NONE)
        rc = make_ephemeral(b, err);
    add_rows(b);
    return rc ? rc : bundle_seal(b, p, hello, err);
}

/* ---- judging ---- */

struct link_object *bundle_row(struct bundle *b, uint16_t type)
{
    for (size_t i = 0; i < b->begin.object_count; i++)
        if (b->rows[i].type == type)
            return &b->rows[i];
    return NULL;
}

void bundle_identity(const struct bundle *b, uint8_t identity[IMPRINT_HASH_SIZE])
{
    if (b->mode == IMPRINT_MODE_DERIVED)
        check_value(b, identity);
    else
        memcpy(identity, b->leaf_hash, IMPRINT_HASH_SIZE);
}

static bool proof_verifies(const struct bundle *b, const struct link_proof *proof,
                           const struct buf *message)
{
    uint8_t mac[IMPRINT_SYMMETRIC_SIZE];

    if (b->mode != IMPRINT_MODE_DERIVED)
        return proof->sig.len == EC_SIG_SIZE &&
               ec_verify(b->point, message->data, message->len, proof->sig.bytes, NULL) == 0;
    return proof->sig.len == sizeof mac &&
           HMAC(EVP_sha256(), b->symmetric, sizeof b->symmetric, message->data, message->len, mac,
                NULL) &&
           memcmp(mac, proof->sig.bytes, sizeof mac) == 0;
}

int bundle_proof(const struct bundle *b, const struct link_proof *proof,
                 const uint8_t nonce[IMPRINT_NONCE_SIZE], struct error *err)
{
    struct link_prove p = {.alg = b->mode == IMPRINT_MODE_DERIVED ? IMPRINT_ALG_HMAC_SHA256
                                                                  : IMPRINT_ALG_ECDSA_SHA256,
                           .lifecycle = (uint8_t)proof->lifecycle,
                           .commit_count = proof->commit_count};
    struct buf message;
    int rc;

    if (proof->sig.alg != p.alg)
        return error_set(err, ERR_PROTOCOL, "the proof has algorithm 0x%04x instead of 0x%04x",
                         proof->sig.alg, p.alg);
    memcpy(p.nonce, nonce, sizeof p.nonce);
    memcpy(p.x_hash, b->x_hash, sizeof p.x_hash);
    memcpy(p.leaf_hash, b->leaf_hash, sizeof p.leaf_hash);
    buf_init(&message, LINK_X_MAX);
    rc = link_prove_message(&p, &message, err);
    if (rc == 0 && !proof_verifies(b, proof, &message))
        rc = error_set(err, ERR_PROTOCOL, "the proof does not verify over the bytes of PROVE");
    buf_done(&message);
    return rc;
}
