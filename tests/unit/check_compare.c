/* Two states: what differs between them, and several of them as one. */
#include "importer_state.h"

#include "manifests/trust/compare.h"
#include "manifests/trust/decide.h"

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
    struct kit_device second;
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

CHECK_ITEMS_MAIN("compare", ONCE(two_states_differ_in_what_was_accepted_between),
                 ONCE(states_of_several_importers_become_one),
                 ONCE(clones_between_two_states_are_found_and_nothing_is_merged),
                 ONCE(histories_that_contradict_each_other_are_not_merged))
