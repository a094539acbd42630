/*
 * other: device keys that are not P-256: P-384, Ed25519, RSA. The platform has their cryptography
 * (struct imprint_agent_keys); the agent keeps them as PKCS#8, without looking inside.
 *
 * Invariants
 *  1. A key that the device made lies in the journal, whole, before the record of KEYGEN that names it
 *     is written. What a power cut tore is refused with STORE until ABORT makes room.
 *  2. The key of an identity lies behind the objects of its slot, whole, before the commit record is
 *     written, which holds its length and CRC-32 in the place of the scalar.
 *
 * With IMPRINT_AGENT_WITH_OTHER_KEYS 0, or where the platform has no such keys, nothing of it is there.
 */
#ifndef IMPRINT_AGENT_OTHER_H
#define IMPRINT_AGENT_OTHER_H

#include "agent/agent.h"

/* What stands in place of a scalar: algorithm, length, CRC-32 of the key, zeros. */
#define IMPRINT_AGENT_OTHER_NOTE IMPRINT_P256_SCALAR_SIZE

#if IMPRINT_AGENT_WITH_OTHER_KEYS

/* A private key, PKCS#8. Whoever has one wipes it. */
struct imprint_agent_private {
    uint32_t algorithm; /* of the key: enum imprint_algorithm */
    size_t len;
    uint8_t bytes[IMPRINT_AGENT_PRIVATE_MAX];
};

/* The bit of "modes" of a key's algorithm, 0 for one that is not here; and whether the device has it. */
uint32_t imprint_agent_other_mode(uint32_t algorithm);
bool imprint_agent_other_has(const struct imprint_agent *agent, uint32_t algorithm);

/* The algorithm of the proofs that a key makes. */
uint32_t imprint_agent_other_proof(uint32_t algorithm);

/* Reads a delivered PKCS#8, with at most seven zero bytes behind it, and its public half. */
bool imprint_agent_other_take(const struct imprint_agent *agent, const uint8_t *der, size_t len,
                              struct imprint_agent_private *key, uint8_t *spki, size_t *spki_len);

/* Makes a key, stores it in the journal, and writes its note. A status: OK, CRYPTO or STORE. */
enum imprint_status imprint_agent_other_make(struct imprint_agent *agent, uint32_t algorithm,
                                             uint8_t note[IMPRINT_AGENT_OTHER_NOTE]);

/* Writes the key behind the objects of the open slot, and its note. */
bool imprint_agent_other_keep(struct imprint_agent *agent, const struct imprint_agent_private *key,
                              uint8_t note[IMPRINT_AGENT_OTHER_NOTE]);

/* Reads a key that a note tells of, from the journal or from a slot. False when it is not whole. */
bool imprint_agent_other_made(struct imprint_agent *agent,
                              const uint8_t note[IMPRINT_AGENT_OTHER_NOTE],
                              struct imprint_agent_private *key);
bool imprint_agent_other_load(struct imprint_agent *agent, int slot,
                              const uint8_t note[IMPRINT_AGENT_OTHER_NOTE],
                              struct imprint_agent_private *key);

#endif
#endif
