/* New manifest and log keys: what both signed is followed, and nothing else. */
#include "manifest_fixture.h"

#include "base/file.h"
#include "manifests/trust/accept.h"
#include "manifests/trust/compare.h"
#include "manifests/trust/receipts.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static char state_path[PATH_MAX], rotated[PATH_MAX], after[PATH_MAX], new_pin[PATH_MAX];
static struct trust *t;
static struct trust_accepted accepted;
static struct manifest_state state;
static EVP_PKEY *next;

static int accept_with(const char *dir, const char *log_key)
{
    struct verify_policy policy = kit_policy(&kit);

    if (log_key)
        policy.log_key = log_key;
    err.text[0] = 0;
    return trust_accept(t, dir, &policy, NULL, &accepted, &err);
}

static int accept(const char *dir)
{
    return accept_with(dir, NULL);
}

static void begin_state(void)
{
    begin();
    snprintf(state_path, sizeof state_path, "%s/state", top);
    snprintf(rotated, sizeof rotated, "%s/4", top);
    snprintf(after, sizeof after, "%s/5", top);
    snprintf(new_pin, sizeof new_pin, "%s/new.vkey", top);
    ASSERT_OK(trust_open(state_path, TRUST_CREATE, &t, &err), err);
    ASSERT_OK(accept(one), err);
    ASSERT_OK(accept(two), err);
    ASSERT_OK(accept(three), err);
    ASSERT_OK(seal_state_read(three, &state, &err), err);
    next = kit_key();
}

static void end_state(void)
{
    EVP_PKEY_free(next);
    trust_close(t);
    end();
}

static void write_pin(EVP_PKEY *key)
{
    struct buf text;

    buf_init(&text, 4096);
    ASSERT_OK(note_key_write(KIT_ORIGIN, key, &text, &err), err);
    ASSERT_OK(file_write(new_pin, text.data, text.len, 0644, &err), err);
    buf_done(&text);
}

/* What is right; a test changes one thing of it. */
static struct kit_rotation good(enum rotation_key key)
{
    EVP_PKEY *old = key == ROTATION_LOG ? kit.log_key : kit.signer.key;

    return (struct kit_rotation){key, next, old, next, state.tree.size, KIT_STATION};
}

/* Manifest 4, which announces the rotation. */
static void announce(const struct kit_rotation *r, EVP_PKEY *also)
{
    struct kit_batch b;

    kit_begin(&b, &kit, "4", &state);
    b.also_log_key = also;
    kit_add_rotation(&b, r);
    kit_end(&b, &state);
}

static void announce_good(enum rotation_key key)
{
    struct kit_rotation r = good(key);

    announce(&r, key == ROTATION_LOG ? next : NULL);
}

/* A manifest with one device, with whatever keys the kit has now. */
static void make(const char *name)
{
    struct kit_device d;
    struct kit_batch b;

    kit_begin(&b, &kit, name, &state);
    kit_device_init(&kit, &d, "A1-0050");
    kit_add(&b, &d);
    kit_end(&b, NULL);
    kit_device_done(&d);
}

static void go_on(void)
{
    make("5");
}

static void use_next_log_key(void)
{
    EVP_PKEY_free(kit.log_key);
    EVP_PKEY_up_ref(next);
    kit.log_key = next;
}

/* A signer of the kit's manifest root, with the key next. */
static void use_next_signer(void)
{
    struct signer made;

    kit_signer_init(&kit, &(struct kit_signer){.from = -1, .until = 10}, &made);
    EVP_PKEY_free(next);
    next = made.key;
    EVP_PKEY_up_ref(next);
    struct kit_rotation r = good(ROTATION_MANIFEST);
    announce(&r, NULL);
    kit_signer_done(&kit.signer);
    kit.signer = made;
}

START_TEST(a_new_log_key_is_followed)
{
    begin_state();
    announce_good(ROTATION_LOG);
    ASSERT_OK(accept(rotated), err);
    ck_assert_int_eq(accepted.report.rotated[ROTATION_LOG].key, ROTATION_LOG);
    ck_assert_str_eq(accepted.report.rotated[ROTATION_LOG].by, "Ada");
    use_next_log_key();
    go_on();
    ASSERT_OK(accept(after), err); /* with the pin of the old key */
    write_pin(next);
    ASSERT_OK(accept_with(after, new_pin), err); /* and with the new one */
    ck_assert(accepted.before);
    ASSERT_OK(accept_with(one, new_pin), err);
    end_state();
}
END_TEST

