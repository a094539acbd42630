#include "station/job_serials.h"

#include "pki/serial_name.h"
#include "station/order_exports.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const sources[] = {[SOURCE_ASSIGNED] = "assigned",
                                      [SOURCE_LISTED] = "listed",
                                      [SOURCE_SCANNED] = "scanned",
                                      [SOURCE_DEVICE] = "device"};
#define SOURCES (sizeof sources / sizeof *sources)

const struct schema_field job_serials_fields[] = {
    {.name = "source",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_serials, source_name),
     .min = 1,
     .max = 15,
     .meaning = "assigned, listed, scanned or device: where serials come from"},
    {.name = "prefix",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_serials, prefix),
     .min = 1,
     .max = 40,
     .meaning = "text before the number, or before the chip id"},
    {.name = "digits",
     .type = SCHEMA_INT,
     .offset = offsetof(struct job_serials, digits),
     .min = 1,
     .max = 12,
     .meaning = "digits of the number"},
    {.name = "first",
     .type = SCHEMA_INT,
     .offset = offsetof(struct job_serials, first),
     .min = 0,
     .max = INT64_C(999999999999),
     .meaning = "first number"},
    {.name = "file",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_serials, file),
     .min = 1,
     .max = PATH_MAX - 1,
     .meaning = "path of the list of serials, one a line"},
    {.name = "input",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_serials, input),
     .min = 1,
     .max = PATH_MAX - 1,
     .meaning = "path of the pipe that scanned labels come from; without it, standard input"},
    {.name = NULL}};

static bool find_source(const char *name, enum job_source *source)
{
    for (size_t i = 0; i < SOURCES; i++)
        if (strcmp(name, sources[i]) == 0) {
            *source = (enum job_source)i;
            return true;
        }
    return false;
}

bool job_serials_ahead(const struct job_serials *s)
{
    return s->source == SOURCE_ASSIGNED || s->source == SOURCE_LISTED;
}

/* ---- what each source has ---- */

enum need { NO, MAY, MUST };
static const struct {
    enum need prefix, digits, first, file, input;
} needs[] = {
    [SOURCE_ASSIGNED] = {MUST, MUST, MUST, NO, NO},
    [SOURCE_LISTED] = {NO, NO, NO, MUST, NO},
    [SOURCE_SCANNED] = {NO, NO, NO, MAY, MAY},
    [SOURCE_DEVICE] = {MAY, NO, NO, MAY, NO},
};

static int need_member(enum need need, bool given, const char *name, const char *source,
                       const char **member, struct error *err)
{
    if (need == MAY || given == (need == MUST))
        return 0;
    *member = given ? name : NULL;
    if (given)
        return error_set(err, ERR_INPUT, "'%s' has no place with 'source: %s'", name, source);
    return error_set(err, ERR_INPUT, "missing field '%s', which 'source: %s' needs", name, source);
}

int job_serials_check(const void *serials, const char **member, struct error *err)
{
    const struct job_serials *s = serials;
    enum job_source source;
    const char *name = s->source_name;

    if (!find_source(name, &source)) {
        *member = "source";
        return error_set(err, ERR_INPUT, "'source' must be assigned, listed, scanned or device");
    }
    if (need_member(needs[source].prefix, *s->prefix, "prefix", name, member, err) ||
        need_member(needs[source].digits, s->digits > 0, "digits", name, member, err) ||
        need_member(needs[source].first, s->first >= 0, "first", name, member, err) ||
        need_member(needs[source].file, *s->file, "file", name, member, err))
        return ERR_INPUT;
    return need_member(needs[source].input, *s->input, "input", name, member, err);
}

int job_serials_read(struct job_serials *s, struct error *err)
{
    int rc;

    if (!find_source(s->source_name, &s->source))
        return error_set(err, ERR_INTERNAL, "a job's serials have no source");
    if (!*s->file)
        return 0;
    rc = serial_list_read(s->file, &s->list, err);
    if (rc == ERR_MISSING)
        rc = error_set(err, rc,
                       "there is no file '%s': put it there, or correct 'file' in 'serials'",
                       s->file);
    return rc;
}

void job_serials_done(struct job_serials *s)
{
    serial_list_done(&s->list);
}

/* ---- against the order ---- */

