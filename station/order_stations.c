#include "station/order_stations.h"

#include "agent/ids.h"
#include "base/buf.h"
#include "base/codec.h"
#include "pki/digest.h"
#include "pki/serial_name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SERIAL_DIGITS_MAX 12
#define LOG_SIZE_MAX      INT64_C(1000000000000)

int order_counts_members(const struct order_source *s, const json_t *object,
                         struct order_counts *counts)
{
    static const char expected[] = "a whole number, and max_issued not below good";
    const int64_t most = ORDER_COUNT_MAX;

    if (order_number(s, object, "good", 1, most, expected, &counts->good) ||
        order_number(s, object, "max_issued", counts->good, most, expected, &counts->max_issued) ||
        order_number(s, object, "spoilage", 0, most, expected, &counts->spoilage))
        return ERR_INPUT;
    return order_number(s, object, "rework", 0, most, expected, &counts->rework);
}

static int64_t highest(int64_t digits)
{
    int64_t n = 1;

    while (digits-- > 0)
        n *= 10;
    return n - 1;
}

/* {"list": HASH} */
static int list_member(const struct order_source *s, const json_t *map,
                       struct order_serials *serials)
{
    static const char *const names[] = {"list", NULL};

    serials->kind = ORDER_SERIALS_LIST;
    return order_known(s, map, names) || order_hash_text(s, map, "list", serials->list) ? ERR_INPUT
                                                                                        : 0;
}

/* {"prefix": TEXT} */
static int prefix_member(const struct order_source *s, const json_t *map,
                         struct order_serials *serials)
{
    const char *prefix = json_string_value(json_object_get(map, "prefix"));

    serials->kind = ORDER_SERIALS_PREFIX;
    if (!prefix || strlen(prefix) >= sizeof serials->prefix ||
        strspn(prefix, SERIAL_CHARACTERS) != strlen(prefix))
        return order_wrong(s, "prefix", "at most 40 characters of a serial, or empty");
    strcpy(serials->prefix, prefix);
    return 0;
}

static int range_members(const struct order_source *s, const json_t *map, struct order_share *share)
{
    struct order_serials *serials = &share->serials;

    if (order_word(s, map, "prefix", serials->prefix, sizeof serials->prefix) ||
        order_number(s, map, "digits", 1, SERIAL_DIGITS_MAX, "a whole number from 1 to 12",
                     &serials->digits) ||
        order_number(s, map, "first", 0, highest(serials->digits), "a number of so many digits",
                     &serials->first))
        return ERR_INPUT;
    return order_number(
        s, map, "last", serials->first + share->counts.max_issued - 1, highest(serials->digits),
        "a number of so many digits that leaves room for max_issued serials", &serials->last);
}

static int serials_member(const struct order_source *s, const json_t *object,
                          struct order_share *share)
{
    static const char *const names[] = {"prefix", "digits", "first", "last", NULL};
    const json_t *map = NULL;

    if (order_object(s, object, "serials", &map))
        return ERR_INPUT;
    if (json_object_get(map, "list"))
        return list_member(s, map, &share->serials);
    if (order_known(s, map, names))
        return ERR_INPUT;
    return json_object_size(map) == 1 && json_object_get(map, "prefix")
               ? prefix_member(s, map, &share->serials)
               : range_members(s, map, share);
}

/* As checkpoint and manifest.json write it. */
static int root_member(const struct order_source *s, const json_t *object, uint8_t root[32])
{
    const json_t *value = json_object_get(object, "root");
    struct buf bytes;
    int rc = 0;

    buf_init(&bytes, 64);
    if (!json_is_string(value) ||
        base64_decode(json_string_value(value), json_string_length(value), &bytes) ||
        bytes.len != 32)
        rc = order_wrong(s, "root", "base64 of 32 bytes, as the manifest writes it");
    else
        memcpy(root, bytes.data, 32);
    buf_done(&bytes);
    return rc;
}

