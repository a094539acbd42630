/*
 * bundle: what the judge delivers to a device: keys and certificates for one identity, and BEGIN and
 * KEYGEN over them as docs/device-link.md sections 5 and 6 have them.
 *
 * A case that wants something wrong changes the public members and calls bundle_sign again, so that
 * one thing is wrong and nothing else. Everything here is thrown away after the run: no key is secret.
 *
 * Errors of every function: ERR_CRYPTO, ERR_INTERNAL; bundle_request ERR_PROTOCOL as well.
 */
#ifndef STATION_CONFORM_BUNDLE_H
#define STATION_CONFORM_BUNDLE_H

#include "link/message.h"
#include "station/conform/pass.h"

/* Who provisions: the pass, and keys of the CA and of the devices' owner. */
struct provider {
    struct pass pass;
    EVP_PKEY *ca;
    EVP_PKEY *owner;   /* signs configurations and DECOMMISSION */
    bool decommission; /* bundles install the owner's key for it */
};

struct bundle {
    uint32_t mode; /* one of enum imprint_mode */
    char serial[IMPRINT_SERIAL_MAX + 1];
    EVP_PKEY *key;                /* of the identity; NULL in derived mode and before KEYGEN */
    uint8_t point[EC_POINT_SIZE]; /* its public half */
    uint8_t symmetric[IMPRINT_SYMMETRIC_SIZE];
    uint8_t leaf_hash[IMPRINT_HASH_SIZE];
    struct buf plain;                             /* PKCS#8 that is wrapped */
    struct buf bytes[IMPRINT_OBJECTS_MAX + 1];    /* by type: the objects as they are put */
    struct link_object rows[IMPRINT_OBJECTS_MAX]; /* what begin.objects points to */
    struct link_keygen keygen;
    struct link_begin begin;
    EVP_PKEY *ephemeral; /* of the station */
    struct link_key dev_pub;
    uint8_t x_hash[IMPRINT_HASH_SIZE];
    uint8_t context[IMPRINT_HASH_SIZE]; /* of the key derivation */
};

/* Keys and, but in device mode, certificates. NULL without memory. */
struct bundle *bundle_new(const struct provider *p, uint32_t mode, const char *serial,
                          struct error *err);
void bundle_free(struct bundle *b); /* NULL is fine */

/* Adds a configuration that the owner signed, and the key that verifies it. */
MUST_USE int bundle_configure(struct bundle *b, const struct provider *p, struct error *err);

/* KEYGEN for a device that said hello to this nonce. */
MUST_USE int bundle_keygen(struct bundle *b, const struct provider *p,
                           const struct link_hello *hello, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                           struct error *err);
/* Only its signature again. */
MUST_USE int bundle_keygen_sign(struct bundle *b, const struct provider *p,
                                const struct link_hello *hello, struct error *err);

/*
 * Judges a request for a certificate (RFC 2986; section 5, KEYGEN), and certifies its key: it must be
 * the same one at each repeat. Errors: ERR_PROTOCOL says what is wrong with it.
 */
MUST_USE int bundle_request(struct bundle *b, const struct provider *p,
                            const struct link_request *request, struct error *err);

/* BEGIN over all objects, which are wrapped for the device. suite: 0 in device mode. */
MUST_USE int bundle_offer(struct bundle *b, const struct provider *p,
                          const struct link_hello *hello, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                          uint16_t suite, struct error *err);
/* Only B, X and the signature again, after begin or rows changed. */
MUST_USE int bundle_sign(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                         struct error *err);
/* Signs, wraps plain and the symmetric key anew under the key of that X: after plain changed, whose
 * row has to have the length of what it wraps to. */
MUST_USE int bundle_seal(struct bundle *b, const struct provider *p, const struct link_hello *hello,
                         struct error *err);

/* plain becomes the 67 bytes of DER that SoftHSM2 writes, of this scalar or (NULL) the key's own. */
MUST_USE int bundle_plain(struct bundle *b, const uint8_t *scalar, struct error *err);

/* The row of a type; NULL where there is none. */
struct link_object *bundle_row(struct bundle *b, uint16_t type);

/* What DECOMMISSION names: the leaf's hash, or the check value of the symmetric key. */
void bundle_identity(const struct bundle *b, uint8_t identity[IMPRINT_HASH_SIZE]);

/* The proof is one, over PROVE's bytes with this nonce. Errors: ERR_PROTOCOL. */
MUST_USE int bundle_proof(const struct bundle *b, const struct link_proof *proof,
                          const uint8_t nonce[IMPRINT_NONCE_SIZE], struct error *err);

#endif
