/*
 * audit: everything on a token compared with the policy, without stopping at the first difference.
 *
 * hsm_open refuses a token with a wrong key; hsm_open_unchecked opens it all the same, so that
 * somebody can look. Nothing here writes to the token or mends it.
 *
 * Errors: those of hsm/token.h. What is wrong with the token is no error but a finding.
 */
#ifndef HSM_AUDIT_H
#define HSM_AUDIT_H

#include "base/jcs.h"
#include "hsm/keys.h"

/* As hsm_open, but a long-lived key that differs from the policy is no error. */
MUST_USE int hsm_open_unchecked(const struct hsm_config *config, struct secret *user_pin,
                                struct hsm **out, struct error *err);

enum hsm_finding_kind {
    HSM_FINDING_DIFFERS,    /* an attribute is not what the policy says */
    HSM_FINDING_MISSING,    /* a key, or half of a pair, is not there */
    HSM_FINDING_EXTRA,      /* a second key of a name, or an object that the station did not make */
    HSM_FINDING_UNENFORCED, /* an attribute that the token keeps and does not enforce */
    HSM_FINDING_NOTE        /* worth knowing, and no fault */
};

struct hsm_finding {
    enum hsm_finding_kind kind;
    char key[100];      /* label of the key, or what stands for it */
    char attribute[40]; /* empty unless it is about one */
    char text[512];     /* a sentence: what is, what should be, what it means */
};

struct hsm_audit {
    struct hsm_finding *findings;
    size_t count;
    size_t objects;    /* how many objects the token has */
    size_t attributes; /* how many attributes were compared */
};

/*
 * Compares every object of the token, and of the one with the CA keys. orders: the hashes of the orders whose storage key has to be
 * there; a storage key of another order is a note. The caller ends with hsm_audit_done.
 */
MUST_USE int hsm_audit_run(struct hsm *h, const uint8_t (*orders)[SHA256_SIZE], size_t order_count,
                           struct hsm_audit *out, struct error *err);
void hsm_audit_done(struct hsm_audit *audit);

/* All are but what is not enforced, and notes. */
bool hsm_finding_is_fault(enum hsm_finding_kind kind);

/* The name of a kind, as "differs". */
const char *hsm_finding_name(enum hsm_finding_kind kind);

/*
 * Writes who the token is, as the member "hsm" of an open object: "ca", the same of the token that has
 * the CA keys, where that is another; "class"; "module" (description,
 * manufacturer, version); "token" (firmware, hardware, label, manufacturer, model, serial);
 * "unenforced", the sentences of hsm_limit_text.
 */
MUST_USE int hsm_describe_token(struct hsm *h, struct jcs *j, struct error *err);

/*
 * Writes every key of the ceremony that is on the token, as the member "keys" of an open object: an
 * array with one object for each, by label: its attributes as read back (class, type, id and uses
 * among them), and what tells the key itself from another one: "spki_sha256" of a signing key, and
 * of ledger-hmac "check", its MAC over "imprint key check v1\0". The anchors are told without their
 * labels, which change with each ledger entry.
 */
MUST_USE int hsm_describe_keys(struct hsm *h, struct jcs *j, struct error *err);

#endif
