/* Changes of the store: what a commit anchors, what a rollback takes back, groups of changes. */
#include "open_store.h"

START_TEST(what_was_rolled_back_is_gone)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int64_t count = 0;

    generate(store, 1);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(credential_set_state(store, 1, CREDENTIAL_BURNED, &err), err);
    ASSERT_OK(append(store, "burned", "{}", &err), err);
    store_rollback(store);
    ASSERT_OK(ledger_verify(store, &count, &err), err);
    ck_assert_int_eq(count, 1);
    end(store);
}
END_TEST

static int64_t anchored;
static uint8_t anchored_head[32];

static int test_anchor(void *context, int64_t seq, const uint8_t head[32], struct error *err)
{
    if (context)
        return error_set(err, ERR_HSM, "the token is gone");
    anchored = seq;
    memcpy(anchored_head, head, sizeof anchored_head);
    return 0;
}

START_TEST(each_commit_with_an_entry_is_anchored_and_no_other)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    store_set_anchor(store, test_anchor, NULL);
    generate(store, 1);
    ck_assert_int_eq(anchored, 1);
    generate(store, 1);
    ck_assert_int_eq(anchored, 2);
    anchored = 0;
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(credential_set_state(store, 1, CREDENTIAL_CLAIMED, &err), err);
    ASSERT_OK(store_commit(store, &err), err);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(append(store, "burned", "{}", &err), err);
    store_rollback(store);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(store_commit(store, &err), err);
    ck_assert_int_eq(anchored, 0);
    end(store);
}
END_TEST

START_TEST(a_commit_whose_anchor_fails_is_not_acted_upon_and_resumes)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    uint8_t head[32];
    int64_t seq;

    store_set_anchor(store, test_anchor, NULL);
    generate(store, 1);
    store_set_anchor(store, test_anchor, store);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(append(store, "proven", "{}", &err), err);
    ASSERT_FAILS(store_commit(store, &err), ERR_HSM);
    ASSERT_OK(ledger_resume(store, anchored, anchored_head, &seq, head, &err), err);
    ck_assert_int_eq(seq, 2);
    end(store);
}
END_TEST

static const struct {
    const char *change; /* of a ledger with 5 entries, of which the token remembers 3 */
    int expected;
} resumes[] = {
    {"SELECT 1", 0},
    {"DELETE FROM ledger WHERE seq > 3", 0},
    {"DELETE FROM ledger WHERE seq > 2", ERR_ROLLBACK},
    {"DELETE FROM ledger", ERR_ROLLBACK},
    {"UPDATE ledger SET hash = zeroblob(32) WHERE seq = 3", ERR_ROLLBACK},
    {"UPDATE ledger SET body = replace(body, 'generate', 'generatE') WHERE seq = 4", ERR_INTEGRITY},
    {"UPDATE ledger SET mac = zeroblob(32) WHERE seq = 5", ERR_INTEGRITY},
    {"DELETE FROM ledger WHERE seq = 4", ERR_INTEGRITY},
};

START_TEST(a_database_is_compared_with_what_the_token_remembers)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    uint8_t head[32];
    int64_t seq;

    store_set_anchor(store, test_anchor, NULL);
    for (int i = 0; i < 3; i++)
        generate(store, 1);
    store_set_anchor(store, NULL, NULL);
    generate(store, 1);
    generate(store, 1);
    ck_assert_int_eq(anchored, 3);
    ck_assert_int_eq(sqlite3_exec(store->sql.db, resumes[_i].change, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(ledger_resume(store, anchored, anchored_head, &seq, head, &err),
                     resumes[_i].expected);
    end(store);
}
END_TEST

/* Three changes, the second of which is rolled back: one commit, one anchor, for the newest that stayed. */
START_TEST(a_group_is_one_change_and_each_part_is_rolled_back_alone)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct ledger_head head;

    store_set_anchor(store, test_anchor, NULL);
    ASSERT_OK(store_group_begin(store, &err), err);
    anchored = 0;
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(store_begin(store, &err), err);
        ASSERT_OK(append(store, "proven", "{}", &err), err);
        if (i == 1)
            store_rollback(store);
        else
            ASSERT_OK(store_commit(store, &err), err);
    }
    ASSERT_OK(ledger_head(store, &head, &err), err);
    ck_assert_int_eq(anchored, 0); /* nothing of it may be released */
    ASSERT_OK(store_group_end(store, &err), err);
    ck_assert_int_eq(anchored, head.seq);
    ck_assert_mem_eq(anchored_head, head.hash, sizeof head.hash);
    end(store);
}
END_TEST

START_TEST(a_group_whose_anchor_fails_is_not_acted_upon)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    store_set_anchor(store, test_anchor, NULL);
    ASSERT_OK(store_group_begin(store, &err), err);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(append(store, "proven", "{}", &err), err);
    ASSERT_OK(store_commit(store, &err), err);
    store_set_anchor(store, test_anchor, store);
    ASSERT_FAILS(store_group_end(store, &err), ERR_HSM);
    ck_assert(store_is_unanchored(store));
    ASSERT_FAILS(store_settle(store, &err), ERR_HSM);
    store_set_anchor(store, test_anchor, NULL);
    ASSERT_OK(store_settle(store, &err), err);
    end(store);
}
END_TEST

/* SQLite gives a whole transaction up when the disk is full: no part of it may go on by itself. */
START_TEST(a_group_that_the_database_gave_up_takes_no_change)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    ASSERT_OK(store_group_begin(store, &err), err);
    ck_assert_int_eq(sqlite3_exec(store->sql.db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    ASSERT_FAILS(store_begin(store, &err), ERR_STORE);
    ASSERT_FAILS(store_group_end(store, &err), ERR_STORE);
    end(store);
}
END_TEST

CHECK_ITEMS_MAIN("store_change", ONCE(each_commit_with_an_entry_is_anchored_and_no_other),
                 ONCE(a_group_is_one_change_and_each_part_is_rolled_back_alone),
                 ONCE(a_group_whose_anchor_fails_is_not_acted_upon),
                 ONCE(a_group_that_the_database_gave_up_takes_no_change),
                 ONCE(a_commit_whose_anchor_fails_is_not_acted_upon_and_resumes),
                 EACH_ROW(a_database_is_compared_with_what_the_token_remembers, resumes),
                 ONCE(what_was_rolled_back_is_gone))
