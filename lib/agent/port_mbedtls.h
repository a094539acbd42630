/*
 * port_mbedtls: the agent's cryptography over Mbed TLS 2.28, for microcontrollers.
 *
 * Needs of Mbed TLS: AES, ECDSA_DETERMINISTIC, SHA256, HMAC_DRBG, ECP_DP_SECP256R1
 * (tools/firmware/mbedtls_config.h is the smallest configuration). With MEMORY_BUFFER_ALLOC the
 * port gives the library a pool of its own and nothing takes memory from a heap.
 *
 * Invariants
 *  1. Random bytes come from an HMAC_DRBG (NIST SP 800-90A) that the platform's entropy seeds.
 *  2. Signatures are deterministic (RFC 6979), so a weak moment of the entropy source cannot leak
 *     a key; multiplications by a secret are blinded.
 *  3. A point is checked to be on the curve before it is used.
 */
#ifndef IMPRINT_AGENT_PORT_MBEDTLS_H
#define IMPRINT_AGENT_PORT_MBEDTLS_H

#include "agent/agent.h"

#include <mbedtls/ecp.h>
#include <mbedtls/hmac_drbg.h>
#include <mbedtls/sha256.h>

/* Bytes for all that Mbed TLS allocates; docs/firmware.md tells what was measured. */
#ifndef IMPRINT_AGENT_MBEDTLS_POOL
#define IMPRINT_AGENT_MBEDTLS_POOL 4096
#endif

/* The port's memory: place it where static data goes. Its members are the port's. */
struct imprint_agent_port_mbedtls {
    mbedtls_ecp_group p256;
    mbedtls_sha256_context digest;
    bool digest_ok;
    mbedtls_hmac_drbg_context random;
#if defined(MBEDTLS_MEMORY_BUFFER_ALLOC_C)
    uint8_t pool[IMPRINT_AGENT_MBEDTLS_POOL];
#endif
};

/*
 * Fills the table. entropy fills out with len bytes from the hardware's source, as Mbed TLS has it:
 * 0, or a negative number when the source fails its own tests; it is asked for 48 bytes here, and
 * for 32 after every MBEDTLS_HMAC_DRBG_RESEED_INTERVAL requests. False when it fails, or for want
 * of memory. port must outlive the agent.
 */
bool imprint_agent_port_mbedtls_init(struct imprint_agent_crypto *crypto,
                                     struct imprint_agent_port_mbedtls *port,
                                     int (*entropy)(void *context, unsigned char *out, size_t len),
                                     void *context);

/* After the last use of the agent; firmware never gets there. */
void imprint_agent_port_mbedtls_done(struct imprint_agent_port_mbedtls *port);

#endif
