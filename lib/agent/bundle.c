#include "agent/bundle.h"

#include "agent/key.h"
#include "agent/keygen.h"
#include "agent/objects.h"
#include "agent/other.h"
#include "agent/slots.h"
#include "agent/symmetric.h"
#include "agent/transcript.h"

#include <string.h>

/* Reads an algorithm; true when it is another one than expected. */
static bool other_algorithm(struct imprint_agent_reader *r, uint32_t key, uint32_t expected)
{
    return imprint_agent_cbor_uint(r, key, UINT16_MAX) != expected;
}

/* The private key that the device made itself: it is announced and never carried. */
static bool is_made(uint32_t type, uint32_t format)
{
    return IMPRINT_AGENT_WITH_DEVICE_KEY && type == IMPRINT_OBJ_PRIVATE_KEY &&
           format == IMPRINT_FMT_NONE;
}

/* A private key that is not P-256. */
static bool is_other(const struct imprint_agent *agent, uint32_t type, uint32_t format)
{
    return IMPRINT_AGENT_WITH_OTHER_KEYS && agent->platform->keys &&
           type == IMPRINT_OBJ_PRIVATE_KEY && format == IMPRINT_FMT_PKCS8_OTHER;
}

static bool has_format(const struct imprint_agent *agent, uint32_t type, uint32_t format)
{
    return format == imprint_agent_object_format(type) || is_made(type, format) ||
           is_other(agent, type, format);
}

/* Reads one row of the object table into the record. */
static enum imprint_status read_object(const struct imprint_agent *agent,
                                       struct imprint_agent_reader *r,
                                       struct imprint_agent_record *record)
{
    struct imprint_agent_object *object = &record->objects[record->count];
    uint32_t type, format, length;
    const uint8_t *hash;

    imprint_agent_cbor_exact(r, IMPRINT_AGENT_ARRAY, 4);
    type = imprint_agent_cbor_head(r, IMPRINT_AGENT_UINT, UINT16_MAX);
    format = imprint_agent_cbor_head(r, IMPRINT_AGENT_UINT, UINT16_MAX);
    length = imprint_agent_cbor_head(r, IMPRINT_AGENT_UINT, UINT32_MAX);
    imprint_agent_cbor_exact(r, IMPRINT_AGENT_BYTES, IMPRINT_HASH_SIZE);
    hash = imprint_agent_take(r, IMPRINT_HASH_SIZE);
    if (!hash || (length == 0) != is_made(type, format) ||
        (record->count > 0 && type <= imprint_agent_load_u16(object[-1].type)))
        return IMPRINT_ERR_FORMAT;
    if (!has_format(agent, type, format))
        return IMPRINT_ERR_SUITE;
    if (imprint_agent_object_is_key(type) &&
        length >
            (is_other(agent, type, format) ? IMPRINT_WRAPPED_OTHER_MAX : IMPRINT_WRAPPED_KEY_MAX))
        return IMPRINT_ERR_SIZE;
    if (is_other(agent, type, format))
        record->other = 1;
    imprint_agent_store_u16(object->type, type);
    imprint_agent_store_u16(object->format, format);
    imprint_agent_store_u32(object->length, length);
    memcpy(object->hash, hash, IMPRINT_HASH_SIZE);
    record->count++;
    return IMPRINT_OK;
}

static enum imprint_status read_objects(const struct imprint_agent *agent,
                                        struct imprint_agent_reader *r,
                                        struct imprint_agent_record *record)
{
    enum imprint_status status = IMPRINT_OK;
    uint32_t count;

    imprint_agent_cbor_exact(r, IMPRINT_AGENT_UINT, IMPRINT_KEY_BEGIN_OBJECTS);
    count = imprint_agent_cbor_head(r, IMPRINT_AGENT_ARRAY, IMPRINT_OBJECTS_MAX);
    if (r->bad)
        return IMPRINT_ERR_FORMAT;
    while (status == IMPRINT_OK && count-- > 0)
        status = read_object(agent, r, record);
    return status;
}

