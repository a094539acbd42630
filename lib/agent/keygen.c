#include "agent/keygen.h"

#include "agent/bundle.h"
#include "agent/key.h"
#include "agent/other.h"
#include "agent/slots.h"
#include "agent/transcript.h"

#if IMPRINT_AGENT_WITH_DEVICE_KEY

static const uint8_t made_magic[4] = {'i', 'm', 'd', 1};
static const uint8_t other_magic[4] = {'i', 'm', 'o', 1}; /* the scalar is the note of other.h */

struct made {
    uint8_t magic[4];
    uint8_t scalar[IMPRINT_P256_SCALAR_SIZE];
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint8_t request[IMPRINT_HASH_SIZE];
    uint8_t crc[4];
    uint8_t pad[8];
};

/* Places for records: one more for each power cut that tore one, since the last ABORT or COMMIT. */
#define PLACES ((IMPRINT_AGENT_OTHER_AT - IMPRINT_AGENT_MADE_AT) / sizeof(struct made))

typedef char made_is_aligned[sizeof(struct made) % IMPRINT_PUT_ALIGN == 0 ? 1 : -1];

static uint32_t place(size_t at)
{
    return IMPRINT_AGENT_MADE_AT + (uint32_t)(at * sizeof(struct made));
}

static bool read_made(const struct imprint_agent *agent, size_t at, struct made *made)
{
    const struct imprint_agent_store *s = &agent->platform->store;

    return s->read(s->context, IMPRINT_AGENT_JOURNAL, place(at), made, sizeof *made);
}

static bool is_erased(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    while (len > 0 && p[len - 1] == 0xff)
        len--;
    return len == 0;
}

static bool is_whole(const struct made *made)
{
    return imprint_agent_is_whole(made, made_magic, made->crc) ||
           (IMPRINT_AGENT_WITH_OTHER_KEYS && imprint_agent_is_whole(made, other_magic, made->crc));
}

/* Takes one place into account; *more tells whether to look at the next. */
static bool load_place(struct imprint_agent *agent, size_t at, bool *more)
{
    struct imprint_agent_made *m = &agent->made;
    struct made made;

    if (!read_made(agent, at, &made))
        return false;
    *more = false;
    if (is_whole(&made)) {
        m->open = true;
        m->other = memcmp(made.magic, other_magic, sizeof other_magic) == 0;
        memcpy(m->transaction, made.transaction, sizeof m->transaction);
        memcpy(m->request, made.request, sizeof m->request);
    } else if (!is_erased(&made, sizeof made)) {
        m->at = (uint8_t)(at + 1);
        *more = true;
    }
    imprint_agent_wipe(&made, sizeof made);
    return true;
}

bool imprint_agent_made_load(struct imprint_agent *agent)
{
    bool more = agent->has_key; /* without it the journal is about to be erased */
    size_t at;

    imprint_agent_made_forget(agent);
    for (at = 0; more && at < PLACES; at++)
        if (!load_place(agent, at, &more))
            return false;
    return true;
}

/* The private key at the place that is open. The caller wipes it. */
static bool read_scalar(struct imprint_agent *agent, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    struct made made;
    bool whole = read_made(agent, agent->made.at, &made) && is_whole(&made);

    if (whole)
        memcpy(scalar, made.scalar, sizeof made.scalar);
    imprint_agent_wipe(&made, sizeof made);
    return whole;
}

bool imprint_agent_made_read(struct imprint_agent *agent, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    const uint8_t *transaction = agent->slot[agent->open].record.transaction;

    return agent->made.open && memcmp(agent->made.transaction, transaction, IMPRINT_TX_SIZE) == 0 &&
           read_scalar(agent, scalar);
}

static enum imprint_status draw(const struct imprint_agent_crypto *c,
                                uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    bool drawn;

    do {
        drawn = c->random(c->context, scalar, IMPRINT_P256_SCALAR_SIZE);
    } while (drawn && !imprint_agent_scalar_valid(scalar));
    return drawn ? IMPRINT_OK : IMPRINT_ERR_CRYPTO;
}

#if IMPRINT_AGENT_WITH_OTHER_KEYS
#define make_other imprint_agent_other_make
#else
static enum imprint_status make_other(struct imprint_agent *agent, uint32_t algorithm,
                                      uint8_t note[IMPRINT_AGENT_OTHER_NOTE])
{
    (void)agent;
    (void)algorithm;
    (void)note;
    return IMPRINT_ERR_SUITE;
}
#endif

