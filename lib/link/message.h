/*
 * message: the requests and replies of the device link, as CBOR maps.
 *
 * Invariants
 *  1. Replies come from a device and may be hostile. A reply is taken only when it is
 *     deterministic CBOR (it is encoded again and compared), has the members that
 *     docs/device-link.md gives it and no others, and nothing after it. Every size is bounded.
 *  2. Decoders set their output on success only. Errors: ERR_PROTOCOL for a reply that is not one,
 *     ERR_REFUSED for a status other than OK, which is then in err->native.
 *  3. Encoders append to a buffer; a failure stays there (buf_failed).
 */
#ifndef LINK_MESSAGE_H
#define LINK_MESSAGE_H

#include "link/transcript.h"

/* What HELLO answers. */
struct link_hello {
    struct link_facts facts;
    enum imprint_tx_state state;
    uint8_t transaction[IMPRINT_TX_SIZE]; /* of the open or committed one; zero for none */
    char serial[IMPRINT_SERIAL_MAX + 1];  /* of the committed identity; empty for none */
    uint32_t commit_count;
    bool attested;
    struct link_key attest_key; /* where attested: the enrolled key, and its signature */
    struct link_key attest_sig;
    uint32_t chain_len; /* of the vendor's chain, which READ gives; 0: there is none */
};

/* What BEGIN says. */
struct link_begin {
    uint16_t suite;
    const char *environment;
    uint8_t order_hash[IMPRINT_HASH_SIZE];
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint8_t station_nonce[IMPRINT_NONCE_SIZE];
    const char *serial;
    struct link_key station_pub;
    const struct link_object *objects;
    size_t object_count;
    struct link_key sig; /* of station-auth over X */
    const uint8_t *cert; /* compact station certificate */
    size_t cert_len;
};

/* What KEYGEN says. */
struct link_keygen {
    const char *environment;
    uint8_t order_hash[IMPRINT_HASH_SIZE];
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint8_t station_nonce[IMPRINT_NONCE_SIZE];
    const char *serial;
    uint16_t key_alg;       /* of the key to be made */
    const uint8_t *subject; /* DER Name of the request */
    size_t subject_len;
    struct link_key sig; /* of station-auth over X with an empty bundle */
    const uint8_t *cert; /* compact station certificate */
    size_t cert_len;
};

/* What KEYGEN answers: the request is a view into the reply. */
struct link_request {
    const uint8_t *csr;
    size_t csr_len;
    bool attested;
    struct link_key attest_sig; /* where attested: the enrolment key's, over the new key */
};

/* What BEGIN answers: bytes that the device holds of each object, in the order of BEGIN. */
struct link_held {
    uint32_t bytes[IMPRINT_OBJECTS_MAX];
    size_t count;
};

/* What DECOMMISSION says: which identity of which chip is to be forgotten, and the owner's word. */
struct link_farewell {
    uint8_t chip_id[IMPRINT_CHIP_ID_MAX];
    size_t chip_id_len;
    uint8_t identity[IMPRINT_HASH_SIZE];
    struct link_key sig; /* over link_decommission_message */
};

/* What PROVE answers. */
struct link_proof {
    struct link_key sig;
    enum imprint_lifecycle lifecycle;
    uint32_t commit_count;
};

/* What READ answers: a view into the reply. */
struct link_part {
    uint32_t total;
    const uint8_t *bytes;
    size_t len;
};

/* "HELLO"; "message 0x2a" is not needed: unknown ones are "an unknown message". */
const char *link_message_name(uint8_t message);

/* What a status means, in words that follow "the device says that". Never NULL. */
const char *link_status_text(long status);

void link_hello_encode(struct buf *out, const uint8_t nonce[IMPRINT_NONCE_SIZE]);
void link_keygen_encode(struct buf *out, const struct link_keygen *keygen);
void link_begin_encode(struct buf *out, const struct link_begin *begin);
void link_put_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE], uint16_t type,
                     uint32_t offset, const uint8_t *bytes, size_t len);
void link_commit_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE]);
void link_prove_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE],
                       const uint8_t nonce[IMPRINT_NONCE_SIZE]);
/* what: 0 for the certificate object, or IMPRINT_READ_CHAIN. */
void link_read_encode(struct buf *out, uint32_t offset, uint32_t what);
void link_lock_encode(struct buf *out, const uint8_t transaction[IMPRINT_TX_SIZE]);
void link_abort_encode(struct buf *out);
void link_decommission_encode(struct buf *out, const struct link_farewell *farewell);

MUST_USE int link_hello_decode(const uint8_t *reply, size_t len, struct link_hello *hello,
                               struct error *err);
MUST_USE int link_keygen_decode(const uint8_t *reply, size_t len, struct link_request *request,
                                struct error *err);
MUST_USE int link_begin_decode(const uint8_t *reply, size_t len, struct link_held *held,
                               struct error *err);
MUST_USE int link_put_decode(const uint8_t *reply, size_t len, uint32_t *held, struct error *err);
MUST_USE int link_commit_decode(const uint8_t *reply, size_t len, uint32_t *commit_count,
                                struct error *err);
MUST_USE int link_prove_decode(const uint8_t *reply, size_t len, struct link_proof *proof,
                               struct error *err);
MUST_USE int link_read_decode(const uint8_t *reply, size_t len, struct link_part *part,
                              struct error *err);
/* LOCK, ABORT and DECOMMISSION answer with a status alone. */
MUST_USE int link_empty_decode(const uint8_t *reply, size_t len, struct error *err);

#endif
