#include "station/store/inventory.h"

#include "pki/digest.h"
#include "station/store/orders.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROW_LABEL "imprint row v1"
#define COLUMNS                                                                                    \
    "id, order_id, state, product, serial, point, cert, wrapped, storage, mechanism, mac,"         \
    " wrapped_hash"

void credential_init(struct credential *c)
{
    memset(c, 0, sizeof *c);
    buf_init(&c->cert, INVENTORY_CERT_MAX);
    buf_init(&c->wrapped, INVENTORY_WRAPPED_MAX);
}

void credential_done(struct credential *c)
{
    buf_done(&c->cert);
    buf_done(&c->wrapped);
}

int counter_next(struct store *store, const char *product, const char *prefix, int64_t digits,
                 int64_t first, int64_t *next, struct error *err)
{
    int64_t stored = first;
    int rc =
        sql_integer(&store->sql, err, &stored,
                    "SELECT next FROM counters WHERE product = ? AND prefix = ? AND digits = ?",
                    "tti", product, prefix, digits);

    if (rc == 0)
        *next = stored > first ? stored : first;
    return rc;
}

int counter_set(struct store *store, const char *product, const char *prefix, int64_t digits,
                int64_t next, struct error *err)
{
    return sql_run(&store->sql, err,
                   "INSERT INTO counters(product, prefix, digits, next) VALUES (?, ?, ?, ?)"
                   " ON CONFLICT(product, prefix, digits) DO UPDATE SET next = excluded.next",
                   "ttii", product, prefix, digits, next);
}

int credential_next_id(struct store *store, int64_t *id, struct error *err)
{
    int64_t last = 0;
    int rc = sql_integer(&store->sql, err, &last, "SELECT max(id) FROM credentials", "");

    if (rc == 0)
        *id = last + 1;
    return rc;
}

/* What the column of the public key holds: of a derived key, which has none, as many zeros as a P-256
 * point has bytes. */
static const uint8_t *stored_key(const struct credential *c, size_t *len)
{
    static const uint8_t none[EC_POINT_SIZE];

    if (!credential_is_derived(c))
        return key_stored(&c->key, len);
    *len = sizeof none;
    return none;
}

static void put_row(struct buf *out, const struct credential *c, const uint8_t order_hash[32])
{
    size_t key_len;
    const uint8_t *key = stored_key(c, &key_len);
    uint8_t digest[32];

    buf_put(out, ROW_LABEL, sizeof ROW_LABEL);
    buf_put_u64(out, (uint64_t)c->id);
    buf_put(out, order_hash, 32);
    buf_put_lp(out, c->product, strlen(c->product));
    buf_put_lp(out, c->serial, strlen(c->serial));
    buf_put(out, key, key_len);
    buf_put_lp(out, c->storage, strlen(c->storage));
    buf_put_lp(out, INVENTORY_FORMAT, sizeof INVENTORY_FORMAT - 1);
    buf_put(out, c->wrapped_hash, sizeof c->wrapped_hash);
    sha256(c->cert.data, c->cert.len, digest);
    buf_put(out, digest, sizeof digest);
}

static int row_mac(const struct credential *c, const uint8_t order_hash[32], store_mac_fn mac,
                   void *context, uint8_t out[32], struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, 1024);
    put_row(&b, c, order_hash);
    rc = buf_check(&b, "a row", err);
    if (rc == 0)
        rc = mac(context, b.data, b.len, out, err);
    buf_done(&b);
    return rc;
}

int credential_seal(struct credential *c, const uint8_t order_hash[32], store_mac_fn mac,
                    void *context, struct error *err)
{
    sha256(c->wrapped.data, c->wrapped.len, c->wrapped_hash);
    return row_mac(c, order_hash, mac, context, c->mac, err);
}

static int known_serial(const struct credential *c, struct error *err)
{
    return error_set(
        err, ERR_DUPLICATE,
        "serial '%s' of product '%s' is in the inventory already: choose other serials "
        "in the job",
        c->serial, c->product);
}

