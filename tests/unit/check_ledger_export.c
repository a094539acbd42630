/* Exports of a ledger and the keys that sign them: a key that was rotated away signs none. */
#include "vault_rig.h"

#include "hsm/signer.h"
#include "manifests/ledger_export.h"
#include "station/vault/export.h"
#include "station/vault/rotating.h"

static const struct rig_order plain_order = {.lock = false};
static struct error why = ERROR_INIT;

static void ignore_progress(void *context, int64_t done, int64_t total)
{
    (void)context;
    (void)done;
    (void)total;
}

/* Exports all from entry first on; the last entry. */
static uint64_t export_from(struct rig *r, uint64_t first, const char *name, char dir[PATH_MAX])
{
    static const struct export_watch watch = {ignore_progress, NULL};
    struct ledger_statement s;

    rig_path(r->dir, name, dir);
    ASSERT_OK(export_ledger(&r->config, r->store, r->hsm, (int64_t)first, dir, &watch, &s, &why),
              why);
    return s.last;
}

static void rotate_key(struct rig *r)
{
    struct rotated rotated;

    ASSERT_OK(rotating_run(&r->config, r->store, r->hsm, ROTATION_MANIFEST, "Ada", "a test",
                           &rotated, &why),
              why);
}

/* As a thief of the first manifest key does. */
static void sign_with_the_first(struct rig *r, const char *dir)
{
    struct signer signer = {0};
    struct buf bytes, pem;
    char path[PATH_MAX];

    buf_init(&bytes, 65536);
    buf_init(&pem, 65536);
    rig_path(r->dir, "ca/manifest-signer.pem", path);
    ASSERT_OK(cms_read_certificate(path, &signer.cert, &why), why);
    rig_path(dir, LEDGER_EXPORT_STATEMENT, path);
    ASSERT_OK(file_read(path, &bytes, &why), why);
    ASSERT_OK(hsm_signer_open(r->hsm, HSM_KEY_MANIFEST_SIGN, &signer.key, &why), why);
    ASSERT_OK(cms_sign(&signer, bytes.data, bytes.len, &pem, &why), why);
    ASSERT_OK(hsm_signer_close(signer.key, 0, &why), why);
    rig_path(dir, LEDGER_EXPORT_SIGNATURE, path);
    ASSERT_OK(file_write(path, pem.data, pem.len, 0644, &why), why);
    X509_free(signer.cert);
    buf_done(&bytes);
    buf_done(&pem);
}

static int verify(const struct rig *r, const char *dir, const char *after)
{
    struct ledger_report report;
    struct ledger_policy policy = {.after = after};
    char root[PATH_MAX];

    rig_path(r->dir, "trust/manifest-root.pem", root);
    policy.root = root;
    return ledger_export_verify(dir, &policy, &report, &why);
}

START_TEST(a_key_that_was_rotated_away_signs_no_export)
{
    char before[PATH_MAX], whole[PATH_MAX], part[PATH_MAX], later[PATH_MAX];
    struct rig r;
    uint64_t last;

    rig_start(&r, &plain_order, 2);
    last = export_from(&r, 1, "before", before);
    rotate_key(&r);
    export_from(&r, 1, "whole", whole);
    last = export_from(&r, last + 1, "part", part);
    ASSERT_OK(verify(&r, before, NULL), why);
    ASSERT_OK(verify(&r, whole, NULL), why);
    ASSERT_OK(verify(&r, part, before), why);
    sign_with_the_first(&r, whole);
    ASSERT_FAILS(verify(&r, whole, NULL), ERR_IMPOSTOR);

    /* One that has no rotation has the key of the export before, and alone none that is known. */
    ASSERT_OK(store_begin(r.store, &why), why);
    ASSERT_OK(
        ledger_append(r.store, "seal", &(struct buf){.data = (uint8_t *)"{}", .len = 2}, &why),
        why);
    ASSERT_OK(store_commit(r.store, &why), why);
    export_from(&r, last + 1, "later", later);
    ASSERT_OK(verify(&r, later, part), why);
    sign_with_the_first(&r, later);
    ASSERT_FAILS(verify(&r, later, part), ERR_IMPOSTOR);
    ASSERT_OK(verify(&r, later, NULL), why);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("ledger_export", ONCE(a_key_that_was_rotated_away_signs_no_export))
