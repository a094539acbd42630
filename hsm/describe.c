/* What a ceremony writes down of a token and its keys (hsm/audit.h). */
#include "hsm/audit.h"
#include "hsm/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE 320

/* One half of a key: what was read, in the order of the names. */
struct half {
    size_t count;
    const char *names[POLICY_ROWS_MAX];
    char values[POLICY_ROWS_MAX][VALUE_SIZE];
};

struct key_text {
    const struct key_policy *policy; /* NULL for an anchor */
    const char *label;
    bool there, has_public;
    struct half own, public;
    struct public_key key;
};

static int by_name(const void *a, const void *b)
{
    const struct policy_row *const *first = a, *const *second = b;

    return strcmp((*first)->name, (*second)->name);
}

static int read_half(struct hsm *h, CK_OBJECT_HANDLE object, const struct policy_row *rows,
                     const struct key_kind *kind, bool with_label, struct half *out,
                     struct error *err)
{
    const struct policy_row *sorted[POLICY_ROWS_MAX];
    size_t n = 0;

    for (; rows->name; rows++)
        if (rows->use & USE_READ && policy_is_kept(rows, h->can.dialect) &&
            policy_applies(rows, kind) && (with_label || !(rows->use & USE_LABEL)))
            sorted[n++] = rows;
    qsort(sorted, n, sizeof *sorted, by_name);
    for (out->count = 0; out->count < n; out->count++) {
        struct buf text;
        CK_RV rv;

        buf_init(&text, VALUE_SIZE - 1);
        rv = policy_read_text(&h->module, h->session, object, sorted[out->count], &text);
        out->names[out->count] = sorted[out->count]->name;
        snprintf(out->values[out->count], VALUE_SIZE, "%.*s", (int)text.len,
                 text.data ? (const char *)text.data : "");
        buf_done(&text);
        if (rv != CKR_OK)
            return session_fail(h, rv, err, "cannot read an attribute of a key");
    }
    return 0;
}

static int read_key(struct hsm *h, struct key_text *t, struct error *err)
{
    const struct key_kind *kind = NULL;
    CK_OBJECT_HANDLE own, public = CK_INVALID_HANDLE;
    int rc = session_find(h, t->policy->class, t->label, NULL, 0, &own, err);

    if (rc == 0 && t->policy->public_rows)
        rc = session_find(h, CKO_PUBLIC_KEY, t->label, NULL, 0, &public, err);
    if (rc == 0 && t->policy->public_rows)
        rc = session_kind(h, t->policy, own, public, &kind, err);
    if (rc == 0)
        rc = read_half(h, own, t->policy->rows, kind, true, &t->own, err);
    if (rc || !t->policy->public_rows)
        return rc;
    rc = read_half(h, public, t->policy->public_rows, kind, true, &t->public, err);
    if (rc == 0)
        rc = session_public(h, public, kind, &t->key, err);
    t->has_public = rc == 0;
    return rc;
}

static int read_anchor(struct hsm *h, struct key_text *t, struct error *err)
{
    CK_OBJECT_HANDLE key;
    int rc = anchor_find(h, t->label, &key, err);

    return rc ? rc : read_half(h, key, policy_anchor, NULL, false, &t->own, err);
}

static int key_work(struct hsm *h, void *arg, struct error *err)
{
    struct key_text *t = arg;
    int rc = t->policy ? read_key(h, t, err) : read_anchor(h, t, err);

    t->there = rc == 0;
    return rc == ERR_MISSING ? 0 : rc;
}

static void put_half(struct jcs *j, const char *name, const struct half *half)
{
    jcs_object(j, name);
    for (size_t i = 0; i < half->count; i++)
        jcs_str(j, half->names[i], half->values[i]);
    jcs_end(j);
}

/* What only this very key gives, and tells nothing of it: a MAC; of the master key, which makes none
 * that is not a device's key, the check value of a key that no device gets. */
static int put_check(struct hsm *h, struct jcs *j, const struct key_text *t, struct error *err)
{
    static const char message[] = "imprint key check v1";
    bool master = strcmp(t->label, hsm_key_label(HSM_KEY_DERIVATION)) == 0;
    uint8_t mac[HSM_MAC_SIZE];
    int rc = master ? hsm_derived_check(h, message, sizeof message, mac, err)
                    : hsm_hmac(h, message, sizeof message, mac, err);

    if (rc == 0)
        jcs_hex(j, "check", mac, sizeof mac);
    return rc;
}

