#include "agent/slots.h"

#include "agent/key.h"
#include "agent/keygen.h"
#include "agent/wire.h"

#include <string.h>

/* Where things lie in a slot. */
#define AT_RECORD  0
#define AT_COMMIT  768
#define AT_LOCK    896
#define AT_OBJECTS 1024

#define ALIGNED(n) (((n) + IMPRINT_PUT_ALIGN - 1) / IMPRINT_PUT_ALIGN * IMPRINT_PUT_ALIGN)
#define LOCK_SIZE  IMPRINT_PUT_ALIGN

static const uint8_t record_magic[4] = {'i', 'm', 'p', 1};
static const uint8_t commit_magic[4] = {'i', 'm', 'c', 1};
static const uint8_t key_magic[4] = {'i', 'm', 'k', 1};

struct commit {
    uint8_t magic[4];
    uint8_t count[4];
    struct imprint_agent_secrets secrets;
    uint8_t crc[4];
    uint8_t pad[4];
};

struct key {
    uint8_t magic[4];
    uint8_t scalar[IMPRINT_P256_SCALAR_SIZE];
    uint8_t crc[4];
    uint8_t pad[8];
};

/* No compiler pads a struct of bytes; flash words do need whole multiples. */
typedef char commit_is_aligned[sizeof(struct commit) % IMPRINT_PUT_ALIGN == 0 ? 1 : -1];
typedef char key_is_aligned[sizeof(struct key) % IMPRINT_PUT_ALIGN == 0 ? 1 : -1];
typedef char
    record_is_aligned[sizeof(struct imprint_agent_record) % IMPRINT_PUT_ALIGN == 0 ? 1 : -1];
typedef char record_fits[sizeof(struct imprint_agent_record) <= AT_COMMIT ? 1 : -1];
typedef char commit_fits[sizeof(struct commit) <= AT_LOCK - AT_COMMIT ? 1 : -1];
typedef char key_fits[sizeof(struct key) <= IMPRINT_AGENT_MADE_AT ? 1 : -1];

static enum imprint_agent_region region_of(int slot)
{
    return (enum imprint_agent_region)(IMPRINT_AGENT_SLOT_A + slot);
}

static bool flash_read(struct imprint_agent *agent, enum imprint_agent_region region,
                       uint32_t offset, void *out, size_t len)
{
    const struct imprint_agent_store *s = &agent->platform->store;

    return s->read(s->context, region, offset, out, len);
}

static bool flash_write(struct imprint_agent *agent, enum imprint_agent_region region,
                        uint32_t offset, const void *bytes, size_t len)
{
    const struct imprint_agent_store *s = &agent->platform->store;

    return s->write(s->context, region, offset, bytes, len);
}

static bool flash_erase(struct imprint_agent *agent, enum imprint_agent_region region)
{
    const struct imprint_agent_store *s = &agent->platform->store;

    return s->erase(s->context, region);
}

/* A structure is whole when it begins with its magic and its CRC covers all before the CRC. */
bool imprint_agent_is_whole(const void *bytes, const uint8_t magic[4], const uint8_t *crc)
{
    size_t len = (size_t)(crc - (const uint8_t *)bytes);

    return memcmp(bytes, magic, 4) == 0 &&
           imprint_agent_crc32(0, bytes, len) == imprint_agent_load_u32(crc);
}

void imprint_agent_seal(void *bytes, const uint8_t magic[4], uint8_t *crc)
{
    memcpy(bytes, magic, 4);
    imprint_agent_store_u32(crc,
                            imprint_agent_crc32(0, bytes, (size_t)(crc - (const uint8_t *)bytes)));
}

bool imprint_agent_flash_blank(struct imprint_agent *agent, enum imprint_agent_region region,
                               uint32_t from, uint32_t to, bool *blank)
{
    uint8_t chunk[IMPRINT_PUT_ALIGN], all = 0xff;
    size_t i;

    for (; all == 0xff && from < to; from += (uint32_t)sizeof chunk) {
        if (!flash_read(agent, region, from, chunk, sizeof chunk))
            return false;
        for (i = 0; i < sizeof chunk; i++)
            all &= chunk[i];
    }
    *blank = all == 0xff;
    return true;
}

