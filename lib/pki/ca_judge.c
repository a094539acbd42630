/* Judges the chain of an issuing CA (pki/ca_chain.h): a table of small questions, each with its own
 * sentence, and OpenSSL's verification at the end. */
#include "pki/ca_chain.h"

#include "base/clock.h"
#include "pki/profile.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define RSA_BITS_MIN 2048
#define AUTH_LEVEL   2 /* of OpenSSL: 112 bits, no SHA-1 */

/* One certificate of the chain, and what is asked of it. */
struct judged {
    const struct ca_chain *chain;
    const struct ca_chain_expect *expect;
    size_t at;
    X509 *cert, *above; /* above: itself for the root */
    char name[CA_NAME_SIZE];
};

static bool is_root(const struct judged *j)
{
    return j->at + 1 == j->chain->count;
}

/* ---- each certificate ---- */

static int check_version(const struct judged *j, struct error *err)
{
    if (X509_get_version(j->cert) == X509_VERSION_3)
        return 0;
    return error_set(err, ERR_REFUSED, "the certificate of '%s' is of version %ld: a CA needs 3",
                     j->name, X509_get_version(j->cert) + 1);
}

static int check_number(const struct judged *j, struct error *err)
{
    const ASN1_INTEGER *number = X509_get0_serialNumber(j->cert);

    if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER)
        return error_set(err, ERR_REFUSED, "the serial number of '%s' is negative", j->name);
    if (ASN1_STRING_length(number) > 20)
        return error_set(err, ERR_REFUSED,
                         "the serial number of '%s' has %d octets: 20 are the most", j->name,
                         ASN1_STRING_length(number));
    return 0;
}

static bool has_nul(X509_NAME *name)
{
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
        int type = ASN1_STRING_type(s);

        /* two and four octets a character have zeros of their own */
        if (type != V_ASN1_BMPSTRING && type != V_ASN1_UNIVERSALSTRING &&
            memchr(ASN1_STRING_get0_data(s), 0, (size_t)ASN1_STRING_length(s)))
            return true;
    }
    return false;
}

static int check_subject(const struct judged *j, struct error *err)
{
    X509_NAME *subject = X509_get_subject_name(j->cert);

    if (X509_NAME_entry_count(subject) == 0)
        return error_set(err, ERR_REFUSED,
                         "certificate %zu of the chain has an empty subject: a CA needs a name",
                         j->at + 1);
    if (has_nul(subject))
        return error_set(err, ERR_REFUSED,
                         "the subject of '%s' has a NUL in it: to some programs it is another name",
                         j->name);
    return 0;
}

static int check_extensions(const struct judged *j, struct error *err)
{
    uint32_t flags = X509_get_extension_flags(j->cert);
    char oid[80];

    if (flags & EXFLAG_INVALID)
        return error_set(err, ERR_REFUSED,
                         "an extension of the certificate of '%s' is malformed, or there twice",
                         j->name);
    for (int i = 0; flags & EXFLAG_CRITICAL && i < X509_get_ext_count(j->cert); i++) {
        X509_EXTENSION *e = X509_get_ext(j->cert, i);

        if (!X509_EXTENSION_get_critical(e) || X509_supported_extension(e))
            continue;
        OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(e), 1);
        return error_set(err, ERR_REFUSED,
                         "the certificate of '%s' has the critical extension %s, which nobody here "
                         "understands",
                         j->name, oid);
    }
    return 0;
}

static int check_ca(const struct judged *j, struct error *err)
{
    int at = X509_get_ext_by_NID(j->cert, NID_basic_constraints, -1);

    if (at < 0)
        return error_set(err, ERR_REFUSED, "'%s' has no basicConstraints: it is no CA", j->name);
    if (!(X509_get_extension_flags(j->cert) & EXFLAG_CA))
        return error_set(err, ERR_REFUSED, "the basicConstraints of '%s' say that it is no CA",
                         j->name);
    if (!X509_EXTENSION_get_critical(X509_get_ext(j->cert, at)))
        return error_set(err, ERR_REFUSED, "the basicConstraints of '%s' are not critical",
                         j->name);
    return 0;
}

static int check_key_usage(const struct judged *j, struct error *err)
{
    uint32_t usage = X509_get_key_usage(j->cert);

    if (X509_get_ext_by_NID(j->cert, NID_key_usage, -1) < 0)
        return error_set(err, ERR_REFUSED, "'%s' has no keyUsage: a CA has to have one", j->name);
    if (!(usage & KU_KEY_CERT_SIGN))
        return error_set(err, ERR_REFUSED, "the keyUsage of '%s' lacks keyCertSign", j->name);
    if (j->at == 0 && !(usage & KU_CRL_SIGN))
        return error_set(err, ERR_REFUSED,
                         "the keyUsage of '%s' lacks cRLSign: nobody could revoke what it issues",
                         j->name);
    return 0;
}

