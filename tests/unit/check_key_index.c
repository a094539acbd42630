/* Doubled public keys are found wherever the index has them: in memory, in its tables, in neither. */
#include "open_store.h"

#include "station/store/key_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS "SELECT count(*) FROM key_index"
#define KEYS                                                                                       \
    "SELECT (SELECT coalesce(sum(length(hashes)), 0) / 8 FROM key_index) +"                        \
    " (SELECT coalesce(sum(length(hashes)), 0) / 8 FROM key_recent)"

static const uint8_t point_1[65] = {4, 1}, point_2[65] = {4, 2};

static struct key_hash hash_of(const uint8_t point[65], int64_t credential)
{
    const struct public_key key = key_p256(point);

    return key_hash_of(&key, credential);
}

static int add_credential(struct store *store, int64_t id, const uint8_t point[65],
                          struct error *err)
{
    return sql_run(&store->sql, err,
                   "INSERT INTO credentials(id, order_id, product, serial, state, point, cert,"
                   " wrapped_hash, storage, mechanism, mac)"
                   " VALUES (?1, 1, 'pump', ?1, 0, ?2, '', '', '', 0, '')",
                   "ib", id, point, (size_t)65);
}

static struct store *open_with_key(void)
{
    struct key_hash hash = hash_of(point_1, 1);
    struct error err = ERROR_INIT;
    struct store *store = open_new();

    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(sql_run(&store->sql, &err,
                      "INSERT INTO orders(id, hash, name, product) VALUES (1, '', 'A-1', 'pump')",
                      ""),
              err);
    ASSERT_OK(add_credential(store, 1, point_1, &err), err);
    ASSERT_OK(key_index_add(store, &hash, 1, &err), err);
    ASSERT_OK(store_commit(store, &err), err);
    return store;
}

static int64_t count_of(struct store *store, const char *query)
{
    struct error err = ERROR_INIT;
    int64_t count = 0;

    ASSERT_OK(sql_integer(&store->sql, &err, &count, query, ""), err);
    return count;
}

/* A second credential with this key; its hash is that of the first in any case. Rolled back. */
static int try_second(struct store *store, const uint8_t point[65], struct error *err)
{
    struct key_hash hash = hash_of(point_1, 2);
    int rc = store_begin(store, err);

    if (rc == 0)
        rc = add_credential(store, 2, point, err);
    if (rc == 0)
        rc = key_index_add(store, &hash, 1, err);
    store_rollback(store);
    return rc;
}

/* Among many, as in a batch; the others are new. */
static int try_batch(struct store *store, const uint8_t point[65], struct error *err)
{
    struct key_hash hashes[100];
    int rc = store_begin(store, err);

    hashes[0] = hash_of(point, 2);
    for (size_t i = 1; i < 100; i++)
        hashes[i] = (struct key_hash){i * UINT64_C(0xd1342543de82ef95), 3};
    if (rc == 0)
        rc = add_credential(store, 2, point, err);
    if (rc == 0)
        rc = key_index_add(store, hashes, 100, err);
    store_rollback(store);
    return rc;
}

static void assert_found(struct store *store)
{
    struct error err = ERROR_INIT;

    ASSERT_FAILS(try_second(store, point_1, &err), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.text, "credential 1 has already"));
    ASSERT_OK(try_second(store, point_2, &err), err);
    ASSERT_FAILS(try_batch(store, point_1, &err), ERR_DUPLICATE);
    ASSERT_OK(try_batch(store, point_2, &err), err);
}

/* As many other keys as stay in memory. */
static void add_many(struct store *store)
{
    struct key_hash *hashes = calloc(KEY_RECENT_MAX, sizeof *hashes);
    struct error err = ERROR_INIT;
    size_t half = KEY_RECENT_MAX / 2;

    for (size_t i = 0; i < KEY_RECENT_MAX; i++)
        hashes[i].hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(key_index_add(store, hashes, half, &err), err);
    ASSERT_OK(key_index_add(store, hashes + half, half, &err), err);
    ASSERT_OK(store_commit(store, &err), err);
    free(hashes);
}

START_TEST(a_double_is_found_in_memory_and_in_the_file)
{
    struct store *store = open_with_key();

    assert_found(store); /* in memory: nothing was rolled back since it came */
    assert_found(store); /* read again */
    ck_assert_int_eq(count_of(store, ROWS), 0);
    end(store);
}
END_TEST

