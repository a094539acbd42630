#include "hsm/audit.h"

#include "base/codec.h"
#include "hsm/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIND_STEP      64
#define STORAGE_DIGITS 16 /* of the order's hash, in the name of a storage key */

#define GENERATIONS_MAX 64

/* An object of the token, as far as is needed to say whose it is. */
struct object {
    CK_OBJECT_HANDLE handle;
    CK_OBJECT_CLASS class;
    char label[100]; /* cut, and with '?' for what does not print */
    uint8_t id[64];
    size_t id_len;
    bool known;
};

struct work {
    const uint8_t (*orders)[SHA256_SIZE];
    size_t order_count;
    struct hsm_audit *out;
    struct object *objects;
    size_t count;
    bool failed; /* no memory for a finding */
};

/* Why an attribute matters. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *meaning;
} meanings[] = {
    {CKA_CLASS, "what kind of object it is"},
    {CKA_KEY_TYPE, "what kind of key it is"},
    {CKA_VALUE_LEN, "how long the key is"},
    {CKA_LABEL, "by which name it is found"},
    {CKA_ID, "by which id it is found"},
    {CKA_MODULUS_BITS, "how long an RSA key is"},
    {CKA_PUBLIC_EXPONENT, "how an RSA key is verified"},
    {CKA_EC_PARAMS, "which curve it is on"},
    {CKA_TOKEN, "whether it stays on the token"},
    {CKA_PRIVATE, "whether it can be seen and replaced without the PIN"},
    {CKA_SENSITIVE, "whether its value can be read"},
    {CKA_EXTRACTABLE, "whether it can leave the token under another key"},
    {CKA_MODIFIABLE, "whether its attributes can be changed"},
    {CKA_COPYABLE, "whether a copy with weaker attributes can be made"},
    {CKA_SIGN, "whether it signs"},
    {CKA_SIGN_RECOVER, "whether it signs with recovery"},
    {CKA_VERIFY, "whether it verifies"},
    {CKA_VERIFY_RECOVER, "whether it verifies with recovery"},
    {CKA_ENCRYPT, "whether it encrypts"},
    {CKA_DECRYPT, "whether it decrypts what it wrapped"},
    {CKA_WRAP, "whether it wraps other keys"},
    {CKA_UNWRAP, "whether it unwraps other keys"},
    {CKA_DERIVE, "whether keys can be derived from it"},
    {CKA_UNWRAP_TEMPLATE, "whether a stored key can be unwrapped readable"},
    {CKA_WRAP_TEMPLATE, "which keys it wraps"},
    {CKA_ALLOWED_MECHANISMS, "by which mechanisms it can be used"},
    {CKA_ALWAYS_SENSITIVE, "whether its value could be read at any time before"},
    {CKA_NEVER_EXTRACTABLE, "whether it could leave the token at any time before"},
    {CKA_LOCAL, "whether it was made on this token, or brought there by somebody who knows it"},
};

static const char *meaning_of(CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].type == type)
            return meanings[i].meaning;
    return "part of the policy";
}

const char *hsm_finding_name(enum hsm_finding_kind kind)
{
    static const char *const names[] = {[HSM_FINDING_DIFFERS] = "differs",
                                        [HSM_FINDING_MISSING] = "missing",
                                        [HSM_FINDING_EXTRA] = "extra",
                                        [HSM_FINDING_UNENFORCED] = "unenforced",
                                        [HSM_FINDING_NOTE] = "note"};

    return names[kind];
}

PRINTF_LIKE(5, 6)
static void report(struct work *w, enum hsm_finding_kind kind, const char *key,
                   const char *attribute, const char *format, ...)
{
    struct hsm_finding *list =
        realloc(w->out->findings, (w->out->count + 1) * sizeof *w->out->findings);
    struct hsm_finding *f;
    va_list args;

    if (!list) {
        w->failed = true;
        return;
    }
    w->out->findings = list;
    f = &list[w->out->count++];
    f->kind = kind;
    snprintf(f->key, sizeof f->key, "%s", key);
    snprintf(f->attribute, sizeof f->attribute, "%s", attribute);
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
}

/* ---- the objects of the token ---- */

static void put_printable(const uint8_t *bytes, CK_ULONG len, char *out, size_t size)
{
    size_t n = len < size - 1 ? len : size - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = bytes[i] >= 0x20 && bytes[i] <= 0x7e ? (char)bytes[i] : '?';
    out[n] = 0;
}

