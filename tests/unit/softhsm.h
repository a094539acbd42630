/*
 * softhsm: a token of its own for each test, in a temporary folder, and a second way into it: the
 * bare PKCS#11 functions, with which a test plays somebody who has the PIN.
 *
 * The token is SoftHSM2's, or NSS softokn's when IMPRINT_TEST_TOKEN is "nss": meson.build runs the
 * programs whose tests are about tokens with both.
 *
 * Check forks for each test; softhsm_setup runs in the child, so the parent never loads a module.
 */
#ifndef TESTS_SOFTHSM_H
#define TESTS_SOFTHSM_H

#include "check_util.h"

#include "base/file.h"
#include "hsm/token.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <string.h>
#include <unistd.h>

#define TEST_TOKEN  "line1"
#define TEST_PIN    "123456"
#define TEST_SO_PIN "12345678"

static char softhsm_dir[64];
static char softhsm_module[256];
static char softhsm_arguments[256]; /* for C_Initialize; empty with SoftHSM */
static struct hsm_config softhsm_config = {
    .module = softhsm_module, .token = TEST_TOKEN, .arguments = softhsm_arguments};

static inline struct secret *softhsm_secret(const char *text)
{
    struct secret *s = secret_new(strlen(text));

    memcpy(secret_bytes(s), text, strlen(text));
    return s;
}

static inline bool softhsm_is_nss(void)
{
    const char *wanted = getenv("IMPRINT_TEST_TOKEN");

    return wanted && strcmp(wanted, "nss") == 0;
}

/* False when there is none. Asserts nothing, so that a parent may ask before any test runs. */
static inline bool softhsm_look_for_module(void)
{
    static const char *const nss_places[] = {"/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
                                             "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
                                             "/usr/lib64/libsoftokn3.so", NULL};
    static const char *const softhsm_places[] = {
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        NULL};
    const char *const *places = softhsm_is_nss() ? nss_places : softhsm_places;
    const char *chosen = softhsm_is_nss() ? NULL : getenv("IMPRINT_SOFTHSM");

    for (size_t i = 0; !chosen && places[i]; i++)
        if (file_exists(places[i]))
            chosen = places[i];
    snprintf(softhsm_module, sizeof softhsm_module, "%s", chosen ? chosen : "");
    return chosen != NULL;
}

static inline void softhsm_find_module(void)
{
    ck_assert_msg(softhsm_look_for_module(),
                  "no PKCS#11 module: install softhsm2 and libnss3, or set IMPRINT_SOFTHSM");
}

static inline void softhsm_init_token(const char *label)
{
    struct error err = ERROR_INIT;
    struct secret *so = softhsm_secret(TEST_SO_PIN), *user = softhsm_secret(TEST_PIN);

    ASSERT_OK(hsm_token_init(&softhsm_config, label, so, user, &err), err);
    secret_free(so);
    secret_free(user);
}

/* Says where the database of an NSS token is. */
static inline void softhsm_nss_arguments(const char *dir, char *out, size_t size)
{
    int n = snprintf(out, size, "configdir='sql:%s' dbTokenDescription='" TEST_TOKEN "'", dir);

    if (n < 0 || (size_t)n >= size)
        abort();
}

/* An NSS database with TEST_PIN in a folder that is there. False when certutil fails. */
static inline bool softhsm_nss_init(const char *dir)
{
    char command[1024];
    int n =
        snprintf(command, sizeof command,
                 "echo " TEST_PIN " >'%s/pw' && certutil -N -d 'sql:%s' -f '%s/pw'", dir, dir, dir);

    return n > 0 && (size_t)n < sizeof command && system(command) == 0;
}