static int bind_pattern(const struct job_serials *s, const struct order_serials *range,
                        const char *path, const char *order, struct error *err)
{
    if (range->kind == ORDER_SERIALS_RANGE && strcmp(s->prefix, range->prefix) == 0 &&
        s->digits == range->digits && s->first >= range->first && s->first <= range->last)
        return 0;
    if (range->kind != ORDER_SERIALS_RANGE)
        return error_set(err, ERR_REFUSED,
                         "'%s' assigns serials by number, and order '%s' gives this station no "
                         "numbers: use another 'source', or ask the owner",
                         path, order);
    return error_set(err, ERR_REFUSED,
                     "the serials of '%s' are not this station's: order '%s' gives it prefix '%s', "
                     "%" PRId64 " digits, numbers %" PRId64 " to %" PRId64,
                     path, order, range->prefix, range->digits, range->first, range->last);
}

static int refuse_list(const struct job_serials *s, const char *order, struct error *err)
{
    if (!*s->file)
        return error_set(err, ERR_INPUT,
                         "order '%s' gives this station the serials of a list: add 'file: PATH' to "
                         "'serials'",
                         order);
    return error_set(err, ERR_REFUSED,
                     "the list '%s' is not the one that order '%s' names by hash for this station",
                     s->file, order);
}

/* The order names a list by its hash, so only who has the list sees what of it is another station's. */
static bool is_of_another(const struct order_serials *range, const struct order *order,
                          const char *serial)
{
    for (size_t i = 0; i < order->station_count; i++)
        if (&order->stations[i].serials != range &&
            order_serials_hold(&order->stations[i].serials, serial))
            return true;
    return false;
}

static int check_line(const struct job_serials *s, const struct order_serials *range,
                      const struct order *order, size_t i, struct error *err)
{
    const char *serial = s->list.at[i];

    if (range->kind == ORDER_SERIALS_LIST && is_of_another(range, order, serial))
        return error_set(err, ERR_REFUSED,
                         "%s:%zu:1: order '%s' gives the serial '%s' to another station as well, "
                         "and two devices would have it: ask the owner for an amendment",
                         s->file, i + 1, order->id, serial);
    if (range->kind != ORDER_SERIALS_LIST && !order_serials_hold(range, serial))
        return error_set(err, ERR_REFUSED,
                         "%s:%zu:1: order '%s' does not give this station the serial '%s'", s->file,
                         i + 1, order->id, serial);
    if (order_exports_serial(order, serial, err))
        return error_prefix(err, "%s:%zu:1", s->file, i + 1);
    return 0;
}

static int bind_list(const struct job_serials *s, const struct order_serials *range,
                     const struct order *order, struct error *err)
{
    int rc = 0;

    if (range->kind == ORDER_SERIALS_LIST &&
        (!*s->file || !sha256_equal(s->list.hash, range->list)))
        return refuse_list(s, order->id, err);
    for (size_t i = 0; rc == 0 && i < s->list.count; i++)
        rc = check_line(s, range, order, i, err);
    return rc;
}

int job_serials_bind(const struct job_serials *s, const struct order_serials *range,
                     const char *path, const struct order *order, struct error *err)
{
    return s->source == SOURCE_ASSIGNED ? bind_pattern(s, range, path, order->id, err)
                                        : bind_list(s, range, order, err);
}

int job_serials_allow(const struct job_serials *s, const struct order_serials *range,
                      const struct order *order, const char *serial, struct error *err)
{
    int rc = serial_check(serial, err);

    if (rc == 0)
        rc = order_exports_serial(order, serial, err);
    if (rc)
        return rc;
    if (s->list.count && !serial_list_has(&s->list, serial))
        return error_set(err, ERR_REFUSED,
                         "the serial '%s' is not in the list '%s': is it the right product? call "
                         "the engineer",
                         serial, s->file);
    if (range->kind == ORDER_SERIALS_LIST || order_serials_hold(range, serial))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the serial '%s' is none that the order gives this station: is it the right "
                     "product? call the engineer",
                     serial);
}

int job_serial_text(const struct job_serials *serials, int64_t n, char *out, size_t size,
                    struct error *err)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%0*" PRId64, (int)serials->digits, n);
    int total = snprintf(out, size, "%s%s", serials->prefix, digits);

    if (len != serials->digits || total < 0 || (size_t)total >= size)
        return error_set(err, ERR_INPUT,
                         "serial number %" PRId64 " does not fit the %" PRId64
                         " digits of the job's pattern '%s'",
                         n, serials->digits, serials->prefix);
    return 0;
}
