/* The importer's state: what it accepts, what it refuses and what it then says of a device. */
#include "importer_state.h"

#include "base/file.h"
#include "manifests/trust/decide.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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
    ONCE(a_reader_sees_what_is_accepted_meanwhile), ONCE(what_is_no_state_file_is_refused))
