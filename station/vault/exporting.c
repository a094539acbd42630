#include "station/vault/exporting.h"

#include "base/file.h"
#include "base/jcs.h"
#include "hsm/signer.h"
#include "manifests/cms.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/key_release.h"
#include "station/vault/manifest_signer.h"
#include "station/vault/rotating.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Leaves of records whose identity ended. */
struct ended {
    uint64_t *leaves;
    size_t count;
};

struct work {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    struct platform_run *run;
    struct sealing sealing;
    struct ended ended;
    struct signer signer;
    struct key_release *release; /* of a format of secret keys; or NULL */
    char dir[PATH_MAX];
};

static int find_manifest(struct work *w, int64_t number, struct error *err)
{
    bool found = false;
    int rc = number ? sealing_get(w->store, number, &w->sealing, &found, err)
                    : sealing_last(w->store, &w->sealing, &found, err);

    if (rc == 0 && (!found || !w->sealing.published))
        rc = error_set(err, ERR_MISSING,
                       number ? "there is no sealed manifest %" PRId64
                              : "there is no sealed manifest yet",
                       number);
    return rc;
}

/* ---- what has ended since */

static int by_leaf(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static int take_change(void *context, const void *line, size_t len, const void *evidence,
                       size_t evidence_len, struct error *err)
{
    struct ended *ended = context;
    struct record r;
    uint64_t *more;
    int rc = record_parse(line, len, &r, err);

    (void)evidence;
    (void)evidence_len;
    if (rc)
        return rc;
    if (r.t == RECORD_REVOKE || r.t == RECORD_REPLACE || r.t == RECORD_DECOMMISSION) {
        more = reallocarray(ended->leaves, ended->count + 1, sizeof *more);
        if (!more) {
            rc = error_set(err, ERR_INTERNAL, "out of memory");
        } else {
            ended->leaves = more;
            more[ended->count++] = r.ref;
        }
    }
    record_done(&r);
    return rc;
}

/* One that was brought back is in the record of its recommission only: it stays left out. */
static int find_ended(struct work *w, struct error *err)
{
    int64_t size;
    int rc = whitelist_size(w->store, &size, err);

    if (rc == 0)
        rc = whitelist_each(w->store, w->sealing.first, size - w->sealing.first, take_change,
                            &w->ended, err);
    if (rc == 0 && w->ended.count)
        qsort(w->ended.leaves, w->ended.count, sizeof *w->ended.leaves, by_leaf);
    return rc;
}

static int judge(void *context, const struct record *r, uint64_t index, int *answer,
                 struct error *err)
{
    const struct work *w = context;

    (void)r;
    (void)err;
    *answer = w->ended.count && bsearch(&index, w->ended.leaves, w->ended.count,
                                        sizeof *w->ended.leaves, by_leaf)
                  ? EXPORT_ENDED
                  : SOURCE_TAKE;
    return 0;
}

static int take_key(void *context, const struct record *r, uint8_t key[PLATFORM_KEY_SIZE],
                    int *answer, struct error *err)
{
    const struct work *w = context;

    return key_release_take(w->release, r, key, answer, err);
}

/* ---- signatures */

/* The certificate of the signer in force, and its root as its issuer. */
static int read_certificates(struct work *w, unsigned *generation, struct error *err)
{
    char path[PATH_MAX];
    X509 *root = NULL;
    int rc = rotating_generation(w->store, ROTATION_MANIFEST, ROTATING_NOW, generation, err);

    if (rc == 0)
        rc = manifest_signer_path(w->config, *generation, path, err);
    if (rc == 0)
        rc = cms_read_certificate(path, &w->signer.cert, err);
    if (rc == 0)
        rc = config_path(w->config, "ca/manifest-root.pem", path, err);
    if (rc == 0)
        rc = cms_read_certificate(path, &root, err);
    if (rc)
        return rc;
    w->signer.chain = sk_X509_new_null();
    if (!w->signer.chain || !sk_X509_push(w->signer.chain, root)) {
        X509_free(root);
        return error_set(err, ERR_INTERNAL, "out of memory");
    }
    return 0;
}

static int sign_index(void *context, const struct buf *content, struct buf *pem, struct error *err)
{
    const struct work *w = context;

    return manifest_signer_sign(w->config, w->store, w->hsm, ROTATING_NOW, content, pem, err);
}

static int tell_ledger(struct work *w, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "number", w->sealing.seq);
    jcs_str(&j, "platform", w->run->platform->name);
    if (w->release)
        key_release_put(w->release, &j);
    jcs_end(&j);
    rc = ledger_append_alone(w->store, "export", &data, err);
    buf_done(&data);
    return rc;
}

