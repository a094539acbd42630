#include "agent/symmetric.h"

#include "agent/wire.h"

#include <string.h>

#if IMPRINT_AGENT_WITH_SYMMETRIC

#define BLOCK 64 /* of SHA-256 */

/* Begins a digest with the key, padded with zeros to a block, each byte xor pad. */
static void begin(const struct imprint_agent_crypto *c, const uint8_t *key, uint8_t pad)
{
    uint8_t block[BLOCK];
    size_t i;

    memset(block, pad, sizeof block);
    for (i = 0; i < IMPRINT_SYMMETRIC_SIZE; i++)
        block[i] ^= key[i];
    c->sha256_init(c->context);
    c->sha256_update(c->context, block, sizeof block);
    imprint_agent_wipe(block, sizeof block);
}

bool imprint_agent_hmac(const struct imprint_agent *agent,
                        const uint8_t key[IMPRINT_SYMMETRIC_SIZE], const char *label,
                        const uint8_t *bytes, size_t len, uint8_t mac[IMPRINT_HASH_SIZE])
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;

    begin(c, key, 0x36);
    c->sha256_update(c->context, label, strlen(label) + 1);
    c->sha256_update(c->context, bytes, len);
    if (!c->sha256_final(c->context, mac))
        return false;
    begin(c, key, 0x5c);
    c->sha256_update(c->context, mac, IMPRINT_HASH_SIZE);
    return c->sha256_final(c->context, mac);
}

enum imprint_status imprint_agent_symmetric_check(const struct imprint_agent *agent,
                                                  const uint8_t key[IMPRINT_SYMMETRIC_SIZE],
                                                  const uint8_t expected[IMPRINT_HASH_SIZE])
{
    uint8_t value[IMPRINT_HASH_SIZE];

    if (!imprint_agent_hmac(agent, key, IMPRINT_LABEL_KCV, NULL, 0, value))
        return IMPRINT_ERR_CRYPTO;
    return imprint_agent_equal(value, expected, sizeof value) ? IMPRINT_OK : IMPRINT_ERR_KEY;
}

#endif
