#include "station/store/ledger.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/jcs.h"
#include "pki/ledger_hash.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define USER_MAX 256 /* what a reader of an export takes */

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
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT seq, hash, json_extract(body, '$.at') FROM ledger"
                     " ORDER BY seq DESC LIMIT 1",
                     "");

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

/*
 * The operating system's user; who signed stands beside it. Names may hold a backslash (of a domain), or
 * what no canonical text can hold. Asked once: a directory service may take its time, and the process
 * stays who it is.
 */
static const char *system_user(void)
{
    static char name[USER_MAX];
    const struct passwd *user;

    if (*name)
        return name;
    user = getpwuid(geteuid());
    if (user && *user->pw_name && is_printable(user->pw_name) && strlen(user->pw_name) < USER_MAX)
        strcpy(name, user->pw_name);
    else
        snprintf(name, sizeof name, "uid %u", (unsigned)geteuid());
    return name;
}

void ledger_put_user(struct jcs *j, const char *name)
{
    jcs_str(j, name, system_user());
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

/* What was signed for, by whom and when: names in canonical order. */
static void put_signature(struct buf *body, const struct store_signature *s, const char *event)
{
    char at[CLOCK_TEXT_SIZE], meaning[96];
    struct jcs j;

    if (s->person == 0)
        return;
    clock_text(s->at, at);
    snprintf(meaning, sizeof meaning, "%s: %s", s->action, event);
    buf_put_str(body, ",\"signature\":");
    jcs_init(&j, body);
    jcs_object(&j, NULL);
    jcs_str(&j, "at", at);
    jcs_str(&j, "meaning", meaning);
    jcs_str(&j, "name", s->name);
    jcs_int(&j, "person", s->person);
    jcs_str(&j, "role", s->role);
    jcs_end(&j);
}

/* A proof gives nothing out, nor does the stop of a clock or a PIN: only what does wears the counter. */
static bool gives_out(const char *event)
{
    return strcmp(event, "proven") != 0 && strncmp(event, "clock_", 6) != 0 &&
           strcmp(event, LEDGER_PIN_TRIED) != 0 && strcmp(event, LEDGER_SIGNED_IN) != 0;
}

/* Once in a transaction. */
static bool put_counter(struct buf *body, const struct store *store, const char *event)
{
    struct jcs j;

    if (!store->step || store->counts || !gives_out(event))
        return false;
    buf_put_str(body, ",\"counter\":");
    jcs_init(&j, body);
    jcs_object(&j, NULL);
    jcs_hex(&j, "chain", store->count.chain, sizeof store->count.chain);
    jcs_int(&j, "number", store->count.number + 1);
    jcs_end(&j);
    return true;
}

/* Times never go back: a clock that was set back a little waits for the ledger. True when it counts. */
static bool put_body(struct buf *body, const struct store *store, const char *event,
                     const struct ledger_head *last, int64_t seq, const struct buf *data)
{
    int64_t now = clock_utc();
    char at[CLOCK_TEXT_SIZE];
    struct jcs by;
    bool counts;

    clock_text(now > last->at ? now : last->at, at);
    buf_printf(body, "{\"at\":\"%s\",\"by\":", at);
    jcs_init(&by, body);
    ledger_put_user(&by, NULL);
    counts = put_counter(body, store, event);
    buf_put_str(body, ",\"data\":");
    buf_put(body, data->data, data->len);
    buf_printf(body, ",\"event\":\"%s\"", event);
    put_optional(body, "operator", store->operator);
    buf_printf(body, ",\"seq\":%" PRId64, seq);
    put_signature(body, &store->signature, event);
    put_optional(body, "why", store->reason);
    buf_put_u8(body, '}');
    return counts;
}

/* seq 0: the next number. */
static int append(struct store *store, const char *event, int64_t seq, const struct buf *data,
                  struct error *err)
{
    uint8_t hash[32], mac[32];
    struct ledger_head last;
    struct buf body;
    bool counts;
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
    counts = put_body(&body, store, event, &last, seq, data);
    rc = buf_check(&body, "a ledger entry", err);
    if (rc == 0) {
        ledger_hash(last.hash, body.data, body.len, hash);
        rc = store_mac(store, hash, sizeof hash, mac, err);
    }
    buf_put_u8(&body, 0);
    if (rc == 0)
        rc = sql_run(&store->sql, err,
                     "INSERT INTO ledger(seq, body, hash, mac) VALUES (?, ?, ?, ?)", "itbb", seq,
                     (const char *)body.data, hash, sizeof hash, mac, sizeof mac);
    if (rc == 0) {
        store->new_seq = seq;
        memcpy(store->new_head, hash, sizeof hash);
    }
    if (rc == 0 && counts) {
        store->counts = true;
        memcpy(store->new_link, hash, sizeof hash);
    }
    buf_done(&body);
    return rc;
}

int ledger_append(struct store *store, const char *event, const struct buf *data, struct error *err)
{
    return append(store, event, 0, data, err);
}

int ledger_append_alone(struct store *store, const char *event, const struct buf *data,
                        struct error *err)
{
    int rc = store_begin(store, err);

    if (rc == 0)
        rc = ledger_append(store, event, data, err);
    if (rc == 0)
        rc = store_commit(store, err);
    if (rc)
        store_rollback(store);
    return rc;
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

/* The newest event of a credential, or "nothing". */
static int newest_event(struct store *store, int64_t credential, char last[16], struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT json_extract(body, '$.event') FROM ledger"
                     " WHERE json_extract(body, '$.data.credential') = ?"
                     " ORDER BY seq DESC LIMIT 1",
                     "i", credential);

    strcpy(last, "nothing");
    if (rc == 1) {
        rc = sql_text(s, 0, last, 16, err);
        sql_end(s);
    }
    return rc;
}

int ledger_expect(struct store *store, int64_t credential, const char *event, struct error *err)
{
    char last[16];
    int rc = newest_event(store, credential, last, err);

    if (rc == 0 && strcmp(last, event ? event : "nothing"))
        rc = error_set(err, ERR_INTEGRITY,
                       "the last that the ledger tells of credential %" PRId64 " is '%s' where the "
                       "tables say '%s': the database was changed; keep it as it is and call the "
                       "security team",
                       credential, last, event ? event : "nothing");
    return rc;
}

int ledger_expect_available(struct store *store, int64_t credential, struct error *err)
{
    char last[16];
    int rc = newest_event(store, credential, last, err);

    if (rc == 0 && strcmp(last, LEDGER_ISSUE) == 0)
        return 0;
    return rc ? rc : ledger_expect(store, credential, NULL, err);
}

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
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT seq, json_extract(body, '$.data.anchored'),"
                     " json_extract(body, '$.data.anchored_head'),"
                     " json_extract(body, '$.data.lost'), json_extract(body, '$.data.ticket')"
                     " FROM ledger WHERE" LEDGER_IS_MARK
                     " AND json_extract(body, '$.event') = '" LEDGER_RESTORED "'"
                     " AND json_extract(body, '$.data.lost') >= ? ORDER BY seq DESC LIMIT 1",
                     "i", least_lost);

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
    return sql_integer(&store->sql, err, count,
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
        &store->sql, err, &count,
        "SELECT count(*) FROM ledger, json_each(body, '$.data.lost_orders') WHERE" LEDGER_IS_MARK
        " AND json_each.value = ?",
        "t", order);
    *lost = count > 0;
    return rc;
}

