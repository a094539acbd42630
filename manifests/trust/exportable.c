#include "manifests/trust/exportable.h"

#include "manifests/trust/db.h"
#include "manifests/trust/lookup.h"

#include <string.h>

int exportable_open(struct trust *t, const struct buf *manifest, struct exportable *x,
                    struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    int64_t log = 0;
    int rc;

    sha256(manifest->data, manifest->len, hash);
    rc = sql_integer(&t->sql, err, &log, "SELECT log FROM manifests WHERE sha256 = ?", "b", hash,
                     sizeof hash);
    if (rc == 0 && log == 0)
        rc = error_set(err, ERR_UNKNOWN,
                       "the state did not accept this manifest: accept it before it is exported");
    *x = (struct exportable){t, log};
    return rc;
}

static bool same_certificate(sqlite3_stmt *row, const struct record *r)
{
    uint8_t hash[SHA256_SIZE];

    if (!r->cert.p)
        return sqlite3_column_type(row, 0) == SQLITE_NULL;
    sha256(r->cert.p, r->cert.len, hash);
    return sqlite3_column_bytes(row, 0) == SHA256_SIZE &&
           memcmp(sqlite3_column_blob(row, 0), hash, SHA256_SIZE) == 0;
}

int exportable_judge(void *context, const struct record *r, uint64_t index, int *answer,
                     struct error *err)
{
    const struct exportable *x = context;
    sqlite3_stmt *row;
    enum whitelist_answer says;
    int rc = sql_row(&x->t->sql, err, &row,
                     "SELECT i.cert, i.state, i.revoked, h.decision FROM identities i"
                     " LEFT JOIN holds h ON h.serial = i.serial AND h.product = i.product"
                     " WHERE i.id = ? AND i.serial = ? AND i.product = ?",
                     "itt", x->log << TRUST_LEAF_BITS | (int64_t)index, r->sn, r->prod);

    if (rc < 0)
        return rc;
    if (rc == 0 || !same_certificate(row, r)) {
        if (rc)
            sql_end(row);
        return error_set(
            err, ERR_INTEGRITY,
            "the record of '%s' is not the one that was accepted: get the folder again", r->sn);
    }
    says =
        trust_judge((enum trust_state)sqlite3_column_int64(row, 1),
                    sqlite3_column_int64(row, 2) != 0, sqlite3_column_type(row, 3) != SQLITE_NULL);
    sql_end(row);
    *answer = says == WHITELIST_OK     ? SOURCE_TAKE
              : says == WHITELIST_HELD ? EXPORT_HELD
                                       : EXPORT_ENDED;
    return 0;
}
