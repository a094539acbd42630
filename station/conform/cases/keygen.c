/* KEYGEN: the device makes its key and asks for a certificate. */
#include "station/conform/bench.h"

#include <string.h>

/* A request that was judged, for the first bundle of the case. */
static int made(struct bench *b, struct error *err)
{
    return bench_prepare(b, IMPRINT_MODE_DEVICE, IMPRINT_SUITE_NONE, err);
}

static int keygen(struct bench *b, struct error *err)
{
    int rc = made(b, err);

    return rc ? rc : bench_state(b, IMPRINT_TX_OPEN, b->bundle->keygen.transaction, err);
}

static int attested(struct bench *b, struct error *err)
{
    struct link_request request;
    struct public_key key;
    struct buf message;
    int rc = made(b, err);

    if (rc == 0)
        rc = link_client_keygen(&b->client, &b->bundle->keygen, &request, err);
    if (rc)
        return rc;
    if (!request.attested || request.attest_sig.len != EC_SIG_SIZE)
        return error_set(err, ERR_PROTOCOL, "there is no signature of the enrolment key");
    key = key_p256(b->bundle->point);
    buf_init(&message, LINK_X_MAX);
    rc = link_attest_key_message(&b->hello.facts, b->bundle->keygen.station_nonce, &key, &message,
                                 err);
    if (rc == 0 && ec_verify(b->hello.attest_key.bytes, message.data, message.len,
                             request.attest_sig.bytes, NULL))
        rc = error_set(err, ERR_PROTOCOL, "the enrolment key's signature does not verify");
    buf_done(&message);
    return rc;
}

static int repeat(struct bench *b, struct error *err)
{
    int rc = made(b, err);

    return rc ? rc : bench_keygen(b, err);
}

/* KEYGEN as it stands in the bundle must be refused. */
static int refuse(struct bench *b, unsigned statuses, struct error *err)
{
    struct link_request request;

    return bench_expect(link_client_keygen(&b->client, &b->bundle->keygen, &request, err), statuses,
                        err);
}

/* Signs what begin and keygen have in common, and asks. */
static int refuse_signed(struct bench *b, unsigned statuses, struct error *err)
{
    struct link_keygen *k = &b->bundle->keygen;
    int rc = bundle_keygen_sign(b->bundle, &b->provider, &b->hello, err);

    memcpy(k->order_hash, b->bundle->begin.order_hash, sizeof k->order_hash);
    memcpy(k->transaction, b->bundle->begin.transaction, sizeof k->transaction);
    return rc ? rc : refuse(b, statuses, err);
}

static int other(struct bench *b, struct error *err)
{
    int rc = made(b, err);

    if (rc)
        return rc;
    b->bundle->begin.order_hash[0] ^= 1;
    return refuse_signed(b, STATUS(TRANSACTION), err);
}

static int busy(struct bench *b, struct error *err)
{
    int rc = made(b, err);

    if (rc)
        return rc;
    b->bundle->begin.transaction[0] ^= 1;
    return refuse_signed(b, STATUS(BUSY), err);
}

/* A bundle whose KEYGEN is signed and not yet sent. */
static int unsent(struct bench *b, struct error *err)
{
    bundle_free(b->bundle);
    b->bundle = bundle_new(&b->provider, IMPRINT_MODE_DEVICE, "CONFORM-KEYGEN", err);
    return b->bundle ? bundle_keygen(b->bundle, &b->provider, &b->hello, b->nonce, err) : err->code;
}

static int signature(struct bench *b, struct error *err)
{
    int rc = unsent(b, err);

    if (rc)
        return rc;
    b->bundle->keygen.sig.bytes[0] ^= 1;
    rc = refuse(b, STATUS(STATION), err);
    if (rc == 0)
        rc = bench_hello(b, err);
    if (rc == 0 && b->hello.state == IMPRINT_TX_OPEN)
        rc = error_set(err, ERR_PROTOCOL, "HELLO then reports a transaction that is open");
    return rc;
}

static int algorithm(struct bench *b, struct error *err)
{
    int rc = unsent(b, err);

    if (rc)
        return rc;
    b->bundle->keygen.key_alg = IMPRINT_ALG_LMS;
    return refuse(b, STATUS(SUITE), err);
}

static int subject(struct bench *b, struct error *err)
{
    static const uint8_t not_one[][4] = {
        {0x31, 0x02, 0x05, 0x00}, {0x30, 0x01, 0x00, 0x00}, {0x30, 0x03, 0x05, 0x00}};
    int rc = unsent(b, err);

    for (size_t i = 0; rc == 0 && i < sizeof not_one / sizeof *not_one; i++) {
        b->bundle->keygen.subject = not_one[i];
        b->bundle->keygen.subject_len = sizeof not_one[i];
        rc = refuse(b, STATUS(FORMAT), err);
    }
    return rc;
}

static int abort_erases(struct bench *b, struct error *err)
{
    uint8_t first[EC_POINT_SIZE];
    int rc = made(b, err);

    if (rc)
        return rc;
    memcpy(first, b->bundle->point, sizeof first);
    rc = bench_reset(b, err);
    if (rc == 0)
        rc = made(b, err);
    if (rc == 0 && memcmp(first, b->bundle->point, sizeof first) == 0)
        rc = error_set(err, ERR_PROTOCOL, "KEYGEN after ABORT gives the same key");
    return rc;
}

/* The key that a BEGIN of suite 0 means was erased by ABORT. */
static int begin_without(struct bench *b, struct error *err)
{
    int rc = made(b, err);

    if (rc == 0)
        rc = bench_reset(b, err);
    if (rc == 0)
        rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, IMPRINT_SUITE_NONE, err);
    return rc ? rc : bench_begin_refused(b, STATUS(STATE), err);
}

#define DEVICE (NEED_CHANGE | NEED_READY | NEED_DEVICE | NEED_BELIEF)

const struct conform_case cases_keygen[] = {
    {"keygen", "5", DEVICE,
     "KEYGEN answers with a PKCS#10 request for a new P-256 key, and opens its transaction.",
     keygen},
    {"keygen-attestation", "5", DEVICE | NEED_ATTESTATION,
     "The enrolment key signs the new key, over KEYGEN's nonce.", attested},
    {"keygen-repeat", "5", DEVICE, "The same KEYGEN again gives a request for the same key.",
     repeat},
    {"keygen-other", "5", DEVICE,
     "Another KEYGEN under the name of the open transaction is answered with TRANSACTION.", other},
    {"keygen-busy", "5", DEVICE, "KEYGEN of another transaction is answered with BUSY.", busy},
    {"keygen-signature", "5", DEVICE,
     "KEYGEN with a signature that does not verify is answered with STATION and opens nothing.",
     signature},
    {"keygen-algorithm", "4", DEVICE,
     "KEYGEN for a key of an algorithm that is not known is answered with SUITE.", algorithm},
    {"keygen-subject", "5", DEVICE,
     "KEYGEN with a subject that is not one DER SEQUENCE is answered with FORMAT.", subject},
    {"keygen-abort", "5", DEVICE, "ABORT erases the key that KEYGEN made.", abort_erases},
    {"begin-before-keygen", "4", DEVICE, "BEGIN with suite 0 before KEYGEN is answered with STATE.",
     begin_without},
    {NULL, NULL, 0, NULL, NULL}};
