/*
 * rig_port: the cryptography of a device in memory: rig_port_openssl.c or rig_port_mbedtls.c,
 * whichever a test program is linked with. The same tests hold for both.
 */
#ifndef TESTS_RIG_PORT_H
#define TESTS_RIG_PORT_H

#include "agent/agent.h"

/* False without memory or randomness. End with rig_port_done in any case. */
bool rig_port_init(struct imprint_agent_crypto *crypto);
void rig_port_done(struct imprint_agent_crypto *crypto);

#endif
