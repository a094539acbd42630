#include "station/store/key_index.h"

#include "pki/digest.h"
#include "station/store/key_filter.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HASH_SIZE    8
#define PREFIX_SHIFT 48
#define SLOTS        (2 * KEY_RECENT_MAX) /* a power of two */
#define FILTER_FROM  64                   /* so many keys at once are worth a filter */

/* The hashes of key_recent: a hash is in the first free slot from its own on. 0 is a free one. */
struct key_set {
    uint64_t slots[SLOTS];
    size_t count;
    bool changed;              /* by the open transaction */
    bool merged;               /* the table key_index has rows */
    struct key_filter *filter; /* of its hashes; NULL until it is worth it */
};

static uint64_t read_hash(const uint8_t *bytes)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < HASH_SIZE; i++)
        hash = hash << 8 | bytes[i];
    return hash;
}

struct key_hash key_hash_of(const struct public_key *key, int64_t credential)
{
    size_t len;
    const uint8_t *stored = key_stored(key, &len);
    uint8_t digest[SHA256_SIZE];
    uint64_t hash;

    sha256(stored, len, digest);
    hash = read_hash(digest);
    return (struct key_hash){hash ? hash : 1, credential};
}

/* ---- The recent ones. ---- */

static uint64_t *slot_of(struct key_set *set, uint64_t hash)
{
    size_t i = hash % SLOTS;

    while (set->slots[i] && set->slots[i] != hash)
        i = (i + 1) % SLOTS;
    return &set->slots[i];
}

static void put(struct key_set *set, uint64_t hash)
{
    uint64_t *slot = slot_of(set, hash);

    set->count += !*slot;
    *slot = hash;
}

static int put_run(struct key_set *set, const struct buf *run, struct error *err)
{
    if (run->len % HASH_SIZE || set->count + run->len / HASH_SIZE > KEY_RECENT_MAX)
        return error_set(err, ERR_STORE, "the index of public keys is damaged: restore a backup");
    for (size_t i = 0; i < run->len; i += HASH_SIZE)
        put(set, read_hash(run->data + i));
    return 0;
}

static int read_recent(struct store *store, struct key_set *set, struct error *err)
{
    struct buf run;
    sqlite3_stmt *s;
    int64_t merged = 0;
    int rc = sql_integer(&store->sql, err, &merged, "SELECT EXISTS (SELECT 1 FROM key_index)", "");

    set->merged = merged != 0;
    if (rc == 0)
        rc = sql_start(&store->sql, err, &s, "SELECT hashes FROM key_recent", "");
    if (rc)
        return rc;
    buf_init(&run, HASH_SIZE * KEY_RECENT_MAX);
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = sql_blob(s, 0, &run, err);
        if (rc == 0)
            rc = put_run(set, &run, err);
        if (rc) {
            sql_end(s);
            break;
        }
    }
    buf_done(&run);
    return rc;
}

static int load(struct store *store, struct error *err)
{
    int rc;

    if (store->keys)
        return 0;
    store->keys = calloc(1, sizeof *store->keys);
    if (!store->keys)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = read_recent(store, store->keys, err);
    if (rc)
        key_index_forget(store);
    return rc;
}

void key_index_forget(struct store *store)
{
    if (store->keys)
        key_filter_free(store->keys->filter);
    free(store->keys);
    store->keys = NULL;
}

void key_index_committed(struct store *store)
{
    if (store->keys)
        store->keys->changed = false;
}

void key_index_rolled_back(struct store *store)
{
    if (store->keys && store->keys->changed)
        key_index_forget(store);
}

static int write_run(struct store *store, const struct key_hash *hashes, size_t count,
                     struct error *err)
{
    struct buf run;
    int rc;

    buf_init(&run, HASH_SIZE * KEY_RECENT_MAX);
    for (size_t i = 0; i < count; i++)
        buf_put_u64(&run, hashes[i].hash);
    rc = buf_check(&run, "the keys of a batch", err);
    if (rc == 0)
        rc = sql_run(&store->sql, err, "INSERT INTO key_recent(hashes) VALUES (?)", "b", run.data,
                     run.len);
    buf_done(&run);
    return rc;
}

