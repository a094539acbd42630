#include "station/store/ledger.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/jcs.h"
#include "pki/ledger_hash.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The time in column 0, of an entry that this project wrote. */
static int read_time(sqlite3_stmt *s, int column, int64_t *at, struct error *err)
{
    char text[CLOCK_TEXT_SIZE];
    int rc = sql_text(s, column, text, sizeof text, err);

    if (rc == 0 && clock_parse(text, at))
        rc = error_set(err, ERR_INTEGRITY,
                       "the ledger's last entry has no time: the database was changed; keep it as "
                       "it is and call the security team");
    return rc;
}

int ledger_head(struct store *store, struct ledger_head *head, struct error *err)
{
    struct ledger_head found = {.seq = 0};
    sqlite3_stmt *s;
    int rc = sql_start(store, err, &s,
                       "SELECT seq, hash, json_extract(body, '$.at') FROM ledger"
                       " ORDER BY seq DESC LIMIT 1",
                       "");

    if (rc == 0)
        rc = sql_next(store, s, err);
    if (rc == 1) {
        found.seq = sqlite3_column_int64(s, 0);
        rc = sql_blob_exact(s, 1, found.hash, sizeof found.hash, err);
        if (rc == 0)
            rc = read_time(s, 2, &found.at, err);
        sql_end(s);
    }
    if (rc == 0)
        *head = found;
    return rc;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* The operating system's user: accounts of operators come with the shift's own log-in. Names may
 * hold a backslash (of a domain), or what no canonical text can hold. */
void ledger_put_user(struct jcs *j, const char *name)
{
    const struct passwd *user = getpwuid(geteuid());
    char number[32];

    snprintf(number, sizeof number, "uid %u", (unsigned)geteuid());
    jcs_str(j, name, user && is_printable(user->pw_name) ? user->pw_name : number);
}

/* A member that is there only when somebody said something. */
static void put_optional(struct buf *body, const char *name, const char *text)
{
    struct jcs j;

    if (!*text)
        return;
    buf_printf(body, ",\"%s\":", name);
    jcs_init(&j, body);
    jcs_str(&j, NULL, text);
}

/* Times never go back: a clock that was set back a little waits for the ledger. */
static void put_body(struct buf *body, const struct store *store, const char *event,
                     const struct ledger_head *last, int64_t seq, const struct buf *data)
{
    int64_t now = clock_utc();
    char at[CLOCK_TEXT_SIZE];
    struct jcs by;

    clock_text(now > last->at ? now : last->at, at);
    buf_printf(body, "{\"at\":\"%s\",\"by\":", at);
    jcs_init(&by, body);
    ledger_put_user(&by, NULL);
    buf_put_str(body, ",\"data\":");
    buf_put(body, data->data, data->len);
    buf_printf(body, ",\"event\":\"%s\"", event);
    put_optional(body, "operator", store->operator);
    buf_printf(body, ",\"seq\":%" PRId64, seq);
    put_optional(body, "why", store->reason);
    buf_put_u8(body, '}');
}

/* seq 0: the next number. */
static int append(struct store *store, const char *event, int64_t seq, const struct buf *data,
                  struct error *err)
{
    uint8_t hash[32], mac[32];
    struct ledger_head last;
    struct buf body;
    int rc = buf_check(data, "a ledger entry", err);

    if (rc == 0)
        rc = store_settle(store, err);
    if (rc == 0)
        rc = ledger_head(store, &last, err);
    if (rc)
        return rc;
    if (seq == 0)
        seq = last.seq + 1;
    buf_init(&body, LEDGER_BODY_MAX);
    put_body(&body, store, event, &last, seq, data);
    rc = buf_check(&body, "a ledger entry", err);
    if (rc == 0) {
        ledger_hash(last.hash, body.data, body.len, hash);
        rc = store_mac(store, hash, sizeof hash, mac, err);
    }
    buf_put_u8(&body, 0);
    if (rc == 0)
        rc = sql_run(store, err, "INSERT INTO ledger(seq, body, hash, mac) VALUES (?, ?, ?, ?)",
                     "itbb", seq, (const char *)body.data, hash, sizeof hash, mac, sizeof mac);
    if (rc == 0) {
        store->new_seq = seq;
        memcpy(store->new_head, hash, sizeof hash);
    }
    buf_done(&body);
    return rc;
}

int ledger_append(struct store *store, const char *event, const struct buf *data, struct error *err)
{
    return append(store, event, 0, data, err);
}

int ledger_append_restored(struct store *store, int64_t anchored, const struct buf *data,
                           struct error *err)
{
    struct ledger_head last;
    int rc = ledger_head(store, &last, err);

    if (rc)
        return rc;
    return append(store, LEDGER_RESTORED, (last.seq > anchored ? last.seq : anchored) + 1, data,
                  err);
}

int ledger_expect(struct store *store, int64_t credential, const char *event, struct error *err)
{
    sqlite3_stmt *s;
    char last[16] = "nothing";
    int rc = sql_start(store, err, &s,
                       "SELECT json_extract(body, '$.event') FROM ledger"
                       " WHERE json_extract(body, '$.data.credential') = ?"
                       " ORDER BY seq DESC LIMIT 1",
                       "i", credential);

    if (rc == 0)
        rc = sql_next(store, s, err);
    if (rc == 1) {
        rc = sql_text(s, 0, last, sizeof last, err);
        sql_end(s);
    }
    if (rc == 0 && strcmp(last, event ? event : "nothing"))
        rc = error_set(err, ERR_INTEGRITY,
                       "the last that the ledger tells of credential %" PRId64 " is '%s' where the "
                       "tables say '%s': the database was changed; keep it as it is and call the "
                       "security team",
                       credential, last, event ? event : "nothing");
    return rc;
}

#define OF_ORDER   " WHERE substr(json_extract(body, '$.data.order'), 1, 16) = ?"
#define ORDER_PART 8 /* bytes of the order's hash that are indexed */

static int read_restored(sqlite3_stmt *s, struct ledger_restored *r, struct error *err)
{
    char head[65], ticket[65];
    int rc = sql_text(s, 2, head, sizeof head, err);

    if (rc == 0)
        rc = sql_text(s, 4, ticket, sizeof ticket, err);
    if (rc)
        return rc;
    r->seq = sqlite3_column_int64(s, 0);
    r->anchored = sqlite3_column_int64(s, 1);
    r->lost = sqlite3_column_int64(s, 3);
    if (hex_decode(head, r->anchored_head, sizeof r->anchored_head) ||
        hex_decode(ticket, r->ticket, sizeof r->ticket))
        return error_set(err, ERR_INTEGRITY, "ledger entry %" PRId64 " tells of no restore",
                         r->seq);
    return 0;
}

int ledger_last_restored(struct store *store, int64_t least_lost, struct ledger_restored *restored,
                         struct error *err)
{
    struct ledger_restored found = {.seq = 0};
    sqlite3_stmt *s;
    int rc = sql_start(store, err, &s,
                       "SELECT seq, json_extract(body, '$.data.anchored'),"
                       " json_extract(body, '$.data.anchored_head'),"
                       " json_extract(body, '$.data.lost'), json_extract(body, '$.data.ticket')"
                       " FROM ledger WHERE" LEDGER_IS_MARK
                       " AND json_extract(body, '$.event') = '" LEDGER_RESTORED "'"
                       " AND json_extract(body, '$.data.lost') >= ? ORDER BY seq DESC LIMIT 1",
                       "i", least_lost);

    if (rc == 0)
        rc = sql_next(store, s, err);
    if (rc == 1) {
        rc = read_restored(s, &found, err);
        sql_end(s);
    }
    if (rc == 0)
        *restored = found;
    return rc;
}

int ledger_count_lost(struct store *store, int64_t after, int64_t *count, struct error *err)
{
    return sql_integer(store, err, count,
                       "SELECT count(*) FROM ledger WHERE seq > ?"
                       " AND json_extract(body, '$.event') = 'lost'",
                       "i", after);
}

int ledger_lost_order(struct store *store, const uint8_t order_hash[32], bool *lost,
                      struct error *err)
{
    char order[65];
    int64_t count = 0;
    int rc;

    hex_encode(order_hash, 32, order);
    rc = sql_integer(
        store, err, &count,
        "SELECT count(*) FROM ledger, json_each(body, '$.data.lost_orders') WHERE" LEDGER_IS_MARK
        " AND json_each.value = ?",
        "t", order);
    *lost = count > 0;
    return rc;
}

int ledger_first_of_order(struct store *store, const uint8_t order_hash[32], int64_t *seq,
                          struct error *err)
{
    char order[2 * ORDER_PART + 1];

    hex_encode(order_hash, ORDER_PART, order);
    *seq = 0;
    return sql_integer(store, err, seq, "SELECT min(seq) FROM ledger" OF_ORDER, "t", order);
}

int ledger_clock_stopped(struct store *store, bool *stopped, struct error *err)
{
    int64_t value = 0;
    int rc = sql_integer(store, err, &value,
                         "SELECT json_extract(body, '$.event') = 'clock_stopped' FROM ledger"
                         " WHERE" LEDGER_IS_MARK " AND json_extract(body, '$.event') <>"
                         " '" LEDGER_RESTORED "' ORDER BY seq DESC LIMIT 1",
                         "");

    *stopped = value != 0;
    return rc;
}

static void take_count(struct ledger_counts *c, const char *event, int64_t count)
{
    if (strcmp(event, "claim") == 0)
        c->claimed = count;
    else if (strcmp(event, "proven") == 0)
        c->proven = count;
    else if (strcmp(event, "burned") == 0)
        c->burned = count;
    else if (strcmp(event, "lost") == 0)
        c->lost = count;
}

int ledger_count_order(struct store *store, const uint8_t order_hash[32],
                       struct ledger_counts *counts, struct error *err)
{
    struct ledger_counts c = {0};
    char order[2 * ORDER_PART + 1], event[16];
    sqlite3_stmt *s;
    int rc;

    hex_encode(order_hash, ORDER_PART, order);
    rc = sql_integer(store, err, &c.issued,
                     "SELECT sum(json_extract(body, '$.data.count')) FROM ledger" OF_ORDER
                     " AND json_extract(body, '$.event') = 'generate'",
                     "t", order);
    if (rc == 0)
        rc = sql_start(store, err, &s,
                       "SELECT json_extract(body, '$.event'), count(*) FROM ledger" OF_ORDER
                       " GROUP BY 1",
                       "t", order);
    if (rc)
        return rc;
    while ((rc = sql_next(store, s, err)) == 1) {
        rc = sql_text(s, 0, event, sizeof event, err);
        if (rc) {
            sql_end(s);
            return rc;
        }
        take_count(&c, event, sqlite3_column_int64(s, 1));
    }
    if (rc == 0)
        *counts = c;
    return rc;
}

static int visit_rows(struct store *store, sqlite3_stmt *s, ledger_visit each, void *context,
                      struct error *err)
{
    int rc;

    while ((rc = sql_next(store, s, err)) == 1) {
        struct ledger_entry entry = {sqlite3_column_int64(s, 0),
                                     (const char *)sqlite3_column_text(s, 1),
                                     sqlite3_column_blob(s, 2)};

        if (sqlite3_column_bytes(s, 2) != 32)
            rc = error_set(err, ERR_INTEGRITY, "ledger entry %" PRId64 " has no hash", entry.seq);
        else
            rc = each(context, &entry, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int ledger_each(struct store *store, int64_t after, ledger_visit each, void *context,
                struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_start(store, err, &s,
                       "SELECT seq, body, hash FROM ledger WHERE seq > ? ORDER BY seq", "i", after);

    return rc ? rc : visit_rows(store, s, each, context, err);
}

/* ?1 is an event, ?2 a serial, NULL for any; a batch is found by the ids that it made. */
#define MADE "WITH made AS MATERIALIZED (SELECT id FROM credentials WHERE serial = ?2) "
#define IS_ABOUT                                                                                   \
    "(?1 IS NULL OR json_extract(body, '$.event') = ?1)"                                           \
    " AND (?2 IS NULL OR json_extract(body, '$.data.serial') = ?2"                                 \
    " OR (json_extract(body, '$.event') = 'generate' AND EXISTS (SELECT 1 FROM made"               \
    " WHERE id >= json_extract(body, '$.data.first')"                                              \
    " AND id < json_extract(body, '$.data.first') + json_extract(body, '$.data.count'))))"

int ledger_find(struct store *store, const struct ledger_filter *filter, ledger_visit each,
                void *context, struct error *err)
{
    int64_t first = 0;
    sqlite3_stmt *s;
    int rc = 0;

    if (filter->last)
        rc = sql_integer(store, err, &first,
                         MADE "SELECT min(seq) FROM (SELECT seq FROM ledger WHERE " IS_ABOUT
                              " ORDER BY seq DESC LIMIT ?3)",
                         "tti", filter->event, filter->serial, filter->last);
    if (rc == 0)
        rc = sql_start(store, err, &s,
                       MADE "SELECT seq, body, hash FROM ledger WHERE " IS_ABOUT
                            " AND seq >= ?3 ORDER BY seq",
                       "tti", filter->event, filter->serial, first);
    return rc ? rc : visit_rows(store, s, each, context, err);
}

/* What the entries say that the tables must hold. */
struct tally {
    int64_t versions, credentials, claims, proven, burned, lost;
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
    else if (event && (strcmp(event, "order") == 0 || strcmp(event, "amendment") == 0))
        tally->versions++;
    else if (event && strcmp(event, "claim") == 0)
        tally->claims++;
    else if (event && strcmp(event, "proven") == 0)
        tally->proven++;
    else if (event && strcmp(event, "burned") == 0)
        tally->burned++;
    else if (event && strcmp(event, "lost") == 0)
        tally->lost++;
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
    int rc = sql_start(store, err, &s,
                       "SELECT seq, hash, mac FROM ledger WHERE seq > ? ORDER BY seq", "i", after);

    if (rc)
        return rc;
    while ((rc = sql_next(store, s, err)) == 1) {
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
    int rc = sql_start(store, err, &s, "SELECT hash FROM ledger WHERE seq = ?", "i", seq);

    if (rc == 0)
        rc = sql_next(store, s, err);
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
    int rc = sql_start(v->store, err, &s,
                       "SELECT seq, hash FROM ledger WHERE seq < ? ORDER BY seq DESC LIMIT 1", "i",
                       first);

    if (rc == 0)
        rc = sql_next(v->store, s, err);
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
        rc = sql_integer(store, err, &part->first, "SELECT min(seq) FROM ledger WHERE seq >= ?",
                         "i", first);
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
        rc = sql_start(store, err, &s, "SELECT body, mac FROM ledger WHERE seq = ?", "i", seq);
    if (rc == 0)
        rc = sql_next(store, s, err);
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
    char order[2 * ORDER_PART + 1];
    sqlite3_stmt *s;
    int rc;

    hex_encode(order_hash, ORDER_PART, order);
    rc = sql_start(store, err, &s,
                   "SELECT seq, json_extract(body, '$.event'), json_extract(body, '$.data.hash')"
                   " FROM ledger" OF_ORDER
                   " AND json_extract(body, '$.event') IN ('order', 'amendment', 'close')"
                   " ORDER BY seq",
                   "t", order);
    if (rc)
        return rc;
    while ((rc = sql_next(store, s, err)) == 1) {
        rc = take_version(store, s, each, context, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int ledger_knows_order(struct store *store, const char *id, bool *known, struct error *err)
{
    int64_t count = 0;
    int rc = sql_integer(store, err, &count,
                         "SELECT count(*) FROM ledger WHERE json_extract(body, '$.event') = 'order'"
                         " AND json_extract(body, '$.data.id') = ?",
                         "t", id);

    *known = rc == 0 && count > 0;
    return rc;
}

int ledger_first(struct store *store, struct buf *body, struct error *err)
{
    static const uint8_t nothing[32];
    uint8_t hash[32], mac[32];
    sqlite3_stmt *s;
    int rc = sql_start(store, err, &s, "SELECT body, mac FROM ledger WHERE seq = 1", "");

    if (rc == 0)
        rc = sql_next(store, s, err);
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

/* The whole chain: what starts and claims read of the entries is what the token remembers. The
 * entries after the anchored one, if a crash came before their anchor, must be our own. */
static int verify_chain(struct store *store, int64_t anchored, struct error *err)
{
    struct verification v = {.store = store};
    int rc = ledger_each(store, 0, chain_entry, &v, err);

    return rc ? rc : verify_macs(store, anchored, err);
}

int ledger_resume(struct store *store, int64_t anchored, const uint8_t anchored_head[32],
                  int64_t *seq, uint8_t now[32], struct error *err)
{
    struct ledger_head last;
    uint8_t hash[32];
    bool found = false;
    int rc = ledger_head(store, &last, err);

    if (rc)
        return rc;
    *seq = last.seq;
    memcpy(now, last.hash, sizeof last.hash);
    if (*seq < anchored)
        return older(anchored, *seq, err);
    if (rc == 0 && anchored > 0)
        rc = hash_of(store, anchored, hash, &found, err);
    if (rc == 0 && anchored > 0 && (!found || memcmp(hash, anchored_head, sizeof hash)))
        return error_set(err, ERR_ROLLBACK,
                         "this database has another history than the one that the token remembers "
                         "at ledger entry %" PRId64
                         ": put the station's own station.db back, nothing is issued from this one",
                         anchored);
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
    int rc = sql_integer(store, err, &held, query, "");

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
        {"proven devices", "SELECT count(*) FROM claims WHERE state = 1", t->proven},
        {"burned claims", "SELECT count(*) FROM claims WHERE state = 2", t->burned},
        {"credentials given out", "SELECT count(*) FROM credentials WHERE state <> 0",
         t->claims + t->lost},
        {"proven credentials", "SELECT count(*) FROM credentials WHERE state = 2", t->proven},
        {"burned credentials", "SELECT count(*) FROM credentials WHERE state = 3",
         t->burned + t->lost},
        {"records", "SELECT count(*) FROM records", t->proven + t->burned + t->lost},
        {"credentials claimed twice", NOT_ONCE("claim"), 0},
        {"credentials proven twice", NOT_ONCE("proven"), 0},
        {"credentials claimed without an entry", NOT_TOLD("1", "'claim'"), 0},
        {"credentials proven without an entry", NOT_TOLD("2", "'proven'"), 0},
        {"credentials burned without an entry", NOT_TOLD("3", "'burned', 'lost'"), 0},
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof rows / sizeof *rows; i++)
        rc = compare_count(store, rows[i].what, rows[i].query, rows[i].said, err);
    return rc;
}

int ledger_verify(struct store *store, int64_t *count, struct error *err)
{
    struct verification v = {.store = store};
    int rc = ledger_each(store, 0, verify_entry, &v, err);

    if (rc == 0)
        rc = verify_macs(store, 0, err);
    if (rc == 0)
        rc = verify_tables(store, &v.tally, err);
    if (rc == 0)
        *count = v.count;
    return rc;
}
