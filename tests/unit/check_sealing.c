/* Sealing: manifests that follow each other, crashes between its steps, and records that were
 * edited. */
#include "played_device.h"

#include "station/vault/second_key.h"

#include <sys/stat.h>

static const struct rig_order plain_order = {.lock = false};

static int seal(struct rig *r, struct sealed *sealed, struct error *err)
{
    return sealing_run(&r->config, r->store, r->hsm, NULL, sealed, err);
}

static void provision_one(struct rig *r, uint8_t mark)
{
    struct device d;

    device_init(&d, mark);
    provision(r, &d);
    device_done(&d);
}

/* A device whose identity burned: its void record, and the add record of the next one. */
static void burn_one(struct rig *r, uint8_t mark)
{
    struct device d;
    struct error said;

    device_init(&d, mark);
    ck_assert_int_eq(meet_once(r, &d, NULL, &said), 0);
    device_new_transport(&d);
    provision(r, &d);
    device_done(&d);
}

static void read_file(const char *dir, const char *name, struct buf *out)
{
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    rig_path(dir, name, path);
    buf_init(out, 1 << 20);
    ASSERT_OK(file_read(path, out, &err), err);
}

static void manifest_dir(const struct rig *r, const char *name, char out[PATH_MAX])
{
    char manifests[PATH_MAX];

    rig_path(r->dir, "manifests", manifests);
    rig_path(manifests, name, out);
}

static void verify(const struct rig *r, const char *dir, const char *after,
                   struct verify_report *report)
{
    struct error err = ERROR_INIT;
    struct verify_policy policy;
    char paths[3][PATH_MAX];

    rig_pins(r, &policy, paths);
    policy.after = after;
    ASSERT_OK(manifest_verify(dir, &policy, report, &err), err);
}

/* ---- one after the other ---- */

START_TEST(there_is_nothing_to_seal_at_first_and_after_each_manifest)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;

    rig_start(&r, &plain_order, 2);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    ck_assert_int_eq(sealed.seq, 0);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM manifests"), 0);
    provision_one(&r, 1);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    ck_assert_int_eq(sealed.seq, 1);
    ck_assert_int_eq(sealed.count, 1);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    ck_assert_int_eq(sealed.seq, 0);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM manifests"), 1);
    rig_end(&r);
}
END_TEST

START_TEST(each_manifest_extends_the_one_before)
{
    struct error err = ERROR_INIT;
    struct verify_report report;
    struct sealed first, second;
    struct rig r;

    rig_start(&r, &plain_order, 6);
    provision_one(&r, 1);
    burn_one(&r, 2);
    ASSERT_OK(seal(&r, &first, &err), err);
    ck_assert_int_eq(first.size, 3);
    rig_restart(&r);
    provision_one(&r, 3);
    ASSERT_OK(seal(&r, &second, &err), err);
    ck_assert_int_eq(second.seq, 2);
    ck_assert_int_eq(second.count, 1);
    ck_assert_int_eq(second.size, 4);
    verify(&r, second.dir, first.dir, &report);
    ck_assert(report.extends);
    ck_assert_uint_eq(report.first, 3);
    verify(&r, first.dir, NULL, &report);
    ck_assert_uint_eq(report.by_type[RECORD_ADD], 2);
    ck_assert_uint_eq(report.by_type[RECORD_VOID], 1);
    rig_end(&r);
}
END_TEST

START_TEST(a_log_keeps_its_name_and_environment)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    provision_one(&r, 1);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    provision_one(&r, 2);
    strcpy(r.config.origin, "acme.example/wl/line2");
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_REFUSED);
    strcpy(r.config.origin, "acme.example/wl/line1");
    strcpy(r.config.environment, "prod");
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_REFUSED);
    strcpy(r.config.environment, RIG_ENVIRONMENT);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    rig_end(&r);
}
END_TEST

/* ---- crashes ---- */

/* What a crash leaves: the folder where it is, not renamed yet, or gone; and the journal so far. */
enum folder { IN_PLACE, NOT_RENAMED, HALF_WRITTEN, GONE };

