#include "station/conform/pass.h"

#include "base/file.h"
#include "link/transcript.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

static int read_key(const char *path, EVP_PKEY **key, uint8_t point[EC_POINT_SIZE],
                    struct error *err)
{
    FILE *in = fopen(path, "re");

    if (!in)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    fclose(in);
    if (!*key || ec_point(*key, point, NULL))
        return error_set(err, ERR_INPUT, "'%s' holds no P-256 private key in PEM", path);
    return 0;
}

static int new_key(EVP_PKEY **key, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    *key = EVP_EC_gen("P-256");
    return *key ? ec_point(*key, point, err) : error_set(err, ERR_CRYPTO, "cannot make a key");
}

/* The pass as it travels: lp(private key, DER) ‖ lp(certificate). */
static int put_pass(EVP_PKEY *key, const struct buf *cert, struct buf *out, struct error *err)
{
    uint8_t *der = NULL;
    int len = i2d_PrivateKey(key, &der);

    if (len <= 0)
        return error_set(err, ERR_CRYPTO, "cannot encode the station's key");
    buf_put_lp(out, der, (size_t)len);
    OPENSSL_clear_free(der, (size_t)len);
    buf_put_lp(out, cert->data, cert->len);
    return buf_check(out, "the station's key", err);
}

static int certify(EVP_PKEY *authority, const uint8_t station[EC_POINT_SIZE], struct buf *out,
                   struct error *err)
{
    struct link_station_cert cert = {.key = link_key_p256(station),
                                     .station = "imprint conform",
                                     .environment = PASS_ENVIRONMENT,
                                     .generation = 1};
    uint8_t sig[EC_SIG_SIZE];
    struct buf message;
    int rc;

    buf_init(&message, LINK_X_MAX);
    rc = link_station_cert_message(&cert, &message, err);
    if (rc == 0)
        rc = ec_sign(authority, message.data, message.len, sig, err);
    if (rc == 0) {
        cert.sig = link_sig_p256(sig);
        rc = link_station_cert_encode(&cert, out, err);
    }
    buf_done(&message);
    return rc;
}

int pass_make(const char *authority_key, struct buf *out, struct error *err)
{
    EVP_PKEY *authority = NULL, *station = NULL;
    uint8_t ignored[EC_POINT_SIZE], point[EC_POINT_SIZE];
    struct buf cert;
    int rc = authority_key ? read_key(authority_key, &authority, ignored, err)
                           : new_key(&authority, ignored, err);

    buf_init(&cert, IMPRINT_STATION_CERT_MAX);
    if (rc == 0)
        rc = new_key(&station, point, err);
    if (rc == 0)
        rc = certify(authority, point, &cert, err);
    if (rc == 0)
        rc = put_pass(station, &cert, out, err);
    EVP_PKEY_free(authority);
    EVP_PKEY_free(station);
    buf_done(&cert);
    return rc;
}

int pass_read(const char *key_path, const char *cert_path, struct buf *out, struct error *err)
{
    struct link_station_cert cert;
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key = NULL;
    struct buf bytes;
    int rc = read_key(key_path, &key, point, err);

    buf_init(&bytes, IMPRINT_STATION_CERT_MAX);
    if (rc == 0)
        rc = file_read(cert_path, &bytes, err);
    if (rc == 0 && link_station_cert_parse(bytes.data, bytes.len, &cert, NULL))
        rc = error_set(err, ERR_INPUT, "'%s' is not a compact station certificate", cert_path);
    if (rc == 0 && (cert.key.len != sizeof point || memcmp(cert.key.bytes, point, sizeof point)))
        rc = error_set(err, ERR_INPUT, "'%s' certifies another key than that of '%s'", cert_path,
                       key_path);
    if (rc == 0)
        rc = put_pass(key, &bytes, out, err);
    EVP_PKEY_free(key);
    buf_done(&bytes);
    return rc;
}

int pass_take(const void *bytes, size_t len, struct pass *pass, struct error *err)
{
    struct link_station_cert cert;
    const uint8_t *key, *at;
    size_t key_len, cert_len;
    struct reader r;

    *pass = (struct pass){0};
    buf_init(&pass->cert, IMPRINT_STATION_CERT_MAX);
    reader_init(&r, bytes, len);
    if (reader_lp(&r, &key, &key_len, PASS_MAX) ||
        reader_lp(&r, &at, &cert_len, IMPRINT_STATION_CERT_MAX) || reader_end(&r) ||
        link_station_cert_parse(at, cert_len, &cert, NULL))
        return error_set(err, ERR_FORMAT, "no station key and certificate came");
    pass->key = d2i_AutoPrivateKey(NULL, &key, (long)key_len);
    buf_put(&pass->cert, at, cert_len);
    strcpy(pass->environment, cert.environment);
    if (!pass->key)
        return error_set(err, ERR_FORMAT, "the station's key is none");
    return buf_check(&pass->cert, "the station's certificate", err);
}

void pass_done(struct pass *pass)
{
    EVP_PKEY_free(pass->key);
    buf_done(&pass->cert);
    *pass = (struct pass){0};
}
