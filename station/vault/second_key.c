#include "station/vault/second_key.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/signer.h"
#include "manifests/cms.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "station/store/ledger.h"
#include "station/vault/clock_stop.h"
#include "station/vault/token_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE   65
#define SECOND_ROOT "ca/second-root.pem"

struct work {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    struct second_key *key; /* the new one */
    X509 *root;
    int64_t now;
};

static int find_places(const struct config *config, struct second_key *key, struct error *err)
{
    char name[64] = "ca/second-signer.pem";
    int rc = config_path(config, "trust/second-root.pem", key->root, err);

    if (key->generation > 1)
        snprintf(name, sizeof name, "ca/second-signer-%u.pem", key->generation);
    return rc ? rc : config_path(config, name, key->signer, err);
}

int second_key_find(const struct config *config, struct store *store, struct second_key *out,
                    struct error *err)
{
    struct ledger_second_key told;
    int rc = ledger_second_key(store, &told, err);

    *out = (struct second_key){.generation = 0};
    if (rc || told.generation == 0)
        return rc;
    out->generation = (unsigned)told.generation;
    out->algorithm = cms_algorithm_find(told.algorithm, strlen(told.algorithm));
    memcpy(out->sha256, told.sha256, sizeof out->sha256);
    if (out->algorithm == CMS_ALGORITHMS)
        return error_set(err, ERR_INTEGRITY,
                         "the ledger tells of a second key of an unknown algorithm, '%s': a newer "
                         "version of this program made it",
                         told.algorithm);
    return find_places(config, out, err);
}

/* ---- a new one ---- */

static int choose(struct second_key *key, const char *name, struct error *err)
{
    enum cms_algorithm a = name ? cms_algorithm_find(name, strlen(name)) : key->algorithm;

    if (!name && key->generation == 0)
        return error_set(err, ERR_USAGE,
                         "the first second key needs --algorithm: ecdsa-p384 or rsa-pss-3072");
    if (a == CMS_ALGORITHMS || a == CMS_ECDSA_P256)
        return error_set(err, ERR_USAGE,
                         "'%.64s' is no algorithm of second signatures: ecdsa-p384 and "
                         "rsa-pss-3072 are",
                         name);
    if (key->generation && a != key->algorithm)
        return error_set(err, ERR_REFUSED,
                         "the second signatures of this station are %s, which importers require: "
                         "that cannot change",
                         cms_algorithm_name(key->algorithm));
    key->algorithm = a;
    return 0;
}

static void name_role(const struct work *w, const char *role, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%.*s %s", (int)(NAME_SIZE - 2 - strlen(role)), w->config->name, role);
}

/* It is on disk before the ledger tells of it. */
static int create_key(struct work *w, enum hsm_key key, struct error *err)
{
    const struct ca_algorithm a = cms_algorithm_key(w->key->algorithm);
    int rc = hsm_key_create_as(w->hsm, key, a.key, a.scheme, err);

    return rc ? rc : token_files_sync(w->config, err);
}

/* A signer of a making that was killed, or one that a restored ledger does not tell of: what it signed
 * holds by its certificate, which is in the signature. */
static int make_signer(struct work *w, struct error *err)
{
    int rc = hsm_key_destroy(w->hsm, HSM_KEY_SECOND_SIGN, err);

    return rc ? rc : create_key(w, HSM_KEY_SECOND_SIGN, err);
}

/* ---- its root ---- */

static int certify_root(struct work *w, struct error *err)
{
    char cn[NAME_SIZE], path[PATH_MAX];
    struct authority_name name = {w->config->organization, w->config->environment, cn};
    struct ca_signer signer;
    int rc = hsm_ca_signer(w->hsm, HSM_KEY_SECOND_ROOT, &signer, err);

    name_role(w, "second root", cn);
    if (rc == 0)
        rc = authority_second_root(&name, w->now, &signer, &w->root, err);
    if (rc == 0)
        rc = config_path(w->config, SECOND_ROOT, path, err);
    return rc ? rc : cert_write(path, w->root, err);
}

static int check_algorithm(const struct work *w, const struct public_key *found, struct error *err)
{
    if (found->type == cms_algorithm_key(w->key->algorithm).key)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the token has a root of second signatures already, which importers may "
                     "require, and it is not %s: say its algorithm with --algorithm",
                     cms_algorithm_name(w->key->algorithm));
}

