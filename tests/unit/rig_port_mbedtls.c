#include "rig_port.h"

#include "agent/port_mbedtls.h"

#include <stdlib.h>
#include <sys/random.h>

static int entropy(void *context, unsigned char *out, size_t len)
{
    (void)context;
    return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}

bool rig_port_init(struct imprint_agent_crypto *crypto)
{
    struct imprint_agent_port_mbedtls *port = calloc(1, sizeof *port);

    return port && imprint_agent_port_mbedtls_init(crypto, port, entropy, NULL);
}

void rig_port_done(struct imprint_agent_crypto *crypto)
{
    imprint_agent_port_mbedtls_done(crypto->context);
    free(crypto->context);
    crypto->context = NULL;
}
