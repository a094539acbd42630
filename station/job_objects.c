#include "station/job_objects.h"

#include "base/file.h"
#include "link/transcript.h"
#include "pki/digest.h"
#include "pki/ec.h"
#include "station/job.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stddef.h>
#include <string.h>

static const struct kind {
    const char *name;
    size_t path; /* in struct job_objects */
    uint16_t format;
    bool p256; /* the device verifies with it, so it must be a key that the link knows */
} kinds[IMPRINT_OBJECTS_MAX + 1] = {
    [IMPRINT_OBJ_FIRMWARE_KEY] = {"firmware_key", offsetof(struct job_objects, firmware_key),
                                  IMPRINT_FMT_SPKI_DER, false},
    [IMPRINT_OBJ_CONFIGURATION] = {"configuration", offsetof(struct job_objects, configuration),
                                   IMPRINT_FMT_SIGNED, false},
    [IMPRINT_OBJ_CONFIGURATION_KEY] = {"configuration_key",
                                       offsetof(struct job_objects, configuration_key),
                                       IMPRINT_FMT_SPKI_DER, true},
    [IMPRINT_OBJ_DECOMMISSION_KEY] = {"decommission_key",
                                      offsetof(struct job_objects, decommission_key),
                                      IMPRINT_FMT_SPKI_DER, true},
};

const char *job_object_name(unsigned type)
{
    return type <= IMPRINT_OBJECTS_MAX ? kinds[type].name : NULL;
}

char *job_object_path(struct job_objects *o, unsigned type)
{
    return job_object_name(type) ? (char *)o + kinds[type].path : NULL;
}

static int missing(const struct job *job, const char *field, const char *path, struct error *err)
{
    return error_set(err, ERR_MISSING,
                     "there is no file '%s': put it there, or correct '%s' in '%s'", path, field,
                     job->path);
}

static int put_public_key(EVP_PKEY *key, const struct kind *kind, const char *path, struct buf *out,
                          struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    if (len > 0)
        buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    if (len <= 0 || (kind->p256 && ec_point(key, point, NULL)))
        return error_set(err, ERR_INPUT, "the %s in '%s' is not a P-256 key", kind->name, path);
    return buf_check(out, kind->name, err);
}

static int read_public_key(const struct job *job, const struct kind *kind, const char *path,
                           struct job_object *object, struct error *err)
{
    BIO *pem = BIO_new_file(path, "r");
    EVP_PKEY *key;
    int rc;

    if (!pem && errno == ENOENT)
        return missing(job, kind->name, path, err);
    if (!pem)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    key = PEM_read_bio_PUBKEY(pem, NULL, NULL, NULL);
    BIO_free(pem);
    if (!key)
        return error_set(err, ERR_INPUT,
                         "'%s' holds no PEM public key: 'openssl pkey -pubout' writes one", path);
    rc = put_public_key(key, kind, path, &object->bytes, err);
    EVP_PKEY_free(key);
    if (rc == 0)
        sha256(object->bytes.data, object->bytes.len, object->hash);
    return rc;
}

static int read_file(const struct job *job, const char *field, const char *path, struct buf *out,
                     struct error *err)
{
    int rc = file_read(path, out, err);

    return rc == ERR_MISSING ? missing(job, field, path, err) : rc;
}

/* The signature must be the key's: a device would find out only at its COMMIT. */
static int check_signature(const struct job *job, const struct buf *contents,
                           const uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    const struct buf *spki = &job->objects[IMPRINT_OBJ_CONFIGURATION_KEY].bytes;
    struct buf message;
    int rc;

    buf_init(&message, 2 * JOB_CONFIGURATION_MAX);
    rc = link_configuration_message(contents->data, contents->len, &message, err);
    if (rc == 0 &&
        ec_verify(spki->data + spki->len - EC_POINT_SIZE, message.data, message.len, sig, NULL))
        rc = error_set(err, ERR_SIGNATURE,
                       "the signature '%s' is not that of '%s' over '%s': sign the bytes \"%s\", a "
                       "zero byte and the configuration",
                       job->object_files.configuration_signature,
                       job->object_files.configuration_key, job->object_files.configuration,
                       IMPRINT_LABEL_CONFIGURATION);
    buf_done(&message);
    return rc;
}