/* No file says what importers pinned: only a making that was killed may be the reason. */
static int check_never_used(const struct work *w, struct error *err)
{
    struct ledger_restored restored;
    int rc = ledger_last_restored(w->store, 1, &restored, err);

    if (rc == 0 && restored.seq)
        rc = error_set(err, ERR_REFUSED,
                       "the station was restored, and the token has a root of second signatures "
                       "whose certificate is not in " SECOND_ROOT ": put it there, it is the "
                       "second-root.pem that importers have; nothing was changed");
    return rc;
}

static bool is_of(const struct public_key *key, X509 *cert)
{
    EVP_PKEY *handle = X509_get0_pubkey(cert);
    struct error ignored = ERROR_INIT;
    struct public_key of;

    return handle && key_of(handle, &of, &ignored) == 0 && of.len == key->len &&
           memcmp(of.spki, key->spki, key->len) == 0;
}

/* The key of the root is for ever: importers pinned its certificate. */
static int adopt_root(struct work *w, const struct public_key *found, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(w->config, SECOND_ROOT, path, err);

    if (rc == 0)
        rc = check_algorithm(w, found, err);
    if (rc)
        return rc;
    if (!file_exists(path)) {
        rc = check_never_used(w, err);
        return rc ? rc : certify_root(w, err);
    }
    rc = cert_read(path, &w->root, err);
    if (rc == 0 && !is_of(found, w->root))
        rc = error_set(err, ERR_REFUSED,
                       "the root of second signatures on the token has another key than '%s': put "
                       "the certificate there that importers have as second-root.pem; nothing was "
                       "changed",
                       path);
    return rc;
}

/* A certificate without its key is of another token, or somebody deleted the key. */
static int begin_root(struct work *w, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(w->config, SECOND_ROOT, path, err);

    if (rc == 0 && file_exists(path))
        rc = error_set(err, ERR_REFUSED,
                       "'%s' is there and its key is not on the token: put the token back that has "
                       "it; if the key is lost, move the file away, and importers need the new "
                       "second-root.pem; nothing was changed",
                       path);
    if (rc == 0 && w->key->generation > 1)
        rc = error_set(err, ERR_MISSING,
                       "the root of second signatures is not on the token: put the token back that "
                       "has it; nothing was changed");
    if (rc == 0)
        rc = hsm_key_destroy(w->hsm, HSM_KEY_SECOND_ROOT, err); /* half of it, of a killed making */
    if (rc == 0)
        rc = create_key(w, HSM_KEY_SECOND_ROOT, err);
    return rc ? rc : certify_root(w, err);
}

static int find_or_make_root(struct work *w, struct error *err)
{
    struct public_key found;
    int rc = hsm_key_public(w->hsm, HSM_KEY_SECOND_ROOT, &found, NULL, err);

    if (rc == 0)
        return adopt_root(w, &found, err);
    return rc == ERR_MISSING ? begin_root(w, err) : rc;
}

/* Importers get it when the ledger tells of what is below it, also when a kill came in between. */
static int publish_root(const struct config *config, const struct second_key *key,
                        struct error *err)
{
    char path[PATH_MAX];
    X509 *root = NULL;
    int rc = file_exists(key->root) ? 0 : config_path(config, SECOND_ROOT, path, err);

    if (rc || file_exists(key->root))
        return rc;
    rc = cert_read(path, &root, err);
    if (rc == 0)
        rc = cert_write(key->root, root, err);
    X509_free(root);
    return rc;
}

static int certify(struct work *w, struct error *err)
{
    char cn[NAME_SIZE], role[40];
    struct authority_name name = {w->config->organization, w->config->environment, cn};
    struct ca_signer root;
    struct public_key key;
    X509 *cert = NULL;
    int rc = hsm_ca_signer(w->hsm, HSM_KEY_SECOND_ROOT, &root, err);

    snprintf(role, sizeof role, "second signer %u", w->key->generation);
    name_role(w, role, cn);
    if (rc == 0)
        rc = hsm_key_public(w->hsm, HSM_KEY_SECOND_SIGN, &key, NULL, err);
    if (rc == 0)
        rc = authority_second_signer(&name, w->now, &key, w->root, &root, &cert, err);
    if (rc == 0)
        rc = cert_write(w->key->signer, cert, err);
    if (rc == 0)
        sha256(key.spki, key.len, w->key->sha256);
    X509_free(cert);
    return rc;
}

static int add_to_ledger(struct work *w, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_str(&j, "algorithm", cms_algorithm_name(w->key->algorithm));
    jcs_int(&j, "generation", w->key->generation);
    jcs_str(&j, "key", "second-key");
    jcs_hex(&j, "sha256", w->key->sha256, SHA256_SIZE);
    jcs_end(&j);
    rc = ledger_append_alone(w->store, "rotated", &data, err);
    buf_done(&data);
    return rc;
}

