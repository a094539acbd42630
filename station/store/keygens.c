#include "station/store/keygens.h"

#include "pki/digest.h"
#include "station/store/sql.h"

#include <string.h>

#define COLUMNS                                                                                    \
    "tx, order_id, state, serial, slot, chip, dev_pub, station_nonce, x, station_sig, subject,"    \
    " created, mac, attestation"
#define ROW_LABEL "imprint keygen row v1"
#define ROW_MAX   (CLAIM_X_MAX + 2048)

void keygen_init(struct keygen *k)
{
    memset(k, 0, sizeof *k);
    buf_init(&k->x, CLAIM_X_MAX);
    buf_init(&k->subject, IMPRINT_SUBJECT_MAX);
    buf_init(&k->attestation, KEYGEN_ATTESTATION_MAX);
}

void keygen_done(struct keygen *k)
{
    buf_done(&k->x);
    buf_done(&k->subject);
    buf_done(&k->attestation);
}

static int row_mac(struct store *store, const struct keygen *k, uint8_t mac[32], struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, ROW_MAX);
    buf_put(&b, ROW_LABEL, sizeof ROW_LABEL);
    buf_put(&b, k->tx, sizeof k->tx);
    buf_put_u64(&b, (uint64_t)k->order_id);
    buf_put_lp(&b, k->serial, strlen(k->serial));
    buf_put_lp(&b, k->slot, strlen(k->slot));
    buf_put_lp(&b, k->chip, k->chip_len);
    buf_put(&b, k->dev_pub, sizeof k->dev_pub);
    buf_put(&b, k->station_nonce, sizeof k->station_nonce);
    buf_put_lp(&b, k->x.data, k->x.len);
    buf_put(&b, k->station_sig, sizeof k->station_sig);
    buf_put_lp(&b, k->subject.data, k->subject.len);
    buf_put_u64(&b, (uint64_t)k->created);
    if (k->attestation.len)
        buf_put_lp(&b, k->attestation.data, k->attestation.len);
    rc = buf_check(&b, "a row of KEYGEN", err);
    if (rc == 0)
        rc = store_mac(store, b.data, b.len, mac, err);
    buf_done(&b);
    return rc;
}

int keygen_add(struct store *store, const struct keygen *k, struct error *err)
{
    uint8_t mac[32];
    int rc = row_mac(store, k, mac, err);

    if (rc)
        return rc;
    rc = sql_run(
        &store->sql, err,
        "INSERT INTO keygens(" COLUMNS ") VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "bittbbbbbbibb", k->tx, sizeof k->tx, k->order_id, k->serial, k->slot, k->chip, k->chip_len,
        k->dev_pub, sizeof k->dev_pub, k->station_nonce, sizeof k->station_nonce, k->x.data,
        k->x.len, k->station_sig, sizeof k->station_sig, k->subject.data, k->subject.len,
        k->created, mac, sizeof mac, k->attestation.len ? (const void *)k->attestation.data : "",
        k->attestation.len);
    if (rc == ERR_STORE && err && (err->native & 0xff) == SQLITE_CONSTRAINT)
        rc = error_set(err, ERR_DUPLICATE,
                       "this chip id or transport key was asked for a key already");
    return rc;
}

static int read_row(sqlite3_stmt *s, struct keygen *k, struct error *err)
{
    size_t chip_len = (size_t)sqlite3_column_bytes(s, 5);

    if (chip_len > sizeof k->chip)
        return error_set(err, ERR_STORE, "a chip id in the database is too long");
    k->order_id = sqlite3_column_int64(s, 1);
    k->state = sqlite3_column_int(s, 2);
    k->chip_len = chip_len;
    k->created = sqlite3_column_int64(s, 11);
    if (sql_blob_exact(s, 0, k->tx, sizeof k->tx, err) ||
        sql_text(s, 3, k->serial, sizeof k->serial, err) ||
        sql_text(s, 4, k->slot, sizeof k->slot, err) ||
        sql_blob_exact(s, 5, k->chip, chip_len, err) ||
        sql_blob_exact(s, 6, k->dev_pub, sizeof k->dev_pub, err) ||
        sql_blob_exact(s, 7, k->station_nonce, sizeof k->station_nonce, err) ||
        sql_blob(s, 8, &k->x, err) ||
        sql_blob_exact(s, 9, k->station_sig, sizeof k->station_sig, err) ||
        sql_blob(s, 10, &k->subject, err) || sql_blob(s, 13, &k->attestation, err))
        return ERR_STORE;
    return 0;
}

static int verify_row(struct store *store, sqlite3_stmt *s, const struct keygen *k,
                      struct error *err)
{
    uint8_t mac[32], stored[32];
    int rc = sql_blob_exact(s, 12, stored, sizeof stored, err);

    if (rc == 0)
        rc = row_mac(store, k, mac, err);
    if (rc == 0 && !sha256_equal(mac, stored))
        rc = error_set(err, ERR_INTEGRITY,
                       "what the database says of the device that was to become '%s' was changed: "
                       "its MAC does not match; keep the database as it is and call the security "
                       "team",
                       k->serial);
    return rc;
}

