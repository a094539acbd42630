#include "station/counter/counter.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define RATE_TRIES    100
#define RATE_PAUSE_NS (100 * 1000 * 1000)

#define NV_ATTRIBUTES (TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA)

static const struct {
    TPMA_NV type;
    UINT16 size;
} parts[COUNTER_PARTS] = {
    [COUNTER_NUMBER] = {TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT, 8},
    [COUNTER_CHAIN] = {TPM2_NT_EXTEND << TPMA_NV_TPM2_NT_SHIFT, COUNTER_CHAIN_SIZE},
};

struct counter {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR session;           /* salted to the storage key */
    ESYS_TR nv[COUNTER_PARTS]; /* ESYS_TR_NONE until it is found or made */
    uint32_t index;
};

/* The storage key that TPMs are delivered with: TCG TPM v2.0 Provisioning Guidance, 7.5.1, ECC. */
static const TPM2B_PUBLIC storage_template = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                            TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                            TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                               .keyBits.aes = 128,
                                               .mode.aes = TPM2_ALG_CFB},
                                 .scheme.scheme = TPM2_ALG_NULL,
                                 .curveID = TPM2_ECC_NIST_P256,
                                 .kdf.scheme = TPM2_ALG_NULL},
    }};

static const TPMT_SYM_DEF session_cipher = {
    .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};

static int fail(struct error *err, TSS2_RC rc, const char *doing)
{
    return error_set_native(err, ERR_COUNTER, (long)rc,
                            "the station's counter: the TPM cannot %s: %s (0x%" PRIx32
                            "); nothing is issued without it, call the engineer",
                            doing, Tss2_RC_Decode(rc), rc);
}

/* A code of the TPM itself, without the number of the handle or parameter that it is about. */
static bool is_tpm_code(TSS2_RC rc, TSS2_RC code)
{
    if (rc & TPM2_RC_FMT1)
        rc &= ~(TSS2_RC)(TPM2_RC_N_MASK | TPM2_RC_P);
    return (rc & 0xffff) == code;
}

static bool is_missing(TSS2_RC rc)
{
    return is_tpm_code(rc, TPM2_RC_HANDLE);
}

/* ---- the TPM ---- */

static int connect_tpm(struct counter *c, const char *tcti, struct error *err)
{
    TSS2_RC rc;

    (void)setenv("TSS2_LOG", "all+NONE", 0); /* what went wrong is said here */
    rc = Tss2_TctiLdr_Initialize(tcti, &c->tcti);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Initialize(&c->esys, c->tcti, NULL);
    if (rc == TSS2_RC_SUCCESS)
        return 0;
    return error_set_native(
        err, ERR_COUNTER, (long)rc,
        "the station's counter cannot be reached at '%s': %s; see that the TPM "
        "is there and that this user may use it, and what 'tpm' of station.yaml "
        "says",
        tcti, Tss2_RC_Decode(rc));
}

static int make_storage_key(struct counter *c, ESYS_TR *key, uint8_t name[COUNTER_NAME_SIZE],
                            struct error *err)
{
    static const TPM2B_SENSITIVE_CREATE no_secret;
    static const TPM2B_DATA no_data;
    static const TPML_PCR_SELECTION no_pcrs;
    TPM2B_NAME *made = NULL;
    TSS2_RC rc = Esys_CreatePrimary(c->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &no_secret, &storage_template, &no_data, &no_pcrs,
                                    key, NULL, NULL, NULL, NULL);
    int result = 0;

    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_TR_GetName(c->esys, *key, &made);
    if (rc != TSS2_RC_SUCCESS)
        return fail(err, rc, "make its storage key");
    if (made->size == COUNTER_NAME_SIZE)
        memcpy(name, made->name, COUNTER_NAME_SIZE);
    else
        result = error_set(err, ERR_COUNTER, "the TPM names its storage key in an unknown way");
    Esys_Free(made);
    return result;
}