static int after_member(const struct order_source *s, const json_t *object,
                        struct order_share *share)
{
    static const char *const names[] = {"origin", "size", "root", NULL};
    struct order_after *after = &share->after;
    const json_t *map = NULL;

    share->has_after = json_object_get(object, "after") != NULL;
    if (!share->has_after)
        return 0;
    if (order_object(s, object, "after", &map) || order_known(s, map, names) ||
        order_text(s, map, "origin", after->origin, sizeof after->origin) ||
        order_number(s, map, "size", 1, LOG_SIZE_MAX, "how many records were accepted",
                     &after->size))
        return ERR_INPUT;
    return root_member(s, map, after->root);
}

static int add_issuer(const struct order_source *s, const char *member, const json_t *value,
                      struct order_share *share)
{
    uint8_t *hash = share->issuers[share->issuer_count];
    const char *text = json_string_value(value);

    if (!text || hex_decode(text, hash, 32))
        return order_wrong(s, member, "a SHA-256 in 64 hexadecimal digits, or a list of them");
    for (size_t i = 0; i < share->issuer_count; i++)
        if (sha256_equal(share->issuers[i], hash))
            return order_wrong(s, member, "each issuing CA once");
    share->issuer_count++;
    return 0;
}

/* One hash, or those of several CAs: for another product, or while one follows the other. They are the
 * station's own, or all of them hosted. */
static int issuer_member(const struct order_source *s, const json_t *object,
                         struct order_share *share)
{
    const json_t *hosted = json_object_get(object, "hosted");
    const char *member = hosted ? "hosted" : "issuer";
    const json_t *value = hosted ? hosted : json_object_get(object, "issuer");
    size_t n = json_array_size(value);
    int rc = 0;

    if (hosted && json_object_get(object, "issuer"))
        return order_wrong(s, "hosted", "left out where there is an issuer: one of the two");
    share->hosted = hosted != NULL;
    if (!json_is_array(value))
        return add_issuer(s, member, value, share);
    if (n == 0 || n > ORDER_ISSUERS_MAX)
        return order_wrong(s, member, "1 to 8 issuing CAs");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_issuer(s, member, json_array_get(value, i), share);
    return rc;
}

static int station_members(const struct order_source *s, const json_t *object,
                           struct order_share *share)
{
    static const char *const names[] = {"key",      "issuer", "hosted",  "good",  "max_issued",
                                        "spoilage", "rework", "serials", "after", NULL};

    if (!json_is_object(object))
        return order_wrong(s, "", "an object");
    if (order_known(s, object, names) || order_hash_text(s, object, "key", share->key) ||
        issuer_member(s, object, share) || order_counts_members(s, object, &share->counts) ||
        serials_member(s, object, share))
        return ERR_INPUT;
    return after_member(s, object, share);
}

static bool overlap(const struct order_serials *a, const struct order_serials *b)
{
    return strcmp(a->prefix, b->prefix) == 0 && a->digits == b->digits && a->first <= b->last &&
           b->first <= a->last;
}

/*
 * "P-" with four digits and "P-1" with three write the same texts: where the longer prefix is the
 * shorter one and digits, and the texts are of one length, they may not be in one order.
 */
static bool same_text(const struct order_serials *a, const struct order_serials *b)
{
    const struct order_serials *shorter = strlen(a->prefix) < strlen(b->prefix) ? a : b;
    const char *longer = shorter == a ? b->prefix : a->prefix;
    size_t n = strlen(shorter->prefix), rest = strlen(longer) - n;

    return rest > 0 && strncmp(shorter->prefix, longer, n) == 0 &&
           strspn(longer + n, "0123456789") == rest &&
           strlen(a->prefix) + (size_t)a->digits == strlen(b->prefix) + (size_t)b->digits;
}

/* One of the two is all serials of a prefix. */
static bool prefixes_meet(const struct order_serials *a, const struct order_serials *b)
{
    size_t la = strlen(a->prefix), lb = strlen(b->prefix);

    return strncasecmp(a->prefix, b->prefix, la < lb ? la : lb) == 0;
}

