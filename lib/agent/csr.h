/*
 * csr: the certificate request (PKCS#10, RFC 2986) of a key that the device made.
 *
 * Version 1, the subject that KEYGEN asked for, a P-256 key, no attributes; signed with ECDSA and
 * SHA-256 (RFC 5758). The subject is carried as it came: the station compares it.
 */
#ifndef IMPRINT_AGENT_CSR_H
#define IMPRINT_AGENT_CSR_H

#include "agent/other.h"

/* Two heads, version, subject, key, attributes, algorithm, signature: the longest are RSA's. */
#if IMPRINT_AGENT_WITH_OTHER_KEYS
#define IMPRINT_AGENT_CSR_MAX                                                                      \
    (4 + 4 + 3 + IMPRINT_SUBJECT_MAX + IMPRINT_OTHER_SPKI_MAX + 2 + 67 + 5 + IMPRINT_SIG_MAX)
#else
#define IMPRINT_AGENT_CSR_MAX (4 + 4 + 3 + IMPRINT_SUBJECT_MAX + 91 + 2 + 12 + 3 + 72)
#endif

struct imprint_agent_csr {
    uint8_t bytes[IMPRINT_AGENT_CSR_MAX];
    size_t start, len; /* where the request lies in bytes */
};

/* True when bytes are one DER SEQUENCE of at most IMPRINT_SUBJECT_MAX, as a Name is. */
bool imprint_agent_is_name(const uint8_t *bytes, size_t len);

/* Builds and signs the request; subject is one that imprint_agent_is_name takes. False when the
 * platform's cryptography failed. */
bool imprint_agent_csr(const struct imprint_agent *agent, const uint8_t *subject, size_t len,
                       const uint8_t point[IMPRINT_P256_POINT_SIZE],
                       const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE],
                       struct imprint_agent_csr *out);

#if IMPRINT_AGENT_WITH_OTHER_KEYS
/* The same for another key: signed as its proofs are, with an ECDSA signature in DER. */
bool imprint_agent_csr_other(const struct imprint_agent *agent, const uint8_t *subject, size_t len,
                             const struct imprint_agent_private *key, const uint8_t *spki,
                             size_t spki_len, struct imprint_agent_csr *out);
#endif

#endif
