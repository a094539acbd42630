/*
 * bench_generate: how many credentials a second a station makes, beside the token alone.
 *
 * One side runs the functions that the station runs: make a key, wrap it, patch a certificate, sign
 * it. The other runs the bare PKCS#11 calls of the same work, on the same token, in the same run:
 * generate, read the point, wrap, destroy, sign a digest. Rounds alternate, because machines change
 * their speed; the ratio of the medians is the result, the absolute numbers are the machine's.
 *
 * usage: bench_generate [CREDENTIALS [ROUNDS]]
 */
#include "base/clock.h"
#include "base/file.h"
#include "hsm/credential.h"
#include "hsm/signer.h"
#include "pki/authority.h"
#include "pki/template.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOKEN      "bench"
#define PIN        "123456"
#define ROUNDS_MAX 99

struct bench {
    struct error err;
    char dir[64];
    const char *module;
    struct hsm *h;
    char storage[HSM_STORAGE_NAME_SIZE];
    struct cert_template *template;
    long credentials;
    int rounds;
    uint64_t made; /* credentials so far: the serial of the next */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct secret *text_secret(const char *text)
{
    struct secret *s = secret_new(strlen(text));

    if (s)
        memcpy(secret_bytes(s), text, strlen(text));
    return s;
}

/* ---- A token and an issuing CA to work with. ---- */

static const char *find_module(void)
{
    static const char *const places[] = {
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"};
    const char *chosen = getenv("IMPRINT_SOFTHSM");

    for (size_t i = 0; !chosen && i < sizeof places / sizeof *places; i++)
        if (file_exists(places[i]))
            chosen = places[i];
    return chosen;
}

static int make_token(struct bench *b, struct secret *pin)
{
    struct hsm_config config = {.module = b->module, .token = TOKEN};
    char path[128], text[256];
    int rc;

    strcpy(b->dir, "/tmp/bench_generate_XXXXXX");
    if (!mkdtemp(b->dir))
        return error_set(&b->err, ERR_IO, "cannot make a temporary folder");
    snprintf(path, sizeof path, "%s/softhsm2.conf", b->dir);
    snprintf(text, sizeof text, "directories.tokendir = %s\nobjectstore.backend = file\n", b->dir);
    rc = file_write(path, text, strlen(text), 0600, &b->err);
    setenv("SOFTHSM2_CONF", path, 1);
    if (rc == 0)
        rc = hsm_token_init(&config, TOKEN, pin, pin, &b->err);
    if (rc == 0)
        rc = hsm_open(&config, pin, &b->h, &b->err);
    return rc;
}

/* Self-signed: a template copies the issuer's name and key identifier, and who signed the issuer
 * does not matter here. */
static int make_issuer(struct bench *b, X509 **issuer)
{
    struct authority_name name = {"Bench", NULL, "Bench CA"};
    EVP_PKEY *key;
    int rc = hsm_signer_open(b->h, HSM_KEY_ISSUING_CA, &key, &b->err);

    if (rc)
        return rc;
    rc = authority_root(&name, clock_utc(), key, issuer, &b->err);
    hsm_signer_close(b->h, key);
    return rc;
}

static int make_template(struct bench *b)
{
    struct cert_template_params params = {"Bench", NULL, "1.3.6.1.4.1.99999.1", NULL};
    int rc = make_issuer(b, &params.issuer);

    if (rc)
        return rc;
    rc = cert_template_new(&params, 10, &b->template, &b->err);
    X509_free(params.issuer);
    return rc;
}

static int bench_open(struct bench *b)
{
    static const uint8_t order[SHA256_SIZE] = {1};
    struct secret *pin = text_secret(PIN);
    int rc;

    b->module = find_module();
    if (!b->module)
        rc = error_set(&b->err, ERR_MODULE,
                       "no SoftHSM2 module: install softhsm2, or set "
                       "IMPRINT_SOFTHSM");
    else
        rc = make_token(b, pin);
    if (rc == 0)
        rc = hsm_key_create(b->h, HSM_KEY_ISSUING_CA, &b->err);
    if (rc == 0)
        rc = hsm_storage_create(b->h, order, b->storage, &b->err);
    if (rc == 0)
        rc = make_template(b);
    secret_free(pin);
    return rc;
}

static void bench_close(struct bench *b)
{
    struct error ignored;

    cert_template_free(b->template);
    hsm_close(b->h);
    if (b->dir[0])
        (void)!file_remove_tree(b->dir, &ignored);
}

/* ---- The station's side. ---- */

static int make_one(struct bench *b, struct buf *wrapped, struct buf *tbs, struct buf *der)
{
    struct cert_subject s = {.not_before = clock_utc()};
    uint8_t random[CERT_RANDOM_SIZE], sig[EC_SIG_SIZE];
    char serial[24];
    int rc;

    snprintf(serial, sizeof serial, "A1-%07llu", (unsigned long long)(b->made++ % 10000000));
    s.serial = serial;
    buf_reset(wrapped);
    buf_reset(tbs);
    buf_reset(der);
    rc = hsm_credential_make(b->h, b->storage, s.point, wrapped, &b->err);
    if (rc == 0)
        rc = hsm_random(b->h, random, sizeof random, &b->err);
    if (rc)
        return rc;
    cert_number(random, b->made, s.number);
    rc = cert_template_tbs(b->template, &s, tbs, &b->err);
    if (rc == 0)
        rc = hsm_sign(b->h, HSM_KEY_ISSUING_CA, tbs->data, tbs->len, sig, &b->err);
    return rc ? rc : cert_assemble(tbs, sig, der, &b->err);
}

static int run_station(struct bench *b, double *rate)
{
    struct buf wrapped, tbs, der;
    double begun = now();
    int rc = 0;

    buf_init(&wrapped, 1024);
    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&der, CERT_DER_MAX);
    for (long i = 0; rc == 0 && i < b->credentials; i++)
        rc = make_one(b, &wrapped, &tbs, &der);
    *rate = (double)b->credentials / (now() - begun);
    buf_done(&wrapped);
    buf_done(&tbs);
    buf_done(&der);
    return rc;
}

/* ---- The token alone. ---- */

struct bare {
    CK_FUNCTION_LIST_PTR p11;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE ca, storage;
};

static int find_object(struct bare *r, CK_OBJECT_CLASS class, const char *label,
                       CK_OBJECT_HANDLE *out)
{
    CK_ATTRIBUTE query[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_ULONG count = 0;

    if (r->p11->C_FindObjectsInit(r->session, query, 2) == CKR_OK) {
        (void)r->p11->C_FindObjects(r->session, out, 1, &count);
        (void)r->p11->C_FindObjectsFinal(r->session);
    }
    return count == 1 ? 0 : ERR_HSM;
}

/* The same instance of the module that hsm/ has loaded and logged in. */
static int bare_open(struct bench *b, struct bare *r)
{
    void *library = dlopen(b->module, RTLD_NOW | RTLD_LOCAL), *symbol;
    CK_C_GetFunctionList get;
    CK_SLOT_ID slots[4];
    CK_ULONG count = 4;

    if (!library)
        return error_set(&b->err, ERR_MODULE, "cannot load '%s' again", b->module);
    symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    if (get(&r->p11) != CKR_OK || r->p11->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK ||
        r->p11->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                              &r->session) != CKR_OK ||
        find_object(r, CKO_PRIVATE_KEY, hsm_key_label(HSM_KEY_ISSUING_CA), &r->ca) ||
        find_object(r, CKO_SECRET_KEY, b->storage, &r->storage))
        return error_set(&b->err, ERR_HSM, "cannot set up the bare loop");
    return 0;
}

static CK_RV bare_make(struct bare *r)
{
    static uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0}, wrap = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_ATTRIBUTE pub[] = {{CKA_TOKEN, &no, 1}, {CKA_EC_PARAMS, p256, sizeof p256}};
    CK_ATTRIBUTE priv[] = {{CKA_TOKEN, &no, 1},
                           {CKA_PRIVATE, &yes, 1},
                           {CKA_SENSITIVE, &yes, 1},
                           {CKA_EXTRACTABLE, &yes, 1}};
    uint8_t blob[256], point[80];
    CK_ATTRIBUTE read = {CKA_EC_POINT, point, sizeof point};
    CK_ULONG len = sizeof blob;
    CK_OBJECT_HANDLE public, private;
    CK_RV rv = r->p11->C_GenerateKeyPair(r->session, &generate, pub, 2, priv, 4, &public, &private);

