#include "hsm/module.h"

#include "base/buf.h"
#include "hsm/token.h"

#include <dlfcn.h>
#include <p11-kit/uri.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_SIZE 32

int module_load(struct module *m, const char *path, const char *arguments, struct error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol;
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST_PTR p11 = NULL;

    if (!library)
        return error_set(err, ERR_MODULE, "cannot load PKCS#11 module '%s': %s", path, dlerror());
    symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get); /* ISO C has no cast from an object to a function pointer */
    if (!get || get(&p11) != CKR_OK || !p11) {
        dlclose(library);
        return error_set(err, ERR_MODULE,
                         "'%s' is a shared library but no PKCS#11 module: C_GetFunctionList is "
                         "missing or fails",
                         path);
    }
    *m = (struct module){library, p11, arguments && *arguments ? arguments : NULL};
    return 0;
}

void module_unload(struct module *m)
{
    if (m->library)
        dlclose(m->library);
    *m = (struct module){NULL, NULL, NULL};
}

int module_start(const struct module *m, const char *path, struct error *err)
{
    /* NSS puts its arguments where pReserved is, and pReserved behind them. */
    struct {
        CK_C_INITIALIZE_ARGS standard;
        void *reserved;
    } args = {{.flags = CKF_OS_LOCKING_OK, .pReserved = (void *)(uintptr_t)m->arguments}, NULL};
    CK_RV rv = m->p11->C_Initialize(&args);

    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return ckr_set(err, ERR_MODULE, rv, "PKCS#11 module '%s' is in use in this process already",
                       path);
    if (rv != CKR_OK) {
        (void)m->p11->C_Finalize(NULL); /* it may be initialised although it says otherwise */
        return ckr_set(err, ERR_MODULE, rv,
                       "PKCS#11 module '%s' does not initialise: see its configuration, and "
                       "what module_arguments tell it",
                       path);
    }
    return 0;
}

bool module_stop(const struct module *m)
{
    CK_RV rv = CKR_GENERAL_ERROR;

    for (int i = 0; i < 2 && rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED; i++)
        rv = m->p11->C_Finalize(NULL);
    return rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED;
}

int module_slots(const struct module *m, CK_BBOOL with_token, CK_SLOT_ID **slots, CK_ULONG *count,
                 struct error *err)
{
    CK_ULONG n = 0;
    CK_SLOT_ID *list = NULL;
    CK_RV rv;

    /* A slot may appear between the two calls, so ask until both agree. */
    do {
        rv = m->p11->C_GetSlotList(with_token, NULL, &n);
        if (rv != CKR_OK)
            break;
        free(list);
        list = calloc(n + 1, sizeof *list);
        if (!list)
            return error_set(err, ERR_INTERNAL, "out of memory");
        rv = m->p11->C_GetSlotList(with_token, list, &n);
    } while (rv == CKR_BUFFER_TOO_SMALL);
    if (rv != CKR_OK) {
        free(list);
        return ckr_set(err, ERR_HSM, rv, "cannot list the slots of the PKCS#11 module");
    }
    *slots = list;
    *count = n;
    return 0;
}

void module_text(const CK_UTF8CHAR *padded, size_t size, char *out)
{
    while (size > 0 && (padded[size - 1] == ' ' || padded[size - 1] == 0))
        size--;
    memcpy(out, padded, size);
    out[size] = 0;
}

static int parse_uri(const char *text, P11KitUri **out, struct error *err)
{
    P11KitUri *uri = p11_kit_uri_new();
    int bad;

    if (!uri)
        return error_set(err, ERR_INTERNAL, "out of memory");
    bad = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    if (bad) /* the URI itself is not shown, here and below: it may carry a PIN */
        error_set(err, ERR_INPUT, "the token's URI is not an RFC 7512 URI: %s",
                  p11_kit_uri_message(bad));
    else if (p11_kit_uri_any_unrecognized(uri))
        bad = error_set(err, ERR_INPUT,
                        "the token's URI has an attribute that is unknown, so it matches nothing");
    else if (p11_kit_uri_get_pin_value(uri))
        bad = error_set(err, ERR_INPUT,
                        "the token URI carries a PIN: remove 'pin-value', and name a file with "
                        "'pin-source'");
    if (bad) {
        p11_kit_uri_free(uri);
        return ERR_INPUT;
    }
    *out = uri;
    return 0;
}

/* "file:///path", "file:/path", "file:path" or a path; anything else that RFC 7512 allows, as
 * "|command", is not for a station. */
static int source_path(const char *source, char *path, size_t size, struct error *err)
{
    const char *from = source;

    if (strncmp(from, "file:", 5) == 0) {
        from += 5;
        if (strncmp(from, "//", 2) == 0)
            from += 2;
    }
    if (!*from || *from == '|' || strlen(from) >= size || (from == source && strchr(from, ':')) ||
        (from > source + 5 && *from != '/'))
        return error_set(err, ERR_INPUT,
                         "the pin-source of the token's URI is not a file: write "
                         "'pin-source=file:/path'");
    strcpy(path, from);
    return 0;
}

