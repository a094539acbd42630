/*
 * ids: every number that crosses the device link or enters a transcript, in one table.
 *
 * A number, once shipped, keeps its meaning for ever: devices in the field know it. New numbers go
 * to the end of their block; RESERVED ones are spoken for and not implemented. This header is plain
 * C99 without includes, for firmware and station alike.
 */
#ifndef IMPRINT_AGENT_IDS_H
#define IMPRINT_AGENT_IDS_H

/* Version of the device link: byte 0 of every frame. */
#define IMPRINT_LINK_VERSION 1

/* Messages: byte 1 of every frame. A reply has bit 7 set as well. */
enum imprint_message {
    IMPRINT_MSG_HELLO = 0x01,
    IMPRINT_MSG_KEYGEN = 0x02, /* device-key mode */
    IMPRINT_MSG_BEGIN = 0x03,
    IMPRINT_MSG_PUT = 0x04,
    IMPRINT_MSG_COMMIT = 0x05,
    IMPRINT_MSG_PROVE = 0x06,
    IMPRINT_MSG_READ = 0x07,
    IMPRINT_MSG_LOCK = 0x08,
    IMPRINT_MSG_ABORT = 0x09,
    IMPRINT_MSG_DECOMMISSION = 0x0a,
    IMPRINT_MSG_FDO_HMAC = 0x0b, /* RESERVED: header in, HMAC out (FIDO Device Onboard) */
    IMPRINT_MSG_REPLY = 0x80
};

/* Status of a reply (map key 0). */
enum imprint_status {
    IMPRINT_OK = 0,
    IMPRINT_ERR_VERSION = 1,     /* link version or suite is not supported */
    IMPRINT_ERR_MESSAGE = 2,     /* unknown message, or one this build does not have */
    IMPRINT_ERR_FORMAT = 3,      /* CBOR is malformed, not deterministic, or lacks a member */
    IMPRINT_ERR_STATE = 4,       /* not possible now: wrong order of messages */
    IMPRINT_ERR_BUSY = 5,        /* another transaction is open */
    IMPRINT_ERR_TRANSACTION = 6, /* not the open or committed transaction */
    IMPRINT_ERR_STATION = 7,     /* the station's certificate or signature does not verify */
    IMPRINT_ERR_SIZE = 8,        /* an object, offset or request is too large */
    IMPRINT_ERR_BUNDLE = 9,      /* an object is not what BEGIN announced */
    IMPRINT_ERR_KEY = 10,   /* the key does not unwrap, is not valid, or is not the certificate's */
    IMPRINT_ERR_STORE = 11, /* the store failed */
    IMPRINT_ERR_LOCKED = 12,   /* the identity is locked */
    IMPRINT_ERR_CRYPTO = 13,   /* the platform's cryptography or random source failed */
    IMPRINT_ERR_SUITE = 14,    /* a suite, mode, algorithm or format this build does not have */
    IMPRINT_ERR_SIGNATURE = 15 /* what signs a configuration or DECOMMISSION does not verify */
};

/* Suites of the key transport (docs/device-link.md). */
enum imprint_suite {
    IMPRINT_SUITE_NONE = 0,  /* no key travels: the device made its own */
    IMPRINT_SUITE_ECB = 1,   /* P-256 ECDH; KEK = AES-256-ECB(Z, context); RFC 5649 */
    IMPRINT_SUITE_X963 = 2,  /* P-256 ECDH; ANSI X9.63 KDF with SHA-256; RFC 5649 */
    IMPRINT_SUITE_HYBRID = 3 /* RESERVED: suite 2 with an ML-KEM secret in the context */
};

/* How the device key comes to be: bits of the HELLO member "modes". */
enum imprint_mode {
    IMPRINT_MODE_HSM = 1 << 0,     /* made in the HSM, travels wrapped */
    IMPRINT_MODE_DEVICE = 1 << 1,  /* made on the device, never travels */
    IMPRINT_MODE_DERIVED = 1 << 2, /* symmetric, derived in the HSM */
    /* Types of keys that the device has beside P-256, in the modes that it has. */
    IMPRINT_MODE_P384 = 1 << 8,
    IMPRINT_MODE_ED25519 = 1 << 9,
    IMPRINT_MODE_RSA_2048 = 1 << 10,
    IMPRINT_MODE_RSA_3072 = 1 << 11
};

