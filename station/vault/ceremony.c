#include "station/vault/ceremony.h"

#include "agent/ids.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/anchor.h"
#include "hsm/derived.h"
#include "hsm/signer.h"
#include "manifests/note.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/signed.h"
#include "station/store/ledger.h"
#include "station/vault/ca/requesting.h"
#include "station/vault/clock_stop.h"
#include "station/vault/counting.h"
#include "station/vault/token_files.h"
#include "station/vault/transcript.h"
#include "station/vault/vault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE 65

/* The four certificates of a station. */
struct authorities {
    X509 *device_root, *issuing_ca, *manifest_root, *manifest_signer;
};

/* What a ceremony holds while it runs; config.dir is the folder under construction. */
struct making {
    struct config config;
    struct hsm *hsm;
    const char *operator;
    struct authorities made;
    struct transcript_facts facts;
    uint8_t transcript[SHA256_SIZE];
    uint32_t counter; /* NV index of the counter to make; 0: none */
    struct ca_algorithm ca;
    bool company_root;
    int64_t now;
};

static int make_dirs(const struct config *config, struct error *err)
{
    static const char *const names[] = {"ca", "trust", "manifests", "tokens", "ceremony"};
    char path[PATH_MAX];
    int rc = file_make_dir(config->dir, 0700, err);

    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof *names; i++) {
        rc = config_path(config, names[i], path, err);
        if (rc == 0)
            rc = file_make_dir(path, 0700, err);
    }
    return rc;
}

/* SoftHSM keeps its tokens where this file says: final is where the folder will stand. */
static int write_softhsm_conf(const struct config *config, const char *final, struct error *err)
{
    char path[PATH_MAX];
    struct buf text;
    int rc;

    buf_init(&text, 2 * PATH_MAX);
    buf_put_str(&text, "# SoftHSM2, only for this station\ndirectories.tokendir = ");
    buf_put_str(&text, final);
    buf_put_str(&text, "/tokens/\nobjectstore.backend = file\nlog.level = ERROR\n");
    rc = config_path(config, "softhsm2.conf", path, err);
    if (rc == 0)
        rc = file_write(path, text.data, text.len, 0600, err);
    buf_done(&text);
    return rc;
}

/* A token that need only sign has the keys of the CA, and the station's own one all others. */
static int open_ca_token(struct making *m, const struct ceremony *c, struct error *err)
{
    struct hsm_config where = {m->config.ca_module, m->config.ca_token,
                               m->config.ca_module_arguments, c->ca_pin_typed};
    struct hsm *ca;
    int rc = hsm_open(&where, c->ca_pin, &ca, err);

    if (rc == 0)
        hsm_set_ca(m->hsm, ca);
    return rc;
}

static int open_token(struct making *m, const struct ceremony *c, struct error *err)
{
    struct hsm_config where = {m->config.module, m->config.token, m->config.module_arguments,
                               c->pin_typed};
    int rc = 0;

    if (c->own_token) {
        rc = write_softhsm_conf(&m->config, m->config.dir, err);
        if (rc == 0)
            rc = config_prepare_module(&m->config, err);
        if (rc == 0)
            rc = hsm_token_init(&where, m->config.token, c->so_pin, c->pin, err);
    }
    if (rc == 0)
        rc = hsm_open(&where, c->pin, &m->hsm, err);
    if (rc == 0)
        rc = hsm_can_host(m->hsm, err);
    return rc || !c->ca_pin ? rc : open_ca_token(m, c, err);
}

static int make_key(struct making *m, enum hsm_key key, struct error *err)
{
    return key == HSM_KEY_ROOT || key == HSM_KEY_ISSUING_CA
               ? hsm_key_create_as(m->hsm, key, m->ca.key, m->ca.scheme, err)
               : hsm_key_create(m->hsm, key, err);
}

/* What the token cannot do is found out before it has one key. */
static int make_keys(struct making *m, struct error *err)
{
    bool derives = hsm_derivation(m->hsm) != HSM_DERIVES_NOT;
    int rc = hsm_key_can(m->hsm, HSM_KEY_ISSUING_CA, m->ca.key, m->ca.scheme, err);

    for (int key = 0; rc == 0 && key < HSM_KEYS_OF_CEREMONY; key++)
        if ((key != HSM_KEY_DERIVATION || derives) && (key != HSM_KEY_ROOT || !m->company_root))
            rc = make_key(m, (enum hsm_key)key, err);
    return rc;
}

