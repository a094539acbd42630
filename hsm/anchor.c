#include "hsm/anchor.h"

#include "base/codec.h"
#include "hsm/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_SIZE 86 /* "ia1:", 16 digits, ":", 64 digits, NUL */

const char *const anchor_ids[ANCHORS] = {"anchor-0", "anchor-1"};

static void make_label(const struct hsm_anchor *a, char label[LABEL_SIZE])
{
    char head[2 * SHA256_SIZE + 1];

    hex_encode(a->head, sizeof a->head, head);
    snprintf(label, LABEL_SIZE, "ia1:%016" PRIx64 ":%s", a->sequence, head);
}

static bool parse_label(char label[LABEL_SIZE], size_t len, struct hsm_anchor *a)
{
    struct hsm_anchor got;
    uint8_t sequence[8];

    if (len != LABEL_SIZE - 1 || memcmp(label, "ia1:", 4) || label[20] != ':')
        return false;
    label[len] = 0;
    label[20] = 0;
    if (hex_decode(label + 4, sequence, sizeof sequence) ||
        hex_decode(label + 21, got.head, sizeof got.head))
        return false;
    got.sequence = 0;
    for (size_t i = 0; i < sizeof sequence; i++)
        got.sequence = got.sequence << 8 | sequence[i];
    *a = got;
    return true;
}

bool anchor_label_is_whole(const char *label)
{
    char copy[LABEL_SIZE] = "";
    struct hsm_anchor ignored;

    snprintf(copy, sizeof copy, "%s", label);
    return parse_label(copy, strlen(label), &ignored);
}

static int read_label(struct hsm *h, struct anchor_slot *slot, struct error *err)
{
    char label[LABEL_SIZE];
    CK_ATTRIBUTE is = {CKA_LABEL, label, sizeof label - 1};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, slot->key, &is, 1);

    if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
        return session_fail(h, rv, err, "cannot read an anchor");
    if (rv != CKR_OK || !parse_label(label, is.ulValueLen, &slot->state))
        slot->key = CK_INVALID_HANDLE;
    return 0;
}

/* Destroys every object with this id: what is torn must not stand in the way of a new one. */
static int remove_all(struct hsm *h, const char *id, struct error *err)
{
    CK_FUNCTION_LIST_PTR p11 = h->module.p11;
    CK_ATTRIBUTE query = {CKA_ID, (void *)(uintptr_t)id, strlen(id)};
    CK_OBJECT_HANDLE found[8];
    CK_ULONG count = 0;
    CK_RV rv = p11->C_FindObjectsInit(h->session, &query, 1);

    if (rv == CKR_OK) {
        rv = p11->C_FindObjects(h->session, found, 8, &count);
        session_note(h, p11->C_FindObjectsFinal(h->session));
    }
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
        rv = p11->C_DestroyObject(h->session, found[i]);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot remove a torn anchor");
}

static int find_slot(struct hsm *h, const char *id, struct anchor_slot *slot, struct error *err)
{
    CK_FUNCTION_LIST_PTR p11 = h->module.p11;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE query[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_ID, (void *)(uintptr_t)id, strlen(id)}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;
    CK_RV rv = p11->C_FindObjectsInit(h->session, query, 2);

    if (rv == CKR_OK) {
        rv = p11->C_FindObjects(h->session, found, 2, &count);
        session_note(h, p11->C_FindObjectsFinal(h->session));
    }
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot look for an anchor");
    slot->key = CK_INVALID_HANDLE;
    if (count == 0)
        return 0;
    if (count > 1)
        return error_set(err, ERR_ROLLBACK,
                         "token '%s' has two keys '%s': somebody made one; call the security team",
                         h->token, id);
    slot->key = found[0];
    return read_label(h, slot, err);
}

int anchor_find(struct hsm *h, const char *id, CK_OBJECT_HANDLE *out, struct error *err)
{
    struct anchor_slot slot;
    int rc = find_slot(h, id, &slot, err);

    if (rc == 0 && slot.key == CK_INVALID_HANDLE)
        return error_set(err, ERR_MISSING, "token '%s' has no key '%s'", h->token, id);
    if (rc == 0)
        *out = slot.key;
    return rc;
}

static int check_policy(struct hsm *h, CK_OBJECT_HANDLE key, const char *id, struct error *err)
{
    struct policy_fill fill = session_fill_key(h, NULL, id, strlen(id));
    CK_RV rv;
    int rc = policy_check(&h->module, h->session, key, policy_anchor, &fill, &rv, err);

    session_note(h, rv);
    if (rc)
        error_prefix(err, "token '%s', key '%s'", h->token, id);
    return rc;
}

static int make_key(struct hsm *h, const char *id, const struct hsm_anchor *state,
                    struct error *err)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE key;
    char label[LABEL_SIZE];
    struct policy_fill fill;
    CK_RV rv;

    make_label(state, label);
    fill = session_fill_key(h, label, id, strlen(id));
    policy_template(policy_anchor, &fill, &attributes);
    rv = h->module.p11->C_GenerateKey(h->session, &mechanism, attributes.list, attributes.count,
                                      &key);
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot make an anchor");
    return check_policy(h, key, id, err);
}

