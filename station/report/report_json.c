#include "station/report/report_json.h"

#include "base/codec.h"

#include <jansson.h>

static json_t *time_json(int64_t utc)
{
    char text[CLOCK_TEXT_SIZE];

    if (utc == 0)
        return json_null();
    clock_text(utc, text);
    return json_string(text);
}

static json_t *number_json(int64_t value, int64_t none)
{
    return value == none ? json_null() : json_integer((json_int_t)value);
}

static json_t *text_json(const char *text)
{
    return *text ? json_string(text) : json_null();
}

static json_t *count_json(const struct figures_count *c)
{
    return json_pack("{s:I, s:I, s:I}", "passed", (json_int_t)c->passed, "again",
                     (json_int_t)c->again, "failed", (json_int_t)c->failed);
}

static json_t *slots_json(const struct figures *f)
{
    json_t *list = json_array();

    for (size_t i = 0; i < f->slot_count; i++) {
        json_t *o = count_json(&f->slots[i].count);

        json_object_set_new(o, "slot", json_string(f->slots[i].slot));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *reasons_json(const struct figures *f)
{
    json_t *list = json_array();

    for (size_t i = 0; i < f->reason_count; i++) {
        const struct figures_reason *r = &f->reasons[i];

        json_array_append_new(
            list, json_pack("{s:s, s:i, s:I, s:s, s:s}", "error", error_name(r->code), "exit",
                            error_exit_status(r->code), "count", (json_int_t)r->count, "means",
                            figures_meaning(r->code), "last", r->text));
    }
    return list;
}

static json_t *bins_json(const struct figures *f)
{
    json_t *list = json_array();

    for (size_t i = 0; i < f->bin_count; i++) {
        json_t *o = count_json(&f->bins[i]);

        json_object_set_new(o, "from", time_json(f->bin_from + (int64_t)i * f->bin_seconds));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *unit_json(const struct report_unit *u)
{
    char tx[2 * IMPRINT_TX_SIZE + 1];
    json_t *o;

    hex_encode(u->tx, sizeof u->tx, tx);
    o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I}", "serial", u->serial,
                  "product", u->product, "order", u->order, "state", u->state, "slot", u->slot,
                  "chip", u->chip, "tx", tx, "firmware", u->firmware, "debug", u->debug, "attempts",
                  (json_int_t)u->attempts, "failed", (json_int_t)u->failed);
    json_object_set_new(o, "image", text_json(u->image_hash));
    json_object_set_new(o, "certificate", text_json(u->certificate));
    json_object_set_new(o, "number", text_json(u->number));
    json_object_set_new(o, "claimed", time_json(u->claimed));
    json_object_set_new(o, "proven", time_json(u->proven));
    json_object_set_new(o, "by", text_json(u->who));
    json_object_set_new(o, "build", text_json(u->build));
    json_object_set_new(o, "leaf", number_json(u->leaf, -1));
    json_object_set_new(o, "manifest", number_json(u->manifest, 0));
    return o;
}

static json_t *attempt_json(const struct report_attempt *a)
{
    json_t *o = json_pack("{s:o, s:s, s:s, s:b, s:b}", "at", time_json(a->at), "slot", a->slot,
                          "text", a->text, "passed", a->code == 0, "again", a->again);

    json_object_set_new(o, "serial", text_json(a->serial));
    json_object_set_new(o, "chip", text_json(a->chip));
    json_object_set_new(o, "error", a->code ? json_string(error_name(a->code)) : json_null());
    return o;
}

json_t *report_json(const struct report *r, const struct figures *f)
{
    static const char *const kinds[] = {"unit", "lot", "lot", "shift"};
    json_t *units = json_array(), *attempts = json_array();
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:I, s:b}}", "event", "report", "kind",
                          kinds[r->filter.kind], "station", r->station, "environment",
                          r->environment, "program", "imprint " IMPRINT_VERSION, "verified",
                          "entries", (json_int_t)r->verified.entries, "macs", r->verified.macs);

    for (size_t i = 0; i < r->unit_count; i++)
        json_array_append_new(units, unit_json(&r->units[i]));
    for (size_t i = 0; i < r->attempt_count; i++)
        json_array_append_new(attempts, attempt_json(&r->attempts[i]));
    json_object_set_new(o, "name", r->filter.name ? json_string(r->filter.name) : json_null());
    json_object_set_new(o, "made", time_json(r->made));
    if (r->filter.kind == HISTORY_TIME) {
        json_object_set_new(o, "from", time_json(r->filter.from));
        json_object_set_new(o, "to", time_json(r->filter.to));
    }
    json_object_set_new(o, "proven", json_integer((json_int_t)f->proven));
    json_object_set_new(o, "first_try", json_integer((json_int_t)f->first_try));
    json_object_set_new(o, "attempted", count_json(&f->all));
    json_object_set_new(o, "slots", slots_json(f));
    json_object_set_new(o, "reasons", reasons_json(f));
    json_object_set_new(
        o, "pace",
        json_pack("{s:I, s:o}", "seconds", (json_int_t)f->bin_seconds, "bins", bins_json(f)));
    json_object_set_new(o, "units", units);
    json_object_set_new(o, "attempts", attempts);
    return o;
}
