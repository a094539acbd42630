/* Whole deliveries in every mode and suite that the device claims, and what an identity then does. */
#include "station/conform/bench.h"

#include <openssl/rand.h>
#include <openssl/x509.h>
#include <string.h>

/* ---- deliveries ---- */

/* HELLO must report the identity, and another transport key than it was delivered with. */
static int in_force(struct bench *b, struct error *err)
{
    uint32_t count = b->hello.commit_count;
    struct link_key key = b->hello.facts.dev_pub;
    int rc = bench_state(b, IMPRINT_TX_COMMITTED, b->identity->begin.transaction, err);

    if (rc)
        return rc;
    if (strcmp(b->hello.serial, b->identity->serial))
        return error_set(err, ERR_PROTOCOL, "HELLO reports another serial than BEGIN had");
    if (b->hello.commit_count != count)
        return error_set(err, ERR_PROTOCOL, "HELLO reports commit count %u, COMMIT said %u",
                         (unsigned)b->hello.commit_count, (unsigned)count);
    return bench_new_key(b, &key, err);
}

static int provision(struct bench *b, uint32_t mode, uint16_t suite, struct error *err)
{
    int rc = bench_provision(b, mode, suite, err);

    return rc ? rc : in_force(b, err);
}

static int hsm_suite_1(struct bench *b, struct error *err)
{
    return provision(b, IMPRINT_MODE_HSM, IMPRINT_SUITE_ECB, err);
}

static int hsm_suite_2(struct bench *b, struct error *err)
{
    return provision(b, IMPRINT_MODE_HSM, IMPRINT_SUITE_X963, err);
}

static int derived_suite_1(struct bench *b, struct error *err)
{
    return provision(b, IMPRINT_MODE_DERIVED, IMPRINT_SUITE_ECB, err);
}

static int derived_suite_2(struct bench *b, struct error *err)
{
    return provision(b, IMPRINT_MODE_DERIVED, IMPRINT_SUITE_X963, err);
}

static int device_key(struct bench *b, struct error *err)
{
    return provision(b, IMPRINT_MODE_DEVICE, IMPRINT_SUITE_NONE, err);
}

/* The form in which OpenSSL and most HSMs write it. */
static int embedded_public_key(struct bench *b, struct error *err)
{
    uint16_t suite = bench_suite(b, IMPRINT_MODE_HSM);
    PKCS8_PRIV_KEY_INFO *info;
    uint8_t *der = NULL;
    int len, rc = bench_prepare(b, IMPRINT_MODE_HSM, suite, err);

    if (rc)
        return rc;
    info = EVP_PKEY2PKCS8(b->bundle->key);
    len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
    PKCS8_PRIV_KEY_INFO_free(info);
    if (len <= 0)
        return error_set(err, ERR_CRYPTO, "cannot encode a key");
    buf_reset(&b->bundle->plain);
    buf_put(&b->bundle->plain, der, (size_t)len);
    OPENSSL_clear_free(der, (size_t)len);
    rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, suite, err);
    if (rc == 0)
        rc = bench_deliver(b, err);
    return rc ? rc : bench_complete(b, err);
}

static int configuration(struct bench *b, struct error *err)
{
    uint16_t suite = bench_suite(b, bench_mode(b));
    struct link_held held;
    int rc = bench_prepare_any(b, err);

    if (rc == 0)
        rc = bundle_configure(b->bundle, &b->provider, err);
    if (rc == 0)
        rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, suite, err);
    if (rc == 0)
        rc = bench_begin(b, &held, err);
    if (rc == ERR_REFUSED && err->native == IMPRINT_ERR_SUITE) {
        (void)error_set(err, ERR_NONE, "the firmware leaves configurations out");
        return CASE_SKIP;
    }
    if (rc == 0)
        rc = bench_put_all(b, &held, err);
    return rc ? rc : bench_complete(b, err);
}

/* ---- an identity that is in force ---- */

static int commit_repeat(struct bench *b, struct error *err)
{
    uint32_t count;
    int rc = link_client_commit(&b->client, b->identity->begin.transaction, &count, err);

    if (rc == 0 && count != b->hello.commit_count)
        rc = error_set(err, ERR_PROTOCOL, "COMMIT again answers a commit count of %u instead of %u",
                       (unsigned)count, (unsigned)b->hello.commit_count);
    return rc;
}

static int prove_transaction(struct bench *b, struct error *err)
{
    uint8_t transaction[IMPRINT_TX_SIZE];
    struct buf payload;

    memcpy(transaction, b->identity->begin.transaction, sizeof transaction);
    transaction[0] ^= 1;
    buf_init(&payload, 256);
    link_prove_encode(&payload, transaction, b->nonce);
    return bench_refused(b, IMPRINT_MSG_PROVE, &payload, STATUS(TRANSACTION), err);
}

