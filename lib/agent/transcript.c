#include "agent/transcript.h"

#include <string.h>

/* How keys may come to be in this build. */
#define MODES                                                                                      \
    ((uint32_t)IMPRINT_MODE_HSM |                                                                  \
     (IMPRINT_AGENT_WITH_DEVICE_KEY ? (uint32_t)IMPRINT_MODE_DEVICE : 0u) |                        \
     (IMPRINT_AGENT_WITH_SYMMETRIC ? (uint32_t)IMPRINT_MODE_DERIVED : 0u))

/* A u16 each, as the attestation has them. */
static const uint8_t suites[] = {0, IMPRINT_SUITE_ECB, 0, IMPRINT_SUITE_X963};

enum imprint_lifecycle imprint_agent_lifecycle(const struct imprint_agent *agent)
{
    bool locked = agent->committed >= 0 && agent->slot[agent->committed].locked;

    return locked ? IMPRINT_LIFE_LOCKED : IMPRINT_LIFE_FACTORY;
}

/* The public transport key as (algorithm, bytes): NONE and empty where there is none. */
static uint32_t key_alg(const struct imprint_agent *agent)
{
    return agent->has_key ? IMPRINT_ALG_P256 : IMPRINT_ALG_NONE;
}

static size_t key_len(const struct imprint_agent *agent)
{
    return agent->has_key ? sizeof agent->transport : 0;
}

bool imprint_agent_hash(const struct imprint_agent *agent, const char *label, const uint8_t *bytes,
                        size_t len, uint8_t digest[IMPRINT_HASH_SIZE])
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;

    c->sha256_init(c->context);
    if (label)
        c->sha256_update(c->context, label, strlen(label) + 1);
    c->sha256_update(c->context, bytes, len);
    return c->sha256_final(c->context, digest);
}

/* The types of keys beside P-256. */
static uint32_t other_modes(const struct imprint_agent *agent)
{
    return IMPRINT_AGENT_WITH_OTHER_KEYS && agent->platform->keys ? agent->platform->keys->modes
                                                                  : 0;
}

void imprint_agent_facts(const struct imprint_agent *agent, struct imprint_agent_writer *w)
{
    const struct imprint_agent_platform *p = agent->platform;
    size_t i;

    imprint_agent_put_head(w, IMPRINT_AGENT_MAP, p->image_hash ? 11 : 10);
    imprint_agent_put_open(w, IMPRINT_KEY_FACTS_SUITES, IMPRINT_AGENT_ARRAY, sizeof suites / 2);
    for (i = 1; i < sizeof suites; i += 2)
        imprint_agent_put_head(w, IMPRINT_AGENT_UINT, suites[i]);
    imprint_agent_put_uint(w, IMPRINT_KEY_FACTS_MODES, MODES | other_modes(agent));
    imprint_agent_put_string(w, IMPRINT_KEY_FACTS_CHIP_ID, IMPRINT_AGENT_BYTES, p->chip_id,
                             p->chip_id_len);
    imprint_agent_put_string(w, IMPRINT_KEY_FACTS_FIRMWARE, IMPRINT_AGENT_TEXT, p->firmware,
                             strlen(p->firmware));
    if (p->image_hash)
        imprint_agent_put_string(w, IMPRINT_KEY_FACTS_IMAGE_HASH, IMPRINT_AGENT_BYTES,
                                 p->image_hash, IMPRINT_HASH_SIZE);
    imprint_agent_put_bool(w, IMPRINT_KEY_FACTS_DEBUG, p->debug);
    imprint_agent_put_uint(w, IMPRINT_KEY_FACTS_LIFECYCLE, imprint_agent_lifecycle(agent));
    imprint_agent_put_bool(w, IMPRINT_KEY_FACTS_PINNED, p->authority != NULL);
    imprint_agent_put_uint(w, IMPRINT_KEY_FACTS_FRAME_MAX, IMPRINT_AGENT_FRAME_MAX);
    imprint_agent_put_pair(w, IMPRINT_KEY_FACTS_KEY_ALG, key_alg(agent), agent->transport,
                           key_len(agent));
}

bool imprint_agent_bundle(const struct imprint_agent *agent,
                          const struct imprint_agent_record *record,
                          uint8_t digest[IMPRINT_HASH_SIZE])
{
    /* The table in a record has the very layout that B hashes. */
    return imprint_agent_hash(agent, IMPRINT_LABEL_BUNDLE, (const uint8_t *)record->objects,
                              record->count * sizeof record->objects[0], digest);
}