static int check_path(const struct judged *j, struct error *err)
{
    long most = X509_get_pathlen(j->cert), below = (long)j->at;

    if (j->at == 0 && most != 0)
        return error_set(err, ERR_REFUSED,
                         "'%s' has %s: an issuing CA needs path length 0, so that there is no CA "
                         "below it",
                         j->name, most < 0 ? "no path length" : "a path length above 0");
    if (most >= 0 && most < below)
        return error_set(err, ERR_REFUSED,
                         "the path length of '%s' is %ld, and %ld CAs are below it in this chain",
                         j->name, most, below);
    return 0;
}

static int check_key_ids(const struct judged *j, struct error *err)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(j->cert);
    const ASN1_OCTET_STRING *said = X509_get0_authority_key_id(j->cert);
    const ASN1_OCTET_STRING *of = X509_get0_subject_key_id(j->above);

    if (!id)
        return error_set(err, ERR_REFUSED, "'%s' has no subjectKeyIdentifier", j->name);
    if (j->at == 0 && ASN1_STRING_length(id) != CERT_KEY_ID_SIZE)
        return error_set(err, ERR_REFUSED,
                         "the subjectKeyIdentifier of '%s' has %d octets, and certificates of "
                         "devices have room for %d",
                         j->name, ASN1_STRING_length(id), CERT_KEY_ID_SIZE);
    if (said && of && ASN1_OCTET_STRING_cmp(said, of))
        return error_set(err, ERR_REFUSED,
                         "the authorityKeyIdentifier of '%s' is not the subjectKeyIdentifier of "
                         "the CA above it",
                         j->name);
    return 0;
}

/* ---- times ---- */

static int check_times(const struct judged *j, struct error *err)
{
    char text[CLOCK_TEXT_SIZE];
    int64_t begin, end;

    if (!ca_times(j->cert, &begin, &end))
        return error_set(err, ERR_REFUSED, "the validity of '%s' cannot be read", j->name);
    clock_text(j->expect->now < begin ? begin : end, text);
    if (end <= begin)
        return error_set(err, ERR_REFUSED, "the certificate of '%s' ends before it begins",
                         j->name);
    if (j->expect->now < begin)
        return error_set(err, ERR_CLOCK, "the certificate of '%s' is not valid before %s", j->name,
                         text);
    if (j->expect->now >= end)
        return error_set(err, ERR_CLOCK, "the certificate of '%s' expired on %s", j->name, text);
    return 0;
}

static int check_life(const struct judged *j, struct error *err)
{
    char above[CA_NAME_SIZE];
    int64_t begin, end, from, until;

    if (!ca_times(j->cert, &begin, &end) || !ca_times(j->above, &from, &until) || end <= until)
        return 0;
    ca_name(j->above, above);
    return error_set(err, ERR_REFUSED,
                     "the certificate of '%s' outlives that of '%s' above it: let it end no later",
                     j->name, above);
}

/* ---- keys and signatures ---- */

static int check_key(const struct judged *j, struct error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(j->cert);
    int type = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;

    if (!key)
        return error_set(err, ERR_REFUSED, "the public key of '%s' cannot be read", j->name);
    if (type != EVP_PKEY_EC && type != EVP_PKEY_RSA && type != EVP_PKEY_RSA_PSS &&
        type != EVP_PKEY_ED25519)
        return error_set(err, ERR_REFUSED,
                         "the key of '%s' is neither of an elliptic curve nor RSA nor Ed25519",
                         j->name);
    if ((type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
        return error_set(err, ERR_REFUSED, "the RSA key of '%s' has %d bits: %d are the least",
                         j->name, EVP_PKEY_get_bits(key), RSA_BITS_MIN);
    if (type == EVP_PKEY_EC && EVP_PKEY_get_security_bits(key) < 128)
        return error_set(err, ERR_REFUSED,
                         "the curve of '%s' has fewer than 256 bits: P-256 is the least", j->name);
    return 0;
}

static int check_algorithm(const struct judged *j, struct error *err)
{
    int digest = NID_undef, bits = 0;

    if (is_root(j) && j->at) /* nobody verifies the signature of a root that is pinned */
        return 0;
    if (X509_get_signature_info(j->cert, &digest, NULL, &bits, NULL) != 1)
        return error_set(err, ERR_REFUSED, "the signature algorithm of '%s' is not known here",
                         j->name);
    if (digest == NID_sha1 || digest == NID_md5 || bits < 112)
        return error_set(err, ERR_REFUSED,
                         "the certificate of '%s' is signed with %s: SHA-256 is the least", j->name,
                         digest == NID_undef ? "a weak algorithm" : OBJ_nid2ln(digest));
    return 0;
}

static int check_signature(const struct judged *j, struct error *err)
{
    char above[CA_NAME_SIZE];
    int good = X509_verify(j->cert, X509_get0_pubkey(j->above));

    ERR_clear_error();
    if (good == 1)
        return 0;
    ca_name(j->above, above);
    return error_set(err, ERR_SIGNATURE,
                     "the certificate of '%s' was not signed by '%s', whose name it bears as its "
                     "issuer's",
                     j->name, above);
}

/* ---- the issuing CA alone ---- */

static bool has_unit(X509_NAME *subject, const char *unit)
{
    int at = -1;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) >= 0) {
        const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

        if ((size_t)ASN1_STRING_length(s) == strlen(unit) &&
            memcmp(ASN1_STRING_get0_data(s), unit, strlen(unit)) == 0)
            return true;
    }
    return false;
}

