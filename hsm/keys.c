#include "hsm/keys.h"

#include "hsm/session.h"

#include <stdio.h>
#include <string.h>

#define SIGNING(label)                                                                             \
    {                                                                                              \
        label, CKM_EC_KEY_PAIR_GEN, CKO_PRIVATE_KEY, policy_signing_private,                       \
            policy_signing_public, false                                                           \
    }
#define SIGNING_CA(label)                                                                          \
    {                                                                                              \
        label, CKM_EC_KEY_PAIR_GEN, CKO_PRIVATE_KEY, policy_signing_private,                       \
            policy_signing_public, true                                                            \
    }

const struct key_policy key_policies[HSM_KEY_COUNT] = {
    [HSM_KEY_ROOT] = SIGNING_CA("root-ca"),
    [HSM_KEY_ISSUING_CA] = SIGNING_CA("issuing-ca"),
    [HSM_KEY_MANIFEST_ROOT] = SIGNING("manifest-root"),
    [HSM_KEY_MANIFEST_SIGN] = SIGNING("manifest-sign"),
    [HSM_KEY_LOG_SIGN] = SIGNING("log-sign"),
    [HSM_KEY_STATION_AUTH] = SIGNING("station-auth"),
    [HSM_KEY_LEDGER_HMAC] = {"ledger-hmac", CKM_GENERIC_SECRET_KEY_GEN, CKO_SECRET_KEY, policy_hmac,
                             NULL, false},
    [HSM_KEY_DERIVATION] = {"derivation-master", CKM_GENERIC_SECRET_KEY_GEN, CKO_SECRET_KEY,
                            policy_hmac, NULL, false},
};

const struct key_policy *key_policy_of(const struct hsm *h, enum hsm_key key)
{
    static const struct key_policy derives = {"derivation-master",
                                              CKM_GENERIC_SECRET_KEY_GEN,
                                              CKO_SECRET_KEY,
                                              policy_derivation,
                                              NULL,
                                              false};

    return key == HSM_KEY_DERIVATION && h->can.derivation == HSM_DERIVES_INSIDE
               ? &derives
               : &key_policies[key];
}

const char *hsm_key_label(enum hsm_key key)
{
    return key_policies[key].label;
}

void key_policy_name(const struct hsm *h, enum hsm_key key, unsigned generation,
                     struct key_named *out)
{
    out->policy = *key_policy_of(h, key);
    if (generation > 1)
        snprintf(out->text, sizeof out->text, "%s-%u", out->policy.label, generation);
    else
        snprintf(out->text, sizeof out->text, "%s", out->policy.label);
    out->policy.label = out->text;
}

/* The generation that h uses. */
static const struct key_policy *named(const struct hsm *h, enum hsm_key key, struct key_named *out)
{
    key_policy_name(h, key, h->key_generation[key], out);
    return &out->policy;
}

void hsm_use_generation(struct hsm *h, enum hsm_key key, unsigned generation)
{
    h = session_owner(h, key);
    if (h->key_generation[key] == generation)
        return;
    h->key_generation[key] = generation;
    h->keys[key] = (struct key_handles){CK_INVALID_HANDLE, CK_INVALID_HANDLE, NULL};
}

struct policy_fill key_policy_fill(const struct key_policy *policy, enum dialect dialect)
{
    return (struct policy_fill){.label = policy->label,
                                .id = (const uint8_t *)policy->label,
                                .id_len = strlen(policy->label),
                                .dialect = dialect};
}

/* A pair of which one half is missing is not a missing key: making it anew would leave three. */
static int find_pair(struct hsm *h, const struct key_policy *policy, struct key_handles *out,
                     struct error *err)
{
    int rc = session_find(h, policy->class, policy->label, NULL, 0, &out->key, err), public_rc;