/* Algorithms of keys, signatures and proofs: u16, then bytes. */
enum imprint_algorithm {
    IMPRINT_ALG_NONE = 0x0000,           /* no key: the empty dev_pub or station_pub */
    IMPRINT_ALG_P256 = 0x0101,           /* key: uncompressed point, 65 bytes */
    IMPRINT_ALG_P384 = 0x0102,           /* uncompressed point, 97 bytes */
    IMPRINT_ALG_ED25519 = 0x0103,        /* RFC 8032, 32 bytes */
    IMPRINT_ALG_RSA_2048 = 0x0104,       /* SubjectPublicKeyInfo, exponent 65537: 294 bytes */
    IMPRINT_ALG_RSA_3072 = 0x0105,       /* likewise: 422 bytes */
    IMPRINT_ALG_ECDSA_SHA256 = 0x0201,   /* signature: r ‖ s, 64 bytes on P-256 */
    IMPRINT_ALG_HMAC_SHA256 = 0x0202,    /* proof in derived mode, 32 bytes */
    IMPRINT_ALG_ECDSA_SHA384 = 0x0203,   /* signature: r ‖ s, 96 bytes on P-384 */
    IMPRINT_ALG_EDDSA = 0x0204,          /* signature: Ed25519, 64 bytes */
    IMPRINT_ALG_RSA_PSS_SHA256 = 0x0205, /* signature: MGF1 with SHA-256, salt of 32 bytes */
    IMPRINT_ALG_ML_KEM_768 = 0x0301,     /* RESERVED */
    IMPRINT_ALG_ML_DSA_65 = 0x0302,      /* RESERVED */
    IMPRINT_ALG_LMS = 0x0303             /* RESERVED */
};

/* Objects of a bundle, in the order in which they are hashed. */
enum imprint_object {
    IMPRINT_OBJ_PRIVATE_KEY = 1,
    IMPRINT_OBJ_CERTIFICATES = 2,      /* leaf first, then its issuers without the root */
    IMPRINT_OBJ_TRUST_ANCHORS = 3,     /* what the device authenticates its server with */
    IMPRINT_OBJ_FIRMWARE_KEY = 4,      /* what the device verifies firmware with */
    IMPRINT_OBJ_SYMMETRIC_KEY = 5,     /* 32 bytes; alone with no certificate: derived mode */
    IMPRINT_OBJ_CONFIGURATION = 6,     /* signed with the key of type 7 */
    IMPRINT_OBJ_CONFIGURATION_KEY = 7, /* P-256 */
    IMPRINT_OBJ_DECOMMISSION_KEY = 8   /* P-256: signs DECOMMISSION */
};

/* Formats of objects. */
enum imprint_format {
    IMPRINT_FMT_NONE = 0,          /* not carried: the private key that the device made */
    IMPRINT_FMT_PKCS8_RFC5649 = 1, /* PKCS#8, AES key wrap with padding under the KEK */
    IMPRINT_FMT_X509_DER = 2,      /* DER certificates, one after the other */
    IMPRINT_FMT_SPKI_DER = 3,      /* SubjectPublicKeyInfo */
    IMPRINT_FMT_KEY_RFC5649 = 4,   /* 32 bytes, AES key wrap with padding under the KEK */
    IMPRINT_FMT_SIGNED = 5,        /* lp(u16 algorithm ‖ signature) ‖ contents */
    IMPRINT_FMT_PKCS8_OTHER = 6    /* as 1, of a key that is not P-256 */
};

/* Life cycle: a device reports it in HELLO, and its proof covers it. */
enum imprint_lifecycle {
    IMPRINT_LIFE_FACTORY = 1, /* no identity, or one that BEGIN may still replace */
    IMPRINT_LIFE_LOCKED = 2   /* only DECOMMISSION changes the identity */
};

/* State of the transaction that HELLO reports. */
enum imprint_tx_state { IMPRINT_TX_NONE = 0, IMPRINT_TX_OPEN = 1, IMPRINT_TX_COMMITTED = 2 };

