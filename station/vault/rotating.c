#include "station/vault/rotating.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/signer.h"
#include "manifests/note.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/clock_stop.h"
#include "station/vault/manifest_signer.h"
#include "station/vault/token_files.h"

#include <stdio.h>
#include <string.h>

static const enum hsm_key hsm_keys[ROTATION_KEYS] = {
    [ROTATION_LOG] = HSM_KEY_LOG_SIGN, [ROTATION_MANIFEST] = HSM_KEY_MANIFEST_SIGN};

struct work {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    enum hsm_key on_token;
    unsigned generation; /* the new one */
    uint8_t point[EC_POINT_SIZE];
    struct rotation r;
    struct rotated *out;
};

int rotating_generation(struct store *store, enum rotation_key key, int64_t leaf,
                        unsigned *generation, struct error *err)
{
    int64_t count = 0;
    int rc = ledger_count_rotations(store, rotation_key_name(key), leaf, &count, err);

    *generation = (unsigned)count + 1;
    return rc;
}

/* The manifest that announces a rotation must be sealed before the next one: each is signed by the
 * key before it. */
static int check_sealed(struct work *w, struct error *err)
{
    struct sealing last;
    bool found;
    unsigned sealed = 1;
    int rc;

    sealing_init(&last);
    rc = sealing_last(w->store, &last, &found, err);
    if (rc == 0)
        rc = rotating_generation(w->store, w->r.key, found ? last.first + last.count : 0, &sealed,
                                 err);
    if (rc == 0)
        rc = rotating_generation(w->store, w->r.key, ROTATING_NOW, &w->generation, err);
    if (rc == 0 && (sealed != w->generation || (found && !last.published)))
        rc = error_set(err, ERR_REFUSED,
                       "a manifest is to be sealed before the %s is rotated again: run 'imprint "
                       "seal'",
                       rotation_key_name(w->r.key));
    w->generation++;
    sealing_done(&last);
    return rc;
}

static int spki_of(struct work *w, unsigned generation, uint8_t spki[EC_SPKI_SIZE],
                   struct error *err)
{
    int rc;

    hsm_use_generation(w->hsm, w->on_token, generation);
    rc = hsm_key_point(w->hsm, w->on_token, w->point, err);
    if (rc == 0)
        ec_spki(w->point, spki);
    return rc;
}

/* One that is there was made by a rotation that was killed before its record was written. */
static int make_key(struct work *w, struct error *err)
{
    int rc = spki_of(w, w->generation - 1, w->r.old, err);

    if (rc)
        return rc;
    hsm_use_generation(w->hsm, w->on_token, w->generation);
    rc = hsm_key_complete(w->hsm, w->on_token, err);
    if (rc == 0)
        rc = token_files_sync(w->config, err); /* before the ledger tells of it */
    return rc ? rc : spki_of(w, w->generation, w->r.new, err);
}

static int certify(struct work *w, EVP_PKEY *root_key, struct error *err)
{
    char path[PATH_MAX], cn[65];
    struct authority_name name = {w->config->organization, w->config->environment, cn};
    X509 *root = NULL, *cert = NULL;
    int rc = config_path(w->config, "ca/manifest-root.pem", path, err);

    snprintf(cn, sizeof cn, "%.40s manifest signer %u", w->config->name, w->generation);
    if (rc == 0)
        rc = cert_read(path, &root, err);
    if (rc == 0)
        rc = authority_manifest_signer(&name, w->r.ts, w->point, root, root_key, &cert, err);
    if (rc == 0)
        rc = manifest_signer_path(w->config, w->generation, w->out->pin, err);
    if (rc == 0)
        rc = cert_write(w->out->pin, cert, err);
    X509_free(root);
    X509_free(cert);
    return rc;
}

static int write_certificate(struct work *w, struct error *err)
{
    EVP_PKEY *key = NULL;
    int rc = hsm_signer_open(w->hsm, HSM_KEY_MANIFEST_ROOT, &key, err);

    return rc ? rc : hsm_signer_close(key, certify(w, key, err), err);
}

static int write_verifier_key(struct work *w, struct error *err)
{
    char name[64], pem[PATH_MAX];
    EVP_PKEY *key = NULL;
    struct buf text;
    int rc = ec_public_key(w->point, &key, err);

    buf_init(&text, 4096);
    if (rc == 0)
        rc = note_key_write(w->config->origin, key, &text, err);
    buf_put_u8(&text, '\n');
    snprintf(name, sizeof name, "trust/log-%u.vkey", w->generation);
    if (rc == 0)
        rc = config_path(w->config, name, w->out->pin, err);
    if (rc == 0)
        rc = file_write(w->out->pin, text.data, text.len, 0644, err);
    snprintf(name, sizeof name, "trust/log-%u.pem", w->generation);
    if (rc == 0)
        rc = config_path(w->config, name, pem, err);
    if (rc == 0)
        rc = cert_key_write(pem, w->point, err);
    EVP_PKEY_free(key);
    buf_done(&text);
    return rc;
}

