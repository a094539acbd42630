#include "agent/agent.h"

#include "agent/bundle.h"
#include "agent/decommission.h"
#include "agent/frame.h"
#include "agent/key.h"
#include "agent/keygen.h"
#include "agent/other.h"
#include "agent/prove.h"
#include "agent/slots.h"
#include "agent/transcript.h"
#include "agent/wire.h"

#include <string.h>

#define HEADER_SIZE   4  /* link version, message, sequence */
#define READ_OVERHEAD 32 /* of a frame that carries part of the certificates */

/* A request's parameters and where its reply goes: both lie in the frame buffer. */
struct exchange {
    struct imprint_agent_reader in;
    struct imprint_agent_writer out;
};

typedef enum imprint_status handler(struct imprint_agent *agent, struct exchange *e);

/* Begins a reply of status OK with this many members after the status. */
static void reply_ok(struct exchange *e, uint32_t members)
{
    imprint_agent_put_head(&e->out, IMPRINT_AGENT_MAP, members + 1);
    imprint_agent_put_uint(&e->out, IMPRINT_KEY_STATUS, IMPRINT_OK);
}

/* Ends the reading of a request: all of it was understood, and nothing is left. */
static bool understood(const struct exchange *e)
{
    return !e->in.bad && e->in.left == 0;
}

/* Reads a request map of this many members. */
static void read_map(struct exchange *e, uint32_t members)
{
    imprint_agent_cbor_exact(&e->in, IMPRINT_AGENT_MAP, members);
}

/* Reads a whole request that is a transaction and nothing else; NULL when it is not. */
static const uint8_t *read_transaction(struct exchange *e, uint32_t key)
{
    const uint8_t *transaction;

    read_map(e, 1);
    transaction = imprint_agent_cbor_fixed(&e->in, key, IMPRINT_TX_SIZE);
    return understood(e) ? transaction : NULL;
}

static struct imprint_agent_slot *committed_slot(struct imprint_agent *agent)
{
    return agent->committed >= 0 ? &agent->slot[agent->committed] : NULL;
}

static bool is_transaction(const struct imprint_agent_slot *slot, const uint8_t *transaction)
{
    return memcmp(slot->record.transaction, transaction, IMPRINT_TX_SIZE) == 0;
}

static bool is_locked(const struct imprint_agent *agent)
{
    return imprint_agent_lifecycle(agent) == IMPRINT_LIFE_LOCKED;
}

/* The transaction that BEGIN or KEYGEN opened, or NULL. */
static const uint8_t *open_transaction(const struct imprint_agent *agent)
{
    return agent->open >= 0 ? agent->slot[agent->open].record.transaction
                            : imprint_agent_made_transaction(agent);
}

static void put_transaction(struct imprint_agent *agent, struct imprint_agent_writer *w)
{
    const struct imprint_agent_slot *committed = committed_slot(agent);
    const uint8_t *open = open_transaction(agent);
    const uint8_t *named = open ? open : committed ? committed->record.transaction : NULL;
    uint32_t state = open ? IMPRINT_TX_OPEN : committed ? IMPRINT_TX_COMMITTED : IMPRINT_TX_NONE;

    imprint_agent_put_open(w, IMPRINT_KEY_HELLO_TRANSACTION, IMPRINT_AGENT_MAP,
                           2 + (named ? 1u : 0u) + (committed ? 1u : 0u));
    imprint_agent_put_uint(w, IMPRINT_KEY_TX_STATE, state);
    if (named)
        imprint_agent_put_string(w, IMPRINT_KEY_TX_ID, IMPRINT_AGENT_BYTES, named, IMPRINT_TX_SIZE);
    if (committed)
        imprint_agent_put_string(w, IMPRINT_KEY_TX_SERIAL, IMPRINT_AGENT_TEXT,
                                 committed->record.serial, committed->record.serial_len);
    imprint_agent_put_uint(w, IMPRINT_KEY_TX_COMMIT_COUNT, committed ? committed->commit_count : 0);
}

static enum imprint_status handle_hello(struct imprint_agent *agent, struct exchange *e)
{
    const struct imprint_agent_platform *p = agent->platform;
    uint8_t digest[IMPRINT_HASH_SIZE], sig[IMPRINT_P256_SIG_SIZE];
    const uint8_t *nonce;
    enum imprint_status status;

