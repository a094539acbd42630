#include "station/store/claims.h"

#include "base/clock.h"
#include "pki/digest.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "tx, credential, state, slot, chip, dev_pub, station_pub, suite, station_nonce, x,"            \
    " station_sig, wrapped, fw_version, fw_hash, fw_debug, attestation, prove_nonce, created, "    \
    "mac,"                                                                                         \
    " kcv, symmetric"
#define ROW_LABEL "imprint claim v1"
#define ROW_MAX   (CLAIM_X_MAX + CLAIM_ATTESTATION_MAX + 1024) /* the other columns: 500 bytes */

void claim_init(struct claim *c)
{
    memset(c, 0, sizeof *c);
    buf_init(&c->x, CLAIM_X_MAX);
    buf_init(&c->wrapped, IMPRINT_WRAPPED_OTHER_MAX);
    buf_init(&c->fw_hash, IMPRINT_HASH_SIZE);
    buf_init(&c->attestation, CLAIM_ATTESTATION_MAX);
    buf_init(&c->symmetric, IMPRINT_WRAPPED_KEY_MAX);
}

void claim_done(struct claim *c)
{
    buf_done(&c->x);
    buf_done(&c->wrapped);
    buf_done(&c->fw_hash);
    buf_done(&c->attestation);
    buf_done(&c->symmetric);
}

static void put_row(struct buf *b, const struct claim *c)
{
    buf_put(b, ROW_LABEL, sizeof ROW_LABEL);
    buf_put(b, c->tx, sizeof c->tx);
    buf_put_u64(b, (uint64_t)c->credential);
    buf_put_lp(b, c->slot, strlen(c->slot));
    buf_put_lp(b, c->chip, c->chip_len);
    buf_put(b, c->dev_pub, sizeof c->dev_pub);
    buf_put(b, c->station_pub, sizeof c->station_pub);
    buf_put_u16(b, c->suite);
    buf_put(b, c->station_nonce, sizeof c->station_nonce);
    buf_put_lp(b, c->x.data, c->x.len);
    buf_put(b, c->station_sig, sizeof c->station_sig);
    buf_put_lp(b, c->fw_version, strlen(c->fw_version));
    buf_put_lp(b, c->fw_hash.data, c->fw_hash.len);
    buf_put_u8(b, c->fw_debug);
    buf_put_lp(b, c->attestation.data, c->attestation.len);
    buf_put_u64(b, (uint64_t)c->created);
    if (c->has_kcv)
        buf_put_lp(b, c->kcv, sizeof c->kcv);
}

static int row_mac(struct store *store, const struct claim *c, uint8_t mac[32], struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, ROW_MAX);
    put_row(&b, c);
    rc = buf_check(&b, "a claim", err);
    if (rc == 0)
        rc = store_mac(store, b.data, b.len, mac, err);
    buf_done(&b);
    return rc;
}

int claim_add(struct store *store, const struct claim *c, struct error *err)
{
    uint8_t mac[32];
    int rc = row_mac(store, c, mac, err);

    if (rc)
        return rc;
    rc = sql_run(&store->sql, err,
                 "INSERT INTO claims(" COLUMNS ")"
                 " VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?)",
                 "bitbbbibbbbtbibibbb", c->tx, sizeof c->tx, c->credential, c->slot, c->chip,
                 c->chip_len, c->dev_pub, sizeof c->dev_pub, c->station_pub, sizeof c->station_pub,
                 (int64_t)c->suite, c->station_nonce, sizeof c->station_nonce, c->x.data, c->x.len,
                 c->station_sig, sizeof c->station_sig, c->wrapped.data, c->wrapped.len,
                 c->fw_version, c->fw_hash.data, c->fw_hash.len, (int64_t)c->fw_debug,
                 c->attestation.data, c->attestation.len, c->created, mac, sizeof mac,
                 c->has_kcv ? c->kcv : NULL, c->has_kcv ? sizeof c->kcv : (size_t)0,
                 c->symmetric.data, c->symmetric.len);

    if (rc == ERR_STORE && err && (err->native & 0xff) == SQLITE_CONSTRAINT)
        rc = error_set(
            err, ERR_DUPLICATE,
            "this chip id, enrolment key, transport key or credential has a claim already");
    return rc;
}