/* Only the TPM that has the key can take part in what follows. */
static int start_session(struct counter *c, ESYS_TR key, struct error *err)
{
    TSS2_RC rc =
        Esys_StartAuthSession(c->esys, key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                              NULL, TPM2_SE_HMAC, &session_cipher, TPM2_ALG_SHA256, &c->session);

    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_TRSess_SetAttributes(c->esys, c->session,
                                       TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT, 0xff);
    return rc == TSS2_RC_SUCCESS ? 0 : fail(err, rc, "start a session");
}

static int another_tpm(struct error *err)
{
    return error_set(err, ERR_COUNTER,
                     "the TPM is not the one that has the station's counter, or it was cleared: "
                     "nothing is issued with another one; put the TPM back, or ask the owner for a "
                     "recovery ticket");
}

/* expected NULL: whatever TPM it is. tpm receives the name of its key. */
static int meet_tpm(struct counter *c, const uint8_t *expected, uint8_t tpm[COUNTER_NAME_SIZE],
                    struct error *err)
{
    ESYS_TR key = ESYS_TR_NONE;
    int rc = make_storage_key(c, &key, tpm, err);

    if (rc == 0 && expected && memcmp(expected, tpm, COUNTER_NAME_SIZE))
        rc = another_tpm(err);
    if (rc == 0)
        rc = start_session(c, key, err);
    if (key != ESYS_TR_NONE)
        (void)Esys_FlushContext(c->esys, key);
    return rc;
}

static int start(const char *tcti, uint32_t index, const uint8_t *expected,
                 uint8_t tpm[COUNTER_NAME_SIZE], struct counter **out, struct error *err)
{
    struct counter *c = calloc(1, sizeof *c);
    int rc;

    if (!c)
        return error_set(err, ERR_INTERNAL, "out of memory");
    c->session = c->nv[COUNTER_NUMBER] = c->nv[COUNTER_CHAIN] = ESYS_TR_NONE;
    c->index = index;
    rc = connect_tpm(c, tcti, err);
    if (rc == 0)
        rc = meet_tpm(c, expected, tpm, err);
    if (rc)
        counter_close(c);
    else
        *out = c;
    return rc;
}

void counter_close(struct counter *c)
{
    if (!c)
        return;
    if (c->session != ESYS_TR_NONE)
        (void)Esys_FlushContext(c->esys, c->session);
    if (c->esys)
        Esys_Finalize(&c->esys);
    if (c->tcti)
        Tss2_TctiLdr_Finalize(&c->tcti);
    free(c);
}

/* ---- the indexes ---- */

static uint32_t index_of(const struct counter *c, enum counter_part part)
{
    return c->index + (uint32_t)part;
}

/* The name is a hash of everything public of the index; the TPM answers in its terms. */
static int read_name(struct counter *c, enum counter_part part, uint8_t name[COUNTER_NAME_SIZE],
                     struct error *err)
{
    TPM2B_NAME *is = NULL;
    TSS2_RC rc = Esys_TR_GetName(c->esys, c->nv[part], &is);
    int result = 0;

    if (rc != TSS2_RC_SUCCESS)
        return fail(err, rc, "name its counter");
    if (is->size == COUNTER_NAME_SIZE)
        memcpy(name, is->name, COUNTER_NAME_SIZE);
    else
        result = error_set(err, ERR_COUNTER, "the TPM names its counter in an unknown way");
    Esys_Free(is);
    return result;
}

static int find_index(struct counter *c, enum counter_part part, struct error *err)
{
    TSS2_RC rc = Esys_TR_FromTPMPublic(c->esys, index_of(c, part), ESYS_TR_NONE, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &c->nv[part]);

    if (rc == TSS2_RC_SUCCESS)
        return 0;
    c->nv[part] = ESYS_TR_NONE;
    if (!is_missing(rc))
        return fail(err, rc, "show its counter");
    return error_set_native(err, ERR_COUNTER, (long)rc,
                            "the TPM has no NV index 0x%08" PRIx32
                            " any more: somebody deleted the station's counter; nothing is issued, "
                            "ask the owner for a recovery ticket",
                            index_of(c, part));
}

