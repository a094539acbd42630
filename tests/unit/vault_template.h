/*
 * vault_template: the station that every test copies. Its ceremony runs once, in a process of its own
 * before the first test.
 */
#ifndef TESTS_VAULT_TEMPLATE_H
#define TESTS_VAULT_TEMPLATE_H

#include "check_util.h"
#include "softhsm.h"

#include "hsm/keys.h"
#include "link/transcript.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "station/vault/ceremony.h"
#include "station/vault/vault.h"

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RIG_ENVIRONMENT "test"
#define RIG_NAME        "line-1"

static char rig_template[64];

/* Also used before any test runs, so it asserts nothing. */
static inline void rig_path(const char *dir, const char *name, char out[PATH_MAX])
{
    if (file_join(out, PATH_MAX, dir, name, NULL))
        abort();
}

/* The station's compact certificate, signed by an authority that nobody keeps. */
static inline int rig_certify(const struct config *config, struct hsm *h, const char *station,
                              const char *environment, bool own_key)
{
    struct error err = ERROR_INIT;
    struct link_station_cert cert = {.generation = 1};
    uint8_t point[EC_POINT_SIZE], sig[EC_SIG_SIZE];
    EVP_PKEY *authority = EVP_EC_gen("P-256");
    struct buf bytes;
    char path[PATH_MAX];
    int rc = own_key ? hsm_key_point(h, HSM_KEY_STATION_AUTH, point, &err)
                     : ec_point(authority, point, &err);

    buf_init(&bytes, 1024);
    cert.key = link_key_p256(point);
    strcpy(cert.station, station);
    strcpy(cert.environment, environment);
    if (rc == 0)
        rc = link_station_cert_message(&cert, &bytes, &err);
    if (rc == 0)
        rc = ec_sign(authority, bytes.data, bytes.len, sig, &err);
    cert.sig = link_sig_p256(sig);
    buf_reset(&bytes);
    if (rc == 0)
        rc = link_station_cert_encode(&cert, &bytes, &err);
    if (rc == 0)
        rc = config_path(config, "station.cert", path, &err);
    if (rc == 0)
        rc = file_write(path, bytes.data, bytes.len, 0644, &err);
    buf_done(&bytes);
    EVP_PKEY_free(authority);
    return rc;
}

/* A key that may sign orders, and its certificate. */
static inline int rig_order_signers(char path[PATH_MAX], struct error *err)
{
    struct authority_name name = {"Owner", NULL, "Order authority"};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char key_path[PATH_MAX];
    X509 *cert = NULL;
    FILE *file;
    int rc = authority_root(&name, 1700000000, key, &cert, err);

    rig_path(rig_template, "orders.pem", path);
    rig_path(rig_template, "orders.key", key_path);
    if (rc == 0)
        rc = cert_write(path, cert, err);
    file = fopen(key_path, "w");
    if (!file || !PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) || fclose(file))
        abort();
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

/* With NSS the token stands in <dir>/nss. */
static inline void rig_nss(struct config *config, const char *dir)
{
    char path[PATH_MAX];

    rig_path(dir, "nss", path);
    softhsm_nss_arguments(path, config->module_arguments, sizeof config->module_arguments);
}

static inline bool rig_nss_init(const char *dir)
{
    char path[PATH_MAX];

    rig_path(dir, "nss", path);
    return !softhsm_is_nss() || (mkdir(path, 0700) == 0 && softhsm_nss_init(path));
}

/* As `openssl cms -sign -binary -nodetach -outform DER` does it. */
static inline void rig_sign(const struct buf *content, struct buf *out)
{
    struct error err = ERROR_INIT;
    BIO *in = BIO_new_mem_buf(content->data, (int)content->len);
    char path[PATH_MAX];
    CMS_ContentInfo *cms;
    EVP_PKEY *key;
    uint8_t *der = NULL;
    X509 *cert;
    FILE *file;
    int len;

    rig_path(rig_template, "orders.pem", path);
    ASSERT_OK(cert_read(path, &cert, &err), err);
    rig_path(rig_template, "orders.key", path);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    cms = CMS_sign(cert, key, NULL, in, CMS_BINARY);
    ck_assert_ptr_nonnull(cms);
    len = i2d_CMS_ContentInfo(cms, &der);
    ck_assert_int_gt(len, 0);
    buf_reset(out);
    buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(in);
}

/* In a child: the ceremony, a PIN file, and the station's certificate. */
static inline int rig_found(struct error *err)
{
    struct ceremony c = {.own_token = !softhsm_is_nss(),
                         .config = {.name = RIG_NAME,
                                    .environment = RIG_ENVIRONMENT,
                                    .origin = "acme.example/wl/line1",
                                    .customer = "Acme",
                                    .token = TEST_TOKEN,
                                    .pin_file = "pin",
                                    .organization = "Acme Medical"}};
    char path[PATH_MAX], signers[PATH_MAX];
    struct hsm *h;
    int rc;

    c.pin = softhsm_secret(TEST_PIN);
    c.so_pin = softhsm_secret(TEST_SO_PIN);
    rig_path(rig_template, "station", c.config.dir);
    strcpy(c.config.module, softhsm_module);
    if (softhsm_is_nss())
        rig_nss(&c.config, rig_template);
    rc = rig_order_signers(signers, err);
    c.order_signers = signers;
    if (rc == 0)
        rc = ceremony_run(&c, err);
    secret_free(c.pin);
    secret_free(c.so_pin);
    if (rc == 0)
        rc = config_path(&c.config, "pin", path, err);
    if (rc == 0)
        rc = file_write(path, TEST_PIN "\n", strlen(TEST_PIN "\n"), 0600, err);
    if (rc == 0)
        rc = vault_open_hsm(&c.config, &h, err);
    if (rc)
        return rc;
    rc = rig_certify(&c.config, h, RIG_NAME, RIG_ENVIRONMENT, true);
    hsm_close(h);
    return rc;
}

/* Before the first test. */
static inline void rig_make_template(void)
{
    int status = -1;
    pid_t child;

    strcpy(rig_template, "/tmp/check_station_XXXXXX");
    if (!softhsm_look_for_module() || !mkdtemp(rig_template) || !rig_nss_init(rig_template)) {
        fprintf(stderr, "no token: install softhsm2, libnss3 and libnss3-tools\n");
        exit(EXIT_FAILURE);
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        struct error err = ERROR_INIT;
        int rc = rig_found(&err);

        if (rc)
            fprintf(stderr, "cannot make a station: %s\n", err.text);
        _exit(rc ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    waitpid(child, &status, 0);
    if (status)
        exit(EXIT_FAILURE);
}

#endif