/* A serial that differs in nothing but case is another name for the same device to many platforms. */
static int refuse_known_serial(struct store *store, const struct credential *c, struct error *err)
{
    int64_t known = 0;
    int rc = sql_integer(&store->sql, err, &known,
                         "SELECT count(*) FROM credentials"
                         " WHERE product = ? AND serial = ? COLLATE NOCASE",
                         "tt", c->product, c->serial);

    return rc || known == 0 ? rc : known_serial(c, err);
}

int credential_none_between(struct store *store, const char *product, const char *first,
                            const char *last, bool *none, struct error *err)
{
    int64_t known = 0;
    int rc = sql_integer(&store->sql, err, &known,
                         "SELECT EXISTS (SELECT 1 FROM credentials WHERE product = ?"
                         " AND serial COLLATE NOCASE BETWEEN ? AND ?)",
                         "ttt", product, first, last);

    *none = rc == 0 && known == 0;
    return rc;
}

int credential_add(struct store *store, const struct credential *c, struct error *err)
{
    int rc = refuse_known_serial(store, c, err);

    return rc ? rc : credential_add_again(store, c, err);
}

int credential_add_again(struct store *store, const struct credential *c, struct error *err)
{
    size_t key_len;
    const uint8_t *key = stored_key(c, &key_len);
    int rc = sql_run(&store->sql, err,
                     "INSERT INTO credentials(" COLUMNS ")"
                     " VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "iittbbbtibb", c->id, c->order_id, c->product, c->serial, key, key_len,
                     c->cert.data, c->cert.len, c->wrapped.data, c->wrapped.len, c->storage,
                     c->mechanism, c->mac, sizeof c->mac, c->wrapped_hash, sizeof c->wrapped_hash);

    if (rc == ERR_STORE && err && err->native == SQLITE_CONSTRAINT_UNIQUE)
        rc = known_serial(c, err);
    return rc;
}

static int refuse_changed(const struct credential *c, const char *how, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "the inventory's row of '%s' was changed: %s; keep the database as it is and "
                     "call the security team",
                     c->serial, how);
}

int store_key(sqlite3_stmt *row, int column, struct public_key *out, struct error *err)
{
    const void *bytes = sqlite3_column_blob(row, column);
    int len = sqlite3_column_bytes(row, column);

    if (len <= 0 || key_from_stored(bytes, (size_t)len, out, NULL))
        return error_set(err, ERR_STORE, "column '%s' of the database holds no public key",
                         sqlite3_column_name(row, column));
    return 0;
}

/* Once the certificate is read, which tells whether there is a key. */
static int read_key(sqlite3_stmt *s, struct credential *c, struct error *err)
{
    const uint8_t *none;
    size_t len;

    if (!credential_is_derived(c))
        return store_key(s, 5, &c->key, err);
    memset(&c->key, 0, sizeof c->key);
    none = stored_key(c, &len);
    if ((size_t)sqlite3_column_bytes(s, 5) == len &&
        memcmp(sqlite3_column_blob(s, 5), none, len) == 0)
        return 0;
    return error_set(err, ERR_STORE,
                     "column 'point' of the database holds a key without a certificate");
}

static int read_row(sqlite3_stmt *s, struct credential *c, struct error *err)
{
    c->id = sqlite3_column_int64(s, 0);
    c->order_id = sqlite3_column_int64(s, 1);
    c->state = sqlite3_column_int(s, 2);
    c->mechanism = sqlite3_column_int64(s, 9);
    if (sql_text(s, 3, c->product, sizeof c->product, err) ||
        sql_text(s, 4, c->serial, sizeof c->serial, err) || sql_blob(s, 6, &c->cert, err) ||
        sql_blob(s, 7, &c->wrapped, err) || sql_text(s, 8, c->storage, sizeof c->storage, err) ||
        sql_blob_exact(s, 10, c->mac, sizeof c->mac, err) ||
        sql_blob_exact(s, 11, c->wrapped_hash, sizeof c->wrapped_hash, err))
        return ERR_STORE;
    return read_key(s, c, err) ? refuse_changed(c, "its public key is none", err) : 0;
}

