/*
 * prove: what the device answers a nonce with: a signature of its private key, or, where it has none
 * (derived mode), an HMAC with its symmetric key.
 */
#ifndef IMPRINT_AGENT_PROVE_H
#define IMPRINT_AGENT_PROVE_H

#include "agent/agent.h"

struct imprint_agent_proof {
    uint32_t alg;
    size_t len;
#if IMPRINT_AGENT_WITH_OTHER_KEYS
    uint8_t bytes[IMPRINT_SIG_MAX];
#else
    uint8_t bytes[IMPRINT_P256_SIG_SIZE];
#endif
};

/* Proves the identity in force, which there must be. A status: OK, STORE or CRYPTO. */
enum imprint_status imprint_agent_prove(struct imprint_agent *agent,
                                        const uint8_t nonce[IMPRINT_NONCE_SIZE],
                                        struct imprint_agent_proof *proof);

#endif