bool order_serials_overlap(const struct order_serials *a, const struct order_serials *b)
{
    if (a->kind == ORDER_SERIALS_LIST || b->kind == ORDER_SERIALS_LIST)
        return a->kind == b->kind && sha256_equal(a->list, b->list);
    if (a->kind == ORDER_SERIALS_PREFIX || b->kind == ORDER_SERIALS_PREFIX)
        return prefixes_meet(a, b);
    return overlap(a, b) || same_text(a, b);
}

bool order_serials_hold(const struct order_serials *serials, const char *text)
{
    size_t prefix = strlen(serials->prefix);
    int64_t number = 0;

    if (serials->kind == ORDER_SERIALS_LIST || strncmp(text, serials->prefix, prefix))
        return false;
    if (serials->kind == ORDER_SERIALS_PREFIX)
        return true;
    text += prefix;
    if (strlen(text) != (size_t)serials->digits ||
        strspn(text, "0123456789") != (size_t)serials->digits)
        return false;
    for (; *text; text++)
        number = 10 * number + (*text - '0');
    return number >= serials->first && number <= serials->last;
}

static bool share_a_hosted(const struct order_share *a, const struct order_share *b)
{
    for (size_t i = 0; a->hosted && b->hosted && i < a->issuer_count; i++)
        for (size_t k = 0; k < b->issuer_count; k++)
            if (sha256_equal(a->issuers[i], b->issuers[k]))
                return true;
    return false;
}

static int check_against(const struct order_source *s, const struct order_share *a,
                         const struct order_share *b)
{
    if (share_a_hosted(a, b))
        return order_wrong(s, "hosted",
                           "of a CA that no station before has: an importer tells by it whose a "
                           "certificate is, so give each station an order of its own");
    if (sha256_equal(a->key, b->key))
        return order_wrong(s, "key", "of a station that is not listed before");
    if (order_serials_overlap(&a->serials, &b->serials))
        return order_wrong(s, "serials", "apart from those of every station before");
    return 0;
}

/* The counts are at most 1e8 and the stations 64, so that no sum overflows. */
static int check_sums(const struct order_source *s, const struct order *order)
{
    struct order_counts sum = {0};

    for (size_t i = 0; i < order->station_count; i++) {
        const struct order_counts *c = &order->stations[i].counts;

        sum.good += c->good;
        sum.max_issued += c->max_issued;
        sum.spoilage += c->spoilage;
        sum.rework += c->rework;
    }
    if (sum.good > order->counts.good || sum.max_issued > order->counts.max_issued ||
        sum.spoilage > order->counts.spoilage || sum.rework > order->counts.rework)
        return order_wrong(s, "stations", "shares that are together at most the counts");
    return 0;
}

static int read_station(const struct order_source *s, const json_t *list, struct order *order)
{
    struct order_source one = *s;
    size_t index = order->station_count;
    int rc;

    snprintf(one.where, sizeof one.where, "stations[%zu].", index);
    rc = station_members(&one, json_array_get(list, index), &order->stations[index]);
    if (rc == 0 && order->stations[index].hosted && order->key_modes != IMPRINT_MODE_HSM)
        rc = order_wrong(
            &one, "hosted",
            "left out unless key_modes is [\"hsm\"]: a hosted CA signs in its own time, "
            "and no device waits for it");
    for (size_t i = 0; rc == 0 && i < index; i++)
        rc = check_against(&one, &order->stations[i], &order->stations[index]);
    order->station_count++;
    return rc;
}

int order_stations_member(const struct order_source *s, const json_t *root, struct order *order)
{
    const json_t *list = json_object_get(root, "stations");
    size_t n = json_array_size(list);
    int rc = 0;

    if (n == 0 || n > ORDER_STATIONS_MAX)
        return order_wrong(s, "stations", "a list of 1 to 64 stations");
    while (rc == 0 && order->station_count < n)
        rc = read_station(s, list, order);
    return rc ? rc : check_sums(s, order);
}
