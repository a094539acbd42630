#include "manifests/trust/identities.h"

#include "manifests/trust/db.h"

#include <inttypes.h>

static int64_t identity(const struct identities *a, uint64_t leaf)
{
    return a->log << TRUST_LEAF_BITS | (int64_t)leaf;
}

/* The id of a row that stands for a hash; made when it is new. name NULL: an order. */
static int intern(struct identities *a, const uint8_t hash[SHA256_SIZE],
                  const struct record_bytes *name, int64_t *id, struct error *err)
{
    int rc;

    *id = 0;
    rc = name ? sql_integer(&a->t->sql, err, id, "SELECT id FROM issuers WHERE hash = ?", "b", hash,
                            (size_t)SHA256_SIZE)
              : sql_integer(&a->t->sql, err, id, "SELECT id FROM orders WHERE hash = ?", "b", hash,
                            (size_t)SHA256_SIZE);
    if (rc || *id)
        return rc;
    rc = name ? sql_run(&a->t->sql, err, "INSERT INTO issuers (hash, name) VALUES (?, ?)", "bb",
                        hash, (size_t)SHA256_SIZE, name->p, name->len)
              : sql_run(&a->t->sql, err, "INSERT INTO orders (hash) VALUES (?)", "b", hash,
                        (size_t)SHA256_SIZE);
    *id = sqlite3_last_insert_rowid(a->t->sql.db);
    return rc;
}

/* Says which row of the state a record collides with. */
static int report_row(struct identities *a, sqlite3_stmt *row, const char *what,
                      const struct record *r, struct error *err)
{
    const char *product = (const char *)sqlite3_column_text(row, 1);
    const char *serial = (const char *)sqlite3_column_text(row, 2);
    const char *origin = (const char *)sqlite3_column_text(row, 3);
    int64_t id = sqlite3_column_int64(row, 0);
    int rc = error_set(err, ERR_DUPLICATE,
                       "the %s of '%s' belongs to device '%s' (product %s) already, by record "
                       "%" PRId64 " of log '%s': do not import, ask the factory; one of the two "
                       "may be a clone",
                       what, r->sn, serial ? serial : "?", product ? product : "?",
                       id & ((INT64_C(1) << TRUST_LEAF_BITS) - 1), origin ? origin : "?");

    (void)a;
    sql_end(row);
    return rc;
}

#define ROW_AND_LOG                                                                                \
    "SELECT i.id, i.product, i.serial, l.origin FROM identities i"                                 \
    " JOIN logs l ON l.id = i.id >> 48 WHERE "

/* A record broke one of the rules of uniqueness: finds out which. */
static int report_duplicate(struct identities *a, const struct record *r, const struct cert *cert,
                            const uint8_t key[SHA256_SIZE], int64_t issuer, struct error *err)
{
    sqlite3_stmt *row;

    if (r->spki.p &&
        sql_row(&a->t->sql, err, &row, ROW_AND_LOG "i.key = ?", "b", key, (size_t)SHA256_SIZE) == 1)
        return report_row(a, row, "public key", r, err);
    if (cert && sql_row(&a->t->sql, err, &row, ROW_AND_LOG "i.issuer = ? AND i.number = ?", "ib",
                        issuer, cert->serial.p, cert->serial.len) == 1)
        return report_row(a, row, "certificate number", r, err);
    if (r->chip_len && sql_row(&a->t->sql, err, &row, ROW_AND_LOG "i.chip = ? AND i.ended = 0", "b",
                               r->chip, r->chip_len) == 1)
        return report_row(a, row, "chip", r, err);
    if (sql_row(&a->t->sql, err, &row, ROW_AND_LOG "i.serial = ? AND i.product = ? AND i.ended = 0",
                "tt", r->sn, r->prod) == 1)
        return report_row(a, row, "live identity", r, err);
    return error_set(err, ERR_DUPLICATE, "the record of '%s' is in the state already", r->sn);
}

static enum trust_state state_of(const struct record *r)
{
    if (r->t != RECORD_VOID)
        return TRUST_LIVE;
    return r->reason == RECORD_BURNED ? TRUST_BURNED : TRUST_SCRAPPED;
}

