#include "station/vault/transcript.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "pki/cert.h"
#include "pki/signed.h"
#include "station/store/ledger.h"
#include "station/vault/vault.h"

#include <dirent.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TRANSCRIPT_MAX (256 * 1024)
#define NAME_SIZE      128
#define FOLDER         "ceremony"

static const char *const certificates[] = {"ca/device-root.pem", "ca/issuing-ca.pem",
                                           "ca/manifest-root.pem", "ca/manifest-signer.pem"};

#define CERTIFICATES (sizeof certificates / sizeof *certificates)

/* ---- writing ---- */

/* SHA-256 of a certificate's DER: what `openssl x509 -fingerprint -sha256` prints. */
static int fingerprint(const struct config *config, const char *name, uint8_t hash[SHA256_SIZE],
                       struct error *err)
{
    char path[PATH_MAX];
    struct buf der;
    X509 *cert;
    int rc = config_path(config, name, path, err);

    if (rc == 0)
        rc = cert_read(path, &cert, err);
    if (rc)
        return rc;
    buf_init(&der, 65536);
    rc = cert_der(cert, &der, err);
    if (rc == 0)
        sha256(der.data, der.len, hash);
    buf_done(&der);
    X509_free(cert);
    return rc;
}

static int put_certificates(struct jcs *j, const struct config *config, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    int rc = 0;

    jcs_object(j, "certificates");
    for (size_t i = 0; rc == 0 && i < CERTIFICATES; i++) {
        rc = fingerprint(config, certificates[i], hash, err);
        if (rc == ERR_MISSING) /* a station whose root is the company's has none yet */
            rc = 0;
        else if (rc == 0)
            jcs_hex(j, certificates[i], hash, sizeof hash);
    }
    jcs_end(j);
    return rc;
}

static int put_all(struct jcs *j, const struct config *config, struct hsm *h,
                   const struct transcript_facts *facts, struct error *err)
{
    char at[CLOCK_TEXT_SIZE];
    int rc;

    clock_text(clock_utc(), at);
    jcs_object(j, NULL);
    jcs_str(j, "at", at);
    ledger_put_user(j, "by");
    rc = put_certificates(j, config, err);
    if (facts->has_counter)
        counting_put(j, &facts->counter);
    else
        jcs_null(j, "counter");
    if (facts->has_custodians)
        jcs_hex(j, "custodians", facts->custodians, sizeof facts->custodians);
    else
        jcs_null(j, "custodians");
    jcs_str(j, "customer", config->customer);
    jcs_str(j, "environment", config->environment);
    if (rc == 0)
        rc = hsm_describe_token(h, j, err);
    if (rc == 0)
        rc = hsm_describe_keys(h, j, err);
    jcs_hex(j, "order_signers", facts->order_signers, sizeof facts->order_signers);
    jcs_str(j, "organization", config->organization);
    jcs_str(j, "origin", config->origin);
    jcs_str(j, "program", "imprint " IMPRINT_VERSION);
    jcs_str(j, "station", config->name);
    jcs_str(j, "type", "ceremony");
    jcs_end(j);
    return rc;
}

int transcript_write(const struct config *config, struct hsm *h,
                     const struct transcript_facts *facts, uint8_t hash[SHA256_SIZE],
                     struct error *err)
{
    char path[PATH_MAX];
    struct buf text;
    struct jcs j;
    int rc;

    buf_init(&text, TRANSCRIPT_MAX);
    jcs_init(&j, &text);
    rc = put_all(&j, config, h, facts, err);
    if (rc == 0)
        rc = buf_check(&text, "the transcript of the ceremony", err);
    if (rc == 0)
        rc = config_path(config, CONFIG_CEREMONY, path, err);
    if (rc == 0)
        rc = file_write(path, text.data, text.len, 0644, err);
    if (rc == 0)
        sha256(text.data, text.len, hash);
    buf_done(&text);
    return rc;
}

/* ---- comparing ---- */

struct check {
    const struct config *config;
    const struct transcript_listener *to;
    struct buf text; /* the file */
    json_t *said;    /* what it says */
};

