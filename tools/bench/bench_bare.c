#include "bench_bare.h"

#include "station/vault/issue.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <string.h>

#define ROW_SIZE 250 /* bytes under a row's MAC, inventory.h */

/* One thread. */
struct bare {
    CK_FUNCTION_LIST_PTR p11;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE ca, mac, storage;
    long count;
    pthread_t thread;
    CK_RV rv;
};

static CK_OBJECT_HANDLE find(const struct bare *b, CK_OBJECT_CLASS class, const char *label)
{
    CK_ATTRIBUTE query[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count = 0;

    if (b->p11->C_FindObjectsInit(b->session, query, label ? 2 : 1) == CKR_OK) {
        (void)b->p11->C_FindObjects(b->session, &found, 1, &count);
        (void)b->p11->C_FindObjectsFinal(b->session);
    }
    return count == 1 ? found : CK_INVALID_HANDLE;
}

static CK_RV make(const struct bare *b)
{
    static uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0}, wrap = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_ATTRIBUTE pub[] = {{CKA_TOKEN, &no, 1},
                          {CKA_PRIVATE, &no, 1},
                          {CKA_VERIFY, &no, 1},
                          {CKA_EC_PARAMS, p256, sizeof p256}};
    CK_ATTRIBUTE priv[] = {{CKA_TOKEN, &no, 1},      {CKA_PRIVATE, &yes, 1},
                           {CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &yes, 1},
                           {CKA_SIGN, &no, 1},       {CKA_DERIVE, &no, 1},
                           {CKA_UNWRAP, &no, 1},     {CKA_DECRYPT, &no, 1}};
    uint8_t blob[256], point[80];
    CK_ATTRIBUTE read = {CKA_EC_POINT, point, sizeof point};
    CK_ULONG len = sizeof blob;
    CK_OBJECT_HANDLE public, private;
    CK_RV rv = b->p11->C_GenerateKeyPair(b->session, &generate, pub, 4, priv, 8, &public, &private);

    if (rv == CKR_OK)
        rv = b->p11->C_GetAttributeValue(b->session, public, &read, 1);
    if (rv == CKR_OK)
        rv = b->p11->C_WrapKey(b->session, &wrap, b->storage, private, blob, &len);
    if (rv == CKR_OK)
        rv = b->p11->C_DestroyObject(b->session, private);
    return rv == CKR_OK ? b->p11->C_DestroyObject(b->session, public) : rv;
}

static CK_RV sign(const struct bare *b, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, CK_ULONG size)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    uint8_t message[ROW_SIZE] = {1}, out[64];
    CK_ULONG len = sizeof out;
    CK_RV rv = b->p11->C_SignInit(b->session, &mechanism, key);

    return rv == CKR_OK ? b->p11->C_Sign(b->session, message, size, out, &len) : rv;
}

static void *run(void *arg)
{
    struct bare *b = arg;

    for (long i = 0; b->rv == CKR_OK && i < b->count; i++) {
        b->rv = make(b);
        if (b->rv == CKR_OK)
            b->rv = sign(b, CKM_ECDSA, b->ca, 32);
        if (b->rv == CKR_OK)
            b->rv = sign(b, CKM_SHA256_HMAC, b->mac, ROW_SIZE);
    }
    return NULL;
}

/* The same instance of the module that the station has loaded and logged in. */
static int open_bare(const struct bench_station *s, struct bare *b, struct error *err)
{
    void *library = dlopen(s->config.module, RTLD_NOW | RTLD_NOLOAD), *symbol;
    CK_C_GetFunctionList get;
    CK_SLOT_ID slots[4];
    CK_ULONG count = 4;
    char storage[HSM_STORAGE_NAME_SIZE];
    int rc = hsm_storage_find(s->hsm, s->v.history.row.hash, KEY_P256, storage, err);

    if (rc)
        return rc;
    if (!library)
        return error_set(err, ERR_MODULE, "module '%s' is not loaded", s->config.module);
    symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    dlclose(library);
    if (get(&b->p11) != CKR_OK || b->p11->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK ||
        b->p11->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                              &b->session) != CKR_OK)
        return error_set(err, ERR_HSM, "cannot open a session for the bare loop");
    b->ca = find(b, CKO_PRIVATE_KEY, hsm_key_label(HSM_KEY_ISSUING_CA));
    b->mac = find(b, CKO_SECRET_KEY, hsm_key_label(HSM_KEY_LEDGER_HMAC));
    b->storage = find(b, CKO_SECRET_KEY, storage);
    if (!b->ca || !b->mac || !b->storage)
        return error_set(err, ERR_HSM, "the bare loop does not find the station's keys");
    return 0;
}

int bench_bare(const struct bench_station *s, long count, unsigned threads, struct bench_time *took,
               struct error *err)
{
    struct bare bares[ISSUE_THREADS_MAX] = {0};
    struct bench_time begun;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < threads; i++) {
        rc = open_bare(s, &bares[i], err);
        bares[i].count = count / threads + (i < count % threads);
    }
    if (rc)
        return rc;
    begun = bench_now();
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&bares[i].thread, NULL, run, &bares[i]))
            return error_set(err, ERR_INTERNAL, "cannot start a thread");
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(bares[i].thread, NULL);
        if (bares[i].rv != CKR_OK)
            rc = error_set(err, ERR_HSM, "the bare loop failed: 0x%lx", bares[i].rv);
    }
    *took = bench_since(begun);
    for (unsigned i = 0; i < threads; i++)
        (void)bares[i].p11->C_CloseSession(bares[i].session);
    return rc;
}
