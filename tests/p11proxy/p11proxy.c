#include "p11proxy.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* Short names, so that a function is one line below. Every handle is a CK_ULONG. */
typedef CK_ULONG U;
typedef CK_ULONG *N;
typedef CK_BYTE *B;
typedef CK_MECHANISM *M;
typedef CK_ATTRIBUTE *A;

/* X(name, parameters, arguments): v2.40 without C_GetFunctionList. */
/* clang-format off */
#define FUNCTIONS(X) \
    X(C_Initialize, (void *a), (a)) \
    X(C_Finalize, (void *a), (a)) \
    X(C_GetInfo, (CK_INFO *a), (a)) \
    X(C_GetSlotList, (CK_BBOOL a, N b, N c), (a, b, c)) \
    X(C_GetSlotInfo, (U a, CK_SLOT_INFO *b), (a, b)) \
    X(C_GetTokenInfo, (U a, CK_TOKEN_INFO *b), (a, b)) \
    X(C_GetMechanismList, (U a, N b, N c), (a, b, c)) \
    X(C_GetMechanismInfo, (U a, U b, CK_MECHANISM_INFO *c), (a, b, c)) \
    X(C_InitToken, (U a, B b, U c, B d), (a, b, c, d)) \
    X(C_InitPIN, (U a, B b, U c), (a, b, c)) \
    X(C_SetPIN, (U a, B b, U c, B d, U e), (a, b, c, d, e)) \
    X(C_OpenSession, (U a, U b, void *c, CK_NOTIFY d, N e), (a, b, c, d, e)) \
    X(C_CloseSession, (U a), (a)) \
    X(C_CloseAllSessions, (U a), (a)) \
    X(C_GetSessionInfo, (U a, CK_SESSION_INFO *b), (a, b)) \
    X(C_GetOperationState, (U a, B b, N c), (a, b, c)) \
    X(C_SetOperationState, (U a, B b, U c, U d, U e), (a, b, c, d, e)) \
    X(C_Login, (U a, U b, B c, U d), (a, b, c, d)) \
    X(C_Logout, (U a), (a)) \
    X(C_CreateObject, (U a, A b, U c, N d), (a, b, c, d)) \
    X(C_CopyObject, (U a, U b, A c, U d, N e), (a, b, c, d, e)) \
    X(C_DestroyObject, (U a, U b), (a, b)) \
    X(C_GetObjectSize, (U a, U b, N c), (a, b, c)) \
    X(C_GetAttributeValue, (U a, U b, A c, U d), (a, b, c, d)) \
    X(C_SetAttributeValue, (U a, U b, A c, U d), (a, b, c, d)) \
    X(C_FindObjectsInit, (U a, A b, U c), (a, b, c)) \
    X(C_FindObjects, (U a, N b, U c, N d), (a, b, c, d)) \
    X(C_FindObjectsFinal, (U a), (a)) \
    X(C_EncryptInit, (U a, M b, U c), (a, b, c)) \
    X(C_Encrypt, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_EncryptUpdate, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_EncryptFinal, (U a, B b, N c), (a, b, c)) \
    X(C_DecryptInit, (U a, M b, U c), (a, b, c)) \
    X(C_Decrypt, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_DecryptUpdate, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_DecryptFinal, (U a, B b, N c), (a, b, c)) \
    X(C_DigestInit, (U a, M b), (a, b)) \
    X(C_Digest, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_DigestUpdate, (U a, B b, U c), (a, b, c)) \
    X(C_DigestKey, (U a, U b), (a, b)) \
    X(C_DigestFinal, (U a, B b, N c), (a, b, c)) \
    X(C_SignInit, (U a, M b, U c), (a, b, c)) \
    X(C_Sign, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_SignUpdate, (U a, B b, U c), (a, b, c)) \
    X(C_SignFinal, (U a, B b, N c), (a, b, c)) \
    X(C_SignRecoverInit, (U a, M b, U c), (a, b, c)) \
    X(C_SignRecover, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_VerifyInit, (U a, M b, U c), (a, b, c)) \
    X(C_Verify, (U a, B b, U c, B d, U e), (a, b, c, d, e)) \
    X(C_VerifyUpdate, (U a, B b, U c), (a, b, c)) \
    X(C_VerifyFinal, (U a, B b, U c), (a, b, c)) \
    X(C_VerifyRecoverInit, (U a, M b, U c), (a, b, c)) \
    X(C_VerifyRecover, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_DigestEncryptUpdate, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_DecryptDigestUpdate, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_SignEncryptUpdate, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_DecryptVerifyUpdate, (U a, B b, U c, B d, N e), (a, b, c, d, e)) \
    X(C_GenerateKey, (U a, M b, A c, U d, N e), (a, b, c, d, e)) \
    X(C_GenerateKeyPair, (U a, M b, A c, U d, A e, U f, N g, N h), (a, b, c, d, e, f, g, h)) \
    X(C_WrapKey, (U a, M b, U c, U d, B e, N f), (a, b, c, d, e, f)) \
    X(C_UnwrapKey, (U a, M b, U c, B d, U e, A f, U g, N h), (a, b, c, d, e, f, g, h)) \
    X(C_DeriveKey, (U a, M b, U c, A d, U e, N f), (a, b, c, d, e, f)) \
    X(C_SeedRandom, (U a, B b, U c), (a, b, c)) \
    X(C_GenerateRandom, (U a, B b, U c), (a, b, c)) \
    X(C_GetFunctionStatus, (U a), (a)) \
    X(C_CancelFunction, (U a), (a)) \
    X(C_WaitForSlotEvent, (U a, N b, void *c), (a, b, c))