static int insert(struct identities *a, const struct record *r, const struct cert *cert,
                  uint64_t index, struct error *err)
{
    bool named = r->t == RECORD_ADD || r->t == RECORD_REPLACE;
    enum trust_state state = state_of(r);
    uint8_t key[SHA256_SIZE], der[SHA256_SIZE];
    int64_t id = identity(a, index), issuer = 0, order;
    int rc;

    if (r->spki.p)
        sha256(r->spki.p, r->spki.len, key);
    if (cert)
        sha256(r->cert.p, r->cert.len, der);
    if ((rc = intern(a, r->order, NULL, &order, err)) ||
        (cert && (rc = intern(a, r->iss, &cert->issuer, &issuer, err))))
        return rc;
    rc = sql_run(&a->t->sql, err,
                 "INSERT INTO identities (id, ended, state, reason, type, product, serial, chip,"
                 " key, cert, issuer, number, order_id, auth, plain, use, ts, changed, revoked)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, 0)",
                 "iiiiittoooioiiiiii", id, state == TRUST_LIVE ? INT64_C(0) : id, (int64_t)state,
                 (int64_t)r->reason, (int64_t)r->t, r->prod, r->sn, r->chip_len ? r->chip : NULL,
                 r->chip_len, r->spki.p ? key : NULL, (size_t)SHA256_SIZE, cert ? der : NULL,
                 (size_t)SHA256_SIZE, issuer, cert ? cert->serial.p : NULL,
                 cert ? cert->serial.len : (size_t)0, order, (int64_t)(named ? r->auth : 0),
                 (int64_t)(named && r->plain), (int64_t)(named ? r->use : 0), r->ts, r->ts);
    return rc == ERR_EXISTS ? report_duplicate(a, r, cert, key, issuer, err) : rc;
}

/* The state of the identity that a record refers to, which must be of the same device. */
static int find_ref(struct identities *a, const struct record *r, enum trust_state *state,
                    struct error *err)
{
    int64_t found = 0;
    int rc = sql_integer(&a->t->sql, err, &found,
                         "SELECT state FROM identities WHERE id = ? AND serial = ? AND product = ?",
                         "itt", identity(a, r->ref), r->sn, r->prod);

    if (rc == 0 && !found)
        rc = error_set(err, ERR_INTEGRITY,
                       "the record changes record %" PRIu64
                       ", which is not an identity of device '%s'",
                       r->ref, r->sn);
    *state = (enum trust_state)found;
    return rc;
}

static int change(struct identities *a, const struct record *r, enum trust_state state,
                  int64_t ended, struct error *err)
{
    int rc =
        sql_run(&a->t->sql, err,
                "UPDATE identities SET state = ?, ended = ?, reason = ?, changed = ?"
                " WHERE id = ?",
                "iiiii", (int64_t)state, ended, (int64_t)r->reason, r->ts, identity(a, r->ref));

    return rc == ERR_EXISTS ? report_duplicate(a, r, NULL, NULL, 0, err) : rc;
}

/* What is revoked stays so: nothing but a recommission, after a decommission, brings life back. */
static int apply_change(struct identities *a, const struct record *r, uint64_t index,
                        struct error *err)
{
    enum trust_state was;
    int64_t id = identity(a, index);
    int rc = find_ref(a, r, &was, err);

    if (rc)
        return rc;
    if (r->t == RECORD_REVOKE)
        return change(a, r, TRUST_REVOKED, id, err);
    if (r->t == RECORD_RECOMMISSION) {
        if (was != TRUST_DECOMMISSIONED)
            return error_set(err, ERR_INTEGRITY,
                             "device '%s' is brought back and was not decommissioned", r->sn);
        return change(a, r, TRUST_LIVE, 0, err);
    }
    if (was != TRUST_LIVE && !(was == TRUST_DECOMMISSIONED && r->t == RECORD_REPLACE))
        return 0;
    return change(a, r, r->t == RECORD_REPLACE ? TRUST_REPLACED : TRUST_DECOMMISSIONED, id, err);
}

int identities_enter(struct identities *a, const struct record *r, const struct cert *cert,
                     uint64_t index, struct error *err)
{
    int rc = record_has_ref(r) ? apply_change(a, r, index, err) : 0;

    if (rc == 0 && (r->t == RECORD_ADD || r->t == RECORD_REPLACE || r->t == RECORD_ATTR ||
                    r->t == RECORD_VOID))
        rc = insert(a, r, cert, index, err);
    return rc;
}