    if (rv == CKR_OK)
        rv = r->p11->C_GetAttributeValue(r->session, public, &read, 1);
    if (rv == CKR_OK)
        rv = r->p11->C_WrapKey(r->session, &wrap, r->storage, private, blob, &len);
    if (rv == CKR_OK)
        rv = r->p11->C_DestroyObject(r->session, private);
    return rv == CKR_OK ? r->p11->C_DestroyObject(r->session, public) : rv;
}

static CK_RV bare_sign(struct bare *r)
{
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
    uint8_t digest[SHA256_SIZE] = {1}, sig[EC_SIG_SIZE];
    CK_ULONG len = sizeof sig;
    CK_RV rv = r->p11->C_SignInit(r->session, &ecdsa, r->ca);

    return rv == CKR_OK ? r->p11->C_Sign(r->session, digest, sizeof digest, sig, &len) : rv;
}

static int run_bare(struct bench *b, double *rate)
{
    struct bare r;
    double begun;
    CK_RV rv = CKR_OK;
    int rc = bare_open(b, &r);

    if (rc)
        return rc;
    begun = now();
    for (long i = 0; rv == CKR_OK && i < b->credentials; i++) {
        rv = bare_make(&r);
        if (rv == CKR_OK)
            rv = bare_sign(&r);
    }
    *rate = (double)b->credentials / (now() - begun);
    (void)r.p11->C_CloseSession(r.session);
    return rv == CKR_OK ? 0 : error_set(&b->err, ERR_HSM, "the bare loop failed: 0x%lx", rv);
}