/* "<station> <role>", cut to what a common name holds. */
static void role_name(const struct making *m, const char *role, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%.*s %s", (int)(NAME_SIZE - 2 - strlen(role)), m->config.name, role);
}

static int make_device_side(struct making *m, struct error *err)
{
    char root_cn[NAME_SIZE], issuing_cn[NAME_SIZE];
    struct authority_name root = {m->config.organization, m->config.environment, root_cn};
    struct authority_name issuing = {m->config.organization, m->config.environment, issuing_cn};
    struct ca_signer signer;
    struct public_key key;
    int rc = hsm_ca_signer(m->hsm, HSM_KEY_ROOT, &signer, err);

    role_name(m, "device root", root_cn);
    role_name(m, "issuing CA", issuing_cn);
    if (rc == 0)
        rc = authority_root_by(&root, m->now, &signer, &m->made.device_root, err);
    if (rc == 0)
        rc = hsm_key_public(m->hsm, HSM_KEY_ISSUING_CA, &key, NULL, err);
    if (rc == 0)
        rc = authority_issuing_by(&issuing, m->now, &key, m->made.device_root, &signer,
                                  &m->made.issuing_ca, err);
    return rc;
}

static int make_manifest_side(struct making *m, EVP_PKEY *root_key, struct error *err)
{
    char root_cn[NAME_SIZE], signer_cn[NAME_SIZE];
    struct authority_name root = {m->config.organization, m->config.environment, root_cn};
    struct authority_name signer = {m->config.organization, m->config.environment, signer_cn};
    uint8_t point[EC_POINT_SIZE];
    int rc;

    role_name(m, "manifest root", root_cn);
    role_name(m, "manifest signer", signer_cn);
    rc = authority_manifest_root(&root, m->now, root_key, &m->made.manifest_root, err);
    if (rc == 0)
        rc = hsm_key_point(m->hsm, HSM_KEY_MANIFEST_SIGN, point, err);
    if (rc == 0)
        rc = authority_manifest_signer(&signer, m->now, point, m->made.manifest_root, root_key,
                                       &m->made.manifest_signer, err);
    return rc;
}

static int with_key(struct making *m, enum hsm_key which,
                    int (*use)(struct making *, EVP_PKEY *, struct error *), struct error *err)
{
    EVP_PKEY *key;
    int rc = hsm_signer_open(m->hsm, which, &key, err);

    if (rc)
        return rc;
    return hsm_signer_close(key, use(m, key, err), err);
}

static int put_cert(const struct making *m, const char *name, X509 *cert, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(&m->config, name, path, err);

    return rc ? rc : cert_write(path, cert, err);
}

static int write_certificates(const struct making *m, struct error *err)
{
    const struct {
        const char *name;
        X509 *cert;
    } files[] = {
        {"ca/device-root.pem", m->made.device_root},
        {"ca/issuing-ca.pem", m->made.issuing_ca},
        {"ca/manifest-root.pem", m->made.manifest_root},
        {"ca/manifest-signer.pem", m->made.manifest_signer},
        {"trust/device-root.pem", m->made.device_root},
        {"trust/manifest-root.pem", m->made.manifest_root},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++)
        if (files[i].cert)
            rc = put_cert(m, files[i].name, files[i].cert, err);
    return rc;
}

static int put_text(const struct making *m, const char *name, struct buf *text, struct error *err)
{
    char path[PATH_MAX];
    int rc = buf_check(text, name, err);

    if (rc == 0)
        rc = config_path(&m->config, name, path, err);
    if (rc == 0)
        rc = file_write(path, text->data, text->len, 0644, err);
    buf_reset(text);
    return rc;
}