/* An attribute that is not there, or too long for us, reads as empty. */
static size_t read_bytes(struct hsm *h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out,
                         size_t size)
{
    CK_ATTRIBUTE is = {type, out, size};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, object, &is, 1);

    session_note(h, rv);
    return rv == CKR_OK && is.ulValueLen <= size ? is.ulValueLen : 0;
}

static void look_at(struct hsm *h, struct object *o)
{
    uint8_t label[256];

    o->class = CK_UNAVAILABLE_INFORMATION;
    (void)read_bytes(h, o->handle, CKA_CLASS, &o->class, sizeof o->class);
    put_printable(label, read_bytes(h, o->handle, CKA_LABEL, label, sizeof label), o->label,
                  sizeof o->label);
    o->id_len = read_bytes(h, o->handle, CKA_ID, o->id, sizeof o->id);
}

static int add_objects(struct work *w, const CK_OBJECT_HANDLE *found, CK_ULONG count,
                       struct error *err)
{
    struct object *list = realloc(w->objects, (w->count + count) * sizeof *list);

    if (!list)
        return error_set(err, ERR_INTERNAL, "out of memory");
    w->objects = list;
    for (CK_ULONG i = 0; i < count; i++)
        list[w->count++] = (struct object){.handle = found[i]};
    return 0;
}

static int list_objects(struct hsm *h, struct work *w, struct error *err)
{
    CK_FUNCTION_LIST_PTR p11 = h->module.p11;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE query = {CKA_TOKEN, &yes, sizeof yes};
    CK_OBJECT_HANDLE found[FIND_STEP];
    CK_ULONG count;
    CK_RV rv = p11->C_FindObjectsInit(h->session, &query, 1);
    int rc = 0;

    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot list the objects");
    do {
        count = 0;
        rv = p11->C_FindObjects(h->session, found, FIND_STEP, &count);
        if (rv == CKR_OK && count > 0)
            rc = add_objects(w, found, count, err);
    } while (rc == 0 && rv == CKR_OK && count > 0);
    session_note(h, p11->C_FindObjectsFinal(h->session));
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot list the objects");
    for (size_t i = 0; rc == 0 && i < w->count; i++)
        look_at(h, &w->objects[i]);
    w->out->objects = w->count;
    return rc;
}

/* ---- one object against the policy ---- */

/* Other answers than these are failures of the token, not properties of the object. */
static bool is_finding(CK_RV rv)
{
    return rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
           rv == CKR_BUFFER_TOO_SMALL;
}

static int check_rows(struct hsm *h, struct work *w, const struct object *o,
                      const struct policy_row *rows, const struct policy_fill *fill,
                      const char *key, struct error *err)
{
    for (; rows->name; rows++) {
        struct error difference = ERROR_INIT;
        CK_RV rv;
        int rc = policy_check_row(&h->module, h->session, o->handle, rows, fill, &rv, &difference);

        w->out->attributes += rows->use & USE_READ && policy_is_kept(rows, fill->dialect) &&
                                      policy_applies(rows, fill->kind)
                                  ? 1
                                  : 0;
        if (rc == 0)
            continue;
        if (!is_finding(rv)) {
            session_note(h, rv);
            *err = difference;
            return rc;
        }
        report(w, HSM_FINDING_DIFFERS, key, rows->name, "%s; it decides %s", difference.text,
               meaning_of(rows->type));
    }
    return 0;
}

static struct object *find_object(struct work *w, CK_OBJECT_CLASS class, const char *label,
                                  const char *key)
{
    struct object *found = NULL;

    for (size_t i = 0; i < w->count; i++) {
        struct object *o = &w->objects[i];

        if (o->class != class || strcmp(o->label, label) != 0)
            continue;
        o->known = true;
        if (found)
            report(w, HSM_FINDING_EXTRA, key, "",
                   "there is a second object of this name, and the station refuses to choose; find "
                   "out who made it");
        else
            found = o;
    }
    return found;
}

/* ---- the keys of the ceremony ---- */

static int check_pair(struct hsm *h, struct work *w, const struct object *private,
                      const struct object *public, const struct key_kind *kind, const char *label,
                      struct error *err)
{
    struct public_key key;
    int rc = session_public(h, public->handle, kind, &key, err);

    if (rc == 0)
        rc = session_prove_key(h, private->handle, kind, "imprint key check v1", &key, err);
    if (rc == 0)
        return 0;
    if (h->lost)
        return rc;
    report(w, HSM_FINDING_DIFFERS, label, "",
           "the two halves were tried and do not work together: %s", err->text);
    return 0;
}