static const struct {
    enum folder folder;
    const char *journal;
    bool same_bytes; /* the statement was journalled: manifest.json must be the same to the byte */
} crashes[] = {
    {IN_PLACE, "published = 0", true},
    {NOT_RENAMED, "published = 0", true},
    {HALF_WRITTEN, "published = 0", true},
    {GONE, "published = 0", true},
    {HALF_WRITTEN, "published = 0, statement = NULL", true}, /* all that it says is journalled */
    {GONE, "published = 0, statement = NULL", true},
    {HALF_WRITTEN, "published = 0, statement = NULL, checkpoint = NULL", false},
    {GONE, "published = 0, statement = NULL, checkpoint = NULL", false},
    {HALF_WRITTEN, "published = 0, statement = NULL, checkpoint = NULL, root = NULL", false},
    {GONE, "published = 0, statement = NULL, checkpoint = NULL, root = NULL", false},
};

static void leave_folder(const struct rig *r, enum folder folder)
{
    struct error err = ERROR_INIT;
    char final[PATH_MAX], temp[PATH_MAX], path[PATH_MAX];

    manifest_dir(r, "000001", final);
    manifest_dir(r, ".000001.tmp", temp);
    switch (folder) {
    case IN_PLACE:
        break;
    case NOT_RENAMED:
        ck_assert_int_eq(rename(final, temp), 0);
        break;
    case HALF_WRITTEN:
        ck_assert_int_eq(rename(final, temp), 0);
        rig_path(temp, "devices-00000.jsonl", path);
        ck_assert_int_eq(truncate(path, 10), 0);
        rig_path(temp, "manifest.json.p7s", path);
        ck_assert_int_eq(unlink(path), 0);
        break;
    case GONE:
        ASSERT_OK(file_remove_tree(final, &err), err);
        break;
    }
}

static void assert_same_file(const struct buf *expected, const char *dir, const char *name)
{
    struct buf found;

    read_file(dir, name, &found);
    ck_assert_uint_eq(found.len, expected->len);
    ck_assert_mem_eq(found.data, expected->data, found.len);
    buf_done(&found);
}

START_TEST(sealing_again_after_a_crash_finishes_the_same_manifest)
{
    struct error err = ERROR_INIT;
    struct verify_report report;
    struct sealed first, again, next;
    struct buf before, after;
    struct rig r;
    char edit[256];

    rig_start(&r, &plain_order, 6);
    provision_one(&r, 1);
    burn_one(&r, 2);
    ASSERT_OK(seal(&r, &first, &err), err);
    read_file(first.dir, MANIFEST_NAME, &before);
    leave_folder(&r, crashes[_i].folder);
    snprintf(edit, sizeof edit, "UPDATE manifests SET %s", crashes[_i].journal);
    rig_sql(&r, edit);
    provision_one(&r, 3); /* the line went on meanwhile: this record is of the next manifest */
    rig_restart(&r);
    sleep(1); /* so that a new time of creation would show */
    ASSERT_OK(seal(&r, &again, &err), err);
    ck_assert_int_eq(again.seq, 1);
    ck_assert_int_eq(again.count, 3);
    read_file(again.dir, MANIFEST_NAME, &after);
    if (crashes[_i].same_bytes) {
        ck_assert_uint_eq(before.len, after.len);
        ck_assert_mem_eq(before.data, after.data, before.len);
    }
    verify(&r, again.dir, NULL, &report);
    ck_assert_uint_eq(report.count, 3);
    ck_assert_int_eq(rig_int(&r, "SELECT published FROM manifests WHERE seq = 1"), 1);
    ASSERT_OK(seal(&r, &next, &err), err);
    ck_assert_int_eq(next.seq, 2);
    verify(&r, next.dir, again.dir, &report);
    assert_same_file(&after, again.dir, MANIFEST_NAME);
    buf_done(&before);
    buf_done(&after);
    rig_end(&r);
}
END_TEST

START_TEST(a_folder_that_somebody_put_in_place_is_not_taken_for_the_manifest)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;
    char dir[PATH_MAX], path[PATH_MAX];

    rig_start(&r, &plain_order, 2);
    provision_one(&r, 1);
    manifest_dir(&r, "000001", dir);
    ASSERT_OK(file_make_dir(dir, 0755, &err), err);
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(err.text, "000001"));
    rig_path(dir, MANIFEST_NAME, path);
    ASSERT_OK(file_write(path, "{}\n", 3, 0644, &err), err);
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_INTEGRITY);
    ck_assert_int_eq(rig_int(&r, "SELECT published FROM manifests"), 0);
    ASSERT_OK(file_remove_tree(dir, &err), err);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    ck_assert_int_eq(sealed.seq, 1);
    rig_end(&r);
}
END_TEST

