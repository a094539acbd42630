/*
 * token: a PKCS#11 token, opened and logged in: the handle that every other part of hsm/ works on.
 *
 * Invariants
 *  1. One struct hsm is one module, one token, one login and one session, used by one thread; other
 *     threads get a session each from hsm/worker.h. The module is initialised with
 *     CKF_OS_LOCKING_OK, and a process opens it once: hsm_open refuses a module that somebody else
 *     has initialised.
 *  2. A PIN is tried once. A token that refuses it is not asked again by this handle, so no loop in
 *     a caller can lock a token. The last try that a token has left is kept for a person.
 *  3. What an open token can do was measured, not looked up: hsm_open carries one throw-away key
 *     the whole way to a device played by OpenSSL (docs/hsm.md, "The probe").
 *  4. Device keys are session objects. Modules leak a little for each, so the module is initialised
 *     anew once the estimate passes a limit (docs/hsm.md, "Recycling"). Callers see nothing of it:
 *     they hold names, never PKCS#11 handles.
 *  5. A session that the token dropped is opened again once for each call; then the call fails.
 *
 * Errors of every function that talks to an open token, besides those it names: ERR_HSM with the
 * name and number of the CKR_* value, and ERR_PIN when a renewed login was refused.
 *
 * Standard: PKCS#11 v2.40 (C_Initialize, C_GetTokenInfo, C_Login), RFC 7512 for "pkcs11:" URIs.
 */
#ifndef HSM_TOKEN_H
#define HSM_TOKEN_H

#include "base/secret.h"

#define HSM_LEAK_LIMIT (20u << 20) /* bytes of estimated leak at which the module is recycled */

struct hsm_config {
    const char *module;    /* path of the PKCS#11 module */
    const char *token;     /* label of the token, or an RFC 7512 "pkcs11:" URI that names one */
    const char *arguments; /* for C_Initialize, what NSS wants; NULL or "": nothing */
    bool last_try; /* a person has just typed the PIN: it may be the last that the token takes */
};

struct hsm;

/*
 * The file that the pin-source of a token's URI names (RFC 7512 section 2.4: "file:" or a path), into
 * path; empty when there is none, or token is a label. Nothing is opened. Errors: ERR_INPUT for a
 * malformed URI, one with a pin-value, or a source that is no file.
 */
MUST_USE int hsm_pin_source(const char *token, char *path, size_t size, struct error *err);

/*
 * Loads the module, finds the token, logs the user in, probes the token and reads the attributes of
 * every long-lived key that is there back against the policy (hsm/keys.h). A key that is not there
 * is no error here: hsm_key_check tells. Takes a locked copy of user_pin, which stays the caller's.
 * The caller closes *out.
 *
 * Errors: ERR_MODULE the file is missing, is no PKCS#11 module, or does not initialise; ERR_TOKEN
 * no token or several tokens match (the text lists the labels that are there); ERR_INPUT the URI is
 * malformed or carries a PIN; ERR_PIN the PIN is wrong, locked or expired, or one try is left and last_try is not set; ERR_HSM a key differs
 * from the policy, or the token failed.
 */
MUST_USE int hsm_open(const struct hsm_config *config, struct secret *user_pin, struct hsm **out,
                      struct error *err);

/*
 * From now on ca has the keys of the CA, root-ca and issuing-ca, and h all others: h is used as before
 * and finds each key where it is. ca need only sign (a TPM); it belongs to h, which closes it. Call it
 * once, before any other thread uses h.
 */
void hsm_set_ca(struct hsm *h, struct hsm *ca);

/* The class of the token that has the CA keys; that of h where it has them. */
const char *hsm_ca_class(const struct hsm *h);

/* Logs out by finalising the module, wipes the PIN and frees; NULL is fine. Every rewrap, signer
 * and worker of h must be closed before. */
void hsm_close(struct hsm *h);

/*
 * Initialises a free slot of config->module as a token with this label (1 to 32 bytes of printable
 * ASCII) and these PINs; config->token is not read. No struct hsm of the module may be open.
 *
 * Errors: ERR_EXISTS a token of that label is there already; ERR_TOKEN no slot is free; ERR_PIN the
 * token does not take one of the PINs; ERR_INPUT the label; ERR_MODULE as hsm_open.
 */
MUST_USE int hsm_token_init(const struct hsm_config *config, const char *label,
                            struct secret *so_pin, struct secret *user_pin, struct error *err);

/*
 * Finalises and initialises the module and logs in again, which frees what it leaked. The functions
 * of hsm/ do this by themselves; ERR_BUSY while a rewrap or a worker is open.
 */
MUST_USE int hsm_recycle(struct hsm *h, struct error *err);

/* Sets the limit of invariant 4, HSM_LEAK_LIMIT at first; and how often the module was recycled. */
void hsm_set_leak_limit(struct hsm *h, size_t bytes);
unsigned hsm_recycle_count(const struct hsm *h);

/* Whether somebody had given the token a wrong PIN since the last good one, when it was opened. */
bool hsm_pin_was_wrong(const struct hsm *h);

/* The class of the token for orders and records: "software" for a module without hardware, as
 * SoftHSM and NSS; else its model. The text lives as long as h. */
const char *hsm_class(const struct hsm *h);

/* The suites (agent/ids.h) that the token can rewrap with: bit 1 << suite. 0 means that it can
 * sign but not carry device keys. */
unsigned hsm_suites(const struct hsm *h);

/* The CKM_* number with which the token does RFC 5649, 0 for none. A diagnostic: the stored format
 * is "pkcs8/rfc5649" whatever the number. */
unsigned long hsm_wrap_mechanism(const struct hsm *h);

/*
 * Whether the token can hold a station: the keys of the ledger and its anchor, which are secret keys
 * on the token. Errors: ERR_REFUSED with a sentence that says what it lacks.
 */
MUST_USE int hsm_can_host(const struct hsm *h, struct error *err);

/* Attributes of the policy (docs/hsm.md) that this kind of token does not keep, and which therefore
 * are neither set nor compared: number 0, 1, 2... until NULL. meaning is what that costs. */
const char *hsm_unkept(const struct hsm *h, unsigned number, const char **meaning);

/* What the strict storage key asks for and the token does not enforce, as the probe found by trying
 * to break it. */
enum hsm_limit {
    HSM_LIMIT_UNWRAP_TEMPLATE = 1 << 0,
    HSM_LIMIT_WRAP_TEMPLATE = 1 << 1,
    HSM_LIMIT_MECHANISMS = 1 << 2,
    HSM_LIMIT_MODIFIABLE = 1 << 3,
    HSM_LIMIT_SENSITIVE = 1 << 4
};

/* A set of enum hsm_limit; 0 when all of it is enforced or the token has no suite. */
unsigned hsm_unenforced(const struct hsm *h);

/* What one enum hsm_limit means, as a sentence for an audit. Never NULL. */
const char *hsm_limit_text(enum hsm_limit limit);

#endif
