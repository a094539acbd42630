#include "station/store/spares.h"

#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/orders.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <string.h>

#define ROW_LABEL "imprint spare v1"
#define COLUMNS   "id, order_id, point, wrapped, wrapped_hash, storage, mechanism, mac"

int spare_next_id(struct store *store, int64_t *id, struct error *err)
{
    int64_t last = 0;
    int rc = sql_integer(&store->sql, err, &last, "SELECT max(id) FROM spare_keys", "");

    if (rc == 0)
        *id = last + 1;
    return rc;
}

static int row_mac(const struct credential *c, const uint8_t order_hash[32], store_mac_fn mac,
                   void *context, uint8_t out[32], struct error *err)
{
    size_t key_len;
    const uint8_t *key = key_stored(&c->key, &key_len);
    struct buf b;
    int rc;

    buf_init(&b, 1024);
    buf_put(&b, ROW_LABEL, sizeof ROW_LABEL);
    buf_put_u64(&b, (uint64_t)c->id);
    buf_put(&b, order_hash, 32);
    buf_put(&b, key, key_len);
    buf_put_lp(&b, c->storage, strlen(c->storage));
    buf_put(&b, c->wrapped_hash, sizeof c->wrapped_hash);
    rc = buf_check(&b, "a spare key", err);
    if (rc == 0)
        rc = mac(context, b.data, b.len, out, err);
    buf_done(&b);
    return rc;
}

int spare_seal(struct credential *c, const uint8_t order_hash[32], store_mac_fn mac, void *context,
               struct error *err)
{
    sha256(c->wrapped.data, c->wrapped.len, c->wrapped_hash);
    return row_mac(c, order_hash, mac, context, c->mac, err);
}

int spare_add(struct store *store, const struct credential *c, enum spare_state state,
              struct error *err)
{
    size_t key_len;
    const uint8_t *key = key_stored(&c->key, &key_len);

    return sql_run(&store->sql, err,
                   "INSERT INTO spare_keys(" COLUMNS ", state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "iibbbtibi", c->id, c->order_id, key, key_len, c->wrapped.data, c->wrapped.len,
                   c->wrapped_hash, sizeof c->wrapped_hash, c->storage, c->mechanism, c->mac,
                   sizeof c->mac, (int64_t)state);
}

static int read_row(sqlite3_stmt *s, struct credential *c, struct error *err)
{
    c->id = sqlite3_column_int64(s, 0);
    c->order_id = sqlite3_column_int64(s, 1);
    c->mechanism = sqlite3_column_int64(s, 6);
    if (store_key(s, 2, &c->key, err) || sql_blob(s, 3, &c->wrapped, err) ||
        sql_blob_exact(s, 4, c->wrapped_hash, sizeof c->wrapped_hash, err) ||
        sql_text(s, 5, c->storage, sizeof c->storage, err) ||
        sql_blob_exact(s, 7, c->mac, sizeof c->mac, err))
        return ERR_STORE;
    return 0;
}

static int mac_of_store(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return store_mac(context, bytes, len, mac, err);
}

static int verify_row(struct store *store, const struct credential *c, struct error *err)
{
    uint8_t order[32], hash[32], mac[32];
    int rc = order_hash(store, c->order_id, order, err);

    if (rc == 0)
        rc = row_mac(c, order, mac_of_store, store, mac, err);
    if (rc)
        return rc;
    sha256(c->wrapped.data, c->wrapped.len, hash);
    if (sha256_equal(mac, c->mac) && sha256_equal(hash, c->wrapped_hash))
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "the row of spare key %" PRId64
                     " was changed: its MAC does not match; keep the "
                     "database as it is and call the security team",
                     c->id);
}

int spare_pick(struct store *store, int64_t order_id, enum key_type type, struct credential *c,
               bool *found, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT " COLUMNS " FROM spare_keys"
                     " WHERE order_id = ? AND state = 0 AND length(point) = ? ORDER BY id LIMIT 1",
                     "ii", order_id, (int64_t)key_stored_length(type));

    if (rc < 0)
        return rc;
    *found = rc == 1;
    if (rc == 0)
        return 0;
    rc = read_row(s, c, err);
    sql_end(s);
    return rc ? rc : verify_row(store, c, err);
}

int spare_requested(struct store *store, int64_t id, struct credential *c, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT " COLUMNS " FROM spare_keys WHERE id = ? AND state = 3", "i", id);

    if (rc == 0)
        return error_set(err, ERR_INTEGRITY,
                         "the key of a request, %" PRId64 ", is not there or was used: keep the "
                         "database as it is and call the security team",
                         id);
    if (rc < 0)
        return rc;
    rc = read_row(s, c, err);
    sql_end(s);
    return rc ? rc : verify_row(store, c, err);
}

int spare_end(struct store *store, int64_t id, enum spare_state state, struct error *err)
{
    return sql_run(&store->sql, err, "UPDATE spare_keys SET state = ?, wrapped = NULL WHERE id = ?",
                   "ii", (int64_t)state, id);
}

static int record_destroyed(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                            int64_t count, struct error *err)
{
    int64_t first = 0, last = 0;
    struct buf data;
    struct jcs j;
    int rc = sql_integer(&store->sql, err, &first,
                         "SELECT min(id) FROM spare_keys WHERE order_id = ? AND state = 0", "i",
                         order_id);

    if (rc == 0)
        rc = sql_integer(&store->sql, err, &last,
                         "SELECT max(id) FROM spare_keys WHERE order_id = ? AND state = 0", "i",
                         order_id);
    if (rc)
        return rc;
    buf_init(&data, 512);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", count);
    jcs_int(&j, "first", first);
    jcs_int(&j, "last", last);
    jcs_hex(&j, "order", order_hash, 32);
    jcs_end(&j);
    rc = ledger_append(store, LEDGER_KEYS_DESTROYED, &data, err);
    buf_done(&data);
    return rc;
}

int spares_destroy(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                   struct error *err)
{
    int64_t count;
    int rc = spare_count(store, order_id, SPARE_UNUSED, &count, err);

    if (rc || count == 0)
        return rc;
    rc = record_destroyed(store, order_id, order_hash, count, err);
    return rc ? rc
              : sql_run(&store->sql, err,
                        "UPDATE spare_keys SET state = 2, wrapped = NULL"
                        " WHERE order_id = ? AND state = 0",
                        "i", order_id);
}

int spare_count(struct store *store, int64_t order_id, enum spare_state state, int64_t *count,
                struct error *err)
{
    *count = 0;
    return sql_integer(&store->sql, err, count,
                       "SELECT count(*) FROM spare_keys WHERE order_id = ? AND state = ?", "ii",
                       order_id, (int64_t)state);
}