static bool printable(const uint8_t *text, size_t len)
{
    while (len-- > 0)
        if (text[len] < 0x20 || text[len] > 0x7e)
            return false;
    return true;
}

void imprint_agent_begin_head(struct imprint_agent_reader *r, struct imprint_agent_begin *b)
{
    b->suite = imprint_agent_cbor_uint(r, IMPRINT_KEY_BEGIN_SUITE, UINT16_MAX);
    b->environment = imprint_agent_cbor_string(r, IMPRINT_KEY_BEGIN_ENVIRONMENT, IMPRINT_AGENT_TEXT,
                                               IMPRINT_ENVIRONMENT_MAX, &b->environment_len);
    b->order = imprint_agent_cbor_fixed(r, IMPRINT_KEY_BEGIN_ORDER, IMPRINT_HASH_SIZE);
    b->transaction = imprint_agent_cbor_fixed(r, IMPRINT_KEY_BEGIN_TX, IMPRINT_TX_SIZE);
    b->nonce = imprint_agent_cbor_fixed(r, IMPRINT_KEY_BEGIN_NONCE, IMPRINT_NONCE_SIZE);
    b->serial = imprint_agent_cbor_string(r, IMPRINT_KEY_BEGIN_SERIAL, IMPRINT_AGENT_TEXT,
                                          IMPRINT_SERIAL_MAX, &b->serial_len);
}

enum imprint_status imprint_agent_begin_tail(struct imprint_agent_reader *r,
                                             struct imprint_agent_begin *b)
{
    bool strange = other_algorithm(r, IMPRINT_KEY_BEGIN_SIG_ALG, IMPRINT_ALG_ECDSA_SHA256);
    size_t len;

    if (!r->bad && strange)
        return IMPRINT_ERR_SUITE;
    b->sig = imprint_agent_cbor_fixed(r, IMPRINT_KEY_BEGIN_SIG, IMPRINT_P256_SIG_SIZE);
    b->cert = imprint_agent_cbor_string(r, IMPRINT_KEY_BEGIN_CERTIFICATE, IMPRINT_AGENT_BYTES,
                                        IMPRINT_STATION_CERT_MAX, &len);
    b->cert_len = len;
    if (r->bad || r->left != 0 || !printable(b->serial, b->serial_len) ||
        !printable(b->environment, b->environment_len))
        return IMPRINT_ERR_FORMAT;
    return IMPRINT_OK;
}

/* The station's ephemeral key: none where none travels. A status. */
static enum imprint_status read_station_key(struct imprint_agent_reader *r,
                                            struct imprint_agent_begin *b)
{
    bool made = IMPRINT_AGENT_WITH_DEVICE_KEY && b->suite == IMPRINT_SUITE_NONE;
    bool strange =
        other_algorithm(r, IMPRINT_KEY_BEGIN_KEY_ALG, made ? IMPRINT_ALG_NONE : IMPRINT_ALG_P256);

    if (!r->bad &&
        (strange || (!made && b->suite != IMPRINT_SUITE_ECB && b->suite != IMPRINT_SUITE_X963)))
        return IMPRINT_ERR_SUITE;
    b->key = NULL;
    if (made)
        imprint_agent_cbor_empty(r, IMPRINT_KEY_BEGIN_KEY);
    else
        b->key = imprint_agent_cbor_fixed(r, IMPRINT_KEY_BEGIN_KEY, IMPRINT_P256_POINT_SIZE);
    return IMPRINT_OK;
}

/* Reads the whole map; the record gets all that is kept, except what is computed. */
static enum imprint_status read_begin(const struct imprint_agent *agent,
                                      struct imprint_agent_reader *r, struct imprint_agent_begin *b,
                                      struct imprint_agent_record *record)
{
    enum imprint_status status;

    imprint_agent_cbor_exact(r, IMPRINT_AGENT_MAP, 12);
    imprint_agent_begin_head(r, b);
    status = read_station_key(r, b);
    if (status == IMPRINT_OK)
        status = read_objects(agent, r, record);
    return status == IMPRINT_OK ? imprint_agent_begin_tail(r, b) : status;
}

