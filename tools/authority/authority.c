/*
 * imprint-authority: what an owner's security team does for a station, with a key in a file.
 *
 *   imprint-authority new --key KEY.pem --public AUTHORITY.pub
 *       makes an authority key; firmware pins what --public receives
 *   imprint-authority certify --key KEY.pem --station-key STATION-AUTH.pub --station NAME
 *                             --environment NAME [--generation N] --out STATION.cert
 *       certifies the key of one station for one environment
 *
 * It is meant for demonstrations and for sites whose authority key may lie in a file. It needs
 * nothing of a station and runs on any machine.
 */
#include "base/codec.h"
#include "base/file.h"
#include "link/transcript.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC_PREFIX "p256 "

struct options {
    const char *key, *public, *station_key, *station, *environment, *generation, *out;
};

static const struct {
    const char *name;
    size_t offset;
} option_table[] = {
    {"key", offsetof(struct options, key)},
    {"public", offsetof(struct options, public)},
    {"station-key", offsetof(struct options, station_key)},
    {"station", offsetof(struct options, station)},
    {"environment", offsetof(struct options, environment)},
    {"generation", offsetof(struct options, generation)},
    {"out", offsetof(struct options, out)},
};
#define OPTION_COUNT (sizeof option_table / sizeof *option_table)

static int parse(int argc, char **argv, struct options *options)
{
    struct option longs[OPTION_COUNT + 1] = {{0}};
    int found;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        longs[i] = (struct option){option_table[i].name, required_argument, NULL, (int)i + 1};
    while ((found = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (found == '?')
            return ERR_USAGE;
        *(const char **)((char *)options + option_table[found - 1].offset) = optarg;
    }
    return optind == argc ? 0 : ERR_USAGE;
}

/* "p256 <130 hexadecimal digits>": the form in which authority and station keys are exchanged. */
static int write_public(const char *path, const uint8_t point[EC_POINT_SIZE], struct error *err)
{
    char hex[2 * EC_POINT_SIZE + 1], text[sizeof hex + 8];

    hex_encode(point, EC_POINT_SIZE, hex);
    snprintf(text, sizeof text, PUBLIC_PREFIX "%s\n", hex);
    return file_write(path, text, strlen(text), 0644, err);
}

static int read_public(const char *path, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    struct buf text;
    char *line;
    int rc;

    buf_init(&text, 4096);
    rc = file_read(path, &text, err);
    buf_put_u8(&text, 0);
    if (rc == 0) {
        line = (char *)text.data;
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, PUBLIC_PREFIX, strlen(PUBLIC_PREFIX)) ||
            hex_decode(line + strlen(PUBLIC_PREFIX), point, EC_POINT_SIZE))
            rc = error_set(err, ERR_INPUT, "'%s' is not a public key 'p256 <hex>'", path);
    }
    buf_done(&text);
    return rc;
}

static int write_key(const char *path, EVP_PKEY *key, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    long len;
    int rc;

    if (!bio || !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) {
        BIO_free(bio);
        return error_set(err, ERR_CRYPTO, "cannot encode the key");
    }
    len = BIO_get_mem_data(bio, &pem);
    rc = file_write(path, pem, (size_t)len, 0600, err);
    OPENSSL_cleanse(pem, (size_t)len);
    BIO_free(bio);
    return rc;
}

static int new_authority(const struct options *o, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key;
    int rc;

    if (!o->key || !o->public)
        return error_set(err, ERR_USAGE, "'new' needs --key and --public");
    if (file_exists(o->key))
        return error_set(err, ERR_EXISTS, "'%s' exists and is not overwritten", o->key);
    key = EVP_EC_gen("P-256");
    if (!key)
        return error_set(err, ERR_CRYPTO, "cannot make a key");
    rc = ec_point(key, point, err);
    if (rc == 0)
        rc = write_key(o->key, key, err);
    if (rc == 0)
        rc = write_public(o->public, point, err);
    EVP_PKEY_free(key);
    return rc;
}

static int read_key(const char *path, EVP_PKEY **key, struct error *err)
{
    FILE *in = fopen(path, "re");

    if (!in)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    fclose(in);
    return *key ? 0 : error_set(err, ERR_INPUT, "'%s' holds no private key", path);
}

static int copy_name(char *out, size_t size, const char *name, const char *what, struct error *err)
{
    if (strlen(name) >= size)
        return error_set(err, ERR_USAGE, "%s takes at most %zu characters", what, size - 1);
    strcpy(out, name);
    return 0;
}

static int parse_generation(const char *text, uint32_t *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < 1 || value > UINT32_MAX)
        return -1;
    *out = (uint32_t)value;
    return 0;
}

static int sign_certificate(const struct options *o, EVP_PKEY *key, struct error *err)
{
    struct link_station_cert cert = {.generation = 1};
    uint8_t point[EC_POINT_SIZE], sig[EC_SIG_SIZE];
    struct buf message, encoded;
    int rc = read_public(o->station_key, point, err);

    if (rc == 0)
        rc = copy_name(cert.station, sizeof cert.station, o->station, "--station", err);
    if (rc == 0)
        rc = copy_name(cert.environment, sizeof cert.environment, o->environment, "--environment",
                       err);
    if (rc)
        return rc;
    if (o->generation && parse_generation(o->generation, &cert.generation))
        return error_set(err, ERR_USAGE,
                         "--generation must be a whole number from 1 to 4294967295");
    cert.key = link_key_p256(point);
    buf_init(&message, LINK_X_MAX);
    buf_init(&encoded, IMPRINT_STATION_CERT_MAX);
    rc = link_station_cert_message(&cert, &message, err);
    if (rc == 0)
        rc = ec_sign(key, message.data, message.len, sig, err);
    if (rc == 0) {
        cert.sig = link_sig_p256(sig);
        rc = link_station_cert_encode(&cert, &encoded, err);
    }
    if (rc == 0)
        rc = file_write(o->out, encoded.data, encoded.len, 0644, err);
    buf_done(&message);
    buf_done(&encoded);
    return rc;
}

static int certify(const struct options *o, struct error *err)
{
    EVP_PKEY *key;
    int rc;

    if (!o->key || !o->station_key || !o->station || !o->environment || !o->out)
        return error_set(
            err, ERR_USAGE,
            "'certify' needs --key, --station-key, --station, --environment and --out");
    rc = read_key(o->key, &key, err);
    if (rc)
        return rc;
    rc = sign_certificate(o, key, err);
    EVP_PKEY_free(key);
    return rc;
}

static const char usage[] =
    "usage: imprint-authority new --key FILE --public FILE\n"
    "       imprint-authority certify --key FILE --station-key FILE --station NAME\n"
    "                         --environment NAME [--generation N] --out FILE";

int main(int argc, char **argv)
{
    struct options options = {0};
    struct error err = ERROR_INIT;
    const char *command = argc > 1 ? argv[1] : "";
    int rc;

    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0) {
        puts(usage);
        return 0;
    }
    rc = argc > 1 ? parse(argc - 1, argv + 1, &options) : ERR_USAGE;

    if (rc == 0 && strcmp(command, "new") == 0)
        rc = new_authority(&options, &err);
    else if (rc == 0 && strcmp(command, "certify") == 0)
        rc = certify(&options, &err);
    else
        rc = ERR_USAGE;
    if (rc == ERR_USAGE && !err.code)
        fprintf(stderr, "%s\n", usage);
    else if (rc)
        error_tell("imprint-authority", &err);
    return error_exit_status(rc);
}
