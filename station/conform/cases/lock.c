/* LOCK, which only DECOMMISSION ends: these cases run with --lock. */
#include "station/conform/bench.h"

#include <string.h>

static int lock(struct bench *b, struct error *err)
{
    return link_client_lock(&b->client, b->identity->begin.transaction, err);
}

static int lock_transaction(struct bench *b, struct error *err)
{
    uint8_t transaction[IMPRINT_TX_SIZE];

    memcpy(transaction, b->identity->begin.transaction, sizeof transaction);
    transaction[0] ^= 1;
    return bench_expect(link_client_lock(&b->client, transaction, err), STATUS(TRANSACTION), err);
}

static int lock_busy(struct bench *b, struct error *err)
{
    int rc = bench_open_any(b, err);

    return rc ? rc : bench_expect(lock(b, err), STATUS(BUSY), err);
}

/* Locks the device if the cases before did not, and learns what HELLO says then. */
static int locked(struct bench *b, struct error *err)
{
    int rc = 0;

    if (b->hello.facts.lifecycle != IMPRINT_LIFE_LOCKED)
        rc = lock(b, err);
    return rc ? rc : bench_state(b, IMPRINT_TX_COMMITTED, b->identity->begin.transaction, err);
}

static int lock_and_prove(struct bench *b, struct error *err)
{
    int rc = locked(b, err);

    if (rc == 0)
        rc = lock(b, err); /* a repeat */
    if (rc)
        return rc;
    if (b->hello.facts.lifecycle != IMPRINT_LIFE_LOCKED)
        return error_set(err, ERR_PROTOCOL, "HELLO says life cycle %u after LOCK instead of 2",
                         (unsigned)b->hello.facts.lifecycle);
    if (b->hello.facts.dev_pub.alg != IMPRINT_ALG_NONE || b->hello.facts.dev_pub.len != 0)
        return error_set(err, ERR_PROTOCOL, "HELLO shows a transport key after LOCK");
    return bench_prove(b, err);
}

static int locked_commit(struct bench *b, struct error *err)
{
    uint32_t count;
    int rc = locked(b, err);

    return rc ? rc : link_client_commit(&b->client, b->identity->begin.transaction, &count, err);
}

static int locked_begin(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = locked(b, err);

    return rc ? rc
              : bench_expect(link_client_begin(&b->client, &b->identity->begin, &held, err),
                             STATUS(LOCKED), err);
}

static int locked_put(struct bench *b, struct error *err)
{
    uint8_t bytes[IMPRINT_PUT_ALIGN] = {0};
    uint32_t held;
    int rc = locked(b, err);

    if (rc)
        return rc;
    rc = link_client_put(&b->client, b->identity->begin.transaction, IMPRINT_OBJ_TRUST_ANCHORS, 0,
                         bytes, sizeof bytes, &held, err);
    return bench_expect(rc, STATUS(LOCKED), err);
}

static int locked_abort(struct bench *b, struct error *err)
{
    int rc = locked(b, err);

    if (rc == 0)
        rc = bench_expect(link_client_abort(&b->client, err), STATUS(LOCKED), err);
    return rc ? rc : bench_prove(b, err);
}

static int locked_keygen(struct bench *b, struct error *err)
{
    struct link_request request;
    int rc = locked(b, err);

    if (rc == 0)
        rc = bundle_keygen(b->identity, &b->provider, &b->hello, b->nonce, err);
    return rc ? rc
              : bench_expect(link_client_keygen(&b->client, &b->identity->keygen, &request, err),
                             STATUS(LOCKED), err);
}

static int locked_restart(struct bench *b, struct error *err)
{
    int rc = locked(b, err);

    if (rc == 0)
        rc = b->restart(b, err);
    return rc ? rc : lock_and_prove(b, err);
}

static int locked_decommission(struct bench *b, struct error *err)
{
    int rc = locked(b, err);

    if (rc == 0)
        rc = bench_farewell(b, err);
    if (rc == 0)
        rc = bench_state(b, IMPRINT_TX_NONE, NULL, err);
    if (rc == 0 && b->hello.facts.lifecycle != IMPRINT_LIFE_FACTORY)
        rc = error_set(err, ERR_PROTOCOL, "HELLO says life cycle %u after DECOMMISSION, not 1",
                       (unsigned)b->hello.facts.lifecycle);
    return rc;
}

#define IDENTITY (NEED_CHANGE | NEED_IDENTITY | NEED_BELIEF | NEED_LOCK)

const struct conform_case cases_lock[] = {
    {"lock-transaction", "4", IDENTITY, "LOCK of another transaction is answered with TRANSACTION.",
     lock_transaction},
    {"lock-busy", "5", IDENTITY, "LOCK while another transaction is open is answered with BUSY.",
     lock_busy},
    {"lock", "5", IDENTITY | NEED_LOCKED,
     "After LOCK, which may be repeated, HELLO shows no transport key, and the proof says locked.",
     lock_and_prove},
    {"locked-commit", "5", IDENTITY | NEED_LOCKED,
     "COMMIT of the committed transaction works after LOCK.", locked_commit},
    {"locked-begin", "5", IDENTITY | NEED_LOCKED, "BEGIN after LOCK is answered with LOCKED.",
     locked_begin},
    {"locked-put", "5", IDENTITY | NEED_LOCKED, "PUT after LOCK is answered with LOCKED.",
     locked_put},
    {"locked-abort", "5", IDENTITY | NEED_LOCKED,
     "ABORT after LOCK is answered with LOCKED and ends nothing.", locked_abort},
    {"locked-keygen", "5", IDENTITY | NEED_LOCKED | NEED_DEVICE,
     "KEYGEN after LOCK is answered with LOCKED.", locked_keygen},
    {"locked-restart", "5", IDENTITY | NEED_LOCKED | NEED_RESTART,
     "A device that is locked is locked after a restart.", locked_restart},
    {"locked-decommission", "5", IDENTITY | NEED_LOCKED | NEED_DECOMMISSION,
     "DECOMMISSION by the owner ends LOCK.", locked_decommission},
    {NULL, NULL, 0, NULL, NULL}};