/* A key or signature inside lp(): its bytes when the algorithm and length are these. */
static const uint8_t *take_tagged(struct imprint_agent_reader *r, uint32_t algorithm, size_t size)
{
    size_t len;
    const uint8_t *at = imprint_agent_take_lp(r, size + 2, &len);

    if (!at || len != size + 2 || imprint_agent_load_u16(at) != algorithm) {
        r->bad = true;
        return NULL;
    }
    return at + 2;
}

/* The station's key, once its certificate is for this environment and signed by the authority. */
static const uint8_t *station_key(const struct imprint_agent *agent,
                                  const struct imprint_agent_begin *b)
{
    const struct imprint_agent_platform *p = agent->platform;
    const struct imprint_agent_crypto *c = &p->crypto;
    struct imprint_agent_reader r;
    const uint8_t *key, *environment, *sig;
    uint8_t digest[IMPRINT_HASH_SIZE];
    size_t len, body;

    imprint_agent_read(&r, b->cert, b->cert_len);
    key = take_tagged(&r, IMPRINT_ALG_P256, IMPRINT_P256_POINT_SIZE);
    (void)imprint_agent_take_lp(&r, IMPRINT_STATION_MAX, &len);
    environment = imprint_agent_take_lp(&r, IMPRINT_ENVIRONMENT_MAX, &len);
    (void)imprint_agent_take(&r, 4); /* generation */
    body = b->cert_len - r.left;
    sig = take_tagged(&r, IMPRINT_ALG_ECDSA_SHA256, IMPRINT_P256_SIG_SIZE);
    if (r.bad || r.left != 0 || len != b->environment_len ||
        memcmp(environment, b->environment, len) != 0)
        return NULL;
    if (p->authority &&
        (!imprint_agent_hash(agent, IMPRINT_LABEL_STATION_CERT, b->cert, body, digest) ||
         !c->p256_verify(c->context, p->authority, digest, sig)))
        return NULL;
    return key;
}

enum imprint_status imprint_agent_station_verify(const struct imprint_agent *agent,
                                                 const struct imprint_agent_begin *b,
                                                 const char *label, const uint8_t *x, size_t len)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    const uint8_t *key = station_key(agent, b);
    uint8_t digest[IMPRINT_HASH_SIZE];

    if (!key)
        return IMPRINT_ERR_STATION;
    if (!imprint_agent_hash(agent, label, x, len, digest))
        return IMPRINT_ERR_CRYPTO;
    return c->p256_verify(c->context, key, digest, b->sig) ? IMPRINT_OK : IMPRINT_ERR_STATION;
}

/* Computes B, X and what is kept of X, and verifies the station's signature over X. */
static enum imprint_status verify_begin(const struct imprint_agent *agent,
                                        const struct imprint_agent_begin *b,
                                        struct imprint_agent_record *record)
{
    uint8_t x[IMPRINT_AGENT_X_MAX];
    struct imprint_agent_writer w;

    imprint_agent_write(&w, x, sizeof x);
    if (!imprint_agent_bundle(agent, record, record->bundle) ||
        !imprint_agent_x(agent, b, record->bundle, &w) ||
        !imprint_agent_hash(agent, NULL, x, w.len, record->transcript) ||
        !imprint_agent_hash(agent, IMPRINT_LABEL_KEK, x, w.len, record->context))
        return IMPRINT_ERR_CRYPTO;
    return imprint_agent_station_verify(agent, b, IMPRINT_LABEL_STATION, x, w.len);
}

static void fill_record(const struct imprint_agent *agent, const struct imprint_agent_begin *b,
                        struct imprint_agent_record *record)
{
    imprint_agent_store_u16(record->suite, b->suite);
    memcpy(record->transaction, b->transaction, IMPRINT_TX_SIZE);
    if (b->key)
        memcpy(record->station, b->key, IMPRINT_P256_POINT_SIZE);
    memcpy(record->transport, agent->transport, IMPRINT_P256_POINT_SIZE);
    record->serial_len = (uint8_t)b->serial_len;
    memcpy(record->serial, b->serial, b->serial_len);
}

