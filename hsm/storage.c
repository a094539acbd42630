#include "base/codec.h"
#include "hsm/credential_work.h"

#include <stdlib.h>
#include <string.h>

#define ID_HEX_DIGITS 16

static const char *const prefixes[] = {"storage:ec:", "storage:rsa:"};

size_t storage_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return strlen(prefixes[i]);
    return 0;
}

void storage_name(const uint8_t order_hash[SHA256_SIZE], enum key_type type,
                  char name[HSM_STORAGE_NAME_SIZE])
{
    const char *prefix = prefixes[key_type_is_rsa(type)];

    strcpy(name, prefix);
    hex_encode(order_hash, ID_HEX_DIGITS / 2, name + strlen(prefix));
}

const struct key_kind *storage_kind(const char *name)
{
    bool rsa = storage_prefix(name) == strlen(prefixes[1]);

    return rsa ? key_kind_of(KEY_RSA_2048, SCHEME_RSA_PSS_SHA256) : key_kind_at(0);
}

static struct policy_fill fill_of(const struct hsm *h, const char *name, const void *id, size_t len)
{
    struct policy_fill fill = session_fill_key(h, name, id, len);

    fill.kind = storage_kind(name);
    return fill;
}

static int need_wrap(const struct hsm *h, struct error *err)
{
    if (h->can.wrap == 0)
        return error_set(err, ERR_REFUSED,
                         "token '%s' can sign but not carry device keys: it has no key wrap and "
                         "key agreement that a device understands",
                         h->token);
    return 0;
}

static int check_policy(struct hsm *h, CK_OBJECT_HANDLE key, const struct policy_fill *fill,
                        struct error *err)
{
    CK_RV rv;
    int rc = policy_check(&h->module, h->session, key, policy_storage, fill, &rv, err);

    session_note(h, rv);
    if (rc)
        error_prefix(err, "token '%s', key '%s'", h->token, fill->label);
    return rc;
}

static void remember(struct hsm *h, const char *name, CK_OBJECT_HANDLE key)
{
    struct storage_handle *slot = &h->storage[h->storage_next++ % STORAGE_CACHE];

    strcpy(slot->name, name);
    slot->key = key;
}

int storage_handle(struct hsm *h, const char *name, CK_OBJECT_HANDLE *out, struct error *err)
{
    struct policy_fill fill = fill_of(h, name, NULL, 0);
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    int rc = need_wrap(h, err);

    for (size_t i = 0; rc == 0 && i < STORAGE_CACHE; i++)
        if (h->storage[i].key != CK_INVALID_HANDLE && strcmp(h->storage[i].name, name) == 0) {
            *out = h->storage[i].key;
            return 0;
        }
    if (rc == 0 && (!storage_prefix(name) || strlen(name) != storage_prefix(name) + ID_HEX_DIGITS))
        rc = error_set(err, ERR_MISSING, "'%.64s' is not the name of a storage key", name);
    if (rc == 0)
        rc = session_find(h, CKO_SECRET_KEY, name, NULL, 0, &key, err);
    if (rc == 0)
        rc = check_policy(h, key, &fill, err);
    if (rc == 0) {
        remember(h, name, key);
        *out = key;
    }
    return rc;
}

int storage_generate(struct hsm *h, const struct policy_fill *fill, CK_OBJECT_HANDLE *out,
                     struct error *err)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct policy_attributes attributes;
    CK_RV rv;

    policy_template(policy_storage, fill, &attributes);
    rv = h->module.p11->C_GenerateKey(h->session, &mechanism, attributes.list, attributes.count,
                                      out);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot make a storage key");
}

struct storage_call {
    const uint8_t *order_hash;
    char name[HSM_STORAGE_NAME_SIZE];
    bool tried; /* to make it, before the session was lost: what is there now is ours */
};

/* By label and by the whole hash: the 16 digits of the label are there for people. */
static int find_key(struct hsm *h, const struct storage_call *call, CK_OBJECT_HANDLE *key,
                    struct error *err)
{
    CK_OBJECT_HANDLE found;
    struct policy_fill fill = fill_of(h, call->name, call->order_hash, SHA256_SIZE);
    int rc = need_wrap(h, err);

    if (rc == 0)
        rc = session_find(h, CKO_SECRET_KEY, call->name, NULL, 0, &found, err);
    if (rc == 0)
        rc = check_policy(h, found, &fill, err);
    if (rc == 0)
        *key = found;
    return rc;
}

static int find_work(struct hsm *h, void *arg, struct error *err)
{
    struct storage_call *call = arg;
    CK_OBJECT_HANDLE key;
    int rc = find_key(h, call, &key, err);

    if (rc == 0)
        remember(h, call->name, key);
    return rc;
}

static int create_work(struct hsm *h, void *arg, struct error *err)
{
    struct storage_call *call = arg;
    struct policy_fill fill = fill_of(h, call->name, call->order_hash, SHA256_SIZE);
    CK_OBJECT_HANDLE key;
    int rc = find_key(h, call, &key, err);

    if (rc == 0 && call->tried)
        return find_work(h, call, err);
    if (rc == 0)
        return error_set(err, ERR_EXISTS, "token '%s' has a storage key '%s' already", h->token,
                         call->name);
    if (rc != ERR_MISSING)
        return rc;
    call->tried = true;
    rc = storage_generate(h, &fill, &key, err);
    return rc ? rc : find_work(h, call, err);
}

