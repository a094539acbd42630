#include "station/store/requests.h"

#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/orders.h"
#include "station/store/spares.h"
#include "station/store/sql.h"

#include <string.h>

#define ROW_LABEL "imprint request v1"
#define COLUMNS   "key, order_id, lot, product, serial, spki, made, credential, der, mac"

void request_init(struct request *r)
{
    memset(r, 0, sizeof *r);
    buf_init(&r->der, REQUEST_DER_MAX);
}

void request_done(struct request *r)
{
    buf_done(&r->der);
}

/* ---- the MAC ---- */

static int row_mac(const struct request *r, const uint8_t order_hash[32], store_mac_fn mac,
                   void *context, uint8_t out[32], struct error *err)
{
    uint8_t digest[32];
    struct buf b;
    int rc;

    buf_init(&b, 1024);
    buf_put(&b, ROW_LABEL, sizeof ROW_LABEL);
    buf_put_u64(&b, (uint64_t)r->key);
    buf_put(&b, order_hash, 32);
    buf_put_lp(&b, r->product, strlen(r->product));
    buf_put_lp(&b, r->serial, strlen(r->serial));
    buf_put_u64(&b, (uint64_t)r->made);
    buf_put(&b, r->spki, sizeof r->spki);
    sha256(r->der.data, r->der.len, digest);
    buf_put(&b, digest, sizeof digest);
    rc = buf_check(&b, "a request", err);
    if (rc == 0)
        rc = mac(context, b.data, b.len, out, err);
    buf_done(&b);
    return rc;
}

int request_seal(struct request *r, const struct public_key *key, const uint8_t order_hash[32],
                 store_mac_fn mac, void *context, struct error *err)
{
    size_t len;
    const uint8_t *stored = key_stored(key, &len);

    sha256(stored, len, r->spki);
    return row_mac(r, order_hash, mac, context, r->mac, err);
}

static int mac_of_store(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return store_mac(context, bytes, len, mac, err);
}

static int verify_row(struct store *store, const struct request *r, struct error *err)
{
    uint8_t order[32], mac[32];
    int rc = order_hash(store, r->order_id, order, err);

    if (rc == 0)
        rc = row_mac(r, order, mac_of_store, store, mac, err);
    if (rc || sha256_equal(mac, r->mac))
        return rc;
    return error_set(
        err, ERR_INTEGRITY,
        "the request of '%s' in the database was changed: its MAC does not match; keep "
        "the database as it is and call the security team",
        r->serial);
}

/* ---- rows ---- */

static int known_serial(const struct request *r, struct error *err)
{
    return error_set(err, ERR_DUPLICATE,
                     "serial '%s' of product '%s' has a request or a certificate already: choose "
                     "other serials in the job",
                     r->serial, r->product);
}

static int refuse_known_serial(struct store *store, const struct request *r, struct error *err)
{
    int64_t order = 0;
    int rc = credential_order_of_serial(store, r->product, r->serial, &order, err);

    return rc || order == 0 ? rc : known_serial(r, err);
}

int request_add(struct store *store, const struct request *r, struct error *err)
{
    int rc = refuse_known_serial(store, r, err);

    if (rc)
        return rc;
    rc = sql_run(&store->sql, err,
                 "INSERT INTO requests(" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)",
                 "iitttbibb", r->key, r->order_id, r->lot, r->product, r->serial, r->spki,
                 sizeof r->spki, r->made, r->der.data, r->der.len, r->mac, sizeof r->mac);
    if (rc == ERR_STORE && err && err->native == SQLITE_CONSTRAINT_UNIQUE)
        rc = known_serial(r, err);
    return rc;
}