/* The two members of PROVE the other way round: the only thing that is wrong with it. */
static int prove_order(struct bench *b, struct error *err)
{
    struct buf payload;

    buf_init(&payload, 256);
    buf_put(&payload, "\xa2\x02\x58\x20", 4);
    buf_put(&payload, b->nonce, sizeof b->nonce);
    buf_put(&payload, "\x01\x50", 2);
    buf_put(&payload, b->identity->begin.transaction, IMPRINT_TX_SIZE);
    return bench_refused(b, IMPRINT_MSG_PROVE, &payload, STATUS(FORMAT), err);
}

static int prove(struct bench *b, struct error *err)
{
    int rc = bench_prove(b, err);

    return rc ? rc : bench_prove(b, err); /* with another nonce */
}

static int read_tail(struct bench *b, struct error *err)
{
    const struct buf *certificates = &b->identity->bytes[IMPRINT_OBJ_CERTIFICATES];
    uint8_t tail[32];
    struct buf payload;
    int rc;

    if (b->identity->mode == IMPRINT_MODE_DERIVED) {
        (void)error_set(err, ERR_NONE, "in derived mode there are no certificates");
        return CASE_SKIP;
    }
    rc = link_client_read_tail(&b->client, (uint32_t)certificates->len, tail, sizeof tail, err);
    if (rc)
        return rc;
    if (memcmp(tail, certificates->data + certificates->len - sizeof tail, sizeof tail))
        return error_set(err, ERR_PROTOCOL, "READ from an offset on returns other bytes");
    buf_init(&payload, 256);
    link_read_encode(&payload, (uint32_t)certificates->len + 1, 0);
    return bench_refused(b, IMPRINT_MSG_READ, &payload, STATUS(SIZE), err);
}

/* Another identity is opened; the one in force must still be whole. */
static int open_another(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_OPEN, b->bundle->begin.transaction, err);
    if (rc == 0 && strcmp(b->hello.serial, b->identity->serial))
        rc = error_set(err, ERR_PROTOCOL,
                       "HELLO does not report the serial of the identity in force");
    return rc ? rc : bench_prove(b, err);
}

static int replace(struct bench *b, struct error *err)
{
    uint8_t first[IMPRINT_TX_SIZE];
    struct buf payload;
    int rc = open_another(b, err);

    if (rc)
        return rc;
    memcpy(first, b->identity->begin.transaction, sizeof first);
    rc = bench_put_all(b, NULL, err);
    if (rc == 0)
        rc = bench_commit(b, err);
    if (rc == 0)
        rc = bench_prove(b, err);
    if (rc)
        return rc;
    buf_init(&payload, 256);
    link_prove_encode(&payload, first, b->nonce);
    return bench_refused(b, IMPRINT_MSG_PROVE, &payload, STATUS(TRANSACTION), err);
}

static int abort_keeps(struct bench *b, struct error *err)
{
    int rc = open_another(b, err);

    if (rc == 0)
        rc = link_client_abort(&b->client, err);
    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_COMMITTED, b->identity->begin.transaction, err);
    return rc ? rc : bench_prove(b, err);
}

static int failure_keeps(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    b->bundle->bytes[IMPRINT_OBJ_TRUST_ANCHORS].data[40] ^= 1;
    rc = bench_deliver(b, err);
    if (rc == 0)
        rc = bench_commit_refused(b, STATUS(BUNDLE), err);
    return rc ? rc : bench_prove(b, err);
}

static int keygen_after_commit(struct bench *b, struct error *err)
{
    struct link_request request;
    int rc = bench_provision(b, IMPRINT_MODE_DEVICE, IMPRINT_SUITE_NONE, err);

    if (rc == 0)
        rc = bench_hello(b, err);
    if (rc == 0)
        rc = bundle_keygen(b->identity, &b->provider, &b->hello, b->nonce, err);
    return rc ? rc
              : bench_expect(link_client_keygen(&b->client, &b->identity->keygen, &request, err),
                             STATUS(STATE), err);
}

/* ---- DECOMMISSION ---- */

static int refuse_farewell(struct bench *b, const struct link_farewell *farewell, struct error *err)
{
    int rc =
        bench_expect(link_client_decommission(&b->client, farewell, err), STATUS(SIGNATURE), err);

    return rc ? rc : bench_prove(b, err);
}

static int decommission_signature(struct bench *b, struct error *err)
{
    struct link_farewell farewell;

    bench_farewell_of(b, &farewell);
    farewell.sig.bytes[0] ^= 1;
    return refuse_farewell(b, &farewell, err);
}

static int decommission_chip(struct bench *b, struct error *err)
{
    struct link_farewell farewell;

    bench_farewell_of(b, &farewell);
    farewell.chip_id[0] ^= 1;
    return refuse_farewell(b, &farewell, err);
}

