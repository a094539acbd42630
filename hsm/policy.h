/*
 * policy: every attribute of every key that the station makes, in one table. Private to hsm/.
 *
 * docs/hsm.md prints this table; a test compares the two. Creating a key (policy_template), and
 * reading it back (policy_check), use the same rows, so neither can drift from the other.
 */
#ifndef HSM_POLICY_H
#define HSM_POLICY_H

#include "base/buf.h"
#include "hsm/keys.h"
#include "hsm/module.h"
#include "pki/scheme.h"

#define POLICY_ROWS_MAX 24

/* How a row is used. */
enum policy_use {
    USE_SET = 1 << 0,       /* in the template that creates the object */
    USE_READ = 1 << 1,      /* compared when the object is read back */
    USE_LABEL = 1 << 2,     /* the value is the label of struct policy_fill */
    USE_ID = 1 << 3,        /* the value is its id */
    USE_MECHANISM = 1 << 4, /* the value is its wrap mechanism */
    USE_NESTED = 1 << 5,    /* the value is an array of attributes */
    USE_POINT = 1 << 6,     /* the value is its public point */
    USE_KIND = 1 << 7,      /* the value, that of P-256, is another one for keys of another kind */
    USE_VALUE = 1 << 8      /* the value is the key itself, HSM_MAC_SIZE bytes */
};

/* The modules that do not keep every attribute of the table. Any other one is held to all of it. */
enum dialect { DIALECT_STRICT, DIALECT_NSS, DIALECT_TPM2 };

/* A row that is neither set nor compared with a token of this dialect. */
struct policy_exception {
    enum dialect dialect;
    const struct policy_row *rows; /* of this table; NULL: of all */
    CK_ATTRIBUTE_TYPE type;
    const char *name, *meaning; /* for an audit: what an attacker with the PIN gains */
};

/* Up to the one without a name. */
extern const struct policy_exception policy_exceptions[];

/* Whether tokens of this dialect keep the row's attribute. */
bool policy_is_kept(const struct policy_row *row, enum dialect dialect);

/* Whose module it is, by the manufacturer that C_GetInfo names. */
enum dialect policy_dialect(const char *manufacturer);

/* What PKCS#11 calls a type of key pair, how it is made and how it signs. */
struct key_kind {
    enum key_type type;
    enum sig_scheme scheme;
    CK_KEY_TYPE class; /* CKA_KEY_TYPE */
    CK_MECHANISM_TYPE generate;
    const char *generate_name;
    CK_MECHANISM_TYPE sign;
    const char *sign_name;
    CK_ULONG bits;         /* CKA_MODULUS_BITS of RSA, else 0 */
    const uint8_t *params; /* CKA_EC_PARAMS, or NULL */
    CK_ULONG params_len;
};

/* The kind of keys of this type that sign so; NULL when they do not fit. */
const struct key_kind *key_kind_of(enum key_type type, enum sig_scheme scheme);

/* All of them, up to NULL. */
const struct key_kind *key_kind_at(size_t i);

struct policy_row {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
    const void *value; /* NULL where struct policy_fill has it */
    CK_ULONG len;
    unsigned use;
};

/* Rows up to the one without a name. */
extern const struct policy_row policy_signing_private[], policy_signing_public[], policy_hmac[],
    policy_storage[], policy_anchor[], policy_mark[], policy_device_private[],
    policy_asking_private[], policy_device_public[], policy_unwrapped[], policy_ephemeral_private[],
    policy_ephemeral_public[], policy_shared_secret[], policy_kek[], policy_kek_symmetric[],
    policy_derivation[], policy_derived[], policy_derived_value[];

/* What differs from one key of a kind to the next. */
struct policy_fill {
    const char *label;
    const uint8_t *id;
    size_t id_len;
    CK_MECHANISM_TYPE wrap;
    enum dialect dialect;
    const struct key_kind *kind; /* NULL: P-256 */
    const uint8_t *point;        /* or NULL: the token wants none */
    size_t point_len;
    const uint8_t *value; /* HSM_MAC_SIZE bytes, for a key that is put in */
    bool session;         /* make a session object where the table says token object (the probe) */
};

/* Whether keys of this kind have the row's attribute at all: RSA keys have no curve. */
bool policy_applies(const struct policy_row *row, const struct key_kind *kind);

/* Templates as C_GenerateKey takes them; they point into rows and fill. */
struct policy_attributes {
    CK_ATTRIBUTE list[POLICY_ROWS_MAX];
    CK_ULONG count;
};

void policy_template(const struct policy_row *rows, const struct policy_fill *fill,
                     struct policy_attributes *out);

/*
 * Reads the object's attributes back and compares them. Errors: ERR_HSM naming the attribute, or
 * the CKR_* value in *rv when a call failed (CKR_OK otherwise).
 */
MUST_USE int policy_check(const struct module *m, CK_SESSION_HANDLE session,
                          CK_OBJECT_HANDLE object, const struct policy_row *rows,
                          const struct policy_fill *fill, CK_RV *rv, struct error *err);

/* The same for one row; one that is not read back, or that fill does not supply, is fine. */
MUST_USE int policy_check_row(const struct module *m, CK_SESSION_HANDLE session,
                              CK_OBJECT_HANDLE object, const struct policy_row *row,
                              const struct policy_fill *fill, CK_RV *rv, struct error *err);

/* Appends the row's value on the token as text: true, a number, a text, or hexadecimal digits. */
CK_RV policy_read_text(const struct module *m, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                       const struct policy_row *row, struct buf *out);

/* What a long-lived key of the ceremony is. An hmac key has no public rows. */
struct key_policy {
    const char *label;
    CK_MECHANISM_TYPE generate; /* of a pair: that of its kind */
    CK_OBJECT_CLASS class;
    const struct policy_row *rows, *public_rows;
    bool any_kind; /* of the CA and of second signatures; all other pairs are P-256 */
};

extern const struct key_policy key_policies[HSM_KEY_COUNT];

/* The policy of a key on a token: that of the master key goes by how the token derives. */
struct hsm;
const struct key_policy *key_policy_of(const struct hsm *h, enum hsm_key key);

/* A key's policy with the label of one of its generations (hsm_use_generation). */
#define POLICY_LABEL_MAX 40
struct key_named {
    struct key_policy policy; /* its label is text */
    char text[POLICY_LABEL_MAX];
};
void key_policy_name(const struct hsm *h, enum hsm_key key, unsigned generation,
                     struct key_named *out);

/* Label and id of a long-lived key. */
struct policy_fill key_policy_fill(const struct key_policy *policy, enum dialect dialect);

#endif
