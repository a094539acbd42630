#include "base/codec.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"

int ledger_has_derived(struct store *store, const uint8_t order_hash[32], const char *serial,
                       bool *issued, struct error *err)
{
    char order[65];
    int64_t count = 0;
    int rc;

    hex_encode(order_hash, 32, order);
    rc = sql_integer(&store->sql, err, &count,
                     "SELECT count(*) FROM ledger WHERE" LEDGER_IS_DERIVED
                     " AND json_extract(body, '$.data.order') = ?"
                     " AND json_extract(body, '$.data.serial') = ?",
                     "tt", order, serial);
    *issued = count > 0;
    return rc;
}

int ledger_restored_before(struct store *store, int64_t credential, uint8_t hash[32], bool *found,
                           struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT hash FROM ledger WHERE seq ="
                     " (SELECT json_extract(body, '$.data.restored') FROM ledger"
                     " WHERE json_extract(body, '$.data.credential') = ?"
                     " AND json_extract(body, '$.event') = '" LEDGER_ISSUE "')",
                     "i", credential);

    *found = rc == 1;
    if (rc <= 0)
        return rc;
    rc = sql_blob_exact(s, 0, hash, 32, err);
    sql_end(s);
    return rc;
}
