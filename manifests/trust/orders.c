#include "manifests/trust/orders.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "pki/signed.h"

#include <jansson.h>
#include <string.h>

#define ORDER_MAX (1 << 20)

static int read_hash(const char *text, uint8_t hash[SHA256_SIZE])
{
    return text ? hex_decode(text, hash, SHA256_SIZE) : ERR_INPUT;
}

static int read_counts(json_t *counts, struct trust_counts *out)
{
    json_int_t good, max_issued;

    if (json_unpack(counts, "{s:I, s:I}", "good", &good, "max_issued", &max_issued) || good < 0 ||
        max_issued < 0)
        return ERR_INPUT;
    *out = (struct trust_counts){.issued = (uint64_t)max_issued, .good = (uint64_t)good};
    return 0;
}

static int add_issuer(const json_t *text, struct trust_share *share)
{
    if (share->issuer_count == TRUST_ISSUERS_MAX ||
        read_hash(json_string_value(text), share->issuers[share->issuer_count]))
        return ERR_INPUT;
    share->issuer_count++;
    return 0;
}

/* One hash, or a list of them. */
static int read_issuers(const json_t *value, struct trust_share *share)
{
    size_t i;
    json_t *one;

    if (!json_is_array(value))
        return add_issuer(value, share);
    json_array_foreach(value, i, one)
    {
        if (add_issuer(one, share))
            return ERR_INPUT;
    }
    return share->issuer_count ? 0 : ERR_INPUT;
}

static int read_station(const json_t *station, struct trust_share *share)
{
    const char *key = json_string_value(json_object_get(station, "key"));

    const json_t *hosted = json_object_get(station, "hosted");

    share->hosted = hosted != NULL;
    if (read_issuers(hosted ? hosted : json_object_get(station, "issuer"), share))
        return ERR_INPUT;
    memcpy(share->station, share->issuers[0], sizeof share->station);
    return key ? read_hash(key, share->station) : 0;
}

static int read_stations(const json_t *list, struct trust_order *o)
{
    size_t count = json_array_size(list);

    if (count == 0 || count > TRUST_STATIONS_MAX)
        return ERR_INPUT;
    for (; o->station_count < count; o->station_count++) {
        json_t *station = json_array_get(list, o->station_count);
        struct trust_share *share = &o->stations[o->station_count];

        if (read_station(station, share) || read_counts(station, &share->counts))
            return ERR_INPUT;
    }
    return 0;
}

static int read_order(const json_t *order, struct trust_order *o)
{
    const char *type = json_string_value(json_object_get(order, "type"));

    if (!type || (strcmp(type, "order") != 0 && strcmp(type, "amendment") != 0))
        return ERR_INPUT;
    o->amendment = strcmp(type, "amendment") == 0;
    if (o->amendment && read_hash(json_string_value(json_object_get(order, "amends")), o->amends))
        return ERR_INPUT;
    return read_counts(json_object_get(order, "counts"), &o->counts) ||
                   read_stations(json_object_get(order, "stations"), o)
               ? ERR_INPUT
               : 0;
}

static int read_content(const char *path, struct buf *content, struct error *err)
{
    struct buf file;
    int rc;

    buf_init(&file, ORDER_MAX);
    rc = file_read(path, &file, err);
    if (rc == 0 && signed_open(file.data, file.len, NULL, content, NULL)) {
        buf_reset(content);
        buf_put(content, file.data, file.len);
    }
    buf_done(&file);
    return rc;
}

int trust_orders_read(const char *path, struct trust_orders *orders, struct error *err)
{
    struct trust_order *o = &orders->at[orders->count];
    struct buf content;
    json_t *order;
    int rc;

    if (orders->count == TRUST_ORDERS_MAX)
        return error_set(err, ERR_INPUT, "more than %d orders", TRUST_ORDERS_MAX);
    *o = (struct trust_order){0};
    buf_init(&content, ORDER_MAX);
    rc = read_content(path, &content, err);
    if (rc == 0) {
        order = json_loadb((const char *)content.data, content.len, JSON_REJECT_DUPLICATES, NULL);
        sha256(content.data, content.len, o->hash);
        if (read_order(order, o))
            rc = error_set(err, ERR_INPUT,
                           "'%s' is not an order: it needs type, counts and stations, and an "
                           "amendment amends",
                           path);
        json_decref(order);
    }
    if (rc == 0 && !trust_orders_find(orders, o->hash))
        orders->count++;
    buf_done(&content);
    return rc;
}

/* The version that amends o, or NULL. */
static const struct trust_order *next_of(const struct trust_orders *orders,
                                         const struct trust_order *o)
{
    for (size_t i = 0; i < orders->count; i++)
        if (orders->at[i].amendment && sha256_equal(orders->at[i].amends, o->hash))
            return &orders->at[i];
    return NULL;
}

int trust_orders_check(const struct trust_orders *orders, struct error *err)
{
    for (size_t i = 0; i < orders->count; i++) {
        const struct trust_order *o = &orders->at[i], *amended;

        if (!o->amendment)
            continue;
        amended = trust_orders_find(orders, o->amends);
        if (!amended)
            return error_set(err, ERR_INPUT,
                             "amendment %02x%02x%02x%02x... amends a version that is not among "
                             "those given: name every version with --order",
                             o->hash[0], o->hash[1], o->hash[2], o->hash[3]);
        if (next_of(orders, amended) != o)
            return error_set(err, ERR_INPUT,
                             "two amendments amend version %02x%02x%02x%02x...: name the one that "
                             "was sent to the stations",
                             amended->hash[0], amended->hash[1], amended->hash[2],
                             amended->hash[3]);
    }
    return 0;
}

const struct trust_order *trust_orders_find(const struct trust_orders *orders,
                                            const uint8_t hash[SHA256_SIZE])
{
    for (size_t i = 0; i < orders->count; i++)
        if (sha256_equal(orders->at[i].hash, hash))
            return &orders->at[i];
    return NULL;
}

const struct trust_order *trust_orders_first(const struct trust_orders *orders,
                                             const struct trust_order *o)
{
    while (o && o->amendment)
        o = trust_orders_find(orders, o->amends);
    return o;
}

const struct trust_order *trust_orders_newest(const struct trust_orders *orders,
                                              const struct trust_order *o)
{
    const struct trust_order *next;

    while ((next = next_of(orders, o)))
        o = next;
    return o;
}

const struct trust_share *trust_order_share(const struct trust_order *o,
                                            const uint8_t issuer[SHA256_SIZE])
{
    for (size_t i = 0; i < o->station_count; i++)
        for (size_t n = 0; n < o->stations[i].issuer_count; n++)
            if (sha256_equal(o->stations[i].issuers[n], issuer))
                return &o->stations[i];
    return NULL;
}

const struct trust_share *trust_order_share_of(const struct trust_order *o,
                                               const uint8_t station[SHA256_SIZE])
{
    for (size_t i = 0; i < o->station_count; i++)
        if (sha256_equal(o->stations[i].station, station))
            return &o->stations[i];
    return NULL;
}
