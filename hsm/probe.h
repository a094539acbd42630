/*
 * probe: finds out what a token can do by doing it. Private to hsm/.
 *
 * For each wrap mechanism and suite, one throw-away key goes the whole way: made, wrapped under a
 * session copy of the storage policy, unwrapped, rewrapped to a device that OpenSSL plays, and
 * opened there as RFC 5649 over PKCS#8. Only bytes that another implementation understood count,
 * because 0x210A means one thing on SoftHSM and another on NSS. Then the probe attacks the
 * throw-away keys, and notes what the token lets pass (enum hsm_limit).
 */
#ifndef HSM_PROBE_H
#define HSM_PROBE_H

#include "hsm/session.h"

/* Sets h->can. A token without a suite is no error: it can still sign. */
MUST_USE int probe_run(struct hsm *h, struct error *err);

#endif
