/* PUT: objects in pieces. */
#include "station/conform/bench.h"

#include <string.h>

#define OBJECT IMPRINT_OBJ_TRUST_ANCHORS /* every bundle has it, and it is longer than PIECE */
#define PIECE  32

/* A PUT of the object under test that must be refused. */
static int refuse(struct bench *b, uint32_t offset, const uint8_t *bytes, size_t len,
                  unsigned statuses, struct error *err)
{
    uint32_t held;

    return bench_expect(link_client_put(&b->client, b->bundle->begin.transaction, OBJECT, offset,
                                        bytes, len, &held, err),
                        statuses, err);
}

/* A PUT of the object under test; so much must be held then. */
static int put(struct bench *b, uint32_t offset, size_t len, uint32_t expected, struct error *err)
{
    uint32_t held;
    int rc = link_client_put(&b->client, b->bundle->begin.transaction, OBJECT, offset,
                             b->bundle->bytes[OBJECT].data + offset, len, &held, err);

    if (rc == 0 && held != expected)
        rc = error_set(err, ERR_PROTOCOL, "PUT answers that %u bytes are held instead of %u",
                       (unsigned)held, (unsigned)expected);
    return rc;
}

static int offset(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    rc = refuse(b, PIECE, b->bundle->bytes[OBJECT].data + PIECE, PIECE, STATUS(STATE), err);
    return rc ? rc : put(b, 0, PIECE, PIECE, err);
}

static int unaligned(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    rc = refuse(b, 0, b->bundle->bytes[OBJECT].data, PIECE + 1, STATUS(SIZE), err);
    return rc ? rc : put(b, 0, PIECE, PIECE, err);
}

static int oversize(struct bench *b, struct error *err)
{
    const struct buf *object;
    uint8_t bytes[PIECE] = {0};
    uint32_t last;
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    object = &b->bundle->bytes[OBJECT];
    last = (uint32_t)(object->len / PIECE * PIECE);
    rc = put(b, 0, last, last, err);
    if (rc == 0) /* one piece more than is left */
        rc = refuse(b, last, bytes, PIECE, STATUS(SIZE), err);
    return rc ? rc : refuse(b, 0xfffffff0, bytes, PIECE, STATUS(SIZE), err);
}

static int repeat(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    if (rc == 0)
        rc = put(b, 0, PIECE, PIECE, err);
    if (rc == 0)
        rc = put(b, PIECE, PIECE, 2 * PIECE, err);
    return rc ? rc : put(b, 0, PIECE, 2 * PIECE, err);
}

static int other_bytes(struct bench *b, struct error *err)
{
    uint8_t bytes[PIECE];
    int rc = bench_open_any(b, err);

    if (rc == 0)
        rc = put(b, 0, PIECE, PIECE, err);
    if (rc)
        return rc;
    memcpy(bytes, b->bundle->bytes[OBJECT].data, sizeof bytes);
    bytes[PIECE - 1] ^= 1;
    return refuse(b, 0, bytes, sizeof bytes, STATUS(BUNDLE), err);
}

static int other_type(struct bench *b, struct error *err)
{
    uint8_t bytes[PIECE] = {0};
    uint32_t held;
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    rc = link_client_put(&b->client, b->bundle->begin.transaction, IMPRINT_OBJ_FIRMWARE_KEY, 0,
                         bytes, sizeof bytes, &held, err);
    return bench_expect(rc, STATUS(BUNDLE), err);
}

static int other_transaction(struct bench *b, struct error *err)
{
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint32_t held;
    int rc = bench_open_any(b, err);

    if (rc)
        return rc;
    memcpy(transaction, b->bundle->begin.transaction, sizeof transaction);
    transaction[IMPRINT_TX_SIZE - 1] ^= 1;
    rc = link_client_put(&b->client, transaction, OBJECT, 0, b->bundle->bytes[OBJECT].data, PIECE,
                         &held, err);
    rc = bench_expect(rc, STATUS(TRANSACTION), err);
    if (rc)
        return rc;
    rc = link_client_commit(&b->client, transaction, &held, err);
    return bench_expect(rc, STATUS(TRANSACTION), err);
}

#define BELIEVED (NEED_CHANGE | NEED_READY | NEED_BELIEF)

const struct conform_case cases_put[] = {
    {"put-offset", "5", BELIEVED,
     "An offset beyond what is held is answered with STATE, and what is held stays.", offset},
    {"put-unaligned", "5", BELIEVED,
     "A length that is no multiple of 16 and does not end the object is answered with SIZE.",
     unaligned},
    {"put-oversize", "4", BELIEVED, "Bytes beyond the end of an object are answered with SIZE.",
     oversize},
    {"put-repeat", "5", BELIEVED,
     "Bytes that are held already may be put again, and change nothing.", repeat},
    {"put-other-bytes", "5", BELIEVED,
     "Other bytes than those that are held are answered with BUNDLE.", other_bytes},
    {"put-type", "4", BELIEVED, "An object that BEGIN did not announce is answered with BUNDLE.",
     other_type},
    {"put-transaction", "4", BELIEVED,
     "PUT and COMMIT of a transaction that is not open are answered with TRANSACTION.",
     other_transaction},
    {NULL, NULL, 0, NULL, NULL}};