/* lp(chip id) ‖ lp(transport key), as X and the attestation have them. */
static void put_device(const struct imprint_agent *agent, struct imprint_agent_writer *w)
{
    const struct imprint_agent_platform *p = agent->platform;

    imprint_agent_put_lp(w, p->chip_id, p->chip_id_len);
    imprint_agent_put_tagged(w, key_alg(agent), agent->transport, key_len(agent));
}

bool imprint_agent_x(const struct imprint_agent *agent, const struct imprint_agent_begin *begin,
                     const uint8_t *bundle, struct imprint_agent_writer *w)
{
    uint8_t facts[IMPRINT_AGENT_FACTS_MAX], facts_hash[IMPRINT_HASH_SIZE];
    struct imprint_agent_writer fw;

    imprint_agent_write(&fw, facts, sizeof facts);
    imprint_agent_facts(agent, &fw);
    if (fw.bad || !imprint_agent_hash(agent, NULL, facts, fw.len, facts_hash))
        return false;
    imprint_agent_put_u16(w, begin->suite);
    imprint_agent_put_lp(w, begin->environment, begin->environment_len);
    imprint_agent_put_lp(w, begin->order, IMPRINT_HASH_SIZE);
    imprint_agent_put_lp(w, begin->transaction, IMPRINT_TX_SIZE);
    imprint_agent_put_lp(w, begin->nonce, IMPRINT_NONCE_SIZE);
    imprint_agent_put_lp(w, begin->serial, begin->serial_len);
    put_device(agent, w);
    if (begin->key)
        imprint_agent_put_tagged(w, IMPRINT_ALG_P256, begin->key, IMPRINT_P256_POINT_SIZE);
    else
        imprint_agent_put_tagged(w, IMPRINT_ALG_NONE, NULL, 0);
    imprint_agent_put_lp(w, facts_hash, sizeof facts_hash);
    imprint_agent_put_lp(w, bundle, bundle ? IMPRINT_HASH_SIZE : 0);
    return !w->bad;
}

#if IMPRINT_AGENT_WITH_OTHER_KEYS
#define ATTESTED_MAX IMPRINT_OTHER_SPKI_MAX
#else
#define ATTESTED_MAX IMPRINT_P256_POINT_SIZE
#endif

bool imprint_agent_attest_digest(const struct imprint_agent *agent,
                                 const uint8_t nonce[IMPRINT_NONCE_SIZE], uint32_t algorithm,
                                 const uint8_t *made, size_t made_len,
                                 uint8_t digest[IMPRINT_HASH_SIZE])
{
    uint8_t bytes[IMPRINT_AGENT_FACTS_MAX + ATTESTED_MAX];
    struct imprint_agent_writer w;

    imprint_agent_write(&w, bytes, sizeof bytes);
    imprint_agent_put_lp(&w, suites, sizeof suites);
    imprint_agent_put_lp(&w, nonce, IMPRINT_NONCE_SIZE);
    put_device(agent, &w);
    imprint_agent_put_u8(&w, imprint_agent_lifecycle(agent));
    if (made)
        imprint_agent_put_tagged(&w, algorithm, made, made_len);
    return !w.bad &&
           imprint_agent_hash(agent, made ? IMPRINT_LABEL_ATTEST_KEY : IMPRINT_LABEL_ATTEST, bytes,
                              w.len, digest);
}

void imprint_agent_prove_bytes(const struct imprint_agent *agent, uint32_t alg,
                               const uint8_t nonce[IMPRINT_NONCE_SIZE],
                               struct imprint_agent_writer *w)
{
    const struct imprint_agent_slot *slot = &agent->slot[agent->committed];
    uint8_t count[4];

    imprint_agent_store_u32(count, slot->commit_count);
    imprint_agent_put_u16(w, alg);
    imprint_agent_put_lp(w, nonce, IMPRINT_NONCE_SIZE);
    imprint_agent_put_lp(w, slot->record.transcript, IMPRINT_HASH_SIZE);
    /* In derived mode there is no certificate. */
    imprint_agent_put_lp(w, slot->leaf_hash,
                         alg == IMPRINT_ALG_HMAC_SHA256 ? 0 : IMPRINT_HASH_SIZE);
    imprint_agent_put_u8(w, imprint_agent_lifecycle(agent));
    imprint_agent_put(w, count, sizeof count);
}
