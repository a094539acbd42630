/*
 * port_keys_openssl: keys of other types than P-256 for the agent, by OpenSSL: for simulators and tests.
 */
#ifndef IMPRINT_AGENT_PORT_KEYS_OPENSSL_H
#define IMPRINT_AGENT_PORT_KEYS_OPENSSL_H

#include "agent/agent.h"

/* P-384, Ed25519, RSA with 2048 and 3072 bits. Needs no closing. */
extern const struct imprint_agent_keys imprint_agent_keys_openssl;

#endif