static int check_halves(struct hsm *h, struct work *w, const struct key_policy *policy,
                        const struct object *own, const struct object *public, struct error *err)
{
    struct policy_fill fill = key_policy_fill(policy, h->can.dialect);
    char public_name[64];
    int rc = 0;

    snprintf(public_name, sizeof public_name, "%s (public half)", policy->label);
    if (own && public)
        rc = session_kind(h, policy, own->handle, public->handle, &fill.kind, err);
    if (rc && h->lost)
        return rc;
    if (own)
        rc = check_rows(h, w, own, policy->rows, &fill, policy->label, err);
    if (rc == 0 && public)
        rc = check_rows(h, w, public, policy->public_rows, &fill, public_name, err);
    if (rc == 0 && own && public)
        rc = check_pair(h, w, own, public, fill.kind, policy->label, err);
    return rc;
}

/* A ceremony makes the master key where the token derives; those of earlier versions made none, and
 * the ceremony's transcript tells which it was. */
static void report_missing(const struct hsm *h, struct work *w, const struct key_policy *policy)
{
    if (policy != key_policy_of(h, HSM_KEY_DERIVATION))
        report(w, HSM_FINDING_MISSING, policy->label, "",
               "the key is not on the token: it is another token, or somebody deleted the key");
    else
        report(w, HSM_FINDING_NOTE, policy->label, "",
               "the key is not on the token: the station makes no symmetric keys");
}

static int check_key(struct hsm *h, struct work *w, const struct key_policy *policy,
                     struct error *err)
{
    struct object *own = find_object(w, policy->class, policy->label, policy->label);
    struct object *other = NULL;

    if (policy->public_rows)
        other = find_object(w, CKO_PUBLIC_KEY, policy->label, policy->label);
    if (!own && !other)
        report_missing(h, w, policy);
    else if (policy->public_rows && (!own || !other))
        report(w, HSM_FINDING_MISSING, policy->label, "",
               "the %s half of the pair is not on the token: somebody deleted it",
               own ? "public" : "private");
    return check_halves(h, w, policy, own, other, err);
}

static bool has_label(const struct work *w, const char *label)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->objects[i].label, label) == 0)
            return true;
    return false;
}

/* The later generations that are there; those of an issuing CA may have been destroyed between. */
static int check_generations(struct hsm *h, struct work *w, enum hsm_key key, struct error *err)
{
    struct key_named name;
    int rc = 0;

    for (unsigned n = 2; rc == 0 && n <= GENERATIONS_MAX; n++) {
        key_policy_name(h, key, n, &name);
        if (has_label(w, name.policy.label))
            rc = check_key(h, w, &name.policy, err);
    }
    return rc;
}

/* ---- anchors ---- */

static struct object *find_anchor(struct work *w, const char *id)
{
    struct object *found = NULL;

    for (size_t i = 0; i < w->count; i++) {
        struct object *o = &w->objects[i];

        if (o->class != CKO_SECRET_KEY || o->id_len != strlen(id) || memcmp(o->id, id, o->id_len))
            continue;
        o->known = true;
        if (found)
            report(w, HSM_FINDING_EXTRA, id, "",
                   "there is a second key of this id, and the station refuses to choose; find out "
                   "who made it");
        else
            found = o;
    }
    return found;
}

static int check_anchor(struct hsm *h, struct work *w, int number, bool *there, struct error *err)
{
    const char *id = anchor_ids[number];
    struct policy_fill fill = session_fill_key(h, NULL, id, strlen(id));
    struct object *o = find_anchor(w, id);

    *there = o != NULL;
    if (!o)
        return 0;
    if (!anchor_label_is_whole(o->label))
        report(w, HSM_FINDING_DIFFERS, id, "CKA_LABEL",
               "the label '%s' is no state of a ledger: a write was cut, or somebody changed it; "
               "the next command that writes makes the key anew from the other one",
               o->label);
    return check_rows(h, w, o, policy_anchor, &fill, id, err);
}

static int check_anchors(struct hsm *h, struct work *w, struct error *err)
{
    bool there[ANCHORS];
    int rc = 0;

    for (int i = 0; rc == 0 && i < ANCHORS; i++)
        rc = check_anchor(h, w, i, &there[i], err);
    for (int i = 0; rc == 0 && i < ANCHORS; i++)
        if (!there[i])
            report(w, HSM_FINDING_MISSING, anchor_ids[i], "",
                   there[!i] ? "the key is not on the token; the next command that writes makes it "
                               "anew from the other one"
                             : "the key is not on the token: nothing tells how new the database "
                               "is, and no command will write");
    return rc;
}

/* ---- storage keys ---- */

static bool is_storage(const struct object *o)
{
    return o->class == CKO_SECRET_KEY && storage_prefix(o->label) > 0;
}

