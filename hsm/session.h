/*
 * session: what an open token is, and how its functions survive a recycle or a lost session.
 * Private to hsm/.
 *
 * Invariants
 *  1. A PKCS#11 handle is valid for one generation. session_start begins a new one and forgets all
 *     handles; whoever keeps one across calls (a rewrap) keeps the generation beside it.
 *  2. Each public function runs its work through session_run: recycle if due, work, and if the
 *     session was lost, restore and work once more. Work therefore sets outputs last.
 *  3. Session objects are destroyed through session_destroy only, which counts the leak.
 *  4. A worker (hsm/worker.h) is a struct hsm that has a session and handles of its own and borrows
 *     the rest. It is neither recycled nor restored; while one is open, its main is neither. The one of
 *     hsm/ahead.h is ended for it.
 *  5. After a failure that is no plain refusal nobody knows what the token did: an operation may
 *     still be active in the session, an object may be there although no handle came back. Such a
 *     session is not used again: the module is initialised anew as soon as it is idle.
 */
#ifndef HSM_SESSION_H
#define HSM_SESSION_H

#include "hsm/anchor.h"
#include "hsm/derived.h"
#include "hsm/mark.h"
#include "hsm/policy.h"

#define ANCHORS       2
#define STORAGE_CACHE 8
#define CLASS_SIZE    33
#define SESSION_LEAK  300 /* bytes; SoftHSM 2.6.1 keeps about 0.24 kB of each session object */

struct key_handles {
    CK_OBJECT_HANDLE key;        /* private or secret; CK_INVALID_HANDLE until looked up */
    CK_OBJECT_HANDLE public;     /* of a signing key */
    const struct key_kind *kind; /* likewise */
};

struct storage_handle {
    char name[HSM_STORAGE_NAME_SIZE];
    CK_OBJECT_HANDLE key;
};

/* One of the two anchor keys as it was last seen on the token. */
struct anchor_slot {
    CK_OBJECT_HANDLE key; /* CK_INVALID_HANDLE: missing, or its label is torn */
    struct hsm_anchor state;
};

/* What the probe found; survives every recycle. */
struct abilities {
    unsigned suites;
    CK_MECHANISM_TYPE wrap;
    bool unwrap_point; /* a key is unwrapped with its public point (NSS) */
    CK_RV secrets;     /* what it said to making the secret keys of a station */
    enum hsm_derivation derivation;
    CK_RV derive_said[3]; /* to each way, by enum hsm_derivation; CKR_OK: another key came out */
    enum dialect dialect;
    unsigned unenforced;
    char class[CLASS_SIZE];
};

struct hsm {
    struct module module;
    char *path, *token, *arguments; /* copies of the configuration */
    struct secret *pin;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* CK_INVALID_HANDLE while there is none */
    bool started;              /* C_Initialize was done by us */
    bool lost;                 /* the last failure says that the session is gone */
    bool stale;                /* invariant 5 */
    bool pin_refused;          /* never ask the token again */
    bool last_try;             /* the PIN may be the last that the token takes */
    bool pin_was_wrong;        /* what the token said before the first login */
    unsigned generation, recycles, rewraps;
    size_t leak, leak_limit;
    struct abilities can;
    struct key_handles keys[HSM_KEY_COUNT];
    unsigned key_generation[HSM_KEY_COUNT]; /* hsm_use_generation; 0 and 1 are the first */
    struct storage_handle storage[STORAGE_CACHE];
    struct anchor_slot anchor[ANCHORS]; /* whole and checked, or no handles at all */
    unsigned storage_next;              /* the slot of the cache to overwrite next */
    unsigned workers;                   /* that are open (hsm/worker.h) */
    struct hsm *main;                   /* of a worker: whose login it shares; else NULL */
    struct hsm *ca;                     /* the token that has the CA keys; NULL: this one */
    struct ahead *ahead;                /* hsm/ahead.h; NULL until it is used */
    bool is_ca;                         /* it is such a token, and has no other keys */
};

/* The token that has this key. */
static inline struct hsm *session_owner(struct hsm *h, enum hsm_key key)
{
    return h->ca && (key == HSM_KEY_ROOT || key == HSM_KEY_ISSUING_CA) ? h->ca : h;
}

/* Whether this key belongs on this very token. */
static inline bool session_owns(const struct hsm *h, enum hsm_key key)
{
    bool of_ca = key == HSM_KEY_ROOT || key == HSM_KEY_ISSUING_CA;

    return h->is_ca ? of_ca : !(h->ca && of_ca);
}

/* What every template of this token is filled with; and that of a long-lived key, whose label and
 * id may be NULL where they are not compared. */
struct policy_fill session_fill(const struct hsm *h);
struct policy_fill session_fill_key(const struct hsm *h, const char *label, const void *id,
                                    size_t id_len);

/* hsm_worker_open without one of the CA's token. */
MUST_USE int worker_open(struct hsm *h, struct hsm **out, struct error *err);

typedef int session_work(struct hsm *h, void *call, struct error *err);

/* C_Initialize, find the token, open a session, log in. */
MUST_USE int session_start(struct hsm *h, struct error *err);

/* Forgets every handle and finalises. */
void session_stop(struct hsm *h);

/* Opens one more session of the token. */
MUST_USE int session_open(struct hsm *h, CK_SESSION_HANDLE *out, struct error *err);

MUST_USE int session_run(struct hsm *h, session_work *work, void *call, struct error *err);

/* ERR_HSM for a call that returned rv; notes when rv means that the session is gone. */
int session_fail(struct hsm *h, CK_RV rv, struct error *err, const char *what);