static int make(struct work *w, struct error *err)
{
    int rc;

    w->key->generation++;
    rc = find_places(w->config, w->key, err);
    if (rc == 0)
        rc = find_or_make_root(w, err);
    hsm_use_generation(w->hsm, HSM_KEY_SECOND_SIGN, w->key->generation);
    if (rc == 0)
        rc = make_signer(w, err);
    if (rc == 0)
        rc = certify(w, err);
    hsm_use_generation(w->hsm, HSM_KEY_SECOND_SIGN, 1);
    if (rc == 0)
        rc = add_to_ledger(w, err);
    if (rc == 0)
        rc = publish_root(w->config, w->key, err);
    X509_free(w->root);
    return rc;
}

int second_key_rotate(const struct config *config, struct store *store, struct hsm *hsm,
                      const char *algorithm, struct second_key *out, struct error *err)
{
    struct work w = {.config = config, .store = store, .hsm = hsm, .key = out, .now = clock_utc()};
    int rc = store_settle(store, err);

    if (rc == 0)
        rc = clock_stop_check(store, err);
    if (rc == 0)
        rc = second_key_find(config, store, out, err);
    if (rc == 0)
        rc = choose(out, algorithm, err);
    return rc ? rc : make(&w, err);
}

/* ---- its use ---- */

/* Whether the token has a generation of a key. Errors: those of the HSM. */
static int look_for(struct hsm *hsm, enum hsm_key key, unsigned generation, bool *there,
                    struct error *err)
{
    struct public_key found;
    int rc;

    hsm_use_generation(hsm, key, generation);
    rc = hsm_key_public(hsm, key, &found, NULL, err);
    hsm_use_generation(hsm, key, 1);
    *there = rc == 0;
    return rc == ERR_MISSING ? 0 : rc;
}

static int check_first(struct hsm *hsm, struct error *err)
{
    bool there;
    int rc = look_for(hsm, HSM_KEY_SECOND_ROOT, 1, &there, err);

    if (rc || !there)
        return rc;
    return error_set(err, ERR_REFUSED,
                     "the station was restored from a backup that knows no second key, and the "
                     "token has one: importers may refuse a manifest with one signature. Run "
                     "'imprint rotate second-key --algorithm NAME' again, which keeps the root "
                     "that importers have; nothing was sealed");
}

/* The key that the ledger tells of may be one that was given up, because somebody else has it. */
static int check_next(struct hsm *hsm, int64_t generation, struct error *err)
{
    bool there;
    int rc = look_for(hsm, HSM_KEY_SECOND_SIGN, (unsigned)generation + 1, &there, err);

    if (rc || !there)
        return rc;
    return error_set(err, ERR_REFUSED,
                     "the station was restored, and the token has a newer key of second signatures "
                     "than number %" PRId64 ", which the ledger tells of: that one may have been "
                     "given up for a reason. Run 'imprint rotate second-key' again, which makes "
                     "another below the same root; nothing was sealed",
                     generation);
}

int second_key_check(struct store *store, struct hsm *hsm, struct error *err)
{
    struct ledger_restored restored;
    struct ledger_second_key told;
    int rc = ledger_second_key(store, &told, err);

    if (rc == 0)
        rc = ledger_last_restored(store, 1, &restored, err);
    if (rc || restored.seq == 0)
        return rc;
    return told.generation ? check_next(hsm, told.generation, err) : check_first(hsm, err);
}

static bool is_told(const struct second_key *key, const struct public_key *found)
{
    uint8_t hash[SHA256_SIZE];

    sha256(found->spki, found->len, hash);
    return sha256_equal(hash, key->sha256) != 0;
}

static int sign(const struct second_key *key, struct hsm *hsm, X509 *cert,
                const struct buf *content, struct buf *pem, struct error *err)
{
    struct ca_signer signer;
    int rc = hsm_ca_signer(hsm, HSM_KEY_SECOND_SIGN, &signer, err);

    if (rc == 0 && !is_told(key, &signer.key))
        rc = error_set(err, ERR_INTEGRITY,
                       "the second key on the token is not the one that the ledger tells of: run "
                       "'imprint audit', and call the security team");
    return rc ? rc : cms_sign_as(key->algorithm, &signer, cert, content, pem, err);
}