    if (!policy->public_rows || (rc && rc != ERR_MISSING))
        return rc;
    public_rc = session_find(h, CKO_PUBLIC_KEY, policy->label, NULL, 0, &out->public, err);
    if ((rc == 0 && public_rc == ERR_MISSING) || (rc == ERR_MISSING && public_rc == 0))
        return error_set(err, ERR_HSM,
                         "token '%s' has only the %s half of key '%s': delete it and make the key "
                         "anew",
                         h->token, rc == 0 ? "private" : "public", policy->label);
    return public_rc;
}

/* Looks both halves up once a generation. */
static int handles_of(struct hsm *h, enum hsm_key key, struct key_handles **out, struct error *err)
{
    struct key_handles *handles = &h->keys[key],
                       found = {CK_INVALID_HANDLE, CK_INVALID_HANDLE, NULL};
    struct key_named name;
    int rc = 0;

    if (handles->key == CK_INVALID_HANDLE) {
        rc = find_pair(h, named(h, key, &name), &found, err);
        if (rc == 0 && name.policy.public_rows)
            rc = session_kind(h, &name.policy, found.key, found.public, &found.kind, err);
        if (rc == 0)
            *handles = found;
    }
    *out = handles;
    return rc;
}

static int check_half(struct hsm *h, CK_OBJECT_HANDLE object, const struct policy_row *rows,
                      const struct key_policy *policy, const struct key_kind *kind,
                      struct error *err)
{
    struct policy_fill fill = key_policy_fill(policy, h->can.dialect);
    CK_RV rv;
    int rc;

    fill.kind = kind;
    rc = policy_check(&h->module, h->session, object, rows, &fill, &rv, err);

    session_note(h, rv);
    if (rc)
        error_prefix(err, "token '%s', key '%s'", h->token, policy->label);
    return rc;
}

static int check_work(struct hsm *h, void *call, struct error *err)
{
    enum hsm_key key = *(enum hsm_key *)call;
    struct key_named name;
    const struct key_policy *policy = named(h, key, &name);
    struct key_handles *handles;
    struct public_key public;
    int rc = handles_of(h, key, &handles, err);

    if (rc == 0)
        rc = check_half(h, handles->key, policy->rows, policy, handles->kind, err);
    if (rc || !policy->public_rows)
        return rc;
    rc = check_half(h, handles->public, policy->public_rows, policy, handles->kind, err);
    if (rc == 0)
        rc = session_public(h, handles->public, handles->kind, &public, err);
    if (rc == 0)
        rc =
            session_prove_key(h, handles->key, handles->kind, "imprint key check v1", &public, err);
    if (rc == ERR_SIGNATURE)
        rc = error_set(err, ERR_HSM,
                       "token '%s', key '%s': the public key beside it belongs to another key",
                       h->token, policy->label);
    return rc;
}

int hsm_key_check(struct hsm *h, enum hsm_key key, struct error *err)
{
    return session_run(session_owner(h, key), check_work, &key, err);
}

static CK_RV generate(struct hsm *h, const struct key_policy *policy, const struct key_kind *kind,
                      CK_OBJECT_HANDLE *key)
{
    CK_MECHANISM mechanism = {policy->public_rows ? kind->generate : policy->generate, NULL, 0};
    struct policy_fill fill = key_policy_fill(policy, h->can.dialect);
    struct policy_attributes own, pub;
    CK_OBJECT_HANDLE public;

    if (policy->public_rows)
        fill.kind = kind;
    policy_template(policy->rows, &fill, &own);
    if (!policy->public_rows)
        return h->module.p11->C_GenerateKey(h->session, &mechanism, own.list, own.count, key);
    policy_template(policy->public_rows, &fill, &pub);
    return h->module.p11->C_GenerateKeyPair(h->session, &mechanism, pub.list, pub.count, own.list,
                                            own.count, &public, key);
}

struct create_call {
    enum hsm_key key;
    const struct key_kind *kind;
    bool tried; /* to make it, before the session was lost: what is there now is ours */
};

