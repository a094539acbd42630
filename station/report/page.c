#include "station/report/page.h"

#include "station/report/markup.h"
#include "station/report/plot.h"
#include "station/report/tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two colours that everybody can tell apart, also in grey; a page of A4 is 190 mm wide inside its margins. */
static const char style[] =
    ":root{--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--pass:#2f6fa8;--fail:#d1580f;--paper:#fff}"
    "\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:28px 32px 40px;max-width:1020px;background:var(--paper);"
    "color:var(--ink);font:14px/1.45 \"Liberation Sans\",Arial,Helvetica,sans-serif}\n"
    "h1{font-size:26px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}\n"
    "h2{font-size:17px;margin:32px 0 4px}\n"
    "p{margin:4px 0 10px}\n"
    ".of,.how{color:var(--soft)}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:10px;margin:20px 0 6px;padding:0;list-style:none}\n"
    ".tiles li{flex:1 1 104px;border:1px solid var(--line);border-radius:6px;padding:10px 12px}\n"
    ".tiles b{display:block;font-size:24px;line-height:1.2;font-weight:600}\n"
    ".tiles span{color:var(--soft);font-size:12.5px}\n"
    "svg{display:block;width:100%;height:auto;margin:6px 0 10px}\n"
    "svg text{font:12px \"Liberation Sans\",Arial,Helvetica,sans-serif;fill:var(--soft)}\n"
    "svg .name{fill:var(--ink)}\n"
    ".pass{fill:var(--pass)}.fail{fill:var(--fail)}\n"
    ".grid{stroke:var(--line)}.axis{stroke:var(--soft)}\n"
    ".key{display:inline-block;width:11px;height:11px;margin:0 5px 0 0;border-radius:2px}\n"
    ".key.p{background:var(--pass)}.key.f{background:var(--fail);margin-left:14px}\n"
    "table{border-collapse:collapse;width:100%;margin:8px 0 14px;font-size:12.5px}\n"
    "thead{display:table-header-group}\n"
    "tr{break-inside:avoid}\n"
    "th{text-align:left;font-weight:600;color:var(--soft);border-bottom:1px solid var(--soft);"
    "padding:4px 8px 4px 0;vertical-align:bottom}\n"
    "td{border-bottom:1px solid var(--line);padding:4px 8px 4px 0;vertical-align:baseline;"
    "overflow-wrap:anywhere}\n"
    ".n{text-align:right;padding-right:18px;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    ".narrow{width:auto}.narrow td,.narrow th{min-width:76px}\n"
    ".t{white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    ".c,.h{font-family:\"Liberation Mono\",\"DejaVu Sans Mono\",monospace;font-size:12px}\n"
    ".h{font-size:10.5px;color:var(--soft)}.units .h{white-space:nowrap}.units "
    ".c{min-width:100px}\n"
    ".s{font-size:11.5px;color:var(--soft)}\n"
    ".state{font-weight:600;white-space:nowrap}.state.good{color:var(--pass)}.state.bad{color:var(-"
    "-fail)}\n"
    ".facts th{width:190px;border-bottom:1px solid var(--line)}\n"
    ".trust{border-left:4px solid var(--soft);padding:2px 0 2px 14px}\n"
    "footer{margin-top:30px;color:var(--soft);font-size:12px}\n"
    "@page{size:A4;margin:14mm 10mm}\n"
    "@media print{body{padding:0;max-width:none;font-size:10.5pt}h2{break-after:avoid}"
    "svg,.tiles{break-inside:avoid}table{font-size:8pt}.c{font-size:7.5pt}.h{font-size:6.5pt}"
    ".s{font-size:7.5pt}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n";

void page_title(const struct report *r, char *out, size_t size)
{
    char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];

    table_time(r->filter.from, from);
    table_time(r->filter.to, to);
    if (r->filter.kind == HISTORY_TIME && strncmp(from, to, 10) == 0)
        snprintf(out, size, "Shift %.16s to %.5s UTC", from, to + 11);
    else if (r->filter.kind == HISTORY_TIME)
        snprintf(out, size, "Shift %.16s to %.16s UTC", from, to);
    else
        snprintf(out, size, "%s %s", r->filter.kind == HISTORY_SERIAL ? "Unit" : "Lot",
                 r->filter.name);
}

/* ---- head ---- */

static void write_head(struct buf *out, const char *title, const struct report *r)
{
    buf_put_str(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"
                     " style-src 'unsafe-inline'\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n");
    buf_put_str(out, "<title>");
    markup_printf(out, "%s - station %s", title, r->station);
    buf_put_str(out, "</title>\n<style>\n");
    buf_put_str(out, style);
    buf_put_str(out, "</style>\n</head>\n<body>\n<header>\n");
    markup_element(out, "h1", NULL, title);
    buf_put_str(out, "\n<p class=\"of\">");
    markup_printf(out, "Station %s, environment %s", r->station, r->environment);
    if (r->unit_count && r->filter.kind != HISTORY_TIME)
        markup_printf(out, ", product %s, order %s", r->units[0].product, r->units[0].order);
    buf_put_str(out, "</p>\n</header>\n");
}

