/* BEGIN: what it says, what it refuses, transactions; ABORT. */
#include "station/conform/bench.h"

#include <openssl/rand.h>
#include <string.h>

/* ---- what BEGIN says ---- */

static void unknown_suite(struct bundle *b)
{
    b->begin.suite = 0x7fff;
}

static void unknown_key(struct bundle *b)
{
    b->begin.station_pub.alg = IMPRINT_ALG_P384;
}

static void unknown_type(struct bundle *b)
{
    b->rows[b->begin.object_count - 1].type = 0x7fff;
}

static void unknown_format(struct bundle *b)
{
    bundle_row(b, IMPRINT_OBJ_TRUST_ANCHORS)->format = IMPRINT_FMT_SPKI_DER;
}

static void double_row(struct bundle *b)
{
    b->rows[b->begin.object_count - 1] = b->rows[0];
}

static void empty_object(struct bundle *b)
{
    bundle_row(b, IMPRINT_OBJ_TRUST_ANCHORS)->length = 0;
}

static void long_key(struct bundle *b)
{
    bundle_row(b, IMPRINT_OBJ_PRIVATE_KEY)->length = IMPRINT_WRAPPED_KEY_MAX + 8;
}

static void huge_object(struct bundle *b)
{
    bundle_row(b, IMPRINT_OBJ_TRUST_ANCHORS)->length = 0xfffffff0;
}

static void drop_row(struct bundle *b, uint16_t type)
{
    struct link_object *row = bundle_row(b, type);
    size_t left;

    if (!row)
        return;
    left = b->begin.object_count - (size_t)(row - b->rows) - 1;
    memmove(row, row + 1, left * sizeof *row);
    b->begin.object_count--;
}

static void no_certificates(struct bundle *b)
{
    drop_row(b, b->mode == IMPRINT_MODE_DERIVED ? IMPRINT_OBJ_SYMMETRIC_KEY
                                                : IMPRINT_OBJ_CERTIFICATES);
}

static void no_private_key(struct bundle *b)
{
    drop_row(b,
             b->mode == IMPRINT_MODE_DERIVED ? IMPRINT_OBJ_SYMMETRIC_KEY : IMPRINT_OBJ_PRIVATE_KEY);
}

/* BEGIN over something else, with a signature that is right. */
static int refuse(struct bench *b, void (*change)(struct bundle *b), unsigned statuses,
                  struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    change(b->bundle);
    if (change != unknown_key) /* X has no such key: nothing can be signed */
        rc = bundle_sign(b->bundle, &b->provider, &b->hello, err);
    return rc ? rc : bench_begin_refused(b, statuses, err);
}

static int suite(struct bench *b, struct error *err)
{
    return refuse(b, unknown_suite, STATUS(SUITE), err);
}

static int key_algorithm(struct bench *b, struct error *err)
{
    return refuse(b, unknown_key, STATUS(SUITE), err);
}

static int object_type(struct bench *b, struct error *err)
{
    return refuse(b, unknown_type, STATUS(SUITE), err);
}

static int object_format(struct bench *b, struct error *err)
{
    return refuse(b, unknown_format, STATUS(SUITE), err);
}

/* bundle_sign refuses such an order, as the station does: the old signature stays. */
static int object_order(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    double_row(b->bundle);
    return bench_begin_refused(b, STATUS(FORMAT), err);
}

static int object_empty(struct bench *b, struct error *err)
{
    return refuse(b, empty_object, STATUS(FORMAT), err);
}

static int key_size(struct bench *b, struct error *err)
{
    return refuse(b, long_key, STATUS(SIZE), err);
}

static int oversize(struct bench *b, struct error *err)
{
    return refuse(b, huge_object, STATUS(SIZE), err);
}

static int incomplete(struct bench *b, struct error *err)
{
    int rc = refuse(b, no_certificates, STATUS(BUNDLE), err);

    if (rc == 0)
        rc = bench_reset(b, err);
    return rc ? rc : refuse(b, no_private_key, STATUS(BUNDLE), err);
}

static int signature_algorithm(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    b->bundle->begin.sig.alg = IMPRINT_ALG_LMS;
    return bench_begin_refused(b, STATUS(SUITE), err);
}

static int unprintable(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    b->bundle->begin.serial = "CONFORM\n1";
    return bench_begin_refused(b, STATUS(FORMAT), err);
}