static int put_key(struct hsm *h, struct jcs *j, const struct key_text *t, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    int rc = 0;

    jcs_object(j, NULL);
    put_half(j, "attributes", &t->own);
    if (t->policy && !t->policy->public_rows)
        rc = put_check(h, j, t, err);
    jcs_str(j, "label", t->label);
    if (t->has_public) {
        put_half(j, "public", &t->public);
        sha256(t->key.spki, t->key.len, hash);
        jcs_hex(j, "spki_sha256", hash, sizeof hash);
    }
    jcs_end(j);
    return rc;
}

static int describe_key(struct hsm *h, struct jcs *j, const struct key_policy *policy,
                        const char *label, struct error *err)
{
    struct key_text *t = calloc(1, sizeof *t);
    int rc;

    if (!t)
        return error_set(err, ERR_INTERNAL, "out of memory");
    t->policy = policy;
    t->label = label;
    rc = session_run(h, key_work, t, err);
    if (rc == 0 && t->there)
        rc = put_key(h, j, t, err);
    free(t);
    return rc;
}

int hsm_describe_keys(struct hsm *h, struct jcs *j, struct error *err)
{
    int rc = 0;

    jcs_array(j, "keys");
    for (int key = 0; rc == 0 && key < HSM_KEY_COUNT; key++)
        rc = describe_key(session_owner(h, (enum hsm_key)key), j,
                          key_policy_of(h, (enum hsm_key)key), key_policies[key].label, err);
    for (int i = 0; rc == 0 && i < ANCHORS; i++)
        rc = describe_key(h, j, NULL, anchor_ids[i], err);
    jcs_end(j);
    return rc;
}

struct token_text {
    CK_INFO module;
    CK_TOKEN_INFO token;
};

static int token_work(struct hsm *h, void *arg, struct error *err)
{
    struct token_text *t = arg;
    CK_RV rv = h->module.p11->C_GetInfo(&t->module);

    if (rv == CKR_OK)
        rv = h->module.p11->C_GetTokenInfo(h->slot, &t->token);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot ask who it is");
}

/* Canonical JSON here is ASCII; what is not is shown as '?'. */
static void put_padded(struct jcs *j, const char *name, const CK_UTF8CHAR *padded, size_t size)
{
    char text[65];

    module_text(padded, size, text);
    for (char *p = text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    jcs_str(j, name, text);
}

static void put_version(struct jcs *j, const char *name, CK_VERSION version)
{
    char text[16];

    snprintf(text, sizeof text, "%u.%u", version.major, version.minor);
    jcs_str(j, name, text);
}

static void put_limits(const struct hsm *h, struct jcs *j)
{
    jcs_array(j, "unenforced");
    for (unsigned limit = 1; limit && limit <= h->can.unenforced; limit <<= 1)
        if (h->can.unenforced & limit)
            jcs_str(j, NULL, hsm_limit_text((enum hsm_limit)limit));
    jcs_end(j);
}

static int describe_token(struct hsm *h, struct jcs *j, const char *name, struct error *err)
{
    struct token_text t;
    int rc = session_run(h, token_work, &t, err);

    if (rc)
        return rc;
    jcs_object(j, name);
    if (h->ca)
        rc = describe_token(h->ca, j, "ca", err);
    jcs_str(j, "class", hsm_class(h));
    jcs_object(j, "module");
    put_padded(j, "description", t.module.libraryDescription, sizeof t.module.libraryDescription);
    put_padded(j, "manufacturer", t.module.manufacturerID, sizeof t.module.manufacturerID);
    put_version(j, "version", t.module.libraryVersion);
    jcs_end(j);
    jcs_object(j, "token");
    put_version(j, "firmware", t.token.firmwareVersion);
    put_version(j, "hardware", t.token.hardwareVersion);
    put_padded(j, "label", t.token.label, sizeof t.token.label);
    put_padded(j, "manufacturer", t.token.manufacturerID, sizeof t.token.manufacturerID);
    put_padded(j, "model", t.token.model, sizeof t.token.model);
    put_padded(j, "serial", t.token.serialNumber, sizeof t.token.serialNumber);
    jcs_end(j);
    put_limits(h, j);
    jcs_end(j);
    return rc;
}

int hsm_describe_token(struct hsm *h, struct jcs *j, struct error *err)
{
    return describe_token(h, j, "hsm", err);
}