/* Any byte that is not erased counts: a lock that was torn is a lock. */
static bool load_lock(struct imprint_agent *agent, int i)
{
    bool blank = true;
    bool ok = imprint_agent_flash_blank(agent, region_of(i), AT_LOCK, AT_LOCK + LOCK_SIZE, &blank);

    agent->slot[i].locked = !blank;
    return ok;
}

/* Reads a commit record; *whole tells whether there is one. The caller wipes it. */
static bool read_commit(struct imprint_agent *agent, int i, struct commit *commit, bool *whole)
{
    bool ok = flash_read(agent, region_of(i), AT_COMMIT, commit, sizeof *commit);

    *whole = ok && imprint_agent_is_whole(commit, commit_magic, commit->crc);
    return ok;
}

/* Fills in what a slot with a whole record says besides. */
static bool load_commit(struct imprint_agent *agent, int i)
{
    struct imprint_agent_slot *slot = &agent->slot[i];
    struct commit commit;
    bool whole, ok = read_commit(agent, i, &commit, &whole);
    int object;

    if (whole) {
        slot->state = IMPRINT_AGENT_SLOT_COMMITTED;
        slot->commit_count = imprint_agent_load_u32(commit.count);
        memcpy(slot->leaf_hash, commit.secrets.leaf_hash, sizeof slot->leaf_hash);
        for (object = 0; object < slot->record.count; object++)
            slot->held[object] = imprint_agent_load_u32(slot->record.objects[object].length);
        ok = load_lock(agent, i);
    }
    imprint_agent_wipe(&commit, sizeof commit);
    return ok;
}

static bool load_slot(struct imprint_agent *agent, int i)
{
    struct imprint_agent_slot *slot = &agent->slot[i];

    memset(slot, 0, sizeof *slot);
    if (!flash_read(agent, region_of(i), AT_RECORD, &slot->record, sizeof slot->record))
        return false;
    if (!imprint_agent_is_whole(&slot->record, record_magic, slot->record.crc) ||
        slot->record.count > IMPRINT_AGENT_OBJECTS || slot->record.serial_len > IMPRINT_SERIAL_MAX)
        return true;
    slot->state = IMPRINT_AGENT_SLOT_STALE;
    return load_commit(agent, i);
}

/* Reads the transport key's record; *whole tells whether there is one. The caller wipes it. */
static bool read_key(struct imprint_agent *agent, struct key *key, bool *whole)
{
    bool ok = flash_read(agent, IMPRINT_AGENT_JOURNAL, 0, key, sizeof *key);

    *whole = ok && imprint_agent_is_whole(key, key_magic, key->crc);
    return ok;
}

bool imprint_agent_key_read(struct imprint_agent *agent, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    struct key key;
    bool whole;

    (void)read_key(agent, &key, &whole);
    if (whole)
        memcpy(scalar, key.scalar, sizeof key.scalar);
    imprint_agent_wipe(&key, sizeof key);
    return whole;
}

/* A journal that cannot be read is not one without a key: that key would be erased. */
static bool load_key(struct imprint_agent *agent)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    struct key key;
    bool ok = read_key(agent, &key, &agent->has_key);

    if (agent->has_key)
        ok = c->p256_public(c->context, key.scalar, agent->transport);
    imprint_agent_wipe(&key, sizeof key);
    return ok;
}

static bool key_is_of(const struct imprint_agent *agent, int slot)
{
    return agent->has_key && memcmp(agent->transport, agent->slot[slot].record.transport,
                                    sizeof agent->transport) == 0;
}

/* Chooses the slot in force and the open one. */
static void elect(struct imprint_agent *agent)
{
    int i;

    agent->committed = -1;
    agent->open = -1;
    for (i = 0; i < 2; i++) {
        if (agent->slot[i].state == IMPRINT_AGENT_SLOT_STALE)
            agent->open = i;
        if (agent->slot[i].state == IMPRINT_AGENT_SLOT_COMMITTED &&
            (agent->committed < 0 ||
             agent->slot[i].commit_count > agent->slot[agent->committed].commit_count))
            agent->committed = i;
    }
}

static bool erase_slot(struct imprint_agent *agent, int i)
{
    if (!flash_erase(agent, region_of(i)))
        return false;
    memset(&agent->slot[i], 0, sizeof agent->slot[i]);
    if (agent->open == i)
        agent->open = -1;
    return true;
}

