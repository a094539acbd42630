/*
 * played_device: a device played with OpenSSL, which shares no code with the agent: it builds the
 * transcript by hand, agrees on the key, unwraps, and can really sign proofs.
 */
#ifndef TESTS_PLAYED_DEVICE_H
#define TESTS_PLAYED_DEVICE_H

#include "played_line.h"

#include <openssl/hmac.h>
#include <openssl/x509.h>

struct device {
    uint8_t chip[RIG_CHIP_SIZE];
    EVP_PKEY *transport; /* from the first HELLO to COMMIT */
    EVP_PKEY *enrolment; /* or NULL */
    uint8_t dev_pub[EC_POINT_SIZE];
    uint8_t tx_state, tx[IMPRINT_TX_SIZE], lifecycle;
    uint16_t suite; /* the one that it offers */
    uint32_t modes; /* bits of enum imprint_mode */
    EVP_PKEY *made; /* the key that it made for KEYGEN, or NULL */
    uint32_t commit_count;
    char serial[IMPRINT_SERIAL_MAX + 1];
    EVP_PKEY *key; /* the identity, or NULL where a symmetric key is all */
    bool has_symmetric;
    uint8_t symmetric[32];
    struct buf x, certificates;
    size_t leaf_len;
};

static inline void device_init(struct device *d, uint8_t mark)
{
    memset(d, 0, sizeof *d);
    memset(d->chip, mark, sizeof d->chip);
    d->lifecycle = IMPRINT_LIFE_FACTORY;
    d->suite = IMPRINT_SUITE_ECB;
    d->modes = IMPRINT_MODE_HSM;
    buf_init(&d->x, 2048);
    buf_init(&d->certificates, WIRE_OBJECT_MAX);
}

static inline void device_done(struct device *d)
{
    EVP_PKEY_free(d->transport);
    EVP_PKEY_free(d->enrolment);
    EVP_PKEY_free(d->made);
    EVP_PKEY_free(d->key);
    buf_done(&d->x);
    buf_done(&d->certificates);
}

static inline void device_new_transport(struct device *d)
{
    struct error err = ERROR_INIT;

    EVP_PKEY_free(d->transport);
    d->transport = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d->transport, d->dev_pub, &err), err);
}

static inline void device_facts(const struct device *d, struct link_facts *f)
{
    memset(f, 0, sizeof *f);
    f->suites[0] = d->suite;
    f->suite_count = 1;
    f->modes = d->modes;
    memcpy(f->chip_id, d->chip, sizeof d->chip);
    f->chip_id_len = sizeof d->chip;
    strcpy(f->firmware, "1.4.2");
    f->lifecycle = d->lifecycle;
    f->pinned = true;
    f->frame_max = 1024;
    if (d->lifecycle == IMPRINT_LIFE_FACTORY)
        f->dev_pub = link_key_p256(d->dev_pub);
}

/* The enrolled key's signature over nonce and facts. */
static inline void device_attest(const struct device *d, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                                 struct wire_hello *h)
{
    struct error err = ERROR_INIT;
    struct link_facts facts;
    struct buf message;

    device_facts(d, &facts);
    buf_init(&message, 1024);
    ASSERT_OK(link_attest_message(&facts, nonce, &message, &err), err);
    ASSERT_OK(ec_point(d->enrolment, h->attest_key, &err), err);
    ASSERT_OK(ec_sign(d->enrolment, message.data, message.len, h->attest_sig, &err), err);
    h->has_attestation = 1;
    buf_done(&message);
}

