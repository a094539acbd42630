/* The outbox: an event is there exactly when what it tells is, and leaves once, in order. */
#include "open_store.h"

#include "station/store/outbox.h"

static void put(struct store *store, const char *text, bool commit)
{
    struct error err = ERROR_INIT;
    struct buf body;

    buf_init(&body, OUTBOX_BODY_MAX);
    buf_put_str(&body, text);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(outbox_add(store, &body, &err), err);
    if (commit)
        ASSERT_OK(store_commit(store, &err), err);
    else
        store_rollback(store);
    buf_done(&body);
}

static struct outbox_state look(struct store *store)
{
    struct error err = ERROR_INIT;
    struct outbox_state state;

    ASSERT_OK(outbox_state(store, &state, &err), err);
    return state;
}

/* The oldest event's number; its text must be this. NULL: there is none. */
static int64_t first(struct store *store, const char *text)
{
    struct error err = ERROR_INIT;
    int64_t number;
    struct buf body;

    buf_init(&body, OUTBOX_BODY_MAX);
    ASSERT_OK(outbox_first(store, &number, &body, &err), err);
    ck_assert_int_eq(number != 0, text != NULL);
    ck_assert_uint_eq(body.len, text ? strlen(text) : 0);
    if (text)
        ck_assert_mem_eq(body.data, text, body.len);
    buf_done(&body);
    return number;
}

START_TEST(events_leave_in_the_order_in_which_they_came)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int64_t one;

    first(store, NULL);
    put(store, "one", true);
    put(store, "two", true);
    one = first(store, "one");
    ck_assert_int_eq(first(store, "one"), one); /* it stays until it was taken */
    ck_assert_int_eq(look(store).depth, 2);
    ASSERT_OK(outbox_taken(store, one, &err), err);
    put(store, "three", true);
    ASSERT_OK(outbox_taken(store, first(store, "two"), &err), err);
    ASSERT_OK(outbox_taken(store, first(store, "three"), &err), err);
    put(store, "four", true);
    first(store, "four");
    end(store);
}
END_TEST

START_TEST(what_was_rolled_back_is_not_told)
{
    struct store *store = open_new();

    put(store, "never", false);
    first(store, NULL);
    ck_assert_int_eq(look(store).depth, 0);
    ck_assert_int_eq(look(store).oldest, 0);
    end(store);
}
END_TEST

START_TEST(events_and_failures_outlast_the_program)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct outbox_state state;

    put(store, "one", true);
    ASSERT_OK(outbox_refused(store, "it is down", &err), err);
    ASSERT_OK(outbox_refused(store, "it is still down", &err), err);
    store_close(store);
    ASSERT_OK(store_open(path, STORE_WRITE, &store, &err), err);
    state = look(store);
    ck_assert(state.depth == 1 && state.oldest > 0 && state.failures == 2 && state.failed > 0);
    ck_assert_str_eq(state.error, "it is still down");
    ASSERT_OK(outbox_taken(store, first(store, "one"), &err), err);
    state = look(store);
    ck_assert(state.depth == 0 && state.failures == 0 && state.failed == 0);
    ck_assert_str_eq(state.error, "");
    end(store);
}
END_TEST

START_TEST(an_event_that_is_too_long_is_not_added)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct buf body;

    buf_init(&body, OUTBOX_BODY_MAX);
    (void)buf_grow(&body, OUTBOX_BODY_MAX + 1);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_FAILS(outbox_add(store, &body, &err), ERR_INTERNAL);
    store_rollback(store);
    first(store, NULL);
    buf_done(&body);
    end(store);
}
END_TEST

CHECK_MAIN("outbox", events_leave_in_the_order_in_which_they_came, what_was_rolled_back_is_not_told,
           events_and_failures_outlast_the_program, an_event_that_is_too_long_is_not_added)
