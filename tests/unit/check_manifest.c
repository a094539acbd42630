/* Chains of manifests: what a genuine one says, and what does not continue it. */
#include "manifest_fixture.h"

#include "base/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(a_genuine_chain_is_accepted_one_after_the_other)
{
    struct verify_policy policy = kit_policy(&kit);
    struct verify_report report;

    begin();
    policy = kit_policy(&kit);
    ASSERT_OK(manifest_verify(one, &policy, &report, &err), err);
    ck_assert(!report.has_prev && !report.extends);
    ck_assert_uint_eq(report.count, 6);
    ck_assert_uint_eq(report.certificates, 6);
    ck_assert_uint_eq(report.proofs, 4);
    ck_assert_uint_eq(report.unauthenticated, 3);
    ck_assert_uint_eq(report.by_type[RECORD_ADD], 4);
    ck_assert_uint_eq(report.by_type[RECORD_VOID], 2);
    ck_assert_str_eq(report.signer.subject, "CN=Manifest signer line1");
    policy.after = one;
    ASSERT_OK(manifest_verify(two, &policy, &report, &err), err);
    ck_assert(report.has_prev && report.extends);
    ck_assert_uint_eq(report.first, 6);
    policy.after = two;
    ASSERT_OK(manifest_verify(three, &policy, &report, &err), err);
    ck_assert_uint_eq(report.size, 13);
    ck_assert_uint_eq(report.by_type[RECORD_ATTR], 1);
    end();
}
END_TEST

START_TEST(a_manifest_that_is_missing_in_between_is_noticed)
{
    begin();
    ASSERT_FAILS(verify(three, one), ERR_GAP);
    ck_assert_ptr_nonnull(strstr(err.text, "in between"));
    end();
}
END_TEST

START_TEST(what_was_accepted_before_is_not_accepted_again)
{
    begin();
    ASSERT_FAILS(verify(one, two), ERR_ROLLBACK);
    ASSERT_FAILS(verify(two, two), ERR_ROLLBACK);
    ASSERT_FAILS(verify(one, three), ERR_ROLLBACK);
    end();
}
END_TEST

START_TEST(a_fork_of_the_log_is_noticed)
{
    char fork_two[PATH_MAX], fork_three[PATH_MAX];

    begin();
    make_fork(fork_two, fork_three);
    ASSERT_OK(verify(fork_two, one), err);
    ASSERT_OK(verify(fork_three, fork_two), err);
    ASSERT_FAILS(verify(fork_three, two), ERR_FORK);
    ASSERT_FAILS(verify(three, fork_two), ERR_FORK);
    ck_assert_ptr_nonnull(strstr(err.text, "forked"));
    end();
}
END_TEST

START_TEST(the_state_of_a_log_can_be_read_back_from_its_last_manifest)
{
    struct manifest_state state;
    struct merkle_hash root;

    begin();
    ASSERT_OK(seal_state_read(two, &state, &err), err);
    ck_assert_uint_eq(state.seq, 2);
    ck_assert_uint_eq(state.tree.size, 9);
    merkle_root(&state.tree, &root);
    ck_assert_mem_eq(&root, &state.root, sizeof root);
    damage_swap_lines(two, DEVICES, 0, 1);
    ASSERT_FAILS(seal_state_read(two, &state, &err), ERR_INTEGRITY);
    damage_drop_line(two, DEVICES, 0);
    ASSERT_FAILS(seal_state_read(two, &state, &err), ERR_INCOMPLETE);
    end();
}
END_TEST

START_TEST(manifests_with_extensions_proofs_and_later_signatures_are_accepted)
{
    char path[PATH_MAX + 8];

    begin();
    damage_replace(two, MANIFEST_NAME, "\"files\"", "\"ext\":{\"later\":[1]},\"files\"");
    kit_repair(&kit, two, KIT_SIGNATURE);
    snprintf(path, sizeof path, "%s/proofs", two);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    damage_write(two, "proofs/A1-0007.tlog-proof", "anything");
    damage_write(two, "manifest.json.ml-dsa-65.p7s", "anything");
    ASSERT_OK(verify(two, one), err);
    damage_write(two, "manifest.json..p7s", "anything");
    ASSERT_FAILS(verify(two, one), ERR_INTEGRITY);
    end();
}
END_TEST

START_TEST(every_byte_of_the_signed_statement_matters)
{
    struct buf bytes;
    char path[PATH_MAX + 32];

    begin();
    snprintf(path, sizeof path, "%s/%s", two, MANIFEST_NAME);
    buf_init(&bytes, STATEMENT_MAX);
    ASSERT_OK(file_read(path, &bytes, &err), err);
    for (size_t i = 0; i < bytes.len; i += 7) {
        bytes.data[i] ^= 1;
        ASSERT_OK(file_write(path, bytes.data, bytes.len, 0644, &err), err);
        ck_assert_msg(verify(two, one) == ERR_SIGNATURE, "byte %zu", i);
        bytes.data[i] ^= 1;
    }
    buf_done(&bytes);
    end();
}
END_TEST

CHECK_MAIN("manifest", a_genuine_chain_is_accepted_one_after_the_other,
           a_manifest_that_is_missing_in_between_is_noticed,
           what_was_accepted_before_is_not_accepted_again, a_fork_of_the_log_is_noticed,
           the_state_of_a_log_can_be_read_back_from_its_last_manifest,
           manifests_with_extensions_proofs_and_later_signatures_are_accepted,
           every_byte_of_the_signed_statement_matters)