static int create_work(struct hsm *h, void *arg, struct error *err)
{
    struct create_call *call = arg;
    struct key_named name;
    const struct key_policy *policy = named(h, call->key, &name);
    struct key_handles *handles;
    CK_OBJECT_HANDLE made;
    CK_RV rv;
    int rc = handles_of(h, call->key, &handles, err);

    if (rc == 0 && call->tried)
        return check_work(h, &call->key, err);
    if (rc == 0)
        return error_set(err, ERR_EXISTS, "token '%s' has a key '%s' already", h->token,
                         policy->label);
    if (rc != ERR_MISSING)
        return rc;
    call->tried = true;
    rv = generate(h, policy, call->kind, &made);
    if (rv != CKR_OK) {
        rc = session_fail(h, rv, err, "does not make a key as the policy wants it");
        error_prefix(err, "key '%s'", policy->label);
        return rc;
    }
    rc = check_work(h, &call->key, err);
    if (rc == 0 && policy->public_rows && handles->kind != call->kind)
        rc = error_set(err, ERR_REFUSED,
                       "token '%s' does not keep CKA_ALLOWED_MECHANISMS, by which it is known how "
                       "an RSA key signs: choose a CA that signs with PKCS #1 v1.5",
                       h->token);
    return rc;
}

/* Both mechanisms have to be there, and do what they are listed for. */
static int need_mechanism(struct hsm *h, const struct key_kind *kind, CK_MECHANISM_TYPE mechanism,
                          const char *name, CK_FLAGS flag, struct error *err)
{
    CK_MECHANISM_INFO info;
    CK_RV rv = h->module.p11->C_GetMechanismInfo(h->slot, mechanism, &info);

    if (rv == CKR_OK && info.flags & flag)
        return 0;
    session_note(h, rv);
    return error_set(err, ERR_REFUSED, "token '%s' has no %s, which keys of type %s need", h->token,
                     name, key_type_name(kind->type));
}

static int kind_work(struct hsm *h, void *arg, struct error *err)
{
    const struct key_kind *kind = arg;
    int rc =
        need_mechanism(h, kind, kind->generate, kind->generate_name, CKF_GENERATE_KEY_PAIR, err);

    return rc ? rc : need_mechanism(h, kind, kind->sign, kind->sign_name, CKF_SIGN, err);
}

int hsm_key_can(struct hsm *h, enum hsm_key key, enum key_type type, enum sig_scheme scheme,
                struct error *err)
{
    const struct key_kind *kind = key_kind_of(type, scheme);

    if (!kind)
        return error_set(err, ERR_INPUT, "keys of type %s do not sign with %s", key_type_name(type),
                         scheme_name(scheme));
    return session_run(session_owner(h, key), kind_work, (void *)(uintptr_t)kind, err);
}

int hsm_key_create_as(struct hsm *h, enum hsm_key key, enum key_type type, enum sig_scheme scheme,
                      struct error *err)
{
    struct create_call call = {.key = key, .kind = key_kind_of(type, scheme)};
    int rc = hsm_key_can(h, key, type, scheme, err);

    if (rc == 0 && !key_policies[key].any_kind && call.kind != key_kind_at(0))
        rc = error_set(err, ERR_INTERNAL, "key '%s' is always a P-256 key", hsm_key_label(key));
    return rc ? rc : session_run(session_owner(h, key), create_work, &call, err);
}

int hsm_key_create(struct hsm *h, enum hsm_key key, struct error *err)
{
    struct create_call call = {.key = key, .kind = key_kind_at(0)};

    return session_run(session_owner(h, key), create_work, &call, err);
}

static int destroy_half(struct hsm *h, CK_OBJECT_HANDLE half, struct error *err)
{
    CK_RV rv = h->module.p11->C_DestroyObject(h->session, half);

    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot delete half a key pair");
}

/* Where both halves are there, or none, nothing is done. */
static int clear_work(struct hsm *h, void *arg, struct error *err)
{
    enum hsm_key key = *(enum hsm_key *)arg;
    struct key_named name;
    const struct key_policy *policy = named(h, key, &name);
    CK_OBJECT_HANDLE own, other;
    int own_rc = session_find(h, policy->class, policy->label, NULL, 0, &own, err), other_rc;

    if (own_rc && own_rc != ERR_MISSING)
        return own_rc;
    other_rc = session_find(h, CKO_PUBLIC_KEY, policy->label, NULL, 0, &other, err);
    if (other_rc && other_rc != ERR_MISSING)
        return other_rc;
    if (own_rc == other_rc)
        return 0;
    return destroy_half(h, own_rc ? other : own, err);
}

