/* Key pairs of every kind: what they are on the token, and how they sign (hsm/session.h). */
#include "hsm/session.h"

#include <string.h>

#define VALUE_MAX 512

/* DigestInfo of SHA-256 up to the digest (RFC 8017 section 9.2). */
static const uint8_t digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

/* ---- what a key is ---- */

/* A number or short value; *len is 0 where the object has no such attribute. */
static int read_value(struct hsm *h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *value,
                      CK_ULONG room, CK_ULONG *len, struct error *err)
{
    CK_ATTRIBUTE is = {type, value, room};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, object, &is, 1);

    *len = rv == CKR_OK ? is.ulValueLen : 0;
    if (rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID)
        return 0;
    return session_fail(h, rv, err, "cannot read what kind of key it has");
}

struct found {
    CK_KEY_TYPE class;
    uint8_t params[VALUE_MAX];
    CK_ULONG params_len, bits;
    CK_MECHANISM_TYPE only; /* the one mechanism that the private half allows; 0: not said */
};

static int look(struct hsm *h, CK_OBJECT_HANDLE private, CK_OBJECT_HANDLE public, struct found *f,
                struct error *err)
{
    CK_MECHANISM_TYPE allowed[4];
    CK_ULONG len;
    int rc = read_value(h, private, CKA_KEY_TYPE, &f->class, sizeof f->class, &len, err);

    if (rc == 0 && f->class == CKK_RSA)
        rc = read_value(h, public, CKA_MODULUS_BITS, &f->bits, sizeof f->bits, &len, err);
    else if (rc == 0)
        rc = read_value(h, public, CKA_EC_PARAMS, f->params, sizeof f->params, &f->params_len, err);
    if (rc == 0 && f->class == CKK_RSA) {
        rc = read_value(h, private, CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed, &len, err);
        f->only = len == sizeof *allowed ? allowed[0] : 0;
    }
    return rc;
}

/* An RSA key of a token that does not keep CKA_ALLOWED_MECHANISMS signs with PKCS #1 v1.5. */
static bool is_kind(const struct key_kind *kind, const struct found *f)
{
    if (kind->class != f->class)
        return false;
    if (kind->bits)
        return kind->bits == f->bits && kind->sign == (f->only ? f->only : CKM_RSA_PKCS);
    return kind->params_len == f->params_len && memcmp(kind->params, f->params, f->params_len) == 0;
}

int session_kind(struct hsm *h, const struct key_policy *policy, CK_OBJECT_HANDLE private,
                 CK_OBJECT_HANDLE public, const struct key_kind **out, struct error *err)
{
    struct found f = {0};
    int rc;

    *out = key_kind_at(0);
    if (!policy->any_kind)
        return 0;
    rc = look(h, private, public, &f, err);
    for (size_t i = 0; rc == 0 && key_kind_at(i); i++)
        if (is_kind(key_kind_at(i), &f)) {
            *out = key_kind_at(i);
            break;
        }
    return rc; /* a key of no kind is told by the rows of P-256, which it does not have */
}

/* ---- public keys ---- */

/* CKA_EC_POINT is an OCTET STRING around the point, on some tokens the bare point. */
static int read_point(struct hsm *h, CK_OBJECT_HANDLE public, const struct key_kind *kind,
                      struct public_key *out, struct error *err)
{
    uint8_t value[VALUE_MAX];
    size_t size = key_raw_length(kind->type);
    CK_ATTRIBUTE is = {CKA_EC_POINT, value, sizeof value};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, public, &is, 1);
    const uint8_t *at = value;

    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot read a public key");
    if (is.ulValueLen == size + 2 && value[0] == 0x04 && value[1] == size)
        at += 2;
    else if (is.ulValueLen != size)
        size = 0;
    if (size == 0 || key_from_raw(kind->type, at, size, out, NULL))
        return error_set(err, ERR_HSM, "token '%s': a public key is no uncompressed %s key",
                         h->token, kind->type == KEY_P256 ? "P-256" : key_type_name(kind->type));
    return 0;
}

static int read_modulus(struct hsm *h, CK_OBJECT_HANDLE public, const struct key_kind *kind,
                        struct public_key *out, struct error *err)
{
    uint8_t value[VALUE_MAX], *at = value;
    CK_ATTRIBUTE is = {CKA_MODULUS, value, sizeof value};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, public, &is, 1);
    size_t len = is.ulValueLen;

    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot read a public key");
    for (; len > 0 && *at == 0; len--)
        at++;
    if (key_from_raw(kind->type, at, len, out, NULL))
        return error_set(err, ERR_HSM, "token '%s': a public key is no RSA key of %lu bits",
                         h->token, kind->bits);
    return 0;
}

