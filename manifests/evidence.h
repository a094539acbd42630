/*
 * evidence: one line of canonical JSON that lets anyone verify again that a device proved its key.
 *
 * The record names the line by its SHA-256 (member ev). Members, all required, byte strings in
 * base64:
 *   att    "" when the device was not authenticated, else u16 algorithm ‖ lp(public key, a point)
 *          ‖ lp(signature, r ‖ s), and with auth `attested` ‖ lp(the vendor's chain of certificates)
 *   nonce  32 bytes, drawn for this one proof
 *   proof  u16 algorithm ‖ u8 life cycle ‖ u32 commit count ‖ signature (of ECDSA r ‖ s)
 *   sig    u16 algorithm ‖ signature (r ‖ s) of the station over "imprint station v1\0" ‖ X
 *   tx     the transaction, 32 hexadecimal digits
 *   x      the transcript X (docs/device-link.md)
 *
 * The proof is a signature by the record's key over "imprint prove v1\0" ‖ u16 algorithm ‖
 * lp(nonce) ‖ lp(SHA-256(X)) ‖ lp(SHA-256(leaf certificate)) ‖ u8 life cycle ‖ u32 commit count.
 */
#ifndef MANIFESTS_EVIDENCE_H
#define MANIFESTS_EVIDENCE_H

#include "manifests/record.h"
#include "pki/ec.h"

#define EVIDENCE_X_MAX         4096
#define EVIDENCE_DERIVED_PROOF 32 /* bytes of an HMAC proof, in derived mode */

struct evidence {
    uint8_t tx[IMPRINT_TX_SIZE];
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct record_bytes x;
    uint16_t proof_algorithm; /* that of the record's key, or HMAC_SHA256 */
    uint16_t proof_len;       /* as the algorithm has it; 0: that of ECDSA_SHA256 or HMAC_SHA256 */
    uint8_t lifecycle;
    uint32_t commit_count;
    uint8_t proof[IMPRINT_SIG_MAX];
    uint8_t station_sig[EC_SIG_SIZE];
    bool attested; /* att is not empty */
    uint8_t att_key[EC_POINT_SIZE];
    uint8_t att_sig[EC_SIG_SIZE];
    bool made; /* att ends with a signature over the key that the device made */
    uint8_t att_made[EC_SIG_SIZE];
    struct record_bytes att_chain; /* DER certificates, the device's own first; empty: none */

    struct buf held, held_chain; /* what a parsed line's x and att_chain point into */
};

/* Appends the line without line end. Errors: ERR_INPUT. */
MUST_USE int evidence_write(const struct evidence *e, struct buf *line, struct error *err);

/*
 * Reads exactly what evidence_write writes; free with evidence_done. Errors: ERR_FORMAT, for an
 * unknown algorithm as well.
 */
MUST_USE int evidence_parse(const void *line, size_t len, struct evidence *e, struct error *err);
void evidence_done(struct evidence *e);

/* The transcript X, as views into it. SECURITY: every field is lp(), after the u16 suite. */
struct transcript {
    uint16_t suite;
    struct record_bytes environment, order, tx, station_nonce, serial, chip, dev_pub, station_pub,
        hello, bundle;
};

/* Errors: ERR_FORMAT when a field is cut, has the wrong size, or bytes are left over. */
MUST_USE int transcript_parse(const uint8_t *x, size_t len, struct transcript *t);

/* Appends the bytes that the device signs. cert: the leaf certificate, len 0 in derived mode. */
void evidence_proof_message(const struct evidence *e, const void *cert, size_t cert_len,
                            struct buf *out);

/*
 * Verifies the evidence of an add or replace record: the transcript names the record's
 * transaction, order, serial and chip and the manifest's environment; the life cycle and the
 * presence of an attestation are what the record says; the proof verifies under the record's key.
 * A derived key's proof can be verified only by who holds the key: then *verified is false, as it
 * is when verifier is NULL, which leaves the device's signature out. Errors: ERR_PROOF, ERR_FORMAT.
 */
MUST_USE int evidence_verify(const struct evidence *e, const struct record *r,
                             const char *environment, struct ec_verifier *verifier, bool *verified,
                             struct error *err);

#endif
