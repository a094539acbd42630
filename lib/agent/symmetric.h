/*
 * symmetric: HMAC-SHA256 (RFC 2104) with the device's symmetric key, made of the platform's SHA-256.
 */
#ifndef IMPRINT_AGENT_SYMMETRIC_H
#define IMPRINT_AGENT_SYMMETRIC_H

#include "agent/agent.h"

#if IMPRINT_AGENT_WITH_SYMMETRIC

/* HMAC-SHA256 over a label with its NUL and bytes. */
bool imprint_agent_hmac(const struct imprint_agent *agent,
                        const uint8_t key[IMPRINT_SYMMETRIC_SIZE], const char *label,
                        const uint8_t *bytes, size_t len, uint8_t mac[IMPRINT_HASH_SIZE]);

/* The key's check value is this one. A status: OK, KEY or CRYPTO. */
enum imprint_status imprint_agent_symmetric_check(const struct imprint_agent *agent,
                                                  const uint8_t key[IMPRINT_SYMMETRIC_SIZE],
                                                  const uint8_t expected[IMPRINT_HASH_SIZE]);

#else

static inline bool imprint_agent_hmac(const struct imprint_agent *agent, const uint8_t *key,
                                      const char *label, const uint8_t *bytes, size_t len,
                                      uint8_t *mac)
{
    (void)agent;
    (void)key;
    (void)label;
    (void)bytes;
    (void)len;
    (void)mac;
    return false;
}

static inline enum imprint_status imprint_agent_symmetric_check(const struct imprint_agent *agent,
                                                                const uint8_t *key,
                                                                const uint8_t *expected)
{
    (void)agent;
    (void)key;
    (void)expected;
    return IMPRINT_ERR_SUITE;
}

#endif
#endif
