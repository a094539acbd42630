/* Interruption and resume, as a station meets it: broken frames, answers that were lost, repeats. */
#include "station/conform/bench.h"

#include <string.h>

#define OBJECT IMPRINT_OBJ_TRUST_ANCHORS
#define PIECE  IMPRINT_PUT_ALIGN

static int put(struct bench *b, uint16_t type, uint32_t offset, size_t len, struct error *err)
{
    uint32_t held;

    return link_client_put(&b->client, b->bundle->begin.transaction, type, offset,
                           b->bundle->bytes[type].data + offset, len, &held, err);
}

/* A request that broke off within its frame. */
static int send_half(struct bench *b, struct error *err)
{
    static const uint8_t half[] = {0x00, 0x09, 0x01, 0x04, 0x55, 0xaa, 0xa4};
    struct buf bytes = {.data = (uint8_t *)(uintptr_t)half, .len = sizeof half};

    return bench_send(b, &bytes, err);
}

static int held_of(const struct bench *b, const struct link_held *held, uint16_t type)
{
    for (size_t i = 0; i < held->count; i++)
        if (b->bundle->rows[i].type == type)
            return (int)held->bytes[i];
    return -1;
}

/* Delivery stops in the middle of an object, and another station's run goes on with it. */
static int resume(struct bench *b, struct error *err)
{
    struct link_held held;
    struct link_key key;
    int rc = bench_open_any(b, err);

    key = b->hello.facts.dev_pub;
    if (rc == 0)
        rc = put(b, OBJECT, 0, 2 * (size_t)PIECE, err);
    if (rc == 0)
        rc = send_half(b, err);
    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_OPEN, b->bundle->begin.transaction, err);
    if (rc == 0)
        rc = bench_same_key(b, &key, err);
    if (rc == 0)
        rc = bench_begin(b, &held, err);
    if (rc == 0 && held_of(b, &held, OBJECT) != 2 * PIECE)
        return error_set(err, ERR_PROTOCOL, "BEGIN again says that %d bytes are held instead of %d",
                         held_of(b, &held, OBJECT), 2 * PIECE);
    if (rc == 0)
        rc = bench_put_all(b, &held, err);
    return rc ? rc : bench_complete(b, err);
}

/* Every request twice under one sequence, as if each answer had been lost once. */
static int put_twice(struct bench *b, struct error *err)
{
    const struct link_begin *begin = &b->bundle->begin;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < begin->object_count; i++) {
        uint32_t len = begin->objects[i].length;

        for (uint32_t at = 0, n; rc == 0 && at < len; at += n) {
            n = len - at < 256 ? len - at : 256;
            rc = put(b, begin->objects[i].type, at, n, err);
            b->client.sequence--;
            if (rc == 0)
                rc = put(b, begin->objects[i].type, at, n, err);
        }
    }
    return rc;
}

static int commit_twice(struct bench *b, struct error *err)
{
    uint32_t count;
    int rc = bench_commit(b, err);

    if (rc)
        return rc;
    b->client.sequence--;
    rc = link_client_commit(&b->client, b->identity->begin.transaction, &count, err);
    if (rc == 0 && count != b->hello.commit_count)
        rc = error_set(err, ERR_PROTOCOL,
                       "the repeat of COMMIT answers a commit count of %u, not %u", (unsigned)count,
                       (unsigned)b->hello.commit_count);
    return rc;
}

static int every_answer_lost(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = bench_open_any(b, err);

    b->client.sequence--;
    if (rc == 0)
        rc = bench_begin(b, &held, err);
    if (rc == 0)
        rc = put_twice(b, err);
    if (rc == 0)
        rc = commit_twice(b, err);
    if (rc == 0)
        rc = bench_prove(b, err);
    return rc ? rc : bench_prove(b, err);
}

/* The smallest pieces, the last object first. */
static int pieces(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    for (size_t i = rc ? 0 : b->bundle->begin.object_count; rc == 0 && i > 0; i--) {
        const struct link_object *row = &b->bundle->rows[i - 1];

        for (uint32_t at = 0, n; rc == 0 && at < row->length; at += n) {
            n = row->length - at < PIECE ? row->length - at : PIECE;
            rc = put(b, row->type, at, n, err);
        }
    }
    return rc ? rc : bench_complete(b, err);
}

#define BELIEVED (NEED_CHANGE | NEED_READY | NEED_BELIEF)

const struct conform_case cases_resume[] = {
    {"resume", "5", BELIEVED,
     "An open transaction outlives broken frames and HELLO: the same BEGIN says what is held, and "
     "delivery goes on.",
     resume},
    {"lost-answers", "1", BELIEVED,
     "Every request may come twice, as after an answer that was lost, and gets the same answer.",
     every_answer_lost},
    {"put-pieces", "5", BELIEVED, "Objects come in any order and in pieces of 16 bytes.", pieces},
    {NULL, NULL, 0, NULL, NULL}};