int hsm_pin_source(const char *token, char *path, size_t size, struct error *err)
{
    const char *source;
    P11KitUri *uri;
    int rc;

    path[0] = 0;
    if (strncmp(token, "pkcs11:", 7) != 0)
        return 0;
    rc = parse_uri(token, &uri, err);
    if (rc)
        return rc;
    source = p11_kit_uri_get_pin_source(uri);
    if (source)
        rc = source_path(source, path, size, err);
    p11_kit_uri_free(uri);
    return rc;
}

struct search {
    const struct module *m;
    const char *label; /* or NULL, then uri */
    P11KitUri *uri;
    struct buf seen; /* labels of all tokens, for the message */
    CK_ULONG tokens;
    CK_ULONG matches;
    CK_RV failed; /* what a slot said whose token cannot be asked */
};

static bool is_wanted(const struct search *s, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    CK_SLOT_INFO slot_info;
    CK_SLOT_ID wanted;
    char label[LABEL_SIZE + 1];

    if (s->label) {
        module_text(info->label, LABEL_SIZE, label);
        return strcmp(label, s->label) == 0;
    }
    wanted = p11_kit_uri_get_slot_id(s->uri);
    return p11_kit_uri_match_token_info(s->uri, info) &&
           (wanted == (CK_SLOT_ID)-1 || wanted == slot) &&
           s->m->p11->C_GetSlotInfo(slot, &slot_info) == CKR_OK &&
           p11_kit_uri_match_slot_info(s->uri, &slot_info);
}

static void look_at(struct search *s, CK_SLOT_ID candidate, CK_SLOT_ID *slot, CK_TOKEN_INFO *info)
{
    CK_TOKEN_INFO found;
    char label[LABEL_SIZE + 1];
    CK_RV rv = s->m->p11->C_GetTokenInfo(candidate, &found);

    if (rv != CKR_OK && rv != CKR_TOKEN_NOT_RECOGNIZED)
        s->failed = rv;
    if (rv != CKR_OK || !(found.flags & CKF_TOKEN_INITIALIZED))
        return;
    module_text(found.label, LABEL_SIZE, label);
    s->tokens++;
    buf_printf(&s->seen, "%s'%s'", s->seen.len ? ", " : "", label);
    if (!is_wanted(s, candidate, &found))
        return;
    s->matches++;
    *slot = candidate;
    *info = found;
}

static int judge(struct search *s, const char *token, struct error *err)
{
    if (s->matches == 1)
        return 0;
    if (s->matches > 1)
        return error_set(err, ERR_TOKEN,
                         "'%s' matches %lu tokens: name one by a \"pkcs11:\" URI with its serial",
                         token, s->matches);
    if (s->failed != CKR_OK)
        return ckr_set(err, ERR_HSM, s->failed,
                       "no token '%s' answers and one cannot be asked: see that it is there and "
                       "powered, and try again",
                       token);
    if (s->tokens == 0)
        return error_set(err, ERR_TOKEN,
                         "no token '%s': the module has no initialised token that it can show, "
                         "see its configuration or initialise one",
                         token);
    if (s->seen.failed)
        return error_set(err, ERR_TOKEN, "no token '%s' among the %lu of the module", token,
                         s->tokens);
    return error_set(err, ERR_TOKEN, "no token '%s': the module has %.*s", token, (int)s->seen.len,
                     (const char *)s->seen.data);
}

int module_find_token(const struct module *m, const char *token, CK_SLOT_ID *slot,
                      CK_TOKEN_INFO *info, CK_ULONG *matches, struct error *err)
{
    struct search s = {.m = m};
    CK_SLOT_ID *slots = NULL, found = 0;
    CK_TOKEN_INFO found_info = {0};
    CK_ULONG count = 0;
    int rc = 0;

    *matches = 0;
    if (strncmp(token, "pkcs11:", 7) == 0)
        rc = parse_uri(token, &s.uri, err);
    else
        s.label = token;
    if (rc)
        return rc;
    buf_init(&s.seen, 380);
    rc = module_slots(m, CK_TRUE, &slots, &count, err);
    for (CK_ULONG i = 0; rc == 0 && i < count; i++)
        look_at(&s, slots[i], &found, &found_info);
    if (rc == 0)
        rc = judge(&s, token, err);
    if (rc == 0) {
        *slot = found;
        *info = found_info;
    }
    *matches = s.matches;
    free(slots);
    buf_done(&s.seen);
    if (s.uri)
        p11_kit_uri_free(s.uri);
    return rc;
}
