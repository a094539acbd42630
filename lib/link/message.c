#include "link/message.h"

#include "link/cbor_map.h"
#include "link/cbor_write.h"

#include <string.h>

const char *link_message_name(uint8_t message)
{
    static const char *const names[] = {
        [IMPRINT_MSG_HELLO] = "HELLO",   [IMPRINT_MSG_KEYGEN] = "KEYGEN",
        [IMPRINT_MSG_BEGIN] = "BEGIN",   [IMPRINT_MSG_PUT] = "PUT",
        [IMPRINT_MSG_COMMIT] = "COMMIT", [IMPRINT_MSG_PROVE] = "PROVE",
        [IMPRINT_MSG_READ] = "READ",     [IMPRINT_MSG_LOCK] = "LOCK",
        [IMPRINT_MSG_ABORT] = "ABORT",   [IMPRINT_MSG_DECOMMISSION] = "DECOMMISSION",
    };

    if (message >= sizeof names / sizeof *names || !names[message])
        return "an unknown message";
    return names[message];
}

const char *link_status_text(long status)
{
    static const char *const texts[] = {
        [IMPRINT_OK] = "all is well",
        [IMPRINT_ERR_VERSION] = "it does not support this version of the link",
        [IMPRINT_ERR_MESSAGE] = "its firmware does not have this message",
        [IMPRINT_ERR_FORMAT] = "the request is malformed",
        [IMPRINT_ERR_STATE] = "this request is not possible now",
        [IMPRINT_ERR_BUSY] = "another transaction is open on it",
        [IMPRINT_ERR_TRANSACTION] =
            "it does not know this transaction, or knows another by its name",
        [IMPRINT_ERR_STATION] = "the station's certificate or signature does not verify",
        [IMPRINT_ERR_SIZE] = "an object or request is too large for it",
        [IMPRINT_ERR_BUNDLE] = "an object is not what the station announced",
        [IMPRINT_ERR_KEY] = "the key does not unwrap, or is not the certificate's",
        [IMPRINT_ERR_STORE] = "its flash memory failed",
        [IMPRINT_ERR_LOCKED] = "its identity is locked",
        [IMPRINT_ERR_CRYPTO] = "its cryptography or random source failed",
        [IMPRINT_ERR_SUITE] = "it does not have this suite, mode, algorithm or format",
        [IMPRINT_ERR_SIGNATURE] = "what signs a configuration or DECOMMISSION does not verify, or "
                                  "is for another identity",
    };

    if (status < 0 || (size_t)status >= sizeof texts / sizeof *texts)
        return "something failed that this station has no name for";
    return texts[status];
}

/* A request map that begins with the transaction, which always has key 1. */
static void put_transaction(struct buf *out, size_t members,
                            const uint8_t transaction[IMPRINT_TX_SIZE])
{
    link_cbor_head(out, LINK_CBOR_MAP, members);
    link_cbor_bytes(out, IMPRINT_KEY_PUT_TX, transaction, IMPRINT_TX_SIZE);
}

void link_hello_encode(struct buf *out, const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    link_cbor_head(out, LINK_CBOR_MAP, 1);
    link_cbor_bytes(out, IMPRINT_KEY_HELLO_NONCE, nonce, IMPRINT_NONCE_SIZE);
}

void link_keygen_encode(struct buf *out, const struct link_keygen *k)
{
    link_cbor_head(out, LINK_CBOR_MAP, 11);
    link_cbor_uint(out, IMPRINT_KEY_BEGIN_SUITE, IMPRINT_SUITE_NONE);
    link_cbor_text(out, IMPRINT_KEY_BEGIN_ENVIRONMENT, k->environment);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_ORDER, k->order_hash, IMPRINT_HASH_SIZE);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_TX, k->transaction, IMPRINT_TX_SIZE);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_NONCE, k->station_nonce, IMPRINT_NONCE_SIZE);
    link_cbor_text(out, IMPRINT_KEY_BEGIN_SERIAL, k->serial);
    link_cbor_uint(out, IMPRINT_KEY_KEYGEN_KEY_ALG, k->key_alg);
    link_cbor_bytes(out, IMPRINT_KEY_KEYGEN_SUBJECT, k->subject, k->subject_len);
    link_cbor_uint(out, IMPRINT_KEY_BEGIN_SIG_ALG, k->sig.alg);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_SIG, k->sig.bytes, k->sig.len);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_CERTIFICATE, k->cert, k->cert_len);
}