/* One member more than there is, after all others. */
static int unknown_member(struct bench *b, struct error *err)
{
    struct buf payload;
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    buf_init(&payload, IMPRINT_FRAME_MAX);
    link_begin_encode(&payload, &b->bundle->begin);
    buf_put(&payload, "\x0d\x00", 2);
    if (!buf_failed(&payload))
        payload.data[0]++;
    return bench_refused(b, IMPRINT_MSG_BEGIN, &payload, STATUS(FORMAT), err);
}

/* Where the head of the first object's row is: with one object less, the head before it is another. */
static size_t first_row(const struct link_begin *begin, const struct buf *encoded)
{
    struct link_begin fewer = *begin;
    struct buf other;
    size_t at = 0;

    fewer.object_count--;
    buf_init(&other, IMPRINT_FRAME_MAX);
    link_begin_encode(&other, &fewer);
    while (at < other.len && at < encoded->len && encoded->data[at] == other.data[at])
        at++;
    buf_done(&other);
    return at + 1;
}

/* A row that says it has three members, or five, and has four. */
static int row_count(struct bench *b, struct error *err)
{
    static const uint8_t heads[] = {0x83, 0x85};
    int rc = bench_prepare_any(b, err);

    for (size_t i = 0; rc == 0 && i < sizeof heads; i++) {
        struct buf payload;
        size_t at;

        buf_init(&payload, IMPRINT_FRAME_MAX);
        link_begin_encode(&payload, &b->bundle->begin);
        at = first_row(&b->bundle->begin, &payload);
        if (!buf_failed(&payload) && at < payload.len)
            payload.data[at] = heads[i];
        rc = bench_refused(b, IMPRINT_MSG_BEGIN, &payload, STATUS(FORMAT), err);
    }
    return rc;
}

/* ---- transactions ---- */

static int repeat(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = bench_open_any(b, err);

    if (rc == 0)
        rc = bench_begin(b, &held, err);
    return rc ? rc : bench_state(b, IMPRINT_TX_OPEN, b->bundle->begin.transaction, err);
}

static int other_begin(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    b->bundle->begin.order_hash[0] ^= 1;
    rc = bundle_sign(b->bundle, &b->provider, &b->hello, err);
    return rc ? rc : bench_begin_refused(b, STATUS(TRANSACTION), err);
}

static int busy(struct bench *b, struct error *err)
{
    uint8_t first[IMPRINT_TX_SIZE];
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    memcpy(first, b->bundle->begin.transaction, sizeof first);
    b->bundle->begin.transaction[0] ^= 1;
    rc = bundle_sign(b->bundle, &b->provider, &b->hello, err);
    if (rc == 0)
        rc = bench_begin_refused(b, STATUS(BUSY), err);
    return rc ? rc : bench_state(b, IMPRINT_TX_OPEN, first, err);
}

static int begin_before_hello(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc == 0)
        rc = link_client_abort(&b->client, err); /* the transport key is gone */
    return rc ? rc : bench_begin_refused(b, STATUS(STATE), err);
}

/* Nothing was begun: both meanings of section 4 fit. */
static int put_before_begin(struct bench *b, struct error *err)
{
    uint8_t transaction[IMPRINT_TX_SIZE], bytes[IMPRINT_PUT_ALIGN] = {0};
    uint32_t held;
    int rc;

    if (RAND_bytes(transaction, sizeof transaction) != 1)
        return error_set(err, ERR_CRYPTO, "no random numbers");
    rc = link_client_put(&b->client, transaction, IMPRINT_OBJ_TRUST_ANCHORS, 0, bytes, sizeof bytes,
                         &held, err);
    rc = bench_expect(rc, STATUS(STATE) | STATUS(TRANSACTION), err);
    if (rc)
        return rc;
    rc = link_client_commit(&b->client, transaction, &held, err);
    return bench_expect(rc, STATUS(STATE) | STATUS(TRANSACTION), err);
}

/* ---- ABORT ---- */

static int abort_key(struct bench *b, struct error *err)
{
    struct link_key before = b->hello.facts.dev_pub;
    int rc = bench_reset(b, err);

    return rc ? rc : bench_new_key(b, &before, err);
}

static int abort_again(struct bench *b, struct error *err)
{
    int rc = link_client_abort(&b->client, err);

    return rc ? rc : link_client_abort(&b->client, err);
}

static int abort_format(struct bench *b, struct error *err)
{
    struct link_key before = b->hello.facts.dev_pub;
    struct buf payload;
    int rc;

    buf_init(&payload, 16);
    buf_put(&payload, "\xa1\x01\x00", 3);
    rc = bench_refused(b, IMPRINT_MSG_ABORT, &payload, STATUS(FORMAT), err);
    if (rc == 0)
        rc = bench_hello(b, err);
    return rc ? rc : bench_same_key(b, &before, err);
}