/* Sizes that both sides rely on, in bytes. */
#define IMPRINT_TX_SIZE           16
#define IMPRINT_NONCE_SIZE        32
#define IMPRINT_HASH_SIZE         32
#define IMPRINT_P256_POINT_SIZE   65
#define IMPRINT_P256_SCALAR_SIZE  32
#define IMPRINT_P256_SIG_SIZE     64
#define IMPRINT_KEK_SIZE          32
#define IMPRINT_SYMMETRIC_SIZE    32 /* a symmetric key, and an HMAC with it */
#define IMPRINT_SPKI_SIZE         91 /* SubjectPublicKeyInfo of a P-256 key */
#define IMPRINT_CHIP_ID_MAX       32
#define IMPRINT_SERIAL_MAX        64
#define IMPRINT_STATION_MAX       64 /* station name */
#define IMPRINT_ENVIRONMENT_MAX   16
#define IMPRINT_FIRMWARE_MAX      32 /* firmware version text */
#define IMPRINT_OBJECTS_MAX       8
#define IMPRINT_WRAPPED_KEY_MAX   256
#define IMPRINT_WRAPPED_OTHER_MAX 2048 /* of format PKCS8_OTHER */
#define IMPRINT_SIG_MAX           384  /* of RSA with 3072 bits, the longest */
#define IMPRINT_OTHER_SPKI_MAX    422  /* SubjectPublicKeyInfo of RSA with 3072 bits, the longest */
#define IMPRINT_SUITES_MAX        8    /* suites that a device may offer */
#define IMPRINT_PUT_ALIGN         16 /* PUT offsets, and lengths of all but an object's last PUT */
#define IMPRINT_FRAME_MIN         1024 /* a device takes frames of at least this size, ... */
#define IMPRINT_FRAME_MAX         4096 /* ... and no station sends or takes a larger one */
#define IMPRINT_FRAME_OVERHEAD    8    /* link version, message, sequence, CRC-32 */
#define IMPRINT_STATION_CERT_MAX  256  /* a compact station certificate */
#define IMPRINT_SUBJECT_MAX       400  /* DER of the name that KEYGEN asks a request for */
#define IMPRINT_CSR_MAX           2048 /* a PKCS#10 request; the station reads no longer one */
#define IMPRINT_CHAIN_MAX         8000 /* a vendor's certificate chain */

/*
 * Keys of the CBOR maps of the link (docs/device-link.md has the CDDL). Key 0 of every reply is its
 * status.
 */