static inline struct wire_hello device_hello(struct device *d,
                                             const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    struct wire_hello h = {.suite_count = 1,
                           .suites = {d->suite},
                           .modes = (uint8_t)d->modes,
                           .chip_len = RIG_CHIP_SIZE,
                           .firmware = "1.4.2",
                           .lifecycle = d->lifecycle,
                           .pinned = 1,
                           .max_frame = 1024,
                           .tx_state = d->tx_state};

    if (d->lifecycle == IMPRINT_LIFE_FACTORY) {
        if (!d->transport)
            device_new_transport(d);
        h.has_dev_pub = 1;
        memcpy(h.dev_pub, d->dev_pub, sizeof h.dev_pub);
    }
    memcpy(h.chip, d->chip, sizeof d->chip);
    memcpy(h.tx, d->tx, sizeof h.tx);
    strcpy(h.serial, d->serial);
    if (d->enrolment)
        device_attest(d, nonce, &h);
    return h;
}

/* lp() of a key: u16 algorithm, then the point. */
static inline void put_lp_point(struct buf *x, const uint8_t point[EC_POINT_SIZE])
{
    buf_put_u16(x, EC_POINT_SIZE + 2);
    buf_put_u16(x, IMPRINT_ALG_P256);
    buf_put(x, point, EC_POINT_SIZE);
}

static inline void device_bundle_hash(const struct wire_plan *p, uint8_t hash[32])
{
    struct buf b;

    buf_init(&b, 1024);
    buf_put(&b, "imprint bundle v1", sizeof "imprint bundle v1");
    for (size_t i = 0; i < p->object_count; i++) {
        buf_put_u16(&b, p->objects[i].type);
        buf_put_u16(&b, p->objects[i].format);
        buf_put_u32(&b, p->objects[i].length);
        buf_put(&b, p->objects[i].hash, 32);
    }
    sha256(b.data, b.len, hash);
    buf_done(&b);
}

/* X as the device computes it from BEGIN and from its own facts. */
static inline void device_transcript(struct device *d, const struct wire_plan *p)
{
    struct error err = ERROR_INIT;
    uint8_t facts_hash[32], bundle_hash[32];
    struct link_facts facts;

    device_facts(d, &facts);
    ASSERT_OK(link_facts_hash(&facts, facts_hash, &err), err);
    device_bundle_hash(p, bundle_hash);
    buf_reset(&d->x);
    buf_put_u16(&d->x, p->suite);
    buf_put_lp(&d->x, p->environment, strlen(p->environment));
    buf_put_lp(&d->x, p->order_hash, 32);
    buf_put_lp(&d->x, p->tx, 16);
    buf_put_lp(&d->x, p->station_nonce, 32);
    buf_put_lp(&d->x, p->serial, strlen(p->serial));
    buf_put_lp(&d->x, d->chip, sizeof d->chip);
    put_lp_point(&d->x, d->dev_pub);
    if (p->suite) {
        put_lp_point(&d->x, p->station_pub);
    } else {
        buf_put_u16(&d->x, 2); /* no key: an algorithm of zero and nothing */
        buf_put_u16(&d->x, 0);
    }
    buf_put_lp(&d->x, facts_hash, 32);
    buf_put_lp(&d->x, bundle_hash, 32);
}

/* The station's signature over X, with the key of the certificate in BEGIN. */
static inline bool device_trusts(const struct device *d, const struct wire_plan *p)
{
    struct error err = ERROR_INIT;
    struct link_station_cert cert;
    struct buf message;
    bool good;

    buf_init(&message, 2048);
    buf_put(&message, "imprint station v1", sizeof "imprint station v1");
    buf_put(&message, d->x.data, d->x.len);
    good = link_station_cert_parse(p->station_cert, p->station_cert_len, &cert, &err) == 0 &&
           cert.key.len == EC_POINT_SIZE &&
           ec_verify(cert.key.bytes, message.data, message.len, p->station_sig, &err) == 0;
    buf_done(&message);
    return good;
}

static inline void device_agree(const struct device *d, const uint8_t peer_point[EC_POINT_SIZE],
                                uint8_t z[32])
{
    struct error err = ERROR_INIT;
    EVP_PKEY *peer;
    EVP_PKEY_CTX *ctx;
    size_t len = 32;

    ASSERT_OK(ec_public_key(peer_point, &peer, &err), err);
    ctx = EVP_PKEY_CTX_new(d->transport, NULL);
    ck_assert(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
              EVP_PKEY_derive(ctx, z, &len) == 1 && len == 32);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
}