/* The statement was journalled, then its time was changed: nothing else is signed. */
START_TEST(bytes_that_differ_from_the_journal_are_not_signed)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;

    rig_start(&r, &plain_order, 2);
    provision_one(&r, 1);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    leave_folder(&r, GONE);
    rig_sql(&r, "UPDATE manifests SET published = 0, created = created + 1");
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_INTEGRITY);
    ck_assert_msg(strstr(err.text, "journalled before") != NULL, "%s", err.text);
    rig_drop(&r);
}
END_TEST

/* ---- edits ---- */

#define OF(i) "(SELECT line FROM records WHERE idx = " #i ")"

/* Records 0 to 2: add, void, add. */
static const char *const edits[] = {
    "UPDATE records SET line = replace(line, 'PUMP-000001', 'PUMP-000009') WHERE idx = 0",
    "UPDATE records SET line = CAST(replace(CAST(line AS TEXT), 'burned', 'scrapped') AS BLOB)"
    " WHERE idx = 1",
    "UPDATE records SET line = " OF(2) " WHERE idx = 0",
    "UPDATE records SET evidence = zeroblob(10) WHERE idx = 0",
    "UPDATE records SET evidence = (SELECT evidence FROM records WHERE idx = 2) WHERE idx = 0",
    "UPDATE records SET mac = zeroblob(32) WHERE idx = 2",
    "UPDATE records SET idx = 9 WHERE idx = 0; UPDATE records SET idx = 0 WHERE idx = 2;"
    "UPDATE records SET idx = 2 WHERE idx = 9",
    "DELETE FROM records WHERE idx = 0",
    "DELETE FROM records WHERE idx = 1",
    "DELETE FROM records WHERE idx = 2",
    "DELETE FROM records",
    "DELETE FROM records WHERE idx = 1; UPDATE records SET idx = 1 WHERE idx = 2",
    "INSERT INTO records SELECT 3, line, evidence, mac FROM records WHERE idx = 2",
};

START_TEST(records_that_were_edited_before_they_are_sealed_are_not_sealed)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;
    char dir[PATH_MAX];
    int rc;

    rig_start(&r, &plain_order, 4);
    provision_one(&r, 1);
    burn_one(&r, 2);
    rig_sql(&r, edits[_i]);
    rc = seal(&r, &sealed, &err);
    if (rc == 0 && sealed.seq == 0) /* with no record left there is nothing to seal */
        ck_assert_int_eq(rig_records(&r), 0);
    else
        ck_assert_msg(rc == ERR_INTEGRITY, "%s: %s: %s", edits[_i], error_name(rc), err.text);
    manifest_dir(&r, "000001", dir);
    ck_assert(!file_exists(dir));
    rig_drop(&r);
}
END_TEST

START_TEST(records_that_were_edited_after_they_were_sealed_stop_the_next_manifest)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;
    char dir[PATH_MAX];
    int rc;

    rig_start(&r, &plain_order, 6);
    provision_one(&r, 1);
    burn_one(&r, 2);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    if (strncmp(edits[_i], "INSERT", 6)) /* a new record makes room for the inserted one */
        provision_one(&r, 3);
    rig_sql(&r, edits[_i]);
    rc = seal(&r, &sealed, &err);
    ck_assert_msg(rc == ERR_INTEGRITY, "%s: %s: %s", edits[_i], error_name(rc), err.text);
    manifest_dir(&r, "000002", dir);
    ck_assert(!file_exists(dir));
    rig_drop(&r);
}
END_TEST

/* All records gone, sealed ones among them. */
START_TEST(a_whitelist_shorter_than_what_was_sealed_is_refused)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;

    rig_start(&r, &plain_order, 2);
    provision_one(&r, 1);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    rig_sql(&r, "DELETE FROM records");
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_INTEGRITY);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM manifests"), 1);
    rig_drop(&r);
}
END_TEST