/* The same for a C_Login: ERR_PIN, after which the PIN is not tried again, ERR_TOKEN for a token
 * without a user PIN, ERR_HSM. */
int session_login_error(struct hsm *h, CK_RV rv, struct error *err);

/* Notes a rv that the caller reports itself, or ignores. */
void session_note(struct hsm *h, CK_RV rv);

/* Destroys a session object; CK_INVALID_HANDLE is fine. */
void session_destroy(struct hsm *h, CK_OBJECT_HANDLE object);

/*
 * The one object of this class, label and (when not NULL) id. Errors: ERR_MISSING, ERR_HSM when
 * there are several.
 */
MUST_USE int session_find(struct hsm *h, CK_OBJECT_CLASS class, const char *label,
                          const uint8_t *id, size_t id_len, CK_OBJECT_HANDLE *out,
                          struct error *err);

/* The point in CKA_EC_POINT of a public key: bare, or inside the OCTET STRING that the standard
 * asks for. */
MUST_USE int session_point(struct hsm *h, CK_OBJECT_HANDLE public, uint8_t point[EC_POINT_SIZE],
                           struct error *err);

/* A fresh session pair. Both handles are the caller's to destroy. */
MUST_USE int session_make_pair(struct hsm *h, const struct policy_row *private_rows,
                               const struct policy_row *public_rows, CK_OBJECT_HANDLE *private,
                               CK_OBJECT_HANDLE *public, uint8_t point[EC_POINT_SIZE],
                               struct error *err);

/* CKM_ECDSA over a digest, and over SHA-256 of the message. */
MUST_USE int session_sign_digest(struct hsm *h, CK_OBJECT_HANDLE key,
                                 const uint8_t digest[SHA256_SIZE], uint8_t sig[EC_SIG_SIZE],
                                 struct error *err);
MUST_USE int session_sign(struct hsm *h, CK_OBJECT_HANDLE key, const void *message, size_t len,
                          uint8_t sig[EC_SIG_SIZE], struct error *err);

/* CKM_SHA256_HMAC. */
MUST_USE int session_mac(struct hsm *h, CK_OBJECT_HANDLE key, const void *message, size_t len,
                         uint8_t mac[HSM_MAC_SIZE], struct error *err);

MUST_USE int session_random(struct hsm *h, void *out, size_t len, struct error *err);

/*
 * Of what kind a key is: that of P-256, unless the policy leaves it open and the token says otherwise.
 * Of an RSA key CKA_ALLOWED_MECHANISMS says how it signs.
 */
MUST_USE int session_kind(struct hsm *h, const struct key_policy *policy, CK_OBJECT_HANDLE private,
                          CK_OBJECT_HANDLE public, const struct key_kind **out, struct error *err);

/* The public half as a key of this kind. */
MUST_USE int session_public(struct hsm *h, CK_OBJECT_HANDLE public, const struct key_kind *kind,
                            struct public_key *out, struct error *err);

/* As session_make_pair, of any kind. */
MUST_USE int session_make_kind(struct hsm *h, const struct key_kind *kind,
                               const struct policy_row *private_rows,
                               const struct policy_row *public_rows, CK_OBJECT_HANDLE *private,
                               CK_OBJECT_HANDLE *public, struct public_key *key, struct error *err);

/* Signs a message, or its digest, as the kind does; the signature is as certificates have it. */
MUST_USE int session_sign_kind(struct hsm *h, CK_OBJECT_HANDLE key, const struct key_kind *kind,
                               const void *bytes, size_t len, bool digested, struct signature *sig,
                               struct error *err);

/* As session_prove, of any kind. */
MUST_USE int session_prove_key(struct hsm *h, CK_OBJECT_HANDLE key, const struct key_kind *kind,
                               const char *label, const struct public_key *public,
                               struct error *err);

/* Signs "<label>\0" and 32 random bytes and verifies it: does the private key belong to point? */
MUST_USE int session_prove(struct hsm *h, CK_OBJECT_HANDLE key, const char *label,
                           const uint8_t point[EC_POINT_SIZE], struct error *err);

/* The handle of a long-lived key. Errors: ERR_MISSING. */
MUST_USE int key_handle(struct hsm *h, enum hsm_key key, CK_OBJECT_HANDLE *out, struct error *err);

/* For hsm/signer.c, where OpenSSL hashed the message: CKM_ECDSA over a digest by a long-lived key.
 * Errors: ERR_MISSING. */
MUST_USE int key_sign_digest(struct hsm *h, enum hsm_key key, const uint8_t digest[SHA256_SIZE],
                             uint8_t sig[EC_SIG_SIZE], struct error *err);

/* The names of the anchor keys and of a storage key; what the audit looks at without mending it. */
extern const char *const anchor_ids[ANCHORS];
bool anchor_label_is_whole(const char *label);
MUST_USE int anchor_find(struct hsm *h, const char *id, CK_OBJECT_HANDLE *out, struct error *err);
void storage_name(const uint8_t order_hash[SHA256_SIZE], enum key_type type,
                  char name[HSM_STORAGE_NAME_SIZE]);

/* The length of the prefix of a storage key's name, 0 when it is none; and the kind of keys that it
 * wraps, of RSA any length. */
size_t storage_prefix(const char *name);
const struct key_kind *storage_kind(const char *name);

/* A prefix of four characters and a hash: the label of a mark. */
#define HSM_MARK_LABEL_SIZE (sizeof "it1:" + 2 * SHA256_SIZE)
void mark_label(enum hsm_mark mark, const uint8_t hash[SHA256_SIZE],
                char label[HSM_MARK_LABEL_SIZE]);

#endif