/* The wrapped key is there until the credential comes to an end, and then it is gone. */
static int verify_wrapped(const struct credential *c, struct error *err)
{
    bool kept = *c->storage && (c->state == CREDENTIAL_AVAILABLE || c->state == CREDENTIAL_CLAIMED);
    uint8_t hash[32];

    sha256(c->wrapped.data, c->wrapped.len, hash);
    if (kept != (c->wrapped.len > 0))
        return refuse_changed(c, "its state and its wrapped key do not fit", err);
    if (kept && memcmp(hash, c->wrapped_hash, sizeof hash))
        return refuse_changed(c, "its wrapped key is another", err);
    return 0;
}

static int mac_of_store(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return store_mac(context, bytes, len, mac, err);
}

static int verify_row(struct store *store, const struct credential *c, struct error *err)
{
    uint8_t hash[32], mac[32];
    int rc = order_hash(store, c->order_id, hash, err);

    if (rc == 0)
        rc = row_mac(c, hash, mac_of_store, store, mac, err);
    if (rc == 0 && !sha256_equal(mac, c->mac))
        rc = refuse_changed(c, "its MAC does not match", err);
    return rc ? rc : verify_wrapped(c, err);
}

int credential_get(struct store *store, int64_t id, struct credential *c, struct error *err)
{
    sqlite3_stmt *s;
    int rc =
        sql_row(&store->sql, err, &s, "SELECT " COLUMNS " FROM credentials WHERE id = ?", "i", id);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_STORE, "the database lacks credential %" PRId64, id);
    rc = read_row(s, c, err);
    sql_end(s);
    return rc ? rc : verify_row(store, c, err);
}

int credential_by_serial(struct store *store, const char *serial, const char *product,
                         struct credential *c, struct error *err)
{
    int64_t count = 0, id = 0;
    int rc = sql_integer(&store->sql, err, &count,
                         "SELECT count(DISTINCT product) FROM credentials WHERE serial = ?1"
                         " AND (?2 IS NULL OR product = ?2)",
                         "tt", serial, product);

    if (rc == 0 && count == 0)
        return error_set(err, ERR_MISSING, "the inventory has no credential '%s'", serial);
    if (rc == 0 && count > 1)
        return error_set(err, ERR_DUPLICATE,
                         "%" PRId64 " products have the serial '%s': name the one with --product",
                         count, serial);
    if (rc == 0)
        rc = sql_integer(&store->sql, err, &id,
                         "SELECT max(id) FROM credentials WHERE serial = ?1"
                         " AND (?2 IS NULL OR product = ?2)",
                         "tt", serial, product);
    return rc ? rc : credential_get(store, id, c, err);
}

int credential_order_of_serial(struct store *store, const char *product, const char *serial,
                               int64_t *order_id, struct error *err)
{
    *order_id = 0;
    return sql_integer(&store->sql, err, order_id,
                       "SELECT order_id FROM credentials"
                       " WHERE product = ? AND serial = ? COLLATE NOCASE ORDER BY id DESC LIMIT 1",
                       "tt", product, serial);
}

int credential_each_of_serial(struct store *store, const char *product, const char *serial,
                              int (*each)(void *context, const struct credential *c,
                                          struct error *err),
                              void *context, struct error *err)
{
    struct credential c;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT " COLUMNS " FROM credentials"
                       " WHERE product = ? AND serial = ? COLLATE NOCASE ORDER BY id DESC",
                       "tt", product, serial);

    if (rc)
        return rc;
    credential_init(&c);
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_row(s, &c, err);
        if (rc == 0)
            rc = verify_row(store, &c, err);
        if (rc == 0)
            rc = each(context, &c, err);
        if (rc) {
            sql_end(s);
            break;
        }
    }
    credential_done(&c);
    return rc < 0 ? rc : 0;
}

int credential_each_unfinished(struct store *store,
                               int (*each)(void *context, const struct buf *der, struct error *err),
                               void *context, struct error *err)
{
    struct buf der;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, "SELECT cert FROM credentials WHERE state IN (?, ?)",
                       "ii", (int64_t)CREDENTIAL_AVAILABLE, (int64_t)CREDENTIAL_CLAIMED);

    if (rc)
        return rc;
    buf_init(&der, INVENTORY_CERT_MAX);
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        buf_reset(&der);
        rc = sql_blob(s, 0, &der, err);
        if (rc == 0)
            rc = each(context, &der, err);
        if (rc) {
            sql_end(s);
            break;
        }
    }
    buf_done(&der);
    return rc < 0 ? rc : 0;
}