int ledger_first_of_order(struct store *store, const uint8_t order_hash[32], int64_t *seq,
                          struct error *err)
{
    char order[2 * LEDGER_ORDER_PART + 1];

    hex_encode(order_hash, LEDGER_ORDER_PART, order);
    *seq = 0;
    return sql_integer(&store->sql, err, seq, "SELECT min(seq) FROM ledger" LEDGER_OF_ORDER, "t",
                       order);
}

int ledger_clock_stopped(struct store *store, bool *stopped, struct error *err)
{
    int64_t value = 0;
    int rc = sql_integer(&store->sql, err, &value,
                         "SELECT json_extract(body, '$.event') = 'clock_stopped' FROM ledger"
                         " WHERE" LEDGER_IS_MARK " AND json_extract(body, '$.event') IN"
                         " ('clock_confirmed', 'clock_stopped') ORDER BY seq DESC LIMIT 1",
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
    else if (strcmp(event, "scrapped") == 0)
        c->scrapped = count;
    else if (strcmp(event, "revoked") == 0)
        c->revoked = count;
    else if (strcmp(event, LEDGER_REWORK) == 0)
        c->reworks = count;
    else if (strcmp(event, LEDGER_ISSUE) == 0)
        c->issued += count;
}

int ledger_leaf(struct store *store, int64_t credential, int64_t *leaf, struct error *err)
{
    int64_t found = -1;
    int rc = sql_integer(&store->sql, err, &found,
                         "SELECT json_extract(body, '$.data.leaf') FROM ledger"
                         " WHERE json_extract(body, '$.data.credential') = ?"
                         " AND json_extract(body, '$.event') = 'proven'",
                         "i", credential);

    if (rc == 0 && found < 0)
        rc = error_set(err, ERR_INTEGRITY,
                       "the ledger does not tell which record credential %" PRId64
                       " has: the database was changed; keep it as it is and call the security "
                       "team",
                       credential);
    *leaf = found;
    return rc;
}

/* Keys that were made ahead, less those that got a certificate and those that were destroyed. */
#define SPARES_OF                                                                                  \
    "SELECT sum(CASE json_extract(body, '$.event')"                                                \
    " WHEN '" LEDGER_KEYS "' THEN json_extract(body, '$.data.count')"                              \
    " WHEN '" LEDGER_KEYS_DESTROYED "' THEN -json_extract(body, '$.data.count')"                   \
    " ELSE -(json_extract(body, '$.data.key') IS NOT NULL) END) FROM ledger" LEDGER_OF_ORDER       \
    " AND json_extract(body, '$.event') IN ('" LEDGER_KEYS "', '" LEDGER_KEYS_DESTROYED            \
    "', '" LEDGER_ISSUE "')"

/* The same of keys that a hosted CA was asked for a certificate of. */
#define REQUESTS_OF                                                                                \
    "SELECT sum(CASE json_extract(body, '$.event')"                                                \
    " WHEN '" LEDGER_CSR_EXPORT "' THEN json_extract(body, '$.data.count')"                        \
    " WHEN '" LEDGER_CSR_DESTROYED "' THEN -json_extract(body, '$.data.count')"                    \
    " ELSE -(json_extract(body, '$.data.request') IS NOT NULL) END) FROM ledger" LEDGER_OF_ORDER   \
    " AND json_extract(body, '$.event') IN ('" LEDGER_CSR_EXPORT "', '" LEDGER_CSR_DESTROYED       \
    "', '" LEDGER_ISSUE "')"

int ledger_count_order(struct store *store, const uint8_t order_hash[32],
                       struct ledger_counts *counts, struct error *err)
{
    struct ledger_counts c = {0};
    char order[2 * LEDGER_ORDER_PART + 1], event[16];
    sqlite3_stmt *s;
    int rc;

    hex_encode(order_hash, LEDGER_ORDER_PART, order);
    rc = sql_integer(&store->sql, err, &c.issued,
                     "SELECT sum(json_extract(body, '$.data.count')) FROM ledger" LEDGER_OF_ORDER
                     " AND json_extract(body, '$.event') = 'generate'",
                     "t", order);
    if (rc == 0)
        rc = sql_integer(&store->sql, err, &c.spares, SPARES_OF, "t", order);
    if (rc == 0)
        rc = sql_integer(&store->sql, err, &c.requests, REQUESTS_OF, "t", order);
    if (rc == 0)
        rc = sql_start(&store->sql, err, &s,
                       "SELECT json_extract(body, '$.event'), count(*) FROM ledger" LEDGER_OF_ORDER
                       " GROUP BY 1",
                       "t", order);
    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
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

int ledger_allows_rework(struct store *store, const uint8_t order_hash[32], int64_t credential,
                         bool *allowed, struct error *err)
{
    char order[2 * LEDGER_ORDER_PART + 1];
    int64_t count = 0;
    int rc;

    hex_encode(order_hash, LEDGER_ORDER_PART, order);
    rc = sql_integer(&store->sql, err, &count,
                     "SELECT count(*) FROM ledger" LEDGER_OF_ORDER
                     " AND json_extract(body, '$.event') = '" LEDGER_REWORK "'"
                     " AND json_extract(body, '$.data.replaces') = ?",
                     "ti", order, credential);
    *allowed = rc == 0 && count > 0;
    return rc;
}

int ledger_replaces(struct store *store, int64_t credential, int64_t *replaced, struct error *err)
{
    *replaced = 0;
    return sql_integer(&store->sql, err, replaced,
                       "SELECT json_extract(body, '$.data.replaces') FROM ledger"
                       " WHERE json_extract(body, '$.data.credential') = ?"
                       " AND json_extract(body, '$.event') = '" LEDGER_ISSUE "'",
                       "i", credential);
}

static int visit_rows(struct store *store, sqlite3_stmt *s, ledger_visit each, void *context,
                      struct error *err)
{
    int rc;

    while ((rc = sql_next(&store->sql, s, err)) == 1) {
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
    int rc = sql_start(&store->sql, err, &s,
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
        rc = sql_integer(&store->sql, err, &first,
                         MADE "SELECT min(seq) FROM (SELECT seq FROM ledger WHERE " IS_ABOUT
                              " ORDER BY seq DESC LIMIT ?3)",
                         "tti", filter->event, filter->serial, filter->last);
    if (rc == 0)
        rc = sql_start(&store->sql, err, &s,
                       MADE "SELECT seq, body, hash FROM ledger WHERE " IS_ABOUT
                            " AND seq >= ?3 ORDER BY seq",
                       "tti", filter->event, filter->serial, first);
    return rc ? rc : visit_rows(store, s, each, context, err);
}

int ledger_count_rotations(struct store *store, const char *key, int64_t leaf, int64_t *count,
                           struct error *err)
{
    *count = 0;
    return sql_integer(&store->sql, err, count,
                       "SELECT count(*) FROM ledger WHERE" LEDGER_IS_MARK
                       " AND json_extract(body, '$.event') = 'rotated'"
                       " AND (?1 IS NULL OR json_extract(body, '$.data.key') = ?1)"
                       " AND json_extract(body, '$.data.leaf') < ?2",
                       "ti", key, leaf);
}

int ledger_second_key(struct store *store, struct ledger_second_key *out, struct error *err)
{
    char hex[2 * sizeof out->sha256 + 1] = "";
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT json_extract(body, '$.data.generation'),"
                     " json_extract(body, '$.data.algorithm'),"
                     " json_extract(body, '$.data.sha256') FROM ledger WHERE" LEDGER_IS_MARK
                     " AND json_extract(body, '$.event') = 'rotated'"
                     " AND json_extract(body, '$.data.key') = 'second-key'"
                     " ORDER BY seq DESC LIMIT 1",
                     "");

    *out = (struct ledger_second_key){.generation = 0};
    if (rc != 1)
        return rc;
    out->generation = sqlite3_column_int64(s, 0);
    rc = sql_text(s, 1, out->algorithm, sizeof out->algorithm, err);
    if (rc == 0)
        rc = sql_text(s, 2, hex, sizeof hex, err);
    sql_end(s);
    if (rc == 0 && (out->generation < 1 || hex_decode(hex, out->sha256, sizeof out->sha256)))
        rc = error_set(err, ERR_INTEGRITY,
                       "the ledger's entry of the second key cannot be read: keep the database as "
                       "it is and call the security team");
    return rc;
}

int ledger_each_ended(struct store *store,
                      int (*each)(void *context, const struct ledger_ended *ended,
                                  struct error *err),
                      void *context, struct error *err)
{
    char at[CLOCK_TEXT_SIZE];
    struct ledger_ended e;
    sqlite3_stmt *s;
    int rc =
        sql_start(&store->sql, err, &s,
                  "SELECT json_extract(body, '$.data.credential'),"
                  " coalesce(json_extract(body, '$.data.leaf'), -1), json_extract(body, '$.at')"
                  " FROM ledger"
                  " WHERE json_extract(body, '$.event') IN ('burned', 'lost', 'revoked')",
                  "");
    while (rc == 0 && (rc = sql_next(&store->sql, s, err)) == 1) {
        e = (struct ledger_ended){sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), 0};
        rc = sql_text(s, 2, at, sizeof at, err);
        if (rc == 0 && clock_parse(at, &e.at))
            rc = error_set(err, ERR_INTEGRITY, "an entry of the ledger has no time");
        if (rc == 0)
            rc = each(context, &e, err);
        if (rc)
            sql_end(s);
    }
    return rc;
}

int ledger_knows_order(struct store *store, const char *id, bool *known, struct error *err)
{
    int64_t count = 0;
    int rc = sql_integer(&store->sql, err, &count,
                         "SELECT count(*) FROM ledger WHERE json_extract(body, '$.event') = 'order'"
                         " AND json_extract(body, '$.data.id') = ?",
                         "t", id);

    *known = rc == 0 && count > 0;
    return rc;
}