/* What KEYGEN opened must fit: its transaction, and a bundle for the key that it made. */
static enum imprint_status check_made(const struct imprint_agent *agent,
                                      const struct imprint_agent_begin *b)
{
    const uint8_t *made = imprint_agent_made_transaction(agent);

    if (!made)
        return b->suite == IMPRINT_SUITE_NONE ? IMPRINT_ERR_STATE : IMPRINT_OK;
    if (memcmp(made, b->transaction, IMPRINT_TX_SIZE) != 0)
        return IMPRINT_ERR_BUSY;
    return b->suite == IMPRINT_SUITE_NONE ? IMPRINT_OK : IMPRINT_ERR_TRANSACTION;
}

enum imprint_status imprint_agent_bundle_begin(struct imprint_agent *agent,
                                               struct imprint_agent_reader *r, int *slot)
{
    const struct imprint_agent_slot *held;
    struct imprint_agent_record record;
    struct imprint_agent_begin b;
    enum imprint_status status;
    int i;

    memset(&record, 0, sizeof record);
    if (!imprint_agent_hash(agent, NULL, r->p, r->left, record.request))
        return IMPRINT_ERR_CRYPTO;
    status = read_begin(agent, r, &b, &record);
    if (status != IMPRINT_OK)
        return status;
    for (i = 0; i < 2; i++) {
        held = &agent->slot[i];
        if (held->state == IMPRINT_AGENT_SLOT_EMPTY)
            continue;
        if (memcmp(held->record.transaction, b.transaction, IMPRINT_TX_SIZE) != 0) {
            if (i == agent->open)
                return IMPRINT_ERR_BUSY;
        } else if (memcmp(held->record.request, record.request, IMPRINT_HASH_SIZE) != 0) {
            return IMPRINT_ERR_TRANSACTION; /* another request under this name */
        } else if (held->state != IMPRINT_AGENT_SLOT_STALE) {
            *slot = i;
            return IMPRINT_OK;
        }
    }
    if (!agent->has_key)
        return IMPRINT_ERR_STATE; /* HELLO comes first */
    status = check_made(agent, &b);
    if (IMPRINT_AGENT_WITH_OTHER_KEYS && b.suite == IMPRINT_SUITE_NONE &&
        imprint_agent_made_is_other(agent))
        record.other = 1;
    if (status == IMPRINT_OK)
        status = imprint_agent_objects_complete(&record, b.suite);
    if (status == IMPRINT_OK)
        status = verify_begin(agent, &b, &record);
    if (status != IMPRINT_OK)
        return status;
    fill_record(agent, &b, &record);
    *slot = imprint_agent_slot_free(agent);
    return imprint_agent_slot_open(agent, &record) ? IMPRINT_OK : IMPRINT_ERR_STORE;
}

/* Every object is there and, the key aside, hashes to what BEGIN announced; so does B. */
static enum imprint_status check_bundle(struct imprint_agent *agent)
{
    const struct imprint_agent_slot *slot = &agent->slot[agent->open];
    uint8_t digest[IMPRINT_HASH_SIZE];
    enum imprint_status status;
    int i;

    for (i = 0; i < slot->record.count; i++) {
        const struct imprint_agent_object *object = &slot->record.objects[i];

        if (slot->held[i] != imprint_agent_load_u32(object->length))
            return IMPRINT_ERR_STATE;
        if (imprint_agent_object_is_key(imprint_agent_load_u16(object->type)))
            continue; /* a key is checked by what it unwraps to */
        status = imprint_agent_object_hash(agent, i, NULL, 0, slot->held[i], digest);
        if (status != IMPRINT_OK)
            return status;
        if (!imprint_agent_equal(digest, object->hash, sizeof digest))
            return IMPRINT_ERR_BUNDLE;
    }
    if (!imprint_agent_bundle(agent, &slot->record, digest))
        return IMPRINT_ERR_CRYPTO;
    return imprint_agent_equal(digest, slot->record.bundle, sizeof digest) ? IMPRINT_OK
                                                                           : IMPRINT_ERR_BUNDLE;
}