/* The log's key, once for C2SP tools and once for openssl; and the key that devices check. */
static int write_public_keys(const struct making *m, struct error *err)
{
    uint8_t log[EC_POINT_SIZE], auth[EC_POINT_SIZE];
    char hex[2 * EC_POINT_SIZE + 1], path[PATH_MAX];
    EVP_PKEY *key = NULL;
    struct buf text;
    int rc = hsm_key_point(m->hsm, HSM_KEY_LOG_SIGN, log, err);

    buf_init(&text, 4096);
    if (rc == 0)
        rc = hsm_key_point(m->hsm, HSM_KEY_STATION_AUTH, auth, err);
    if (rc == 0)
        rc = ec_public_key(log, &key, err);
    if (rc == 0)
        rc = note_key_write(m->config.origin, key, &text, err);
    buf_put_u8(&text, '\n');
    if (rc == 0)
        rc = put_text(m, "trust/log.vkey", &text, err);
    if (rc == 0)
        rc = config_path(&m->config, "trust/log.pem", path, err);
    if (rc == 0)
        rc = cert_key_write(path, log, err);
    if (rc == 0) {
        hex_encode(auth, sizeof auth, hex);
        buf_printf(&text, "p256 %s\n", hex);
        rc = put_text(m, "station-auth.pub", &text, err);
    }
    EVP_PKEY_free(key);
    buf_done(&text);
    return rc;
}

/* What orders name: this station, and its issuing CA where it has one by now. */
static int write_station_json(const struct making *m, struct error *err)
{
    uint8_t issuer[1][SHA256_SIZE];
    X509 *cert = m->made.issuing_ca;

    if (cert && X509_digest(cert, EVP_sha256(), issuer[0], NULL) != 1)
        return error_set(err, ERR_CRYPTO, "cannot hash a certificate");
    return certified_station_json(&m->config, m->hsm, (const uint8_t(*)[SHA256_SIZE])issuer,
                                  cert ? 1 : 0, err);
}

/* Copies a PEM file with certificates into the station. */
static int pin_certificates(const struct making *m, const char *from, const char *to,
                            uint8_t hash[SHA256_SIZE], struct error *err)
{
    STACK_OF(X509) *pins = NULL;
    char path[PATH_MAX];
    struct buf pem;
    int rc;

    buf_init(&pem, 1024 * 1024);
    rc = file_read(from, &pem, err);
    if (rc == 0)
        rc = signed_pins_parse(&pem, from, &pins, err);
    signed_pins_free(pins);
    if (rc == 0)
        rc = config_path(&m->config, to, path, err);
    if (rc == 0)
        rc = file_write(path, pem.data, pem.len, 0644, err);
    if (rc == 0)
        sha256(pem.data, pem.len, hash);
    buf_done(&pem);
    return rc;
}

/* The hash of one stands in the ledger's first entry, that of the other in the transcript. */
static int pin_people(struct making *m, const struct ceremony *c, struct error *err)
{
    int rc =
        pin_certificates(m, c->order_signers, CONFIG_ORDER_SIGNERS, m->facts.order_signers, err);

    m->facts.has_custodians = c->custodians != NULL;
    if (rc == 0 && c->custodians)
        rc = pin_certificates(m, c->custodians, CONFIG_CUSTODIANS, m->facts.custodians, err);
    return rc;
}

static int first_entry(struct making *m, struct store *store, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 2048);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_hex(&j, "ceremony", m->transcript, sizeof m->transcript);
    if (m->counter)
        counting_put(&j, &m->facts.counter);
    jcs_str(&j, "environment", m->config.environment);
    jcs_str(&j, "hsm", hsm_class(m->hsm));
    jcs_hex(&j, "order_signers", m->facts.order_signers, sizeof m->facts.order_signers);
    jcs_str(&j, "origin", m->config.origin);
    if (m->company_root)
        jcs_str(&j, "root", "company");
    jcs_str(&j, "station", m->config.name);
    jcs_end(&j);
    rc = store_set_actor(store, *m->operator ? m->operator : NULL, NULL, err);
    if (rc == 0)
        rc = ledger_append_alone(store, "init", &data, err);
    buf_done(&data);
    return rc;
}

/* The last that is made outside the folder: it goes again when what is left fails. */
static int make_counter(struct making *m, struct anchoring *a, struct store *store,
                        struct error *err)
{
    if (m->counter == 0)
        return 0;
    m->facts.has_counter = true;
    return counting_make(a, m->counter, store, &m->facts.counter, err);
}

