/*
 * objects: what each type of object in a bundle must be, and what a bundle must have.
 *
 * docs/device-link.md section 3 has the table. Nothing here changes flash.
 */
#ifndef IMPRINT_AGENT_OBJECTS_H
#define IMPRINT_AGENT_OBJECTS_H

#include "agent/agent.h"

/* The one format of a type; 0 for a type that this build does not have. */
uint32_t imprint_agent_object_format(uint32_t type);

/* Whether objects of this type travel wrapped, and are hashed by what they unwrap to. */
bool imprint_agent_object_is_key(uint32_t type);

/* A private key with its certificates, or a symmetric key alone; both come as the suite says; what is
 * signed has its key; and all fits. A status: OK, BUNDLE or SIZE. */
enum imprint_status imprint_agent_objects_complete(const struct imprint_agent_record *record,
                                                   uint32_t suite);

/* The contents of the open slot's keys and configuration. A status: OK, BUNDLE, SIGNATURE, STORE or
 * CRYPTO. */
enum imprint_status imprint_agent_objects_check(struct imprint_agent *agent);

/*
 * SHA-256 of a label with its NUL (none when NULL) and of the bytes from `from` to before `to` of
 * object number i of the open slot. A status: OK, STORE or CRYPTO.
 */
enum imprint_status imprint_agent_object_hash(struct imprint_agent *agent, int i, const char *label,
                                              uint32_t from, uint32_t to,
                                              uint8_t digest[IMPRINT_HASH_SIZE]);

/* The P-256 point of object number i of a slot, a SubjectPublicKeyInfo; false when it is none. */
bool imprint_agent_object_point(struct imprint_agent *agent, int slot, int i,
                                uint8_t point[IMPRINT_P256_POINT_SIZE]);

#endif
