/*
 * transcript: the byte strings that station and device hash and sign, built by the station.
 *
 * docs/device-link.md defines them. The vault builds every one of them itself from fields of fixed
 * sizes, so this module needs no CBOR reader. agent/transcript.h is the device's own version.
 *
 * Invariants
 *  1. Each function appends exactly the bytes of the definition to a buffer, or fails and
 *     leaves the buffer's contents unspecified. The label with its NUL is part of them.
 *  2. A key inside is u16 algorithm ‖ bytes; no key or signature has a length of its own here.
 *  3. What the link cannot carry (a name too long, objects out of order) is refused: ERR_FORMAT.
 */
#ifndef LINK_TRANSCRIPT_H
#define LINK_TRANSCRIPT_H

#include "agent/ids.h"
#include "base/buf.h"
#include "pki/digest.h"
#include "pki/key.h"

#define LINK_KEY_MAX   448  /* bytes of a public key or signature: of RSA with 3072 bits 422 */
#define LINK_POINT_MAX 128  /* of a transport key, or a station's key or signature */
#define LINK_FACTS_MAX 512  /* bytes of encoded facts */
#define LINK_X_MAX     1024 /* bytes of X and of any signed message here */

/* A public key or a signature: (algorithm, bytes). */
struct link_key {
    uint16_t alg; /* enum imprint_algorithm */
    uint16_t len;
    uint8_t bytes[LINK_KEY_MAX];
};

/* What a device says of itself in HELLO: all that the transcript hashes. Texts are printable ASCII.
 */
struct link_facts {
    uint16_t suites[IMPRINT_SUITES_MAX]; /* in the order in which the device offers them */
    size_t suite_count;                  /* 1 to IMPRINT_SUITES_MAX */
    uint32_t modes;                      /* bits of enum imprint_mode */
    uint8_t chip_id[IMPRINT_CHIP_ID_MAX];
    size_t chip_id_len; /* 1 to IMPRINT_CHIP_ID_MAX */
    char firmware[IMPRINT_FIRMWARE_MAX + 1];
    bool has_image_hash;
    uint8_t image_hash[IMPRINT_HASH_SIZE];
    bool debug;
    uint32_t lifecycle;      /* enum imprint_lifecycle */
    bool pinned;             /* the firmware pins a station authority */
    uint32_t frame_max;      /* IMPRINT_FRAME_MIN to IMPRINT_FRAME_MAX */
    struct link_key dev_pub; /* IMPRINT_ALG_NONE and no bytes once locked */
};

/* One object of a bundle as it is announced and hashed. */
struct link_object {
    uint16_t type;   /* enum imprint_object */
    uint16_t format; /* enum imprint_format */
    uint32_t length; /* bytes on the wire: of a private key, wrapped, or 0 if the device made it */
    uint8_t hash[IMPRINT_HASH_SIZE]; /* SHA-256 of the bytes; of a private key, of its public one */
};

/* The fields of X (SECURITY.md section 2), in its order. */
struct link_transcript {
    uint16_t suite;
    const char *environment;
    uint8_t order_hash[IMPRINT_HASH_SIZE];
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint8_t station_nonce[IMPRINT_NONCE_SIZE];
    const char *serial;
    const uint8_t *chip_id;
    size_t chip_id_len;
    struct link_key dev_pub;
    struct link_key station_pub; /* IMPRINT_ALG_NONE and no bytes where no key travels */
    uint8_t facts_hash[IMPRINT_HASH_SIZE];
    bool keygen; /* X of KEYGEN: there is no bundle yet, and B is empty */
    uint8_t bundle_hash[IMPRINT_HASH_SIZE];
};

/* What a device signs in PROVE; in derived mode (alg IMPRINT_ALG_HMAC_SHA256) there is no leaf. */
struct link_prove {
    uint16_t alg; /* of the proof */
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    uint8_t x_hash[IMPRINT_HASH_SIZE];    /* SHA-256 of X */
    uint8_t leaf_hash[IMPRINT_HASH_SIZE]; /* SHA-256 of the leaf certificate */
    uint8_t lifecycle;
    uint32_t commit_count;
};

/* A compact station certificate, taken apart. */
struct link_station_cert {
    struct link_key key;
    char station[IMPRINT_STATION_MAX + 1];
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    uint32_t generation;
    struct link_key sig;
};

/* A P-256 point or an ECDSA signature in the form above. */
struct link_key link_key_p256(const uint8_t point[EC_POINT_SIZE]);
struct link_key link_sig_p256(const uint8_t sig[EC_SIG_SIZE]);

/* Any key in the form above; its algorithm; and that of the proofs that it makes. */
struct link_key link_key_of(const struct public_key *key);
uint16_t link_key_algorithm(enum key_type type);
uint16_t link_proof_algorithm(enum key_type type);