void link_begin_encode(struct buf *out, const struct link_begin *b)
{
    link_cbor_head(out, LINK_CBOR_MAP, 12);
    link_cbor_uint(out, IMPRINT_KEY_BEGIN_SUITE, b->suite);
    link_cbor_text(out, IMPRINT_KEY_BEGIN_ENVIRONMENT, b->environment);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_ORDER, b->order_hash, IMPRINT_HASH_SIZE);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_TX, b->transaction, IMPRINT_TX_SIZE);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_NONCE, b->station_nonce, IMPRINT_NONCE_SIZE);
    link_cbor_text(out, IMPRINT_KEY_BEGIN_SERIAL, b->serial);
    link_cbor_uint(out, IMPRINT_KEY_BEGIN_KEY_ALG, b->station_pub.alg);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_KEY, b->station_pub.bytes, b->station_pub.len);
    link_cbor_head(out, LINK_CBOR_UINT, IMPRINT_KEY_BEGIN_OBJECTS);
    link_cbor_head(out, LINK_CBOR_ARRAY, b->object_count);
    for (size_t i = 0; i < b->object_count; i++) {
        link_cbor_head(out, LINK_CBOR_ARRAY, 4);
        link_cbor_head(out, LINK_CBOR_UINT, b->objects[i].type);
        link_cbor_head(out, LINK_CBOR_UINT, b->objects[i].format);
        link_cbor_head(out, LINK_CBOR_UINT, b->objects[i].length);
        link_cbor_head(out, LINK_CBOR_BYTES, IMPRINT_HASH_SIZE);
        buf_put(out, b->objects[i].hash, IMPRINT_HASH_SIZE);
    }
    link_cbor_uint(out, IMPRINT_KEY_BEGIN_SIG_ALG, b->sig.alg);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_SIG, b->sig.bytes, b->sig.len);
    link_cbor_bytes(out, IMPRINT_KEY_BEGIN_CERTIFICATE, b->cert, b->cert_len);
}

void link_put_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE], uint16_t type,
                     uint32_t offset, const uint8_t *bytes, size_t len)
{
    put_transaction(out, 4, transaction);
    link_cbor_uint(out, IMPRINT_KEY_PUT_TYPE, type);
    link_cbor_uint(out, IMPRINT_KEY_PUT_OFFSET, offset);
    link_cbor_bytes(out, IMPRINT_KEY_PUT_BYTES, bytes, len);
}

void link_commit_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE])
{
    put_transaction(out, 1, transaction);
}

void link_prove_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE],
                       const uint8_t nonce[IMPRINT_NONCE_SIZE])
{
    put_transaction(out, 2, transaction);
    link_cbor_bytes(out, IMPRINT_KEY_PROVE_NONCE, nonce, IMPRINT_NONCE_SIZE);
}

void link_read_encode(struct buf *out, uint32_t offset, uint32_t what)
{
    link_cbor_head(out, LINK_CBOR_MAP, what ? 2 : 1);
    link_cbor_uint(out, IMPRINT_KEY_READ_OFFSET, offset);
    if (what)
        link_cbor_uint(out, IMPRINT_KEY_READ_WHAT, what);
}

void link_lock_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE])
{
    put_transaction(out, 1, transaction);
}

void link_abort_encode(struct buf *out)
{
    link_cbor_head(out, LINK_CBOR_MAP, 0);
}

void link_decommission_encode(struct buf *out, const struct link_farewell *f)
{
    link_cbor_head(out, LINK_CBOR_MAP, 4);
    link_cbor_bytes(out, IMPRINT_KEY_DECOMMISSION_CHIP_ID, f->chip_id, f->chip_id_len);
    link_cbor_bytes(out, IMPRINT_KEY_DECOMMISSION_IDENTITY, f->identity, IMPRINT_HASH_SIZE);
    link_cbor_uint(out, IMPRINT_KEY_DECOMMISSION_SIG_ALG, f->sig.alg);
    link_cbor_bytes(out, IMPRINT_KEY_DECOMMISSION_SIG, f->sig.bytes, f->sig.len);
}