static int check_environment(const struct judged *j, struct error *err)
{
    const char *unit = j->expect->environment;

    if (!unit || j->at || has_unit(X509_get_subject_name(j->cert), unit))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the subject of '%s' has no OU '%s', the environment of this station: "
                     "environments are never mixed, let it be certified as it was requested",
                     j->name, unit);
}

typedef int question(const struct judged *j, struct error *err);

/* In this order: what a later one finds may come of what an earlier one would have said. */
static question *const questions[] = {
    check_version,     check_number, check_subject,   check_extensions, check_ca,
    check_key_usage,   check_path,   check_key_ids,   check_times,      check_life,
    check_environment, check_key,    check_algorithm, check_signature,
};

static int judge_one(const struct ca_chain *chain, const struct ca_chain_expect *expect, size_t at,
                     struct error *err)
{
    struct judged j = {.chain = chain, .expect = expect, .at = at, .cert = chain->certs[at]};
    int rc = 0;

    j.above = is_root(&j) ? j.cert : chain->certs[at + 1];
    ca_name(j.cert, j.name);
    (void)X509_check_purpose(j.cert, -1, 0); /* OpenSSL reads the extensions then */
    for (size_t i = 0; rc == 0 && i < sizeof questions / sizeof *questions; i++)
        rc = questions[i](&j, err);
    return rc;
}

/* A name or key that is there twice: who revokes the one would revoke the other. */
static int check_apart(const struct ca_chain *chain, struct error *err)
{
    char name[CA_NAME_SIZE];

    for (size_t i = 0; i < chain->count; i++)
        for (size_t k = 0; k < i; k++) {
            ca_name(chain->certs[i], name);
            if (X509_NAME_cmp(X509_get_subject_name(chain->certs[i]),
                              X509_get_subject_name(chain->certs[k])) == 0)
                return error_set(err, ERR_REFUSED, "two CAs of the chain have the name '%s'", name);
            if (EVP_PKEY_eq(X509_get0_pubkey(chain->certs[i]), X509_get0_pubkey(chain->certs[k])) ==
                1)
                return error_set(err, ERR_REFUSED, "'%s' has the key of another CA of the chain",
                                 name);
        }
    return 0;
}

static int verify(const struct ca_chain *chain, const struct ca_chain_expect *expect,
                  struct error *err)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    bool ready =
        store && ctx && between && X509_STORE_add_cert(store, chain->certs[chain->count - 1]) == 1;
    int rc = 0;

    for (size_t i = 1; ready && i + 1 < chain->count; i++)
        ready = sk_X509_push(between, chain->certs[i]) > 0;
    if (!ready || X509_STORE_CTX_init(ctx, store, chain->certs[0], between) != 1) {
        rc = error_set(err, ERR_CRYPTO, "cannot set up the verification of a chain");
    } else {
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
        X509_STORE_CTX_set_time(ctx, 0, (time_t)expect->now);
        X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(ctx), AUTH_LEVEL);
        if (X509_verify_cert(ctx) != 1)
            rc = error_set(err, ERR_SIGNATURE, "OpenSSL refuses the chain: %s",
                           X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    sk_X509_free(between);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return rc;
}

int ca_chain_judge(const struct ca_chain *chain, const struct ca_chain_expect *expect,
                   struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < chain->count; i++)
        rc = judge_one(chain, expect, i, err);
    if (rc == 0)
        rc = check_apart(chain, err);
    return rc ? rc : verify(chain, expect, err);
}