/* One pass of a cipher; the length of the result, or -1. */
static inline int device_cipher(const EVP_CIPHER *cipher, int encrypt, const uint8_t key[32],
                                const uint8_t *in, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = -1, tail = 0;

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (!EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, encrypt) ||
        !EVP_CIPHER_CTX_set_padding(ctx, 0) || !EVP_CipherUpdate(ctx, out, &n, in, (int)len) ||
        !EVP_CipherFinal_ex(ctx, out + n, &tail))
        n = -1;
    EVP_CIPHER_CTX_free(ctx);
    return n;
}

/* Suite 1: KEK = AES-256-ECB under Z over SHA-256(label, X). */
static inline void device_kek(const struct device *d, const struct wire_plan *p, uint8_t kek[32])
{
    uint8_t z[32], context[32];
    struct buf b;

    device_agree(d, p->station_pub, z);
    buf_init(&b, 2048);
    buf_put(&b, "imprint kek v1", sizeof "imprint kek v1");
    buf_put(&b, d->x.data, d->x.len);
    sha256(b.data, b.len, context);
    buf_done(&b);
    ck_assert_int_eq(device_cipher(EVP_aes_256_ecb(), 1, z, context, 32, kek), 32);
}

/* The unwrapped identity key; NULL when the blob is not for this device. */
static inline EVP_PKEY *device_unwrap(const struct device *d, const struct wire_plan *p,
                                      const struct buf *blob)
{
    uint8_t kek[32], plain[512];
    const uint8_t *at = plain;
    PKCS8_PRIV_KEY_INFO *info;
    EVP_PKEY *key;
    int len;

    device_kek(d, p, kek);
    len = device_cipher(EVP_aes_256_wrap_pad(), 0, kek, blob->data, blob->len, plain);
    if (len < 0)
        return NULL;
    info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, len);
    ck_assert_ptr_nonnull(info);
    ck_assert_int_lt(plain + len - at, 8); /* the tail that SoftHSM leaves */
    key = EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

/* HMAC-SHA256 with the symmetric key. */
static inline void device_mac(const struct device *d, const void *message, size_t len,
                              uint8_t mac[32])
{
    ck_assert_ptr_nonnull(
        HMAC(EVP_sha256(), d->symmetric, sizeof d->symmetric, message, len, mac, NULL));
}

/* The unwrapped symmetric key, which must have the check value that BEGIN announced. */
static inline void device_take_symmetric(struct device *d, const struct wire_plan *p,
                                         const struct buf *blob, const uint8_t expected[32])
{
    uint8_t kek[32], plain[512], check[32];

    device_kek(d, p, kek);
    ck_assert_int_eq(device_cipher(EVP_aes_256_wrap_pad(), 0, kek, blob->data, blob->len, plain),
                     sizeof d->symmetric);
    memcpy(d->symmetric, plain, sizeof d->symmetric);
    d->has_symmetric = true;
    device_mac(d, "imprint kcv v1", sizeof "imprint kcv v1", check);
    ck_assert_mem_eq(check, expected, sizeof check);
}

/* The public point of the leaf certificate; its length goes to d. */
static inline void device_leaf_point(struct device *d, uint8_t point[EC_POINT_SIZE])
{
    struct error err = ERROR_INIT;
    const uint8_t *at = d->certificates.data;
    X509 *leaf = d2i_X509(NULL, &at, (long)d->certificates.len);

    ck_assert_ptr_nonnull(leaf);
    d->leaf_len = (size_t)(at - d->certificates.data);
    ASSERT_OK(ec_point(X509_get0_pubkey(leaf), point, &err), err);
    X509_free(leaf);
}

