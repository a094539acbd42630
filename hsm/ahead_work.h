/*
 * ahead_work: hsm/ahead.h for the rest of the room. Private to hsm/.
 */
#ifndef HSM_AHEAD_WORK_H
#define HSM_AHEAD_WORK_H

#include "hsm/ahead.h"
#include "hsm/credential_work.h"

/* What was begun ahead of these, as an open rewrap of h; or NULL. Waits for one that is at hand. */
struct hsm_rewrap *ahead_take(struct hsm *h, const char *storage, const void *wrapped, size_t len,
                              const struct public_key *key, uint8_t station_pub[EC_POINT_SIZE]);

/* Whether a worker of h is the thread's, which ends when it is told to. */
bool ahead_is_open(const struct hsm *h);

/* hsm_ahead_end, and no more of it. */
void ahead_free(struct hsm *h);

#endif
