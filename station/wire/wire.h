/*
 * wire: the messages between the vault and the line, one structure and one codec each.
 *
 * Invariants
 *  1. What the vault receives is fixed-length fields or texts and lists with a small bound; it
 *     decodes nothing else. A decoder sets its output only when every byte was read and is in
 *     range.
 *  2. A session is addressed by a random 128-bit handle that the vault draws and that is good on
 *     one channel only. The vault builds every byte that is signed or derived by itself: no
 *     message carries a hash to be signed.
 *
 *   line                                            vault
 *   OPEN (slot)                                  -> handle, station nonce for HELLO, chain wanted?
 *                                                   and the slot's condition: where nothing begins in
 *                                                   it, only OPEN may come next
 *   CHAIN (a vendor's certificates)              -> nothing; kept for HELLO, opaque to the vault
 *   HELLO (what the device said)                 -> DELIVER with all of BEGIN, or KEYGEN, PROVE, ABORT
 *   CSR (the device's certificate request)       -> DELIVER with all of BEGIN
 *   OBJECT (index)                               -> the bytes of one object
 *   NONCE                                        -> a nonce for PROVE, journalled
 *   PROOF (signature, what was read back)        -> PASS, or LOCK (lock, then prove again)
 *   RESULT (code, text, does it go on?)          -> what the plant said, the slot's condition; the
 *                                                   attempt is recorded
 *   COUNTS, at any time                          -> how far the order is
 *   SCANS, at any time                           -> the next thing that scanners said, if any
 *   ACK (slot), at any time                      -> whether the slot was failing, and goes on now
 *
 * A reply begins with u8: 0, or the exit status of an error (base/error.h). Then follow u8, what a person
 * does next (enum error_next), and the text as lp.
 */
#ifndef STATION_WIRE_WIRE_H
#define STATION_WIRE_WIRE_H

#include "agent/ids.h"
#include "base/buf.h"

#define WIRE_HANDLE_SIZE   16
#define WIRE_SLOT_MAX      32
#define WIRE_TEXT_MAX      400
#define WIRE_NAME_MAX      64
#define WIRE_OBJECT_MAX    8000
#define WIRE_FAREWELL_SIZE (IMPRINT_HASH_SIZE + IMPRINT_P256_SIG_SIZE)
#define WIRE_CHAIN_MAX     IMPRINT_CHAIN_MAX

enum wire_op {
    WIRE_OPEN = 1,
    WIRE_HELLO = 2,
    WIRE_OBJECT = 3,
    WIRE_NONCE = 4,
    WIRE_PROOF = 5,
    WIRE_RESULT = 6,
    WIRE_CHAIN = 7,
    WIRE_CSR = 8,
    WIRE_COUNTS = 32,
    WIRE_SCANS = 33,
    WIRE_ACK = 34
};

struct wire_open {
    char slot[WIRE_SLOT_MAX + 1];
};

/* What the vault makes of a slot by what happened in it before (vault/slots.h). */
enum wire_slot_state {
    WIRE_SLOT_GOOD = 0,
    WIRE_SLOT_WORN,     /* it goes on; people are to know */
    WIRE_SLOT_FAILING,  /* nothing begins until somebody acknowledges */
    WIRE_SLOT_WORN_OUT, /* nothing begins until its contacts are renewed */
    WIRE_SLOT_STATES
};

struct wire_condition {
    uint8_t state;
    char text[WIRE_TEXT_MAX + 1]; /* why, and what to do; empty where it is good */
};

struct wire_opened {
    uint8_t handle[WIRE_HANDLE_SIZE];
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    uint8_t wants_chain; /* the order asks for attested devices: CHAIN comes before HELLO */
    struct wire_condition condition;
};

/* What the device said of itself. */
struct wire_hello {
    uint8_t handle[WIRE_HANDLE_SIZE];
    uint8_t suite_count;
    uint16_t suites[IMPRINT_SUITES_MAX];
    uint16_t modes;
    uint8_t chip_len;
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    char firmware[IMPRINT_FIRMWARE_MAX + 1];
    uint8_t has_image_hash;
    uint8_t image_hash[IMPRINT_HASH_SIZE];
    uint8_t debug;
    uint8_t lifecycle;
    uint8_t pinned;
    uint32_t max_frame;
    uint8_t has_dev_pub;
    uint8_t dev_pub[IMPRINT_P256_POINT_SIZE];
    uint8_t tx_state;
    uint8_t tx[IMPRINT_TX_SIZE];
    char serial[IMPRINT_SERIAL_MAX + 1]; /* of the committed identity, or empty */
    uint8_t has_attestation;
    uint8_t attest_key[IMPRINT_P256_POINT_SIZE];
    uint8_t attest_sig[IMPRINT_P256_SIG_SIZE];
};