static int sign_with(struct work *w, unsigned generation, const struct buf *message,
                     uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    hsm_use_generation(w->hsm, w->on_token, generation);
    return hsm_sign(w->hsm, w->on_token, message->data, message->len, sig, err);
}

static int sign_both(struct work *w, struct error *err)
{
    struct rotation_scope scope = {w->config->origin, w->config->environment, w->config->name};
    struct buf message;
    int rc;

    buf_init(&message, 4096);
    rotation_message(&w->r, &scope, &message);
    rc = buf_check(&message, "a rotation", err);
    if (rc == 0)
        rc = sign_with(w, w->generation - 1, &message, w->r.sig_old, err);
    if (rc == 0)
        rc = sign_with(w, w->generation, &message, w->r.sig_new, err);
    buf_done(&message);
    return rc ? rc : rotation_verify(&w->r, &scope, w->r.leaf, err);
}

static int add_to_ledger(struct work *w, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "generation", w->generation);
    jcs_str(&j, "key", rotation_key_name(w->r.key));
    jcs_int(&j, "leaf", (int64_t)w->r.leaf);
    jcs_hex(&j, "sha256", w->out->sha256, SHA256_SIZE);
    jcs_end(&j);
    rc = ledger_append(w->store, "rotated", &data, err);
    buf_done(&data);
    return rc;
}

static int add_record(struct work *w, struct error *err)
{
    uint8_t n[RECORD_N_SIZE];
    struct buf line, none;
    int rc = hsm_random(w->hsm, n, sizeof n, err);

    buf_init(&line, RECORD_LINE_MAX);
    buf_init(&none, 1);
    if (rc == 0)
        rc = rotation_write(&w->r, n, &line, err);
    if (rc == 0)
        rc = whitelist_add(w->store, &line, &none, err);
    if (rc == 0)
        rc = add_to_ledger(w, err);
    buf_done(&line);
    return rc;
}

static int commit(struct work *w, struct error *err)
{
    int rc = store_begin(w->store, err);

    if (rc == 0)
        rc = add_record(w, err);
    if (rc == 0)
        rc = store_commit(w->store, err);
    if (rc)
        store_rollback(w->store);
    return rc;
}

static int rotate(struct work *w, struct error *err)
{
    int64_t leaf = 0;
    int rc = check_sealed(w, err);

    if (rc == 0)
        rc = make_key(w, err);
    if (rc == 0)
        rc = w->r.key == ROTATION_LOG ? write_verifier_key(w, err) : write_certificate(w, err);
    if (rc == 0)
        rc = whitelist_size(w->store, &leaf, err);
    w->r.leaf = (uint64_t)leaf;
    sha256(w->r.new, sizeof w->r.new, w->out->sha256);
    if (rc == 0)
        rc = sign_both(w, err);
    return rc ? rc : commit(w, err);
}

static int check_texts(const char *by, const char *reason, struct error *err)
{
    if (by && *by && strlen(by) <= ROTATION_BY_MAX && reason && *reason &&
        strlen(reason) <= ROTATION_REASON_MAX)
        return 0;
    return error_set(err, ERR_USAGE,
                     "a rotation needs who and why, up to %d and %d characters: they stand in the "
                     "whitelist",
                     ROTATION_BY_MAX, ROTATION_REASON_MAX);
}

int rotating_run(const struct config *config, struct store *store, struct hsm *hsm,
                 enum rotation_key key, const char *by, const char *reason, struct rotated *out,
                 struct error *err)
{
    struct work w = {.config = config, .store = store, .hsm = hsm, .out = out};
    int rc = check_texts(by, reason, err);

    if (rc)
        return rc;
    *out = (struct rotated){.key = key};
    w.on_token = hsm_keys[key];
    w.r = (struct rotation){.key = key, .ts = clock_utc()};
    strcpy(w.r.by, by);
    strcpy(w.r.reason, reason);
    rc = store_settle(store, err);
    if (rc == 0)
        rc = clock_stop_check(store, err);
    if (rc == 0)
        rc = rotate(&w, err);
    hsm_use_generation(hsm, w.on_token, 1);
    out->generation = w.generation;
    out->leaf = (int64_t)w.r.leaf;
    return rc;
}
