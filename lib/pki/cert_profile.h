/*
 * cert_profile: what the certificates of one kind say, as plain data.
 *
 * A profile is read from YAML (station/profile/) and compiled into a template (pki/template.h).
 * Texts are patterns (pki/pattern.h). docs/profiles.md describes every field; here only what the
 * data mean to this library.
 *
 * Invariants of a profile that was read
 *  1. The subject has exactly one serialNumber (2.5.4.5), which is "{serial}": it is what ties a
 *     certificate to its record, for every profile and every verifier of manifests.
 *  2. A profile of version 1 has no extensions.
 *  3. Only a profile whose constraints say ca has the key usages of a CA.
 */
#ifndef PKI_CERT_PROFILE_H
#define PKI_CERT_PROFILE_H

#include "base/buf.h"
#include "pki/pattern.h"
#include "pki/scheme.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#define PROFILE_NAME_MAX       32
#define PROFILE_TEXT_MAX       200
#define PROFILE_OID_MAX        64
#define PROFILE_DER_MAX        512 /* hexadecimal digits of an extension's value */
#define PROFILE_ATTRIBUTES_MAX 12
#define PROFILE_ISSUER_MAX     6
#define PROFILE_NAMES_MAX      8
#define PROFILE_USAGES_MAX     7
#define PROFILE_LIST_MAX       8
#define PROFILE_PATH_NONE      (-1)
#define PROFILE_MATTER_VENDOR  "1.3.6.1.4.1.37244.2.1" /* attributes of a name: VendorID */
#define PROFILE_MATTER_PRODUCT "1.3.6.1.4.1.37244.2.2" /* ProductID */

struct profile_validity {
    char not_before[24]; /* "issuance", or a time */
    char not_after[24];  /* "99991231235959Z", a time, or a duration such as "20y" or "3650d" */
};

struct profile_attribute {
    char type[PROFILE_OID_MAX + 1]; /* short name such as CN, or an OID */
    char value[PROFILE_TEXT_MAX + 1];
};

struct profile_constraints {
    bool critical, ca;
    int64_t path_length; /* PROFILE_PATH_NONE: not given */
};

struct profile_usage {
    bool critical;
    char bits[PROFILE_USAGES_MAX][PROFILE_OID_MAX + 1]; /* names of RFC 5280 section 4.2.1.3 */
    size_t count;
};

struct profile_purposes {
    bool critical;
    char purposes[PROFILE_LIST_MAX][PROFILE_OID_MAX + 1]; /* names or OIDs */
    size_t count;
};

struct profile_policy {
    char oid[PROFILE_OID_MAX + 1];
    char cps[PROFILE_TEXT_MAX + 1]; /* URI of the practice statement; empty: none */
};

struct profile_alt_name {
    char type[20];                    /* dns, uri, email, other_name, hardware_module */
    char oid[PROFILE_TEXT_MAX + 1];   /* of other_name; of hardware_module: hwType, a pattern */
    char value[PROFILE_TEXT_MAX + 1]; /* of hardware_module: hwSerialNum */
};

struct profile_alt_names {
    bool critical;
    struct profile_alt_name names[PROFILE_NAMES_MAX];
    size_t count;
};

struct profile_crl {
    char uri[PROFILE_TEXT_MAX + 1];
    struct profile_attribute issuer[PROFILE_ISSUER_MAX]; /* cRLIssuer of an indirect CRL */
    size_t issuer_count;
};

struct profile_access {
    char method[16]; /* ocsp, ca_issuers */
    char uri[PROFILE_TEXT_MAX + 1];
};

struct profile_extension {
    char oid[PROFILE_OID_MAX + 1];
    bool critical;
    char type[8];                    /* der: value is hexadecimal; utf8, octets: it is a pattern */
    char value[PROFILE_DER_MAX + 1]; /* a pattern is at most PROFILE_TEXT_MAX long */
};