/* clang-format on */

static CK_FUNCTION_LIST_PTR real;
static struct p11proxy_fault fault;
static struct p11proxy_state state;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
/* A module that goes away under a call of another thread crashes; it goes between calls instead. */
static pthread_rwlock_t calling = PTHREAD_RWLOCK_INITIALIZER;

EXPORT void p11proxy_set(const struct p11proxy_fault *wanted)
{
    fault = wanted ? *wanted : (struct p11proxy_fault){0};
    state = (struct p11proxy_state){0};
}

EXPORT struct p11proxy_state p11proxy_state(void)
{
    return state;
}

static void close_all(void)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;

    if (real->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return;
    for (CK_ULONG i = 0; i < count; i++)
        (void)real->C_CloseAllSessions(slots[i]);
}

static void write_log(const char *name)
{
    const char *path = getenv("P11PROXY_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;

    if (log) {
        fprintf(log, "%s\n", name);
        fclose(log);
    }
}

/* Counts a call; true when it has to fail. */
static bool is_due(const char *name)
{
    bool due;

    if (fault.function && strcmp(fault.function, name) != 0)
        return false;
    pthread_mutex_lock(&counting);
    state.calls++;
    write_log(name);
    due = fault.at && (fault.for_ever ? state.calls >= fault.at : state.calls == fault.at);
    if (due && state.faults++ == 0)
        state.function = name;
    pthread_mutex_unlock(&counting);
    return due;
}

/* The answer of a call that fails; done is what the module said where it was asked. */
static CK_RV fail(CK_RV done)
{
    pthread_rwlock_wrlock(&calling);
    if (fault.how == P11PROXY_KILL)
        raise(SIGKILL);
    if (fault.how == P11PROXY_CLOSE)
        close_all();
    if (fault.how == P11PROXY_FINALIZE)
        (void)real->C_Finalize(NULL);
    pthread_rwlock_unlock(&calling);
    return fault.how == P11PROXY_DONE && done != CKR_OK ? done : fault.rv;
}

#define FORWARD(name, parameters, arguments)                                                       \
    static CK_RV proxy_##name parameters                                                           \
    {                                                                                              \
        bool due = is_due(#name);                                                                  \
        CK_RV rv = CKR_OK;                                                                         \
                                                                                                   \
        pthread_rwlock_rdlock(&calling);                                                           \
        if (!due || fault.how == P11PROXY_DONE)                                                    \
            rv = real->name arguments;                                                             \
        pthread_rwlock_unlock(&calling);                                                           \
        return due ? fail(rv) : rv;                                                                \
    }
FUNCTIONS(FORWARD)

#define MEMBER(name, parameters, arguments) .name = proxy_##name,
static CK_FUNCTION_LIST list = {.version = {2, 40}, FUNCTIONS(MEMBER)};

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    const char *flags = getenv("P11PROXY_FLAGS");
    CK_RV rv = proxy_C_GetTokenInfo(slot, info);

    if (rv == CKR_OK && flags)
        info->flags |= strtoul(flags, NULL, 0);
    return rv;
}

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
    if (!real)
        return CKR_GENERAL_ERROR;
    list.C_GetFunctionList = C_GetFunctionList;
    list.C_GetTokenInfo = get_token_info;
    *out = &list;
    return CKR_OK;
}

static CK_RV rv_of(const char *text)
{
#define NAME(rv)                                                                                   \
    {                                                                                              \
#rv, rv                                                                                    \
    }
    static const struct {
        const char *name;
        CK_RV rv;
    } names[] = {
        NAME(CKR_GENERAL_ERROR),  NAME(CKR_DEVICE_ERROR),
        NAME(CKR_DEVICE_REMOVED), NAME(CKR_PIN_INCORRECT),
        NAME(CKR_PIN_LOCKED),     NAME(CKR_PIN_EXPIRED),
        NAME(CKR_SESSION_COUNT),  NAME(CKR_SESSION_HANDLE_INVALID),
        NAME(CKR_SESSION_CLOSED), NAME(CKR_USER_NOT_LOGGED_IN),
    };

    for (size_t i = 0; text && i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i].name) == 0)
            return names[i].rv;
    return text ? strtoul(text, NULL, 0) : CKR_GENERAL_ERROR;
}

static enum p11proxy_how how_of(const char *text)
{
    static const char *const names[] = {"refuse", "done", "close", "finalize", "kill"};

    for (int i = 0; text && i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum p11proxy_how)i;
    return P11PROXY_REFUSE;
}

/* Without a module behind it the proxy is none either: C_GetFunctionList fails. */
__attribute__((constructor)) static void load(void)
{
    const char *path = getenv("P11PROXY_MODULE"), *at = getenv("P11PROXY_FAIL_AT");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL, *symbol;
    CK_C_GetFunctionList get = NULL;

    if (library) {
        symbol = dlsym(library, "C_GetFunctionList");
        memcpy(&get, &symbol, sizeof get);
    }
    if (!get || get(&real) != CKR_OK)
        fprintf(stderr, "p11proxy: P11PROXY_MODULE names no PKCS#11 module\n");
    fault = (struct p11proxy_fault){.function = getenv("P11PROXY_FUNCTION"),
                                    .at = at ? strtoul(at, NULL, 0) : 0,
                                    .rv = rv_of(getenv("P11PROXY_RV")),
                                    .how = how_of(getenv("P11PROXY_HOW")),
                                    .for_ever = getenv("P11PROXY_FOR_EVER") != NULL};
}
