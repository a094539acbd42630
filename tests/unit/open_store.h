/*
 * open_store: a store in a folder of its own, whose MACs are made without an HSM, and a few credentials.
 */
#ifndef TESTS_OPEN_STORE_H
#define TESTS_OPEN_STORE_H

#include "check_util.h"

#include "base/file.h"
#include "pki/digest.h"
#include "station/store/inventory.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/store/orders.h"
#include "station/store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];
static char path[80];
static const uint8_t order[32] = {0xaa};

/* Stands for the HSM: what matters here is that it is called over the right bytes. */
static inline int test_mac(void *context, const void *bytes, size_t len, uint8_t mac[32],
                           struct error *err)
{
    uint8_t key[32] = {7}, inner[32];
    struct sha256 *s = sha256_new();

    (void)context;
    (void)err;
    sha256(bytes, len, inner);
    sha256_update(s, key, sizeof key);
    sha256_update(s, inner, sizeof inner);
    sha256_final(s, mac);
    return 0;
}

static inline struct store *open_new(void)
{
    struct error err = ERROR_INIT;
    struct store *store;

    strcpy(dir, "/tmp/check_store_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/station.db", dir);
    ASSERT_OK(store_open(path, STORE_CREATE, &store, &err), err);
    store_set_mac(store, test_mac, NULL);
    return store;
}

static inline void end(struct store *store)
{
    struct error err = ERROR_INIT;

    store_close(store);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

static inline int append(struct store *store, const char *event, const char *json,
                         struct error *err)
{
    struct buf data;
    int rc;

    buf_init(&data, 1000);
    buf_put_str(&data, json);
    rc = ledger_append(store, event, &data, err);
    buf_done(&data);
    return rc;
}

/* Adds count credentials as generation does, one ledger entry for all. */
static inline void generate(struct store *store, int count)
{
    struct error err = ERROR_INIT;
    struct order_row row = {.name = "A-1", .product = "pump"};
    char data[64];
    bool found;
    int64_t id;

    memcpy(row.hash, order, sizeof row.hash);
    ASSERT_OK(store_begin(store, &err), err);
    ASSERT_OK(order_find(store, "A-1", &row, &found, &err), err);
    if (!found)
        ASSERT_OK(order_add(store, &row, &err), err);
    for (int i = 0; i < count; i++) {
        uint8_t point[EC_POINT_SIZE];
        struct credential c;
        struct key_hash hash;

        credential_init(&c);
        ASSERT_OK(credential_next_id(store, &id, &err), err);
        c.id = id;
        c.order_id = row.id;
        strcpy(c.product, "pump");
        snprintf(c.serial, sizeof c.serial, "P-%04d", (int)id);
        memset(point, (int)id, sizeof point);
        point[0] = 0x04;
        c.key = key_p256(point);
        buf_put_str(&c.cert, "certificate");
        buf_put_str(&c.wrapped, "wrapped key");
        strcpy(c.storage, "storage:ec:aa");
        ASSERT_OK(credential_seal(&c, order, test_mac, NULL, &err), err);
        ASSERT_OK(credential_add(store, &c, &err), err);
        hash = key_hash_of(&c.key, c.id);
        ASSERT_OK(key_index_add(store, &hash, 1, &err), err);
        credential_done(&c);
    }
    snprintf(data, sizeof data, "{\"count\":%d}", count);
    ASSERT_OK(append(store, "generate", data, &err), err);
    ASSERT_OK(store_commit(store, &err), err);
}

#endif
