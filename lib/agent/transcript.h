/*
 * transcript: the byte strings that the device hashes and signs, built by the device itself.
 *
 * docs/device-link.md defines each of them; link/transcript.h is the station's own version.
 */
#ifndef IMPRINT_AGENT_TRANSCRIPT_H
#define IMPRINT_AGENT_TRANSCRIPT_H

#include "agent/agent.h"
#include "agent/wire.h"

/* Room for the encoded facts, and for X. */
#define IMPRINT_AGENT_FACTS_MAX 256
#define IMPRINT_AGENT_X_MAX     512
#define IMPRINT_AGENT_PROVE_MAX 128

/* What BEGIN or KEYGEN says: views into the frame. */
struct imprint_agent_begin {
    uint32_t suite;
    const uint8_t *environment;
    size_t environment_len;
    const uint8_t *order;
    const uint8_t *transaction;
    const uint8_t *nonce;
    const uint8_t *serial;
    size_t serial_len;
    const uint8_t *key; /* the station's ephemeral point; NULL where no key travels */
    const uint8_t *sig;
    const uint8_t *cert;
    size_t cert_len;
};

/* SHA-256 of a label with its NUL (none when NULL) and of bytes. */
bool imprint_agent_hash(const struct imprint_agent *agent, const char *label, const uint8_t *bytes,
                        size_t len, uint8_t digest[IMPRINT_HASH_SIZE]);

/* Writes the facts of HELLO: a CBOR map. */
void imprint_agent_facts(const struct imprint_agent *agent, struct imprint_agent_writer *w);

/* The bundle hash B over a record's object table. */
bool imprint_agent_bundle(const struct imprint_agent *agent,
                          const struct imprint_agent_record *record,
                          uint8_t digest[IMPRINT_HASH_SIZE]);

/* Writes the transcript X over BEGIN, the device's own facts and the record's bundle hash; over KEYGEN
 * with NULL for the bundle, which is then empty. */
bool imprint_agent_x(const struct imprint_agent *agent, const struct imprint_agent_begin *begin,
                     const uint8_t *bundle, struct imprint_agent_writer *w);

/* The digest that the enrolled key signs in HELLO; in KEYGEN with the point of the key that was made,
 * which is NULL in HELLO. */
bool imprint_agent_attest_digest(const struct imprint_agent *agent,
                                 const uint8_t nonce[IMPRINT_NONCE_SIZE], uint32_t algorithm,
                                 const uint8_t *made, size_t made_len,
                                 uint8_t digest[IMPRINT_HASH_SIZE]);

/* Writes what a proof of the identity in force is made over, after its label. */
void imprint_agent_prove_bytes(const struct imprint_agent *agent, uint32_t alg,
                               const uint8_t nonce[IMPRINT_NONCE_SIZE],
                               struct imprint_agent_writer *w);

/* What the device reports of its life cycle. */
enum imprint_lifecycle imprint_agent_lifecycle(const struct imprint_agent *agent);

#endif