/* Makes the key and stores it. A status. */
static enum imprint_status make(struct imprint_agent *agent, uint32_t algorithm,
                                const uint8_t *transaction,
                                const uint8_t request[IMPRINT_HASH_SIZE])
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    const struct imprint_agent_store *s = &agent->platform->store;
    struct made made;
    bool other = algorithm != IMPRINT_ALG_P256, stored = false;
    enum imprint_status status;

    if (agent->made.at >= PLACES)
        return IMPRINT_ERR_STORE; /* ABORT makes room */
    memset(&made, 0xff, sizeof made);
    status = other ? make_other(agent, algorithm, made.scalar) : draw(c, made.scalar);
    memcpy(made.transaction, transaction, sizeof made.transaction);
    memcpy(made.request, request, sizeof made.request);
    imprint_agent_seal(&made, other ? other_magic : made_magic, made.crc);
    if (status == IMPRINT_OK)
        stored =
            s->write(s->context, IMPRINT_AGENT_JOURNAL, place(agent->made.at), &made, sizeof made);
    imprint_agent_wipe(&made, sizeof made);
    if (status != IMPRINT_OK)
        return status;
    if (!imprint_agent_made_load(agent) || !stored || !agent->made.open) {
        agent->loaded = false;
        return IMPRINT_ERR_STORE;
    }
    return IMPRINT_OK;
}

/* The station's signature over X, of which no bundle and no key of the station is part. */
static enum imprint_status verify(const struct imprint_agent *agent,
                                  const struct imprint_agent_begin *b)
{
    uint8_t x[IMPRINT_AGENT_X_MAX];
    struct imprint_agent_writer w;

    imprint_agent_write(&w, x, sizeof x);
    if (!imprint_agent_x(agent, b, NULL, &w))
        return IMPRINT_ERR_CRYPTO;
    return imprint_agent_station_verify(agent, b, IMPRINT_LABEL_KEYGEN, x, w.len);
}

/* What the map asks for. */
struct wanted {
    struct imprint_agent_begin b;
    uint32_t algorithm;
    const uint8_t *subject;
    size_t subject_len;
    uint8_t request[IMPRINT_HASH_SIZE];
};

static bool has_algorithm(const struct imprint_agent *agent, uint32_t algorithm)
{
#if IMPRINT_AGENT_WITH_OTHER_KEYS
    if (imprint_agent_other_has(agent, algorithm))
        return true;
#endif
    (void)agent;
    return algorithm == IMPRINT_ALG_P256;
}

static enum imprint_status read_map(const struct imprint_agent *agent,
                                    struct imprint_agent_reader *r, struct wanted *k)
{
    enum imprint_status status;

    imprint_agent_cbor_exact(r, IMPRINT_AGENT_MAP, 11);
    imprint_agent_begin_head(r, &k->b);
    k->b.key = NULL;
    k->algorithm = imprint_agent_cbor_uint(r, IMPRINT_KEY_KEYGEN_KEY_ALG, UINT16_MAX);
    if (!r->bad && (!has_algorithm(agent, k->algorithm) || k->b.suite != IMPRINT_SUITE_NONE))
        return IMPRINT_ERR_SUITE;
    k->subject = imprint_agent_cbor_string(r, IMPRINT_KEY_KEYGEN_SUBJECT, IMPRINT_AGENT_BYTES,
                                           IMPRINT_SUBJECT_MAX, &k->subject_len);
    status = imprint_agent_begin_tail(r, &k->b);
    if (status == IMPRINT_OK && !imprint_agent_is_name(k->subject, k->subject_len))
        status = IMPRINT_ERR_FORMAT;
    return status;
}

/* Whether an open or committed transaction stands in the way, or this one goes on. A status. */
static enum imprint_status find(const struct imprint_agent *agent, const struct wanted *k)
{
    const struct imprint_agent_made *m = &agent->made;
    const struct imprint_agent_slot *committed =
        agent->committed >= 0 ? &agent->slot[agent->committed] : NULL;
    const uint8_t *open = agent->open >= 0 ? agent->slot[agent->open].record.transaction : NULL;

    if (committed && memcmp(committed->record.transaction, k->b.transaction, IMPRINT_TX_SIZE) == 0)
        return IMPRINT_ERR_STATE; /* its key is in force */
    if ((open && memcmp(open, k->b.transaction, IMPRINT_TX_SIZE) != 0) ||
        (m->open && memcmp(m->transaction, k->b.transaction, IMPRINT_TX_SIZE) != 0))
        return IMPRINT_ERR_BUSY;
    if (m->open ? memcmp(m->request, k->request, IMPRINT_HASH_SIZE) != 0 : open != NULL)
        return IMPRINT_ERR_TRANSACTION;                     /* another request under this name */
    return agent->has_key ? IMPRINT_OK : IMPRINT_ERR_STATE; /* HELLO comes first */
}