static int find_both(struct hsm *h, struct anchor_slot slots[ANCHORS], struct error *err)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < ANCHORS; i++) {
        rc = find_slot(h, anchor_ids[i], &slots[i], err);
        if (rc == 0 && slots[i].key != CK_INVALID_HANDLE)
            rc = check_policy(h, slots[i].key, anchor_ids[i], err);
    }
    return rc;
}

static int newer(const struct anchor_slot slots[ANCHORS])
{
    return slots[1].state.sequence > slots[0].state.sequence;
}

/* Both keys, looked up and checked; one that is missing is made again from the other. */
static int find_whole(struct hsm *h, struct anchor_slot slots[ANCHORS], struct error *err)
{
    int rc = find_both(h, slots, err), good;

    if (rc)
        return rc;
    if (slots[0].key == CK_INVALID_HANDLE && slots[1].key == CK_INVALID_HANDLE)
        return error_set(err, ERR_ROLLBACK,
                         "token '%s' has no anchor of this station's ledger: it is another token, "
                         "or its anchors were deleted; keep everything as it is and call the "
                         "security team",
                         h->token);
    if (slots[0].key != CK_INVALID_HANDLE && slots[1].key != CK_INVALID_HANDLE)
        return 0;
    good = slots[0].key == CK_INVALID_HANDLE;
    rc = remove_all(h, anchor_ids[!good], err);
    if (rc == 0)
        rc = make_key(h, anchor_ids[!good], &slots[good].state, err);
    if (rc == 0)
        rc = find_slot(h, anchor_ids[!good], &slots[!good], err);
    return rc;
}

static void forget(struct hsm *h)
{
    memset(h->anchor, 0, sizeof h->anchor);
}

/* Puts both keys into h->anchor, whatever it held. */
static int look(struct hsm *h, struct error *err)
{
    struct anchor_slot slots[ANCHORS];
    int rc;

    forget(h);
    rc = find_whole(h, slots, err);
    if (rc == 0)
        memcpy(h->anchor, slots, sizeof h->anchor);
    return rc;
}

/*
 * Whether the newer key still holds what was last seen in it: only then may the other be written.
 * The older one needs no look, the write itself does not find it when it is gone.
 */
static bool is_known(struct hsm *h)
{
    struct anchor_slot now = h->anchor[newer(h->anchor)];
    const struct hsm_anchor known = now.state;

    return now.key != CK_INVALID_HANDLE && read_label(h, &now, NULL) == 0 &&
           now.key != CK_INVALID_HANDLE && now.state.sequence == known.sequence &&
           memcmp(now.state.head, known.head, sizeof known.head) == 0;
}

static int create_work(struct hsm *h, void *arg, struct error *err)
{
    struct anchor_slot slots[ANCHORS];
    int rc = find_both(h, slots, err);

    for (int i = 0; rc == 0 && i < ANCHORS; i++) {
        if (slots[i].key != CK_INVALID_HANDLE)
            return error_set(err, ERR_EXISTS, "token '%s' has an anchor already", h->token);
        rc = make_key(h, anchor_ids[i], arg, err);
    }
    return rc;
}

int hsm_anchor_create(struct hsm *h, const struct hsm_anchor *first, struct error *err)
{
    struct hsm_anchor copy = *first;

    return session_run(h, create_work, &copy, err);
}

static int read_work(struct hsm *h, void *arg, struct error *err)
{
    int rc = look(h, err);

    if (rc == 0)
        *(struct hsm_anchor *)arg = h->anchor[newer(h->anchor)].state;
    return rc;
}

int hsm_anchor_read(struct hsm *h, struct hsm_anchor *out, struct error *err)
{
    return session_run(h, read_work, out, err);
}

static int set_label(struct hsm *h, struct anchor_slot *slot, const struct hsm_anchor *next,
                     struct error *err)
{
    char label[LABEL_SIZE];
    CK_ATTRIBUTE set = {CKA_LABEL, label, LABEL_SIZE - 1};
    CK_RV rv;

    make_label(next, label);
    rv = h->module.p11->C_SetAttributeValue(h->session, slot->key, &set, 1);
    if (rv != CKR_OK) {
        forget(h);
        return session_fail(h, rv, err, "cannot write an anchor");
    }
    slot->state = *next;
    return 0;
}

static int write_work(struct hsm *h, void *arg, struct error *err)
{
    const struct hsm_anchor *next = arg, *now;
    int rc = is_known(h) ? 0 : look(h, err);

    if (rc)
        return rc;
    now = &h->anchor[newer(h->anchor)].state;
    if (next->sequence == now->sequence && memcmp(next->head, now->head, sizeof now->head) == 0)
        return 0;
    if (next->sequence <= now->sequence)
        return error_set(err, ERR_ROLLBACK,
                         "token '%s' remembers ledger entry %" PRIu64 " and was asked to go back",
                         h->token, now->sequence);
    return set_label(h, &h->anchor[!newer(h->anchor)], next, err);
}

int hsm_anchor_write(struct hsm *h, const struct hsm_anchor *next, struct error *err)
{
    struct hsm_anchor copy = *next;

    return session_run(h, write_work, &copy, err);
}