/* The id is the order's whole hash, and the label begins it. */
static void check_storage_id(struct work *w, const struct object *o)
{
    char hex[2 * SHA256_SIZE + 1] = "";
    size_t prefix = storage_prefix(o->label);

    if (o->id_len == SHA256_SIZE)
        hex_encode(o->id, o->id_len, hex);
    if (strlen(o->label) != prefix + STORAGE_DIGITS || !*hex ||
        strncmp(o->label + prefix, hex, STORAGE_DIGITS) != 0)
        report(w, HSM_FINDING_DIFFERS, o->label, "CKA_ID",
               "attribute CKA_ID is not the order's hash that the label begins; it decides %s",
               meaning_of(CKA_ID));
}

static void check_storage_order(struct work *w, const struct object *o)
{
    for (size_t i = 0; i < w->order_count; i++)
        if (o->id_len == SHA256_SIZE && memcmp(o->id, w->orders[i], SHA256_SIZE) == 0)
            return;
    report(w, HSM_FINDING_NOTE, o->label, "",
           "a storage key under which no order of the database has device keys: of an order that "
           "was not begun or is done, or of one that the token remembers by it");
}

static int check_storage(struct hsm *h, struct work *w, struct error *err)
{
    for (size_t i = 0; i < w->count; i++) {
        struct object *o = &w->objects[i];
        struct policy_fill fill = session_fill_key(h, o->label, NULL, 0);
        int rc;

        if (!is_storage(o) || o->known)
            continue;
        (void)find_object(w, CKO_SECRET_KEY, o->label, o->label);
        check_storage_id(w, o);
        check_storage_order(w, o);
        fill.kind = storage_kind(o->label);
        rc = check_rows(h, w, o, policy_storage, &fill, o->label, err);
        if (rc)
            return rc;
    }
    return 0;
}

static bool has_storage(const struct work *w, const uint8_t order[SHA256_SIZE])
{
    for (size_t i = 0; i < w->count; i++)
        if (is_storage(&w->objects[i]) && w->objects[i].id_len == SHA256_SIZE &&
            memcmp(w->objects[i].id, order, SHA256_SIZE) == 0)
            return true;
    return false;
}

static void check_orders(struct work *w)
{
    for (size_t i = 0; i < w->order_count; i++) {
        char name[HSM_STORAGE_NAME_SIZE];

        if (has_storage(w, w->orders[i]))
            continue;
        storage_name(w->orders[i], KEY_P256, name);
        report(w, HSM_FINDING_MISSING, name, "",
               "the storage key of an order is not on the token: its stored device keys are lost");
    }
}

/* ---- marks ---- */

/* The label tells the id: whoever makes such a key uses a ticket up or ends an order, and gains nothing. */
static int check_marks_of(struct hsm *h, struct work *w, enum hsm_mark mark, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < w->count; i++) {
        struct object *o = &w->objects[i];
        char label[HSM_MARK_LABEL_SIZE];
        struct policy_fill fill = session_fill_key(h, label, o->id, SHA256_SIZE);

        if (o->known || o->class != CKO_SECRET_KEY || o->id_len != SHA256_SIZE)
            continue;
        mark_label(mark, o->id, label);
        if (strcmp(o->label, label))
            continue;
        (void)find_object(w, CKO_SECRET_KEY, label, label);
        rc = check_rows(h, w, o, policy_mark, &fill, label, err);
    }
    return rc;
}

static int check_marks(struct hsm *h, struct work *w, struct error *err)
{
    int rc = 0;

    for (int mark = 0; rc == 0 && mark < HSM_MARK_COUNT; mark++)
        rc = check_marks_of(h, w, (enum hsm_mark)mark, err);
    return rc;
}

/* ---- the rest ---- */

static const char *class_name(CK_OBJECT_CLASS class)
{
    switch (class) {
    case CKO_DATA:
        return "data object";
    case CKO_CERTIFICATE:
        return "certificate";
    case CKO_PUBLIC_KEY:
        return "public key";
    case CKO_PRIVATE_KEY:
        return "private key";
    case CKO_SECRET_KEY:
        return "secret key";
    default:
        return "object of another class";
    }
}

static void check_unknown(struct work *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->objects[i].known)
            report(w, HSM_FINDING_EXTRA, *w->objects[i].label ? w->objects[i].label : "(no label)",
                   "", "a %s that the station did not make: find out who did, and for what",
                   class_name(w->objects[i].class));
}