/* What sql_row found; rc is its answer. */
static int take_pick(struct store *store, sqlite3_stmt *s, int rc, struct credential *c,
                     struct error *err)
{
    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_EXHAUSTED,
                         "the inventory has no credential left for this job: run 'imprint "
                         "generate'");
    rc = read_row(s, c, err);
    sql_end(s);
    return rc ? rc : verify_row(store, c, err);
}

int credential_pick(struct store *store, int64_t order_id, struct credential *c, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT " COLUMNS " FROM credentials"
                     " WHERE order_id = ? AND state = 0 ORDER BY id LIMIT 1",
                     "i", order_id);

    return take_pick(store, s, rc, c, err);
}

int credential_pick_type(struct store *store, int64_t order_id, enum key_type type,
                         struct credential *c, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT " COLUMNS " FROM credentials"
                     " WHERE order_id = ? AND state = 0 AND length(point) = ?"
                     " ORDER BY id LIMIT 1",
                     "ii", order_id, (int64_t)key_stored_length(type));

    return take_pick(store, s, rc, c, err);
}

int credential_peek(struct store *store, int64_t order_id, enum key_type type, int64_t after,
                    struct credential *c, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT id, point, wrapped, storage FROM credentials"
                     " WHERE order_id = ? AND state = 0 AND length(point) = ? AND id > ?"
                     " ORDER BY id LIMIT 1",
                     "iii", order_id, (int64_t)key_stored_length(type), after);

    c->id = 0;
    if (rc <= 0)
        return rc;
    rc = key_from_stored(sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1), &c->key,
                         err);
    if (rc == 0)
        rc = sql_blob(s, 2, &c->wrapped, err);
    if (rc == 0)
        rc = sql_text(s, 3, c->storage, sizeof c->storage, err);
    if (rc == 0)
        c->id = sqlite3_column_int64(s, 0);
    sql_end(s);
    return rc;
}

int credential_set_state(struct store *store, int64_t id, enum credential_state state,
                         struct error *err)
{
    if (state != CREDENTIAL_AVAILABLE && state != CREDENTIAL_CLAIMED)
        return sql_run(&store->sql, err,
                       "UPDATE credentials SET state = ?, wrapped = NULL WHERE id = ?", "ii",
                       (int64_t)state, id);
    return sql_run(&store->sql, err, "UPDATE credentials SET state = ? WHERE id = ?", "ii",
                   (int64_t)state, id);
}

int inventory_count(struct store *store, int64_t order_id, struct inventory_counts *counts,
                    struct error *err)
{
    struct inventory_counts c = {.spares = 0};
    sqlite3_stmt *s;
    int rc = sql_integer(&store->sql, err, &c.spares,
                         "SELECT count(*) FROM spare_keys WHERE order_id = ? AND state = 0", "i",
                         order_id);

    if (rc == 0)
        rc = sql_integer(&store->sql, err, &c.requests,
                         "SELECT count(*) FROM spare_keys WHERE order_id = ? AND state = 3", "i",
                         order_id);
    if (rc == 0)
        rc = sql_start(&store->sql, err, &s,
                       "SELECT state, count(*) FROM credentials WHERE order_id = ? GROUP BY state",
                       "i", order_id);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        int64_t state = sqlite3_column_int64(s, 0);

        if (sqlite3_column_type(s, 0) != SQLITE_INTEGER || state < CREDENTIAL_AVAILABLE ||
            state >= CREDENTIAL_STATES) {
            sql_end(s);
            return error_set(err, ERR_INTEGRITY,
                             "the inventory holds a credential in a state that no program writes: "
                             "keep the database as it is and call the security team");
        }
        c.by_state[state] = sqlite3_column_int64(s, 1);
    }
    if (rc == 0)
        *counts = c;
    return rc;
}
