#include "station/report/tables.h"

#include "station/report/markup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void table_percent(int64_t tenths, char *out, size_t size)
{
    if (tenths < 0)
        snprintf(out, size, "-");
    else
        snprintf(out, size, "%" PRId64 ".%" PRId64 " %%", tenths / 10, tenths % 10);
}

void table_time(int64_t utc, char out[CLOCK_TEXT_SIZE])
{
    *out = 0;
    if (utc == 0)
        return;
    clock_text(utc, out);
    out[10] = ' ';
    out[19] = 0;
}

/* ---- parts ---- */

/* A head that begins with '#' is above numbers. */
static void begin(struct buf *out, const char *class, const char *const *heads)
{
    buf_printf(out, "<table class=\"%s\">\n<thead><tr>", class);
    for (; *heads; heads++)
        markup_element(out, "th", **heads == '#' ? "n" : NULL, *heads + (**heads == '#'));
    buf_put_str(out, "</tr></thead>\n<tbody>\n");
}

static void end(struct buf *out)
{
    buf_put_str(out, "</tbody>\n</table>\n");
}

static void cell(struct buf *out, const char *class, const char *text)
{
    markup_element(out, "td", class, text);
}

static void number(struct buf *out, int64_t value)
{
    buf_printf(out, "<td class=\"n\">%" PRId64 "</td>", value);
}

static void percent(struct buf *out, int64_t tenths)
{
    char text[24];

    table_percent(tenths, text, sizeof text);
    cell(out, "n", text);
}

static void when(struct buf *out, int64_t utc)
{
    char text[CLOCK_TEXT_SIZE];

    table_time(utc, text);
    cell(out, "t", text);
}

/* ---- slots and reasons ---- */

void table_slots(struct buf *out, const struct figures *f)
{
    static const char *const heads[] = {"Slot",   "#Passed",       "#Failed",
                                        "#Yield", "#Passed again", NULL};

    begin(out, "narrow", heads);
    for (size_t i = 0; i < f->slot_count; i++) {
        const struct figures_slot *s = &f->slots[i];

        buf_put_str(out, "<tr>");
        cell(out, NULL, s->slot);
        number(out, s->count.passed);
        number(out, s->count.failed);
        percent(out, figures_yield(&s->count));
        number(out, s->count.again);
        buf_put_str(out, "</tr>\n");
    }
    end(out);
}

void table_reasons(struct buf *out, const struct figures *f)
{
    static const char *const heads[] = {"Reason",   "#Attempts", "#Share",
                                        "It means", "The last",  NULL};

    begin(out, "figures", heads);
    for (size_t i = 0; i < f->reason_count; i++) {
        const struct figures_reason *r = &f->reasons[i];

        buf_put_str(out, "<tr>");
        cell(out, "t c", error_name(r->code));
        number(out, r->count);
        percent(out, (1000 * r->count + f->all.failed / 2) / f->all.failed);
        cell(out, NULL, figures_meaning(r->code));
        cell(out, "s", r->text);
        buf_put_str(out, "</tr>\n");
    }
    end(out);
}

/* ---- units ---- */

static void state(struct buf *out, const char *name)
{
    char class[24];

    snprintf(class, sizeof class, "state %s", strcmp(name, "proven") ? "bad" : "good");
    cell(out, class, name);
}

static void sealed(struct buf *out, int64_t manifest)
{
    char text[24] = "";

    if (manifest)
        snprintf(text, sizeof text, "%" PRId64, manifest);
    cell(out, "n", text);
}

/* What all units have in common is said once, and is no column. */
struct common {
    bool firmware, build;
};

static struct common find_common(const struct report *r)
{
    struct common same = {true, true};

    for (size_t i = 1; i < r->unit_count; i++) {
        same.firmware = same.firmware && !strcmp(r->units[i].firmware, r->units[0].firmware);
        same.build = same.build && !strcmp(r->units[i].build, r->units[0].build);
    }
    return same;
}

static void write_common(struct buf *out, const struct report *r, const struct common *same)
{
    const struct report_unit *u = &r->units[0];

    if (!same->firmware && !same->build)
        return;
    buf_put_str(out, "<p class=\"how\">All with");
    if (same->firmware)
        markup_printf(out, " firmware %s", u->firmware);
    if (same->build)
        markup_printf(out, "%s station build %s", same->firmware ? " and" : "",
                      *u->build ? u->build : "not recorded");
    buf_put_str(out, ".</p>\n");
}