START_TEST(after_a_rotation_the_old_log_key_counts_no_more)
{
    begin_state();
    announce_good(ROTATION_LOG);
    ASSERT_OK(accept(rotated), err);
    go_on(); /* still signed with the old one */
    ASSERT_FAILS(accept(after), ERR_SIGNATURE);
    end_state();
}
END_TEST

START_TEST(without_a_rotation_a_new_log_key_is_not_followed)
{
    begin_state();
    use_next_log_key();
    announce_good(ROTATION_LOG); /* from the new to the new */
    ASSERT_FAILS(accept(rotated), ERR_SIGNATURE);
    end_state();
}
END_TEST

START_TEST(a_new_manifest_key_is_followed)
{
    begin_state();
    use_next_signer();
    ASSERT_OK(accept(rotated), err);
    go_on();
    ASSERT_OK(accept(after), err);
    end_state();
}
END_TEST

START_TEST(after_a_rotation_the_old_manifest_key_counts_no_more)
{
    begin_state();
    announce_good(ROTATION_MANIFEST);
    ASSERT_OK(accept(rotated), err);
    go_on();
    ASSERT_FAILS(accept(after), ERR_IMPOSTOR);
    ck_assert_msg(strstr(err.text, "no rotation") != NULL, "%s", err.text);
    end_state();
}
END_TEST

static void key_hash(EVP_PKEY *key, uint8_t hash[SHA256_SIZE])
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    ck_assert_int_gt(len, 0);
    sha256(der, (size_t)len, hash);
    OPENSSL_free(der);
}

/* A closing statement that tells what this manifest does; change: of one thing, or NULL. */
static int close_changed(const char *dir, EVP_PKEY *signer, void (*change)(struct closing *c))
{
    struct statement s = {0};
    struct closing c = {.id = "x"};
    uint8_t hash[SHA256_SIZE];
    char path[PATH_MAX];
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    ASSERT_OK(file_join(path, sizeof path, dir, MANIFEST_NAME, &err), err);
    ASSERT_OK(file_read(path, &bytes, &err), err);
    ASSERT_OK(statement_parse(bytes.data, bytes.len, &s, &err), err);
    buf_done(&bytes);
    strcpy(c.origin, s.origin);
    strcpy(c.environment, s.environment);
    strcpy(c.station, s.station);
    c.manifest = s.seq;
    c.size = s.size;
    c.root = s.root;
    c.totals = s.totals[0];
    if (change)
        change(&c);
    key_hash(signer, hash);
    rc = trust_closing(t, &c, hash, NULL, &err);
    statement_done(&s);
    return rc;
}

static int close_after(const char *dir, EVP_PKEY *signer)
{
    return close_changed(dir, signer, NULL);
}

static void nothing_made(struct closing *c)
{
    c->totals = (struct manifest_totals){.issued = 0};
    memcpy(c->totals.order, "another order, which made nothin", SHA256_SIZE);
}

static void no_manifest(struct closing *c)
{
    nothing_made(c);
    c->manifest = c->size = 0;
    memset(&c->root, 0, sizeof c->root);
}

/* Of an order that the log counts. */
static void no_manifest_of_the_order(struct closing *c)
{
    uint8_t order[SHA256_SIZE];

    memcpy(order, c->totals.order, sizeof order);
    no_manifest(c);
    memcpy(c->totals.order, order, sizeof order);
}

static void no_manifest_of_another_log(struct closing *c)
{
    no_manifest(c);
    strcpy(c->origin, "example.com/unknown");
}

static void old_manifest_of_another_log(struct closing *c)
{
    nothing_made(c);
    strcpy(c->origin, "example.com/unknown");
}

/* Whoever stole the old key shall not close an order with it. */
START_TEST(a_closing_statement_is_signed_with_the_key_in_force)
{
    EVP_PKEY *stranger = kit_key();

    begin_state();
    announce_good(ROTATION_MANIFEST);
    ASSERT_OK(accept(rotated), err);
    ASSERT_OK(close_after(three, kit.signer.key), err); /* it was in force then */
    ASSERT_FAILS(close_after(rotated, kit.signer.key), ERR_IMPOSTOR);
    ASSERT_OK(close_after(rotated, next), err);
    ASSERT_OK(close_after(three, next), err); /* closed after the rotation, before its manifest */
    ASSERT_FAILS(close_after(three, stranger), ERR_IMPOSTOR);
    EVP_PKEY_free(stranger);
    end_state();
}
END_TEST