    read_map(e, 1);
    nonce = imprint_agent_cbor_fixed(&e->in, IMPRINT_KEY_HELLO_NONCE, IMPRINT_NONCE_SIZE);
    if (!understood(e))
        return IMPRINT_ERR_FORMAT;
    status = is_locked(agent) ? IMPRINT_OK : imprint_agent_key_ensure(agent);
    if (status != IMPRINT_OK)
        return status;
    if (p->enrol_point && (!imprint_agent_attest_digest(agent, nonce, 0, NULL, 0, digest) ||
                           !p->enrol_sign(p->enrol_context, digest, sig)))
        return IMPRINT_ERR_CRYPTO;
    reply_ok(e, p->enrol_point ? 3 : 2);
    imprint_agent_put_head(&e->out, IMPRINT_AGENT_UINT, IMPRINT_KEY_HELLO_FACTS);
    imprint_agent_facts(agent, &e->out);
    put_transaction(agent, &e->out);
    if (p->enrol_point) {
        imprint_agent_put_open(&e->out, IMPRINT_KEY_HELLO_ATTESTATION, IMPRINT_AGENT_MAP,
                               4u + (p->enrol_chain_len != 0));
        imprint_agent_put_pair(&e->out, IMPRINT_KEY_ATTEST_KEY_ALG, IMPRINT_ALG_P256,
                               p->enrol_point, IMPRINT_P256_POINT_SIZE);
        imprint_agent_put_pair(&e->out, IMPRINT_KEY_ATTEST_SIG_ALG, IMPRINT_ALG_ECDSA_SHA256, sig,
                               sizeof sig);
        if (p->enrol_chain_len)
            imprint_agent_put_uint(&e->out, IMPRINT_KEY_ATTEST_CHAIN_LEN, p->enrol_chain_len);
    }
    return IMPRINT_OK;
}

#if IMPRINT_AGENT_WITH_DEVICE_KEY
static enum imprint_status handle_keygen(struct imprint_agent *agent, struct exchange *e)
{
    struct imprint_agent_request request;
    enum imprint_status status;

    if (is_locked(agent))
        return IMPRINT_ERR_LOCKED;
    status = imprint_agent_keygen(agent, &e->in, &request);
    if (status != IMPRINT_OK)
        return status;
    reply_ok(e, request.attested ? 3 : 1);
    imprint_agent_put_string(&e->out, IMPRINT_KEY_KEYGEN_CSR, IMPRINT_AGENT_BYTES,
                             request.csr.bytes + request.csr.start, request.csr.len);
    if (request.attested)
        imprint_agent_put_pair(&e->out, IMPRINT_KEY_KEYGEN_SIG_ALG, IMPRINT_ALG_ECDSA_SHA256,
                               request.sig, sizeof request.sig);
    return IMPRINT_OK;
}
#else
#define handle_keygen NULL
#endif

static enum imprint_status handle_begin(struct imprint_agent *agent, struct exchange *e)
{
    enum imprint_status status;
    int slot, i;

    if (is_locked(agent))
        return IMPRINT_ERR_LOCKED;
    status = imprint_agent_bundle_begin(agent, &e->in, &slot);
    if (status != IMPRINT_OK)
        return status;
    reply_ok(e, 1);
    imprint_agent_put_open(&e->out, IMPRINT_KEY_BEGIN_HELD, IMPRINT_AGENT_ARRAY,
                           agent->slot[slot].record.count);
    for (i = 0; i < agent->slot[slot].record.count; i++)
        imprint_agent_put_head(&e->out, IMPRINT_AGENT_UINT, agent->slot[slot].held[i]);
    return IMPRINT_OK;
}

/* A repeat: the bytes are compared with those in flash. A status. */
static enum imprint_status put_again(struct imprint_agent *agent, int slot, int object,
                                     uint32_t offset, const uint8_t *bytes, size_t len)
{
    uint8_t byte;

    while (len-- > 0) {
        if (!imprint_agent_object_load(agent, slot, object, offset++, &byte, 1))
            return IMPRINT_ERR_STORE;
        if (byte != *bytes++)
            return IMPRINT_ERR_BUNDLE;
    }
    return IMPRINT_OK;
}