static void check_limits(const struct hsm *h, struct work *w)
{
    const char *attribute, *meaning;

    for (unsigned i = 0; (attribute = hsm_unkept(h, i, &meaning)); i++)
        report(w, HSM_FINDING_UNENFORCED, "token", attribute, "%s", meaning);
    for (unsigned limit = 1; limit && limit <= h->can.unenforced; limit <<= 1)
        if (h->can.unenforced & limit)
            report(w, HSM_FINDING_UNENFORCED, "storage keys", "", "%s",
                   hsm_limit_text((enum hsm_limit)limit));
    if (h->pin_was_wrong)
        report(w, HSM_FINDING_NOTE, "PIN", "",
               "somebody gave the token a wrong PIN since the last good one");
    if (h->can.suites == 0)
        report(w, HSM_FINDING_NOTE, "storage keys", "",
               "the token signs and cannot carry device keys, so what it enforces for storage keys "
               "was not tried");
}

/* What only the station's own token has. */
static int check_station(struct hsm *h, struct work *w, struct error *err)
{
    int rc = check_generations(h, w, HSM_KEY_MANIFEST_SIGN, err);

    if (rc == 0)
        rc = check_generations(h, w, HSM_KEY_LOG_SIGN, err);
    if (rc == 0)
        rc = check_generations(h, w, HSM_KEY_SECOND_SIGN, err);
    if (rc == 0)
        rc = check_anchors(h, w, err);
    if (rc == 0)
        rc = check_storage(h, w, err);
    if (rc == 0)
        rc = check_marks(h, w, err);
    if (rc == 0)
        check_orders(w);
    return rc;
}

static int check_all(struct hsm *h, struct work *w, struct error *err)
{
    int rc = list_objects(h, w, err);

    for (int key = 0; rc == 0 && key < HSM_KEY_COUNT; key++)
        if (session_owns(h, (enum hsm_key)key) &&
            (key < HSM_KEYS_OF_CEREMONY || has_label(w, hsm_key_label((enum hsm_key)key))))
            rc = check_key(h, w, key_policy_of(h, (enum hsm_key)key), err);
    if (rc == 0 && session_owns(h, HSM_KEY_ISSUING_CA))
        rc = check_generations(h, w, HSM_KEY_ISSUING_CA, err);
    if (rc == 0 && !h->is_ca)
        rc = check_station(h, w, err);
    if (rc)
        return rc;
    check_unknown(w);
    check_limits(h, w);
    return w->failed ? error_set(err, ERR_INTERNAL, "out of memory") : 0;
}

/* May run twice: what an attempt on a session that was lost has found does not count. */
static int audit_work(struct hsm *h, void *arg, struct error *err)
{
    struct work *w = arg;
    int rc;

    hsm_audit_done(w->out);
    rc = check_all(h, w, err);
    if (rc == 0 && h->lost)
        rc = error_set(err, ERR_HSM, "token '%s' lost its session during the audit", h->token);
    free(w->objects);
    w->objects = NULL;
    w->count = 0;
    return rc;
}

/* Puts the findings of one token behind those of another. */
static int append(struct hsm_audit *all, const struct hsm_audit *more, struct error *err)
{
    size_t count = all->count + more->count;
    struct hsm_finding *findings = reallocarray(all->findings, count + 1, sizeof *findings);

    if (!findings)
        return error_set(err, ERR_INTERNAL, "out of memory");
    if (more->count)
        memcpy(findings + all->count, more->findings, more->count * sizeof *findings);
    all->findings = findings;
    all->count = count;
    all->objects += more->objects;
    all->attributes += more->attributes;
    return 0;
}

static int audit_ca(struct hsm *ca, struct hsm_audit *out, struct error *err)
{
    struct hsm_audit more = {0};
    struct work w = {.out = &more};
    int rc = session_run(ca, audit_work, &w, err);

    if (rc == 0)
        rc = append(out, &more, err);
    hsm_audit_done(&more);
    return rc;
}

int hsm_audit_run(struct hsm *h, const uint8_t (*orders)[SHA256_SIZE], size_t order_count,
                  struct hsm_audit *out, struct error *err)
{
    struct work w = {.orders = orders, .order_count = order_count, .out = out};
    int rc;

    memset(out, 0, sizeof *out);
    rc = session_run(h, audit_work, &w, err);
    if (rc == 0 && h->ca)
        rc = audit_ca(h->ca, out, err);
    if (rc)
        hsm_audit_done(out);
    return rc;
}

void hsm_audit_done(struct hsm_audit *audit)
{
    free(audit->findings);
    memset(audit, 0, sizeof *audit);
}

bool hsm_finding_is_fault(enum hsm_finding_kind kind)
{
    return kind != HSM_FINDING_UNENFORCED && kind != HSM_FINDING_NOTE;
}