static int read_row(sqlite3_stmt *s, struct request *r, struct error *err)
{
    r->key = sqlite3_column_int64(s, 0);
    r->order_id = sqlite3_column_int64(s, 1);
    r->made = sqlite3_column_int64(s, 6);
    r->credential = sqlite3_column_int64(s, 7);
    buf_reset(&r->der);
    if (sql_text(s, 2, r->lot, sizeof r->lot, err) ||
        sql_text(s, 3, r->product, sizeof r->product, err) ||
        sql_text(s, 4, r->serial, sizeof r->serial, err) ||
        sql_blob_exact(s, 5, r->spki, sizeof r->spki, err) ||
        sql_blob_exact(s, 9, r->mac, sizeof r->mac, err))
        return ERR_STORE;
    return sqlite3_column_type(s, 8) == SQLITE_NULL ? 0 : sql_blob(s, 8, &r->der, err);
}

/* What a query found, or did not. */
static int take_found(struct store *store, int found_row, sqlite3_stmt *s, struct request *r,
                      bool *found, struct error *err)
{
    int rc;

    *found = found_row == 1;
    if (found_row != 1)
        return found_row;
    rc = read_row(s, r, err);
    sql_end(s);
    return rc || r->der.len == 0 ? rc : verify_row(store, r, err);
}

int request_find(struct store *store, const uint8_t spki[32], struct request *r, bool *found,
                 struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT " COLUMNS " FROM requests WHERE spki = ?", "b",
                     spki, (size_t)32);

    return take_found(store, rc, s, r, found, err);
}

int request_of_serial(struct store *store, const char *product, const char *serial,
                      struct request *r, bool *found, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT " COLUMNS " FROM requests"
                     " WHERE product = ? AND serial = ? COLLATE NOCASE",
                     "tt", product, serial);

    return take_found(store, rc, s, r, found, err);
}

int request_answer(struct store *store, int64_t key, int64_t credential, unsigned issuer,
                   const void *number, size_t number_len, struct error *err)
{
    int rc = sql_run(&store->sql, err,
                     "UPDATE requests SET credential = ?, issuer = ?, number = ?, der = NULL"
                     " WHERE key = ? AND credential IS NULL",
                     "iibi", credential, (int64_t)issuer, number, number_len, key);

    if (rc == ERR_STORE && err && err->native == SQLITE_CONSTRAINT_UNIQUE)
        rc =
            error_set(err, ERR_DUPLICATE,
                      "another certificate of this CA has the same serial number: the CA may use a "
                      "number once");
    return rc;
}

int request_knows_number(struct store *store, unsigned issuer, const void *number,
                         size_t number_len, bool *known, struct error *err)
{
    int64_t count = 0;
    int rc = sql_integer(&store->sql, err, &count,
                         "SELECT count(*) FROM requests WHERE issuer = ? AND number = ?", "ib",
                         (int64_t)issuer, number, number_len);

    *known = rc == 0 && count > 0;
    return rc;
}

int request_order_of_serial(struct store *store, const char *product, const char *serial,
                            int64_t *order_id, struct error *err)
{
    *order_id = 0;
    return sql_integer(&store->sql, err, order_id,
                       "SELECT order_id FROM requests"
                       " WHERE product = ? AND serial = ? COLLATE NOCASE",
                       "tt", product, serial);
}

int request_count(struct store *store, int64_t order_id, const char *lot,
                  struct request_counts *counts, struct error *err)
{
    int rc;

    *counts = (struct request_counts){0};
    rc = sql_integer(&store->sql, err, &counts->made,
                     "SELECT count(*) FROM requests WHERE order_id = ?1"
                     " AND (?2 IS NULL OR lot = ?2)",
                     "it", order_id, lot);
    return rc ? rc
              : sql_integer(&store->sql, err, &counts->waiting,
                            "SELECT count(*) FROM requests WHERE order_id = ?1"
                            " AND (?2 IS NULL OR lot = ?2) AND der IS NOT NULL",
                            "it", order_id, lot);
}

int request_each_waiting(struct store *store, int64_t order_id, const char *lot,
                         int (*each)(void *context, const struct request *r, struct error *err),
                         void *context, struct error *err)
{
    struct request r;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT " COLUMNS " FROM requests WHERE order_id = ?1"
                       " AND (?2 IS NULL OR lot = ?2) AND der IS NOT NULL ORDER BY key",
                       "it", order_id, lot);

    if (rc)
        return rc;
    request_init(&r);
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_row(s, &r, err);
        if (rc == 0)
            rc = verify_row(store, &r, err);
        if (rc == 0)
            rc = each(context, &r, err);
        if (rc) {
            sql_end(s);
            break;
        }
    }
    request_done(&r);
    return rc == 1 ? 0 : rc;
}