/* Every object of a plan; ends at the first that the vault refuses. */
static inline int device_fetch(struct device *d, struct line *l, struct buf *blob)
{
    const struct wire_plan *p = &l->plan;
    struct buf object;
    uint8_t hash[32];
    int rc = 0;

    buf_init(&object, WIRE_OBJECT_MAX);
    for (uint8_t i = 0; rc == 0 && i < p->object_count; i++) {
        struct buf *out = p->objects[i].type == IMPRINT_OBJ_PRIVATE_KEY    ? blob
                          : p->objects[i].type == IMPRINT_OBJ_CERTIFICATES ? &d->certificates
                                                                           : &object;

        rc = line_object(l, i, out);
        if (rc)
            break;
        ck_assert_uint_eq(out->len, p->objects[i].length);
        sha256(out->data, out->len, hash);
        if (p->objects[i].type == IMPRINT_OBJ_SYMMETRIC_KEY)
            device_take_symmetric(d, p, out, p->objects[i].hash);
        else if (out != blob)
            ck_assert_mem_eq(hash, p->objects[i].hash, 32);
    }
    buf_done(&object);
    return rc;
}

/* BEGIN and every object, as the line would carry them. Checks all that a device checks. */
static inline int device_receive(struct device *d, struct line *l)
{
    const struct wire_plan *p = &l->plan;
    uint8_t mine[EC_POINT_SIZE], certified[EC_POINT_SIZE];
    struct error err = ERROR_INIT;
    struct buf blob;
    int rc;

    ck_assert_int_eq(p->action, WIRE_DELIVER);
    device_transcript(d, p);
    ck_assert_msg(device_trusts(d, p), "the station's signature does not verify");
    memcpy(d->tx, p->tx, sizeof d->tx);
    d->tx_state = IMPRINT_TX_OPEN;
    buf_init(&blob, 2048);
    rc = device_fetch(d, l, &blob);
    if (rc) {
        buf_done(&blob);
        return rc;
    }
    EVP_PKEY_free(d->key);
    d->key = NULL;
    if (d->certificates.len) {
        d->key = p->suite ? device_unwrap(d, p, &blob) : d->made;
        ck_assert_ptr_nonnull(d->key);
        if (!p->suite)
            EVP_PKEY_up_ref(d->key);
        device_leaf_point(d, certified);
        ASSERT_OK(ec_point(d->key, mine, &err), err);
        ck_assert_mem_eq(mine, certified, sizeof mine);
    }
    buf_done(&blob);
    return 0;
}

static inline void device_take(struct device *d, struct line *l)
{
    ASSERT_ANSWER(l, device_receive(d, l));
}

static inline void device_commit(struct device *d, const struct line *l)
{
    EVP_PKEY_free(d->transport);
    d->transport = NULL;
    d->tx_state = IMPRINT_TX_COMMITTED;
    d->commit_count++;
    strcpy(d->serial, l->plan.serial);
}

/* What the device signs, or makes its MAC of, as SECURITY's definition spells it. */
static inline void device_proof_message(const struct device *d,
                                        const uint8_t nonce[IMPRINT_NONCE_SIZE], bool derived,
                                        struct buf *b)
{
    uint8_t hash[32];

    buf_put(b, "imprint prove v1", sizeof "imprint prove v1");
    buf_put_u16(b, derived ? IMPRINT_ALG_HMAC_SHA256 : IMPRINT_ALG_ECDSA_SHA256);
    buf_put_lp(b, nonce, IMPRINT_NONCE_SIZE);
    sha256(d->x.data, d->x.len, hash);
    buf_put_lp(b, hash, 32);
    sha256(d->certificates.data, d->leaf_len, hash);
    buf_put_lp(b, hash, derived ? 0 : 32);
    buf_put_u8(b, d->lifecycle);
    buf_put_u32(b, d->commit_count);
}