static int read_chip(sqlite3_stmt *s, struct claim *c, struct error *err)
{
    size_t len = (size_t)sqlite3_column_bytes(s, 4);

    if (len > sizeof c->chip)
        return error_set(err, ERR_STORE, "a chip id in the database is too long");
    c->chip_len = len;
    return sql_blob_exact(s, 4, c->chip, len, err);
}

static int read_row(sqlite3_stmt *s, struct claim *c, struct error *err)
{
    c->credential = sqlite3_column_int64(s, 1);
    c->state = sqlite3_column_int(s, 2);
    c->suite = (uint16_t)sqlite3_column_int(s, 7);
    c->fw_debug = sqlite3_column_int(s, 14) != 0;
    c->has_prove_nonce = sqlite3_column_type(s, 16) != SQLITE_NULL;
    c->created = sqlite3_column_int64(s, 17);
    c->has_kcv = sqlite3_column_bytes(s, 19) > 0;
    if (sql_blob_exact(s, 0, c->tx, sizeof c->tx, err) ||
        sql_text(s, 3, c->slot, sizeof c->slot, err) || read_chip(s, c, err) ||
        sql_blob_exact(s, 5, c->dev_pub, sizeof c->dev_pub, err) ||
        sql_blob_exact(s, 6, c->station_pub, sizeof c->station_pub, err) ||
        sql_blob_exact(s, 8, c->station_nonce, sizeof c->station_nonce, err) ||
        sql_blob(s, 9, &c->x, err) ||
        sql_blob_exact(s, 10, c->station_sig, sizeof c->station_sig, err) ||
        sql_blob(s, 11, &c->wrapped, err) ||
        sql_text(s, 12, c->fw_version, sizeof c->fw_version, err) ||
        sql_blob(s, 13, &c->fw_hash, err) || sql_blob(s, 15, &c->attestation, err) ||
        (c->has_kcv && sql_blob_exact(s, 19, c->kcv, sizeof c->kcv, err)) ||
        sql_blob(s, 20, &c->symmetric, err))
        return ERR_STORE;
    if (c->has_prove_nonce)
        return sql_blob_exact(s, 16, c->prove_nonce, sizeof c->prove_nonce, err);
    return 0;
}

static int verify_row(struct store *store, sqlite3_stmt *s, const struct claim *c,
                      struct error *err)
{
    uint8_t mac[32], stored[32];
    int rc = sql_blob_exact(s, 18, stored, sizeof stored, err);

    if (rc == 0)
        rc = row_mac(store, c, mac, err);
    if (rc == 0 && !sha256_equal(mac, stored))
        rc = error_set(err, ERR_INTEGRITY,
                       "the claim of credential %lld was changed: its MAC does not match; keep the "
                       "database as it is and call the security team",
                       (long long)c->credential);
    return rc;
}

static int find(struct store *store, const char *query, const void *key, size_t len,
                struct claim *c, bool *found, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, query, "b", key, len);

    if (rc < 0)
        return rc;
    if (rc == 0) {
        *found = false;
        return 0;
    }
    rc = read_row(s, c, err);
    if (rc == 0)
        rc = verify_row(store, s, c, err);
    sql_end(s);
    if (rc == 0)
        *found = true;
    return rc;
}

int claim_by_tx(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], struct claim *c,
                bool *found, struct error *err)
{
    return find(store, "SELECT " COLUMNS " FROM claims WHERE tx = ?", tx, IMPRINT_TX_SIZE, c, found,
                err);
}

