#include "export.h"

#include "agent/port_openssl.h"
#include "base/codec.h"
#include "base/file.h"
#include "store.h"

#include <limits.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static int write_in(const char *dir, const char *name, const void *bytes, size_t len,
                    struct error *err)
{
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, dir, name, err);

    return rc ? rc : file_write(path, bytes, len, 0600, err);
}

static int write_bio(const char *dir, const char *name, BIO *bio, struct error *err)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);

    return write_in(dir, name, bytes, (size_t)len, err);
}

static int write_key(const char *dir, const struct imprint_agent_crypto *crypto,
                     const struct imprint_agent_identity *identity, struct error *err)
{
    EVP_PKEY *key = imprint_agent_port_openssl_key(crypto, identity->scalar);
    BIO *bio = BIO_new(BIO_s_secmem());
    int rc;

    if (!key || !bio || !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
        rc = error_set(err, ERR_CRYPTO, "the device's private key is not a P-256 key");
    else
        rc = write_bio(dir, "key.pem", bio, err);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return rc;
}

/* A private key of another type than P-256. */
static int write_other_key(const char *dir, struct imprint_agent *agent, struct error *err)
{
    uint8_t der[IMPRINT_AGENT_PRIVATE_MAX];
    const uint8_t *p = der;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    BIO *bio = BIO_new(BIO_s_secmem());
    size_t len = 0;
    int rc;

    if (imprint_agent_private_read(agent, der, sizeof der, &len))
        info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
    if (!info || !bio || !PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info))
        rc = error_set(err, ERR_CRYPTO, "the device's private key cannot be read");
    else
        rc = write_bio(dir, "key.pem", bio, err);
    explicit_bzero(der, sizeof der);
    PKCS8_PRIV_KEY_INFO_free(info);
    BIO_free(bio);
    return rc;
}

/* DER certificates, one after the other, as PEM. */
static int put_pem(BIO *bio, const uint8_t *der, size_t len, const char *name, struct error *err)
{
    const uint8_t *p = der;

    while (p < der + len) {
        X509 *cert = d2i_X509(NULL, &p, (long)(der + len - p));
        bool ok = cert && PEM_write_bio_X509(bio, cert);

        X509_free(cert);
        if (!ok)
            return error_set(err, ERR_FORMAT, "the device's %s are not DER certificates", name);
    }
    return 0;
}

static int write_certificates(const char *dir, struct imprint_agent *agent,
                              enum imprint_object type, const char *name, struct error *err)
{
    uint32_t len = imprint_agent_object_length(agent, type);
    uint8_t *der = malloc(len ? len : 1);
    BIO *bio = BIO_new(BIO_s_mem());
    int rc = 0;

    if (!der || !bio)
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (len > 0 && !imprint_agent_object_read(agent, type, 0, der, len))
        rc = error_set(err, ERR_IO, "the device's %s cannot be read", name);
    if (rc == 0)
        rc = put_pem(bio, der, len, name, err);
    if (rc == 0)
        rc = write_bio(dir, name, bio, err);
    BIO_free(bio);
    free(der);
    return rc;
}

/* The other objects as they are, in files named by their number; the symmetric key by its value. */
static int write_objects(const char *dir, struct imprint_agent *agent,
                         const struct imprint_agent_identity *identity, struct error *err)
{
    uint8_t bytes[IMPRINT_AGENT_SLOT_SIZE];
    char name[16];
    int rc = 0;

    for (int type = IMPRINT_OBJ_FIRMWARE_KEY; rc == 0 && type <= IMPRINT_OBJ_DECOMMISSION_KEY;
         type++) {
        uint32_t len = imprint_agent_object_length(agent, (enum imprint_object)type);

        if (len == 0 || type == IMPRINT_OBJ_SYMMETRIC_KEY)
            continue;
        if (!imprint_agent_object_read(agent, (enum imprint_object)type, 0, bytes, len))
            return error_set(err, ERR_IO, "object %d of the device cannot be read", type);
        snprintf(name, sizeof name, "object-%d", type);
        rc = write_in(dir, name, bytes, len, err);
    }
    if (rc == 0 && identity->has_symmetric)
        rc = write_in(dir, "symmetric", identity->symmetric, sizeof identity->symmetric, err);
    return rc;
}

static int write_texts(const char *dir, const struct imprint_agent_identity *identity,
                       struct error *err)
{
    char transaction[2 * IMPRINT_TX_SIZE + 2];
    char serial[IMPRINT_SERIAL_MAX + 2];
    int rc;

    hex_encode(identity->transaction, IMPRINT_TX_SIZE, transaction);
    strcat(transaction, "\n");
    snprintf(serial, sizeof serial, "%s\n", identity->serial);
    rc = write_in(dir, "transaction", transaction, strlen(transaction), err);
    return rc ? rc : write_in(dir, "serial", serial, strlen(serial), err);
}

static int write_state(const char *dir, const struct imprint_agent_identity *identity, bool any,
                       struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, 256);
    buf_printf(&b, "state %s\n", any ? "committed" : "none");
    buf_printf(&b, "lifecycle %s\n",
               identity->lifecycle == IMPRINT_LIFE_LOCKED ? "locked" : "factory");
    buf_printf(&b, "commit_count %u\n", (unsigned)identity->commit_count);
    rc = buf_check(&b, "the state", err);
    if (rc == 0)
        rc = write_in(dir, "state", b.data, b.len, err);
    buf_done(&b);
    return rc;
}

static int export_agent(const char *dir, struct imprint_agent *agent, struct error *err)
{
    const struct imprint_agent_crypto *crypto = &agent->platform->crypto;
    struct imprint_agent_identity identity;
    bool any = imprint_agent_identity(agent, &identity);
    int rc = write_state(dir, &identity, any, err);

    if (rc == 0 && !any)
        rc = error_set(err, ERR_MISSING, "the device holds no identity");
    if (rc == 0 && identity.has_private)
        rc = write_key(dir, crypto, &identity, err);
    if (rc == 0 && identity.has_other)
        rc = write_other_key(dir, agent, err);
    if (rc == 0)
        rc = write_texts(dir, &identity, err);
    if (rc == 0)
        rc = write_certificates(dir, agent, IMPRINT_OBJ_CERTIFICATES, "certificates.pem", err);
    if (rc == 0)
        rc = write_certificates(dir, agent, IMPRINT_OBJ_TRUST_ANCHORS, "trust-anchors.pem", err);
    if (rc == 0)
        rc = write_objects(dir, agent, &identity, err);
    explicit_bzero(&identity, sizeof identity);
    return rc;
}

int export_identity(const char *store_dir, const char *out_dir, struct error *err)
{
    static struct store store;
    static struct imprint_agent agent;
    struct imprint_agent_platform platform = {.firmware = ""};
    int rc = store_open_copy(&store, store_dir, err);

    if (rc)
        return rc;
    rc = file_make_dir(out_dir, 0700, err);
    if (rc == 0 && !imprint_agent_port_openssl_init(&platform.crypto))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    if (rc == 0) {
        /* The agent finishes what was interrupted, on the copy: so this is what it will hold. */
        platform.store = store_functions(&store);
        imprint_agent_init(&agent, &platform);
        rc = export_agent(out_dir, &agent, err);
        imprint_agent_port_openssl_done(&platform.crypto);
    }
    store_close(&store);
    return rc;
}
