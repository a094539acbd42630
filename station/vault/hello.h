/*
 * hello: what an order asks of a device before anything is claimed for it.
 */
#ifndef STATION_VAULT_HELLO_H
#define STATION_VAULT_HELLO_H

#include "link/transcript.h"
#include "station/vault/session.h"

/*
 * Checks key mode, suites, transport key, and the signature over this session's nonce: with
 * `enrolled` by a key of the order's list, with `attested` by the key that a silicon vendor's chain
 * certifies (vault/attest.h). Errors: ERR_REFUSED, ERR_PROTOCOL, ERR_SIGNATURE; ERR_INTERNAL of the
 * checker.
 */
MUST_USE int hello_check(const struct vault *v, const struct session *s, struct error *err);

/* The suite to use: the highest that device, order and token have; 0 when there is none. */
uint16_t hello_suite(const struct vault *v, const struct wire_hello *h);

/* The facts as the link encodes and hashes them. The result points into h. */
void hello_facts(const struct wire_hello *h, struct link_facts *facts);

/* What the device's own key said of this HELLO: u16 algorithm ‖ lp(key) ‖ lp(signature); empty without. */
void hello_statement(const struct wire_hello *h, struct buf *out);

/* Whether a statement that was stored, over this nonce, is of the key and the facts that the device has
 * now. */
bool hello_fits(const struct wire_hello *h, const struct buf *statement,
                const uint8_t nonce[IMPRINT_NONCE_SIZE]);

/* The attestation as records keep it: u16 algorithm ‖ lp(key) ‖ lp(signature), and with `attested`
 * ‖ lp(chain); empty without one. */
void hello_attestation(const struct session *s, enum order_auth auth, struct buf *out);

#endif
