#include "station/vault/vault.h"

#include "base/codec.h"
#include "base/file.h"
#include "hsm/anchor.h"
#include "hsm/audit.h"
#include "link/transcript.h"
#include "pki/cert.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/vault/algorithms.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/certifier.h"
#include "station/vault/closed.h"
#include "station/vault/counting.h"
#include "station/vault/hosted/hosted_job.h"
#include "station/vault/pin.h"
#include "station/vault/quota.h"
#include "station/vault/symmetric.h"
#include "station/vault/token_files.h"

#include <jansson.h>
#include <string.h>
#include <sys/prctl.h>

#define PINS_MAX (1024 * 1024)

int vault_open_store(const struct config *config, enum store_mode mode, struct store **store,
                     struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(config, "station.db", path, err);

    return rc ? rc : store_open(path, mode, store, err);
}

static int mac_with_hsm(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return hsm_hmac(context, bytes, len, mac, err);
}

/* The token remembers the newest entry; its files are synced before anything is released. */
static int anchor_with_hsm(void *context, int64_t seq, const uint8_t head[32], struct error *err)
{
    const struct anchoring *a = context;
    struct hsm_anchor next = {.sequence = (uint64_t)seq};
    int rc;

    memcpy(next.head, head, sizeof next.head);
    rc = hsm_anchor_write(a->hsm, &next, err);
    return rc ? rc : token_files_sync(a->config, err);
}

void vault_attach_reader(struct hsm *hsm, struct store *store)
{
    store_set_mac(store, mac_with_hsm, hsm);
}

int vault_attach_anchor(struct anchoring *a, struct store *store, struct error *err)
{
    struct hsm_anchor anchored;
    uint8_t head[32];
    int64_t seq;
    int rc;

    store_set_mac(store, mac_with_hsm, a->hsm);
    rc = hsm_anchor_read(a->hsm, &anchored, err);
    if (rc == 0)
        rc = ledger_resume(store, (int64_t)anchored.sequence, anchored.head, &seq, head, err);
    if (rc == 0)
        rc = anchor_with_hsm(a, seq, head, err);
    if (rc == 0)
        store_set_anchor(store, anchor_with_hsm, a);
    return rc;
}

int vault_attach_store(struct anchoring *a, struct store *store, struct error *err)
{
    int rc = vault_attach_anchor(a, store, err);

    return rc ? rc : counting_start(a, store, err);
}

typedef int open_fn(const struct hsm_config *config, struct secret *pin, struct hsm **out,
                    struct error *err);

/* The token with the CA keys, where it is another one. */
static int open_ca(const struct config *config, open_fn *open, struct hsm *h, struct error *err)
{
    struct config of_ca;
    struct hsm_config where = {
        .module = of_ca.module, .token = of_ca.token, .arguments = of_ca.module_arguments};
    struct secret *pin;
    struct hsm *ca;
    int rc;

    config_of_ca(config, &of_ca);
    rc = pin_read(&of_ca, &pin, &where.last_try, err);
    if (rc)
        return error_prefix(err, "the CA's token '%s'", of_ca.token);
    rc = open(&where, pin, &ca, err);
    secret_free(pin);
    if (rc == 0)
        hsm_set_ca(h, ca);
    return rc;
}