/* What a bundle's wrapped objects hold. */
struct opened {
    struct imprint_agent_secrets secrets;
    uint8_t kek[IMPRINT_KEK_SIZE];
#if IMPRINT_AGENT_WITH_OTHER_KEYS
    struct imprint_agent_private other;
    uint8_t blob[IMPRINT_WRAPPED_OTHER_MAX];
#else
    uint8_t blob[IMPRINT_WRAPPED_KEY_MAX];
#endif
    const uint8_t *plain; /* in blob */
    size_t len;
};

/* Unwraps object number i into o->plain. */
static enum imprint_status open_object(struct imprint_agent *agent, int i, struct opened *o)
{
    uint32_t held = agent->slot[agent->open].held[i];
    enum imprint_status status = IMPRINT_ERR_STORE;

    if (imprint_agent_object_load(agent, agent->open, i, 0, o->blob, held))
        status = imprint_agent_kek(agent, o->kek);
    if (status == IMPRINT_OK &&
        !imprint_agent_unwrap(&agent->platform->crypto, o->kek, o->blob, held, &o->plain, &o->len))
        status = IMPRINT_ERR_KEY;
    return status;
}

/* The expected key is the leaf's, and the one that BEGIN announced. spki is room for as many bytes. */
static enum imprint_status check_leaf(struct imprint_agent *agent, int i, const uint8_t *expected,
                                      uint8_t *spki, size_t len,
                                      uint8_t leaf_hash[IMPRINT_HASH_SIZE])
{
    uint8_t digest[IMPRINT_HASH_SIZE];
    uint32_t leaf_len;

    if (!imprint_agent_leaf(agent, i + 1, &leaf_len, spki, len) ||
        !imprint_agent_equal(spki, expected, len))
        return IMPRINT_ERR_KEY;
    if (!imprint_agent_hash(agent, NULL, spki, len, digest))
        return IMPRINT_ERR_CRYPTO;
    if (!imprint_agent_equal(digest, agent->slot[agent->open].record.objects[i].hash,
                             sizeof digest))
        return IMPRINT_ERR_BUNDLE;
    return imprint_agent_object_hash(agent, i + 1, NULL, 0, leaf_len, leaf_hash);
}

/* The private key is the leaf's, and the leaf's is the one that BEGIN announced. */
static enum imprint_status check_key(struct imprint_agent *agent, int i,
                                     struct imprint_agent_secrets *secrets)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint8_t point[IMPRINT_P256_POINT_SIZE], expected[IMPRINT_SPKI_SIZE], spki[IMPRINT_SPKI_SIZE];

    if (!c->p256_public(c->context, secrets->scalar, point))
        return IMPRINT_ERR_CRYPTO;
    imprint_agent_spki(point, expected);
    return check_leaf(agent, i, expected, spki, sizeof spki, secrets->leaf_hash);
}

#if IMPRINT_AGENT_WITH_OTHER_KEYS

/* The other key of the open slot, checked as check_key does, kept behind the objects; the secrets get
 * its note. */
static enum imprint_status take_other(struct imprint_agent *agent, int i, const uint8_t *der,
                                      size_t len, struct opened *o)
{
    uint8_t expected[IMPRINT_OTHER_SPKI_MAX], spki[IMPRINT_OTHER_SPKI_MAX];
    enum imprint_status status;
    size_t spki_len;

    if (!imprint_agent_other_take(agent, der, len, &o->other, expected, &spki_len))
        return IMPRINT_ERR_KEY;
    status = check_leaf(agent, i, expected, spki, spki_len, o->secrets.leaf_hash);
    if (status == IMPRINT_OK && !imprint_agent_other_keep(agent, &o->other, o->secrets.scalar))
        status = IMPRINT_ERR_STORE;
    return status;
}