static enum imprint_status put_bytes(struct imprint_agent *agent, int i, int object,
                                     uint32_t offset, const uint8_t *bytes, size_t len)
{
    struct imprint_agent_slot *slot = &agent->slot[i];
    uint32_t length = imprint_agent_load_u32(slot->record.objects[object].length);

    if (offset > length || len > length - offset)
        return IMPRINT_ERR_SIZE;
    if (offset + len <= slot->held[object])
        return put_again(agent, i, object, offset, bytes, len);
    if (offset != slot->held[object])
        return IMPRINT_ERR_STATE;
    if (len % IMPRINT_PUT_ALIGN != 0 && offset + len != length)
        return IMPRINT_ERR_SIZE;
    if (!imprint_agent_object_save(agent, i, object, offset, bytes, len)) {
        agent->loaded = false;
        return IMPRINT_ERR_STORE;
    }
    slot->held[object] += (uint32_t)len;
    return IMPRINT_OK;
}

/* The slot of a named transaction that can still take or compare objects. A status. */
static enum imprint_status find_slot(const struct imprint_agent *agent, const uint8_t *transaction,
                                     int *slot)
{
    int i;

    for (i = 0; i < 2; i++) {
        if (agent->slot[i].state == IMPRINT_AGENT_SLOT_EMPTY ||
            !is_transaction(&agent->slot[i], transaction))
            continue;
        if (agent->slot[i].state == IMPRINT_AGENT_SLOT_STALE)
            return IMPRINT_ERR_STATE; /* BEGIN comes first */
        *slot = i;
        return IMPRINT_OK;
    }
    return IMPRINT_ERR_TRANSACTION;
}

static enum imprint_status handle_put(struct imprint_agent *agent, struct exchange *e)
{
    const uint8_t *transaction, *bytes;
    uint32_t type, offset;
    enum imprint_status status;
    size_t len;
    int slot, object;

    read_map(e, 4);
    transaction = imprint_agent_cbor_fixed(&e->in, IMPRINT_KEY_PUT_TX, IMPRINT_TX_SIZE);
    type = imprint_agent_cbor_uint(&e->in, IMPRINT_KEY_PUT_TYPE, UINT16_MAX);
    offset = imprint_agent_cbor_uint(&e->in, IMPRINT_KEY_PUT_OFFSET, UINT32_MAX);
    bytes = imprint_agent_cbor_string(&e->in, IMPRINT_KEY_PUT_BYTES, IMPRINT_AGENT_BYTES,
                                      IMPRINT_AGENT_FRAME_MAX, &len);
    if (!understood(e))
        return IMPRINT_ERR_FORMAT;
    if (is_locked(agent))
        return IMPRINT_ERR_LOCKED;
    status = find_slot(agent, transaction, &slot);
    if (status != IMPRINT_OK)
        return status;
    object = imprint_agent_object_find(&agent->slot[slot], type);
    if (object < 0)
        return IMPRINT_ERR_BUNDLE;
    status = put_bytes(agent, slot, object, offset, bytes, len);
    if (status != IMPRINT_OK)
        return status;
    reply_ok(e, 1);
    imprint_agent_put_uint(&e->out, IMPRINT_KEY_PUT_HELD, agent->slot[slot].held[object]);
    return IMPRINT_OK;
}

static enum imprint_status handle_commit(struct imprint_agent *agent, struct exchange *e)
{
    const uint8_t *transaction;
    enum imprint_status status;
    int slot;

    transaction = read_transaction(e, IMPRINT_KEY_COMMIT_TX);
    if (!transaction)
        return IMPRINT_ERR_FORMAT;
    status = find_slot(agent, transaction, &slot);
    if (status == IMPRINT_OK && agent->slot[slot].state == IMPRINT_AGENT_SLOT_OPEN)
        status = imprint_agent_bundle_commit(agent);
    if (status != IMPRINT_OK)
        return status;
    reply_ok(e, 1);
    imprint_agent_put_uint(&e->out, IMPRINT_KEY_COMMIT_COUNT, agent->slot[slot].commit_count);
    return IMPRINT_OK;
}