int session_public(struct hsm *h, CK_OBJECT_HANDLE public, const struct key_kind *kind,
                   struct public_key *out, struct error *err)
{
    return kind->bits ? read_modulus(h, public, kind, out, err)
                      : read_point(h, public, kind, out, err);
}

/* ---- making ---- */

int session_make_kind(struct hsm *h, const struct key_kind *kind,
                      const struct policy_row *private_rows, const struct policy_row *public_rows,
                      CK_OBJECT_HANDLE *private, CK_OBJECT_HANDLE *public, struct public_key *key,
                      struct error *err)
{
    CK_MECHANISM mechanism = {kind->generate, NULL, 0};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes priv, pub;
    CK_OBJECT_HANDLE made_private, made_public;
    CK_RV rv;
    int rc;

    fill.kind = kind;
    policy_template(private_rows, &fill, &priv);
    policy_template(public_rows, &fill, &pub);
    rv = h->module.p11->C_GenerateKeyPair(h->session, &mechanism, pub.list, pub.count, priv.list,
                                          priv.count, &made_public, &made_private);
    if (rv != CKR_OK) {
        (void)session_fail(h, rv, err, "cannot make a key pair");
        return error_prefix(err, "%s (%s)", key_type_name(kind->type), kind->generate_name);
    }
    rc = session_public(h, made_public, kind, key, err);
    if (rc) {
        session_destroy(h, made_private);
        session_destroy(h, made_public);
        return rc;
    }
    *private = made_private;
    *public = made_public;
    return 0;
}

/* ---- signing ---- */

/* What the token is handed: the digest, of PKCS #1 v1.5 with its name, of Ed25519 the message. */
static int prepare(const struct key_kind *kind, const void *bytes, size_t len, bool digested,
                   struct buf *out, struct error *err)
{
    const EVP_MD *md = scheme_digest(kind->scheme);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (kind->scheme == SCHEME_RSA_PKCS1_SHA256)
        buf_put(out, digest_info, sizeof digest_info);
    if (!md || digested)
        buf_put(out, bytes, len);
    else if (EVP_Digest(bytes, len, digest, &size, md, NULL) == 1)
        buf_put(out, digest, size);
    else
        return error_set(err, ERR_CRYPTO, "OpenSSL cannot hash");
    return buf_check(out, "what a key signs", err);
}

static int take_signature(const struct hsm *h, const struct key_kind *kind, const uint8_t *made,
                          CK_ULONG len, struct signature *sig, struct error *err)
{
    if (len != scheme_raw_length(kind->type))
        return error_set(err, ERR_HSM, "token '%s' made a signature of %lu bytes instead of %zu",
                         h->token, len, scheme_raw_length(kind->type));
    if (kind->type == KEY_P256)
        ec_sig_to_der(made, sig->bytes, &sig->len);
    else if (kind->type == KEY_P384)
        return scheme_raw_to_der(made, len, sig) ? error_set(err, ERR_INTERNAL, "out of memory")
                                                 : 0;
    else
        memcpy(sig->bytes, made, sig->len = len);
    return 0;
}

int session_sign_kind(struct hsm *h, CK_OBJECT_HANDLE key, const struct key_kind *kind,
                      const void *bytes, size_t len, bool digested, struct signature *sig,
                      struct error *err)
{
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, SHA256_SIZE};
    CK_MECHANISM mechanism = {kind->sign, NULL, 0};
    uint8_t made[SCHEME_SIG_MAX];
    CK_ULONG made_len = sizeof made;
    struct buf input;
    CK_RV rv;
    int rc;

    if (kind->sign == CKM_RSA_PKCS_PSS)
        mechanism = (CK_MECHANISM){kind->sign, &pss, sizeof pss};
    buf_init(&input, SCHEME_MESSAGE_MAX);
    rc = prepare(kind, bytes, len, digested, &input, err);
    if (rc == 0) {
        rv = h->module.p11->C_SignInit(h->session, &mechanism, key);
        if (rv == CKR_OK)
            rv = h->module.p11->C_Sign(h->session, input.data, input.len, made, &made_len);
        rc = rv == CKR_OK ? take_signature(h, kind, made, made_len, sig, err)
                          : session_fail(h, rv, err, "cannot sign");
    }
    buf_done(&input);
    return rc;
}

int session_prove_key(struct hsm *h, CK_OBJECT_HANDLE key, const struct key_kind *kind,
                      const char *label, const struct public_key *public, struct error *err)
{
    uint8_t message[96] = {0};
    size_t used = strlen(label) + 1;
    struct signature sig;
    int rc;

    memcpy(message, label, used);
    rc = session_random(h, message + used, 32, err);
    if (rc == 0)
        rc = session_sign_kind(h, key, kind, message, used + 32, false, &sig, err);
    return rc ? rc
              : scheme_verify_key(public, kind->scheme, message, used + 32, sig.bytes, sig.len,
                                  err);
}
