#include "agent/objects.h"

#include "agent/key.h"
#include "agent/slots.h"
#include "agent/wire.h"

#include <string.h>

uint32_t imprint_agent_object_format(uint32_t type)
{
    static const uint8_t formats[] = {
        0,
        IMPRINT_FMT_PKCS8_RFC5649, /* by type, from PRIVATE_KEY on */
        IMPRINT_FMT_X509_DER,
        IMPRINT_FMT_X509_DER,
        IMPRINT_FMT_SPKI_DER,
        IMPRINT_AGENT_WITH_SYMMETRIC ? IMPRINT_FMT_KEY_RFC5649 : 0,
        IMPRINT_AGENT_WITH_CONFIGURATION ? IMPRINT_FMT_SIGNED : 0,
        IMPRINT_AGENT_WITH_CONFIGURATION ? IMPRINT_FMT_SPKI_DER : 0,
        IMPRINT_AGENT_WITH_DECOMMISSION ? IMPRINT_FMT_SPKI_DER : 0,
    };

    return type < sizeof formats ? formats[type] : 0;
}

bool imprint_agent_object_is_key(uint32_t type)
{
    return type == IMPRINT_OBJ_PRIVATE_KEY || type == IMPRINT_OBJ_SYMMETRIC_KEY;
}

enum imprint_status imprint_agent_objects_complete(const struct imprint_agent_record *record,
                                                   uint32_t suite)
{
    uint32_t has = 0, identity;
    int i;

    /* Without a suite no key travels: the private one, which comes first, is the device's own. */
    if (IMPRINT_AGENT_WITH_DEVICE_KEY && record->count > 0 &&
        (suite == IMPRINT_SUITE_NONE) !=
            (imprint_agent_load_u16(record->objects[0].format) == IMPRINT_FMT_NONE))
        return IMPRINT_ERR_BUNDLE;
    for (i = 0; i < record->count; i++)
        has |= 1u << imprint_agent_load_u16(record->objects[i].type);
    identity = has & (1u << IMPRINT_OBJ_PRIVATE_KEY | 1u << IMPRINT_OBJ_CERTIFICATES);
    if (identity ? identity != (1u << IMPRINT_OBJ_PRIVATE_KEY | 1u << IMPRINT_OBJ_CERTIFICATES)
                 : !(has >> IMPRINT_OBJ_SYMMETRIC_KEY & 1u))
        return IMPRINT_ERR_BUNDLE;
    if (IMPRINT_AGENT_WITH_DEVICE_KEY && suite == IMPRINT_SUITE_NONE &&
        (has >> IMPRINT_OBJ_SYMMETRIC_KEY & 1u))
        return IMPRINT_ERR_BUNDLE;
    if (IMPRINT_AGENT_WITH_CONFIGURATION && (has >> IMPRINT_OBJ_CONFIGURATION & 1u) &&
        !(has >> IMPRINT_OBJ_CONFIGURATION_KEY & 1u))
        return IMPRINT_ERR_BUNDLE;
    return imprint_agent_objects_fit(record) ? IMPRINT_OK : IMPRINT_ERR_SIZE;
}

enum imprint_status imprint_agent_object_hash(struct imprint_agent *agent, int i, const char *label,
                                              uint32_t from, uint32_t to,
                                              uint8_t digest[IMPRINT_HASH_SIZE])
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint8_t chunk[64];
    uint32_t n;

    c->sha256_init(c->context);
    if (label)
        c->sha256_update(c->context, label, strlen(label) + 1);
    for (; from < to; from += n) {
        n = to - from < sizeof chunk ? to - from : (uint32_t)sizeof chunk;
        if (!imprint_agent_object_load(agent, agent->open, i, from, chunk, n)) {
            (void)c->sha256_final(c->context, digest);
            return IMPRINT_ERR_STORE;
        }
        c->sha256_update(c->context, chunk, n);
    }
    return c->sha256_final(c->context, digest) ? IMPRINT_OK : IMPRINT_ERR_CRYPTO;
}

#if IMPRINT_AGENT_WITH_CONFIGURATION || IMPRINT_AGENT_WITH_DECOMMISSION

/* lp(u16 algorithm ‖ signature) before the contents of a signed object. */
#define SIGNED_HEAD (2 + 2 + IMPRINT_P256_SIG_SIZE)

bool imprint_agent_object_point(struct imprint_agent *agent, int slot, int i,
                                uint8_t point[IMPRINT_P256_POINT_SIZE])
{
    uint8_t is[IMPRINT_SPKI_SIZE], expected[IMPRINT_SPKI_SIZE];

    if (agent->slot[slot].held[i] != sizeof is ||
        !imprint_agent_object_load(agent, slot, i, 0, is, sizeof is))
        return false;
    memcpy(point, is + sizeof is - IMPRINT_P256_POINT_SIZE, IMPRINT_P256_POINT_SIZE);
    imprint_agent_spki(point, expected);
    return memcmp(is, expected, sizeof is) == 0;
}

/* A key of the open slot that will verify something: a wrong one would be found out too late. */
static enum imprint_status check_point(struct imprint_agent *agent, enum imprint_object type,
                                       uint8_t point[IMPRINT_P256_POINT_SIZE])
{
    int i = imprint_agent_object_find(&agent->slot[agent->open], type);

    return i < 0 || imprint_agent_object_point(agent, agent->open, i, point) ? IMPRINT_OK
                                                                             : IMPRINT_ERR_BUNDLE;
}

/* The signature of object number i with this key. */
static enum imprint_status check_signed(struct imprint_agent *agent, int i, const uint8_t *point)
{
    static const uint8_t expected[4] = {0, SIGNED_HEAD - 2, IMPRINT_ALG_ECDSA_SHA256 >> 8,
                                        IMPRINT_ALG_ECDSA_SHA256 & 0xff};
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint32_t held = agent->slot[agent->open].held[i];
    uint8_t head[SIGNED_HEAD], digest[IMPRINT_HASH_SIZE];
    enum imprint_status status;

    if (held <= sizeof head)
        return IMPRINT_ERR_BUNDLE;
    if (!imprint_agent_object_load(agent, agent->open, i, 0, head, sizeof head))
        return IMPRINT_ERR_STORE;
    if (memcmp(head, expected, sizeof expected) != 0)
        return IMPRINT_ERR_BUNDLE;
    status =
        imprint_agent_object_hash(agent, i, IMPRINT_LABEL_CONFIGURATION, sizeof head, held, digest);
    if (status == IMPRINT_OK && !c->p256_verify(c->context, point, digest, head + sizeof expected))
        status = IMPRINT_ERR_SIGNATURE;
    return status;
}

enum imprint_status imprint_agent_objects_check(struct imprint_agent *agent)
{
    uint8_t point[IMPRINT_P256_POINT_SIZE];
    enum imprint_status status = check_point(agent, IMPRINT_OBJ_DECOMMISSION_KEY, point);
    int i = imprint_agent_object_find(&agent->slot[agent->open], IMPRINT_OBJ_CONFIGURATION);

    if (status == IMPRINT_OK)
        status = check_point(agent, IMPRINT_OBJ_CONFIGURATION_KEY, point);
    if (status == IMPRINT_OK && IMPRINT_AGENT_WITH_CONFIGURATION && i >= 0)
        status = check_signed(agent, i, point);
    return status;
}

#else

enum imprint_status imprint_agent_objects_check(struct imprint_agent *agent)
{
    (void)agent;
    return IMPRINT_OK;
}

#endif
