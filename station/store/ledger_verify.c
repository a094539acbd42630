/* The part of ledger.h that verifies: chain, MACs, and what the tables must hold. */
#include "station/store/ledger.h"

#include "base/codec.h"
#include "pki/digest.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* What the entries say that the tables must hold. */
struct tally {
    int64_t versions, credentials, claims, proven, burned, lost, scrapped, revoked, rotated;
    int64_t keys, keys_used, keys_destroyed, waiting;
};

struct verification {
    struct store *store;
    uint8_t previous[32];
    int64_t seq, count;
    struct tally tally;
};

static void count_event(struct tally *tally, const char *body)
{
    json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    const char *event = json_string_value(json_object_get(root, "event"));
    const json_t *data = json_object_get(root, "data");

    if (event && strcmp(event, "generate") == 0)
        tally->credentials += json_integer_value(json_object_get(data, "count"));
    else if (event && strcmp(event, LEDGER_ISSUE) == 0) {
        tally->credentials++;
        tally->keys_used += json_object_get(data, "key") || json_object_get(data, "request");
        tally->waiting -= json_object_get(data, "request") != NULL;
    } else if (event && strcmp(event, LEDGER_KEYS) == 0)
        tally->keys += json_integer_value(json_object_get(data, "count"));
    else if (event && strcmp(event, LEDGER_KEYS_DESTROYED) == 0)
        tally->keys_destroyed += json_integer_value(json_object_get(data, "count"));
    else if (event && strcmp(event, LEDGER_CSR_EXPORT) == 0) {
        tally->keys += json_integer_value(json_object_get(data, "count"));
        tally->waiting += json_integer_value(json_object_get(data, "count"));
    } else if (event && strcmp(event, LEDGER_CSR_DESTROYED) == 0) {
        tally->keys_destroyed += json_integer_value(json_object_get(data, "count"));
        tally->waiting -= json_integer_value(json_object_get(data, "count"));
    } else if (event && (strcmp(event, "order") == 0 || strcmp(event, "amendment") == 0))
        tally->versions++;
    else if (event && strcmp(event, "claim") == 0)
        tally->claims++;
    else if (event && strcmp(event, "proven") == 0)
        tally->proven++;
    else if (event && strcmp(event, "burned") == 0)
        tally->burned++;
    else if (event && strcmp(event, "lost") == 0)
        tally->lost++;
    else if (event && strcmp(event, "scrapped") == 0)
        tally->scrapped++;
    else if (event && strcmp(event, "revoked") == 0)
        tally->revoked++;
    else if (event && strcmp(event, "rotated") == 0 && json_object_get(data, "leaf"))
        tally->rotated++; /* that of a second key has no record */
    json_decref(root);
}

/* Numbers that a backup did not have: only the entry that tells so may leave them out. */
static bool is_after_lost(const struct verification *v, const struct ledger_entry *entry)
{
    json_t *root = json_loads(entry->body, JSON_REJECT_DUPLICATES, NULL);
    const char *event = json_string_value(json_object_get(root, "event"));
    const json_t *anchored = json_object_get(json_object_get(root, "data"), "anchored");
    bool fits = entry->seq > v->seq && event && strcmp(event, LEDGER_RESTORED) == 0 &&
                json_integer_value(anchored) == entry->seq - 1;

    json_decref(root);
    return fits;
}

/* Numbers and hashes, without what the entry tells. */
static int chain_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    struct verification *v = context;
    uint8_t hash[32];

    if (entry->seq != v->seq + 1 && !is_after_lost(v, entry))
        return error_set(err, ERR_INTEGRITY, "ledger entry %" PRId64 " is missing", v->seq + 1);
    ledger_hash(v->previous, entry->body, strlen(entry->body), hash);
    if (memcmp(hash, entry->hash, sizeof hash))
        return error_set(err, ERR_INTEGRITY,
                         "ledger entry %" PRId64 " was changed: its hash does not match",
                         entry->seq);
    memcpy(v->previous, hash, sizeof hash);
    v->seq = entry->seq;
    v->count++;
    return 0;
}