static const char *const journal_edits[] = {
    "UPDATE manifests SET statement = zeroblob(100)",
    "UPDATE manifests SET statement = NULL",
    "UPDATE manifests SET first = 1, count = 2",
    "UPDATE manifests SET count = 2",
    "UPDATE manifests SET count = 4",
    "UPDATE manifests SET seq = 5",
    "DELETE FROM manifests",
};

/* The journal of what was published: the next manifest does not continue something else. */
START_TEST(a_journal_that_was_edited_stops_the_next_manifest)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;
    int rc;

    rig_start(&r, &plain_order, 6);
    provision_one(&r, 1);
    burn_one(&r, 2);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    provision_one(&r, 3);
    rig_sql(&r, journal_edits[_i]);
    rc = seal(&r, &sealed, &err);
    ck_assert_msg(rc == ERR_INTEGRITY || rc == ERR_FORMAT || rc == ERR_STORE, "%s: %s",
                  journal_edits[_i], error_name(rc));
    rig_drop(&r);
}
END_TEST

/* Neither journal nor folder knows of the first manifest any more, but somebody may have it. */
START_TEST(no_two_manifests_bear_one_number)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;
    char dir[PATH_MAX];

    rig_start(&r, &plain_order, 2);
    provision_one(&r, 1);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    provision_one(&r, 2);
    rig_sql(&r, "DELETE FROM manifests");
    ASSERT_OK(file_remove_tree(sealed.dir, &err), err);
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_STORE);
    manifest_dir(&r, "000001", dir);
    ck_assert(!file_exists(dir));
    rig_drop(&r);
}
END_TEST

/* ---- compressed ---- */

static bool has_file(const char *dir, const char *name)
{
    char path[PATH_MAX];

    rig_path(dir, name, path);
    return file_exists(path);
}

/* The compressed files went with the folder; the plain ones are as good and the statement is the same. */
START_TEST(a_compressed_manifest_is_finished_after_a_crash)
{
    static const char *const journals[] = {"published = 0", "published = 0, statement = NULL"};
    bool journalled = _i / 2 == 0;
    struct error err = ERROR_INIT;
    struct verify_report report;
    struct buf before, after;
    struct sealed sealed;
    char edit[256];
    struct rig r;

    rig_start(&r, &plain_order, 3);
    provision_one(&r, 1);
    r.config.compress = true;
    ASSERT_OK(seal(&r, &sealed, &err), err);
    ck_assert(has_file(sealed.dir, "devices-00000.jsonl.zst"));
    ck_assert(has_file(sealed.dir, "evidence-00000.jsonl.zst"));
    ck_assert(!has_file(sealed.dir, "devices-00000.jsonl"));
    verify(&r, sealed.dir, NULL, &report);
    read_file(sealed.dir, MANIFEST_NAME, &before);
    leave_folder(&r, GONE);
    snprintf(edit, sizeof edit, "UPDATE manifests SET %s", journals[_i / 2]);
    rig_sql(&r, edit);
    r.config.compress = _i % 2;
    ASSERT_OK(seal(&r, &sealed, &err), err);
    read_file(sealed.dir, MANIFEST_NAME, &after);
    ck_assert(has_file(sealed.dir, "devices-00000.jsonl.zst") ==
              (!journalled && r.config.compress));
    ck_assert((after.len == before.len) == (journalled || r.config.compress));
    if (journalled)
        ck_assert_mem_eq(before.data, after.data, before.len);
    verify(&r, sealed.dir, NULL, &report);
    buf_done(&before);
    buf_done(&after);
    rig_end(&r);
}
END_TEST

/* ---- the second key ---- */

struct told {
    int count;
    enum hsm_finding_kind kind;
    char key[64];
};

static void take_finding(void *context, enum hsm_finding_kind kind, const char *key,
                         const char *text)
{
    struct told *t = context;

    (void)text;
    t->count++;
    t->kind = kind;
    snprintf(t->key, sizeof t->key, "%s", key);
}

static void expect_finding(struct rig *r, const char *key, enum hsm_finding_kind kind)
{
    struct error err = ERROR_INIT;
    struct told t = {0};

    ASSERT_OK(second_key_audit(&r->config, r->store, r->hsm, take_finding, &t, &err), err);
    ck_assert_int_eq(t.count, key ? 1 : 0);
    if (key) {
        ck_assert_str_eq(t.key, key);
        ck_assert_int_eq(t.kind, kind);
    }
}

