/*
 * tpm_ca: a CA on a token that can only sign, by the code of the station: makes root and issuing CA,
 * and certifies the key of a certificate request.
 *
 * usage: tpm_ca MODULE TOKEN PIN REQUEST FOLDER; says in lines what the token can do, and puts
 * root.pem, issuing.pem and device.pem into FOLDER. Ends with the exit status of what failed.
 */
#include "base/clock.h"
#include "hsm/credential.h"
#include "hsm/signer.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/template.h"
#include "station/profile/profile.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

static const struct authority_name root_name = {"Acme", "test", "Acme Device Root"},
                                   issuing_name = {"Acme", "test", "Acme Issuing CA"};

struct ca {
    struct hsm *h;
    X509 *root, *issuing;
    const char *folder;
};

static int put(const struct ca *ca, const char *name, X509 *cert, struct error *err)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", ca->folder, name);
    return cert_write(path, cert, err);
}

/* The public point of a request that proves possession of its key. */
static int read_request(const char *path, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    BIO *file = BIO_new_file(path, "r");
    X509_REQ *request = file ? PEM_read_bio_X509_REQ(file, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
    int rc;

    if (key && X509_REQ_verify(request, key) == 1)
        rc = ec_point(key, point, err);
    else
        rc = error_set(err, ERR_INPUT, "'%s' is no valid certificate request", path);
    X509_REQ_free(request);
    BIO_free(file);
    return rc;
}

static int make_authorities(struct ca *ca, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *root;
    int rc = hsm_key_create(ca->h, HSM_KEY_ROOT, err);

    if (rc == 0)
        rc = hsm_key_create(ca->h, HSM_KEY_ISSUING_CA, err);
    if (rc == 0)
        rc = hsm_key_point(ca->h, HSM_KEY_ISSUING_CA, point, err);
    if (rc == 0)
        rc = hsm_signer_open(ca->h, HSM_KEY_ROOT, &root, err);
    if (rc)
        return rc;
    rc = authority_root(&root_name, clock_utc(), root, &ca->root, err);
    if (rc == 0)
        rc =
            authority_issuing(&issuing_name, clock_utc(), point, ca->root, root, &ca->issuing, err);
    rc = hsm_signer_close(root, rc, err);
    if (rc == 0)
        rc = put(ca, "root.pem", ca->root, err);
    return rc ? rc : put(ca, "issuing.pem", ca->issuing, err);
}

/* As the station does it: the patched template and one signature. */
static int certify(struct ca *ca, struct cert_template *t, struct cert_subject *s, struct buf *der,
                   struct error *err)
{
    uint8_t random[CERT_RANDOM_SIZE];
    struct ca_signer signer;
    struct buf tbs;
    int rc = hsm_random(ca->h, random, sizeof random, err);

    buf_init(&tbs, CERT_DER_MAX);
    if (rc == 0) {
        cert_number(random, 1, s->number);
        rc = cert_template_tbs(t, s, &tbs, err);
    }
    if (rc == 0)
        rc = hsm_ca_signer(ca->h, HSM_KEY_ISSUING_CA, &signer, err);
    if (rc == 0)
        rc = ca_sign_tbs(&signer, &tbs, der, err);
    buf_done(&tbs);
    return rc;
}

static int issue(struct ca *ca, const char *request, struct error *err)
{
    static struct cert_profile profile;
    struct cert_template_params params = {.profile = &profile, .issuer = ca->issuing};
    struct cert_subject s = {.serial = "A1-0000001", .not_before = clock_utc()};
    struct cert_template *t = NULL;
    struct buf der;
    const uint8_t *p;
    X509 *cert = NULL;
    uint8_t point[EC_POINT_SIZE];
    int rc = read_request(request, point, err);

    s.key = key_p256(point);

    buf_init(&der, CERT_DER_MAX);
    params.values[VALUE_ORGANIZATION] = "Acme";
    params.values[VALUE_HARDWARE_TYPE] = "1.3.6.1.4.1.99999.1";
    if (rc == 0)
        rc = profile_find("idevid", &profile, err);
    if (rc == 0)
        rc = cert_template_new(&params, 10, &t, err);
    if (rc == 0)
        rc = certify(ca, t, &s, &der, err);
    p = der.data;
    if (rc == 0 && !(cert = d2i_X509(NULL, &p, (long)der.len)))
        rc = error_set(err, ERR_CRYPTO, "the certificate cannot be parsed");
    if (rc == 0)
        rc = put(ca, "device.pem", cert, err);
    X509_free(cert);
    cert_template_free(t);
    buf_done(&der);
    return rc;
}

/* What a station would need and does not get. */
static int tell(struct ca *ca)
{
    static const uint8_t order[SHA256_SIZE] = {1};
    struct error err = ERROR_INIT;
    char name[HSM_STORAGE_NAME_SIZE];
    const char *meaning, *unkept;

    printf("class: %s\nsuites: %u\n", hsm_class(ca->h), hsm_suites(ca->h));
    for (unsigned i = 0; (unkept = hsm_unkept(ca->h, i, &meaning)); i++)
        printf("%s: %s\n", unkept, meaning);
    printf("storage: %s\n", error_name(hsm_storage_create(ca->h, order, KEY_P256, name, &err)));
    printf("%s\n", err.text);
    return hsm_key_create(ca->h, HSM_KEY_LEDGER_HMAC, &err);
}

int main(int argc, char **argv)
{
    struct hsm_config config = {.module = argc > 1 ? argv[1] : "",
                                .token = argc > 2 ? argv[2] : ""};
    struct ca ca = {.folder = argc > 5 ? argv[5] : ""};
    struct error err = ERROR_INIT;
    struct secret *pin = secret_new(argc > 3 ? strlen(argv[3]) : 1);
    int rc;

    if (argc != 6)
        return error_exit_status(ERR_USAGE);
    memcpy(secret_bytes(pin), argv[3], strlen(argv[3]));
    rc = hsm_open(&config, pin, &ca.h, &err);
    secret_free(pin);
    if (rc == 0)
        rc = make_authorities(&ca, &err);
    if (rc == 0)
        rc = issue(&ca, argv[4], &err);
    if (rc == 0)
        printf("ledger key: %s\n", error_name(tell(&ca)));
    X509_free(ca.root);
    X509_free(ca.issuing);
    hsm_close(ca.h);
    if (rc)
        fprintf(stderr, "%s: %s\n", error_name(rc), err.text);
    return error_exit_status(rc);
}