static int open_index(struct counter *c, enum counter_part part, const struct counter_id *id,
                      const TPM2B_AUTH *auth, struct error *err)
{
    uint8_t name[COUNTER_NAME_SIZE];
    TSS2_RC set;
    int rc = find_index(c, part, err);

    if (rc == 0)
        rc = read_name(c, part, name, err);
    if (rc)
        return rc;
    if (memcmp(name, id->names[part], sizeof name))
        return error_set(err, ERR_COUNTER,
                         "NV index 0x%08" PRIx32
                         " of the TPM is not the station's counter: somebody made another in its "
                         "place; nothing is issued, ask the owner for a recovery ticket",
                         index_of(c, part));
    set = Esys_TR_SetAuth(c->esys, c->nv[part], auth);
    return set == TSS2_RC_SUCCESS ? 0 : fail(err, set, "keep an authorisation");
}

int counter_open(const char *tcti, const struct counter_id *id,
                 const uint8_t auth[COUNTER_AUTH_SIZE], struct counter **out, struct error *err)
{
    TPM2B_AUTH value = {.size = COUNTER_AUTH_SIZE};
    uint8_t tpm[COUNTER_NAME_SIZE];
    struct counter *c;
    int rc = start(tcti, id->index, id->tpm, tpm, &c, err);

    if (rc)
        return rc;
    memcpy(value.buffer, auth, COUNTER_AUTH_SIZE);
    for (int part = 0; rc == 0 && part < COUNTER_PARTS; part++)
        rc = open_index(c, (enum counter_part)part, id, &value, err);
    OPENSSL_cleanse(&value, sizeof value);
    if (rc)
        counter_close(c);
    else
        *out = c;
    return rc;
}

static int make_index(struct counter *c, enum counter_part part, const TPM2B_AUTH *auth,
                      struct error *err)
{
    TPM2B_NV_PUBLIC public = {.nvPublic = {.nvIndex = index_of(c, part),
                                           .nameAlg = TPM2_ALG_SHA256,
                                           .attributes = NV_ATTRIBUTES | parts[part].type,
                                           .dataSize = parts[part].size}};
    TSS2_RC rc = Esys_NV_DefineSpace(c->esys, ESYS_TR_RH_OWNER, c->session, ESYS_TR_NONE,
                                     ESYS_TR_NONE, auth, &public, &c->nv[part]);

    if (rc == TSS2_RC_SUCCESS)
        return 0;
    c->nv[part] = ESYS_TR_NONE;
    if (is_tpm_code(rc, TPM2_RC_NV_DEFINED))
        return error_set_native(err, ERR_EXISTS, (long)rc,
                                "the TPM has an NV index 0x%08" PRIx32
                                " already, and it is never taken over: name another; one that a "
                                "ceremony left behind goes with 'tpm2_nvundefine -C o 0x%08" PRIx32
                                "'",
                                index_of(c, part), index_of(c, part));
    return fail(err, rc, "make a counter");
}

static int make_both(struct counter *c, const uint8_t auth[COUNTER_AUTH_SIZE], struct error *err)
{
    static const uint8_t zeros[COUNTER_CHAIN_SIZE];
    TPM2B_AUTH value = {.size = COUNTER_AUTH_SIZE};
    int rc = 0;

    memcpy(value.buffer, auth, COUNTER_AUTH_SIZE);
    for (int part = 0; rc == 0 && part < COUNTER_PARTS; part++)
        rc = make_index(c, (enum counter_part)part, &value, err);
    OPENSSL_cleanse(&value, sizeof value);
    if (rc == 0)
        rc = counter_extend(c, zeros, err);
    return rc ? rc : counter_increment(c, err);
}

int counter_define(const char *tcti, uint32_t index, const uint8_t auth[COUNTER_AUTH_SIZE],
                   struct counter_id *id, struct counter **out, struct error *err)
{
    struct error ignored = ERROR_INIT;
    struct counter_id made = {.index = index};
    struct counter *c;
    int rc = start(tcti, index, NULL, made.tpm, &c, err);

