#include "rig_port.h"

#include "agent/port_openssl.h"

bool rig_port_init(struct imprint_agent_crypto *crypto)
{
    return imprint_agent_port_openssl_init(crypto);
}

void rig_port_done(struct imprint_agent_crypto *crypto)
{
    imprint_agent_port_openssl_done(crypto);
}
