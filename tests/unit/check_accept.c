/* The importer's state: what it accepts, what it refuses and what it then says of a device. */
#include "manifest_fixture.h"

#include "base/file.h"
#include "manifests/trust/accept.h"
#include "manifests/trust/compare.h"
#include "manifests/trust/decide.h"
#include "manifests/trust/list.h"
#include "manifests/trust/lookup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static char state_path[PATH_MAX];
static struct trust *t;
static struct trust_accepted accepted;

static void open_state(void)
{
    ASSERT_OK(trust_open(state_path, TRUST_CREATE, &t, &err), err);
}

static void begin_state(void)
{
    begin();
    snprintf(state_path, sizeof state_path, "%s/state", top);
    open_state();
}

static void end_state(void)
{
    trust_close(t);
    t = NULL;
    end();
}

static int accept_of(const struct kit *k, const char *dir)
{
    struct verify_policy policy = kit_policy(k);

    err.text[0] = 0;
    return trust_accept(t, dir, &policy, NULL, &accepted, &err);
}

static int accept(const char *dir)
{
    return accept_of(&kit, dir);
}

static void accept_all(void)
{
    ASSERT_OK(accept(one), err);
    ASSERT_OK(accept(two), err);
    ASSERT_OK(accept(three), err);
}

static enum whitelist_answer answer(const char *serial)
{
    struct trust_verdict v;

    ASSERT_OK(trust_lookup_serial(t, serial, NULL, &v, &err), err);
    return v.answer;
}

static int count_row(void *ctx, const struct trust_row *row, struct error *why)
{
    (void)row;
    (void)why;
    ++*(unsigned *)ctx;
    return 0;
}

static unsigned rows(void)
{
    unsigned count = 0;

    ASSERT_OK(trust_list(t, count_row, &count, &err), err);
    return count;
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' is not in: %s", part, err.text);
}

START_TEST(a_chain_of_manifests_becomes_the_whitelist)
{
    static const struct {
        const char *serial;
        enum whitelist_answer answer;
    } devices[] = {
        {"A1-0001", WHITELIST_REVOKED}, {"A1-0002", WHITELIST_OK},
        {"A1-0003", WHITELIST_OK},      {"A1-0004", WHITELIST_OK},
        {"A1-0005", WHITELIST_REVOKED}, {"A1-0006", WHITELIST_REVOKED},
        {"A1-0007", WHITELIST_OK},      {"A1-0008", WHITELIST_OK},
        {"A1-0009", WHITELIST_OK},      {"A1-0010", WHITELIST_UNKNOWN},
        {"a1-0001", WHITELIST_UNKNOWN}, {"", WHITELIST_UNKNOWN},
    };

    begin_state();
    ASSERT_OK(accept(one), err);
    ck_assert(!accepted.before && accepted.newest);
    ck_assert_int_eq(answer("A1-0001"), WHITELIST_OK);
    ck_assert_uint_eq(rows(), 6);
    ASSERT_OK(accept(two), err);
    ck_assert(accepted.report.extends);
    ASSERT_OK(accept(three), err);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        ck_assert_msg(answer(devices[i].serial) == devices[i].answer, "%s: %s", devices[i].serial,
                      whitelist_answer_name(answer(devices[i].serial)));
    ck_assert_uint_eq(rows(), 10);
    end_state();
}
END_TEST

START_TEST(the_state_survives_being_closed)
{
    begin_state();
    ASSERT_OK(accept(one), err);
    trust_close(t);
    open_state();
    ASSERT_OK(accept(two), err);
    ck_assert(accepted.report.extends);
    ck_assert_int_eq(answer("A1-0001"), WHITELIST_REVOKED);
    end_state();
}
END_TEST

START_TEST(what_was_accepted_is_known_and_not_entered_again)
{
    begin_state();
    accept_all();
    ASSERT_OK(accept(one), err);
    ck_assert(accepted.before && !accepted.newest);
    ASSERT_OK(accept(three), err);
    ck_assert(accepted.before && accepted.newest);
    ck_assert_uint_eq(rows(), 10);
    end_state();
}
END_TEST