    if (rc)
        return rc;
    rc = make_both(c, auth, err);
    for (int part = 0; rc == 0 && part < COUNTER_PARTS; part++)
        rc = read_name(c, (enum counter_part)part, made.names[part], err);
    if (rc && counter_remove(c, &ignored))
        error_prefix(err, "an NV index stays in the TPM");
    if (rc) {
        counter_close(c);
        return rc;
    }
    *id = made;
    *out = c;
    return 0;
}

int counter_remove(struct counter *c, struct error *err)
{
    for (int part = 0; part < COUNTER_PARTS; part++) {
        TSS2_RC rc = TSS2_RC_SUCCESS;

        if (c->nv[part] != ESYS_TR_NONE)
            rc = Esys_NV_UndefineSpace(c->esys, ESYS_TR_RH_OWNER, c->nv[part], c->session,
                                       ESYS_TR_NONE, ESYS_TR_NONE);
        if (rc != TSS2_RC_SUCCESS)
            return fail(err, rc, "remove its counter");
        c->nv[part] = ESYS_TR_NONE;
    }
    return 0;
}

/* ---- counting ---- */

static int read_part(struct counter *c, enum counter_part part, uint8_t *out, struct error *err)
{
    TPM2B_MAX_NV_BUFFER *bytes = NULL;
    TSS2_RC rc = Esys_NV_Read(c->esys, c->nv[part], c->nv[part], c->session, ESYS_TR_NONE,
                              ESYS_TR_NONE, parts[part].size, 0, &bytes);
    int result = 0;

    if (rc != TSS2_RC_SUCCESS)
        return fail(err, rc, "be read");
    if (bytes->size == parts[part].size)
        memcpy(out, bytes->buffer, parts[part].size);
    else
        result = error_set(err, ERR_COUNTER, "the TPM's counter has another size");
    Esys_Free(bytes);
    return result;
}

int counter_read(struct counter *c, uint64_t *number, uint8_t chain[COUNTER_CHAIN_SIZE],
                 struct error *err)
{
    uint8_t bytes[8];
    uint64_t read = 0;
    int rc = read_part(c, COUNTER_NUMBER, bytes, err);

    if (rc == 0)
        rc = read_part(c, COUNTER_CHAIN, chain, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof bytes; i++)
        read = read << 8 | bytes[i];
    *number = read;
    return 0;
}

static TSS2_RC write_part(struct counter *c, enum counter_part part,
                          const TPM2B_MAX_NV_BUFFER *link)
{
    if (part == COUNTER_CHAIN)
        return Esys_NV_Extend(c->esys, c->nv[part], c->nv[part], c->session, ESYS_TR_NONE,
                              ESYS_TR_NONE, link);
    return Esys_NV_Increment(c->esys, c->nv[part], c->nv[part], c->session, ESYS_TR_NONE,
                             ESYS_TR_NONE);
}

static int write_patiently(struct counter *c, enum counter_part part,
                           const TPM2B_MAX_NV_BUFFER *link, struct error *err)
{
    static const struct timespec pause = {.tv_nsec = RATE_PAUSE_NS};
    TSS2_RC rc = TSS2_RC_SUCCESS;

    for (int i = 0; i < RATE_TRIES; i++) {
        rc = write_part(c, part, link);
        if (!is_tpm_code(rc, TPM2_RC_NV_RATE))
            break;
        nanosleep(&pause, NULL);
    }
    return rc == TSS2_RC_SUCCESS ? 0 : fail(err, rc, "count");
}

int counter_extend(struct counter *c, const uint8_t link[COUNTER_CHAIN_SIZE], struct error *err)
{
    TPM2B_MAX_NV_BUFFER data = {.size = COUNTER_CHAIN_SIZE};

    memcpy(data.buffer, link, COUNTER_CHAIN_SIZE);
    return write_patiently(c, COUNTER_CHAIN, &data, err);
}

int counter_increment(struct counter *c, struct error *err)
{
    return write_patiently(c, COUNTER_NUMBER, NULL, err);
}