struct cert_profile {
    char name[PROFILE_NAME_MAX + 1];
    char title[129];
    char issuer[PROFILE_NAME_MAX + 1]; /* profile that the issuing CA follows; empty: any CA */
    int64_t version;                   /* 1 or 3 */
    int64_t max_size;                  /* most octets of a certificate; 0: CERT_DER_MAX */
    struct profile_validity validity;
    struct profile_attribute subject[PROFILE_ATTRIBUTES_MAX];
    size_t subject_count;
    struct profile_constraints constraints;
    size_t has_constraints;
    struct profile_usage key_usage;
    struct profile_purposes purposes;
    bool subject_key_id, authority_key_id;
    struct profile_policy policies[PROFILE_LIST_MAX];
    size_t policy_count;
    struct profile_alt_names alt_names;
    struct profile_crl crls[PROFILE_LIST_MAX];
    size_t crl_count;
    struct profile_access access[PROFILE_LIST_MAX];
    size_t access_count;
    struct profile_extension extensions[PROFILE_LIST_MAX];
    size_t extension_count;
    char keys[KEY_TYPES][PROFILE_OID_MAX + 1]; /* types of device keys (pki/key.h); none: any */
    size_t key_count;
    char signatures[SCHEMES]
                   [PROFILE_OID_MAX + 1]; /* how its issuer signs (pki/scheme.h); likewise */
    size_t signature_count;
};

/*
 * Whether certificates of the profile are for keys of this type, and signed so: by its lists, and by
 * its key usages, for only EC keys agree on keys. Errors: ERR_REFUSED.
 */
bool cert_profile_signs(const struct cert_profile *profile, enum sig_scheme scheme);
MUST_USE int cert_profile_allows(const struct cert_profile *profile, enum key_type key,
                                 enum sig_scheme scheme, struct error *err);

/* The values that the patterns of a profile name, one bit each (enum pattern_value). */
unsigned cert_profile_uses(const struct cert_profile *profile);

/* The texts of a profile, one after the other: *at counts from 0; NULL after the last. */
const char *cert_profile_pattern(const struct cert_profile *profile, size_t *at);

bool cert_profile_has_extensions(const struct cert_profile *profile);

/*
 * SHA-256 of the profile's canonical content: canonical JSON (base/jcs.h) of every field, defaults
 * included but for keys and signatures, so that comments, order and layout of the file do not count. content may be NULL.
 */
MUST_USE int cert_profile_hash(const struct cert_profile *profile, uint8_t hash[32],
                               struct buf *content, struct error *err);

/* A time of a profile, RFC 3339 in UTC with seconds, from 1950 to 9999. */
MUST_USE int profile_time(const char *text, int64_t *out, struct error *err);

/* Whether every certificate has the same; and what it is for a certificate issued at a time. Errors
 * as profile_time; ERR_INPUT also when the end is not after the beginning. */
bool profile_begins_at_issuance(const struct profile_validity *v);
bool profile_end_is_relative(const struct profile_validity *v);
MUST_USE int profile_times(const struct profile_validity *v, int64_t issued, int64_t *not_before,
                           int64_t *not_after, struct error *err);

/* A dotted object identifier, or one of the names in use here. Errors: ERR_INPUT. Freed with
 * ASN1_OBJECT_free. */
MUST_USE int profile_attribute_type(const char *text, ASN1_OBJECT **out, struct error *err);
MUST_USE int profile_purpose(const char *text, ASN1_OBJECT **out, struct error *err);
MUST_USE int profile_oid(const char *text, ASN1_OBJECT **out, struct error *err);

/* Bit of a key usage as in X509_get_key_usage, 0 when there is none of that name. encipherOnly and
 * decipherOnly are not there: they say how a key agreement is not used, and nobody asks for them. */
unsigned profile_usage_bit(const char *name);

/* Form of the text of a subjectAltName's type, and its kind (GEN_* of openssl/x509v3.h); false when
 * there is none of that name. */
bool profile_alt_name_kind(const char *type, enum pattern_form *form, int *general);

/* Lengths (X.520 upper bounds) and form of an attribute's text. */
void profile_attribute_rule(const ASN1_OBJECT *type, enum pattern_form *form, size_t *least,
                            size_t *most);

#endif
