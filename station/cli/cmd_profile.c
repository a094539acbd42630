#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "pki/cert.h"
#include "pki/template.h"
#include "station/cli/cli.h"
#include "station/profile/platforms.h"
#include "station/profile/profile.h"
#include "station/profile/sample.h"

#include <jansson.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

/* ---- list ---- */

static int print_shipped(const struct cli *cli, const char *name, struct error *err)
{
    static struct cert_profile profile;
    uint8_t hash[32];
    char hex[65];
    int rc = profile_find(name, &profile, err);

    if (rc == 0)
        rc = cert_profile_hash(&profile, hash, NULL, err);
    if (rc)
        return rc;
    hex_encode(hash, sizeof hash, hex);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:b}", "name", profile.name, "sha256", hex,
                                 "title", profile.title, "ca", profile.constraints.ca));
    else
        printf("%-11s %s\n            %s\n", profile.name, profile.title, hex);
    return 0;
}

static int list(struct cli *cli, struct error *err)
{
    int rc = 0;

    for (const struct shipped_profile *p = shipped_profiles; rc == 0 && p->name; p++)
        rc = print_shipped(cli, p->name, err);
    return rc;
}

/* ---- a sample ---- */

/* The values of a sample, those of options in place of the built-in ones. */
static void take_values(const struct cli *cli, const char *values[VALUE_COUNT])
{
    sample_values(values);
    for (size_t i = 0; i < VALUE_COUNT; i++) {
        char option[32];
        const char *given;

        snprintf(option, sizeof option, "%s", pattern_name((enum pattern_value)i));
        for (char *p = option; *p; p++)
            *p = *p == '_' ? '-' : *p;
        given = cli_value(cli, option);
        if (given)
            values[i] = given;
    }
}

/* P-256 where the options say nothing. */
static int read_algorithms(const struct cli *cli, struct sample_algorithms *a, struct error *err)
{
    const char *key = cli_value(cli, "key"), *ca = cli_value(cli, "ca-algorithm");

    if (key && !key_type_named(key, &a->key))
        return error_set(err, ERR_USAGE, "--key must be one of " KEY_TYPE_NAMES);
    if (ca && !ca_algorithm_named(ca, &a->ca))
        return error_set(err, ERR_USAGE, "--ca-algorithm must be one of %s", CA_ALGORITHM_NAMES);
    return 0;
}

static int read_sample(const struct cli *cli, struct cert_profile *profile,
                       const char *values[VALUE_COUNT], struct sample *s, struct error *err)
{
    const char *issued = cli_value(cli, "issued");
    struct sample_algorithms algorithms = {0};
    int64_t when = clock_utc();
    int rc = read_algorithms(cli, &algorithms, err);

    if (rc == 0)
        rc = profile_find(cli->args[1], profile, err);

    take_values(cli, values);
    if (rc == 0 && issued && profile_time(issued, &when, err))
        rc = error_recode(err, ERR_USAGE);
    return rc ? rc : sample_make(profile, values, when, &algorithms, s, err);
}

/* ---- check ---- */

/* How a CA signs is not in its certificate; an RSA one is taken for one that signs with PSS, whose name
 * is the longer. */
static int issuer_scheme(X509 *issuer, enum sig_scheme *scheme, struct error *err)
{
    struct public_key key;
    int rc = key_of(X509_get0_pubkey(issuer), &key, err);

    if (rc == 0)
        *scheme = scheme_of(key.type);
    return rc;
}

/* Octets of the longest certificate under the issuer of --issuer, or under the sample's. */
static int size_of(const struct cli *cli, const struct cert_profile *profile,
                   const char *const values[VALUE_COUNT], const struct sample *s, size_t *size,
                   struct error *err)
{
    const char *path = cli_value(cli, "issuer");
    struct cert_template_params params = {.profile = profile, .issuer = s->issuing};
    struct cert_subject subject = {.number = {1},
                                   .serial = values[VALUE_SERIAL],
                                   .chip_id = values[VALUE_CHIP_ID],
                                   .udi = values[VALUE_UDI],
                                   .not_before = clock_utc()};
    struct cert_template *t = NULL;
    X509 *issuer = NULL;
    int rc = path ? cert_read(path, &issuer, err) : 0;

    *size = (size_t)i2d_X509(s->cert, NULL);
    if (rc || (!s->issuing && !issuer)) /* a CA is not made by a template */
        return rc;
    if (issuer)
        params.issuer = issuer;
    rc = key_of(s->key, &subject.key, err);
    if (rc == 0)
        rc = issuer_scheme(params.issuer, &params.scheme, err);
    params.key = subject.key.type;
    memcpy(params.values, values, sizeof params.values);
    if (rc == 0)
        rc = cert_template_new(&params, strlen(subject.serial), &t, err);
    if (rc == 0)
        rc = cert_template_size(t, &subject, size, err);
    cert_template_free(t);
    X509_free(issuer);
    return rc;
}

/* Names the platforms that would refuse it; NULL where the profile is that of a CA. */
static json_t *refusals(const struct sample *s)
{
    json_t *out = json_object();

    for (const struct platform *p = platforms; s->issuing && p->name; p++) {
        const char *why = p->refuses(s->cert, s->issuing);

        json_object_set_new(out, p->name, why ? json_string(why) : json_null());
    }
    return out;
}