static int decommission_identity(struct bench *b, struct error *err)
{
    struct link_farewell farewell;

    bench_farewell_of(b, &farewell);
    farewell.identity[0] ^= 1;
    return refuse_farewell(b, &farewell, err);
}

static int decommission_busy(struct bench *b, struct error *err)
{
    struct link_farewell farewell;
    int rc = open_another(b, err);

    bench_farewell_of(b, &farewell);
    return rc ? rc
              : bench_expect(link_client_decommission(&b->client, &farewell, err), STATUS(BUSY),
                             err);
}

static int decommission(struct bench *b, struct error *err)
{
    struct link_farewell farewell;
    int rc;

    bench_farewell_of(b, &farewell);
    rc = bench_farewell(b, err);
    if (rc == 0) /* the answer may have been lost */
        rc = link_client_decommission(&b->client, &farewell, err);
    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_NONE, NULL, err);
    if (rc == 0 && b->hello.commit_count != 0)
        rc = error_set(err, ERR_PROTOCOL, "HELLO then reports a commit count of %u, not 0",
                       (unsigned)b->hello.commit_count);
    return rc ? rc : bench_provision(b, bench_mode(b), bench_suite(b, bench_mode(b)), err);
}

#define BELIEVED (NEED_CHANGE | NEED_READY | NEED_BELIEF)
#define IDENTITY (NEED_CHANGE | NEED_IDENTITY | NEED_BELIEF)

const struct conform_case cases_identity[] = {
    {"hsm-suite-1", "6", BELIEVED | NEED_HSM | NEED_SUITE_1,
     "A key wrapped by suite 1 comes into force, proves itself, and HELLO reports it.",
     hsm_suite_1},
    {"hsm-suite-2", "6", BELIEVED | NEED_HSM | NEED_SUITE_2,
     "A key wrapped by suite 2 comes into force, proves itself, and HELLO reports it.",
     hsm_suite_2},
    {"hsm-public-key", "6", BELIEVED | NEED_HSM, "PKCS#8 with an embedded public key is taken.",
     embedded_public_key},
    {"device-key", "5", BELIEVED | NEED_DEVICE,
     "A key that the device made comes into force, proves itself, and HELLO reports it.",
     device_key},
    {"derived-suite-1", "6", BELIEVED | NEED_DERIVED | NEED_SUITE_1,
     "A symmetric key wrapped by suite 1 comes into force, and its HMAC proves it.",
     derived_suite_1},
    {"derived-suite-2", "6", BELIEVED | NEED_DERIVED | NEED_SUITE_2,
     "A symmetric key wrapped by suite 2 comes into force, and its HMAC proves it.",
     derived_suite_2},
    {"configuration", "3", BELIEVED, "A configuration that its key signed is taken.",
     configuration},
    {"commit-repeat", "5", IDENTITY,
     "COMMIT of the committed transaction again is answered with the same count.", commit_repeat},
    {"prove", "5", IDENTITY,
     "A proof covers its request's nonce, X, the leaf certificate, life cycle and commit count.",
     prove},
    {"prove-transaction", "4", IDENTITY,
     "PROVE of another transaction is answered with TRANSACTION.", prove_transaction},
    {"prove-order", "2", IDENTITY, "Keys that do not ascend are answered with FORMAT.",
     prove_order},
    {"read-offset", "5", IDENTITY,
     "READ returns the certificates from the offset on; an offset beyond them is SIZE.", read_tail},
    {"replace", "5", IDENTITY,
     "Before LOCK another BEGIN may replace the identity, which stays in force until COMMIT.",
     replace},
    {"abort-identity", "5", IDENTITY, "ABORT never ends an identity.", abort_keeps},
    {"commit-failed-identity", "5", IDENTITY, "A COMMIT that fails leaves the identity in force.",
     failure_keeps},
    {"keygen-committed", "4", BELIEVED | NEED_DEVICE,
     "KEYGEN of the committed transaction is answered with STATE.", keygen_after_commit},
    {"decommission-signature", "5", IDENTITY | NEED_DECOMMISSION,
     "DECOMMISSION whose signature does not verify is answered with SIGNATURE.",
     decommission_signature},
    {"decommission-chip", "5", IDENTITY | NEED_DECOMMISSION,
     "DECOMMISSION for another chip is answered with SIGNATURE.", decommission_chip},
    {"decommission-identity", "5", IDENTITY | NEED_DECOMMISSION,
     "DECOMMISSION of another identity is answered with SIGNATURE.", decommission_identity},
    {"decommission-busy", "5", IDENTITY | NEED_DECOMMISSION,
     "DECOMMISSION while a transaction is open is answered with BUSY.", decommission_busy},
    {"decommission", "5", IDENTITY | NEED_DECOMMISSION,
     "DECOMMISSION by the owner leaves a blank device, may be repeated, and the next commit count "
     "is 1.",
     decommission},
    {NULL, NULL, 0, NULL, NULL}};