/* The identity in force, for a request that must name its transaction. A status. */
static enum imprint_status require_committed(struct imprint_agent *agent,
                                             const uint8_t *transaction,
                                             const struct imprint_agent_slot **slot)
{
    *slot = committed_slot(agent);
    if (!*slot)
        return IMPRINT_ERR_STATE;
    return is_transaction(*slot, transaction) ? IMPRINT_OK : IMPRINT_ERR_TRANSACTION;
}

static enum imprint_status handle_prove(struct imprint_agent *agent, struct exchange *e)
{
    const struct imprint_agent_slot *slot;
    struct imprint_agent_proof proof;
    const uint8_t *transaction, *nonce;
    enum imprint_status status;

    read_map(e, 2);
    transaction = imprint_agent_cbor_fixed(&e->in, IMPRINT_KEY_PROVE_TX, IMPRINT_TX_SIZE);
    nonce = imprint_agent_cbor_fixed(&e->in, IMPRINT_KEY_PROVE_NONCE, IMPRINT_NONCE_SIZE);
    if (!understood(e))
        return IMPRINT_ERR_FORMAT;
    status = require_committed(agent, transaction, &slot);
    if (status == IMPRINT_OK)
        status = imprint_agent_prove(agent, nonce, &proof);
    if (status != IMPRINT_OK)
        return status;
    reply_ok(e, 4);
    imprint_agent_put_pair(&e->out, IMPRINT_KEY_PROVE_SIG_ALG, proof.alg, proof.bytes, proof.len);
    imprint_agent_put_uint(&e->out, IMPRINT_KEY_PROVE_LIFECYCLE, imprint_agent_lifecycle(agent));
    imprint_agent_put_uint(&e->out, IMPRINT_KEY_PROVE_COMMIT_COUNT, slot->commit_count);
    return IMPRINT_OK;
}

static enum imprint_status handle_read(struct imprint_agent *agent, struct exchange *e)
{
    const struct imprint_agent_platform *p = agent->platform;
    uint32_t members = imprint_agent_cbor_head(&e->in, IMPRINT_AGENT_MAP, 2);
    uint32_t chain = 0, offset, total, len;
    uint8_t *room;

    offset = imprint_agent_cbor_uint(&e->in, IMPRINT_KEY_READ_OFFSET, UINT32_MAX);
    if (members > 1)
        chain = imprint_agent_cbor_uint(&e->in, IMPRINT_KEY_READ_WHAT, IMPRINT_READ_CHAIN);
    if (members == 0 || !understood(e))
        return IMPRINT_ERR_FORMAT;
    total =
        chain ? p->enrol_chain_len : imprint_agent_object_length(agent, IMPRINT_OBJ_CERTIFICATES);
    if (total == 0)
        return IMPRINT_ERR_STATE;
    if (offset > total)
        return IMPRINT_ERR_SIZE;
    len = total - offset;
    if (len > IMPRINT_AGENT_FRAME_MAX - READ_OVERHEAD)
        len = IMPRINT_AGENT_FRAME_MAX - READ_OVERHEAD;
    reply_ok(e, 2);
    imprint_agent_put_uint(&e->out, IMPRINT_KEY_READ_TOTAL, total);
    imprint_agent_put_open(&e->out, IMPRINT_KEY_READ_BYTES, IMPRINT_AGENT_BYTES, len);
    room = e->out.start + e->out.len;
    if (chain)
        memcpy(room, p->enrol_chain + offset, len);
    else if (!imprint_agent_object_read(agent, IMPRINT_OBJ_CERTIFICATES, offset, room, len))
        return IMPRINT_ERR_STORE;
    e->out.len += len;
    return IMPRINT_OK;
}

static enum imprint_status handle_lock(struct imprint_agent *agent, struct exchange *e)
{
    const struct imprint_agent_slot *slot;
    const uint8_t *transaction;
    enum imprint_status status;

    transaction = read_transaction(e, IMPRINT_KEY_LOCK_TX);
    if (!transaction)
        return IMPRINT_ERR_FORMAT;
    status = require_committed(agent, transaction, &slot);
    if (status != IMPRINT_OK)
        return status;
    if (open_transaction(agent))
        return IMPRINT_ERR_BUSY;
    if (!is_locked(agent) && !imprint_agent_slot_lock(agent))
        return IMPRINT_ERR_STORE;
    reply_ok(e, 0);
    return IMPRINT_OK;
}