/* ---- Rounds. ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static int run(struct bench *b)
{
    double station[ROUNDS_MAX] = {0}, bare[ROUNDS_MAX] = {0}, s, t;
    int rc = 0;

    for (int i = 0; rc == 0 && i < b->rounds; i++) {
        rc = run_station(b, &station[i]);
        if (rc == 0)
            rc = run_bare(b, &bare[i]);
        if (rc == 0)
            printf("round %d: station %.0f/s, bare PKCS#11 %.0f/s\n", i + 1, station[i], bare[i]);
    }
    if (rc)
        return rc;
    s = median(station, b->rounds);
    t = median(bare, b->rounds);
    printf("median of %d rounds of %ld: station %.0f/s, bare PKCS#11 %.0f/s, ratio %.2f\n",
           b->rounds, b->credentials, s, t, s / t);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.credentials = argc > 1 ? atol(argv[1]) : 2000,
                      .rounds = argc > 2 ? atoi(argv[2]) : 7};
    int rc;

    if (argc > 3 || b.credentials < 1 || b.rounds < 5 || b.rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_generate [CREDENTIALS [ROUNDS, 5 to %d]]\n", ROUNDS_MAX);
        return error_exit_status(ERR_USAGE);
    }
    rc = bench_open(&b);
    if (rc == 0)
        rc = run(&b);
    if (rc)
        fprintf(stderr, "bench_generate: %s\n", b.err.text);
    bench_close(&b);
    return error_exit_status(rc);
}