START_TEST(a_gap_is_refused_and_changes_nothing)
{
    begin_state();
    ASSERT_FAILS(accept(two), ERR_GAP);
    assert_text("from number 1");
    ck_assert_uint_eq(rows(), 0);
    ASSERT_OK(accept(one), err);
    ASSERT_FAILS(accept(three), ERR_GAP);
    assert_text("in between");
    ck_assert_uint_eq(rows(), 6);
    ASSERT_OK(accept(two), err);
    ASSERT_OK(accept(three), err);
    end_state();
}
END_TEST

/* Another second manifest, and a third after it. */
static void make_fork(char fork_two[PATH_MAX], char fork_three[PATH_MAX])
{
    struct manifest_state state, forked;
    struct kit_batch b;
    struct kit_device d;

    ASSERT_OK(seal_state_read(one, &state, &err), err);
    kit.totals.good = 4;
    kit.totals.revoked = kit.totals.replaced = 0;
    kit_begin(&b, &kit, "2b", &state);
    kit_device_init(&kit, &d, "B1-0001");
    kit_add(&b, &d);
    kit_end(&b, &forked);
    kit_device_done(&d);
    kit_begin(&b, &kit, "3b", &forked);
    kit_end(&b, NULL);
    snprintf(fork_two, PATH_MAX, "%s/2b", top);
    snprintf(fork_three, PATH_MAX, "%s/3b", top);
}

START_TEST(a_fork_is_refused_and_called_one)
{
    char fork_two[PATH_MAX], fork_three[PATH_MAX];

    begin_state();
    make_fork(fork_two, fork_three);
    ASSERT_OK(accept(one), err);
    ASSERT_OK(accept(two), err);
    ASSERT_FAILS(accept(fork_two), ERR_FORK);
    assert_text("another manifest 2");
    ASSERT_FAILS(accept(fork_three), ERR_FORK);
    assert_text("forked");
    ck_assert_int_eq(answer("B1-0001"), WHITELIST_UNKNOWN);
    ASSERT_OK(accept(three), err);
    ASSERT_FAILS(accept(fork_three), ERR_FORK);
    end_state();
}
END_TEST

START_TEST(an_unsigned_other_manifest_is_no_fork)
{
    begin_state();
    ASSERT_OK(accept(one), err);
    damage_replace(one, MANIFEST_NAME, "Example Infusion Ltd", "Example Infusion Inc");
    ASSERT_FAILS(accept(one), ERR_SIGNATURE);
    end_state();
}
END_TEST

START_TEST(a_log_that_counts_less_is_a_rollback)
{
    begin_state();
    ASSERT_OK(accept(one), err);
    damage_replace(two, MANIFEST_NAME, "\"issued\":8", "\"issued\":5");
    damage_replace(two, MANIFEST_NAME, "\"good\":4", "\"good\":1");
    kit_repair(&kit, two, KIT_SIGNATURE);
    ASSERT_FAILS(accept(two), ERR_ROLLBACK);
    end_state();
}
END_TEST

START_TEST(a_manifest_that_was_damaged_changes_nothing)
{
    begin_state();
    ASSERT_OK(accept(one), err);
    damage_name_evidence(two, 0); /* as it is: no damage yet */
    damage_flip(two, EVIDENCE, "\"proof\":\"", 30);
    ASSERT_FAILS(accept(two), ERR_INTEGRITY);
    damage_name_evidence(two, 0);
    kit_repair(&kit, two, KIT_SIGNATURE | KIT_FILES | KIT_LOG);
    ASSERT_FAILS(accept(two), ERR_PROOF);
    ck_assert_uint_eq(rows(), 6);
    ck_assert_int_eq(answer("A1-0001"), WHITELIST_OK);
    end_state();
}
END_TEST