static int verify_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    struct verification *v = context;
    int rc = chain_entry(v, entry, err);

    if (rc == 0)
        count_event(&v->tally, entry->body);
    return rc;
}

/* One MAC against the entry's hash. */
static int verify_mac(struct store *store, int64_t seq, const uint8_t hash[32],
                      const uint8_t stored[32], struct error *err)
{
    uint8_t mac[32];
    int rc = store_mac(store, hash, 32, mac, err);

    if (rc == 0 && !sha256_equal(mac, stored))
        rc = error_set(err, ERR_INTEGRITY,
                       "ledger entry %" PRId64 " was not written by this station: its MAC is wrong",
                       seq);
    return rc;
}

/* The MACs, in a walk of their own so that a plain hash error is told first. */
static int verify_macs(struct store *store, int64_t after, struct error *err)
{
    sqlite3_stmt *s;
    uint8_t hash[32], mac[32];
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT seq, hash, mac FROM ledger WHERE seq > ? ORDER BY seq", "i", after);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = sql_blob_exact(s, 1, hash, 32, err);
        if (rc == 0)
            rc = sql_blob_exact(s, 2, mac, 32, err);
        if (rc == 0)
            rc = verify_mac(store, sqlite3_column_int64(s, 0), hash, mac, err);
        if (rc) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

/* The hash of one entry; *found tells whether it is there. */
static int hash_of(struct store *store, int64_t seq, uint8_t hash[32], bool *found,
                   struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT hash FROM ledger WHERE seq = ?", "i", seq);

    if (rc < 0)
        return rc;
    *found = rc == 1;
    if (rc == 0)
        return 0;
    rc = sql_blob_exact(s, 0, hash, 32, err);
    sql_end(s);
    return rc;
}

/* Where a walk from number first on begins: at what is before it. */
static int start_at(struct verification *v, int64_t first, struct error *err)
{
    sqlite3_stmt *s;
    int rc =
        sql_row(&v->store->sql, err, &s,
                "SELECT seq, hash FROM ledger WHERE seq < ? ORDER BY seq DESC LIMIT 1", "i", first);

    if (rc <= 0)
        return rc;
    v->seq = sqlite3_column_int64(s, 0);
    rc = sql_blob_exact(s, 1, v->previous, sizeof v->previous, err);
    sql_end(s);
    return rc;
}

int ledger_verify_part(struct store *store, int64_t first, struct ledger_part *part,
                       struct error *err)
{
    struct verification v = {.store = store};
    struct ledger_head last;
    int rc = ledger_head(store, &last, err);

    if (rc == 0 && first > last.seq)
        rc = error_set(err, ERR_MISSING,
                       "the ledger has no entry %" PRId64 ": its last one is %" PRId64, first,
                       last.seq);
    if (rc == 0)
        rc = start_at(&v, first, err);
    if (rc)
        return rc;
    *part = (struct ledger_part){.at = last.at};
    memcpy(part->prev, v.previous, sizeof part->prev);
    rc = ledger_each(store, first - 1, verify_entry, &v, err);
    if (rc == 0)
        rc = verify_macs(store, first - 1, err);
    if (rc == 0)
        rc = sql_integer(&store->sql, err, &part->first,
                         "SELECT min(seq) FROM ledger WHERE seq >= ?", "i", first);
    part->last = v.seq;
    part->count = v.count;
    memcpy(part->head, v.previous, sizeof part->head);
    return rc;
}

/* Entry seq by itself: its hash continues the one before, and the MAC is this station's. */
static int verify_alone(struct store *store, int64_t seq, struct error *err)
{
    uint8_t previous[32] = {0}, hash[32], mac[32];
    bool found = true;
    sqlite3_stmt *s;
    int rc = seq > 1 ? hash_of(store, seq - 1, previous, &found, err) : 0;

    if (rc == 0 && !found)
        rc = error_set(err, ERR_INTEGRITY, "ledger entry %" PRId64 " is missing", seq - 1);
    if (rc == 0)
        rc = sql_row(&store->sql, err, &s, "SELECT body, mac FROM ledger WHERE seq = ?", "i", seq);
    if (rc < 0)
        return rc;
    ledger_hash(previous, sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0), hash);
    rc = sql_blob_exact(s, 1, mac, sizeof mac, err);
    sql_end(s);
    return rc ? rc : verify_mac(store, seq, hash, mac, err);
}

