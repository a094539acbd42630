#include "station/vault/slots.h"

#include "base/jcs.h"
#include "base/plural.h"
#include "station/store/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORN_TENTHS 9 /* of the limit, from which on people are told */

enum slots_end slots_end_of(int code, bool refused, enum error_next next)
{
    if (code == 0)
        return SLOTS_PASSED;
    if (refused || (next != NEXT_BY_CLASS && next != NEXT_RESEAT))
        return SLOTS_OTHER;
    return code == ERR_TIMEOUT || code == ERR_GONE || code == ERR_PROTOCOL ? SLOTS_FAILED
                                                                           : SLOTS_OTHER;
}

/* ---- counting ---- */

/* The oldest goes where there are as many as a yield is taken over. */
static void remember(struct slot_row *row, char what)
{
    size_t n = strlen(row->recent);

    if (n == SLOT_ROW_RECENT_MAX)
        memmove(row->recent, row->recent + 1, n--);
    row->recent[n] = what;
    row->recent[n + 1] = 0;
}

int slots_count(struct vault *v, const char *slot, enum slots_end end, const char *why,
                struct error *err)
{
    int64_t most = v->config->slots.failures;
    struct slot_row row;
    int rc = slot_row_read(v->store, slot, &row, err);

    if (rc)
        return rc;
    row.contacts++;
    if (end == SLOTS_PASSED)
        row.failures = 0;
    if (end == SLOTS_FAILED) {
        row.failures++;
        snprintf(row.why, sizeof row.why, "%s", why);
    }
    if (end != SLOTS_OTHER)
        remember(&row, end == SLOTS_PASSED ? SLOT_ROW_PASS : SLOT_ROW_FAIL);
    row.disabled = row.disabled || (most && row.failures >= most);
    return slot_row_write(v->store, &row, err);
}

int slots_yield(const struct slot_row *row, size_t *units)
{
    size_t passed = 0;

    *units = strlen(row->recent);
    for (size_t i = 0; i < *units; i++)
        passed += row->recent[i] == SLOT_ROW_PASS;
    return *units ? (int)(passed * 1000 / *units) : -1;
}

/* ---- condition ---- */

static void tell_worn_out(const struct slot_row *row, int64_t limit, struct wire_condition *out)
{
    out->state = WIRE_SLOT_WORN_OUT;
    snprintf(out->text, sizeof out->text,
             "%" PRId64 " units were in slot '%s', and its contacts are good for %" PRId64
             ": use another slot; when they were renewed, an engineer or supervisor says so with "
             "'imprint slots renew %s'",
             row->contacts, row->label, limit, row->label);
}

static void tell_failing(const struct slot_row *row, struct wire_condition *out)
{
    out->state = WIRE_SLOT_FAILING;
    snprintf(out->text, sizeof out->text,
             "%" PRId64 " unit%s in a row failed in slot '%s', the last: %.180s; use another "
             "slot, look at contacts and cable of this one, then acknowledge it",
             row->failures, PLURAL(row->failures), row->label, row->why);
}

static void tell_worn(const struct slot_row *row, int64_t limit, struct wire_condition *out)
{
    out->state = WIRE_SLOT_WORN;
    snprintf(out->text, sizeof out->text,
             "%" PRId64 " of %" PRId64 " units were in slot '%s': have its contacts renewed soon",
             row->contacts, limit, row->label);
}

void slots_judge(const struct config *config, const struct slot_row *row,
                 struct wire_condition *out)
{
    int64_t limit = config_contacts(config, row->label);

    *out = (struct wire_condition){.state = WIRE_SLOT_GOOD};
    if (limit && row->contacts >= limit)
        tell_worn_out(row, limit, out);
    else if (row->disabled)
        tell_failing(row, out);
    else if (limit && row->contacts * 10 >= limit * WORN_TENTHS)
        tell_worn(row, limit, out);
}

int slots_condition(const struct vault *v, const char *slot, struct wire_condition *out,
                    struct error *err)
{
    struct slot_row row;
    int rc = slot_row_read(v->store, slot, &row, err);

    if (rc == 0)
        slots_judge(v->config, &row, out);
    return rc;
}

/* ---- care ---- */

static void let_go_on(struct slot_row *row)
{
    row->disabled = false;
    row->failures = 0;
}

static int write_alone(struct store *store, const struct slot_row *row, struct error *err)
{
    int rc = store_begin(store, err);

    if (rc == 0)
        rc = slot_row_write(store, row, err);
    if (rc == 0)
        rc = store_commit(store, err);
    if (rc)
        store_rollback(store);
    return rc;
}

int slots_acknowledge(struct vault *v, const char *slot, bool *was, struct error *err)
{
    struct wire_condition condition;
    struct slot_row row;
    int rc = slot_row_read(v->store, slot, &row, err);

    *was = false;
    if (rc)
        return rc;
    slots_judge(v->config, &row, &condition);
    if (condition.state == WIRE_SLOT_WORN_OUT)
        return error_next(err, NEXT_CALL, error_set(err, ERR_REFUSED, "%s", condition.text));
    if (condition.state != WIRE_SLOT_FAILING)
        return 0;
    let_go_on(&row);
    *was = true;
    return write_alone(v->store, &row, err);
}

static int tell(struct store *store, const struct slot_row *row, enum slots_care care,
                struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 512);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_str(&j, "care", care == SLOTS_RENEWED ? "renewed" : "acknowledged");
    jcs_str(&j, "slot", row->label);
    jcs_int(&j, "units", row->contacts);
    jcs_end(&j);
    rc = ledger_append(store, LEDGER_SLOT, &data, err);
    buf_done(&data);
    return rc;
}

int slots_care_for(struct store *store, const char *slot, enum slots_care care,
                   struct slot_row *row, struct error *err)
{
    struct slot_row now;
    int rc = slot_row_read(store, slot, &now, err);

    if (rc == 0 && now.contacts == 0)
        rc =
            error_set(err, ERR_MISSING,
                      "no unit was in a slot '%s' yet: 'imprint slots' lists those it knows", slot);
    if (rc == 0)
        rc = store_begin(store, err);
    if (rc)
        return rc;
    rc = tell(store, &now, care, err);
    let_go_on(&now);
    if (care == SLOTS_RENEWED)
        now.contacts = 0;
    if (rc == 0)
        rc = slot_row_write(store, &now, err);
    if (rc == 0)
        rc = store_commit(store, err);
    if (rc)
        store_rollback(store);
    else
        *row = now;
    return rc;
}