static void write_unit_row(struct buf *out, const struct report_unit *u, const struct common *same)
{
    buf_put_str(out, "<tr>");
    cell(out, "c", u->serial);
    state(out, u->state);
    cell(out, NULL, u->slot);
    when(out, u->proven);
    number(out, u->attempts);
    cell(out, NULL, u->who);
    if (!same->firmware)
        cell(out, NULL, u->firmware);
    cell(out, "h", u->number);
    if (!same->build)
        cell(out, "s", u->build);
    sealed(out, u->manifest);
    buf_put_str(out, "</tr>\n");
}

void table_units(struct buf *out, const struct report *r)
{
    struct common same = find_common(r);
    const char *heads[] = {"Serial", "State", "Slot", "Proven (UTC)", "#Attempts", "By",
                           NULL,     NULL,    NULL,   NULL,           NULL};
    size_t n = 6;

    if (!same.firmware)
        heads[n++] = "Firmware";
    heads[n++] = "Certificate no.";
    if (!same.build)
        heads[n++] = "Station build";
    heads[n] = "#Manifest";
    write_common(out, r, &same);
    begin(out, "units", heads);
    for (size_t i = 0; i < r->unit_count; i++)
        write_unit_row(out, &r->units[i], &same);
    end(out);
}

/* ---- one unit ---- */

static void fact(struct buf *out, const char *name, const char *text)
{
    buf_put_str(out, "<tr>");
    markup_element(out, "th", NULL, name);
    cell(out, "c", *text ? text : "-");
    buf_put_str(out, "</tr>\n");
}

static void fact_number(struct buf *out, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    fact(out, name, text);
}

static void fact_time(struct buf *out, const char *name, int64_t utc)
{
    char text[CLOCK_TEXT_SIZE];

    table_time(utc, text);
    fact(out, name, text);
}

static void write_identity(struct buf *out, const struct report_unit *u)
{
    buf_put_str(out, "<table class=\"facts\">\n<tbody>\n");
    fact(out, "State", u->state);
    fact(out, "Serial", u->serial);
    fact(out, "Product", u->product);
    fact(out, "Order", u->order);
    fact(out, "Slot", u->slot);
    fact(out, "Chip", u->chip);
    fact(out, "Firmware", u->firmware);
    fact(out, "Firmware image, SHA-256", *u->image_hash ? u->image_hash : "not reported");
    fact(out, "Debug port", u->debug ? "open" : "closed, or not reported");
    fact(out, "Certificate, number", *u->number ? u->number : "none: a symmetric key alone");
    fact(out, "Certificate, SHA-256", u->certificate);
    fact_time(out, "Given (UTC)", u->claimed);
    fact_time(out, "Proven (UTC)", u->proven);
    fact(out, "By", u->who);
    fact(out, "Station build", *u->build ? u->build : "not recorded");
    fact_number(out, "Attempts", u->attempts);
    if (u->leaf >= 0)
        fact_number(out, "Record in the log", u->leaf);
    if (u->manifest)
        fact_number(out, "Sealed in manifest", u->manifest);
    end(out);
}

void table_identities(struct buf *out, const struct report *r)
{
    for (size_t i = 0; i < r->unit_count; i++)
        write_identity(out, &r->units[i]);
}

void table_attempts(struct buf *out, const struct report *r)
{
    static const char *const heads[] = {"When (UTC)", "Slot",          "Chip",
                                        "Result",     "What happened", NULL};

    begin(out, "attempts", heads);
    for (size_t i = 0; i < r->attempt_count; i++) {
        const struct report_attempt *a = &r->attempts[i];

        buf_put_str(out, "<tr>");
        when(out, a->at);
        cell(out, NULL, a->slot);
        cell(out, "h", a->chip);
        cell(out, a->code ? "state bad" : "state good", a->code ? error_name(a->code) : "passed");
        cell(out, "s", a->text);
        buf_put_str(out, "</tr>\n");
    }
    end(out);
}

void table_entries(struct buf *out, const struct page_entry *entries, size_t count)
{
    static const char *const heads[] = {"#Entry", "When (UTC)", "Event", "By", "Why", NULL};

    begin(out, "entries", heads);
    for (size_t i = 0; i < count; i++) {
        buf_put_str(out, "<tr>");
        number(out, entries[i].seq);
        cell(out, "t", entries[i].at);
        cell(out, "c", entries[i].event);
        cell(out, NULL, entries[i].who);
        cell(out, "s", entries[i].why);
        buf_put_str(out, "</tr>\n");
    }
    end(out);
}