START_TEST(that_nothing_was_made_is_said_with_the_newest_key)
{
    begin_state();
    ASSERT_OK(close_changed(three, kit.signer.key, nothing_made), err);
    ASSERT_OK(close_changed(three, kit.signer.key, no_manifest), err);
    announce_good(ROTATION_MANIFEST);
    ASSERT_OK(accept(rotated), err);
    ASSERT_FAILS(close_changed(three, kit.signer.key, nothing_made), ERR_IMPOSTOR);
    ASSERT_FAILS(close_changed(three, kit.signer.key, no_manifest), ERR_IMPOSTOR);
    ASSERT_OK(close_changed(three, next, nothing_made), err);
    ASSERT_OK(close_changed(three, next, no_manifest), err);
    ASSERT_OK(close_changed(three, next, no_manifest_of_another_log), err);
    ASSERT_FAILS(close_changed(three, next, old_manifest_of_another_log), ERR_GAP);
    end_state();
}
END_TEST

START_TEST(after_a_closing_statement_nothing_is_made)
{
    begin_state();
    ASSERT_OK(close_after(three, kit.signer.key), err);
    ASSERT_FAILS(close_changed(three, kit.signer.key, no_manifest_of_the_order), ERR_INTEGRITY);
    ck_assert_msg(strstr(err.text, "makes no more") != NULL, "%s", err.text);
    make("4");
    ASSERT_OK(accept(rotated), err);
    ASSERT_FAILS(close_after(three, kit.signer.key), ERR_INTEGRITY);
    ck_assert_msg(strstr(err.text, "makes no more") != NULL, "%s", err.text);
    ASSERT_OK(close_after(rotated, kit.signer.key), err);
    end_state();
}
END_TEST

START_TEST(without_a_rotation_another_signer_of_the_root_is_refused)
{
    struct signer made;

    begin_state();
    kit_signer_init(&kit, &(struct kit_signer){.from = -1, .until = 10}, &made);
    kit_signer_done(&kit.signer);
    kit.signer = made;
    announce_good(ROTATION_LOG);
    ASSERT_FAILS(accept(rotated), ERR_IMPOSTOR);
    end_state();
}
END_TEST

/* Each is right but for one thing. */
static void only_the_old_key(struct kit_rotation *r)
{
    r->signer_new = r->signer_old;
}

static void only_the_new_key(struct kit_rotation *r)
{
    r->signer_old = r->signer_new;
}

static void another_place(struct kit_rotation *r)
{
    r->leaf--;
}

static void another_station(struct kit_rotation *r)
{
    r->station = "line2";
}

static void the_same_key(struct kit_rotation *r)
{
    r->next = r->signer_new = r->signer_old;
}

static const struct {
    void (*change)(struct kit_rotation *r);
    int expected;
    const char *text;
} wrong[] = {
    {only_the_old_key, ERR_SIGNATURE, "not signed by the new key"},
    {only_the_new_key, ERR_SIGNATURE, "not signed by the old key"},
    {another_place, ERR_INTEGRITY, "stands as record"},
    {another_station, ERR_SIGNATURE, "not signed by the old key"},
    {the_same_key, ERR_INTEGRITY, "one key twice"},
};

#define WRONGS (int)(sizeof wrong / sizeof *wrong)

START_TEST(a_rotation_that_is_not_whole_is_refused)
{
    enum rotation_key key = _i < WRONGS ? ROTATION_LOG : ROTATION_MANIFEST;
    struct kit_rotation r;
    int rc;

    begin_state();
    r = good(key);
    wrong[_i % WRONGS].change(&r);
    announce(&r, key == ROTATION_LOG && r.next == next ? next : NULL);
    rc = accept(rotated);
    ck_assert_msg(rc == wrong[_i % WRONGS].expected, "%d: %s: %s", _i, error_name(rc), err.text);
    ck_assert_msg(strstr(err.text, wrong[_i % WRONGS].text) != NULL, "%d: %s", _i, err.text);
    end_state();
}
END_TEST

START_TEST(a_new_log_key_must_sign_the_checkpoint_that_announces_it)
{
    struct kit_rotation r;

    begin_state();
    r = good(ROTATION_LOG);
    announce(&r, NULL);
    ASSERT_FAILS(accept(rotated), ERR_SIGNATURE);
    ck_assert_msg(strstr(err.text, "under the new log key") != NULL, "%s", err.text);
    end_state();
}
END_TEST