static int open_hsm(const struct config *config, open_fn *open, struct hsm **hsm, struct error *err)
{
    struct hsm_config where = {
        .module = config->module, .token = config->token, .arguments = config->module_arguments};
    struct hsm *opened;
    struct secret *pin;
    int rc = config_prepare_module(config, err);

    /* Whatever program opens a token holds a PIN from here on: others of the same user, as the line,
     * may not read it, and no core dump will. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (rc == 0)
        rc = token_files_restore(config, err);
    if (rc == 0)
        rc = pin_read(config, &pin, &where.last_try, err);
    if (rc)
        return rc;
    rc = open(&where, pin, &opened, err);
    secret_free(pin);
    if (rc)
        return rc;
    rc = token_files_keep(config, err);
    if (rc == 0 && *config->ca_module)
        rc = open_ca(config, open, opened, err);
    if (rc)
        hsm_close(opened);
    else
        *hsm = opened;
    return rc;
}

int vault_open_hsm(const struct config *config, struct hsm **hsm, struct error *err)
{
    return open_hsm(config, hsm_open, hsm, err);
}

int vault_open_hsm_unchecked(const struct config *config, struct hsm **hsm, struct error *err)
{
    return open_hsm(config, hsm_open_unchecked, hsm, err);
}

/* Devices carry them and records name them: with other ones no owner could verify either. */
static int read_issuers(struct vault *v, struct error *err)
{
    int rc = issuers_load(v->config, v->store, &v->issuers, err);

    return rc ? rc : issuers_check_keys(&v->issuers, v->hsm, err);
}

static int compare_pinned(struct store *store, const char *path, const char *member,
                          const struct buf *bytes, struct error *err)
{
    char hex[2 * SHA256_SIZE + 1], expected[sizeof hex + 64];
    uint8_t hash[SHA256_SIZE];
    struct buf body;
    int rc;

    buf_init(&body, 65536);
    rc = ledger_first(store, &body, err);
    sha256(bytes->data, bytes->len, hash);
    hex_encode(hash, sizeof hash, hex);
    snprintf(expected, sizeof expected, "\"%s\":\"%s\"", member, hex);
    if (rc == 0 && !strstr((const char *)body.data, expected))
        rc = error_set(err, ERR_INTEGRITY,
                       "'%s' is not the file that was pinned when the station was made: put the "
                       "original back",
                       path);
    buf_done(&body);
    return rc;
}

int vault_read_pinned(const struct config *config, struct store *store, const char *file,
                      const char *member, struct buf *bytes, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(config, file, path, err);

    if (rc == 0)
        rc = file_read_regular(path, bytes, err);
    return rc ? rc : compare_pinned(store, path, member, bytes, err);
}

int vault_read_signers(const struct config *config, struct store *store, STACK_OF(X509) * *pins,
                       struct error *err)
{
    struct buf pem;
    int rc;

    buf_init(&pem, PINS_MAX);
    rc = vault_read_pinned(config, store, CONFIG_ORDER_SIGNERS, "order_signers", &pem, err);
    if (rc == 0)
        rc = signed_pins_parse(&pem, CONFIG_ORDER_SIGNERS, pins, err);
    buf_done(&pem);
    return rc;
}

int vault_show_signers(const struct config *config, STACK_OF(X509) * *pins, struct error *err)
{
    char path[PATH_MAX];
    struct buf pem;
    int rc = config_path(config, CONFIG_ORDER_SIGNERS, path, err);

    buf_init(&pem, PINS_MAX);
    if (rc == 0)
        rc = file_read_regular(path, &pem, err);
    if (rc == 0)
        rc = signed_pins_parse(&pem, path, pins, err);
    buf_done(&pem);
    return rc;
}

int vault_station_key(const struct config *config, uint8_t key[32], struct error *err)
{
    const char *text;
    char path[PATH_MAX];
    json_t *root;
    int rc = config_path(config, CONFIG_STATION_JSON, path, err);

    if (rc)
        return rc;
    root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    text = json_string_value(json_object_get(root, "key"));
    if (!text || hex_decode(text, key, 32))
        rc = error_set(err, ERR_INPUT,
                       "'%s' is not there or does not say the station's key: put the file that "
                       "'imprint init' wrote back",
                       path);
    json_decref(root);
    return rc;
}

/* Everything of the station itself that does not depend on a job. */
static int read_station(struct vault *v, struct error *err)
{
    uint8_t point[EC_POINT_SIZE], spki[EC_SPKI_SIZE];
    int rc = vault_read_signers(v->config, v->store, &v->pins, err);

    if (rc == 0)
        rc = read_issuers(v, err);
    if (rc == 0)
        rc = hsm_key_point(v->hsm, HSM_KEY_STATION_AUTH, point, err);
    if (rc)
        return rc;
    ec_spki(point, spki);
    sha256(spki, sizeof spki, v->key_hash);
    return 0;
}

static int open_order(struct vault *v, const char *id, struct error *err)
{
    int rc = order_history_open(v->store, v->pins, id, &v->history, err);

    if (rc)
        return rc;
    v->order = order_in_force(&v->history);
    v->order_id = v->history.row.id;
    return 0;
}

int vault_use_order(struct vault *v, const char *id, struct error *err)
{
    int rc = open_order(v, id, err);

    return rc ? rc : quota_load(v, err);
}

static int bind_certificates(struct vault *v, struct error *err)
{
    int rc = job_profile(v->job, v->order, &v->profile, err);

    if (rc == 0)
        rc = issuers_choose(&v->issuers, v->order, v->share, v->job->issuer, &v->issuer, err);
    if (rc == 0)
        rc = algorithms_bind(v, err);
    if (rc == 0)
        rc = hosted_check_job(v, err);
    return rc ? rc : fitting_check(v, err);
}

static int bind_order(struct vault *v, struct error *err)
{
    int rc = open_order(v, v->job->order, err);

    if (rc == 0)
        rc = orders_check_open(&v->history, err);
    if (rc == 0)
        rc = closed_check_known(v, &v->history, err);
    if (rc == 0)
        rc = orders_check_station(v, v->order, &v->share, err);
    if (rc == 0)
        rc = job_bind(v->job, v->order, v->share, err);
    if (rc == 0)
        rc = job_mode(v->job, v->order, &v->mode, err);
    if (rc == 0)
        rc = v->mode == IMPRINT_MODE_DERIVED ? job_no_certificate(v->job, err)
                                             : bind_certificates(v, err);
    if (rc == 0 && symmetric_is_wanted(v))
        rc = symmetric_check_token(v, err);
    return rc ? rc : quota_load(v, err);
}

int vault_init(struct vault *v, const struct config *config, const struct job *job,
               struct store *store, struct hsm *hsm, struct error *err)
{
    int rc;

    memset(v, 0, sizeof *v);
    v->config = config;
    v->job = job;
    v->store = store;
    v->hsm = hsm;
    buf_init(&v->station_cert, IMPRINT_STATION_CERT_MAX);
    rc = read_station(v, err);
    return rc || !job ? rc : bind_order(v, err);
}

void vault_done(struct vault *v)
{
    certifier_done(v);
    signed_pins_free(v->pins);
    order_history_done(&v->history);
    issuers_done(&v->issuers);
    buf_done(&v->station_cert);
    v->pins = NULL;
}

int vault_claim_order(const struct vault *v, const struct buf *x, const struct order **order,
                      struct error *err)
{
    uint8_t hash[32], bundle[32];
    int rc = link_transcript_hashes(x, hash, bundle, err);

    if (rc)
        return rc;
    *order = order_version(&v->history, hash);
    if (*order)
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "a claim was made under a version of order '%s' that the station does not "
                     "have: keep the database as it is and call the security team",
                     v->order->id);
}

