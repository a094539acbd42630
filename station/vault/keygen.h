/*
 * keygen: key mode `device`: the device makes its key, and the vault signs the certificate that it
 * asks for.
 *
 *   HELLO    keygen_make: a transaction and a serial, promised to the device's transport key (P2),
 *            stored and anchored before KEYGEN leaves; nothing is issued
 *   CSR      keygen_certify: the request is judged (vault/csr.h), then one transaction of the store
 *            makes certificate, credential and claim; from there on all is as with a key of the HSM
 *
 * Invariants
 *  1. A certificate is signed for one key of one transaction: a second key burns the first
 *     certificate, and the device starts over.
 *  2. A request that is refused changes nothing but the log of attempts.
 *  3. A serial of a promise that was dropped is promised again; of one that was certified, never. Each
 *     time, and again when the certificate is signed, it is one that the order gives this station.
 *  4. At most KEYGEN_OPEN_MAX promises of an order are open, and KEYGEN_SLOT_MAX of them to devices that
 *     were in one slot: the oldest is dropped for the next one, and no device in one slot makes those
 *     in the others lose theirs. What a device works on now (keygen_hold) is not dropped to make
 *     room, and comes on top.
 */
#ifndef STATION_VAULT_KEYGEN_H
#define STATION_VAULT_KEYGEN_H

#include "station/vault/session.h"

#define KEYGEN_OPEN_MAX 512
#define KEYGEN_SLOT_MAX 8

/*
 * Promises a serial to the device in s->hello and signs KEYGEN for it: s->keygen. When old is not
 * NULL, it is an open claim of the same chip that is burned in the same transaction. Errors: as
 * claim_make.
 */
MUST_USE int keygen_make(struct vault *v, struct session *s, const struct claim *old,
                         struct error *err);

/* Whether the promise in s->keygen may still become a certificate: open, of this order, of a serial that the
 * version in force gives this station, and, where the order authenticates devices, with what the device
 * said of itself then still true: the evidence is over the nonce of then. */
bool keygen_is_in_force(const struct vault *v, const struct session *s);

/*
 * From when KEYGEN leaves until the request came or nobody waits for it any more: finding primes takes a
 * microcontroller minutes, and others come meanwhile. keygen_release also of a session that holds nothing.
 */
void keygen_hold(struct vault *v, const struct session *s);
void keygen_release(struct vault *v, const struct session *s);

/* Drops the promise in s->keygen: nothing was issued for it. */
MUST_USE int keygen_drop(struct vault *v, struct session *s, struct error *err);

/*
 * Judges the request that answers s->keygen; the first one gets its certificate, and a repeat for the
 * same key the same one. Fills s->claim and s->credential. Errors: those of csr_read and of
 * certifier_issue; ERR_REFUSED for a subject or extension that is not the job's, or without the
 * attestation that the order wants; ERR_DUPLICATE for a key that is known, when the transaction came to
 * its end meanwhile, or when another device showed its chip id; and for a second key: the first
 * certificate is then burned; ERR_PROTOCOL when the promise was given up for another reason: the device
 * is asked again.
 */
MUST_USE int keygen_certify(struct vault *v, struct session *s, const struct wire_csr *request,
                            struct error *err);

#endif
