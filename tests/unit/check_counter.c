/* What the store does about a counter: which transactions count, what their entries bear, and when the
 * counter moves. */
#include "open_store.h"

#include <string.h>

#define NAME "000b1111111111111111111111111111111111111111111111111111111111111111"
#define NAMED                                                                                      \
    "{\"counter\":{\"index\":7,\"names\":[\"" NAME "\",\"" NAME "\"],\"start\":41,\"tpm\":\"" NAME \
    "\"}}"

static struct store_count tpm; /* the counter */
static int steps, anchors;
static bool broken;

static int test_anchor(void *context, int64_t seq, const uint8_t head[32], struct error *err)
{
    (void)context;
    (void)seq;
    (void)head;
    (void)err;
    anchors++;
    return 0;
}

static int test_step(void *context, const struct store_count *from, const uint8_t link[32],
                     struct error *err)
{
    (void)context;
    ck_assert_int_eq(anchors, steps + 1); /* the anchor is written first */
    if (broken)
        return error_set(err, ERR_COUNTER, "the TPM is gone");
    ck_assert_mem_eq(from->chain, tpm.chain, sizeof tpm.chain);
    ck_assert_int_eq(from->number, tpm.number);
    store_count_next(from, link, &tpm);
    steps++;
    return 0;
}

static struct store *open_counted(void)
{
    struct store *store = open_new();

    store_set_anchor(store, test_anchor, NULL);
    tpm = (struct store_count){.number = 41, .chain = {0xcc}};
    store_set_counter(store, &tpm, test_step, NULL);
    return store;
}

/* One transaction of one or two entries; what store_commit says. */
static int change(struct store *store, const char *first, const char *second, struct error *err)
{
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    ASSERT_OK(append(store, first, strcmp(first, "init") ? "{}" : NAMED, err), *err);
    if (second)
        ASSERT_OK(append(store, second, "{}", err), *err);
    anchors = steps;
    return store_commit(store, err);
}

static const struct {
    const char *first, *second;
    int steps;
} changes[] = {
    {"claim", NULL, 1},     {"burned", "claim", 1},     {"proven", "claim", 1},
    {"claim", "proven", 1}, {"seal", NULL, 1},          {"generate", NULL, 1},
    {"order", NULL, 1},     {"scrapped", NULL, 1},      {"an event of later", NULL, 1},
    {"proven", NULL, 0},    {"clock_stopped", NULL, 0}, {"clock_confirmed", NULL, 0},
};

START_TEST(a_transaction_counts_once_when_it_gives_something_out)
{
    struct store *store = open_counted();
    struct error err = ERROR_INIT;
    struct ledger_counter c;

    ASSERT_OK(change(store, "init", NULL, &err), err);
    ck_assert_int_eq(tpm.number, 42);
    ASSERT_OK(change(store, changes[_i].first, changes[_i].second, &err), err);
    ck_assert_int_eq(steps, 1 + changes[_i].steps);
    ck_assert_int_eq(tpm.number, 42 + changes[_i].steps);
    ASSERT_OK(ledger_counter(store, &c, &err), err);
    ck_assert_int_eq(c.index, 7);
    ck_assert_int_eq(c.names[1][2], 0x11);
    ck_assert_int_eq(c.from.number + 1, tpm.number);
    end(store);
}
END_TEST

START_TEST(the_ledger_alone_tells_where_the_counter_is)
{
    struct store *store = open_counted();
    struct error err = ERROR_INIT;
    struct store_count next;
    struct ledger_counter c;

    ASSERT_OK(change(store, "init", NULL, &err), err);
    ASSERT_OK(change(store, "order", "generate", &err), err);
    ASSERT_OK(change(store, "proven", NULL, &err), err);
    ASSERT_OK(ledger_counter(store, &c, &err), err);
    store_count_next(&c.from, c.link, &next);
    ck_assert_int_eq(next.number, 43);
    ck_assert_mem_eq(next.chain, tpm.chain, sizeof tpm.chain);
    end(store);
}
END_TEST

