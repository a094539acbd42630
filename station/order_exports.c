#include "station/order_exports.h"

#include "base/clock.h"
#include "manifests/platforms/export.h"
#include "station/order_stations.h"
#include "station/profile/sample.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_DIGITS 4 /* where the order does not say how many follow the prefix */

/* The first serial of a range, or one of those that begin with the prefix. What others there are is
 * known only when they come: order_exports_serial judges each. */
static void serial_sample(const struct order_serials *s, char out[IMPRINT_SERIAL_MAX + 1])
{
    bool range = s->kind == ORDER_SERIALS_RANGE;

    snprintf(out, IMPRINT_SERIAL_MAX + 1, "%s%0*" PRId64, s->prefix,
             range ? (int)s->digits : SAMPLE_DIGITS, range ? s->first : 0);
}

static const char *rule_of(const struct order *order, const char *serial,
                           const struct export_format **broken)
{
    for (size_t i = 0; i < order->export_count; i++) {
        const char *rule = order->exports[i]->refuses(serial);

        *broken = order->exports[i];
        if (rule)
            return rule;
    }
    return NULL;
}

/* All serials of a range have one length and one set of characters: the first stands for all. */
static int check_range(const struct order_source *s, const struct order *order,
                       const struct order_share *share)
{
    char serial[IMPRINT_SERIAL_MAX + 1], text[400];
    const struct export_format *broken;
    const char *rule;

    serial_sample(&share->serials, serial);
    rule = rule_of(order, serial, &broken);
    if (!rule)
        return 0;
    snprintf(text, sizeof text, "of platforms that take the serials: '%s' would refuse '%s': %s",
             broken->name, serial, rule);
    return order_wrong(s, "exports", text);
}

static struct order_serials folded(const struct order_serials *s)
{
    struct order_serials lower = *s;

    for (char *c = lower.prefix; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return lower;
}

/* Two stations whose serials differ in case alone. */
static int check_case(const struct order_source *s, const struct order *order)
{
    bool folds = false;

    for (size_t i = 0; i < order->export_count; i++)
        folds |= order->exports[i]->folds_case;
    for (size_t i = 0; folds && i < order->station_count; i++)
        for (size_t k = 0; k < i; k++) {
            struct order_serials a = folded(&order->stations[i].serials);
            struct order_serials b = folded(&order->stations[k].serials);

            if (order_serials_overlap(&a, &b))
                return order_wrong(s, "exports",
                                   "of platforms that tell the serials apart: two stations have "
                                   "serials that differ in case alone, which does not count there");
        }
    return 0;
}

/* What has no certificates is not told by them, and no keys where there are none. */
static int check_kind(const struct order_source *s, const struct order *order,
                      const struct export_format *p)
{
    char text[160];

    if (p->secret && !order->symmetric_key && !(order->key_modes & IMPRINT_MODE_DERIVED))
        snprintf(text, sizeof text, "without '%s' where no symmetric keys are made", p->name);
    else if (!p->secret && order->key_modes == IMPRINT_MODE_DERIVED)
        snprintf(text, sizeof text, "without '%s', which needs certificates, in key mode derived",
                 p->name);
    else
        return 0;
    return order_wrong(s, "exports", text);
}

int order_exports_member(const struct order_source *s, const json_t *root, struct order *order)
{
    const json_t *list = json_object_get(root, "exports");
    size_t n = json_array_size(list);
    char expected[320];

    if (!list)
        return 0;
    snprintf(expected, sizeof expected, "a list of different ones of %s", platform_names());
    if (n == 0 || n > ORDER_EXPORTS_MAX)
        return order_wrong(s, "exports", expected);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        const struct export_format *p = name ? platform_find(name) : NULL;

        for (size_t k = 0; k < i; k++)
            if (order->exports[k] == p)
                p = NULL;
        if (!p)
            return order_wrong(s, "exports", expected);
        if (check_kind(s, order, p))
            return ERR_INPUT;
        order->exports[order->export_count++] = p;
    }
    for (size_t i = 0; i < order->station_count; i++)
        if (check_range(s, order, &order->stations[i]))
            return ERR_INPUT;
    return check_case(s, order);
}

int order_exports_serial(const struct order *order, const char *serial, struct error *err)
{
    const struct export_format *broken;
    const char *rule = rule_of(order, serial, &broken);

    if (!rule)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' exports to '%s', which would refuse the serial '%s': %s",
                     order->id, broken->name, serial, rule);
}

int order_exports_profile(const struct order *order, const struct cert_profile *profile,
                          const char *const values[VALUE_COUNT], struct error *err)
{
    const char *all[VALUE_COUNT], *rule = NULL;
    char serial[IMPRINT_SERIAL_MAX + 1];
    struct sample sample = {.cert = NULL};
    struct sample_algorithms algorithms = {0};
    size_t i;
    int rc;

    if (order->export_count == 0)
        return 0;
    sample_values(all);
    for (i = 0; i < VALUE_COUNT; i++)
        if (values[i])
            all[i] = values[i];
    serial_sample(&order->stations[0].serials, serial);
    all[VALUE_SERIAL] = serial;
    while (!(order->keys >> algorithms.key & 1))
        algorithms.key++; /* the first that it allows */
    algorithms.ca = sample_ca(profile);
    rc = sample_make(profile, all, clock_utc(), &algorithms, &sample, err);
    for (i = 0; rc == 0 && !rule && i < order->export_count; i++)
        if (!order->exports[i]->secret)
            rule = platform_refuses_certificate(order->exports[i], sample.cert, serial);
    if (rule)
        rc = error_set(err, ERR_REFUSED,
                       "order '%s' exports to '%s', which would refuse certificates of profile "
                       "'%s': %s",
                       order->id, order->exports[i - 1]->name, profile->name, rule);
    sample_done(&sample);
    return rc;
}