static enum imprint_status open_other(struct imprint_agent *agent, int i, struct opened *o)
{
    enum imprint_status status;

    if (imprint_agent_load_u16(agent->slot[agent->open].record.suite) != IMPRINT_SUITE_NONE) {
        status = open_object(agent, i, o);
        return status == IMPRINT_OK ? take_other(agent, i, o->plain, o->len, o) : status;
    }
    if (!imprint_agent_made_read(agent, o->secrets.scalar) ||
        !imprint_agent_other_made(agent, o->secrets.scalar, &o->other))
        return IMPRINT_ERR_STORE;
    memcpy(o->blob, o->other.bytes, o->other.len);
    return take_other(agent, i, o->blob, o->other.len, o);
}

#else

static enum imprint_status open_other(struct imprint_agent *agent, int i, struct opened *o)
{
    (void)agent;
    (void)i;
    (void)o;
    return IMPRINT_ERR_SUITE;
}

#endif

/* The private key of the open slot, from where it is. */
static enum imprint_status get_private(struct imprint_agent *agent, int i, struct opened *o)
{
    enum imprint_status status;

    if (IMPRINT_AGENT_WITH_DEVICE_KEY &&
        imprint_agent_load_u16(agent->slot[agent->open].record.suite) == IMPRINT_SUITE_NONE)
        return imprint_agent_made_read(agent, o->secrets.scalar) ? IMPRINT_OK : IMPRINT_ERR_STORE;
    status = open_object(agent, i, o);
    if (status == IMPRINT_OK && !imprint_agent_pkcs8(o->plain, o->len, o->secrets.scalar))
        status = IMPRINT_ERR_KEY;
    return status;
}

static enum imprint_status open_private(struct imprint_agent *agent, struct opened *o)
{
    int i = imprint_agent_object_find(&agent->slot[agent->open], IMPRINT_OBJ_PRIVATE_KEY);
    enum imprint_status status;

    if (i < 0)
        return IMPRINT_OK;
    if (IMPRINT_AGENT_WITH_OTHER_KEYS && agent->slot[agent->open].record.other)
        return open_other(agent, i, o);
    status = get_private(agent, i, o);
    return status == IMPRINT_OK ? check_key(agent, i, &o->secrets) : status;
}

static enum imprint_status open_symmetric(struct imprint_agent *agent, struct opened *o)
{
    int i = imprint_agent_object_find(&agent->slot[agent->open], IMPRINT_OBJ_SYMMETRIC_KEY);
    enum imprint_status status;

    if (!IMPRINT_AGENT_WITH_SYMMETRIC || i < 0)
        return IMPRINT_OK;
    status = open_object(agent, i, o);
    if (status == IMPRINT_OK && o->len != IMPRINT_SYMMETRIC_SIZE)
        status = IMPRINT_ERR_KEY;
    if (status != IMPRINT_OK)
        return status;
    memcpy(o->secrets.symmetric, o->plain, IMPRINT_SYMMETRIC_SIZE);
    return imprint_agent_symmetric_check(agent, o->secrets.symmetric,
                                         agent->slot[agent->open].record.objects[i].hash);
}

enum imprint_status imprint_agent_bundle_commit(struct imprint_agent *agent)
{
    enum imprint_status status = check_bundle(agent);
    struct opened o;

    if (status == IMPRINT_ERR_STATE)
        return status; /* objects are missing: PUT goes on */
    memset(&o, 0, sizeof o);
    if (status == IMPRINT_OK)
        status = imprint_agent_objects_check(agent);
    if (status == IMPRINT_OK)
        status = open_private(agent, &o);
    if (status == IMPRINT_OK)
        status = open_symmetric(agent, &o);
    if (status != IMPRINT_OK)
        agent->slot[agent->open].state = IMPRINT_AGENT_SLOT_STALE; /* BEGIN starts it over */
    else if (!imprint_agent_slot_commit(agent, &o.secrets))
        status = IMPRINT_ERR_STORE;
    imprint_agent_wipe(&o, sizeof o);
    return status;
}
