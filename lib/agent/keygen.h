/*
 * keygen: KEYGEN, the request that has the device make its own key.
 *
 * The key is made once for a transaction and lies in the journal, behind the transport key, from
 * before the first reply until COMMIT moves it into the identity, or ABORT erases it.
 *
 * Invariants
 *  1. One transaction has one key: the key is in flash before anything of it leaves, and KEYGEN of an
 *     open transaction gives a request for the same key again.
 *  2. Nothing is made before the station's signature verifies.
 *  3. A record that a power cut tore is skipped: the next place of the journal takes another.
 *     Nothing of a torn key ever left.
 *
 * With IMPRINT_AGENT_WITH_DEVICE_KEY 0, nothing of it is built and there is never such a key.
 */
#ifndef IMPRINT_AGENT_KEYGEN_H
#define IMPRINT_AGENT_KEYGEN_H

#include "agent/agent.h"
#include "agent/csr.h"
#include "agent/wire.h"

#include <string.h>

/* Where in the journal the records of this module begin: before them lies the transport key. */
#define IMPRINT_AGENT_MADE_AT 64

#if IMPRINT_AGENT_WITH_DEVICE_KEY

/* What KEYGEN answers. */
struct imprint_agent_request {
    struct imprint_agent_csr csr;
    bool attested; /* by the enrolment key; sig is then its signature */
    uint8_t sig[IMPRINT_P256_SIG_SIZE];
};

/* Reads and checks a KEYGEN map, and makes the key unless it is made already. A status. */
enum imprint_status imprint_agent_keygen(struct imprint_agent *agent,
                                         struct imprint_agent_reader *r,
                                         struct imprint_agent_request *out);

/* Reads the journal's records; needs the transport key loaded. False: the store failed. */
bool imprint_agent_made_load(struct imprint_agent *agent);

/* The private key that was made for the open slot's transaction. The caller wipes it. */
bool imprint_agent_made_read(struct imprint_agent *agent, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE]);

/* The journal is about to be erased. */
static inline void imprint_agent_made_forget(struct imprint_agent *agent)
{
    memset(&agent->made, 0, sizeof agent->made);
}

/* Whether that key is not P-256: what imprint_agent_made_read gives is then its note (other.h). */
static inline bool imprint_agent_made_is_other(const struct imprint_agent *agent)
{
    return agent->made.open && agent->made.other;
}

/* The transaction whose key waits for its certificate, or NULL. */
static inline const uint8_t *imprint_agent_made_transaction(const struct imprint_agent *agent)
{
    return agent->made.open ? agent->made.transaction : NULL;
}

#else

static inline bool imprint_agent_made_load(struct imprint_agent *agent)
{
    (void)agent;
    return true;
}

static inline bool imprint_agent_made_read(struct imprint_agent *agent,
                                           uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    (void)agent;
    (void)scalar;
    return false;
}

static inline void imprint_agent_made_forget(struct imprint_agent *agent)
{
    (void)agent;
}

static inline const uint8_t *imprint_agent_made_transaction(const struct imprint_agent *agent)
{
    (void)agent;
    return NULL;
}

static inline bool imprint_agent_made_is_other(const struct imprint_agent *agent)
{
    (void)agent;
    return false;
}

#endif
#endif
