#include "agent/other.h"

#include "agent/slots.h"
#include "agent/wire.h"

#include <string.h>

#if IMPRINT_AGENT_WITH_OTHER_KEYS

#define TAIL_MAX 7 /* zero bytes that some HSMs put after a PKCS#8 key */

uint32_t imprint_agent_other_mode(uint32_t algorithm)
{
    switch (algorithm) {
    case IMPRINT_ALG_P384:
        return IMPRINT_MODE_P384;
    case IMPRINT_ALG_ED25519:
        return IMPRINT_MODE_ED25519;
    case IMPRINT_ALG_RSA_2048:
        return IMPRINT_MODE_RSA_2048;
    case IMPRINT_ALG_RSA_3072:
        return IMPRINT_MODE_RSA_3072;
    default:
        return 0;
    }
}

bool imprint_agent_other_has(const struct imprint_agent *agent, uint32_t algorithm)
{
    const struct imprint_agent_keys *keys = agent->platform->keys;

    return keys && (keys->modes & imprint_agent_other_mode(algorithm)) != 0;
}

uint32_t imprint_agent_other_proof(uint32_t algorithm)
{
    switch (algorithm) {
    case IMPRINT_ALG_P384:
        return IMPRINT_ALG_ECDSA_SHA384;
    case IMPRINT_ALG_ED25519:
        return IMPRINT_ALG_EDDSA;
    default:
        return IMPRINT_ALG_RSA_PSS_SHA256;
    }
}

/* The length of the SEQUENCE at the beginning, 0 when what follows it is more than a tail of zeros. */
static size_t trim(const uint8_t *der, size_t len)
{
    size_t head = 2, body = len < 4 ? 0 : der[1], at;

    if (body == 0x81) {
        head = 3;
        body = der[2];
    } else if (body == 0x82) {
        head = 4;
        body = imprint_agent_load_u16(der + 2);
    }
    if (body == 0 || der[0] != 0x30 || head + body > len || len - head - body > TAIL_MAX)
        return 0;
    for (at = head + body; at < len; at++)
        if (der[at] != 0)
            return 0;
    return head + body;
}

bool imprint_agent_other_take(const struct imprint_agent *agent, const uint8_t *der, size_t len,
                              struct imprint_agent_private *key, uint8_t *spki, size_t *spki_len)
{
    const struct imprint_agent_keys *keys = agent->platform->keys;

    key->len = trim(der, len);
    if (!keys || key->len == 0 || key->len > sizeof key->bytes)
        return false;
    memcpy(key->bytes, der, key->len);
    return keys->inspect(keys->context, key->bytes, key->len, &key->algorithm, spki,
                         IMPRINT_OTHER_SPKI_MAX, spki_len) &&
           imprint_agent_other_has(agent, key->algorithm);
}

static void write_note(const struct imprint_agent_private *key,
                       uint8_t note[IMPRINT_AGENT_OTHER_NOTE])
{
    memset(note, 0, IMPRINT_AGENT_OTHER_NOTE);
    imprint_agent_store_u16(note, key->algorithm);
    imprint_agent_store_u16(note + 2, (uint32_t)key->len);
    imprint_agent_store_u32(note + 4, imprint_agent_crc32(0, key->bytes, key->len));
}

/* Flash takes whole multiples: the rest of the last one stays erased. */
static size_t padded(size_t len)
{
    return (len + IMPRINT_PUT_ALIGN - 1) / IMPRINT_PUT_ALIGN * IMPRINT_PUT_ALIGN;
}

/* Writes the key into a place that must be erased. */
static bool write_key(struct imprint_agent *agent, enum imprint_agent_region region, uint32_t at,
                      struct imprint_agent_private *key)
{
    const struct imprint_agent_store *s = &agent->platform->store;
    bool blank = false;

    if (!imprint_agent_flash_blank(agent, region, at, at + (uint32_t)sizeof key->bytes, &blank) ||
        !blank)
        return false;
    memset(key->bytes + key->len, 0xff, padded(key->len) - key->len);
    return s->write(s->context, region, at, key->bytes, padded(key->len));
}

static bool read_key(struct imprint_agent *agent, enum imprint_agent_region region, uint32_t at,
                     const uint8_t note[IMPRINT_AGENT_OTHER_NOTE],
                     struct imprint_agent_private *key)
{
    const struct imprint_agent_store *s = &agent->platform->store;

    key->algorithm = imprint_agent_load_u16(note);
    key->len = imprint_agent_load_u16(note + 2);
    return key->len > 0 && key->len <= sizeof key->bytes &&
           s->read(s->context, region, at, key->bytes, key->len) &&
           imprint_agent_crc32(0, key->bytes, key->len) == imprint_agent_load_u32(note + 4);
}

enum imprint_status imprint_agent_other_make(struct imprint_agent *agent, uint32_t algorithm,
                                             uint8_t note[IMPRINT_AGENT_OTHER_NOTE])
{
    const struct imprint_agent_keys *keys = agent->platform->keys;
    struct imprint_agent_private key;
    enum imprint_status status = IMPRINT_OK;

    key.algorithm = algorithm;
    if (!keys->make(keys->context, algorithm, key.bytes, sizeof key.bytes, &key.len))
        status = IMPRINT_ERR_CRYPTO;
    else if (!write_key(agent, IMPRINT_AGENT_JOURNAL, IMPRINT_AGENT_OTHER_AT, &key))
        status = IMPRINT_ERR_STORE;
    else
        write_note(&key, note);
    imprint_agent_wipe(&key, sizeof key);
    return status;
}

bool imprint_agent_other_keep(struct imprint_agent *agent, const struct imprint_agent_private *key,
                              uint8_t note[IMPRINT_AGENT_OTHER_NOTE])
{
    struct imprint_agent_private copy = *key;
    bool ok = write_key(agent, (enum imprint_agent_region)(IMPRINT_AGENT_SLOT_A + agent->open),
                        imprint_agent_objects_end(&agent->slot[agent->open].record), &copy);

    write_note(key, note);
    imprint_agent_wipe(&copy, sizeof copy);
    return ok;
}

bool imprint_agent_other_made(struct imprint_agent *agent,
                              const uint8_t note[IMPRINT_AGENT_OTHER_NOTE],
                              struct imprint_agent_private *key)
{
    return read_key(agent, IMPRINT_AGENT_JOURNAL, IMPRINT_AGENT_OTHER_AT, note, key);
}

bool imprint_agent_other_load(struct imprint_agent *agent, int slot,
                              const uint8_t note[IMPRINT_AGENT_OTHER_NOTE],
                              struct imprint_agent_private *key)
{
    return read_key(agent, (enum imprint_agent_region)(IMPRINT_AGENT_SLOT_A + slot),
                    imprint_agent_objects_end(&agent->slot[slot].record), note, key);
}

#endif