static bool erase_key(struct imprint_agent *agent)
{
    agent->has_key = false;
    imprint_agent_made_forget(agent);
    return flash_erase(agent, IMPRINT_AGENT_JOURNAL);
}

/* A region without a record that counts: what is left there is of no use, and may be a secret. */
static bool erase_rest(struct imprint_agent *agent, enum imprint_agent_region region, uint32_t size)
{
    bool blank = false;

    return imprint_agent_flash_blank(agent, region, 0, size, &blank) &&
           (blank || flash_erase(agent, region));
}

/* What a commit replaced: the transport key, unless a later one was shown, and the other slot. */
static bool finish_commit(struct imprint_agent *agent, int in_force)
{
    int other = 1 - in_force;

    if (key_is_of(agent, in_force) || agent->slot[in_force].locked) {
        agent->has_key = false;
        imprint_agent_made_forget(agent);
    }
    if (agent->slot[other].state == IMPRINT_AGENT_SLOT_STALE)
        return true;
    memset(&agent->slot[other], 0, sizeof agent->slot[other]);
    return erase_rest(agent, region_of(other), IMPRINT_AGENT_SLOT_SIZE);
}

static bool finish_interrupted(struct imprint_agent *agent)
{
    /* Without an identity in force no slot is touched: one that was misread may be read again. */
    if (agent->committed >= 0 && !finish_commit(agent, agent->committed))
        return false;
    if (!agent->has_key && !erase_rest(agent, IMPRINT_AGENT_JOURNAL, IMPRINT_AGENT_JOURNAL_SIZE))
        return false;
    return agent->open < 0 || key_is_of(agent, agent->open) || erase_slot(agent, agent->open);
}

#if IMPRINT_AGENT_WITH_DECOMMISSION
/* In place of a transport key in the journal: both slots are to be erased. */
static const uint8_t forget_magic[4] = {'i', 'm', 'd', 1};

/* What a DECOMMISSION began: the mark goes last, so that no power cut leaves a part of an identity. */
static bool finish_forgetting(struct imprint_agent *agent)
{
    struct key mark;

    if (!flash_read(agent, IMPRINT_AGENT_JOURNAL, 0, &mark, sizeof mark))
        return false;
    return !imprint_agent_is_whole(&mark, forget_magic, mark.crc) ||
           (erase_slot(agent, 0) && erase_slot(agent, 1) && erase_key(agent));
}

bool imprint_agent_slot_forget(struct imprint_agent *agent)
{
    struct key mark;

    memset(&mark, 0xff, sizeof mark);
    imprint_agent_seal(&mark, forget_magic, mark.crc);
    agent->loaded = false;
    return erase_key(agent) && flash_write(agent, IMPRINT_AGENT_JOURNAL, 0, &mark, sizeof mark) &&
           imprint_agent_load(agent) && agent->committed < 0;
}
#else
static bool finish_forgetting(struct imprint_agent *agent)
{
    (void)agent;
    return true;
}
#endif

bool imprint_agent_load(struct imprint_agent *agent)
{
    agent->loaded = false;
    if (!finish_forgetting(agent) || !load_slot(agent, 0) || !load_slot(agent, 1) ||
        !load_key(agent) || !imprint_agent_made_load(agent))
        return false;
    elect(agent);
    agent->loaded = finish_interrupted(agent);
    return agent->loaded;
}

enum imprint_status imprint_agent_key_ensure(struct imprint_agent *agent)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    struct key key;
    bool drawn, stored;

    if (agent->has_key)
        return IMPRINT_OK;
    memset(&key, 0xff, sizeof key);
    do {
        drawn = c->random(c->context, key.scalar, sizeof key.scalar);
    } while (drawn && !imprint_agent_scalar_valid(key.scalar));
    imprint_agent_seal(&key, key_magic, key.crc);
    stored = drawn && flash_erase(agent, IMPRINT_AGENT_JOURNAL) &&
             flash_write(agent, IMPRINT_AGENT_JOURNAL, 0, &key, sizeof key);
    imprint_agent_wipe(&key, sizeof key);
    if (!drawn)
        return IMPRINT_ERR_CRYPTO;
    if (!stored || !load_key(agent) || !agent->has_key) {
        agent->loaded = false;
        return IMPRINT_ERR_STORE;
    }
    return IMPRINT_OK;
}

int imprint_agent_slot_free(const struct imprint_agent *agent)
{
    return agent->committed == 0 ? 1 : 0;
}