static json_t *uses_json(const struct cert_profile *profile)
{
    json_t *out = json_array();

    for (size_t i = 0; i < VALUE_COUNT; i++)
        if (cert_profile_uses(profile) >> i & 1)
            json_array_append_new(out, json_string(pattern_name((enum pattern_value)i)));
    return out;
}

static void print_values(const struct cert_profile *profile)
{
    static const char *const from[] = {[FROM_DEVICE] = "of each device",
                                       [FROM_CLAIM] = "known at the claim",
                                       [FROM_ORDER] = "from the order",
                                       [FROM_JOB] = "from the job"};

    for (size_t i = 0; i < VALUE_COUNT; i++)
        if (cert_profile_uses(profile) >> i & 1)
            printf("  {%s}: %s, %s\n", pattern_name((enum pattern_value)i),
                   pattern_meaning((enum pattern_value)i),
                   from[pattern_from((enum pattern_value)i)]);
}

static void print_platforms(const struct sample *s)
{
    for (const struct platform *p = platforms; s->issuing && p->name; p++) {
        const char *why = p->refuses(s->cert, s->issuing);

        printf("  %-13s %s%s\n", p->name, why ? "would refuse it: " : "no objection",
               why ? why : "");
    }
}

static int check(struct cli *cli, struct error *err)
{
    static struct cert_profile profile;
    const char *values[VALUE_COUNT];
    struct sample s = {.root = NULL};
    uint8_t hash[32];
    char hex[65];
    size_t size = 0;
    int rc = read_sample(cli, &profile, values, &s, err);

    if (rc == 0)
        rc = cert_profile_hash(&profile, hash, NULL, err);
    if (rc == 0)
        rc = size_of(cli, &profile, values, &s, &size, err);
    if (rc == 0)
        hex_encode(hash, sizeof hash, hex);
    if (rc == 0 && cli->json) {
        cli_print_json(json_pack("{s:s, s:s, s:s, s:b, s:I, s:o, s:o}", "name", profile.name,
                                 "sha256", hex, "title", profile.title, "ca",
                                 profile.constraints.ca, "size", (json_int_t)size, "values",
                                 uses_json(&profile), "refused_by", refusals(&s)));
    } else if (rc == 0) {
        printf("%s: %s\nsha256 %s\nup to %zu octets\nvalues:\n", profile.name, profile.title, hex,
               size);
        print_values(&profile);
        printf("platforms:\n");
        print_platforms(&s);
        printf("such a certificate:\n");
        X509_print_ex_fp(stdout, s.cert, XN_FLAG_RFC2253, X509_FLAG_NO_SIGDUMP);
    }
    sample_done(&s);
    return rc;
}

/* ---- sample ---- */

static int write_cert(const char *dir, const char *name, X509 *cert, struct error *err)
{
    char path[PATH_MAX];
    int rc = cert ? file_join(path, sizeof path, dir, name, err) : 0;

    return rc || !cert ? rc : cert_write(path, cert, err);
}

static int write_key(const char *dir, EVP_PKEY *key, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char path[PATH_MAX], *text;
    long len = 0;
    int rc = file_join(path, sizeof path, dir, "device.key", err);

    if (bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        len = BIO_get_mem_data(bio, &text);
    if (rc == 0 && len <= 0)
        rc = error_set(err, ERR_CRYPTO, "cannot write a key");
    if (rc == 0)
        rc = file_write(path, text, (size_t)len, 0600, err);
    BIO_free(bio);
    return rc;
}

static int write_sample(const char *dir, const struct sample *s, struct error *err)
{
    int rc = write_cert(dir, "root.pem", s->root, err);

    if (rc == 0)
        rc = write_cert(dir, "issuing.pem", s->issuing, err);
    if (rc == 0)
        rc = write_cert(dir, "device.pem", s->cert, err);
    return rc ? rc : write_key(dir, s->key, err);
}

static int sample(struct cli *cli, struct error *err)
{
    static struct cert_profile profile;
    const char *values[VALUE_COUNT], *dir = cli_value(cli, "out");
    struct sample s = {.root = NULL};
    struct buf pem;
    int rc = read_sample(cli, &profile, values, &s, err);

    buf_init(&pem, 8192);
    if (rc == 0 && dir)
        rc = write_sample(dir, &s, err);
    else if (rc == 0)
        rc = cert_pem(s.cert, &pem, err);
    if (rc == 0)
        fwrite(pem.data, 1, pem.len, stdout);
    buf_done(&pem);
    sample_done(&s);
    return rc;
}

/* ---- which of them ---- */

static const struct {
    const char *name;
    int arguments; /* with the name */
    int (*run)(struct cli *cli, struct error *err);
} actions[] = {{"list", 1, list}, {"check", 2, check}, {"sample", 2, sample}};

int cmd_profile(struct cli *cli, struct error *err)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(cli->args[0], actions[i].name) == 0 && cli->arg_count == actions[i].arguments)
            return actions[i].run(cli, err);
    return error_set(err, ERR_USAGE, "usage: imprint profile %s; see 'imprint help profile'",
                     cli->command->arguments);
}
