/*
 * agent: the device side of the imprint device link, for firmware.
 *
 * The station sends requests over any byte channel (a UART, USB bulk, a socket); the agent answers
 * each with one reply, keeps what it is given in flash, and proves that it holds the key. What
 * crosses the link is specified in docs/device-link.md; the numbers are in agent/ids.h.
 *
 * A firmware author
 *  1. fills a struct imprint_agent_platform: flash, cryptography, a way to send, and who the
 *     device is;
 *   2. calls imprint_agent_init() once after each reset;
 *   3. hands every received byte to imprint_agent_input(), from one task;
 *   4. later uses imprint_agent_identity() and imprint_agent_object_read() for TLS.
 *
 * Invariants
 *  1. C99, freestanding: <stdint.h>, <stddef.h>, <stdbool.h> and <string.h> only; no heap, no
 *     floating point, no recursion. All memory is the one struct imprint_agent.
 *  2. The agent never sends unless it was asked. Noise, wrong checksums and echoes of its own
 *     replies are not answered.
 *  3. At every instant, through any power cut, flash holds no identity, the old one or the new one.
 *     Only a DECOMMISSION that the owner signed takes one away.
 *  4. One transport key pair lives from the first HELLO until COMMIT or ABORT, through
 *     restarts. Its private half leaves flash only to unwrap the device key.
 *  5. Every request may be repeated: the same one gives the same answer.
 *  6. The device signs only bytes that it built itself. With a key that it made, it signs the request
 *     for its certificate as well, once a station that it believes asked for it.
 *  7. Secrets are wiped from RAM before the reply is sent.
 *
 * Errors: nothing here fails loudly. What the platform reports as failed becomes a status of the
 * reply (IMPRINT_ERR_STORE, IMPRINT_ERR_CRYPTO) and the station decides.
 */
#ifndef IMPRINT_AGENT_AGENT_H
#define IMPRINT_AGENT_AGENT_H

#include "agent/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest frame taken and sent, header and checksum included; also the largest part of RAM. */
#ifndef IMPRINT_AGENT_FRAME_MAX
#define IMPRINT_AGENT_FRAME_MAX 1024
#endif

/* Bytes of each slot: 1,024 for records, the rest for the objects. */
#ifndef IMPRINT_AGENT_SLOT_SIZE
#define IMPRINT_AGENT_SLOT_SIZE 8192
#endif

/*
 * What this build can do beside taking keys from an HSM. Firmware leaves out what its orders never
 * ask for, and gets smaller: 1 or 0 each.
 */
#ifndef IMPRINT_AGENT_WITH_DEVICE_KEY
#define IMPRINT_AGENT_WITH_DEVICE_KEY 1 /* the device makes its key and a certificate request */
#endif

/*
 * Keys of other types than P-256 (agent/other.h). They are larger: set 1 with a frame of at least 2,048
 * bytes and slots of 16,384 for RSA, and fill in the platform's keys.
 */
#ifndef IMPRINT_AGENT_WITH_OTHER_KEYS
#define IMPRINT_AGENT_WITH_OTHER_KEYS 0
#endif
#define IMPRINT_AGENT_PRIVATE_MAX 2048 /* of one such key, PKCS#8 */
#define IMPRINT_AGENT_OTHER_AT    1024 /* where in the journal it lies while it waits */

/* Bytes of the journal that are used; a whole flash sector all the same, for it is erased. */
#if IMPRINT_AGENT_WITH_DEVICE_KEY && IMPRINT_AGENT_WITH_OTHER_KEYS
#define IMPRINT_AGENT_JOURNAL_SIZE (IMPRINT_AGENT_OTHER_AT + IMPRINT_AGENT_PRIVATE_MAX)
#elif IMPRINT_AGENT_WITH_DEVICE_KEY
#define IMPRINT_AGENT_JOURNAL_SIZE 1024
#else
#define IMPRINT_AGENT_JOURNAL_SIZE 64
#endif

/* Objects of one bundle. The layout in flash is the same whatever is left out below. */
#define IMPRINT_AGENT_OBJECTS IMPRINT_OBJECTS_MAX