/* A second factory in a folder of its own. */
static void begin_other(struct kit *k, char *dir, const char *origin, const char *station)
{
    snprintf(dir, 64, "/tmp/check_other_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kit_init_station(k, dir, origin, station);
}

static void end_other(struct kit *k, const char *dir)
{
    kit_done(k);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

static int accept_one_of(struct kit *k, const char *serial)
{
    struct kit_device d;
    struct kit_batch b;

    kit_begin(&b, k, "1", NULL);
    kit_device_init(k, &d, serial);
    kit_add(&b, &d);
    kit_end(&b, NULL);
    kit_device_done(&d);
    return accept_of(k, b.dir);
}

START_TEST(a_second_station_under_a_known_name_is_refused)
{
    static const char *const names[][2] = {
        {KIT_ORIGIN, KIT_STATION},             /* the same log, other keys */
        {KIT_ORIGIN, "line7"},                 /* and another station */
        {"factory.example/wl/x", KIT_STATION}, /* the same station, another log */
    };

    begin_state();
    ASSERT_OK(accept(one), err);
    for (size_t i = 0; i < 3; i++) {
        struct kit other;
        char dir[64];

        begin_other(&other, dir, names[i][0], names[i][1]);
        ASSERT_FAILS(accept_one_of(&other, "C1-0001"), ERR_IMPOSTOR);
        assert_text("second station");
        ck_assert_int_eq(answer("C1-0001"), WHITELIST_UNKNOWN);
        end_other(&other, dir);
    }
    ASSERT_OK(accept(two), err);
    end_state();
}
END_TEST

START_TEST(another_station_is_accepted_beside_it)
{
    struct kit other;
    char dir[64];

    begin_state();
    ASSERT_OK(accept(one), err);
    begin_other(&other, dir, "factory.example/wl/line2", "line2");
    ASSERT_OK(accept_one_of(&other, "C1-0001"), err);
    ck_assert_int_eq(answer("C1-0001"), WHITELIST_OK);
    ASSERT_OK(accept(two), err);
    end_other(&other, dir);
    end_state();
}
END_TEST

static struct kit_device first, second;

static void same_key(void)
{
    EVP_PKEY_free(second.key);
    second.key = EVP_PKEY_dup(first.key);
}

static void same_chip(void)
{
    memcpy(second.record.chip, first.record.chip, sizeof first.record.chip);
}

static void same_device(void)
{
    strcpy(second.record.sn, first.record.sn);
}

static const struct {
    void (*make)(void);
    const char *text;
} clones[] = {
    {same_key, "the public key of"},
    {same_chip, "the chip of"},
    {same_device, "the live identity of"},
};

/* A manifest of k with one device, which says the same as a device that was accepted. */
static int accept_clone(struct kit *k, const struct manifest_state *previous, const char *name,
                        void (*make)(void))
{
    struct kit_batch b;

    kit_device_init(k, &second, "Z-2");
    make();
    kit_prove(k, &second);
    kit_begin(&b, k, name, previous);
    kit_add(&b, &second);
    kit_end(&b, NULL);
    kit_device_done(&second);
    return accept_of(k, b.dir);
}

START_TEST(a_clone_in_a_later_manifest_or_another_log_is_refused)
{
    struct manifest_state state;
    struct kit_batch b;
    struct kit other, same;
    char dir[64], factory[64];

    begin_state();
    begin_other(&same, factory, "factory.example/wl/line8", "line8");
    kit_begin(&b, &same, "a", NULL);
    kit_device_init(&same, &first, "Z-1");
    kit_add(&b, &first);
    kit_end(&b, &state);
    ASSERT_OK(accept_of(&same, b.dir), err);
    begin_other(&other, dir, "factory.example/wl/line9", "line9");
    ASSERT_FAILS(accept_clone(&same, &state, "b", clones[_i].make), ERR_DUPLICATE);
    assert_text(clones[_i].text);
    assert_text("line8");
    ASSERT_FAILS(accept_clone(&other, NULL, "c", clones[_i].make), ERR_DUPLICATE);
    assert_text(clones[_i].text);
    ck_assert_uint_eq(rows(), 1);
    kit_device_done(&first);
    end_other(&other, dir);
    end_other(&same, factory);
    end_state();
}
END_TEST

/* One more manifest after the three, with one record about a device. */
static int accept_change(enum record_type type, const char *serial, uint64_t ref)
{
    struct manifest_state state;
    struct record of = {.ts = 1795000000, .chip_len = 12}, r;
    const struct manifest_totals before = kit.totals; /* of the three: the last try is gone */
    struct error ignored = ERROR_INIT;
    struct kit_batch b;
    int rc;

    ASSERT_OK(seal_state_read(three, &state, &err), err);
    memcpy(of.order, kit.totals.order, sizeof of.order);
    strcpy(of.prod, KIT_PRODUCT);
    strcpy(of.sn, serial);
    kit_begin(&b, &kit, "4", &state);
    kit_change(&r, type, &of, ref);
    kit_add_record(&b, &r);
    kit_end(&b, NULL);
    kit.totals = before;
    rc = accept(b.dir);
    ASSERT_OK(file_remove_tree(b.dir, &ignored), ignored);
    return rc;
}

START_TEST(what_is_revoked_does_not_come_back)
{
    begin_state();
    accept_all();
    ASSERT_FAILS(accept_change(RECORD_RECOMMISSION, "A1-0001", 0), ERR_INTEGRITY);
    assert_text("was not decommissioned");
    ck_assert_int_eq(answer("A1-0001"), WHITELIST_REVOKED);
    ASSERT_FAILS(accept_change(RECORD_REVOKE, "A1-0001", 2), ERR_INTEGRITY);
    assert_text("not an identity of device");
    ASSERT_FAILS(accept_change(RECORD_REVOKE, "A1-0001", 7), ERR_INTEGRITY);
    ASSERT_OK(accept_change(RECORD_DECOMMISSION, "A1-0003", 2), err);
    ck_assert_int_eq(answer("A1-0003"), WHITELIST_REVOKED);
    end_state();
}
END_TEST

#define HUGE_TEXT (15 << 20)

/* The most memory that this process ever had, in MB. */
static long peak_mb(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss / 1024;
}

/* A megabyte of empty lists in JSON becomes a hundred in memory. */
START_TEST(what_nobody_signed_is_not_parsed)
{
    char path[PATH_MAX + sizeof MANIFEST_NAME], *text = malloc(HUGE_TEXT);
    long before;

    ck_assert_ptr_nonnull(text);
    begin_state();
    for (size_t i = 0; i < HUGE_TEXT; i += 3)
        memcpy(text + i, "[],", 3);
    memcpy(text, "{\"a\":[", 6);
    memcpy(text + HUGE_TEXT - 3, "0]}", 3);
    snprintf(path, sizeof path, "%s/" MANIFEST_NAME, one);
    ASSERT_OK(file_write(path, text, HUGE_TEXT, 0644, &err), err);
    before = peak_mb();
    ASSERT_FAILS(accept(one), ERR_SIGNATURE);
    assert_text("does not verify");
    ASSERT_FAILS(verify(one, NULL), ERR_SIGNATURE);
    ck_assert_int_lt(peak_mb() - before, 200);
    free(text);
    end_state();
}
END_TEST

START_TEST(the_owners_decisions_count_beside_the_log)
{
    static const char *const serials[] = {"A1-0002", "A1-0003"};
    static const char *const unknown[] = {"A1-0004", "nobody"};
    struct trust_decision d = {.kind = TRUST_HOLD, .who = "qa", .why = "drop test failed"};

    begin_state();
    accept_all();
    ASSERT_FAILS(trust_decide(t, &d, unknown, 2, &err), ERR_UNKNOWN);
    ck_assert_int_eq(answer("A1-0004"), WHITELIST_OK);
    ASSERT_OK(trust_decide(t, &d, serials, 2, &err), err);
    ck_assert_int_eq(answer("A1-0002"), WHITELIST_HELD);
    d.kind = TRUST_LIFT;
    ASSERT_OK(trust_decide(t, &d, serials, 1, &err), err);
    ck_assert_int_eq(answer("A1-0002"), WHITELIST_OK);
    ASSERT_FAILS(trust_decide(t, &d, serials, 1, &err), ERR_MISSING);
    d.kind = TRUST_REVOKE;
    d.reason = RECORD_KEY_COMPROMISE;
    ASSERT_OK(trust_decide(t, &d, serials, 2, &err), err);
    ck_assert_int_eq(answer("A1-0002"), WHITELIST_REVOKED);
    ck_assert_int_eq(answer("A1-0003"), WHITELIST_REVOKED);
    d.why = "";
    ASSERT_FAILS(trust_decide(t, &d, serials, 2, &err), ERR_INPUT);
    end_state();
}
END_TEST

/* The certificate of a record line, decoded. */
static size_t certificate(const char *dir, size_t line, uint8_t *der, size_t size)
{
    char path[PATH_MAX + 32];
    struct buf file;
    struct record r;
    const char *from;
    size_t len;

    snprintf(path, sizeof path, "%s/" DEVICES, dir);
    buf_init(&file, 1 << 20);
    ASSERT_OK(file_read(path, &file, &err), err);
    from = (const char *)file.data;
    for (; line; line--)
        from = strchr(from, '\n') + 1;
    ASSERT_OK(record_parse(from, (size_t)(strchr(from, '\n') - from), &r, &err), err);
    len = r.cert.len;
    ck_assert_uint_le(len, size);
    memcpy(der, r.cert.p, len);
    record_done(&r);
    buf_done(&file);
    return len;
}

START_TEST(a_certificate_is_judged_byte_for_byte)
{
    uint8_t der[2048];
    struct whitelist *w;
    char why[256];
    size_t len;

    begin_state();
    accept_all();
    trust_close(t);
    w = whitelist_open(state_path, why, sizeof why);
    ck_assert_msg(w != NULL, "%s", why);
    len = certificate(one, 2, der, sizeof der);
    ck_assert_int_eq(whitelist_check(w, der, len), WHITELIST_OK);
    der[len - 1] ^= 1;
    ck_assert_int_eq(whitelist_check(w, der, len), WHITELIST_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(whitelist_why(w), "another certificate"));
    ck_assert_int_eq(whitelist_check(w, der, len - 1), WHITELIST_UNKNOWN);
    ck_assert_int_eq(whitelist_check(w, der, 0), WHITELIST_UNKNOWN);
    len = certificate(one, 0, der, sizeof der);
    ck_assert_int_eq(whitelist_check(w, der, len), WHITELIST_REVOKED);
    len = certificate(one, 1, der, sizeof der);
    ck_assert_int_eq(whitelist_check(w, der, len), WHITELIST_REPLACED);
    ck_assert_int_eq(whitelist_check_serial(w, "A1-0007", KIT_PRODUCT), WHITELIST_OK);
    ck_assert_int_eq(whitelist_check_serial(w, "A1-0007", "other"), WHITELIST_UNKNOWN);
    whitelist_close(w);
    ck_assert_ptr_null(whitelist_open(one, why, sizeof why));
    open_state();
    end_state();
}
END_TEST

START_TEST(a_reader_sees_what_is_accepted_meanwhile)
{
    struct whitelist *w;
    char why[256];

    begin_state();
    ASSERT_OK(accept(one), err);
    w = whitelist_open(state_path, why, sizeof why);
    ck_assert_msg(w != NULL, "%s", why);
    ck_assert_int_eq(whitelist_check_serial(w, "A1-0001", NULL), WHITELIST_OK);
    ASSERT_OK(accept(two), err);
    ck_assert_int_eq(whitelist_check_serial(w, "A1-0001", NULL), WHITELIST_REVOKED);
    whitelist_close(w);
    end_state();
}
END_TEST

START_TEST(what_is_no_state_file_is_refused)
{
    struct trust *other;
    char path[PATH_MAX];

    begin_state();
    snprintf(path, sizeof path, "%s/no-state", top);
    ASSERT_FAILS(trust_open(path, TRUST_READ, &other, &err), ERR_MISSING);
    ASSERT_FAILS(trust_open(path, TRUST_WRITE, &other, &err), ERR_MISSING);
    ASSERT_OK(file_write(path, "this is not a database at all", 29, 0644, &err), err);
    ASSERT_FAILS(trust_open(path, TRUST_READ, &other, &err), ERR_FORMAT);
    ASSERT_FAILS(trust_open(path, TRUST_CREATE, &other, &err), ERR_FORMAT);
    end_state();
}
END_TEST

/* ---- two states */

static int count_change(void *ctx, const struct trust_change *c, struct error *why)
{
    unsigned *counts = ctx;

    (void)why;
    counts[c->before == WHITELIST_UNKNOWN ? WHITELIST_UNKNOWN : c->after]++;
    return 0;
}

static int count_clone(void *ctx, const struct trust_clone *c, struct error *why)
{
    (void)why;
    ck_assert_str_ne(c->origin, c->other_origin);
    ++*(unsigned *)ctx;
    return 0;
}

/* A state of its own, with one manifest of a factory. */
static void make_state(const char *path, const struct kit *k, const char *dir)
{
    struct verify_policy policy = kit_policy(k);
    struct trust *other;

    ASSERT_OK(trust_open(path, TRUST_CREATE, &other, &err), err);
    ASSERT_OK(trust_accept(other, dir, &policy, NULL, &accepted, &err), err);
    trust_close(other);
}

START_TEST(two_states_differ_in_what_was_accepted_between)
{
    unsigned counts[WHITELIST_FAILED + 1] = {0};
    char older[PATH_MAX];

    begin_state();
    snprintf(older, sizeof older, "%s/older", top);
    make_state(older, &kit, one);
    accept_all();
    ASSERT_OK(trust_diff(t, older, count_change, counts, &err), err);
    ck_assert_uint_eq(counts[WHITELIST_UNKNOWN], 4);
    ck_assert_uint_eq(counts[WHITELIST_REVOKED], 1);
    ck_assert_uint_eq(counts[WHITELIST_REPLACED], 1);
    ck_assert_uint_eq(counts[WHITELIST_OK], 0);
    ASSERT_FAILS(trust_diff(t, kit.root, count_change, counts, &err), ERR_FORMAT);
    end_state();
}
END_TEST

START_TEST(states_of_several_importers_become_one)
{
    static const char *const serial[] = {"A1-0004"};
    struct trust_decision d = {.kind = TRUST_HOLD, .who = "qa", .why = "x"};
    struct trust_merged merged;
    struct trust *further;
    char path[PATH_MAX];
    unsigned found = 0;

    begin_state();
    snprintf(path, sizeof path, "%s/further", top);
    make_state(path, &kit, one);
    ASSERT_OK(trust_open(path, TRUST_WRITE, &further, &err), err);
    ASSERT_OK(accept(one), err);
    {
        struct trust *mine = t;

        t = further;
        ASSERT_OK(accept(two), err);
        ASSERT_OK(accept(three), err);
        ASSERT_OK(trust_decide(t, &d, serial, 1, &err), err);
        d.kind = TRUST_REVOKE;
        ASSERT_OK(trust_decide(t, &d, (const char *const[]){"A1-0007"}, 1, &err), err);
        trust_close(t);
        t = mine;
    }
    ASSERT_OK(trust_merge(t, path, count_clone, &found, &merged, &err), err);
    ck_assert_uint_eq(merged.logs, 1);
    ck_assert_uint_eq(merged.identities, 4);
    ck_assert_uint_eq(merged.decisions, 2);
    ck_assert_uint_eq(found, 0);
    ck_assert_int_eq(answer("A1-0001"), WHITELIST_REVOKED);
    ck_assert_int_eq(answer("A1-0002"), WHITELIST_OK);
    ck_assert_int_eq(answer("A1-0004"), WHITELIST_HELD);
    ck_assert_int_eq(answer("A1-0007"), WHITELIST_REVOKED);
    ASSERT_OK(trust_merge(t, path, count_clone, &found, &merged, &err), err);
    ck_assert_uint_eq(merged.logs + merged.identities + merged.decisions, 0);
    ck_assert_uint_eq(rows(), 10);
    ASSERT_OK(accept_change(RECORD_DECOMMISSION, "A1-0003", 2), err);
    end_state();
}
END_TEST

START_TEST(clones_between_two_states_are_found_and_nothing_is_merged)
{
    struct trust_merged merged;
    struct kit_batch b;
    struct kit other;
    char dir[64], path[PATH_MAX];
    unsigned found = 0;

    begin_state();
    ASSERT_OK(accept(one), err);
    snprintf(path, sizeof path, "%s/theirs", top);
    begin_other(&other, dir, "factory.example/wl/line2", "line2");
    kit_begin(&b, &other, "1", NULL);
    kit_device_init(&other, &second, "A1-0002");
    kit_add(&b, &second);
    kit_end(&b, NULL);
    kit_device_done(&second);
    make_state(path, &other, b.dir);
    ASSERT_FAILS(trust_merge(t, path, count_clone, &found, &merged, &err), ERR_DUPLICATE);
    ck_assert_uint_eq(found, 1);
    ck_assert_uint_eq(rows(), 6);
    end_other(&other, dir);
    end_state();
}
END_TEST

START_TEST(histories_that_contradict_each_other_are_not_merged)
{
    char fork_two[PATH_MAX], fork_three[PATH_MAX], path[PATH_MAX], dir[64];
    struct trust_merged merged;
    struct trust *mine;
    struct kit other;
    unsigned found = 0;

    begin_state();
    make_fork(fork_two, fork_three);
    snprintf(path, sizeof path, "%s/forked", top);
    make_state(path, &kit, one);
    ASSERT_OK(accept(one), err);
    ASSERT_OK(accept(two), err);
    mine = t;
    ASSERT_OK(trust_open(path, TRUST_WRITE, &t, &err), err);
    ASSERT_OK(accept(fork_two), err);
    trust_close(t);
    t = mine;
    ASSERT_FAILS(trust_merge(t, path, count_clone, &found, &merged, &err), ERR_FORK);
    begin_other(&other, dir, KIT_ORIGIN, KIT_STATION);
    snprintf(path, sizeof path, "%s/impostor", top);
    t = NULL;
    ASSERT_OK(trust_open(path, TRUST_CREATE, &t, &err), err);
    ASSERT_OK(accept_one_of(&other, "C1-0001"), err);
    trust_close(t);
    t = mine;
    ASSERT_FAILS(trust_merge(t, path, count_clone, &found, &merged, &err), ERR_IMPOSTOR);
    ck_assert_uint_eq(rows(), 8);
    end_other(&other, dir);
    end_state();
}
END_TEST

CHECK_ITEMS_MAIN(
    "accept", ONCE(a_chain_of_manifests_becomes_the_whitelist),
    ONCE(the_state_survives_being_closed), ONCE(what_was_accepted_is_known_and_not_entered_again),
    ONCE(a_gap_is_refused_and_changes_nothing), ONCE(a_fork_is_refused_and_called_one),
    ONCE(an_unsigned_other_manifest_is_no_fork), ONCE(a_log_that_counts_less_is_a_rollback),
    ONCE(a_manifest_that_was_damaged_changes_nothing),
    ONCE(a_second_station_under_a_known_name_is_refused),
    ONCE(another_station_is_accepted_beside_it),
    EACH_ROW(a_clone_in_a_later_manifest_or_another_log_is_refused, clones),
    ONCE(what_is_revoked_does_not_come_back), ONCE(what_nobody_signed_is_not_parsed),
    ONCE(the_owners_decisions_count_beside_the_log), ONCE(a_certificate_is_judged_byte_for_byte),
    ONCE(a_reader_sees_what_is_accepted_meanwhile), ONCE(what_is_no_state_file_is_refused),
    ONCE(two_states_differ_in_what_was_accepted_between),
    ONCE(states_of_several_importers_become_one),
    ONCE(clones_between_two_states_are_found_and_nothing_is_merged),
    ONCE(histories_that_contradict_each_other_are_not_merged))