int hsm_key_complete(struct hsm *h, enum hsm_key key, struct error *err)
{
    int rc = session_run(session_owner(h, key), clear_work, &key, err);

    if (rc == 0)
        rc = hsm_key_create(h, key, err);
    return rc == ERR_EXISTS ? hsm_key_check(h, key, err) : rc;
}

/* Whatever halves are there. */
static int destroy_work(struct hsm *h, void *arg, struct error *err)
{
    enum hsm_key key = *(enum hsm_key *)arg;
    struct key_named name;
    const struct key_policy *policy = named(h, key, &name);
    const CK_OBJECT_CLASS classes[] = {policy->class, CKO_PUBLIC_KEY};
    int rc = 0;

    h->keys[key] = (struct key_handles){CK_INVALID_HANDLE, CK_INVALID_HANDLE, NULL};
    for (size_t i = 0; rc == 0 && i < sizeof classes / sizeof *classes; i++) {
        CK_OBJECT_HANDLE half;

        rc = session_find(h, classes[i], policy->label, NULL, 0, &half, err);
        if (rc == 0)
            rc = destroy_half(h, half, err);
        else if (rc == ERR_MISSING)
            rc = 0;
    }
    return rc;
}

static int is_gone_work(struct hsm *h, void *arg, struct error *err)
{
    struct key_named name;
    const struct key_policy *policy = named(h, *(enum hsm_key *)arg, &name);
    CK_OBJECT_HANDLE half;
    int rc = session_find(h, policy->class, policy->label, NULL, 0, &half, err);

    if (rc == ERR_MISSING)
        return 0;
    return rc ? rc
              : error_set(err, ERR_HSM,
                          "token '%s' says that it destroyed key '%s' and has it still", h->token,
                          policy->label);
}

int hsm_key_destroy(struct hsm *h, enum hsm_key key, struct error *err)
{
    int rc = session_run(session_owner(h, key), destroy_work, &key, err);

    return rc ? rc : session_run(session_owner(h, key), is_gone_work, &key, err);
}

struct point_call {
    enum hsm_key key;
    uint8_t *point;
};

static int point_work(struct hsm *h, void *arg, struct error *err)
{
    struct point_call *call = arg;
    struct key_handles *handles;
    int rc = handles_of(h, call->key, &handles, err);

    if (rc == 0 && !key_policies[call->key].public_rows)
        rc = error_set(err, ERR_INTERNAL, "key '%s' has no public half",
                       key_policies[call->key].label);
    return rc ? rc : session_point(h, handles->public, call->point, err);
}

int hsm_key_point(struct hsm *h, enum hsm_key key, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    return session_run(session_owner(h, key), point_work, &(struct point_call){key, point}, err);
}

struct public_call {
    enum hsm_key key;
    struct public_key *public;
    enum sig_scheme *scheme;
};

static int public_work(struct hsm *h, void *arg, struct error *err)
{
    struct public_call *call = arg;
    struct key_handles *handles;
    int rc = handles_of(h, call->key, &handles, err);

    if (rc == 0 && !key_policies[call->key].public_rows)
        rc = error_set(err, ERR_INTERNAL, "key '%s' has no public half",
                       key_policies[call->key].label);
    if (rc)
        return rc;
    *call->scheme = handles->kind->scheme;
    return session_public(h, handles->public, handles->kind, call->public, err);
}

int hsm_key_public(struct hsm *h, enum hsm_key key, struct public_key *public,
                   enum sig_scheme *scheme, struct error *err)
{
    enum sig_scheme found;

    return session_run(session_owner(h, key), public_work,
                       &(struct public_call){key, public, scheme ? scheme : &found}, err);
}