static void tile(struct buf *out, const char *value, const char *name)
{
    buf_put_str(out, "<li>");
    markup_element(out, "b", NULL, value);
    markup_element(out, "span", NULL, name);
    buf_put_str(out, "</li>\n");
}

static void tile_number(struct buf *out, int64_t value, const char *name)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    tile(out, text, name);
}

static void tile_percent(struct buf *out, int64_t tenths, const char *name)
{
    char text[24];

    table_percent(tenths, text, sizeof text);
    tile(out, text, name);
}

static void write_tiles(struct buf *out, const struct report *r, const struct figures *f)
{
    const struct figures_count first = {.passed = f->first_try,
                                        .failed = f->proven + f->revoked - f->first_try};
    int64_t pace = figures_pace(r, f);
    char text[24] = "-";

    if (pace >= 0)
        snprintf(text, sizeof text, "%" PRId64, (pace + 5) / 10);
    buf_put_str(out, "<ul class=\"tiles\">\n");
    tile_number(out, f->proven, "units proven and good");
    tile_number(out, f->all.passed, "attempts passed");
    tile_number(out, f->all.failed, "attempts failed");
    tile_percent(out, figures_yield(&f->all), "yield of attempts");
    tile_percent(out, figures_yield(&first), "passed at the first attempt");
    tile(out, text, "passed an hour");
    if (f->revoked + f->burned + f->open)
        tile_number(out, f->revoked + f->burned + f->open, "revoked, burned or unfinished");
    buf_put_str(out, "</ul>\n");
}

/* ---- plots ---- */

static void write_key(struct buf *out)
{
    buf_put_str(out, "<p class=\"how\"><span class=\"key p\"></span>passed"
                     "<span class=\"key f\"></span>failed</p>\n");
}

static void name_width(int64_t seconds, char *out, size_t size)
{
    if (seconds < 3600)
        snprintf(out, size, "%" PRId64 " minute%s", seconds / 60, seconds == 60 ? "" : "s");
    else if (seconds < 86400)
        snprintf(out, size, "%" PRId64 " hour%s", seconds / 3600, seconds == 3600 ? "" : "s");
    else
        snprintf(out, size, "%" PRId64 " day%s", seconds / 86400, seconds == 86400 ? "" : "s");
}

/* At most twelve labels fit below the columns: at whole hours, or days, where columns are more. */
static int64_t label_every(const struct figures *f)
{
    static const int64_t every[] = {60,    300,   600,   900,   1800,   3600,  7200,
                                    14400, 28800, 43200, 86400, 172800, 604800};
    int64_t span = (int64_t)f->bin_count * f->bin_seconds, last = 604800;

    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        if (every[i] % f->bin_seconds == 0 && span / every[i] <= 12)
            return every[i];
    while (span / last > 12)
        last *= 2;
    return last;
}

static void name_bin(const struct figures *f, size_t i, struct plot_value *v)
{
    int64_t from = f->bin_from + (int64_t)i * f->bin_seconds, every = label_every(f);
    char at[CLOCK_TEXT_SIZE];

    table_time(from, at);
    if (from % every < f->bin_seconds && every < 86400)
        snprintf(v->label, sizeof v->label, "%.5s", at + 11);
    else if (from % every < f->bin_seconds)
        snprintf(v->label, sizeof v->label, "%.5s", at + 5);
    snprintf(v->tip, sizeof v->tip, "from %.16s: %" PRId64 " passed, %" PRId64 " failed", at,
             v->pass, v->fail);
}

static void write_pace(struct buf *out, const struct figures *f)
{
    static struct plot_value values[FIGURES_BINS_MAX]; /* too large for the stack */
    char width[32], about[128];

    if (f->bin_count == 0)
        return;
    memset(values, 0, sizeof values);
    for (size_t i = 0; i < f->bin_count; i++) {
        values[i].pass = f->bins[i].passed;
        values[i].fail = f->bins[i].failed;
        name_bin(f, i, &values[i]);
    }
    name_width(f->bin_seconds, width, sizeof width);
    snprintf(about, sizeof about, "attempts in each %s", width);
    buf_put_str(out, "<section>\n<h2>Pace</h2>\n<p class=\"how\">");
    markup_printf(out, "Attempts in each %s, UTC. Devices that passed again are not counted.",
                  width);
    buf_put_str(out, "</p>\n");
    plot_columns(out, about, values, f->bin_count);
    write_key(out);
    buf_put_str(out, "</section>\n");
}