/* ---- the folder */

static int find_place(struct work *w, struct error *err)
{
    char name[96];
    int rc = config_path(w->config, "exports", w->dir, err);

    if (rc == 0)
        rc = file_make_dir(w->dir, 0755, err);
    snprintf(name, sizeof name, "exports/%06" PRId64 "-%s", w->sealing.seq, w->run->platform->name);
    if (rc == 0)
        rc = config_path(w->config, name, w->dir, err);
    if (rc == 0 && file_exists(w->dir))
        rc = error_set(err, ERR_EXISTS,
                       "'%s' exists already: move it away to export the manifest again", w->dir);
    return rc;
}

static int fill(struct work *w, struct export_report *report, struct error *err)
{
    struct source_policy policy = {
        .judge = judge, .key = w->release ? take_key : NULL, .context = w};
    struct export_sign sign = {sign_index, w};
    struct export *e = NULL;
    char name[64], folder[PATH_MAX];
    int rc;

    snprintf(name, sizeof name, "manifests/%06" PRId64, w->sealing.seq);
    rc = config_path(w->config, name, folder, err);
    if (rc == 0)
        rc = export_begin(w->run, w->dir, &e, err);
    if (rc == 0)
        rc = source_export(folder, &w->sealing.statement, &policy, e, err);
    if (rc)
        export_abort(e);
    return rc ? rc : export_finish(e, &sign, report, err);
}

/* The key is open while devices are signed, and closed whatever happens. */
static int fill_signed(struct work *w, struct export_report *report, struct error *err)
{
    unsigned generation;
    int rc;

    if (!w->run->platform->signs)
        return fill(w, report, err);
    rc = read_certificates(w, &generation, err);
    if (rc)
        return rc;
    hsm_use_generation(w->hsm, HSM_KEY_MANIFEST_SIGN, generation);
    rc = hsm_signer_open(w->hsm, HSM_KEY_MANIFEST_SIGN, &w->signer.key, err);
    if (rc == 0) {
        w->run->signer = &w->signer;
        rc = fill(w, report, err);
        rc = hsm_signer_close(w->signer.key, rc, err);
    }
    hsm_use_generation(w->hsm, HSM_KEY_MANIFEST_SIGN, 1);
    return rc;
}

int exporting_run(const struct config *config, struct store *store, struct hsm *hsm,
                  int64_t manifest, struct platform_run *run, struct exported *out,
                  struct error *err)
{
    struct work w = {.config = config, .store = store, .hsm = hsm, .run = run};
    int rc;

    sealing_init(&w.sealing);
    rc = find_manifest(&w, manifest, err);
    if (rc == 0 && run->platform->secret)
        rc = key_release_open(config, store, hsm, run->recipients, &w.release, err);
    if (rc == 0)
        rc = find_place(&w, err);
    if (rc == 0)
        rc = find_ended(&w, err);
    if (rc == 0)
        rc = tell_ledger(&w, err);
    if (rc == 0)
        rc = fill_signed(&w, &out->report, err);
    out->manifest = w.sealing.seq;
    snprintf(out->dir, sizeof out->dir, "%s", w.dir);
    X509_free(w.signer.cert);
    sk_X509_pop_free(w.signer.chain, X509_free);
    key_release_close(w.release);
    free(w.ended.leaves);
    sealing_done(&w.sealing);
    return rc;
}
