/*
 * csr_der: the DER of certificate requests (X.690 section 10.1), in one form only: definite and
 * shortest lengths of at most two bytes. Private to vault/csr.c and vault/csr_key.c.
 *
 * Every refusal begins with "the device's certificate request" and says what of it is wrong. Errors:
 * ERR_PROTOCOL.
 */
#ifndef STATION_VAULT_CSR_DER_H
#define STATION_VAULT_CSR_DER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHOSE          "the device's certificate request"
#define DER_BOOLEAN    0x01
#define DER_INTEGER    0x02
#define DER_BIT_STRING 0x03
#define DER_OCTETS     0x04
#define DER_OID        0x06
#define DER_SEQUENCE   0x30
#define DER_SET        0x31
#define DER_ATTRIBUTES 0xa0

/* A part of the request that is being read: a view. */
struct der {
    const uint8_t *p;
    size_t left;
};

/* Steps into the element that comes next: what remains of d is what follows it. */
MUST_USE int der_enter(struct der *d, uint8_t tag, const char *what, struct der *inner,
                       struct error *err);

/* The same of a BIT STRING of whole bytes, of which there is one at least. */
MUST_USE int der_enter_bits(struct der *d, const char *what, struct der *inner, struct error *err);

/* Nothing is left behind `what`. */
MUST_USE int der_end(const struct der *d, const char *what, struct error *err);

bool der_is(const struct der *d, const void *bytes, size_t len);

#endif
