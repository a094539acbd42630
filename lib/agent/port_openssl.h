/*
 * port_openssl: the agent's cryptography over OpenSSL 3, for simulators, tests and devices that run
 * Linux. Firmware brings its own.
 */
#ifndef IMPRINT_AGENT_PORT_OPENSSL_H
#define IMPRINT_AGENT_PORT_OPENSSL_H

#include "agent/agent.h"

#include <openssl/evp.h>

/*
 * Fills the table. False without memory. Free with imprint_agent_port_openssl_done, after the last
 * use of the agent.
 */
bool imprint_agent_port_openssl_init(struct imprint_agent_crypto *crypto);

void imprint_agent_port_openssl_done(struct imprint_agent_crypto *crypto);

/* A handle for a private key, or NULL. The caller frees it. */
EVP_PKEY *imprint_agent_port_openssl_key(const struct imprint_agent_crypto *crypto,
                                         const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE]);

#endif