enum wire_action {
    WIRE_DELIVER = 1,  /* BEGIN, PUT each object, COMMIT, then NONCE */
    WIRE_PROVE = 2,    /* committed before: NONCE at once */
    WIRE_ABORT = 3,    /* what the device holds is void: ABORT it, then OPEN and HELLO again */
    WIRE_KEYGEN = 4,   /* the device makes its key: KEYGEN, then CSR */
    WIRE_FAREWELL = 5, /* DECOMMISSION: object 0 is identity ‖ the owner's signature, r ‖ s */
    WIRE_SCAN = 6      /* its code has to be scanned first: OPEN and HELLO again when it was */
};

struct wire_object_info {
    uint16_t type;
    uint16_t format;
    uint32_t length;
    uint8_t hash[IMPRINT_HASH_SIZE];
};

/* With WIRE_ABORT and WIRE_SCAN only action is meaningful; with WIRE_PROVE also serial, again, tx and objects: a
 * bundle without certificates is proven by a MAC, and nothing is read back. subject and
 * key_alg are KEYGEN's; object_count is then 0. station_pub is zero where no key travels. */
struct wire_plan {
    uint8_t action;
    uint8_t again; /* this device was proven before */
    char serial[IMPRINT_SERIAL_MAX + 1];
    uint8_t tx[IMPRINT_TX_SIZE];
    uint16_t suite;
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    uint8_t order_hash[IMPRINT_HASH_SIZE];
    uint8_t station_nonce[IMPRINT_NONCE_SIZE];
    uint8_t station_pub[IMPRINT_P256_POINT_SIZE];
    uint8_t station_sig[IMPRINT_P256_SIG_SIZE];
    uint16_t station_cert_len;
    uint8_t station_cert[IMPRINT_STATION_CERT_MAX];
    uint8_t object_count;
    struct wire_object_info objects[IMPRINT_OBJECTS_MAX];
    uint16_t key_alg;
    uint16_t subject_len;
    uint8_t subject[IMPRINT_SUBJECT_MAX];
};

/* The request is opaque to the line; only the vault's one reader looks into it (vault/csr.h). */
struct wire_csr {
    uint8_t handle[WIRE_HANDLE_SIZE];
    uint8_t has_attestation; /* of the key that was made, by the device's enrolment key */
    uint8_t attest_sig[IMPRINT_P256_SIG_SIZE];
    uint16_t csr_len; /* from 1 */
    uint8_t csr[IMPRINT_CSR_MAX];
};

struct wire_proof {
    uint8_t handle[WIRE_HANDLE_SIZE];
    uint16_t sig_len; /* from 1; as long as the key's algorithm has it, or a MAC of 32 bytes */
    uint8_t sig[IMPRINT_SIG_MAX];
    uint8_t lifecycle;
    uint32_t commit_count;
    uint8_t read_back[IMPRINT_HASH_SIZE]; /* SHA-256 of the certificate object as READ gave it, or
                                           * zeros where there is none */
};

enum wire_verdict {
    WIRE_PASS = 1,
    WIRE_LOCK_FIRST = 2, /* good, but the order wants it locked: LOCK, NONCE, PROVE again */
    WIRE_LOCK_LATER = 3, /* the same, but not in this run: the device is done for now */
    WIRE_LABEL_FIRST = 4 /* good, but its label is to be scanned: then NONCE, PROVE again */
};

enum wire_scan_kind {
    WIRE_SCAN_NONE = 0,
    WIRE_SCAN_SLOT,     /* a slot was chosen: its unit comes next */
    WIRE_SCAN_ARMED,    /* the slot waits for the unit of this serial */
    WIRE_SCAN_EXPIRED,  /* it does no longer */
    WIRE_SCAN_LABEL,    /* the label is that of the device in the slot */
    WIRE_SCAN_MISMATCH, /* it is not */
    WIRE_SCAN_REFUSED,  /* a code was of no use */
    WIRE_SCAN_NOTICE,   /* about a scanner */
    WIRE_SCAN_ACK,      /* a slot was acknowledged */
    WIRE_SCAN_KINDS
};