PRINTF_LIKE(4, 5)
static void tell(const struct check *c, enum hsm_finding_kind kind, const char *key,
                 const char *format, ...)
{
    char text[640];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->to->finding(c->to->context, kind, key, text);
}

/* The live token, and its keys if so wanted, in the form of the transcript; NULL, and told, when one
 * cannot be read. */
static json_t *read_live(const struct check *c, struct hsm *h, bool keys)
{
    struct error err = ERROR_INIT;
    struct buf text;
    struct jcs j;
    json_t *live = NULL;
    int rc;

    buf_init(&text, TRANSCRIPT_MAX);
    jcs_init(&j, &text);
    jcs_object(&j, NULL);
    rc = hsm_describe_token(h, &j, &err);
    if (rc == 0 && keys)
        rc = hsm_describe_keys(h, &j, &err);
    jcs_end(&j);
    if (rc == 0)
        rc = buf_check(&text, "what the token says", &err);
    if (rc)
        tell(c, HSM_FINDING_DIFFERS, CONFIG_CEREMONY, "cannot compare the token: %s", err.text);
    else
        live = json_loadb((const char *)text.data, text.len, 0, NULL);
    buf_done(&text);
    return live;
}

static const json_t *key_entry(const json_t *all, const char *label)
{
    json_t *key;
    size_t i;

    json_array_foreach(json_object_get(all, "keys"), i, key)
    {
        const char *name = json_string_value(json_object_get(key, "label"));

        if (name && strcmp(name, label) == 0)
            return key;
    }
    return NULL;
}

static bool same_member(const json_t *a, const json_t *b, const char *name)
{
    const json_t *first = json_object_get(a, name), *second = json_object_get(b, name);

    return first == second || (first && second && json_equal(first, second));
}

/* Keys that are missing now are told by the audit of the token, but for this one, which not every
 * ceremony makes. */
static void check_master(const struct check *c, const json_t *live)
{
    const char *label = hsm_key_label(HSM_KEY_DERIVATION);

    if (key_entry(c->said, label) && !key_entry(live, label))
        tell(c, HSM_FINDING_MISSING, label,
             "the ceremony made it and it is not on the token: somebody deleted it");
}

static void compare_key(const struct check *c, const json_t *said, const json_t *is,
                        const char *label)
{
    if (!said)
        tell(c, HSM_FINDING_EXTRA, label, "the key is not in the transcript of the ceremony");
    else if (is && !(same_member(said, is, "spki_sha256") && same_member(said, is, "check")))
        tell(c, HSM_FINDING_DIFFERS, label,
             "it is another key than the one of the ceremony: somebody made it since");
    else if (is && !json_equal(said, is))
        tell(c, HSM_FINDING_DIFFERS, label,
             "its attributes are not those that were read at the ceremony");
}

static void compare_keys(const struct check *c, const json_t *live)
{
    json_t *key;
    size_t i;

    json_array_foreach(json_object_get(live, "keys"), i, key)
    {
        const char *label = json_string_value(json_object_get(key, "label"));

        compare_key(c, key_entry(c->said, label), key, label);
    }
    check_master(c, live);
}

static void compare_one_token(const struct check *c, const char *name, const json_t *said_all,
                              const json_t *is_all)
{
    const json_t *said = json_object_get(said_all, "token"), *is = json_object_get(is_all, "token");

    if (!same_member(said_all, is_all, "class"))
        tell(c, HSM_FINDING_DIFFERS, name, "it is another kind of HSM than that of the ceremony");
    if (!same_member(said, is, "serial") || !same_member(said, is, "model"))
        tell(c, HSM_FINDING_NOTE, name,
             "it is not the token of the ceremony: model '%s', serial '%s' now",
             json_string_value(json_object_get(is, "model")),
             json_string_value(json_object_get(is, "serial")));
}

static void compare_token(const struct check *c, const json_t *live)
{
    const json_t *said = json_object_get(c->said, "hsm"), *is = json_object_get(live, "hsm");
    const json_t *said_ca = json_object_get(said, "ca"), *is_ca = json_object_get(is, "ca");

    compare_one_token(c, "token", said, is);
    if (said_ca && is_ca)
        compare_one_token(c, "CA's token", said_ca, is_ca);
    else if (said_ca || is_ca)
        tell(c, HSM_FINDING_DIFFERS, "CA's token",
             "the ceremony had the CA's keys on %s: set 'ca_module' and 'ca_token' of station.yaml "
             "back",
             said_ca ? "a token of their own" : "the station's own token");
}