/*
 * What firmware may leave out to save flash: define it as 0. A request that needs what is left out is
 * answered with IMPRINT_ERR_SUITE or IMPRINT_ERR_MESSAGE, and HELLO does not offer it.
 */
#ifndef IMPRINT_AGENT_WITH_SYMMETRIC /* symmetric keys, and derived mode with its HMAC proof */
#define IMPRINT_AGENT_WITH_SYMMETRIC 1
#endif
#ifndef IMPRINT_AGENT_WITH_CONFIGURATION /* signed configurations, and the key that signs them */
#define IMPRINT_AGENT_WITH_CONFIGURATION 1
#endif
#ifndef IMPRINT_AGENT_WITH_DECOMMISSION /* DECOMMISSION, and the key that signs it */
#define IMPRINT_AGENT_WITH_DECOMMISSION 1
#endif

#if IMPRINT_AGENT_FRAME_MAX < IMPRINT_FRAME_MIN || IMPRINT_AGENT_FRAME_MAX > IMPRINT_FRAME_MAX
#error "IMPRINT_AGENT_FRAME_MAX must lie between IMPRINT_FRAME_MIN and IMPRINT_FRAME_MAX"
#endif

/*
 * Flash. Three regions that are erased separately: the journal holds the transport key, and the
 * device key that KEYGEN made until COMMIT; the slots hold an identity each, of which at most one is
 * in force.
 */
enum imprint_agent_region {
    IMPRINT_AGENT_JOURNAL = 0,
    IMPRINT_AGENT_SLOT_A = 1,
    IMPRINT_AGENT_SLOT_B = 2
};

/*
 * NOR semantics: erased bytes read as 0xff and each byte is written at most once between two
 * erases. Every offset of a write is a multiple of 16. So is its length, except that of the last write
 * of an object: a flash with a coarser word pads that one with 0xff. A read is of any bytes. A write
 * that a power cut tears may leave any prefix of its bytes; an erase that is torn may leave any part of
 * the region erased. What was torn must still read, as whatever bytes: of a flash with error correction
 * the port gives zeros for a word that it cannot correct, for while a read fails the device answers
 * STORE. All return false on failure. Where the private key deserves it, put the regions in memory that only
 * this code can read, or encrypt in the port.
 */
struct imprint_agent_store {
    void *context;
    bool (*read)(void *context, enum imprint_agent_region region, uint32_t offset, void *out,
                 size_t len);
    bool (*write)(void *context, enum imprint_agent_region region, uint32_t offset,
                  const void *bytes, size_t len);
    bool (*erase)(void *context, enum imprint_agent_region region);
};

/*
 * Cryptography. Points are uncompressed (0x04 ‖ x ‖ y), signatures r ‖ s, all integers big-endian.
 * Functions return false on failure, also for a point off the curve and a signature that does not
 * verify. One digest runs at a time; what fails in init or update is reported by final.
 */
struct imprint_agent_crypto {
    void *context;
    bool (*random)(void *context, uint8_t *out, size_t len); /* fit for keys */
    void (*sha256_init)(void *context);
    void (*sha256_update)(void *context, const void *bytes, size_t len);
    bool (*sha256_final)(void *context, uint8_t digest[32]);
    /* d·G for 1 <= d < n, which the agent has checked. */
    bool (*p256_public)(void *context, const uint8_t scalar[32], uint8_t point[65]);
    /* The x coordinate of d·Q. Must refuse a Q that is not on the curve. */
    bool (*p256_ecdh)(void *context, const uint8_t scalar[32], const uint8_t point[65],
                      uint8_t x[32]);
    bool (*p256_sign)(void *context, const uint8_t scalar[32], const uint8_t digest[32],
                      uint8_t sig[64]);
    bool (*p256_verify)(void *context, const uint8_t point[65], const uint8_t digest[32],
                        const uint8_t sig[64]);
    /* One block of AES-256; out may be in. */
    bool (*aes256_encrypt)(void *context, const uint8_t key[32], const uint8_t in[16],
                           uint8_t out[16]);
    bool (*aes256_decrypt)(void *context, const uint8_t key[32], const uint8_t in[16],
                           uint8_t out[16]);
};