static int build_configuration(struct job *job, const struct buf *contents, const struct buf *der,
                               struct error *err)
{
    struct job_object *object = &job->objects[IMPRINT_OBJ_CONFIGURATION];
    uint8_t sig[EC_SIG_SIZE];
    int rc;

    if (contents->len == 0)
        return error_set(err, ERR_INPUT, "the configuration '%s' is empty",
                         job->object_files.configuration);
    if (ec_sig_from_der(der->data, der->len, sig))
        return error_set(err, ERR_INPUT,
                         "'%s' is not an ECDSA signature as 'openssl dgst -sha256 -sign' writes it",
                         job->object_files.configuration_signature);
    rc = check_signature(job, contents, sig, err);
    if (rc)
        return rc;
    sha256(contents->data, contents->len, object->hash);
    return link_signed_object(contents->data, contents->len, sig, &object->bytes, err);
}

static int read_configuration(struct job *job, struct error *err)
{
    const struct job_objects *files = &job->object_files;
    struct buf contents, der;
    int rc;

    if (!files->configuration[0] && !files->configuration_signature[0])
        return 0;
    if (!files->configuration[0] || !files->configuration_signature[0] ||
        !files->configuration_key[0])
        return error_set(err, ERR_INPUT,
                         "%s: 'configuration', 'configuration_signature' and 'configuration_key' "
                         "go together: add what is missing to 'objects'",
                         job->path);
    buf_init(&contents, JOB_CONFIGURATION_MAX);
    buf_init(&der, EC_SIG_DER_MAX);
    rc = read_file(job, "configuration", files->configuration, &contents, err);
    if (rc == 0)
        rc = read_file(job, "configuration_signature", files->configuration_signature, &der, err);
    if (rc == 0)
        rc = build_configuration(job, &contents, &der, err);
    buf_done(&contents);
    buf_done(&der);
    return rc;
}

int job_objects_read(struct job *job, struct error *err)
{
    int rc = 0;

    for (unsigned type = 0; type <= IMPRINT_OBJECTS_MAX; type++) {
        const char *path = job_object_path(&job->object_files, type);

        buf_init(&job->objects[type].bytes, 2 * JOB_CONFIGURATION_MAX);
        job->objects[type].format = kinds[type].format;
        if (rc == 0 && path && path[0] && kinds[type].format == IMPRINT_FMT_SPKI_DER)
            rc = read_public_key(job, &kinds[type], path, &job->objects[type], err);
    }
    return rc ? rc : read_configuration(job, err);
}

void job_objects_done(struct job *job)
{
    for (unsigned type = 0; type <= IMPRINT_OBJECTS_MAX; type++)
        buf_done(&job->objects[type].bytes);
}

static int bind_object(const struct job *job, unsigned type, const struct order_object *named,
                       struct error *err)
{
    const struct job_object *object = &job->objects[type];
    const char *name = kinds[type].name;

    if (named->named && object->bytes.len == 0)
        return error_set(err, ERR_INPUT, "%s: the order names a %s: add '%s: FILE' to 'objects'",
                         job->path, name, name);
    if (object->bytes.len == 0 || (named->named && sha256_equal(object->hash, named->hash)))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the %s that '%s' names is not the one that the order names by hash", name,
                     job->path);
}

int job_objects_bind(const struct job *job, const struct order *order, struct error *err)
{
    int rc = 0;

    for (unsigned type = 0; rc == 0 && type <= IMPRINT_OBJECTS_MAX; type++)
        if (kinds[type].name)
            rc = bind_object(job, type, &order->objects[type], err);
    return rc;
}