/* Opens a reply and reads its status. On success the caller closes *root. */
static int open_reply(const uint8_t *reply, size_t len, cbor_item_t **root, struct link_map *m,
                      struct error *err)
{
    cbor_item_t *item;
    uint64_t status;

    if (link_map_open(reply, len, &item))
        return error_set(err, ERR_PROTOCOL, "the device's reply is not deterministic CBOR");
    link_map_init(m, item);
    status = link_map_uint(m, IMPRINT_KEY_STATUS, UINT16_MAX);
    if (!m->bad && status == IMPRINT_OK) {
        *root = item;
        return 0;
    }
    if (!m->bad && link_map_end(m) == 0) {
        link_map_close(item);
        return error_next(err, NEXT_SET_ASIDE,
                          error_set_native(err, ERR_REFUSED, (long)status,
                                           "the device says that %s",
                                           link_status_text((long)status)));
    }
    link_map_close(item);
    return error_set(err, ERR_PROTOCOL, "the device's reply has no status");
}

/* Closes a reply; an error when it had not exactly the members that were read. */
static int close_reply(cbor_item_t *root, const struct link_map *m, const char *name,
                       struct error *err)
{
    int rc = link_map_end(m);

    link_map_close(root);
    if (rc)
        return error_set(err, ERR_PROTOCOL,
                         "the device's reply to %s has not the members it should", name);
    return 0;
}

static struct link_key read_key(struct link_map *m, uint64_t alg_key, uint64_t bytes_key,
                                size_t min)
{
    struct link_key key = {0};

    key.alg = (uint16_t)link_map_uint(m, alg_key, UINT16_MAX);
    key.len = (uint16_t)link_map_bytes(m, bytes_key, key.bytes, min, LINK_KEY_MAX);
    return key;
}

static void read_facts(struct link_map *parent, struct link_facts *f)
{
    struct link_map m;
    uint32_t suites[IMPRINT_SUITES_MAX];

    link_map_init(&m, link_map_item(parent, IMPRINT_KEY_HELLO_FACTS));
    f->suite_count =
        link_map_uints(&m, IMPRINT_KEY_FACTS_SUITES, suites, IMPRINT_SUITES_MAX, UINT16_MAX);
    for (size_t i = 0; i < f->suite_count; i++)
        f->suites[i] = (uint16_t)suites[i];
    f->modes = (uint32_t)link_map_uint(&m, IMPRINT_KEY_FACTS_MODES, UINT32_MAX);
    f->chip_id_len =
        link_map_bytes(&m, IMPRINT_KEY_FACTS_CHIP_ID, f->chip_id, 1, IMPRINT_CHIP_ID_MAX);
    link_map_text(&m, IMPRINT_KEY_FACTS_FIRMWARE, f->firmware, IMPRINT_FIRMWARE_MAX);
    f->has_image_hash = link_map_has(&m, IMPRINT_KEY_FACTS_IMAGE_HASH);
    if (f->has_image_hash)
        (void)link_map_bytes(&m, IMPRINT_KEY_FACTS_IMAGE_HASH, f->image_hash, IMPRINT_HASH_SIZE,
                             IMPRINT_HASH_SIZE);
    f->debug = link_map_bool(&m, IMPRINT_KEY_FACTS_DEBUG);
    f->lifecycle = (uint32_t)link_map_uint(&m, IMPRINT_KEY_FACTS_LIFECYCLE, UINT8_MAX);
    f->pinned = link_map_bool(&m, IMPRINT_KEY_FACTS_PINNED);
    f->frame_max = (uint32_t)link_map_uint(&m, IMPRINT_KEY_FACTS_FRAME_MAX, IMPRINT_FRAME_MAX);
    f->dev_pub = read_key(&m, IMPRINT_KEY_FACTS_KEY_ALG, IMPRINT_KEY_FACTS_KEY, 0);
    if (f->dev_pub.len > LINK_POINT_MAX || link_map_end(&m))
        parent->bad = true;
}