/*
 * Keys of other types than P-256, each a PKCS#8 of at most IMPRINT_AGENT_PRIVATE_MAX bytes. Functions
 * return false on failure.
 */
struct imprint_agent_keys {
    void *context;
    uint32_t modes; /* IMPRINT_MODE_P384, _ED25519, _RSA_2048, _RSA_3072: which there are */
    /* Makes a key of this enum imprint_algorithm. */
    bool (*make)(void *context, uint32_t algorithm, uint8_t *key, size_t cap, size_t *len);
    /* The algorithm of a key and its SubjectPublicKeyInfo, computed from its private half. Must refuse a
     * key that is not valid, or has bytes behind it. */
    bool (*inspect)(void *context, const uint8_t *key, size_t len, uint32_t *algorithm,
                    uint8_t *spki, size_t cap, size_t *spki_len);
    /* Signs a message as proofs are: ECDSA with SHA-384 as r ‖ s, Ed25519, RSA-PSS with SHA-256. */
    bool (*sign)(void *context, const uint8_t *key, size_t len, const void *message, size_t n,
                 uint8_t sig[IMPRINT_SIG_MAX], size_t *sig_len);
};

/* Everything that the agent needs of the device. It must outlive the agent and never change. */
struct imprint_agent_platform {
    struct imprint_agent_store store;
    struct imprint_agent_crypto crypto;
    const struct imprint_agent_keys *keys; /* or NULL: P-256 alone */

    /* Called several times for one reply, from within imprint_agent_input(); must take all bytes.
     */
    void (*send)(void *context, const uint8_t *bytes, size_t len);
    void *send_context;

    const uint8_t *chip_id; /* 1 to IMPRINT_CHIP_ID_MAX bytes, unique for every device */
    size_t chip_id_len;
    const char *firmware;      /* version, at most IMPRINT_FIRMWARE_MAX printable characters */
    const uint8_t *image_hash; /* SHA-256 of the running image, or NULL */
    bool debug;                /* a debug port or unsigned firmware is possible */

    /*
     * The authority that signs station certificates, 65 bytes, or NULL. Without it the device takes
     * trust anchors from whoever holds the cable; HELLO says so and the records show it.
     */
    const uint8_t *authority;

    /*
     * The key that was enrolled for this device, or that its silicon vendor certified, or NULL; sign
     * is as p256_sign, with that key. The vendor's chain: DER certificates, the device's own first,
     * one after the other, at most IMPRINT_CHAIN_MAX bytes; length 0 without one.
     */
    const uint8_t *enrol_point;
    bool (*enrol_sign)(void *context, const uint8_t digest[32], uint8_t sig[64]);
    void *enrol_context;
    const uint8_t *enrol_chain;
    uint32_t enrol_chain_len;
};

/* The contents of a slot's record. Bytes only: its layout in flash is the same for every compiler.
 */
struct imprint_agent_record {
    uint8_t magic[4];
    uint8_t suite[2];
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint8_t request[IMPRINT_HASH_SIZE];    /* SHA-256 of the BEGIN map */
    uint8_t transcript[IMPRINT_HASH_SIZE]; /* SHA-256 of X */
    uint8_t context[IMPRINT_HASH_SIZE];    /* of the key derivation */
    uint8_t bundle[IMPRINT_HASH_SIZE];     /* B */
    uint8_t station[IMPRINT_P256_POINT_SIZE];
    uint8_t transport[IMPRINT_P256_POINT_SIZE]; /* the device's own public transport key */
    uint8_t serial_len;
    uint8_t serial[IMPRINT_SERIAL_MAX];
    uint8_t count;
    struct imprint_agent_object {
        uint8_t type[2];
        uint8_t format[2];
        uint8_t length[4];
        uint8_t hash[IMPRINT_HASH_SIZE];
    } objects[IMPRINT_AGENT_OBJECTS];
    uint8_t other; /* 1: the private key is not P-256, and lies behind the objects */
    uint8_t pad;   /* to a multiple of 16 */
    uint8_t crc[4];
};

