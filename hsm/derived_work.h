/*
 * derived_work: the steps of hsm/derived.h on handles, for the probe, which has a master key of its
 * own. Private to hsm/.
 */
#ifndef HSM_DERIVED_WORK_H
#define HSM_DERIVED_WORK_H

#include "hsm/credential_work.h"
#include "hsm/derived.h"

/* Derives a key into a session object that can be wrapped and make MACs. */
MUST_USE int derived_make(struct hsm *h, enum hsm_derivation how, CK_OBJECT_HANDLE master,
                          const void *input, size_t len, CK_OBJECT_HANDLE *key, struct error *err);

/* Wraps a derived key for a device under the key encryption key of r. */
MUST_USE int derived_wrap_key(struct hsm_rewrap *r, unsigned suite,
                              const uint8_t dev_pub[EC_POINT_SIZE],
                              const uint8_t context[HSM_CONTEXT_SIZE], CK_OBJECT_HANDLE key,
                              struct buf *out, struct error *err);

#endif
