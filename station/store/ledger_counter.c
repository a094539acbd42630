#include "base/codec.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"

#include <string.h>

#define HEX_SIZE (2 * LEDGER_COUNTER_NAME_SIZE + 1)

static int read_name(sqlite3_stmt *s, int column, uint8_t name[LEDGER_COUNTER_NAME_SIZE],
                     struct error *err)
{
    char hex[HEX_SIZE];
    int rc = sql_text(s, column, hex, sizeof hex, err);

    if (rc == 0 && hex_decode(hex, name, LEDGER_COUNTER_NAME_SIZE))
        rc = error_set(err, ERR_INTEGRITY, "the ledger names a counter that is none");
    return rc;
}

/* A station gets a counter when it is made, or never: without one its entries need not be searched. */
static int find_named(struct store *store, struct ledger_counter *c, struct error *err)
{
    static const char newest[] =
        "SELECT json_extract(body, '$.data.counter.index'),"
        " json_extract(body, '$.data.counter.tpm'), json_extract(body, '$.data.counter.name')"
        " FROM ledger WHERE json_extract(body, '$.event') IN ('init', 'counter')"
        " AND json_extract(body, '$.data.counter') IS NOT NULL ORDER BY seq DESC LIMIT 1";
    int64_t first = 0;
    sqlite3_stmt *s;
    int rc = sql_integer(store, err, &first,
                         "SELECT json_extract(body, '$.data.counter.index') FROM ledger"
                         " WHERE seq = 1",
                         "");

    if (rc || first == 0)
        return rc;
    rc = sql_start(store, err, &s, newest, "");
    if (rc == 0)
        rc = sql_next(store, s, err);
    if (rc != 1)
        return rc;
    c->index = sqlite3_column_int64(s, 0);
    rc = read_name(s, 1, c->tpm, err);
    if (rc == 0)
        rc = read_name(s, 2, c->name, err);
    sql_end(s);
    return rc;
}

int ledger_counter(struct store *store, struct ledger_counter *out, struct error *err)
{
    struct ledger_counter found = {.index = 0};
    int rc = find_named(store, &found, err);

    if (rc == 0 && found.index)
        rc = sql_integer(store, err, &found.value,
                         "SELECT json_extract(body, '$.counter') FROM ledger"
                         " WHERE json_extract(body, '$.counter') IS NOT NULL"
                         " ORDER BY seq DESC LIMIT 1",
                         "");
    if (rc == 0)
        *out = found;
    return rc;
}