#if IMPRINT_AGENT_WITH_OTHER_KEYS

/* What an attestation of the key holds of it: RSA's SubjectPublicKeyInfo, of the others what is in its
 * BIT STRING, at the end. */
static size_t attested_length(uint32_t algorithm, size_t spki_len)
{
    return algorithm == IMPRINT_ALG_P384 ? 97 : algorithm == IMPRINT_ALG_ED25519 ? 32 : spki_len;
}

static enum imprint_status answer_other(struct imprint_agent *agent, const struct wanted *k,
                                        const uint8_t *note, struct imprint_agent_request *out)
{
    const struct imprint_agent_platform *p = agent->platform;
    const struct imprint_agent_keys *keys = p->keys;
    struct imprint_agent_private key;
    uint8_t spki[IMPRINT_OTHER_SPKI_MAX], digest[IMPRINT_HASH_SIZE];
    size_t spki_len, len;
    bool ok;

    if (!keys || !imprint_agent_other_made(agent, note, &key))
        return IMPRINT_ERR_STORE;
    ok =
        keys->inspect(keys->context, key.bytes, key.len, &key.algorithm, spki, sizeof spki,
                      &spki_len) &&
        imprint_agent_csr_other(agent, k->subject, k->subject_len, &key, spki, spki_len, &out->csr);
    if (ok && out->attested) {
        len = attested_length(key.algorithm, spki_len);
        ok = imprint_agent_attest_digest(agent, k->b.nonce, key.algorithm, spki + spki_len - len,
                                         len, digest) &&
             p->enrol_sign(p->enrol_context, digest, out->sig);
    }
    imprint_agent_wipe(&key, sizeof key);
    return ok ? IMPRINT_OK : IMPRINT_ERR_CRYPTO;
}

#else

static enum imprint_status answer_other(struct imprint_agent *agent, const struct wanted *k,
                                        const uint8_t *note, struct imprint_agent_request *out)
{
    (void)agent;
    (void)k;
    (void)note;
    (void)out;
    return IMPRINT_ERR_SUITE;
}

#endif

/* The request for the key that is made, and its attestation. A status. */
static enum imprint_status answer(struct imprint_agent *agent, const struct wanted *k,
                                  struct imprint_agent_request *out)
{
    const struct imprint_agent_platform *p = agent->platform;
    const struct imprint_agent_crypto *c = &p->crypto;
    uint8_t scalar[IMPRINT_P256_SCALAR_SIZE], point[IMPRINT_P256_POINT_SIZE];
    uint8_t digest[IMPRINT_HASH_SIZE];
    bool ok;

    out->attested = p->enrol_point != NULL;
    if (!read_scalar(agent, scalar))
        return IMPRINT_ERR_STORE;
    if (IMPRINT_AGENT_WITH_OTHER_KEYS && imprint_agent_made_is_other(agent))
        return answer_other(agent, k, scalar, out);
    ok = c->p256_public(c->context, scalar, point) &&
         imprint_agent_csr(agent, k->subject, k->subject_len, point, scalar, &out->csr);
    imprint_agent_wipe(scalar, sizeof scalar);
    if (ok && out->attested)
        ok = imprint_agent_attest_digest(agent, k->b.nonce, IMPRINT_ALG_P256, point, sizeof point,
                                         digest) &&
             p->enrol_sign(p->enrol_context, digest, out->sig);
    return ok ? IMPRINT_OK : IMPRINT_ERR_CRYPTO;
}

enum imprint_status imprint_agent_keygen(struct imprint_agent *agent,
                                         struct imprint_agent_reader *r,
                                         struct imprint_agent_request *out)
{
    struct wanted k;
    enum imprint_status status;

    if (!imprint_agent_hash(agent, NULL, r->p, r->left, k.request))
        return IMPRINT_ERR_CRYPTO;
    status = read_map(agent, r, &k);
    if (status == IMPRINT_OK)
        status = find(agent, &k);
    if (status == IMPRINT_OK && !agent->made.open) {
        status = verify(agent, &k.b);
        if (status == IMPRINT_OK)
            status = make(agent, k.algorithm, k.b.transaction, k.request);
    }
    return status == IMPRINT_OK ? answer(agent, &k, out) : status;
}

#endif