/* A folder, a configuration that points into it, and a token "line1". */
static inline void softhsm_setup(void)
{
    char path[128], text[256];
    struct error err = ERROR_INIT;

    softhsm_find_module();
    strcpy(softhsm_dir, "/tmp/check_hsm_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(softhsm_dir));
    if (softhsm_is_nss()) {
        softhsm_nss_arguments(softhsm_dir, softhsm_arguments, sizeof softhsm_arguments);
        ck_assert_msg(softhsm_nss_init(softhsm_dir), "certutil fails: install libnss3-tools");
        return;
    }
    ck_assert(snprintf(path, sizeof path, "%s/softhsm2.conf", softhsm_dir) > 0);
    ck_assert(snprintf(text, sizeof text,
                       "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                       softhsm_dir) > 0);
    ASSERT_OK(file_write(path, text, strlen(text), 0600, &err), err);
    ck_assert_int_eq(setenv("SOFTHSM2_CONF", path, 1), 0);
    softhsm_init_token(TEST_TOKEN);
}

static inline void softhsm_teardown(void)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(file_remove_tree(softhsm_dir, &err), err);
}

static inline struct hsm *softhsm_open(void)
{
    struct error err = ERROR_INIT;
    struct secret *pin = softhsm_secret(TEST_PIN);
    struct hsm *h = NULL;

    ASSERT_OK(hsm_open(&softhsm_config, pin, &h, &err), err);
    secret_free(pin);
    return h;
}

static inline int softhsm_try_open(const char *token, const char *pin_text, struct error *err)
{
    struct hsm_config config = {
        .module = softhsm_module, .token = token, .arguments = softhsm_arguments};
    struct secret *pin = softhsm_secret(pin_text);
    struct hsm *h = NULL;
    int rc = hsm_open(&config, pin, &h, err);

    ck_assert(rc == 0 ? h != NULL : h == NULL);
    hsm_close(h);
    secret_free(pin);
    return rc;
}

/* The bare functions of the module: the same instance that hsm/ has loaded. */
static inline CK_FUNCTION_LIST_PTR softhsm_raw(void)
{
    void *library = dlopen(softhsm_module, RTLD_NOW | RTLD_LOCAL), *symbol;
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST_PTR p11 = NULL;

    ck_assert_ptr_nonnull(library);
    symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    ck_assert_uint_eq(get(&p11), CKR_OK);
    return p11;
}

/* Leaves out of a template what NSS does not take; the number of attributes that stay. */
static inline CK_ULONG softhsm_template(CK_ATTRIBUTE *template, CK_ULONG count)
{
    CK_ULONG kept = 0;

    for (CK_ULONG i = 0; i < count; i++)
        if (!softhsm_is_nss() ||
            (template[i].type != CKA_COPYABLE && template[i].type != CKA_ALLOWED_MECHANISMS &&
             template[i].type != CKA_WRAP_TEMPLATE && template[i].type != CKA_UNWRAP_TEMPLATE))
            template[kept++] = template[i];
    return kept;
}

/* The slot of a token; CK_UNAVAILABLE_INFORMATION when there is none. */
static inline CK_SLOT_ID softhsm_slot(CK_FUNCTION_LIST_PTR p11, const char *label)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    CK_TOKEN_INFO info;

    ck_assert_uint_eq(p11->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++)
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            memcmp(info.label, label, strlen(label)) == 0)
            return slots[i];
    return CK_UNAVAILABLE_INFORMATION;
}

/* A session beside that of hsm/; the login is shared. */
static inline CK_SESSION_HANDLE softhsm_session(CK_FUNCTION_LIST_PTR p11)
{
    CK_SESSION_HANDLE session;

    ck_assert_uint_eq(p11->C_OpenSession(softhsm_slot(p11, TEST_TOKEN),
                                         CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
                      CKR_OK);
    return session;
}

/* Initialises and logs in by itself, for a test that prepares a token before hsm_open. */
static inline CK_SESSION_HANDLE softhsm_raw_login(CK_FUNCTION_LIST_PTR p11)
{
    struct {
        CK_C_INITIALIZE_ARGS standard;
        void *reserved;
    } args = {{.flags = CKF_OS_LOCKING_OK}, NULL};
    CK_UTF8CHAR pin[] = TEST_PIN;
    CK_SESSION_HANDLE session;

    if (softhsm_arguments[0])
        args.standard.pReserved = softhsm_arguments;

    ck_assert_uint_eq(p11->C_Initialize(&args), CKR_OK);
    session = softhsm_session(p11);
    ck_assert_uint_eq(p11->C_Login(session, CKU_USER, pin, sizeof pin - 1), CKR_OK);
    return session;
}

static inline CK_OBJECT_HANDLE softhsm_find(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session,
                                            CK_OBJECT_CLASS class, const char *label)
{
    CK_ATTRIBUTE query[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count = 0;

    ck_assert_uint_eq(p11->C_FindObjectsInit(session, query, 2), CKR_OK);
    ck_assert_uint_eq(p11->C_FindObjects(session, &found, 1, &count), CKR_OK);
    ck_assert_uint_eq(p11->C_FindObjectsFinal(session), CKR_OK);
    return found;
}

/* How many session objects the application holds. */
static inline CK_ULONG softhsm_session_objects(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE query[] = {{CKA_TOKEN, &no, sizeof no}};
    CK_OBJECT_HANDLE found[64];
    CK_ULONG count = 0;

    ck_assert_uint_eq(p11->C_FindObjectsInit(session, query, 1), CKR_OK);
    ck_assert_uint_eq(p11->C_FindObjects(session, found, 64, &count), CKR_OK);
    ck_assert_uint_eq(p11->C_FindObjectsFinal(session), CKR_OK);
    return count;
}

/* A program's tests: those that every token passes, and those about what SoftHSM alone does. */
#define ON_ANY(...)     ((const TTest *const[]){__VA_ARGS__, NULL})
#define ON_SOFTHSM(...) ((const TTest *const[]){__VA_ARGS__, NULL})
#define TOKEN_MAIN(name, any, softhsm_only)                                                        \
    int main(void)                                                                                 \
    {                                                                                              \
        return softhsm_run(name, any, softhsm_only);                                               \
    }

#define SOFTHSM_MAIN(name, ...) TOKEN_MAIN(name, ON_ANY(__VA_ARGS__), ON_SOFTHSM(NULL))

/* As check_run, with a token for each test. */
static inline int softhsm_run(const char *name, const TTest *const *any,
                              const TTest *const *softhsm_only)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, softhsm_setup, softhsm_teardown);
    for (size_t i = 0; any[i]; i++)
        tcase_add_test(tcase, any[i]);
    for (size_t i = 0; !softhsm_is_nss() && softhsm_only[i]; i++)
        tcase_add_test(tcase, softhsm_only[i]);
    return check_run_case(name, tcase, 300);
}

#endif