/* ---- the end of those that wait ---- */

/* Keys that are destroyed: how many, from which id to which; whose they are, where not all of an order. */
struct destroyed {
    int64_t count, first, last;
    const char *lot, *serial;
};

static int record_destroyed(struct store *store, const uint8_t order_hash[32],
                            const struct destroyed *d, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 512);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", d->count);
    jcs_int(&j, "first", d->first);
    jcs_int(&j, "last", d->last);
    if (d->lot)
        jcs_str(&j, "lot", d->lot);
    jcs_hex(&j, "order", order_hash, 32);
    if (d->serial)
        jcs_str(&j, "serial", d->serial);
    jcs_end(&j);
    rc = ledger_append(store, LEDGER_CSR_DESTROYED, &data, err);
    buf_done(&data);
    return rc;
}

int request_drop(struct store *store, const struct request *r, const uint8_t order_hash[32],
                 struct error *err)
{
    const struct destroyed one = {1, r->key, r->key, NULL, r->serial};
    int rc = record_destroyed(store, order_hash, &one, err);

    if (rc == 0)
        rc = spare_end(store, r->key, SPARE_DESTROYED, err);
    return rc ? rc
              : sql_run(&store->sql, err, "UPDATE requests SET der = NULL WHERE key = ?", "i",
                        r->key);
}

static int count_one(void *context, const struct request *r, struct error *err)
{
    struct destroyed *d = context;

    (void)err;
    d->first = d->count ? d->first : r->key;
    d->last = r->key;
    d->count++;
    return 0;
}

#define WAITING_OF_LOT " WHERE order_id = ? AND lot = ? AND der IS NOT NULL"

int request_drop_lot(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                     const char *lot, int64_t *count, struct error *err)
{
    struct destroyed all = {.lot = lot};
    int rc = request_each_waiting(store, order_id, lot, count_one, &all, err);

    *count = all.count;
    if (rc || all.count == 0)
        return rc;
    rc = record_destroyed(store, order_hash, &all, err);
    if (rc == 0)
        rc = sql_run(&store->sql, err,
                     "UPDATE spare_keys SET state = 2, wrapped = NULL"
                     " WHERE state = 3 AND id IN (SELECT key FROM requests" WAITING_OF_LOT ")",
                     "it", order_id, lot);
    return rc ? rc
              : sql_run(&store->sql, err, "UPDATE requests SET der = NULL" WAITING_OF_LOT, "it",
                        order_id, lot);
}

/* By the state of the keys: none is left, whatever the requests say. */
static int find_waiting(struct store *store, int64_t order_id, struct destroyed *d,
                        struct error *err)
{
    int rc = spare_count(store, order_id, SPARE_REQUESTED, &d->count, err);

    if (rc || d->count == 0)
        return rc;
    rc = sql_integer(&store->sql, err, &d->first,
                     "SELECT min(id) FROM spare_keys WHERE order_id = ? AND state = 3", "i",
                     order_id);
    return rc ? rc
              : sql_integer(&store->sql, err, &d->last,
                            "SELECT max(id) FROM spare_keys WHERE order_id = ? AND state = 3", "i",
                            order_id);
}

int requests_destroy(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                     struct error *err)
{
    struct destroyed all = {.lot = NULL};
    int rc = find_waiting(store, order_id, &all, err);

    if (rc || all.count == 0)
        return rc;
    rc = record_destroyed(store, order_hash, &all, err);
    if (rc == 0)
        rc = sql_run(&store->sql, err,
                     "UPDATE requests SET der = NULL WHERE order_id = ? AND der IS NOT NULL", "i",
                     order_id);
    return rc ? rc
              : sql_run(&store->sql, err,
                        "UPDATE spare_keys SET state = 2, wrapped = NULL"
                        " WHERE order_id = ? AND state = 3",
                        "i", order_id);
}