START_TEST(a_rotation_from_another_key_is_refused)
{
    EVP_PKEY *other = kit_key(), *own;
    struct kit_rotation r;
    struct kit_batch b;

    begin_state();
    own = kit.log_key;
    kit.log_key = other; /* whom the rotation names as the old one */
    r = good(ROTATION_LOG);
    kit_begin(&b, &kit, "4", &state);
    b.also_log_key = next;
    kit_add_rotation(&b, &r);
    kit.log_key = own;
    kit_end(&b, NULL);
    ASSERT_FAILS(accept(rotated), ERR_SIGNATURE);
    ck_assert_msg(strstr(err.text, "not in force") != NULL, "%s", err.text);
    EVP_PKEY_free(other);
    end_state();
}
END_TEST

START_TEST(a_key_is_rotated_once_in_a_manifest)
{
    struct kit_rotation r;
    struct kit_batch b;

    begin_state();
    r = good(ROTATION_LOG);
    kit_begin(&b, &kit, "4", &state);
    b.also_log_key = next;
    kit_add_rotation(&b, &r);
    r.leaf++;
    kit_add_rotation(&b, &r);
    kit_end(&b, NULL);
    ASSERT_FAILS(accept(rotated), ERR_DUPLICATE);
    end_state();
}
END_TEST

START_TEST(a_merged_state_knows_the_new_keys)
{
    struct trust_merged merged;
    char other[PATH_MAX];

    begin_state();
    announce_good(ROTATION_LOG);
    ASSERT_OK(accept(rotated), err);
    trust_close(t);
    snprintf(other, sizeof other, "%s/merged", top);
    ASSERT_OK(trust_open(other, TRUST_CREATE, &t, &err), err);
    ASSERT_OK(trust_merge(t, state_path, NULL, NULL, &merged, &err), err);
    use_next_log_key();
    go_on();
    ASSERT_OK(accept(after), err);
    end_state();
}
END_TEST

/* A state of the version before has no table of keys. */
START_TEST(a_state_of_version_one_is_brought_up_to_date)
{
    sqlite3 *db;

    begin_state();
    trust_close(t);
    ck_assert_int_eq(sqlite3_open(state_path, &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db,
                     "DROP TABLE log_keys; DROP TABLE signatures_required; PRAGMA user_version = 1",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    ASSERT_OK(trust_open(state_path, TRUST_READ, &t, &err), err);
    trust_close(t);
    ASSERT_OK(trust_open(state_path, TRUST_WRITE, &t, &err), err);
    announce_good(ROTATION_LOG);
    ASSERT_OK(accept(rotated), err);
    end_state();
}
END_TEST

START_TEST(a_rotate_record_says_what_is_rotated)
{
    struct record r = {.t = RECORD_ROTATE, .ts = 5};
    struct kit_batch b;

    begin_state();
    kit_begin(&b, &kit, "4", &state);
    kit_add_record(&b, &r);
    kit_end(&b, NULL);
    ASSERT_FAILS(accept(rotated), ERR_FORMAT);
    end_state();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("rotation");

    tcase_add_test(tcase, a_new_log_key_is_followed);
    tcase_add_test(tcase, after_a_rotation_the_old_log_key_counts_no_more);
    tcase_add_test(tcase, without_a_rotation_a_new_log_key_is_not_followed);
    tcase_add_test(tcase, a_new_manifest_key_is_followed);
    tcase_add_test(tcase, after_a_rotation_the_old_manifest_key_counts_no_more);
    tcase_add_test(tcase, a_closing_statement_is_signed_with_the_key_in_force);
    tcase_add_test(tcase, that_nothing_was_made_is_said_with_the_newest_key);
    tcase_add_test(tcase, after_a_closing_statement_nothing_is_made);
    tcase_add_test(tcase, without_a_rotation_another_signer_of_the_root_is_refused);
    tcase_add_loop_test(tcase, a_rotation_that_is_not_whole_is_refused, 0, 2 * WRONGS);
    tcase_add_test(tcase, a_new_log_key_must_sign_the_checkpoint_that_announces_it);
    tcase_add_test(tcase, a_rotation_from_another_key_is_refused);
    tcase_add_test(tcase, a_key_is_rotated_once_in_a_manifest);
    tcase_add_test(tcase, a_merged_state_knows_the_new_keys);
    tcase_add_test(tcase, a_state_of_version_one_is_brought_up_to_date);
    tcase_add_test(tcase, a_rotate_record_says_what_is_rotated);
    return check_run_case("rotation", tcase, 120);
}
