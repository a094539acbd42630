/*
 * slots: what the agent keeps in flash, and what a power cut can make of it.
 *
 * A slot holds one record (the transaction, written by BEGIN), the objects (written by PUT), one
 * commit record with the unwrapped private key (written by COMMIT) and one lock mark. The journal
 * holds the transport key, and behind it what KEYGEN made (keygen.h). All records end with a CRC-32, so a torn one counts as not written.
 *
 * Invariants
 *  1. A slot is committed when its record and its commit record are whole; of two committed slots
 *     the one with the higher count is in force. One write decides: the commit record.
 *  2. A slot in force is never erased; a slot is always erased before it is written.
 *  3. imprint_agent_load() finishes what was interrupted: after a commit the transport key and the
 *     replaced identity are erased, and an open slot whose transport key is gone. Of an erase that was
 *     torn the rest is erased as well: no record tells of it any more, but it may hold a key.
 *  4. An open slot that was not opened since the load is stale: it keeps its name, so that another
 *     transaction finds the device busy, and BEGIN starts it over.
 */
#ifndef IMPRINT_AGENT_SLOTS_H
#define IMPRINT_AGENT_SLOTS_H

#include "agent/agent.h"

/* A structure in flash begins with a magic and ends with a CRC-32 of all before the CRC. */
bool imprint_agent_is_whole(const void *bytes, const uint8_t magic[4], const uint8_t *crc);
void imprint_agent_seal(void *bytes, const uint8_t magic[4], uint8_t *crc);

/* Reads flash into the agent's memory and finishes what was interrupted. False: the store failed.
 */
bool imprint_agent_load(struct imprint_agent *agent);

/* Whether flash is erased from a multiple of 16 to another one. False: the store failed. */
bool imprint_agent_flash_blank(struct imprint_agent *agent, enum imprint_agent_region region,
                               uint32_t from, uint32_t to, bool *blank);

/* Makes and stores a transport key if there is none. A status. */
enum imprint_status imprint_agent_key_ensure(struct imprint_agent *agent);

/* The private transport key. The caller wipes it. */
bool imprint_agent_key_read(struct imprint_agent *agent, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE]);

/* Erases the free slot and writes this record (magic and CRC are set here): it is then open. */
bool imprint_agent_slot_open(struct imprint_agent *agent, struct imprint_agent_record *record);

/* The keys of an identity, zero where its bundle has none, and the hash of its leaf certificate. */
struct imprint_agent_secrets {
    uint8_t leaf_hash[IMPRINT_HASH_SIZE];
    uint8_t scalar[IMPRINT_P256_SCALAR_SIZE];
    uint8_t symmetric[IMPRINT_SYMMETRIC_SIZE];
};

/* Writes the commit record, then loads: true when the slot is then in force. */
bool imprint_agent_slot_commit(struct imprint_agent *agent,
                               const struct imprint_agent_secrets *secrets);

/* The keys of the identity in force. The caller wipes them. */
bool imprint_agent_slot_secrets(struct imprint_agent *agent, struct imprint_agent_secrets *secrets);

/* Marks the identity in force as locked, erases the transport key, then loads. */
bool imprint_agent_slot_lock(struct imprint_agent *agent);

/* Erases the transport key and the open slot, then loads. */
bool imprint_agent_slot_abort(struct imprint_agent *agent);

#if IMPRINT_AGENT_WITH_DECOMMISSION
/* Erases keys and both slots, then loads: true when no identity is left. A power cut is finished. */
bool imprint_agent_slot_forget(struct imprint_agent *agent);
#endif

/* The slot that the next transaction goes to. */
int imprint_agent_slot_free(const struct imprint_agent *agent);

/* The number of the object of this type in a slot's record, or -1. */
int imprint_agent_object_find(const struct imprint_agent_slot *slot, uint32_t type);

/* Where the objects of a record end: there a private key that is not P-256 lies. */
uint32_t imprint_agent_objects_end(const struct imprint_agent_record *record);

/* True when the objects of a record, and such a key, fit into a slot. */
bool imprint_agent_objects_fit(const struct imprint_agent_record *record);

/* Reads and writes within object number i of a slot; the range was checked by the caller. */
bool imprint_agent_object_load(struct imprint_agent *agent, int slot, int i, uint32_t offset,
                               void *out, size_t len);
bool imprint_agent_object_save(struct imprint_agent *agent, int slot, int i, uint32_t offset,
                               const void *bytes, size_t len);

#endif