static int take_version(struct store *store, sqlite3_stmt *s,
                        int (*each)(void *context, const char *event, const char *hash,
                                    struct error *err),
                        void *context, struct error *err)
{
    char event[16], hash[65] = "";
    int rc = store->mac ? verify_alone(store, sqlite3_column_int64(s, 0), err) : 0;

    if (rc == 0)
        rc = sql_text(s, 1, event, sizeof event, err);
    if (rc == 0 && sqlite3_column_type(s, 2) != SQLITE_NULL)
        rc = sql_text(s, 2, hash, sizeof hash, err);
    return rc ? rc : each(context, event, hash, err);
}

int ledger_each_version(struct store *store, const uint8_t order_hash[32],
                        int (*each)(void *context, const char *event, const char *hash,
                                    struct error *err),
                        void *context, struct error *err)
{
    char order[2 * LEDGER_ORDER_PART + 1];
    sqlite3_stmt *s;
    int rc;

    hex_encode(order_hash, LEDGER_ORDER_PART, order);
    rc = sql_start(&store->sql, err, &s,
                   "SELECT seq, json_extract(body, '$.event'), json_extract(body, '$.data.hash')"
                   " FROM ledger" LEDGER_OF_ORDER
                   " AND json_extract(body, '$.event') IN ('order', 'amendment', 'close', 'closed')"
                   " ORDER BY seq",
                   "t", order);
    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = take_version(store, s, each, context, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

static int take_issuer(struct store *store, sqlite3_stmt *s, ledger_visit each, void *context,
                       struct error *err)
{
    uint8_t hash[32];
    struct ledger_entry entry = {.seq = sqlite3_column_int64(s, 0),
                                 .body = (const char *)sqlite3_column_text(s, 1),
                                 .hash = hash};
    int rc = store->mac ? verify_alone(store, entry.seq, err) : 0;

    if (rc == 0)
        rc = sql_blob_exact(s, 2, hash, sizeof hash, err);
    return rc ? rc : each(context, &entry, err);
}

int ledger_each_issuer(struct store *store, ledger_visit each, void *context, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_start(
        &store->sql, err, &s,
        "SELECT seq, body, hash FROM ledger WHERE seq = 1 OR" LEDGER_IS_ISSUER " ORDER BY seq", "");

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = take_issuer(store, s, each, context, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int ledger_of_order(struct store *store, const uint8_t order_hash[32], const char *event,
                    struct buf *body, struct error *err)
{
    char order[2 * LEDGER_ORDER_PART + 1];
    int64_t seq = 0;
    sqlite3_stmt *s;
    int rc;

    hex_encode(order_hash, LEDGER_ORDER_PART, order);
    rc = sql_row(&store->sql, err, &s,
                 "SELECT seq, body FROM ledger" LEDGER_OF_ORDER
                 " AND json_extract(body, '$.event') = ? ORDER BY seq DESC LIMIT 1",
                 "tt", order, event);
    if (rc < 0)
        return rc;
    if (rc == 1) {
        seq = sqlite3_column_int64(s, 0);
        rc = sql_blob(s, 1, body, err);
        sql_end(s);
    }
    if (rc == 0 && seq == 0)
        rc = error_set(err, ERR_INTEGRITY, "the ledger has no entry '%s' of an order", event);
    if (rc == 0)
        rc = verify_alone(store, seq, err);
    buf_put_u8(body, 0);
    return rc ? rc : buf_check(body, "a ledger entry", err);
}

int ledger_first(struct store *store, struct buf *body, struct error *err)
{
    static const uint8_t nothing[32];
    uint8_t hash[32], mac[32];
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT body, mac FROM ledger WHERE seq = 1", "");

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_INTEGRITY, "ledger entry 1 is missing");
    rc = sql_blob(s, 0, body, err);
    if (rc == 0)
        rc = sql_blob_exact(s, 1, mac, sizeof mac, err);
    sql_end(s);
    if (rc)
        return rc;
    ledger_hash(nothing, body->data, body->len, hash);
    rc = verify_mac(store, 1, hash, mac, err);
    buf_put_u8(body, 0);
    return rc ? rc : buf_check(body, "a ledger entry", err);
}

static int older(int64_t anchored, int64_t held, struct error *err)
{
    return error_set(err, ERR_ROLLBACK,
                     "this database is an old copy: it ends with ledger entry %" PRId64
                     " and the token remembers entry %" PRId64
                     "; put the newest station.db back, nothing is issued from an older one",
                     held, anchored);
}

/* What is asked of the ledger is found by its indexes: one that was made over something else, or that
 * leaves entries out, would hide what the chain proves. */
static int verify_indexes(struct store *store, struct error *err)
{
    int64_t faults = 0;
    int rc = sql_integer(&store->sql, err, &faults,
                         "SELECT count(*) FROM pragma_integrity_check('ledger')"
                         " WHERE integrity_check <> 'ok'",
                         "");

    if (rc == 0 && faults)
        rc = error_set(err, ERR_INTEGRITY,
                       "the ledger's indexes do not hold what its entries tell: the database was "
                       "changed or is damaged; keep it as it is and call the security team");
    return rc;
}

/* The whole chain: what starts and claims read of the entries is what the token remembers. The
 * entries after the anchored one, if a crash came before their anchor, must be our own. */
static int verify_chain(struct store *store, int64_t anchored, struct error *err)
{
    struct verification v = {.store = store};
    int rc = ledger_each(store, 0, chain_entry, &v, err);

    if (rc == 0)
        rc = verify_indexes(store, err);
    return rc ? rc : verify_macs(store, anchored, err);
}

/* last: the newest entry that the database has. */
static int check_anchored(struct store *store, const struct ledger_head *last, int64_t anchored,
                          const uint8_t anchored_head[32], struct error *err)
{
    uint8_t hash[32];
    bool found = false;
    int rc = 0;

    if (last->seq < anchored)
        return older(anchored, last->seq, err);
    if (anchored > 0)
        rc = hash_of(store, anchored, hash, &found, err);
    if (rc == 0 && anchored > 0 && (!found || memcmp(hash, anchored_head, sizeof hash)))
        return error_set(err, ERR_ROLLBACK,
                         "this database has another history than the one that the token remembers "
                         "at ledger entry %" PRId64
                         ": put the station's own station.db back, nothing is issued from this one",
                         anchored);
    return rc;
}

int ledger_check_anchor(struct store *store, int64_t anchored, const uint8_t anchored_head[32],
                        struct error *err)
{
    struct ledger_head last;
    int rc = ledger_head(store, &last, err);

    return rc ? rc : check_anchored(store, &last, anchored, anchored_head, err);
}

int ledger_resume(struct store *store, int64_t anchored, const uint8_t anchored_head[32],
                  int64_t *seq, uint8_t now[32], struct error *err)
{
    struct ledger_head last;
    int rc = ledger_head(store, &last, err);

    if (rc)
        return rc;
    *seq = last.seq;
    memcpy(now, last.hash, sizeof last.hash);
    rc = check_anchored(store, &last, anchored, anchored_head, err);
    return rc ? rc : verify_chain(store, anchored, err);
}

/* Each of these entries is of a credential of its own, and that credential is in that state. */
#define NOT_ONCE(of_event)                                                                         \
    "SELECT count(*) - count(DISTINCT json_extract(body, '$.data.credential')) FROM ledger"        \
    " WHERE json_extract(body, '$.event') = '" of_event "'"
#define NOT_TOLD(in_state, of_event)                                                               \
    "SELECT count(*) FROM credentials WHERE state = " in_state                                     \
    " AND id NOT IN (SELECT json_extract(body, '$.data.credential') FROM ledger"                   \
    " WHERE json_extract(body, '$.event') IN (" of_event "))"

static int compare_count(struct store *store, const char *what, const char *query, int64_t said,
                         struct error *err)
{
    int64_t held = 0;
    int rc = sql_integer(&store->sql, err, &held, query, "");

    if (rc == 0 && held != said)
        rc = error_set(err, ERR_INTEGRITY,
                       "the ledger tells of %" PRId64 " %s and the database holds %" PRId64, said,
                       what, held);
    return rc;
}

static int verify_tables(struct store *store, const struct tally *t, struct error *err)
{
    const struct {
        const char *what, *query;
        int64_t said;
    } rows[] = {
        {"versions of orders", "SELECT count(*) FROM order_versions", t->versions},
        {"credentials", "SELECT count(*) FROM credentials", t->credentials},
        {"claims", "SELECT count(*) FROM claims", t->claims},
        {"proven devices", "SELECT count(*) FROM claims WHERE state = 1", t->proven - t->revoked},
        {"burned claims", "SELECT count(*) FROM claims WHERE state = 2", t->burned},
        {"revoked claims", "SELECT count(*) FROM claims WHERE state = 3", t->revoked},
        {"credentials given out", "SELECT count(*) FROM credentials WHERE state NOT IN (0, 4)",
         t->claims + t->lost},
        {"proven credentials", "SELECT count(*) FROM credentials WHERE state = 2",
         t->proven - t->revoked},
        {"burned credentials", "SELECT count(*) FROM credentials WHERE state = 3",
         t->burned + t->lost},
        {"scrapped credentials", "SELECT count(*) FROM credentials WHERE state = 4", t->scrapped},
        {"revoked credentials", "SELECT count(*) FROM credentials WHERE state = 5", t->revoked},
        {"spare keys", "SELECT count(*) FROM spare_keys", t->keys},
        {"spare keys that were used", "SELECT count(*) FROM spare_keys WHERE state = 1",
         t->keys_used},
        {"spare keys that were destroyed", "SELECT count(*) FROM spare_keys WHERE state = 2",
         t->keys_destroyed},
        {"keys that a hosted CA was asked for", "SELECT count(*) FROM spare_keys WHERE state = 3",
         t->waiting},
        {"requests", "SELECT count(*) FROM requests WHERE der IS NOT NULL", t->waiting},
        {"records", "SELECT count(*) FROM records",
         t->proven + t->burned + t->lost + t->scrapped + t->revoked + t->rotated},
        {"credentials claimed twice", NOT_ONCE("claim"), 0},
        {"credentials proven twice", NOT_ONCE("proven"), 0},
        {"credentials claimed without an entry", NOT_TOLD("1", "'claim'"), 0},
        {"credentials proven without an entry", NOT_TOLD("2", "'proven'"), 0},
        {"credentials burned without an entry", NOT_TOLD("3", "'burned', 'lost'"), 0},
        {"credentials scrapped without an entry", NOT_TOLD("4", "'scrapped'"), 0},
        {"credentials revoked without an entry", NOT_TOLD("5", "'revoked'"), 0},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++)
        rc = compare_count(store, rows[i].what, rows[i].query, rows[i].said, err);
    return rc;
}

int ledger_follow(struct store *store, int64_t *count, struct error *err)
{
    struct verification v = {.store = store};
    int rc = ledger_each(store, 0, chain_entry, &v, err);

    if (rc == 0)
        *count = v.count;
    return rc;
}

int ledger_verify(struct store *store, int64_t *count, struct error *err)
{
    struct verification v = {.store = store};
    int rc = ledger_each(store, 0, verify_entry, &v, err);

    if (rc == 0)
        rc = verify_macs(store, 0, err);
    if (rc == 0)
        rc = verify_indexes(store, err);
    if (rc == 0)
        rc = verify_tables(store, &v.tally, err);
    if (rc == 0)
        *count = v.count;
    return rc;
}
