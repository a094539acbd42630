#include "station/report/report.h"

#include "base/codec.h"
#include "manifests/cert.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more of an array that doubles. */
static int make_room(void **list, size_t count, size_t size, struct error *err)
{
    void *moved = *list;

    if (count == 0 || (count >= 64 && (count & (count - 1)) == 0))
        moved = reallocarray(*list, count < 64 ? 64 : 2 * count, size);
    if (!moved)
        return error_set(err, ERR_INTERNAL, "out of memory for the report");
    *list = moved;
    return 0;
}

#define COPY(to, from) snprintf(to, sizeof(to), "%s", (from) ? (from) : "")

/* ---- units ---- */

static void name_certificate(struct report_unit *u, const uint8_t *der, size_t len)
{
    uint8_t hash[SHA256_SIZE];
    struct cert cert;

    if (len == 0)
        return;
    sha256(der, len, hash);
    hex_encode(hash, sizeof hash, u->certificate);
    if (cert_parse(der, len, &cert) == 0 && 2 * cert.serial.len < sizeof u->number)
        hex_encode(cert.serial.p, cert.serial.len, u->number);
}

static int64_t time_of(const json_t *entry)
{
    const char *at = json_string_value(json_object_get(entry, "at"));
    int64_t utc = 0;

    return at && clock_parse(at, &utc) == 0 ? utc : 0;
}

/* The person who said so, or else the system's user. */
static const char *who_of(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "operator"));

    return name ? name : json_string_value(json_object_get(entry, "by"));
}

static void take_proof(struct report_unit *u, const char *body)
{
    json_t *entry = body ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *data = json_object_get(entry, "data"), *leaf = json_object_get(data, "leaf");

    u->leaf = leaf ? json_integer_value(leaf) : -1;
    if (entry) {
        u->proven = time_of(entry);
        COPY(u->who, who_of(entry));
        COPY(u->build, json_string_value(json_object_get(data, "build")));
    }
    json_decref(entry);
}

/* Of one that proved nothing, who began it. */
static void take_claim(struct report_unit *u, const char *body)
{
    json_t *entry = body ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;

    if (entry) {
        u->claimed = time_of(entry);
        COPY(u->who, who_of(entry));
        COPY(u->build, json_string_value(json_object_get(json_object_get(entry, "data"), "build")));
    }
    json_decref(entry);
}

static int take_unit(void *context, const struct history_unit *h, struct error *err)
{
    struct report *r = context;
    struct report_unit *u;
    void *list = r->units;
    int rc = make_room(&list, r->unit_count, sizeof *r->units, err);

    if (rc)
        return rc;
    r->units = list;
    u = &r->units[r->unit_count++];
    *u = (struct report_unit){
        .credential = h->credential, .debug = h->debug, .manifest = h->manifest};
    memcpy(u->tx, h->tx, sizeof u->tx);
    COPY(u->serial, h->serial);
    COPY(u->product, h->product);
    COPY(u->order, h->order);
    COPY(u->chip, h->chip);
    COPY(u->slot, h->slot);
    COPY(u->firmware, h->firmware);
    COPY(u->image_hash, h->image_hash);
    COPY(u->state, strcmp(h->event, "claim") ? h->event : "claimed");
    name_certificate(u, h->cert, h->cert_len);
    take_claim(u, h->claim);
    take_proof(u, h->proven);
    return 0;
}

/* ---- attempts ---- */

static int take_attempt(void *context, const struct history_try *h, struct error *err)
{
    struct report *r = context;
    struct report_attempt *a;
    void *list = r->attempts;
    char *text = strdup(h->text);
    int rc = make_room(&list, r->attempt_count, sizeof *r->attempts, err);

    if (rc == 0 && !text)
        rc = error_set(err, ERR_INTERNAL, "out of memory for the report");
    if (rc) {
        free(text);
        return rc;
    }
    r->attempts = list;
    a = &r->attempts[r->attempt_count++];
    *a = (struct report_attempt){.at = h->at,
                                 .code = h->code,
                                 .again = h->code == 0 && strcmp(h->text, "proven again") == 0,
                                 .has_tx = h->has_tx,
                                 .text = text};
    memcpy(a->tx, h->tx, sizeof a->tx);
    COPY(a->slot, h->slot);
    COPY(a->serial, h->serial);
    COPY(a->chip, h->chip);
    return 0;
}

static int compare_tx(const void *a, const void *b)
{
    return memcmp((*(const struct report_unit *const *)a)->tx,
                  (*(const struct report_unit *const *)b)->tx, IMPRINT_TX_SIZE);
}

static void count_attempt(struct report_unit **by_tx, size_t count, const struct report_attempt *a)
{
    struct report_unit key, *wanted = &key, **unit;

    if (!a->has_tx || a->again)
        return;
    memcpy(key.tx, a->tx, sizeof key.tx);
    unit = bsearch(&wanted, by_tx, count, sizeof *by_tx, compare_tx);
    if (!unit)
        return;
    (*unit)->attempts++;
    (*unit)->failed += a->code != 0;
}

static int count_attempts(struct report *r, struct error *err)
{
    struct report_unit **by_tx = calloc(r->unit_count + 1, sizeof *by_tx);

    if (!by_tx)
        return error_set(err, ERR_INTERNAL, "out of memory for the report");
    for (size_t i = 0; i < r->unit_count; i++)
        by_tx[i] = &r->units[i];
    qsort(by_tx, r->unit_count, sizeof *by_tx, compare_tx);
    for (size_t i = 0; i < r->attempt_count; i++)
        count_attempt(by_tx, r->unit_count, &r->attempts[i]);
    free(by_tx);
    return 0;
}

/* ---- the report ---- */

static int refuse_empty(const struct report *r, struct error *err)
{
    const struct history_filter *f = &r->filter;

    if (r->unit_count || r->attempt_count || f->kind == HISTORY_TIME)
        return 0;
    return error_set(err, ERR_MISSING,
                     f->kind == HISTORY_SERIAL ? "no device was given the serial '%s'"
                                               : "no device was made under the order or lot '%s'",
                     f->name);
}

int report_read(struct store *store, const struct history_filter *filter, struct report *report,
                struct error *err)
{
    int rc;

    *report = (struct report){.filter = *filter, .made = clock_utc()};
    rc = history_units(store, filter, take_unit, report, err);
    if (rc == 0)
        rc = history_tries(store, filter, take_attempt, report, err);
    if (rc == 0)
        rc = count_attempts(report, err);
    return rc ? rc : refuse_empty(report, err);
}

void report_done(struct report *report)
{
    for (size_t i = 0; i < report->attempt_count; i++)
        free(report->attempts[i].text);
    free(report->attempts);
    free(report->units);
    *report = (struct report){.made = 0};
}
