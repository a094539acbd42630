/*
 * plan: what is to be done with the device that said HELLO. The rules of P2 and P3 in one place.
 *
 *   what the device says                     what the store knows          plan
 *   ---------------------------------------- ----------------------------- --------------------------
 *   transaction T, open or committed         T unknown                     refuse, touch nothing
 *   transaction T, or T's transport key      T belongs to another chip     refuse as duplicate
 *   transaction T, or T's transport key      T is of another order         refuse, name the job
 *   T open, or T's transport key             T open, and failed too often  refuse
 *   T open, or T's transport key             T open                        DELIVER what is stored;
 *                                                                          KEYGEN if the device made
 *                                                                          the key
 *   T open, or T's transport key             T asked for a key             KEYGEN, the stored one
 *   T open, or T's transport key             T asked for a key, dropped,   ABORT
 *                                              by a job of another mode,
 *                                              under another label, for a
 *                                              serial that an amendment took
 *                                              from this station, or with
 *                                              another attestation
 *   T committed                              T asked for a key             refuse
 *   T committed, under another serial        T open or proven              refuse
 *   T committed                              T open                        PROVE
 *   T committed                              T proven                      PROVE again, consume nothing
 *   T open, or T's transport key             T proven                      refuse: an old copy of a store
 *   T open, or T's transport key             T void                        ABORT
 *   T committed and locked                   T void                        refuse
 *   T committed, and a transport key         T void                        as that transport key says
 *   nothing of the above                     chip was proven               refuse as duplicate
 *   nothing of the above, authenticated      its key has a live claim      refuse as duplicate
 *     under another chip id
 *   any of the above, authenticated          claim of another key          refuse as duplicate
 *   nothing of the above                     chip has an open claim        burn it, then as below
 *   nothing of the above                     -                             claim (vault/naming.h), or
 *                                                                          ask for a key: KEYGEN
 *   a live T                                 another label in its slot     refuse
 *   any of the above, and not what the job   any of the above              refuse before it is looked
 *     requires (job_require.h)                                             up
 *
 * Failed too often: as the claim's own device, by its chip id and key (session.c).
 * Authenticated: the order says `enrolled` or `attested`.
 * Void is burned or revoked: such a device, once it lost its memory, is a new one.
 */
#ifndef STATION_VAULT_PLAN_H
#define STATION_VAULT_PLAN_H

#include "station/vault/session.h"

/*
 * Decides and, for a new claim, commits it. Fills plan, s->claim and s->credential, unless the plant was asked
 * (session_waits): then nothing was done, and the same is decided again when it answered. Errors that
 * concern the device: ERR_REFUSED, ERR_DUPLICATE, ERR_EXHAUSTED, ERR_PROTOCOL, ERR_SIGNATURE.
 * Others are the station's own.
 */
MUST_USE int plan_device(struct vault *v, struct session *s, struct wire_plan *plan,
                         struct error *err);

/*
 * The device answered KEYGEN: judges its request (vault/keygen.h) and fills plan with DELIVER. Errors:
 * as keygen_certify.
 */
MUST_USE int plan_request(struct vault *v, struct session *s, const struct wire_csr *request,
                          struct wire_plan *plan, struct error *err);

/* The bytes of object number index of the plan: a view that lives as long as the session's claim.
 */
MUST_USE int plan_object(struct vault *v, struct session *s, size_t index, struct buf *out,
                         struct error *err);

#endif