/* Importers pinned the certificate of the key on the token. A root that somebody deleted there is the
 * audit's to tell: manifests can still be verified, and it cannot be made again. */
static int check_root(const struct second_key *key, struct hsm *hsm, X509 *root, struct error *err)
{
    struct public_key found;
    int rc = hsm_key_public(hsm, HSM_KEY_SECOND_ROOT, &found, NULL, err);

    if (rc)
        return rc == ERR_MISSING ? 0 : rc;
    if (is_of(&found, root))
        return 0;
    return error_set(err, ERR_SIGNATURE,
                     "'%s' is not the certificate of the root of second signatures on the token",
                     key->root);
}

static int verify(const struct second_key *key, struct hsm *hsm, const struct buf *content,
                  const struct buf *pem, struct error *err)
{
    X509 *root = NULL;
    int rc = cms_read_certificate(key->root, &root, err);

    if (rc == 0)
        rc = check_root(key, hsm, root, err);
    if (rc == 0)
        rc = cms_verify_as(key->algorithm, pem, content, root, 0, NULL, err);
    if (rc)
        error_prefix(err,
                     "importers would refuse the second signature: put the station's own '%s' and "
                     "'%s' back",
                     key->signer, key->root);
    X509_free(root);
    return rc;
}

int second_key_sign(const struct config *config, const struct second_key *key, struct hsm *hsm,
                    const struct buf *content, struct buf *pem, struct error *err)
{
    X509 *cert = NULL;
    int rc = cms_read_certificate(key->signer, &cert, err);

    hsm_use_generation(hsm, HSM_KEY_SECOND_SIGN, key->generation);
    if (rc == 0)
        rc = sign(key, hsm, cert, content, pem, err);
    hsm_use_generation(hsm, HSM_KEY_SECOND_SIGN, 1);
    X509_free(cert);
    if (rc == 0)
        rc = publish_root(config, key, err);
    return rc ? rc : verify(key, hsm, content, pem, err);
}

/* ---- an audit ---- */

typedef void second_finding(void *context, enum hsm_finding_kind kind, const char *key,
                            const char *text);

/* What is wrong with generation n being there, or not; NULL for nothing. */
static const char *judge(const struct second_key *key, unsigned n, const struct public_key *found,
                         enum hsm_finding_kind *kind)
{
    *kind = HSM_FINDING_MISSING;
    if (n <= key->generation && !found)
        return "the ledger tells of this key and it is not on the token: it is another token, or "
               "somebody deleted the key";
    *kind = HSM_FINDING_NOTE;
    if (n > key->generation && found)
        return "a key of second signatures that the ledger does not tell of: its making was "
               "stopped, or a backup from before it was restored; 'imprint rotate second-key' "
               "makes another below the same root";
    *kind = HSM_FINDING_DIFFERS;
    if (found && n == key->generation && !is_told(key, found))
        return "it is another key than the one that the ledger tells of";
    return NULL;
}

static int look(const struct second_key *key, struct hsm *hsm, enum hsm_key which, unsigned n,
                second_finding *finding, void *context, struct error *err)
{
    char label[32];
    enum hsm_finding_kind kind = HSM_FINDING_MISSING;
    struct public_key found;
    const char *text = NULL;
    int rc;

    hsm_use_generation(hsm, which, n);
    rc = hsm_key_public(hsm, which, &found, NULL, err);
    if (which == HSM_KEY_SECOND_SIGN)
        text = judge(key, n, rc == 0 ? &found : NULL, &kind);
    else if (key->generation && rc == ERR_MISSING)
        text = "the root of second signatures is not on the token: somebody deleted the key";
    hsm_use_generation(hsm, which, 1);
    snprintf(label, sizeof label, "%s", hsm_key_label(which));
    if (n > 1)
        snprintf(label, sizeof label, "%s-%u", hsm_key_label(which), n);
    if (text)
        finding(context, kind, label, text);
    return rc == ERR_MISSING || rc == ERR_HSM ? 0 : rc; /* the token's audit says the latter */
}

int second_key_audit(const struct config *config, struct store *store, struct hsm *hsm,
                     second_finding *finding, void *context, struct error *err)
{
    struct second_key key;
    int rc = second_key_find(config, store, &key, err);

    if (rc == 0)
        rc = look(&key, hsm, HSM_KEY_SECOND_ROOT, 1, finding, context, err);
    for (unsigned n = 1; rc == 0 && n <= key.generation + 1; n++)
        rc = look(&key, hsm, HSM_KEY_SECOND_SIGN, n, finding, context, err);
    return rc;
}