static enum imprint_status handle_abort(struct imprint_agent *agent, struct exchange *e)
{
    read_map(e, 0);
    if (!understood(e))
        return IMPRINT_ERR_FORMAT;
    if (is_locked(agent))
        return IMPRINT_ERR_LOCKED;
    if ((agent->has_key || agent->open >= 0) && !imprint_agent_slot_abort(agent))
        return IMPRINT_ERR_STORE;
    reply_ok(e, 0);
    return IMPRINT_OK;
}

#if IMPRINT_AGENT_WITH_DECOMMISSION
static enum imprint_status handle_decommission(struct imprint_agent *agent, struct exchange *e)
{
    struct imprint_agent_farewell said;
    enum imprint_status status;
    uint32_t alg;

    read_map(e, 4);
    said.chip_id =
        imprint_agent_cbor_string(&e->in, IMPRINT_KEY_DECOMMISSION_CHIP_ID, IMPRINT_AGENT_BYTES,
                                  IMPRINT_CHIP_ID_MAX, &said.chip_id_len);
    said.identity =
        imprint_agent_cbor_fixed(&e->in, IMPRINT_KEY_DECOMMISSION_IDENTITY, IMPRINT_HASH_SIZE);
    alg = imprint_agent_cbor_uint(&e->in, IMPRINT_KEY_DECOMMISSION_SIG_ALG, UINT16_MAX);
    if (!e->in.bad && alg != IMPRINT_ALG_ECDSA_SHA256)
        return IMPRINT_ERR_SUITE;
    said.sig =
        imprint_agent_cbor_fixed(&e->in, IMPRINT_KEY_DECOMMISSION_SIG, IMPRINT_P256_SIG_SIZE);
    if (!understood(e))
        return IMPRINT_ERR_FORMAT;
    status = imprint_agent_decommission(agent, &said);
    if (status == IMPRINT_OK)
        reply_ok(e, 0);
    return status;
}
#endif

static handler *const handlers[] = {
    NULL, /* by the number of the message */
    handle_hello,
    handle_keygen,
    handle_begin,
    handle_put,
    handle_commit,
    handle_prove,
    handle_read,
    handle_lock,
    handle_abort,
#if IMPRINT_AGENT_WITH_DECOMMISSION
    handle_decommission,
#endif
};

typedef char handlers_are_by_number
    [sizeof handlers / sizeof *handlers ==
             (IMPRINT_AGENT_WITH_DECOMMISSION ? IMPRINT_MSG_DECOMMISSION : IMPRINT_MSG_ABORT) + 1
         ? 1
         : -1];

/* Runs a request: what is wrong with the frame first, then with the store, then the handler. */
static enum imprint_status run(struct imprint_agent *agent, struct exchange *e)
{
    uint8_t message = agent->frame[1];

    if (agent->frame[0] != IMPRINT_LINK_VERSION)
        return IMPRINT_ERR_VERSION;
    if (message >= sizeof handlers / sizeof *handlers || !handlers[message])
        return IMPRINT_ERR_MESSAGE;
    if (!agent->loaded && !imprint_agent_load(agent))
        return IMPRINT_ERR_STORE;
    return handlers[message](agent, e);
}

/* Answers the request in the frame buffer, in place: version and sequence stay as they are. */
static void answer(struct imprint_agent *agent)
{
    uint8_t *payload = agent->frame + HEADER_SIZE;
    const size_t room = IMPRINT_AGENT_FRAME_MAX - IMPRINT_FRAME_OVERHEAD;
    struct exchange e;
    enum imprint_status status;

    imprint_agent_read(&e.in, payload, (size_t)agent->frame_len - HEADER_SIZE);
    imprint_agent_write(&e.out, payload, room);
    status = run(agent, &e);
    if (status != IMPRINT_OK || e.out.bad) {
        imprint_agent_write(&e.out, payload, room);
        imprint_agent_put_head(&e.out, IMPRINT_AGENT_MAP, 1);
        imprint_agent_put_uint(&e.out, IMPRINT_KEY_STATUS,
                               status != IMPRINT_OK ? status : IMPRINT_ERR_SIZE);
    }
    agent->frame[0] = IMPRINT_LINK_VERSION;
    agent->frame[1] |= IMPRINT_MSG_REPLY;
    imprint_agent_frame_send(agent, HEADER_SIZE + e.out.len);
}

