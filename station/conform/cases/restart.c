/* What a device keeps when it loses power. Somebody has to turn it off and on: --restart. */
#include "station/conform/bench.h"

#include <string.h>

#define OBJECT IMPRINT_OBJ_TRUST_ANCHORS
#define PIECE  IMPRINT_PUT_ALIGN

static int restart(struct bench *b, struct error *err)
{
    return b->restart(b, err);
}

static int keeps_key(struct bench *b, struct error *err)
{
    struct link_key before = b->hello.facts.dev_pub;
    int rc = restart(b, err);

    if (rc == 0)
        rc = bench_hello(b, err);
    return rc ? rc : bench_same_key(b, &before, err);
}

static int put(struct bench *b, uint32_t *held, struct error *err)
{
    return link_client_put(&b->client, b->bundle->begin.transaction, OBJECT, 0,
                           b->bundle->bytes[OBJECT].data, PIECE, held, err);
}

static int keeps_transaction(struct bench *b, struct error *err)
{
    struct link_held held;
    uint32_t bytes;
    int rc = bench_open_any(b, err);

    if (rc == 0)
        rc = put(b, &bytes, err);
    if (rc == 0)
        rc = restart(b, err);
    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_OPEN, b->bundle->begin.transaction, err);
    if (rc == 0)
        rc = bench_expect(put(b, &bytes, err), STATUS(STATE), err);
    if (rc == 0)
        rc = bench_commit_refused(b, STATUS(STATE), err);
    if (rc == 0)
        rc = bench_begin(b, &held, err);
    if (rc == 0)
        rc = bench_holds_nothing(&held, "after a restart", err);
    if (rc == 0)
        rc = bench_put_all(b, &held, err);
    return rc ? rc : bench_complete(b, err);
}

static int keeps_made_key(struct bench *b, struct error *err)
{
    int rc = bench_prepare(b, IMPRINT_MODE_DEVICE, IMPRINT_SUITE_NONE, err);

    if (rc == 0)
        rc = restart(b, err);
    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_OPEN, b->bundle->keygen.transaction, err);
    return rc ? rc : bench_keygen(b, err);
}

static int keeps_identity(struct bench *b, struct error *err)
{
    uint32_t count = b->hello.commit_count;
    int rc = restart(b, err);

    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_COMMITTED, b->identity->begin.transaction, err);
    if (rc == 0 && b->hello.commit_count != count)
        rc = error_set(err, ERR_PROTOCOL, "the commit count is %u after a restart instead of %u",
                       (unsigned)b->hello.commit_count, (unsigned)count);
    return rc ? rc : bench_prove(b, err);
}

#define RESTART (NEED_CHANGE | NEED_READY | NEED_RESTART)

const struct conform_case cases_restart[] = {
    {"restart-key", "5", RESTART, "The transport key outlives a restart.", keeps_key},
    {"restart-open", "5", RESTART | NEED_BELIEF,
     "After a restart the transaction is still open; PUT and COMMIT are answered with STATE until "
     "BEGIN came again, and then nothing is held.",
     keeps_transaction},
    {"restart-keygen", "5", RESTART | NEED_BELIEF | NEED_DEVICE,
     "KEYGEN again after a restart gives a request for the same key.", keeps_made_key},
    {"restart-identity", "7", RESTART | NEED_BELIEF | NEED_IDENTITY,
     "The identity outlives a restart, and proves its key.", keeps_identity},
    {NULL, NULL, 0, NULL, NULL}};