static int abort_open(struct bench *b, struct error *err)
{
    struct link_key before = b->hello.facts.dev_pub;
    int rc = bench_open_any(b, err);

    if (rc == 0)
        rc = link_client_abort(&b->client, err);
    if (rc == 0)
        rc = bench_hello(b, err);
    if (rc == 0 && b->hello.state == IMPRINT_TX_OPEN)
        rc = error_set(err, ERR_PROTOCOL, "HELLO still reports the transaction as open");
    return rc ? rc : bench_new_key(b, &before, err);
}

/* ---- without an identity ---- */

static int prove_blank(struct bench *b, struct error *err)
{
    uint8_t transaction[IMPRINT_TX_SIZE] = {1};
    struct buf payload;

    buf_init(&payload, 256);
    link_prove_encode(&payload, transaction, b->nonce);
    return bench_refused(b, IMPRINT_MSG_PROVE, &payload, STATUS(STATE), err);
}

static int read_blank(struct bench *b, struct error *err)
{
    struct buf payload;

    buf_init(&payload, 256);
    link_read_encode(&payload, 0, 0);
    return bench_refused(b, IMPRINT_MSG_READ, &payload, STATUS(STATE), err);
}

#define READY    (NEED_CHANGE | NEED_READY)
#define BELIEVED (READY | NEED_BELIEF)

const struct conform_case cases_begin[] = {
    {"abort-key", "5", READY, "After ABORT another transport key is made.", abort_key},
    {"abort-repeat", "5", READY, "ABORT needs no open transaction and may be repeated.",
     abort_again},
    {"abort-format", "2", READY, "ABORT with a member is answered with FORMAT and ends nothing.",
     abort_format},
    {"abort-open", "5", BELIEVED, "ABORT ends the open transaction and drops the transport key.",
     abort_open},
    {"prove-blank", "4", READY | NEED_BLANK, "PROVE without an identity is answered with STATE.",
     prove_blank},
    {"read-blank", "5", READY | NEED_BLANK, "READ without an identity is answered with STATE.",
     read_blank},
    {"put-before-begin", "4", READY,
     "PUT and COMMIT before BEGIN are answered with STATE or TRANSACTION.", put_before_begin},
    {"begin-before-hello", "4", BELIEVED, "BEGIN before HELLO is answered with STATE.",
     begin_before_hello},
    {"begin-suite", "4", BELIEVED, "A suite that is not known is answered with SUITE.", suite},
    {"begin-key-algorithm", "4", BELIEVED,
     "A station key of an algorithm that is not known is answered with SUITE.", key_algorithm},
    {"begin-signature-algorithm", "4", BELIEVED,
     "A signature of an algorithm that is not known is answered with SUITE.", signature_algorithm},
    {"begin-object-type", "4", BELIEVED,
     "An object of a type that is not known is answered with SUITE.", object_type},
    {"begin-object-format", "4", BELIEVED,
     "An object in a format that its type does not have is answered with SUITE.", object_format},
    {"begin-object-order", "3", BELIEVED,
     "Objects whose types do not ascend are answered with FORMAT.", object_order},
    {"begin-object-empty", "3", BELIEVED, "An empty object is answered with FORMAT.", object_empty},
    {"begin-key-size", "3", BELIEVED | NEED_HSM,
     "A wrapped private key of more than 256 bytes is answered with SIZE.", key_size},
    {"begin-oversize", "5", BELIEVED, "An object that does not fit is answered with SIZE.",
     oversize},
    {"begin-incomplete", "3", BELIEVED,
     "A bundle without its key or its certificates is answered with BUNDLE.", incomplete},
    {"begin-unprintable", "2", BELIEVED,
     "A text that is not printable ASCII is answered with FORMAT.", unprintable},
    {"begin-unknown-member", "2", BELIEVED,
     "A member that BEGIN does not have is answered with FORMAT.", unknown_member},
    {"begin-row", "2", BELIEVED,
     "A row of objects whose head counts other members than it has is answered with FORMAT.",
     row_count},
    {"begin-repeat", "5", BELIEVED, "The same BEGIN again gets the same answer.", repeat},
    {"begin-other", "4", BELIEVED,
     "Another BEGIN under the name of the open transaction is answered with TRANSACTION.",
     other_begin},
    {"begin-busy", "5", BELIEVED,
     "BEGIN of another transaction is answered with BUSY, and the open one stays.", busy},
    {NULL, NULL, 0, NULL, NULL}};