int claim_by_credential(struct store *store, int64_t credential, struct claim *c, bool *found,
                        struct error *err)
{
    uint8_t tx[IMPRINT_TX_SIZE];
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT tx FROM claims WHERE credential = ?", "i",
                     credential);

    if (rc < 0)
        return rc;
    *found = rc == 1;
    if (rc == 0)
        return 0;
    rc = sql_blob_exact(s, 0, tx, sizeof tx, err);
    sql_end(s);
    return rc ? rc : claim_by_tx(store, tx, c, found, err);
}

static int read_unresolved(sqlite3_stmt *s, struct unresolved *u, struct error *err)
{
    u->since = sqlite3_column_int64(s, 3);
    u->failures = sqlite3_column_int64(s, 5);
    if (sql_text(s, 0, u->serial, sizeof u->serial, err) ||
        sql_text(s, 1, u->chip, sizeof u->chip, err) ||
        sql_text(s, 2, u->slot, sizeof u->slot, err) ||
        sql_blob_exact(s, 4, u->tx, sizeof u->tx, err) ||
        sql_text(s, 6, u->why, sizeof u->why, err))
        return ERR_STORE;
    return 0;
}

int claim_each_unresolved(struct store *store, int64_t order_id,
                          int (*each)(void *context, const struct unresolved *u, struct error *err),
                          void *context, struct error *err)
{
    struct unresolved u;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT c.serial, lower(hex(k.chip)), k.slot, k.created, k.tx,"
                       " (SELECT count(*) FROM attempts a WHERE a.tx = k.tx AND a.code <> 0),"
                       " coalesce((SELECT substr(a.text, 1, 400) FROM attempts a"
                       " WHERE a.tx = k.tx AND a.code <> 0 ORDER BY a.id DESC LIMIT 1), '')"
                       " FROM credentials c JOIN claims k ON k.credential = c.id"
                       " WHERE c.order_id = ? AND c.state = 1 ORDER BY k.created, c.id",
                       "i", order_id);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_unresolved(s, &u, err);
        if (rc == 0)
            rc = each(context, &u, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int claim_by_dev_pub(struct store *store, const uint8_t dev_pub[IMPRINT_P256_POINT_SIZE],
                     struct claim *c, bool *found, struct error *err)
{
    return find(store, "SELECT " COLUMNS " FROM claims WHERE dev_pub = ?", dev_pub,
                IMPRINT_P256_POINT_SIZE, c, found, err);
}

int claims_check_complete(struct store *store, struct error *err)
{
    int64_t live = 0, given = 0;
    int rc = sql_integer(&store->sql, err, &live,
                         "SELECT count(*) FROM claims WHERE state IN (0, 1)", "");

    if (rc == 0)
        rc = sql_integer(&store->sql, err, &given,
                         "SELECT count(*) FROM orders JOIN credentials ON order_id = orders.id"
                         " AND credentials.state IN (1, 2)",
                         "");
    if (rc == 0 && live != given)
        rc = error_set(err, ERR_INTEGRITY,
                       "%" PRId64 " devices have a credential and the database tells of %" PRId64
                       " claims: it was changed; keep it as it is and call the security team",
                       given, live);
    return rc;
}

int claim_by_chip(struct store *store, const uint8_t *chip, size_t len, struct claim *c,
                  bool *found, struct error *err)
{
    return find(store, "SELECT " COLUMNS " FROM claims WHERE chip = ? AND state IN (0, 1)", chip,
                len, c, found, err);
}

/* The key lies behind the algorithm and its own length. */
int claim_by_enrolment(struct store *store, const uint8_t key[IMPRINT_P256_POINT_SIZE],
                       struct claim *c, bool *found, struct error *err)
{
    return find(store,
                "SELECT " COLUMNS " FROM claims WHERE substr(attestation, 5, 65) = ?"
                " AND state IN (0, 1) AND length(attestation) > 0",
                key, IMPRINT_P256_POINT_SIZE, c, found, err);
}

bool claim_is_enrolled_as(const struct claim *c, const uint8_t key[IMPRINT_P256_POINT_SIZE])
{
    return c->attestation.len >= 4 + IMPRINT_P256_POINT_SIZE &&
           memcmp(c->attestation.data + 4, key, IMPRINT_P256_POINT_SIZE) == 0;
}

int claim_set_state(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], enum claim_state state,
                    struct error *err)
{
    return sql_run(&store->sql, err,
                   "UPDATE claims SET state = ?, wrapped = NULL, symmetric = NULL,"
                   " prove_nonce = NULL WHERE tx = ?",
                   "ib", (int64_t)state, tx, (size_t)IMPRINT_TX_SIZE);
}