/* What the owner was told of the HSM, in the ledger's first entry. Errors: those of ledger_first. */
static int check_class(struct store *store, const struct hsm *h, struct error *err)
{
    const char *said;
    struct buf body;
    json_t *entry;
    int rc;

    buf_init(&body, 65536);
    rc = ledger_first(store, &body, err);
    entry = rc ? NULL : json_loads((const char *)body.data, JSON_REJECT_DUPLICATES, NULL);
    said = json_string_value(json_object_get(json_object_get(entry, "data"), "hsm"));
    if (rc == 0 && said && strcmp(said, hsm_class(h)) != 0)
        rc =
            error_set(err, ERR_INTEGRITY,
                      "the token says that it is '%s', and at the ceremony it was '%s': set "
                      "'module' and 'token' of station.yaml back to those of the ceremony; another "
                      "kind of HSM needs a station of its own ('imprint init')",
                      hsm_class(h), said);
    json_decref(entry);
    buf_done(&body);
    return rc;
}

static void compare_certificates(const struct check *c)
{
    const json_t *said = json_object_get(c->said, "certificates");

    for (size_t i = 0; i < CERTIFICATES; i++) {
        const char *wanted = json_string_value(json_object_get(said, certificates[i]));
        struct error err = ERROR_INIT;
        char hex[2 * SHA256_SIZE + 1];
        uint8_t hash[SHA256_SIZE];

        if (!wanted) /* it came later, and the ledger tells of it */
            continue;
        if (fingerprint(c->config, certificates[i], hash, &err)) {
            tell(c, HSM_FINDING_MISSING, certificates[i], "%s", err.text);
            continue;
        }
        hex_encode(hash, sizeof hash, hex);
        if (strcmp(wanted, hex) != 0)
            tell(c, HSM_FINDING_DIFFERS, certificates[i],
                 "it is not the certificate of the ceremony: put the original back");
    }
}

/* ---- custodians ---- */

struct custodian {
    X509 *cert;
    char name[NAME_SIZE];
    char file[NAME_SIZE]; /* what they signed; empty: not yet */
};

static void name_of(X509 *cert, char name[NAME_SIZE])
{
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, NAME_SIZE) < 1)
        snprintf(name, NAME_SIZE, "(no common name)");
    for (char *p = name; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

static bool is_signature(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 4 && len < NAME_SIZE && strcmp(name + len - 4, ".p7s") == 0;
}

/* Whose signature the file is; told when it is nobody's. */
static void check_signature(const struct check *c, struct custodian *people, size_t count,
                            const char *file)
{
    struct error err = ERROR_INIT;
    char name[NAME_SIZE + 16], path[PATH_MAX];
    struct buf der;
    int rc;

    snprintf(name, sizeof name, FOLDER "/%s", file);
    buf_init(&der, TRANSCRIPT_MAX);
    rc = config_path(c->config, name, path, &err);
    if (rc == 0)
        rc = file_read(path, &der, &err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = signed_detached(der.data, der.len, c->text.data, c->text.len, people[i].cert, &err);
        if (rc == 0) {
            snprintf(people[i].file, sizeof people[i].file, "%s", file);
            break;
        }
        if (rc == ERR_SIGNATURE && i + 1 < count)
            rc = 0;
    }
    buf_done(&der);
    if (rc == ERR_SIGNATURE)
        tell(c, HSM_FINDING_DIFFERS, name, "no custodian of the ceremony signed the transcript so");
    else if (rc)
        tell(c, HSM_FINDING_DIFFERS, name, "%s", err.text);
}

static void check_signatures(const struct check *c, struct custodian *people, size_t count,
                             struct error *err)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *folder = config_path(c->config, FOLDER, path, err) ? NULL : opendir(path);

    if (!folder)
        return; /* nobody signed */
    while ((entry = readdir(folder)))
        if (is_signature(entry->d_name))
            check_signature(c, people, count, entry->d_name);
    closedir(folder);
}