enum imprint_agent_slot_state {
    IMPRINT_AGENT_SLOT_EMPTY = 0,
    IMPRINT_AGENT_SLOT_STALE, /* opened before a restart or a failure: BEGIN starts it over */
    IMPRINT_AGENT_SLOT_OPEN,
    IMPRINT_AGENT_SLOT_COMMITTED
};

struct imprint_agent_slot {
    enum imprint_agent_slot_state state;
    struct imprint_agent_record record;
    uint32_t held[IMPRINT_AGENT_OBJECTS]; /* bytes of each object that are in flash */
    uint32_t commit_count;
    uint8_t leaf_hash[IMPRINT_HASH_SIZE];
    bool locked;
};

/* The device key that KEYGEN made: it waits in the journal for its certificate. */
struct imprint_agent_made {
    bool open;
    bool other; /* it is not P-256 */
    uint8_t at; /* its place in the journal; where none is open: the next place that is free */
    uint8_t transaction[IMPRINT_TX_SIZE];
    uint8_t request[IMPRINT_HASH_SIZE]; /* SHA-256 of the KEYGEN map */
};

/* The agent's memory. Declared here so that firmware can place it; its members are the agent's. */
struct imprint_agent {
    const struct imprint_agent_platform *platform;
    struct imprint_agent_slot slot[2];
    bool loaded;   /* the members around this one mirror flash */
    int committed; /* the slot with the identity in force, or -1 */
    int open;      /* the slot that is being filled, or -1 */
    bool has_key;
#if IMPRINT_AGENT_WITH_DEVICE_KEY
    struct imprint_agent_made made;
#endif
    uint8_t transport[IMPRINT_P256_POINT_SIZE];
    uint16_t frame_len; /* bytes decoded so far */
    uint8_t cobs_left;  /* bytes until the next COBS code byte */
    bool cobs_zero;     /* a zero follows this COBS block, unless the frame ends */
    bool frame_bad;     /* ignore everything up to the next delimiter */
    uint8_t frame[IMPRINT_AGENT_FRAME_MAX];
};

/*
 * Starts the agent after a reset: finishes what a power cut interrupted. A store that fails is
 * tried again at each request.
 */
void imprint_agent_init(struct imprint_agent *agent, const struct imprint_agent_platform *platform);

/* Takes received bytes, in any portions; sends at most one reply for each frame in them. */
void imprint_agent_input(struct imprint_agent *agent, const uint8_t *bytes, size_t len);

/* What the firmware may use after COMMIT. */
struct imprint_agent_identity {
    bool has_private;   /* P-256: not in derived mode, nor with another key */
    bool has_other;     /* a private key of another type: imprint_agent_private_read */
    bool has_symmetric; /* the bundle had a symmetric key */
    uint8_t scalar[IMPRINT_P256_SCALAR_SIZE];  /* the private key: wipe after use */
    uint8_t symmetric[IMPRINT_SYMMETRIC_SIZE]; /* the symmetric key: likewise */
    uint8_t transaction[IMPRINT_TX_SIZE];
    char serial[IMPRINT_SERIAL_MAX + 1];
    uint32_t commit_count;
    enum imprint_lifecycle lifecycle;
};

/* Reads the identity in force. False when there is none, or the store fails; out is then zero. */
bool imprint_agent_identity(struct imprint_agent *agent, struct imprint_agent_identity *out);

/* The private key of the identity in force, where has_other says that it is not P-256: PKCS#8 of *len
 * bytes, to be wiped after use. False when there is none, or it is longer than cap. */
bool imprint_agent_private_read(struct imprint_agent *agent, uint8_t *key, size_t cap, size_t *len);

/* Length of an object of the identity in force, 0 if it has none. */
uint32_t imprint_agent_object_length(struct imprint_agent *agent, enum imprint_object type);

/* Reads part of an object of the identity in force. False outside of it, or when the store fails.
 */
bool imprint_agent_object_read(struct imprint_agent *agent, enum imprint_object type,
                               uint32_t offset, void *out, size_t len);

#endif