bool imprint_agent_slot_open(struct imprint_agent *agent, struct imprint_agent_record *record)
{
    int i = imprint_agent_slot_free(agent);

    imprint_agent_seal(record, record_magic, record->crc);
    agent->loaded = false;
    if (!erase_slot(agent, i) ||
        !flash_write(agent, region_of(i), AT_RECORD, record, sizeof *record) ||
        !load_slot(agent, i) || memcmp(&agent->slot[i].record, record, sizeof *record) != 0)
        return false;
    agent->slot[i].state = IMPRINT_AGENT_SLOT_OPEN;
    agent->open = i;
    agent->loaded = true;
    return true;
}

bool imprint_agent_slot_commit(struct imprint_agent *agent,
                               const struct imprint_agent_secrets *secrets)
{
    struct commit commit;
    int i = agent->open;
    uint32_t count = agent->committed < 0 ? 1 : agent->slot[agent->committed].commit_count + 1;
    bool written;

    memset(&commit, 0xff, sizeof commit);
    imprint_agent_store_u32(commit.count, count);
    commit.secrets = *secrets;
    imprint_agent_seal(&commit, commit_magic, commit.crc);
    written = flash_write(agent, region_of(i), AT_COMMIT, &commit, sizeof commit);
    imprint_agent_wipe(&commit, sizeof commit);
    return imprint_agent_load(agent) && written && agent->committed == i;
}

bool imprint_agent_slot_secrets(struct imprint_agent *agent, struct imprint_agent_secrets *secrets)
{
    struct commit commit;
    bool whole;

    if (agent->committed < 0 || !read_commit(agent, agent->committed, &commit, &whole))
        return false;
    if (whole)
        *secrets = commit.secrets;
    imprint_agent_wipe(&commit, sizeof commit);
    return whole;
}

bool imprint_agent_slot_lock(struct imprint_agent *agent)
{
    static const uint8_t mark[LOCK_SIZE] = {0};
    int i = agent->committed;
    bool written = flash_write(agent, region_of(i), AT_LOCK, mark, sizeof mark);

    return imprint_agent_load(agent) && written && agent->slot[i].locked;
}

bool imprint_agent_slot_abort(struct imprint_agent *agent)
{
    int i = imprint_agent_slot_free(agent);

    agent->loaded = false;
    /* The key first: without it the open slot is dead, and a load finishes the rest. */
    return erase_key(agent) && erase_slot(agent, i) && imprint_agent_load(agent);
}

int imprint_agent_object_find(const struct imprint_agent_slot *slot, uint32_t type)
{
    int i;

    for (i = 0; i < slot->record.count; i++)
        if (imprint_agent_load_u16(slot->record.objects[i].type) == type)
            return i;
    return -1;
}

/* Where object number i begins; past the last one, where the objects end. */
static uint32_t object_at(const struct imprint_agent_record *record, int i)
{
    uint32_t at = AT_OBJECTS;

    while (i-- > 0)
        at += ALIGNED(imprint_agent_load_u32(record->objects[i].length));
    return at;
}

uint32_t imprint_agent_objects_end(const struct imprint_agent_record *record)
{
    return object_at(record, record->count);
}

bool imprint_agent_objects_fit(const struct imprint_agent_record *record)
{
    int i;

    /* Each alone first, so that the sum cannot wrap. */
    for (i = 0; i < record->count; i++)
        if (imprint_agent_load_u32(record->objects[i].length) > IMPRINT_AGENT_SLOT_SIZE)
            return false;
    i = IMPRINT_AGENT_WITH_OTHER_KEYS && record->other ? IMPRINT_AGENT_PRIVATE_MAX : 0;
    return imprint_agent_objects_end(record) + (uint32_t)i <= IMPRINT_AGENT_SLOT_SIZE;
}

bool imprint_agent_object_load(struct imprint_agent *agent, int slot, int i, uint32_t offset,
                               void *out, size_t len)
{
    return flash_read(agent, region_of(slot), object_at(&agent->slot[slot].record, i) + offset, out,
                      len);
}

bool imprint_agent_object_save(struct imprint_agent *agent, int slot, int i, uint32_t offset,
                               const void *bytes, size_t len)
{
    return flash_write(agent, region_of(slot), object_at(&agent->slot[slot].record, i) + offset,
                       bytes, len);
}