/* The file with the certificates must be the one of the ceremony. */
static int read_custodians(const struct check *c, STACK_OF(X509) * *pins, struct error *err)
{
    const char *wanted = json_string_value(json_object_get(c->said, "custodians"));
    char path[PATH_MAX], hex[2 * SHA256_SIZE + 1];
    uint8_t hash[SHA256_SIZE];
    struct buf pem;
    int rc = config_path(c->config, CONFIG_CUSTODIANS, path, err);

    buf_init(&pem, 1024 * 1024);
    if (rc == 0)
        rc = file_read_regular(path, &pem, err);
    if (rc == 0) {
        sha256(pem.data, pem.len, hash);
        hex_encode(hash, sizeof hash, hex);
        if (strcmp(wanted, hex) != 0)
            rc = error_set(err, ERR_INTEGRITY,
                           "it is not the file that was named at the ceremony: put the original "
                           "back");
    }
    if (rc == 0)
        rc = signed_pins_parse(&pem, path, pins, err);
    buf_done(&pem);
    return rc;
}

static int check_custodians(const struct check *c, struct error *err)
{
    struct error problem = ERROR_INIT;
    STACK_OF(X509) *pins = NULL;
    struct custodian *people;
    size_t count;

    if (!json_is_string(json_object_get(c->said, "custodians")))
        return 0;
    if (read_custodians(c, &pins, &problem)) {
        tell(c, HSM_FINDING_DIFFERS, CONFIG_CUSTODIANS, "%s", problem.text);
        return 0;
    }
    count = (size_t)sk_X509_num(pins);
    people = calloc(count, sizeof *people);
    if (!people) {
        signed_pins_free(pins);
        return error_set(err, ERR_INTERNAL, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        people[i].cert = sk_X509_value(pins, (int)i);
        name_of(people[i].cert, people[i].name);
    }
    check_signatures(c, people, count, &problem);
    for (size_t i = 0; i < count; i++)
        c->to->custodian(c->to->context, people[i].name, *people[i].file ? people[i].file : NULL);
    free(people);
    signed_pins_free(pins);
    return 0;
}

static int compare_all(struct check *c, struct hsm *h, struct error *err)
{
    json_t *live = read_live(c, h, true);

    if (live) {
        compare_token(c, live);
        compare_keys(c, live);
        json_decref(live);
    }
    compare_certificates(c);
    return check_custodians(c, err);
}

/* The transcript is worth something only as the ledger's first entry names it. */
static bool read_transcript(struct check *c, struct store *store)
{
    struct error err = ERROR_INIT;
    int rc = vault_read_pinned(c->config, store, CONFIG_CEREMONY, "ceremony", &c->text, &err);

    if (rc == 0)
        c->said = json_loadb((const char *)c->text.data, c->text.len, 0, NULL);
    if (rc)
        tell(c, rc == ERR_MISSING ? HSM_FINDING_MISSING : HSM_FINDING_DIFFERS, CONFIG_CEREMONY,
             "%s", err.text);
    return c->said != NULL;
}

int transcript_check_token(const struct config *config, struct store *store, struct hsm *h,
                           const struct transcript_listener *listener, struct error *err)
{
    struct check c = {.config = config, .to = listener};
    json_t *live;
    int rc = check_class(store, h, err);

    if (rc)
        return rc;
    buf_init(&c.text, TRANSCRIPT_MAX);
    if (read_transcript(&c, store) && (live = read_live(&c, h, false))) {
        compare_token(&c, live);
        json_decref(live);
    }
    json_decref(c.said);
    buf_done(&c.text);
    return 0;
}

int transcript_check(const struct config *config, struct store *store, struct hsm *h,
                     const struct transcript_listener *listener, struct error *err)
{
    struct check c = {.config = config, .to = listener};
    int rc = 0;

    buf_init(&c.text, TRANSCRIPT_MAX);
    if (read_transcript(&c, store))
        rc = compare_all(&c, h, err);
    json_decref(c.said);
    buf_done(&c.text);
    return rc;
}