static int destroy_work(struct hsm *h, void *arg, struct error *err)
{
    struct storage_call *call = arg;
    CK_OBJECT_HANDLE key;
    CK_RV rv;
    int rc = find_key(h, call, &key, err);

    if (rc)
        return rc;
    memset(h->storage, 0, sizeof h->storage);
    rv = h->module.p11->C_DestroyObject(h->session, key);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot destroy a storage key");
}

static int storage_run(struct hsm *h, session_work *work, const uint8_t order_hash[SHA256_SIZE],
                       enum key_type type, char name[HSM_STORAGE_NAME_SIZE], struct error *err)
{
    struct storage_call call = {.order_hash = order_hash};
    int rc;

    storage_name(order_hash, type, call.name);
    rc = session_run(h, work, &call, err);
    if (rc == 0 && name)
        memcpy(name, call.name, sizeof call.name);
    return rc;
}

int hsm_storage_create(struct hsm *h, const uint8_t order_hash[SHA256_SIZE], enum key_type type,
                       char name[HSM_STORAGE_NAME_SIZE], struct error *err)
{
    return storage_run(h, create_work, order_hash, type, name, err);
}

int hsm_storage_find(struct hsm *h, const uint8_t order_hash[SHA256_SIZE], enum key_type type,
                     char name[HSM_STORAGE_NAME_SIZE], struct error *err)
{
    return storage_run(h, find_work, order_hash, type, name, err);
}

int hsm_storage_destroy(struct hsm *h, const uint8_t order_hash[SHA256_SIZE], struct error *err)
{
    int rsa = storage_run(h, destroy_work, order_hash, KEY_RSA_2048, NULL, err), ec;

    if (rsa && rsa != ERR_MISSING)
        return rsa;
    ec = storage_run(h, destroy_work, order_hash, KEY_P256, NULL, err);
    return ec == ERR_MISSING ? rsa : ec;
}

#define FIND_STEP 64

struct storage_list {
    uint8_t (*hashes)[SHA256_SIZE];
    size_t count;
};

static int add_hash(struct storage_list *list, const uint8_t hash[SHA256_SIZE], struct error *err)
{
    void *grown;

    for (size_t i = 0; i < list->count; i++)
        if (memcmp(list->hashes[i], hash, SHA256_SIZE) == 0)
            return 0;
    grown = realloc(list->hashes, (list->count + 1) * sizeof *list->hashes);

    if (!grown)
        return error_set(err, ERR_INTERNAL, "out of memory");
    list->hashes = grown;
    memcpy(list->hashes[list->count++], hash, SHA256_SIZE);
    return 0;
}

/* An object with another label, or an id that is no hash, is no storage key. */
static int take_object(struct hsm *h, CK_OBJECT_HANDLE object, struct storage_list *list,
                       struct error *err)
{
    char label[HSM_STORAGE_NAME_SIZE] = "", name[HSM_STORAGE_NAME_SIZE];
    uint8_t id[SHA256_SIZE];
    CK_ATTRIBUTE is[] = {{CKA_LABEL, label, sizeof label - 1}, {CKA_ID, id, sizeof id}};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, object, is, 2);

    if (rv == CKR_BUFFER_TOO_SMALL)
        return 0;
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot read the name of a key");
    if (is[1].ulValueLen != sizeof id)
        return 0;
    for (int rsa = 0; rsa < 2; rsa++) {
        storage_name(id, rsa ? KEY_RSA_2048 : KEY_P256, name);
        if (strcmp(name, label) == 0)
            return add_hash(list, id, err);
    }
    return 0;
}

static int list_work(struct hsm *h, void *arg, struct error *err)
{
    CK_FUNCTION_LIST_PTR p11 = h->module.p11;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE query[] = {{CKA_CLASS, &class, sizeof class}, {CKA_TOKEN, &yes, sizeof yes}};
    CK_OBJECT_HANDLE found[FIND_STEP];
    struct storage_list *list = arg;
    CK_ULONG count = 0;
    CK_RV rv = p11->C_FindObjectsInit(h->session, query, 2);
    int rc = 0;

    list->count = 0;
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot list the storage keys");
    do {
        rv = p11->C_FindObjects(h->session, found, FIND_STEP, &count);
        for (CK_ULONG i = 0; rc == 0 && rv == CKR_OK && i < count; i++)
            rc = take_object(h, found[i], list, err);
    } while (rc == 0 && rv == CKR_OK && count > 0);
    session_note(h, p11->C_FindObjectsFinal(h->session));
    return rv == CKR_OK ? rc : session_fail(h, rv, err, "cannot list the storage keys");
}

int hsm_storage_list(struct hsm *h, uint8_t (**hashes)[SHA256_SIZE], size_t *count,
                     struct error *err)
{
    struct storage_list list = {NULL, 0};
    int rc = session_run(h, list_work, &list, err);

    if (rc) {
        free(list.hashes);
        return rc;
    }
    *hashes = list.hashes;
    *count = list.count;
    return 0;
}
