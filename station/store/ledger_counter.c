#include "base/codec.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"

#include <string.h>

#define HEX_MAX (2 * LEDGER_COUNTER_NAME_SIZE + 1)

static int read_hex(sqlite3_stmt *s, int column, uint8_t *out, size_t len, struct error *err)
{
    char hex[HEX_MAX];
    int rc = sql_text(s, column, hex, sizeof hex, err);

    if (rc == 0 && hex_decode(hex, out, len))
        rc = error_set(err, ERR_INTEGRITY, "the ledger names a counter that is none");
    return rc;
}

/* A station gets a counter when it is made, or never: without one its entries need not be searched. */
static int is_named(struct store *store, bool *named, struct error *err)
{
    int64_t index = 0;
    int rc = sql_integer(&store->sql, err, &index,
                         "SELECT json_extract(body, '$.data.counter.index') FROM ledger"
                         " WHERE seq = 1",
                         "");

    *named = index != 0;
    return rc;
}

static int read_named(struct store *store, struct ledger_counter *c, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT json_extract(body, '$.data.counter.index'),"
                     " json_extract(body, '$.data.counter.tpm'),"
                     " json_extract(body, '$.data.counter.names[0]'),"
                     " json_extract(body, '$.data.counter.names[1]') FROM ledger"
                     " WHERE json_extract(body, '$.event') IN ('init', 'counter')"
                     " AND json_extract(body, '$.data.counter') IS NOT NULL"
                     " ORDER BY seq DESC LIMIT 1",
                     "");

    if (rc != 1)
        return rc;
    c->index = sqlite3_column_int64(s, 0);
    rc = read_hex(s, 1, c->tpm, sizeof c->tpm, err);
    for (int i = 0; rc == 0 && i < LEDGER_COUNTER_NAMES; i++)
        rc = read_hex(s, 2 + i, c->names[i], sizeof c->names[i], err);
    sql_end(s);
    return rc;
}

static int read_step(struct store *store, struct ledger_counter *c, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT json_extract(body, '$.counter.number'),"
                     " json_extract(body, '$.counter.chain'), hash FROM ledger"
                     " WHERE json_extract(body, '$.counter') IS NOT NULL"
                     " ORDER BY seq DESC LIMIT 1",
                     "");

    if (rc == 0)
        return error_set(err, ERR_INTEGRITY, "the ledger names a counter and never counted");
    if (rc != 1)
        return rc;
    c->from.number = sqlite3_column_int64(s, 0) - 1;
    rc = read_hex(s, 1, c->from.chain, sizeof c->from.chain, err);
    if (rc == 0)
        rc = sql_blob_exact(s, 2, c->link, sizeof c->link, err);
    sql_end(s);
    return rc;
}

int ledger_counter(struct store *store, struct ledger_counter *out, struct error *err)
{
    struct ledger_counter found = {.index = 0};
    bool named;
    int rc = is_named(store, &named, err);

    if (rc == 0 && named)
        rc = read_named(store, &found, err);
    if (rc == 0 && named)
        rc = read_step(store, &found, err);
    if (rc == 0)
        *out = found;
    return rc;
}