struct certify_call {
    enum hsm_key key;
    enum sig_scheme scheme;
    const void *bytes;
    size_t len;
    bool digested;
    struct signature *sig;
};

static int certify_work(struct hsm *h, void *arg, struct error *err)
{
    struct certify_call *call = arg;
    struct key_handles *handles;
    int rc = handles_of(h, call->key, &handles, err);

    if (rc == 0 && handles->kind->scheme != call->scheme)
        rc = error_set(err, ERR_HSM, "token '%s', key '%s': it is another key than before",
                       h->token, key_policies[call->key].label);
    return rc ? rc
              : session_sign_kind(h, handles->key, handles->kind, call->bytes, call->len,
                                  call->digested, call->sig, err);
}

int hsm_certify(struct hsm *h, enum hsm_key key, enum sig_scheme scheme, const void *bytes,
                size_t len, bool digested, struct signature *sig, struct error *err)
{
    struct certify_call call = {key, scheme, bytes, len, digested, sig};

    return session_run(session_owner(h, key), certify_work, &call, err);
}

int key_handle(struct hsm *h, enum hsm_key key, CK_OBJECT_HANDLE *out, struct error *err)
{
    struct key_handles *handles;
    int rc = handles_of(h, key, &handles, err);

    if (rc == 0)
        *out = handles->key;
    return rc;
}

struct digest_call {
    enum hsm_key key;
    const uint8_t *digest;
    uint8_t *sig;
};

static int sign_digest_work(struct hsm *h, void *arg, struct error *err)
{
    struct digest_call *call = arg;
    struct key_handles *handles;
    int rc = handles_of(h, call->key, &handles, err);

    return rc ? rc : session_sign_digest(h, handles->key, call->digest, call->sig, err);
}

int key_sign_digest(struct hsm *h, enum hsm_key key, const uint8_t digest[SHA256_SIZE],
                    uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    return session_run(session_owner(h, key), sign_digest_work,
                       &(struct digest_call){key, digest, sig}, err);
}

struct sign_call {
    enum hsm_key key;
    const void *message;
    size_t len;
    uint8_t *out;
};

static int sign_work(struct hsm *h, void *arg, struct error *err)
{
    struct sign_call *call = arg;
    struct key_handles *handles;
    int rc = handles_of(h, call->key, &handles, err);

    return rc ? rc : session_sign(h, handles->key, call->message, call->len, call->out, err);
}

int hsm_sign(struct hsm *h, enum hsm_key key, const void *message, size_t len,
             uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    return session_run(session_owner(h, key), sign_work,
                       &(struct sign_call){key, message, len, sig}, err);
}

static int hmac_work(struct hsm *h, void *arg, struct error *err)
{
    struct sign_call *call = arg;
    CK_OBJECT_HANDLE key;
    int rc = key_handle(h, call->key, &key, err);

    return rc ? rc : session_mac(h, key, call->message, call->len, call->out, err);
}

int hsm_hmac(struct hsm *h, const void *message, size_t len, uint8_t mac[HSM_MAC_SIZE],
             struct error *err)
{
    struct sign_call call = {HSM_KEY_LEDGER_HMAC, message, len, mac};

    return session_run(h, hmac_work, &call, err);
}

int hsm_hmac_verify(struct hsm *h, const void *message, size_t len, const uint8_t mac[HSM_MAC_SIZE],
                    struct error *err)
{
    uint8_t made[HSM_MAC_SIZE];
    int rc = hsm_hmac(h, message, len, made, err);

    if (rc == 0 && !sha256_equal(made, mac))
        rc = error_set(err, ERR_INTEGRITY,
                       "a MAC does not match: the record was changed, or made with another token");
    explicit_bzero(made, sizeof made);
    return rc;
}

struct random_call {
    void *out;
    size_t len;
};

static int random_work(struct hsm *h, void *arg, struct error *err)
{
    struct random_call *call = arg;

    return session_random(h, call->out, call->len, err);
}

int hsm_random(struct hsm *h, void *out, size_t len, struct error *err)
{
    return session_run(h, random_work, &(struct random_call){out, len}, err);
}