static int wrong_certificate(const char *path, const char *why, struct error *err)
{
    return error_set(err, ERR_SIGNATURE,
                     "'%s' %s: let the owner's authority certify 'station-auth.pub' of this "
                     "station",
                     path, why);
}

/* Whether the certificate speaks of this station; devices decide whether they trust its signer. */
static int check_certificate(const struct vault *v, const char *path,
                             const struct link_station_cert *cert, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    int rc = hsm_key_point(v->hsm, HSM_KEY_STATION_AUTH, point, err);

    if (rc)
        return rc;
    if (cert->key.alg != IMPRINT_ALG_P256 || cert->key.len != sizeof point ||
        memcmp(cert->key.bytes, point, sizeof point))
        return wrong_certificate(path, "certifies another key", err);
    if (strcmp(cert->station, v->config->name))
        return wrong_certificate(path, "names another station", err);
    if (strcmp(cert->environment, v->config->environment))
        return wrong_certificate(path, "is for another environment", err);
    return 0;
}

int vault_load_certificate(struct vault *v, struct error *err)
{
    struct link_station_cert cert;
    char path[PATH_MAX];
    int rc = config_path(v->config, "station.cert", path, err);

    if (rc)
        return rc;
    if (!file_exists(path))
        return error_set(err, ERR_MISSING,
                         "this station has no certificate: let the owner's authority certify "
                         "'station-auth.pub' and put the answer at '%s'",
                         path);
    rc = file_read(path, &v->station_cert, err);
    if (rc == 0)
        rc = link_station_cert_parse(v->station_cert.data, v->station_cert.len, &cert, err);
    if (rc)
        return error_prefix(err, "'%s'", path);
    return check_certificate(v, path, &cert, err);
}