/* ---- All others. ---- */

/* Of sorted hashes as they are stored, how many are below this one. */
static size_t count_below(const uint8_t *hashes, size_t len, uint64_t hash)
{
    size_t low = 0, high = len / HASH_SIZE;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (read_hash(hashes + middle * HASH_SIZE) < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int find_merged(struct store *store, uint64_t hash, bool *found, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT hashes FROM key_index WHERE prefix = ?", "i",
                     (int64_t)(hash >> PREFIX_SHIFT));

    if (rc == 1) {
        const uint8_t *hashes = sqlite3_column_blob(s, 0);
        size_t len = (size_t)sqlite3_column_bytes(s, 0), at = count_below(hashes, len, hash);

        *found = at < len / HASH_SIZE && read_hash(hashes + at * HASH_SIZE) == hash;
        sql_end(s);
        rc = 0;
    }
    return rc;
}

static void filter_row(struct key_filter *filter, const uint8_t *hashes, size_t len)
{
    for (size_t i = 0; i + HASH_SIZE <= len; i += HASH_SIZE)
        key_filter_put(filter, read_hash(hashes + i));
}

/* Reads the whole table once, so that afterwards few keys have to be looked up in it. */
static int make_filter(struct store *store, struct error *err)
{
    struct key_filter *filter;
    sqlite3_stmt *s;
    int64_t count = 0;
    int rc =
        sql_integer(&store->sql, err, &count, "SELECT sum(length(hashes)) / 8 FROM key_index", "");

    if (rc == 0)
        rc = sql_start(&store->sql, err, &s, "SELECT hashes FROM key_index", "");
    if (rc)
        return rc;
    filter = key_filter_new((uint64_t)count);
    while ((rc = sql_next(&store->sql, s, err)) == 1)
        if (filter)
            filter_row(filter, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
    if (rc == 0 && !filter)
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    if (rc)
        key_filter_free(filter);
    else
        store->keys->filter = filter;
    return rc;
}

/* Of keys that were merged. */
static bool may_have(const struct key_set *set, uint64_t hash)
{
    return set->merged && (!set->filter || key_filter_may_have(set->filter, hash));
}

static void put_until(struct buf *out, const uint64_t *from, const uint64_t *end)
{
    for (; from < end; from++)
        buf_put_u64(out, *from);
}

/* Both sorted. */
static void merge_row(struct buf *out, const struct buf *old, const uint64_t *from,
                      const uint64_t *end)
{
    for (size_t i = 0; i + HASH_SIZE <= old->len; i += HASH_SIZE) {
        uint64_t hash = read_hash(old->data + i);
        const uint64_t *until = from;

        while (until < end && *until < hash)
            until++;
        put_until(out, from, until);
        from = until;
        buf_put_u64(out, hash);
    }
    put_until(out, from, end);
}

static int merge_prefix(struct store *store, const uint64_t *from, const uint64_t *end,
                        struct buf *old, struct buf *merged, struct error *err)
{
    int64_t prefix = (int64_t)(*from >> PREFIX_SHIFT);
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, "SELECT hashes FROM key_index WHERE prefix = ?", "i",
                       prefix);

    buf_reset(old);
    buf_reset(merged);
    if (rc == 0)
        rc = sql_next(&store->sql, s, err);
    if (rc == 1) {
        rc = sql_blob(s, 0, old, err);
        sql_end(s);
    }
    if (rc)
        return rc;
    merge_row(merged, old, from, end);
    rc = buf_check(merged, "the index of public keys", err);
    return rc ? rc
              : sql_run(&store->sql, err,
                        "INSERT OR REPLACE INTO key_index(prefix, hashes) VALUES (?, ?)", "ib",
                        prefix, merged->data, merged->len);
}

static int merge_sorted(struct store *store, const uint64_t *hashes, const uint64_t *end,
                        struct error *err)
{
    struct buf old, merged;
    int rc = 0;

    buf_init(&old, SIZE_MAX);
    buf_init(&merged, SIZE_MAX);
    while (rc == 0 && hashes < end) {
        const uint64_t *next = hashes;

        while (next < end && *next >> PREFIX_SHIFT == *hashes >> PREFIX_SHIFT)
            next++;
        rc = merge_prefix(store, hashes, next, &old, &merged, err);
        hashes = next;
    }
    buf_done(&old);
    buf_done(&merged);
    return rc ? rc : sql_run(&store->sql, err, "DELETE FROM key_recent", "");
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Sorted in their slots; what is in memory starts again from nothing. */
static int merge(struct store *store, struct error *err)
{
    struct key_set *set = store->keys;
    const uint64_t *end = set->slots + SLOTS;
    int rc;

    qsort(set->slots, SLOTS, sizeof *set->slots, compare);
    rc = merge_sorted(store, end - set->count, end, err);
    memset(set->slots, 0, sizeof set->slots);
    set->count = 0;
    set->merged = true;
    key_filter_free(set->filter);
    set->filter = NULL;
    return rc;
}

/* ---- Doubles. ---- */

#define POINT_OF(id)                                                                               \
    "coalesce((SELECT point FROM credentials WHERE id = " id "),"                                  \
    " (SELECT point FROM spare_keys WHERE id = -(" id ")))"

/* A credential has the key of the spare key that it was made of, which is not added again. */
static int refuse_double(struct store *store, int64_t credential, struct error *err)
{
    int64_t doubled = 0;
    int rc = sql_integer(
        &store->sql, err, &doubled,
        "SELECT id FROM credentials WHERE id <> ?1 AND point = " POINT_OF(
            "?1") " UNION ALL"
                  " SELECT -id FROM spare_keys WHERE -id <> ?1 AND point = " POINT_OF("?1"),
        "i", credential);

    if (rc == 0 && doubled)
        rc = error_set(err, ERR_DUPLICATE,
                       "the HSM made a public key that %s %" PRId64
                       " has already: its random source is broken, stop using it",
                       doubled > 0 ? "credential" : "spare key", doubled > 0 ? doubled : -doubled);
    return rc;
}

static int find_hash(struct store *store, uint64_t hash, bool *found, struct error *err)
{
    *found = *slot_of(store->keys, hash) != 0;
    return *found || !may_have(store->keys, hash) ? 0 : find_merged(store, hash, found, err);
}

static int check_double(struct store *store, const struct key_hash *hashes, size_t i,
                        struct error *err)
{
    bool found = i > 0 && hashes[i].hash == hashes[i - 1].hash;
    int rc = found ? 0 : find_hash(store, hashes[i].hash, &found, err);

    return rc == 0 && found ? refuse_double(store, hashes[i].credential, err) : rc;
}

static int compare_hashes(const void *a, const void *b)
{
    return compare(&((const struct key_hash *)a)->hash, &((const struct key_hash *)b)->hash);
}

int key_index_add(struct store *store, struct key_hash *hashes, size_t count, struct error *err)
{
    int rc = load(store, err);

    if (rc)
        return rc;
    store->keys->changed = true;
    if (store->keys->count + count > KEY_RECENT_MAX)
        rc = merge(store, err);
    if (rc == 0 && store->keys->merged && !store->keys->filter && count >= FILTER_FROM)
        rc = make_filter(store, err);
    if (rc)
        return rc;
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = check_double(store, hashes, i, err);
    if (rc == 0)
        rc = write_run(store, hashes, count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        put(store->keys, hashes[i].hash);
    return rc;
}

int key_index_find(struct store *store, const struct public_key *key, int64_t *credential,
                   struct error *err)
{
    size_t len;
    const uint8_t *stored = key_stored(key, &len);
    bool found = false;
    int rc = load(store, err);

    *credential = 0;
    if (rc == 0)
        rc = find_hash(store, key_hash_of(key, 0).hash, &found, err);
    if (rc || !found)
        return rc;
    return sql_integer(&store->sql, err, credential,
                       "SELECT id FROM credentials WHERE point = ?1"
                       " UNION ALL SELECT -id FROM spare_keys WHERE point = ?1",
                       "b", stored, len);
}