enum imprint_key_reply { IMPRINT_KEY_STATUS = 0 };
enum imprint_key_hello {
    IMPRINT_KEY_HELLO_NONCE = 1,       /* request */
    IMPRINT_KEY_HELLO_FACTS = 1,       /* reply */
    IMPRINT_KEY_HELLO_TRANSACTION = 2, /* reply */
    IMPRINT_KEY_HELLO_ATTESTATION = 3  /* reply, where there is an enrolment key */
};
enum imprint_key_facts {
    IMPRINT_KEY_FACTS_SUITES = 1,
    IMPRINT_KEY_FACTS_MODES = 2,
    IMPRINT_KEY_FACTS_CHIP_ID = 3,
    IMPRINT_KEY_FACTS_FIRMWARE = 4,
    IMPRINT_KEY_FACTS_IMAGE_HASH = 5, /* optional */
    IMPRINT_KEY_FACTS_DEBUG = 6,
    IMPRINT_KEY_FACTS_LIFECYCLE = 7,
    IMPRINT_KEY_FACTS_PINNED = 8,
    IMPRINT_KEY_FACTS_FRAME_MAX = 9,
    IMPRINT_KEY_FACTS_KEY_ALG = 10,
    IMPRINT_KEY_FACTS_KEY = 11
};
enum imprint_key_transaction {
    IMPRINT_KEY_TX_STATE = 1,
    IMPRINT_KEY_TX_ID = 2,     /* of the open one, else of the committed one */
    IMPRINT_KEY_TX_SERIAL = 3, /* of the committed identity */
    IMPRINT_KEY_TX_COMMIT_COUNT = 4
};
enum imprint_key_attestation {
    IMPRINT_KEY_ATTEST_KEY_ALG = 1,
    IMPRINT_KEY_ATTEST_KEY = 2,
    IMPRINT_KEY_ATTEST_SIG_ALG = 3,
    IMPRINT_KEY_ATTEST_SIG = 4,
    IMPRINT_KEY_ATTEST_CHAIN_LEN = 5 /* where there is a chain: its length, for READ */
};
enum imprint_key_begin {
    IMPRINT_KEY_BEGIN_SUITE = 1,
    IMPRINT_KEY_BEGIN_ENVIRONMENT = 2,
    IMPRINT_KEY_BEGIN_ORDER = 3,
    IMPRINT_KEY_BEGIN_TX = 4,
    IMPRINT_KEY_BEGIN_NONCE = 5,
    IMPRINT_KEY_BEGIN_SERIAL = 6,
    IMPRINT_KEY_BEGIN_KEY_ALG = 7, /* the station's ephemeral key */
    IMPRINT_KEY_BEGIN_KEY = 8,
    IMPRINT_KEY_BEGIN_OBJECTS = 9, /* [[type, format, length, hash], ...] */
    IMPRINT_KEY_BEGIN_SIG_ALG = 10,
    IMPRINT_KEY_BEGIN_SIG = 11,
    IMPRINT_KEY_BEGIN_CERTIFICATE = 12,
    IMPRINT_KEY_BEGIN_HELD = 1 /* reply: [bytes held of each object] */
};
enum imprint_key_keygen {                                 /* 1 to 6 and 10 to 12 as in BEGIN */
                          IMPRINT_KEY_KEYGEN_KEY_ALG = 7, /* of the key to be made */
                          IMPRINT_KEY_KEYGEN_SUBJECT = 8, /* DER Name */
                          IMPRINT_KEY_KEYGEN_CSR = 1,     /* reply, as all below: DER PKCS#10 */
                          IMPRINT_KEY_KEYGEN_SIG_ALG =
                              2, /* where there is an enrolment key: it attests the new key */
                          IMPRINT_KEY_KEYGEN_SIG = 3
};
enum imprint_key_put {
    IMPRINT_KEY_PUT_TX = 1,
    IMPRINT_KEY_PUT_TYPE = 2,
    IMPRINT_KEY_PUT_OFFSET = 3,
    IMPRINT_KEY_PUT_BYTES = 4,
    IMPRINT_KEY_PUT_HELD = 1 /* reply */
};
enum imprint_key_commit {
    IMPRINT_KEY_COMMIT_TX = 1,
    IMPRINT_KEY_COMMIT_COUNT = 1 /* reply */
};
enum imprint_key_prove {
    IMPRINT_KEY_PROVE_TX = 1,
    IMPRINT_KEY_PROVE_NONCE = 2,
    IMPRINT_KEY_PROVE_SIG_ALG = 1, /* reply, as all below */
    IMPRINT_KEY_PROVE_SIG = 2,
    IMPRINT_KEY_PROVE_LIFECYCLE = 3,
    IMPRINT_KEY_PROVE_COMMIT_COUNT = 4
};
enum imprint_key_read {
    IMPRINT_KEY_READ_OFFSET = 1,
    IMPRINT_KEY_READ_WHAT = 2,  /* IMPRINT_READ_CHAIN; left out: the certificate object */
    IMPRINT_KEY_READ_TOTAL = 1, /* reply */
    IMPRINT_KEY_READ_BYTES = 2  /* reply */
};
enum imprint_read { IMPRINT_READ_CHAIN = 1 /* the chain that attests the device */ };
enum imprint_key_lock { IMPRINT_KEY_LOCK_TX = 1 };
enum imprint_key_decommission {
    IMPRINT_KEY_DECOMMISSION_CHIP_ID = 1,
    IMPRINT_KEY_DECOMMISSION_IDENTITY = 2,
    IMPRINT_KEY_DECOMMISSION_SIG_ALG = 3,
    IMPRINT_KEY_DECOMMISSION_SIG = 4
};

/* Labels: each signed or derived byte string begins with one, its NUL included. */
#define IMPRINT_LABEL_BUNDLE        "imprint bundle v1"
#define IMPRINT_LABEL_KEK           "imprint kek v1"
#define IMPRINT_LABEL_STATION       "imprint station v1"
#define IMPRINT_LABEL_STATION_CERT  "imprint station cert v1"
#define IMPRINT_LABEL_ATTEST        "imprint attest v1"
#define IMPRINT_LABEL_PROVE         "imprint prove v1"
#define IMPRINT_LABEL_KEYGEN        "imprint keygen v1"
#define IMPRINT_LABEL_ATTEST_KEY    "imprint attest key v1"
#define IMPRINT_LABEL_DERIVE        "imprint derive v1" /* of a symmetric key from the master key */
#define IMPRINT_LABEL_KCV           "imprint kcv v1"    /* check value of a symmetric key */
#define IMPRINT_LABEL_CONFIGURATION "imprint configuration v1"
#define IMPRINT_LABEL_DECOMMISSION  "imprint decommission v1"

#endif