/* Text of 1 to max printable ASCII characters. */
bool link_text_valid(const char *text, size_t max);

/* The exact bytes that the device hashes. Errors: ERR_FORMAT. */
MUST_USE int link_facts_encode(const struct link_facts *facts, struct buf *out, struct error *err);

/* SHA-256 of the encoded facts. Errors: ERR_FORMAT. */
MUST_USE int link_facts_hash(const struct link_facts *facts, uint8_t hash[IMPRINT_HASH_SIZE],
                             struct error *err);

/* Bundle hash B. Errors: ERR_FORMAT when types do not ascend or there are too many. */
MUST_USE int link_bundle_hash(const struct link_object *objects, size_t count,
                              uint8_t hash[IMPRINT_HASH_SIZE], struct error *err);

/* X. Errors: ERR_FORMAT. */
MUST_USE int link_transcript_encode(const struct link_transcript *t, struct buf *x,
                                    struct error *err);

/* The order's hash and the bundle hash that an encoded X names. Errors: ERR_FORMAT. */
MUST_USE int link_transcript_hashes(const struct buf *x, uint8_t order_hash[IMPRINT_HASH_SIZE],
                                    uint8_t bundle_hash[IMPRINT_HASH_SIZE], struct error *err);

/* The order's hash alone, also of an X without a bundle. Errors: ERR_FORMAT. */
MUST_USE int link_transcript_order(const struct buf *x, uint8_t order_hash[IMPRINT_HASH_SIZE],
                                   struct error *err);

/* The context of the key derivation: SHA-256("imprint kek v1\0" ‖ X). */
void link_kek_context(const struct buf *x, uint8_t context[IMPRINT_HASH_SIZE]);

/* The message that station-auth signs: "imprint station v1\0" ‖ X. Errors: ERR_INTERNAL. */
MUST_USE int link_station_message(const struct buf *x, struct buf *out, struct error *err);

/* The message that station-auth signs for KEYGEN: "imprint keygen v1\0" ‖ X. Errors: ERR_INTERNAL. */
MUST_USE int link_keygen_message(const struct buf *x, struct buf *out, struct error *err);

/* The message that a device key signs. Errors: ERR_INTERNAL. */
MUST_USE int link_prove_message(const struct link_prove *p, struct buf *out, struct error *err);

/* The message that a device's enrolled key signs in HELLO. Errors: ERR_FORMAT. */
MUST_USE int link_attest_message(const struct link_facts *facts,
                                 const uint8_t nonce[IMPRINT_NONCE_SIZE], struct buf *out,
                                 struct error *err);

/* The message that the owner of a device signs so that it forgets this identity: the SHA-256 of its
 * leaf certificate, or the check value of its symmetric key. Errors: ERR_FORMAT. */
MUST_USE int link_decommission_message(const uint8_t *chip_id, size_t chip_id_len,
                                       const uint8_t identity[IMPRINT_HASH_SIZE], struct buf *out,
                                       struct error *err);

/*
 * A signed object as bundles have it, from its contents and the signature over
 * "imprint configuration v1\0" ‖ contents. Errors: ERR_INTERNAL.
 */
MUST_USE int link_signed_object(const uint8_t *contents, size_t len, const uint8_t sig[EC_SIG_SIZE],
                                struct buf *out, struct error *err);

/* The message that the configuration key signs. Errors: ERR_INTERNAL. */
MUST_USE int link_configuration_message(const uint8_t *contents, size_t len, struct buf *out,
                                        struct error *err);

/* The message that it signs in KEYGEN, over the key that the device made. Errors: ERR_FORMAT. */
MUST_USE int link_attest_key_message(const struct link_facts *facts,
                                     const uint8_t nonce[IMPRINT_NONCE_SIZE],
                                     const struct public_key *key, struct buf *out,
                                     struct error *err);

/* The message that the authority signs for a station. sig is not read. Errors: ERR_FORMAT. */
MUST_USE int link_station_cert_message(const struct link_station_cert *cert, struct buf *out,
                                       struct error *err);

/* The certificate as BEGIN carries it, sig included. Errors: ERR_FORMAT. */
MUST_USE int link_station_cert_encode(const struct link_station_cert *cert, struct buf *out,
                                      struct error *err);

/* Takes a certificate apart; does not verify it. Errors: ERR_FORMAT. */
MUST_USE int link_station_cert_parse(const uint8_t *bytes, size_t len,
                                     struct link_station_cert *cert, struct error *err);

/* Verifies the authority's signature. Errors: ERR_SIGNATURE, ERR_CRYPTO, ERR_FORMAT. */
MUST_USE int link_station_cert_verify(const struct link_station_cert *cert,
                                      const struct link_key *authority, struct error *err);

#endif