static void read_transaction(struct link_map *parent, struct link_hello *h)
{
    struct link_map m;
    bool named, committed;

    link_map_init(&m, link_map_item(parent, IMPRINT_KEY_HELLO_TRANSACTION));
    h->state = (enum imprint_tx_state)link_map_uint(&m, IMPRINT_KEY_TX_STATE, IMPRINT_TX_COMMITTED);
    named = link_map_has(&m, IMPRINT_KEY_TX_ID);
    if (named)
        (void)link_map_bytes(&m, IMPRINT_KEY_TX_ID, h->transaction, IMPRINT_TX_SIZE,
                             IMPRINT_TX_SIZE);
    committed = link_map_has(&m, IMPRINT_KEY_TX_SERIAL);
    if (committed)
        link_map_text(&m, IMPRINT_KEY_TX_SERIAL, h->serial, IMPRINT_SERIAL_MAX);
    h->commit_count = (uint32_t)link_map_uint(&m, IMPRINT_KEY_TX_COMMIT_COUNT, UINT32_MAX);
    /* The members that are there must agree with the state. */
    if (link_map_end(&m) || named != (h->state != IMPRINT_TX_NONE) ||
        committed != (h->commit_count > 0) || (h->state == IMPRINT_TX_COMMITTED && !committed) ||
        (h->state == IMPRINT_TX_NONE && committed))
        parent->bad = true;
}

static void read_attestation(struct link_map *parent, struct link_hello *h)
{
    struct link_map m;

    link_map_init(&m, link_map_item(parent, IMPRINT_KEY_HELLO_ATTESTATION));
    h->attested = true;
    h->attest_key = read_key(&m, IMPRINT_KEY_ATTEST_KEY_ALG, IMPRINT_KEY_ATTEST_KEY, 1);
    h->attest_sig = read_key(&m, IMPRINT_KEY_ATTEST_SIG_ALG, IMPRINT_KEY_ATTEST_SIG, 1);
    if (link_map_has(&m, IMPRINT_KEY_ATTEST_CHAIN_LEN)) {
        h->chain_len = (uint32_t)link_map_uint(&m, IMPRINT_KEY_ATTEST_CHAIN_LEN, IMPRINT_CHAIN_MAX);
        if (h->chain_len == 0)
            parent->bad = true;
    }
    if (link_map_end(&m))
        parent->bad = true;
}

/*
 * The facts as they came lie right behind "map, status, key 1" of the reply, and X will be computed
 * over them encoded again by another piece of code: so compare the two here.
 */
static int check_facts(const uint8_t *reply, size_t len, const struct link_facts *f,
                       struct error *err)
{
    const size_t at = 4;
    struct buf again;
    int rc;

    buf_init(&again, LINK_FACTS_MAX);
    rc = link_facts_encode(f, &again, err);
    if (rc == 0 && (len - at < again.len || memcmp(reply + at, again.data, again.len)))
        rc = error_set(err, ERR_FORMAT, "the device's facts are not encoded as they should be");
    buf_done(&again);
    if (rc == ERR_FORMAT && err)
        err->code = ERR_PROTOCOL;
    return rc == ERR_FORMAT ? ERR_PROTOCOL : rc;
}

int link_hello_decode(const uint8_t *reply, size_t len, struct link_hello *hello, struct error *err)
{
    struct link_hello h = {0};
    struct link_map m;
    cbor_item_t *root;
    int rc = open_reply(reply, len, &root, &m, err);

    if (rc)
        return rc;
    read_facts(&m, &h.facts);
    read_transaction(&m, &h);
    if (link_map_has(&m, IMPRINT_KEY_HELLO_ATTESTATION))
        read_attestation(&m, &h);
    rc = close_reply(root, &m, "HELLO", err);
    if (rc == 0)
        rc = check_facts(reply, len, &h.facts, err);
    if (rc == 0)
        *hello = h;
    return rc;
}

int link_keygen_decode(const uint8_t *reply, size_t len, struct link_request *request,
                       struct error *err)
{
    uint8_t csr[IMPRINT_CSR_MAX];
    struct link_request q = {0};
    struct link_map m;
    cbor_item_t *root;
    int rc = open_reply(reply, len, &root, &m, err);