START_TEST(what_was_rolled_back_does_not_count)
{
    struct store *store = open_counted();
    struct error err = ERROR_INIT;

    ASSERT_OK(change(store, "init", NULL, &err), err);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(append(store, "claim", "{}", &err), err);
    store_rollback(store);
    ASSERT_OK(change(store, "proven", NULL, &err), err);
    ck_assert_int_eq(steps, 1);
    ASSERT_OK(change(store, "claim", NULL, &err), err);
    ck_assert_int_eq(tpm.number, 43);
    end(store);
}
END_TEST

/* What the store refuses to whoever goes on with a group that counts already. */
START_TEST(a_group_ends_with_the_first_change_that_counts)
{
    struct store *store = open_counted();
    struct error err = ERROR_INIT;

    ASSERT_OK(change(store, "init", NULL, &err), err);
    ASSERT_OK(store_group_begin(store, &err), err);
    ASSERT_OK(change(store, "proven", NULL, &err), err);
    ck_assert(!store_group_counts(store));
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(append(store, "claim", "{}", &err), err);
    store_rollback(store);
    ck_assert(!store_group_counts(store));
    ASSERT_OK(change(store, "claim", NULL, &err), err);
    ck_assert(store_group_counts(store));
    ASSERT_FAILS(store_begin(store, &err), ERR_INTERNAL);
    anchors = steps;
    ASSERT_OK(store_group_end(store, &err), err);
    ck_assert_int_eq(tpm.number, 43);
    ck_assert(!store_group_counts(store));
    ASSERT_OK(change(store, "claim", NULL, &err), err);
    ck_assert_int_eq(tpm.number, 44);
    end(store);
}
END_TEST

START_TEST(a_step_that_fails_is_made_before_anything_else)
{
    struct store *store = open_counted();
    struct error err = ERROR_INIT;

    ASSERT_OK(change(store, "init", NULL, &err), err);
    broken = true;
    ASSERT_FAILS(change(store, "claim", NULL, &err), ERR_COUNTER);
    ck_assert(store_is_unanchored(store));
    anchors = steps;
    ASSERT_FAILS(store_settle(store, &err), ERR_COUNTER);
    broken = false;
    anchors = steps;
    ASSERT_OK(store_settle(store, &err), err);
    ck_assert(!store_is_unanchored(store));
    ck_assert_int_eq(tpm.number, 43);
    ASSERT_OK(change(store, "claim", NULL, &err), err);
    ck_assert_int_eq(tpm.number, 44);
    end(store);
}
END_TEST

START_TEST(a_station_without_a_counter_has_none)
{
    struct store *store = open_counted();
    struct error err = ERROR_INIT;
    struct ledger_counter c;
    struct buf body;

    store_set_counter(store, &tpm, NULL, NULL);
    ASSERT_OK(change(store, "seal", NULL, &err), err);
    ASSERT_OK(change(store, "claim", NULL, &err), err);
    ASSERT_OK(ledger_counter(store, &c, &err), err);
    ck_assert_int_eq(c.index, 0);
    ck_assert_int_eq(steps, 0);
    buf_init(&body, 65536);
    ASSERT_OK(ledger_first(store, &body, &err), err);
    ck_assert_ptr_null(strstr((const char *)body.data, "counter"));
    buf_done(&body);
    end(store);
}
END_TEST

CHECK_ITEMS_MAIN("counter",
                 EACH_ROW(a_transaction_counts_once_when_it_gives_something_out, changes),
                 ONCE(the_ledger_alone_tells_where_the_counter_is),
                 ONCE(what_was_rolled_back_does_not_count),
                 ONCE(a_group_ends_with_the_first_change_that_counts),
                 ONCE(a_step_that_fails_is_made_before_anything_else),
                 ONCE(a_station_without_a_counter_has_none))
