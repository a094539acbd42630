#include "station/job_label.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const kinds[] = {[GS1_ANY] = "any", [GS1_ONLY] = "gs1", [GS1_PLAIN] = "plain"};
#define KINDS (sizeof kinds / sizeof *kinds)

const struct schema_field job_label_fields[] = {
    {.name = "kind",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_label, kind_name),
     .min = 3,
     .max = 5,
     .meaning = "any, gs1 or plain: which codes the labels have"},
    {.name = "lot",
     .type = SCHEMA_TEXT,
     .offset = offsetof(struct job_label, lot),
     .min = 1,
     .max = GS1_TEXT_MAX,
     .meaning = "lot that each label must name"},
    {.name = "check",
     .type = SCHEMA_BOOL,
     .offset = offsetof(struct job_label, check),
     .meaning = "true: each label is compared with what was read back, before the unit counts"},
    {.name = NULL}};

/* The number of a kind's name, KINDS for no such name. */
static size_t find_kind(const char *name)
{
    size_t i = 0;

    if (!*name)
        return GS1_ANY;
    while (i < KINDS && strcmp(name, kinds[i]))
        i++;
    return i;
}

int job_label_check(const void *label, const char **member, struct error *err)
{
    const struct job_label *l = label;

    if (find_kind(l->kind_name) == KINDS) {
        *member = "kind";
        return error_set(err, ERR_INPUT, "'kind' must be any, gs1 or plain");
    }
    if (!*l->lot || find_kind(l->kind_name) == GS1_ONLY)
        return 0;
    *member = "lot";
    return error_set(err, ERR_INPUT, "'lot' needs 'kind: gs1', for no plain code names a lot");
}

static int check_product(const struct gs1_code *code, const struct order *order, struct error *err)
{
    if (!*order->gtin)
        return error_set(
            err, ERR_REFUSED,
            "the label is of GTIN %s, and order '%s' names none to compare it with: ask "
            "the engineer which code is the unit's",
            *code->gtin ? code->gtin : "-", order->id);
    if (!*code->gtin)
        return error_set(
            err, ERR_REFUSED,
            "the label does not say of which product it is, (01): scan the whole code");
    if (strcmp(code->gtin, order->gtin) == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "wrong product: the label is of GTIN %s, and order '%s' makes %s: ask the "
                     "engineer which job is right",
                     code->gtin, order->id, order->gtin);
}

static int check_lot(const struct job_label *label, const struct gs1_code *code, struct error *err)
{
    if (!*label->lot || strcmp(label->lot, code->lot) == 0)
        return 0;
    return error_set(
        err, ERR_REFUSED,
        "wrong lot: the label is of lot '%s', and the job makes '%s': ask the engineer "
        "which job is right",
        code->lot, label->lot);
}

static int check_gs1(const struct job_label *label, const struct order *order,
                     const struct gs1_code *code, struct error *err)
{
    int rc = check_product(code, order, err);

    if (rc == 0)
        rc = check_lot(label, code, err);
    if (rc == 0 && !*code->serial)
        rc =
            error_set(err, ERR_INPUT,
                      "wrong kind of code: it names the product and no serial, (21); scan the code "
                      "with the serial");
    return rc;
}

static int current_year(void)
{
    time_t now = (time_t)clock_utc();
    struct tm utc;

    return gmtime_r(&now, &utc) ? utc.tm_year + 1900 : 1970;
}

int job_label_serial(const struct job_label *label, const struct order *order, const char *code,
                     size_t len, char separator, char serial[SERIAL_TEXT_MAX + 1],
                     struct error *err)
{
    struct gs1_code said;
    int rc = gs1_read(code, len, (enum gs1_kind)find_kind(label->kind_name), separator,
                      current_year(), &said, err);

    if (rc == 0 && said.is_gs1)
        rc = check_gs1(label, order, &said, err);
    if (rc == 0)
        snprintf(serial, SERIAL_TEXT_MAX + 1, "%s", said.is_gs1 ? said.serial : said.plain);
    return rc;
}
