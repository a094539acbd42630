#include "agent/decommission.h"

#include "agent/keygen.h"
#include "agent/objects.h"
#include "agent/slots.h"
#include "agent/transcript.h"
#include "agent/wire.h"

#include <string.h>

#if IMPRINT_AGENT_WITH_DECOMMISSION

/* What stands for the identity in force: its leaf's hash, or the check value of its symmetric key. */
static const uint8_t *identity_of(const struct imprint_agent_slot *slot)
{
    int i = imprint_agent_object_find(slot, IMPRINT_OBJ_PRIVATE_KEY);

    if (i >= 0)
        return slot->leaf_hash;
    i = imprint_agent_object_find(slot, IMPRINT_OBJ_SYMMETRIC_KEY);
    return i >= 0 ? slot->record.objects[i].hash : NULL;
}

/* The bytes that the owner signs, made of what this device is. */
static bool build_digest(const struct imprint_agent *agent, const uint8_t *identity,
                         uint8_t digest[IMPRINT_HASH_SIZE])
{
    const struct imprint_agent_platform *p = agent->platform;
    uint8_t bytes[2 + IMPRINT_CHIP_ID_MAX + 2 + IMPRINT_HASH_SIZE];
    struct imprint_agent_writer w;

    imprint_agent_write(&w, bytes, sizeof bytes);
    imprint_agent_put_lp(&w, p->chip_id, p->chip_id_len);
    imprint_agent_put_lp(&w, identity, IMPRINT_HASH_SIZE);
    return !w.bad && imprint_agent_hash(agent, IMPRINT_LABEL_DECOMMISSION, bytes, w.len, digest);
}

static bool names_chip(const struct imprint_agent *agent, const struct imprint_agent_farewell *said)
{
    const struct imprint_agent_platform *p = agent->platform;

    return said->chip_id_len == p->chip_id_len &&
           memcmp(said->chip_id, p->chip_id, p->chip_id_len) == 0;
}

enum imprint_status imprint_agent_decommission(struct imprint_agent *agent,
                                               const struct imprint_agent_farewell *said)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint8_t point[IMPRINT_P256_POINT_SIZE], digest[IMPRINT_HASH_SIZE];
    const struct imprint_agent_slot *slot;
    const uint8_t *identity;
    int i;

    if (!names_chip(agent, said))
        return IMPRINT_ERR_SIGNATURE;
    if (agent->open >= 0 || imprint_agent_made_transaction(agent))
        return IMPRINT_ERR_BUSY;
    if (agent->committed < 0)
        return IMPRINT_OK;
    slot = &agent->slot[agent->committed];
    i = imprint_agent_object_find(slot, IMPRINT_OBJ_DECOMMISSION_KEY);
    identity = identity_of(slot);
    if (i < 0 || !identity)
        return IMPRINT_ERR_STATE;
    if (memcmp(said->identity, identity, IMPRINT_HASH_SIZE) != 0)
        return IMPRINT_ERR_SIGNATURE;
    if (!imprint_agent_object_point(agent, agent->committed, i, point))
        return IMPRINT_ERR_STORE;
    if (!build_digest(agent, identity, digest))
        return IMPRINT_ERR_CRYPTO;
    if (!c->p256_verify(c->context, point, digest, said->sig))
        return IMPRINT_ERR_SIGNATURE;
    return imprint_agent_slot_forget(agent) ? IMPRINT_OK : IMPRINT_ERR_STORE;
}

#endif