int claim_set_nonce(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], const uint8_t *nonce,
                    struct error *err)
{
    if (!nonce)
        return sql_run(&store->sql, err, "UPDATE claims SET prove_nonce = NULL WHERE tx = ?", "b",
                       tx, (size_t)IMPRINT_TX_SIZE);
    return sql_run(&store->sql, err, "UPDATE claims SET prove_nonce = ? WHERE tx = ?", "bb", nonce,
                   (size_t)IMPRINT_NONCE_SIZE, tx, (size_t)IMPRINT_TX_SIZE);
}

int attempt_add(struct store *store, const struct attempt *a, struct error *err)
{
    return sql_run(&store->sql, err,
                   "INSERT INTO attempts(at, slot, chip, tx, serial, code, text, next)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                   "itbbtiti", clock_utc(), a->slot, a->chip, a->chip ? a->chip_len : (size_t)0,
                   a->tx, a->tx ? (size_t)IMPRINT_TX_SIZE : (size_t)0, a->serial, (int64_t)a->code,
                   a->text, (int64_t)a->next);
}

int attempt_failures(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], int64_t *failures,
                     struct error *err)
{
    *failures = 0;
    return sql_integer(&store->sql, err, failures,
                       "SELECT count(*) FROM attempts WHERE tx = ? AND code <> 0", "b", tx,
                       (size_t)IMPRINT_TX_SIZE);
}

static int read_sent_back(sqlite3_stmt *s, struct sent_back *u, struct error *err)
{
    u->at = sqlite3_column_int64(s, 2);
    if (sql_text(s, 0, u->chip, sizeof u->chip, err) ||
        sql_text(s, 1, u->slot, sizeof u->slot, err) || sql_text(s, 3, u->why, sizeof u->why, err))
        return ERR_STORE;
    return 0;
}

/* Of the columns beside max(id), SQLite takes those of that row. */
int attempt_each_sent_back(struct store *store,
                           int (*each)(void *context, const struct sent_back *u, struct error *err),
                           void *context, struct error *err)
{
    struct sent_back u;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT lower(hex(a.chip)), a.slot, a.at, substr(a.text, 1, 400), max(a.id)"
                       " FROM attempts a WHERE a.next <> 0 AND a.next = ? AND a.chip IS NOT NULL"
                       " AND NOT EXISTS (SELECT 1 FROM claims k"
                       " WHERE k.chip = a.chip AND k.state IN (0, 1))"
                       " GROUP BY a.chip ORDER BY a.chip",
                       "i", (int64_t)NEXT_SEND_BACK);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_sent_back(s, &u, err);
        if (rc == 0)
            rc = each(context, &u, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int attempt_count(struct store *store, int64_t *passed, int64_t *failed, struct error *err)
{
    int64_t good = 0, bad = 0;
    int rc =
        sql_integer(&store->sql, err, &good, "SELECT count(*) FROM attempts WHERE code = 0", "");

    if (rc == 0)
        rc = sql_integer(&store->sql, err, &bad, "SELECT count(*) FROM attempts WHERE code <> 0",
                         "");
    if (rc)
        return rc;
    *passed = good;
    *failed = bad;
    return 0;
}