/* With any key. */
static inline struct wire_proof device_sign(const struct device *d, EVP_PKEY *key,
                                            const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    struct wire_proof p = {.lifecycle = d->lifecycle,
                           .commit_count = d->commit_count,
                           .sig_len = IMPRINT_P256_SIG_SIZE};
    struct error err = ERROR_INIT;
    struct buf b;

    buf_init(&b, 1024);
    device_proof_message(d, nonce, false, &b);
    ASSERT_OK(ec_sign(key, b.data, b.len, p.sig, &err), err);
    buf_done(&b);
    sha256(d->certificates.data, d->certificates.len, p.read_back);
    return p;
}

static inline struct wire_proof device_prove(const struct device *d,
                                             const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    struct wire_proof p = {.lifecycle = d->lifecycle,
                           .commit_count = d->commit_count,
                           .sig_len = IMPRINT_SYMMETRIC_SIZE};
    struct buf b;

    if (d->key)
        return device_sign(d, d->key, nonce);
    buf_init(&b, 1024);
    device_proof_message(d, nonce, true, &b);
    device_mac(d, b.data, b.len, p.sig);
    buf_done(&b);
    return p;
}

/* ---- line and device together ---- */

/* OPEN and HELLO. */
static inline int meet(struct line *l, struct device *d)
{
    struct wire_hello h;
    int rc = line_open(l);

    if (rc)
        return rc;
    h = device_hello(d, l->nonce);
    return line_hello(l, &h);
}

/* NONCE, PROVE, PROOF. */
static inline int prove(struct line *l, struct device *d, uint8_t *verdict)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct wire_proof p;
    int rc = line_nonce(l, nonce);

    if (rc)
        return rc;
    p = device_prove(d, nonce);
    return line_proof(l, &p, verdict);
}

/* To where the device holds an identity and nothing is proven. */
static inline void deliver(struct line *l, struct device *d)
{
    ASSERT_ANSWER(l, meet(l, d));
    device_take(d, l);
    device_commit(d, l);
}

/* Proves, and locks when the vault says so. */
static inline void pass(struct line *l, struct device *d)
{
    uint8_t verdict = 0;

    ASSERT_ANSWER(l, prove(l, d, &verdict));
    if (verdict == WIRE_LOCK_FIRST) {
        d->lifecycle = IMPRINT_LIFE_LOCKED;
        ASSERT_ANSWER(l, prove(l, d, &verdict));
    }
    ck_assert_int_eq(verdict, WIRE_PASS);
}

/* The whole way, on a channel of its own. */
static inline void provision(struct rig *r, struct device *d)
{
    struct line l;

    line_init(&l, r);
    deliver(&l, d);
    pass(&l, d);
    ASSERT_ANSWER(&l, line_result(&l, 0, ""));
    line_done(&l);
}

/* OPEN, HELLO and whatever follows, on a channel of its own; the plan is what comes back. */
static inline int meet_once(struct rig *r, struct device *d, struct wire_plan *plan,
                            struct error *said)
{
    struct line l;
    int rc;

    line_init(&l, r);
    rc = meet(&l, d);
    if (plan)
        *plan = l.plan;
    *said = l.said;
    ck_assert_int_eq(l.fatal, 0);
    line_done(&l);
    return rc;
}

/* Refused, and nothing but the log of attempts changed. */
#define ASSERT_MEET_REFUSED(r, d, code, part)                                                      \
    do {                                                                                           \
        struct error meet_said;                                                                    \
        int64_t meet_changes = rig_changes(r);                                                     \
        int meet_rc = meet_once(r, d, NULL, &meet_said);                                           \
        ck_assert_msg(meet_rc == (code), "%s instead of %s: %s", error_name(meet_rc),              \
                      error_name(code), meet_said.text);                                           \
        ck_assert_msg(strstr(meet_said.text, part) != NULL, "'%s' lacks '%s'", meet_said.text,     \
                      part);                                                                       \
        ck_assert_int_eq(rig_changes(r), meet_changes);                                            \
        if (meet_rc == ERR_REFUSED &&                                                              \
            strstr(meet_said.text, "aside")) /* not 'call the engineer' */                         \
            ck_assert_int_ne(meet_said.next, NEXT_BY_CLASS);                                       \
    } while (0)

#endif
