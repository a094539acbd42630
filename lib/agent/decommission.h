/*
 * decommission: the owner takes a device's identity away, locked or not.
 */
#ifndef IMPRINT_AGENT_DECOMMISSION_H
#define IMPRINT_AGENT_DECOMMISSION_H

#include "agent/agent.h"

/* What the request says: views into the frame. */
struct imprint_agent_farewell {
    const uint8_t *chip_id;
    size_t chip_id_len;
    const uint8_t *identity; /* 32 bytes: hash of the leaf certificate, or the check value */
    const uint8_t *sig;
};

/*
 * Verifies the request with the key that the bundle installed and forgets the identity. Without an
 * identity there is nothing to forget: OK, so that a repeat after a lost answer is answered alike.
 * A status: OK; BUSY while a transaction is open; STATE when the identity has no such key;
 * SIGNATURE when it is for another chip or identity, or not signed by that key; STORE; CRYPTO.
 */
enum imprint_status imprint_agent_decommission(struct imprint_agent *agent,
                                               const struct imprint_agent_farewell *said);

#endif