static void write_slots(struct buf *out, const struct figures *f)
{
    struct plot_value *values = calloc(f->slot_count + 1, sizeof *values);
    char percent[24];

    if (!values || f->slot_count == 0) {
        out->failed = out->failed || !values;
        free(values);
        return;
    }
    for (size_t i = 0; i < f->slot_count; i++) {
        const struct figures_slot *s = &f->slots[i];
        int64_t yield = figures_yield(&s->count);

        snprintf(values[i].label, sizeof values[i].label, "%.24s", s->slot);
        table_percent(yield, percent, sizeof percent);
        snprintf(values[i].note, sizeof values[i].note, "%s of %" PRId64, percent,
                 s->count.passed + s->count.failed);
        snprintf(values[i].tip, sizeof values[i].tip, "%" PRId64 " passed, %" PRId64 " failed",
                 s->count.passed, s->count.failed);
        values[i].pass = yield < 0 ? 0 : yield;
        values[i].fail = yield < 0 ? 0 : 1000 - yield;
    }
    buf_put_str(out, "<section>\n<h2>Yield by slot</h2>\n<p class=\"how\">Passed of all attempts "
                     "in the slot, whatever the reason of those that failed.</p>\n");
    plot_bars(out, "yield of each slot", values, f->slot_count, 1000);
    write_key(out);
    table_slots(out, f);
    buf_put_str(out, "</section>\n");
    free(values);
}

static void write_reasons(struct buf *out, const struct figures *f)
{
    struct plot_value values[FIGURES_REASONS_MAX] = {0};

    buf_put_str(out, "<section>\n<h2>Reasons of failure</h2>\n");
    if (f->reason_count == 0) {
        buf_put_str(out, "<p>No attempt failed.</p>\n</section>\n");
        return;
    }
    for (size_t i = 0; i < f->reason_count; i++) {
        const struct figures_reason *r = &f->reasons[i];

        snprintf(values[i].label, sizeof values[i].label, "%s", error_name(r->code));
        snprintf(values[i].note, sizeof values[i].note, "%" PRId64, r->count);
        snprintf(values[i].tip, sizeof values[i].tip, "%s", figures_meaning(r->code));
        values[i].fail = r->count;
    }
    plot_bars(out, "attempts that failed, by reason", values, f->reason_count, 1);
    table_reasons(out, f);
    buf_put_str(out, "</section>\n");
}

/* ---- what it is worth ---- */

static void write_trust(struct buf *out, const struct report *r)
{
    const struct report_verified *v = &r->verified;

    buf_put_str(out, "<section>\n<h2>What was verified</h2>\n<div class=\"trust\">\n<p>");
    markup_printf(out,
                  "The chain of all %" PRId64 " ledger entries was followed: none was changed "
                  "or taken out by somebody who did not write all after it anew. ",
                  v->entries);
    markup_printf(out, "%s",
                  v->macs ? "Their MACs, the token's memory of the newest, and the MACs of each "
                            "unit's rows were verified with the token."
                          : "NOT verified: the MACs of the entries and of the units' rows, for "
                            "which the token is needed ('--verify').");
    buf_put_str(out, "</p>\n<p>State, time, person and build come from the ledger; slot, chip and "
                     "firmware from the unit's claim; firmware and chip are what the device said. "
                     "Attempts that failed are plain rows of the database, which nothing protects."
                     "</p>\n</div>\n</section>\n");
}

static void write_foot(struct buf *out, const struct report *r)
{
    char at[CLOCK_TEXT_SIZE];

    table_time(r->made, at);
    buf_put_str(out, "<footer>\n<p>");
    markup_printf(out,
                  "Made %s UTC by imprint %s, from the station's own records. All times are UTC.",
                  at, IMPRINT_VERSION);
    buf_put_str(out, "</p>\n</footer>\n</body>\n</html>\n");
}

/* ---- the page ---- */

static void write_unit(struct buf *out, const struct report *r, const struct page_entry *entries,
                       size_t entry_count)
{
    buf_put_str(out, "<section>\n<h2>Identity</h2>\n");
    table_identities(out, r);
    buf_put_str(out, "</section>\n<section>\n<h2>Attempts</h2>\n");
    table_attempts(out, r);
    buf_put_str(out, "</section>\n<section>\n<h2>In the ledger</h2>\n");
    table_entries(out, entries, entry_count);
    buf_put_str(out, "</section>\n");
}

static void write_many(struct buf *out, const struct report *r, const struct figures *f)
{
    write_tiles(out, r, f);
    write_pace(out, f);
    write_slots(out, f);
    write_reasons(out, f);
    buf_put_str(out, "<section>\n<h2>Units</h2>\n");
    if (r->unit_count)
        table_units(out, r);
    else
        buf_put_str(out, "<p>No device was given an identity.</p>\n");
    buf_put_str(out, "</section>\n");
}

void page_write(const struct report *r, const struct figures *f, const struct page_entry *entries,
                size_t entry_count, struct buf *out)
{
    char title[256];

    page_title(r, title, sizeof title);
    write_head(out, title, r);
    if (r->filter.kind == HISTORY_SERIAL)
        write_unit(out, r, entries, entry_count);
    else
        write_many(out, r, f);
    write_trust(out, r);
    write_foot(out, r);
}