    if (rc)
        return rc;
    q.csr_len = link_map_bytes(&m, IMPRINT_KEY_KEYGEN_CSR, csr, 1, sizeof csr);
    q.attested = link_map_has(&m, IMPRINT_KEY_KEYGEN_SIG_ALG);
    if (q.attested)
        q.attest_sig = read_key(&m, IMPRINT_KEY_KEYGEN_SIG_ALG, IMPRINT_KEY_KEYGEN_SIG, 1);
    rc = close_reply(root, &m, "KEYGEN", err);
    if (rc)
        return rc;
    /* Deterministic CBOR: behind "map, status, key 1" and the shortest head of a byte string. */
    q.csr = reply + 4 + (q.csr_len < 24 ? 1 : q.csr_len < 0x100 ? 2 : 3);
    *request = q;
    return 0;
}

int link_begin_decode(const uint8_t *reply, size_t len, struct link_held *held, struct error *err)
{
    struct link_held h = {0};
    struct link_map m;
    cbor_item_t *root;
    int rc = open_reply(reply, len, &root, &m, err);

    if (rc)
        return rc;
    h.count = link_map_uints(&m, IMPRINT_KEY_BEGIN_HELD, h.bytes, IMPRINT_OBJECTS_MAX, UINT32_MAX);
    rc = close_reply(root, &m, "BEGIN", err);
    if (rc == 0)
        *held = h;
    return rc;
}

/* A reply whose one member is a number. */
static int decode_number(const uint8_t *reply, size_t len, uint64_t key, const char *name,
                         uint32_t *out, struct error *err)
{
    struct link_map m;
    cbor_item_t *root;
    uint32_t value;
    int rc = open_reply(reply, len, &root, &m, err);

    if (rc)
        return rc;
    value = (uint32_t)link_map_uint(&m, key, UINT32_MAX);
    rc = close_reply(root, &m, name, err);
    if (rc == 0)
        *out = value;
    return rc;
}

int link_put_decode(const uint8_t *reply, size_t len, uint32_t *held, struct error *err)
{
    return decode_number(reply, len, IMPRINT_KEY_PUT_HELD, "PUT", held, err);
}

int link_commit_decode(const uint8_t *reply, size_t len, uint32_t *commit_count, struct error *err)
{
    return decode_number(reply, len, IMPRINT_KEY_COMMIT_COUNT, "COMMIT", commit_count, err);
}

int link_prove_decode(const uint8_t *reply, size_t len, struct link_proof *proof, struct error *err)
{
    struct link_proof p = {0};
    struct link_map m;
    cbor_item_t *root;
    uint64_t lifecycle;
    int rc = open_reply(reply, len, &root, &m, err);

    if (rc)
        return rc;
    p.sig = read_key(&m, IMPRINT_KEY_PROVE_SIG_ALG, IMPRINT_KEY_PROVE_SIG, 1);
    lifecycle = link_map_uint(&m, IMPRINT_KEY_PROVE_LIFECYCLE, IMPRINT_LIFE_LOCKED);
    p.commit_count = (uint32_t)link_map_uint(&m, IMPRINT_KEY_PROVE_COMMIT_COUNT, UINT32_MAX);
    rc = close_reply(root, &m, "PROVE", err);
    if (rc == 0 && lifecycle < IMPRINT_LIFE_FACTORY)
        rc = error_set(err, ERR_PROTOCOL, "the device reports a life cycle that does not exist");
    if (rc)
        return rc;
    p.lifecycle = (enum imprint_lifecycle)lifecycle;
    *proof = p;
    return 0;
}

int link_read_decode(const uint8_t *reply, size_t len, struct link_part *part, struct error *err)
{
    uint8_t bytes[IMPRINT_FRAME_MAX];
    struct link_part p = {0};
    struct link_map m;
    cbor_item_t *root;
    int rc = open_reply(reply, len, &root, &m, err);

    if (rc)
        return rc;
    p.total = (uint32_t)link_map_uint(&m, IMPRINT_KEY_READ_TOTAL, UINT32_MAX);
    p.len = link_map_bytes(&m, IMPRINT_KEY_READ_BYTES, bytes, 0, sizeof bytes);
    rc = close_reply(root, &m, "READ", err);
    if (rc)
        return rc;
    /* They are the last member of deterministic CBOR, so they end the reply. */
    p.bytes = reply + len - p.len;
    *part = p;
    return 0;
}

int link_empty_decode(const uint8_t *reply, size_t len, struct error *err)
{
    struct link_map m;
    cbor_item_t *root;
    int rc = open_reply(reply, len, &root, &m, err);

    return rc ? rc : close_reply(root, &m, "a request", err);
}