static void make_second(struct rig *r, const char *algorithm)
{
    struct error err = ERROR_INIT;
    struct second_key key;

    ASSERT_OK(second_key_rotate(&r->config, r->store, r->hsm, algorithm, &key, &err), err);
}

/* Somebody with the PIN puts another key in the place of the one that the ledger tells of. */
START_TEST(a_second_key_that_the_ledger_does_not_tell_of_signs_nothing)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;

    rig_start(&r, &plain_order, 2);
    expect_finding(&r, NULL, 0);
    make_second(&r, "ecdsa-p384");
    expect_finding(&r, NULL, 0);
    provision_one(&r, 1);
    ASSERT_OK(hsm_key_destroy(r.hsm, HSM_KEY_SECOND_SIGN, &err), err);
    expect_finding(&r, "second-sign", HSM_FINDING_MISSING);
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_MISSING);
    ASSERT_OK(hsm_key_create_as(r.hsm, HSM_KEY_SECOND_SIGN, KEY_P384, SCHEME_ECDSA_SHA384, &err),
              err);
    expect_finding(&r, "second-sign", HSM_FINDING_DIFFERS);
    ASSERT_FAILS(seal(&r, &sealed, &err), ERR_INTEGRITY);
    make_second(&r, NULL);
    expect_finding(&r, NULL, 0);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    ASSERT_OK(hsm_key_destroy(r.hsm, HSM_KEY_SECOND_ROOT, &err), err);
    expect_finding(&r, "second-root", HSM_FINDING_MISSING);
    rig_drop(&r);
}
END_TEST

/* Of what a making that was killed left the signer is made anew; the root stays. */
START_TEST(a_second_key_that_was_not_made_to_the_end_is_made_anew)
{
    struct public_key root, after;
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;

    rig_start(&r, &plain_order, 2);
    provision_one(&r, 1);
    ASSERT_OK(hsm_key_create_as(r.hsm, HSM_KEY_SECOND_ROOT, KEY_P384, SCHEME_ECDSA_SHA384, &err),
              err);
    ASSERT_OK(hsm_key_create_as(r.hsm, HSM_KEY_SECOND_SIGN, KEY_P384, SCHEME_ECDSA_SHA384, &err),
              err);
    expect_finding(&r, "second-sign", HSM_FINDING_NOTE);
    ASSERT_OK(seal(&r, &sealed, &err), err); /* with one signature */
    ASSERT_OK(hsm_key_public(r.hsm, HSM_KEY_SECOND_ROOT, &root, NULL, &err), err);
    make_second(&r, "ecdsa-p384");
    ASSERT_OK(hsm_key_public(r.hsm, HSM_KEY_SECOND_ROOT, &after, NULL, &err), err);
    ck_assert_mem_eq(root.spki, after.spki, root.len);
    expect_finding(&r, NULL, 0);
    provision_one(&r, 2);
    ASSERT_OK(seal(&r, &sealed, &err), err);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("sealing", ((struct check_item){a_compressed_manifest_is_finished_after_a_crash, 4}),
         ONCE(a_second_key_that_the_ledger_does_not_tell_of_signs_nothing),
         ONCE(a_second_key_that_was_not_made_to_the_end_is_made_anew),
         ONCE(there_is_nothing_to_seal_at_first_and_after_each_manifest),
         ONCE(each_manifest_extends_the_one_before), ONCE(a_log_keeps_its_name_and_environment),
         EACH_ROW(sealing_again_after_a_crash_finishes_the_same_manifest, crashes),
         ONCE(a_folder_that_somebody_put_in_place_is_not_taken_for_the_manifest),
         ONCE(bytes_that_differ_from_the_journal_are_not_signed),
         EACH_ROW(records_that_were_edited_before_they_are_sealed_are_not_sealed, edits),
         EACH_ROW(records_that_were_edited_after_they_were_sealed_stop_the_next_manifest, edits),
         ONCE(a_whitelist_shorter_than_what_was_sealed_is_refused),
         EACH_ROW(a_journal_that_was_edited_stops_the_next_manifest, journal_edits),
         ONCE(no_two_manifests_bear_one_number))