static int make_database(struct making *m, struct error *err)
{
    struct anchoring anchoring = {.config = &m->config, .hsm = m->hsm};
    struct hsm_anchor nothing = {.sequence = 0};
    struct store *store;
    int rc = vault_open_store(&m->config, STORE_CREATE, &store, err);

    if (rc)
        return rc;
    rc = hsm_anchor_create(m->hsm, &nothing, err);
    if (rc == 0)
        rc = vault_attach_store(&anchoring, store, err);
    if (rc == 0)
        rc = make_counter(m, &anchoring, store, err);
    if (rc == 0)
        rc = transcript_write(&m->config, m->hsm, &m->facts, m->transcript, err);
    if (rc == 0)
        rc = first_entry(m, store, err);
    if (rc)
        counting_unmake(&anchoring, store);
    counting_end(&anchoring);
    store_close(store);
    return rc;
}

static int make_all(struct making *m, const struct ceremony *c, struct error *err)
{
    int rc = pin_people(m, c, err);

    if (rc == 0)
        rc = open_token(m, c, err);
    if (rc == 0)
        rc = make_keys(m, err);
    if (rc == 0)
        rc = m->company_root ? requesting_first(&m->config, m->hsm, err) : make_device_side(m, err);
    if (rc == 0)
        rc = with_key(m, HSM_KEY_MANIFEST_ROOT, make_manifest_side, err);
    if (rc == 0)
        rc = write_certificates(m, err);
    if (rc == 0)
        rc = write_public_keys(m, err);
    if (rc == 0)
        rc = write_station_json(m, err);
    if (rc == 0)
        rc = make_database(m, err);
    hsm_close(m->hsm);
    m->hsm = NULL;
    if (rc == 0 && c->own_token)
        rc = write_softhsm_conf(&m->config, c->config.dir, err);
    if (rc == 0)
        rc = config_write(&m->config, err);
    if (rc == 0)
        rc = token_files_keep(&m->config, err);
    return rc ? rc : token_files_sync(&m->config, err);
}

static void free_made(struct authorities *a)
{
    X509_free(a->device_root);
    X509_free(a->issuing_ca);
    X509_free(a->manifest_root);
    X509_free(a->manifest_signer);
}

/* An empty folder may stand where the station will: rename replaces it. */
static int put_in_place(const struct making *m, const char *final, struct error *err)
{
    if (rename(m->config.dir, final))
        return errno == ENOTEMPTY || errno == EEXIST
                   ? error_set(err, ERR_EXISTS, "'%s' is not empty", final)
                   : error_set_errno(err, errno, "cannot create '%s'", final);
    return 0;
}

static int need_parent(const char *dir, struct error *err)
{
    char parent[PATH_MAX];
    char *slash;

    snprintf(parent, sizeof parent, "%s", dir);
    slash = strrchr(parent, '/');
    if (!slash || slash == parent)
        return 0;
    *slash = 0;
    if (file_exists(parent))
        return 0;
    return error_set(err, ERR_MISSING,
                     "there is no folder '%s' for the station to lie in: make it with 'mkdir -p', "
                     "or name another with --dir",
                     parent);
}

int ceremony_check_place(const struct config *config, struct error *err)
{
    char marker[PATH_MAX];
    int rc = config_path(config, "station.yaml", marker, err);

    if (rc == 0 && file_exists(marker))
        rc = error_set(err, ERR_EXISTS, "there is a station in '%s' already", config->dir);
    return rc ? rc : need_parent(config->dir, err);
}

int ceremony_run(struct ceremony *c, struct error *err)
{
    struct making m = {.config = c->config,
                       .operator= c->operator,
                       .counter = c->counter,
                       .ca = c->ca,
                       .company_root = c->company_root,
                       .now = clock_utc()};
    struct error ignored = ERROR_INIT;
    int n, rc = clock_stop_check_build(err);

    if (rc == 0)
        rc = ceremony_check_place(&c->config, err);
    if (rc)
        return rc;
    n = snprintf(m.config.dir, sizeof m.config.dir, "%s.making", c->config.dir);
    if (n < 0 || (size_t)n >= sizeof m.config.dir)
        return error_set(err, ERR_USAGE, "the name of the station's directory is too long");
    rc = file_remove_tree(m.config.dir, err);
    if (rc == 0)
        rc = make_dirs(&m.config, err);
    if (rc == 0)
        rc = make_all(&m, c, err);
    if (rc == 0)
        rc = put_in_place(&m, c->config.dir, err);
    if (rc && file_remove_tree(m.config.dir, &ignored))
        error_prefix(err, "'%s' could not be removed", m.config.dir);
    free_made(&m.made);
    return rc;
}