static int find(struct store *store, const char *query, const void *key, size_t len,
                struct keygen *k, bool *found, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, query, "b", key, len);

    if (rc < 0)
        return rc;
    *found = rc == 1;
    if (rc == 0)
        return 0;
    rc = read_row(s, k, err);
    if (rc == 0)
        rc = verify_row(store, s, k, err);
    sql_end(s);
    return rc;
}

int keygen_by_tx(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], struct keygen *k,
                 bool *found, struct error *err)
{
    return find(store, "SELECT " COLUMNS " FROM keygens WHERE tx = ?", tx, IMPRINT_TX_SIZE, k,
                found, err);
}

int keygen_by_dev_pub(struct store *store, const uint8_t dev_pub[IMPRINT_P256_POINT_SIZE],
                      struct keygen *k, bool *found, struct error *err)
{
    return find(store, "SELECT " COLUMNS " FROM keygens WHERE dev_pub = ?", dev_pub,
                IMPRINT_P256_POINT_SIZE, k, found, err);
}

int keygen_by_chip(struct store *store, const uint8_t *chip, size_t len, struct keygen *k,
                   bool *found, struct error *err)
{
    return find(store, "SELECT " COLUMNS " FROM keygens WHERE chip = ? AND state = 0", chip, len, k,
                found, err);
}

int keygen_set_state(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE],
                     enum keygen_state state, struct error *err)
{
    return sql_run(&store->sql, err, "UPDATE keygens SET state = ? WHERE tx = ?", "ib",
                   (int64_t)state, tx, (size_t)IMPRINT_TX_SIZE);
}

int keygen_free_serial(struct store *store, int64_t order_id, keygen_fits_fn fits,
                       const void *context, char serial[IMPRINT_SERIAL_MAX + 1], bool *found,
                       struct error *err)
{
    sqlite3_stmt *s;
    char free[IMPRINT_SERIAL_MAX + 1];
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT k.serial FROM keygens k JOIN orders o ON o.id = k.order_id"
                       " WHERE k.order_id = ?1 AND k.state = 2 AND NOT EXISTS"
                       " (SELECT 1 FROM keygens other WHERE other.order_id = ?1"
                       " AND other.serial = k.serial AND other.state IN (0, 1)) AND NOT EXISTS"
                       " (SELECT 1 FROM credentials c WHERE c.product = o.product"
                       " AND c.serial = k.serial COLLATE NOCASE) ORDER BY k.created",
                       "i", order_id);

    *found = false;
    if (rc)
        return rc;
    while (!*found && (rc = sql_next(&store->sql, s, err)) == 1) {
        rc = sql_text(s, 0, free, sizeof free, err);
        if (rc)
            break;
        *found = fits(context, free);
    }
    if (*found)
        strcpy(serial, free);
    sql_end(s);
    return *found ? 0 : rc;
}

int keygen_drop_serial(struct store *store, int64_t order_id, const char *serial, struct error *err)
{
    return sql_run(&store->sql, err,
                   "UPDATE keygens SET state = 2"
                   " WHERE order_id = ? AND serial = ? AND state IN (0, 1)",
                   "it", order_id, serial);
}

/* The first row, newest first, that is one too many and not held. */
static int find_superfluous(struct store *store, int64_t order_id, const char *slot, int64_t keep,
                            keygen_held_fn held, const void *context, uint8_t tx[IMPRINT_TX_SIZE],
                            bool *found, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT tx FROM keygens WHERE order_id = ?1 AND state = 0"
                       " AND (?2 = '' OR slot = ?2) ORDER BY created DESC, tx LIMIT -1 OFFSET ?3",
                       "iti", order_id, slot ? slot : "", keep);

    *found = false;
    if (rc)
        return rc;
    while (!*found && (rc = sql_next(&store->sql, s, err)) == 1) {
        rc = sql_blob_exact(s, 0, tx, IMPRINT_TX_SIZE, err);
        if (rc)
            break;
        *found = !held(context, tx);
    }
    sql_end(s);
    return *found ? 0 : rc;
}

int keygen_drop_oldest(struct store *store, int64_t order_id, const char *slot, int64_t keep,
                       keygen_held_fn held, const void *context, struct error *err)
{
    uint8_t tx[IMPRINT_TX_SIZE];
    bool found = true;
    int rc = 0;

    while (rc == 0 && found) {
        rc = find_superfluous(store, order_id, slot, keep, held, context, tx, &found, err);
        if (rc == 0 && found)
            rc = keygen_set_state(store, tx, KEYGEN_DROPPED, err);
    }
    return rc;
}

int keygen_chip_came_since(struct store *store, const struct keygen *k, bool *came,
                           struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT 1 FROM keygens WHERE chip = ? AND tx <> ? AND created >= ? LIMIT 1",
                     "bbi", k->chip, k->chip_len, k->tx, sizeof k->tx, k->created);

    if (rc < 0)
        return rc;
    *came = rc == 1;
    if (rc == 1)
        sql_end(s);
    return 0;
}
