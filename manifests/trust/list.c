#include "manifests/trust/list.h"

#include "manifests/trust/db.h"
#include "manifests/trust/lookup.h"

enum column {
    ID,
    PRODUCT,
    SERIAL,
    ORIGIN,
    STATE,
    HELD,
    REVOKED,
    REASON,
    KEY,
    CERT,
    ISSUER,
    NUMBER,
    ORDER,
    TS,
    CHANGED
};

static const uint8_t *hash_at(sqlite3_stmt *row, int column)
{
    return sqlite3_column_bytes(row, column) == SHA256_SIZE ? sqlite3_column_blob(row, column)
                                                            : NULL;
}

static void fill(struct trust_row *r, sqlite3_stmt *row)
{
    *r = (struct trust_row){
        .product = (const char *)sqlite3_column_text(row, PRODUCT),
        .serial = (const char *)sqlite3_column_text(row, SERIAL),
        .origin = (const char *)sqlite3_column_text(row, ORIGIN),
        .leaf = (uint64_t)sqlite3_column_int64(row, ID) & ((UINT64_C(1) << TRUST_LEAF_BITS) - 1),
        .state = (enum trust_state)sqlite3_column_int64(row, STATE),
        .held = sqlite3_column_type(row, HELD) != SQLITE_NULL,
        .owner_revoked = sqlite3_column_int64(row, REVOKED) != 0,
        .reason = (enum record_reason)sqlite3_column_int64(row, REASON),
        .key = hash_at(row, KEY),
        .cert = hash_at(row, CERT),
        .issuer = hash_at(row, ISSUER),
        .number = {sqlite3_column_blob(row, NUMBER), (size_t)sqlite3_column_bytes(row, NUMBER)},
        .order = hash_at(row, ORDER),
        .ts = sqlite3_column_int64(row, TS),
        .changed = sqlite3_column_int64(row, CHANGED),
    };
    r->answer = trust_judge(r->state, r->owner_revoked, r->held);
}

int trust_list(struct trust *t,
               int (*each)(void *ctx, const struct trust_row *row, struct error *err), void *ctx,
               struct error *err)
{
    struct trust_row r;
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row,
                     "SELECT i.id, i.product, i.serial, l.origin, i.state, h.decision, i.revoked,"
                     " i.reason, i.key, i.cert, s.hash, i.number, o.hash, i.ts, i.changed"
                     " FROM identities i JOIN logs l ON l.id = i.id >> 48"
                     " JOIN orders o ON o.id = i.order_id LEFT JOIN issuers s ON s.id = i.issuer"
                     " LEFT JOIN holds h ON h.serial = i.serial AND h.product = i.product"
                     " ORDER BY i.id",
                     "");

    while (rc == 1) {
        fill(&r, row);
        rc = r.product && r.serial && r.origin && r.order
                 ? each(ctx, &r, err)
                 : error_set(err, ERR_STORE, "a row of the state is damaged");
        if (rc)
            sql_end(row);
        else
            rc = sql_next(&t->sql, row, err);
    }
    return rc;
}