void imprint_agent_init(struct imprint_agent *agent, const struct imprint_agent_platform *platform)
{
    memset(agent, 0, sizeof *agent);
    agent->platform = platform;
    agent->committed = -1;
    agent->open = -1;
    (void)imprint_agent_load(agent);
}

void imprint_agent_input(struct imprint_agent *agent, const uint8_t *bytes, size_t len)
{
    for (; len > 0; bytes++, len--) {
        if (!imprint_agent_frame_byte(agent, *bytes))
            continue;
        /* A frame with bit 7 set is a reply: our own, echoed by a looped cable. */
        if (!(agent->frame[1] & IMPRINT_MSG_REPLY))
            answer(agent);
        imprint_agent_frame_reset(agent);
    }
}

bool imprint_agent_identity(struct imprint_agent *agent, struct imprint_agent_identity *out)
{
    struct imprint_agent_secrets secrets;
    const struct imprint_agent_slot *slot;

    memset(out, 0, sizeof *out);
    if ((!agent->loaded && !imprint_agent_load(agent)) ||
        !imprint_agent_slot_secrets(agent, &secrets))
        return false;
    slot = &agent->slot[agent->committed];
    out->has_other = slot->record.other != 0;
    if (!out->has_other)
        memcpy(out->scalar, secrets.scalar, sizeof out->scalar);
    if (IMPRINT_AGENT_WITH_SYMMETRIC)
        memcpy(out->symmetric, secrets.symmetric, sizeof out->symmetric);
    imprint_agent_wipe(&secrets, sizeof secrets);
    out->has_private =
        !out->has_other && imprint_agent_object_find(slot, IMPRINT_OBJ_PRIVATE_KEY) >= 0;
    out->has_symmetric = IMPRINT_AGENT_WITH_SYMMETRIC &&
                         imprint_agent_object_find(slot, IMPRINT_OBJ_SYMMETRIC_KEY) >= 0;
    memcpy(out->transaction, slot->record.transaction, IMPRINT_TX_SIZE);
    memcpy(out->serial, slot->record.serial, slot->record.serial_len);
    out->commit_count = slot->commit_count;
    out->lifecycle = imprint_agent_lifecycle(agent);
    return true;
}

bool imprint_agent_private_read(struct imprint_agent *agent, uint8_t *key, size_t cap, size_t *len)
{
#if IMPRINT_AGENT_WITH_OTHER_KEYS
    struct imprint_agent_secrets secrets;
    struct imprint_agent_private found;
    bool ok = (agent->loaded || imprint_agent_load(agent)) &&
              imprint_agent_slot_secrets(agent, &secrets) &&
              agent->slot[agent->committed].record.other &&
              imprint_agent_other_load(agent, agent->committed, secrets.scalar, &found) &&
              found.len <= cap;

    if (ok)
        memcpy(key, found.bytes, *len = found.len);
    imprint_agent_wipe(&secrets, sizeof secrets);
    imprint_agent_wipe(&found, sizeof found);
    return ok;
#else
    (void)agent;
    (void)key;
    (void)cap;
    (void)len;
    return false;
#endif
}

/* The number of an object of the identity in force, or -1. */
static int find_object(struct imprint_agent *agent, enum imprint_object type)
{
    if ((!agent->loaded && !imprint_agent_load(agent)) || agent->committed < 0)
        return -1;
    return imprint_agent_object_find(&agent->slot[agent->committed], type);
}

uint32_t imprint_agent_object_length(struct imprint_agent *agent, enum imprint_object type)
{
    int i = find_object(agent, type);

    return i < 0 ? 0 : agent->slot[agent->committed].held[i];
}

bool imprint_agent_object_read(struct imprint_agent *agent, enum imprint_object type,
                               uint32_t offset, void *out, size_t len)
{
    int i = find_object(agent, type);
    uint32_t total = i < 0 ? 0 : agent->slot[agent->committed].held[i];

    return i >= 0 && offset <= total && len <= total - offset &&
           imprint_agent_object_load(agent, agent->committed, i, offset, out, len);
}