START_TEST(a_double_is_found_among_merged_keys)
{
    struct store *store = open_with_key();

    add_many(store);
    ck_assert_int_gt(count_of(store, ROWS), 60000);
    ck_assert_int_eq(count_of(store, KEYS), KEY_RECENT_MAX + 1);
    assert_found(store);
    assert_found(store);
    end(store);
}
END_TEST

START_TEST(a_double_within_a_batch_is_found)
{
    struct key_hash hashes[] = {hash_of(point_2, 2), hash_of(point_2, 3)};
    struct store *store = open_with_key();
    struct error err = ERROR_INIT;

    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(add_credential(store, 2, point_2, &err), err);
    ASSERT_OK(add_credential(store, 3, point_2, &err), err);
    ASSERT_FAILS(key_index_add(store, hashes, 2, &err), ERR_DUPLICATE);
    store_rollback(store);
    end(store);
}
END_TEST

START_TEST(what_was_rolled_back_is_forgotten)
{
    struct key_hash hash = hash_of(point_2, 2);
    struct store *store = open_with_key();
    struct error err = ERROR_INIT;

    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(key_index_add(store, &hash, 1, &err), err);
    ck_assert_ptr_nonnull(store->keys);
    store_rollback(store);
    ck_assert_ptr_null(store->keys);
    hash = hash_of(point_2, 2);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(key_index_add(store, &hash, 1, &err), err);
    ASSERT_OK(store_commit(store, &err), err);
    ASSERT_OK(store_begin(store, &err), err);
    store_rollback(store); /* of nothing: no reason to forget what was committed */
    ck_assert_ptr_nonnull(store->keys);
    ck_assert_int_eq(count_of(store, KEYS), 2);
    end(store);
}
END_TEST

/* Twice merged: each row sorted, and each key in the row of its first two bytes. */
START_TEST(merged_keys_are_sorted)
{
    struct store *store = open_with_key();
    struct error err = ERROR_INIT;
    uint8_t before[8] = {0};
    struct buf row;
    sqlite3_stmt *s;

    add_many(store);
    add_many(store);
    ck_assert_int_eq(count_of(store, KEYS), 2 * KEY_RECENT_MAX + 1);
    buf_init(&row, 1 << 20);
    ASSERT_OK(sql_start(&store->sql, &err, &s,
                        "SELECT prefix, hashes FROM key_index ORDER BY prefix", ""),
              err);
    while (sql_next(&store->sql, s, &err) == 1) {
        ASSERT_OK(sql_blob(s, 1, &row, &err), err);
        for (size_t i = 0; i < row.len; i += sizeof before) {
            ck_assert_int_eq(sqlite3_column_int64(s, 0), row.data[i] << 8 | row.data[i + 1]);
            ck_assert_int_le(memcmp(before, row.data + i, sizeof before), 0);
            memcpy(before, row.data + i, sizeof before);
        }
    }
    buf_done(&row);
    end(store);
}
END_TEST

/* Whatever was added may be there, and little else. */
START_TEST(a_filter_forgets_nothing_and_errs_seldom)
{
    struct key_filter *f = key_filter_new(100000);
    unsigned wrong = 0;

    ck_assert_ptr_nonnull(f);
    for (uint64_t i = 1; i <= 100000; i++)
        key_filter_put(f, i * UINT64_C(0x9e3779b97f4a7c15));
    for (uint64_t i = 1; i <= 100000; i++) {
        ck_assert(key_filter_may_have(f, i * UINT64_C(0x9e3779b97f4a7c15)));
        wrong += key_filter_may_have(f, i * UINT64_C(0xd1342543de82ef95));
    }
    ck_assert_uint_lt(wrong, 3000);
    key_filter_free(f);
}
END_TEST

START_TEST(a_damaged_index_is_refused)
{
    struct store *store = open_with_key();
    struct error err = ERROR_INIT;

    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(sql_run(&store->sql, &err, "UPDATE key_recent SET hashes = x'00'", ""), err);
    ASSERT_OK(store_commit(store, &err), err);
    key_index_forget(store);
    ASSERT_FAILS(try_second(store, point_2, &err), ERR_STORE);
    end(store);
}
END_TEST

CHECK_ITEMS_MAIN("key_index", ONCE(a_double_is_found_in_memory_and_in_the_file),
                 ONCE(a_double_is_found_among_merged_keys), ONCE(a_double_within_a_batch_is_found),
                 ONCE(what_was_rolled_back_is_forgotten), ONCE(merged_keys_are_sorted),
                 ONCE(a_filter_forgets_nothing_and_errs_seldom), ONCE(a_damaged_index_is_refused))