/* What a scanner said, for the screen: it decides nothing. */
struct wire_scan {
    uint8_t live; /* this run has scanners */
    uint8_t kind;
    char slot[WIRE_SLOT_MAX + 1];        /* empty: about none */
    char serial[IMPRINT_SERIAL_MAX + 1]; /* likewise */
    char text[WIRE_TEXT_MAX + 1];
};

struct wire_result {
    uint8_t handle[WIRE_HANDLE_SIZE];
    uint8_t status;  /* 0 or an exit status */
    uint8_t next;    /* enum error_next */
    uint8_t goes_on; /* another attempt with the device follows at once */
    char text[WIRE_TEXT_MAX + 1];
};

/* What the vault answers. */
struct wire_noted {
    char plant[WIRE_TEXT_MAX + 1];   /* what the plant's programs did not say yes to, or empty */
    struct wire_condition condition; /* of the slot, from now on */
};

/* How far the job's order is, for the screen. */
struct wire_counts {
    char order[WIRE_NAME_MAX + 1], product[WIRE_NAME_MAX + 1];
    uint32_t good;      /* this station's share */
    uint32_t proven;    /* live identities that were proven */
    uint32_t available; /* made, and given to nobody */
    uint32_t remaining; /* devices that may still be begun */
};

/* Requests: the first byte is the operation. */
void wire_put_open(struct buf *m, const struct wire_open *v);
void wire_put_hello(struct buf *m, const struct wire_hello *v);
void wire_put_chain(struct buf *m, const uint8_t handle[WIRE_HANDLE_SIZE], const void *chain,
                    size_t len);
void wire_put_csr(struct buf *m, const struct wire_csr *v);
void wire_put_object(struct buf *m, const uint8_t handle[WIRE_HANDLE_SIZE], uint8_t index);
void wire_put_nonce(struct buf *m, const uint8_t handle[WIRE_HANDLE_SIZE]);
void wire_put_proof(struct buf *m, const struct wire_proof *v);
void wire_put_result(struct buf *m, const struct wire_result *v);
void wire_put_ask_counts(struct buf *m);
void wire_put_ask_scans(struct buf *m);
void wire_put_ack(struct buf *m, const char *slot);

/* Each reads what follows the operation and returns ERR_FORMAT on any deviation. */
MUST_USE int wire_get_open(struct reader *r, struct wire_open *v);
MUST_USE int wire_get_hello(struct reader *r, struct wire_hello *v);
/* The chain, of 1 to WIRE_CHAIN_MAX bytes, is a view. */
MUST_USE int wire_get_chain(struct reader *r, uint8_t handle[WIRE_HANDLE_SIZE],
                            const uint8_t **chain, size_t *len);
MUST_USE int wire_get_csr(struct reader *r, struct wire_csr *v);
MUST_USE int wire_get_object(struct reader *r, uint8_t handle[WIRE_HANDLE_SIZE], uint8_t *index);
MUST_USE int wire_get_nonce(struct reader *r, uint8_t handle[WIRE_HANDLE_SIZE]);
MUST_USE int wire_get_proof(struct reader *r, struct wire_proof *v);
MUST_USE int wire_get_result(struct reader *r, struct wire_result *v);
MUST_USE int wire_get_ack(struct reader *r, char slot[WIRE_SLOT_MAX + 1]);

/* Replies. wire_put_error is for failures, of which err has the text; the others begin with the 0 byte. */
void wire_put_error(struct buf *m, int code, const struct error *err);
void wire_put_ok(struct buf *m);
void wire_put_opened(struct buf *m, const struct wire_opened *v);
void wire_put_noted(struct buf *m, const struct wire_noted *v);
void wire_put_plan(struct buf *m, const struct wire_plan *v);
void wire_put_counts(struct buf *m, const struct wire_counts *v);
void wire_put_scan(struct buf *m, const struct wire_scan *v);

/*
 * The status of a reply: 0, or the vault's error in err. What follows is read with the functions
 * below or with reader_bytes.
 */
MUST_USE int wire_get_status(struct reader *r, struct error *err);
MUST_USE int wire_get_opened(struct reader *r, struct wire_opened *v);
MUST_USE int wire_get_noted(struct reader *r, struct wire_noted *v);
MUST_USE int wire_get_plan(struct reader *r, struct wire_plan *v);
MUST_USE int wire_get_counts(struct reader *r, struct wire_counts *v);
MUST_USE int wire_get_scan(struct reader *r, struct wire_scan *v);

#endif
