/* imprint report: what became of a unit, a lot or a shift, as figures, and as a page that stays readable. */
#include "base/codec.h"
#include "base/file.h"
#include "hsm/anchor.h"
#include "station/cli/cli.h"
#include "station/report/page.h"
#include "station/report/report_json.h"
#include "station/report/tables.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/vault.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX     ((size_t)1 << 30) /* bytes of a page: some million units */
#define LAST_DEFAULT (8 * 3600)

/* ---- which units ---- */

/* "90m", "8h", "7d". */
static int read_last(const char *text, int64_t *seconds, struct error *err)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (errno == 0 && end > text && value > 0 && value <= 100000 && *end == units[i].letter &&
            !end[1]) {
            *seconds = value * units[i].seconds;
            return 0;
        }
    return error_set(err, ERR_USAGE, "--last must be a time such as 90m, 8h or 7d");
}

static int read_time(const struct cli *cli, const char *option, int64_t *utc, struct error *err)
{
    const char *text = cli_value(cli, option);

    if (text && clock_parse(text, utc))
        return error_set(err, ERR_USAGE, "--%s must be a time such as 2026-01-31T06:00:00Z",
                         option);
    return 0;
}

/* The newest attempt may be of this second. */
static int choose_shift(const struct cli *cli, struct history_filter *f, struct error *err)
{
    const char *last = cli_value(cli, "last");
    int64_t seconds = LAST_DEFAULT;
    int rc;

    if (last && (cli_value(cli, "from") || cli_value(cli, "to")))
        return error_set(err, ERR_USAGE, "give --last, or --from and --to");
    if (cli_value(cli, "to") && !cli_value(cli, "from"))
        return error_set(err, ERR_USAGE, "--to needs --from");
    *f = (struct history_filter){.kind = HISTORY_TIME, .to = clock_utc() + 1};
    rc = last ? read_last(last, &seconds, err) : 0;
    if (rc == 0)
        rc = read_time(cli, "to", &f->to, err);
    f->from = f->to - seconds;
    if (rc == 0)
        rc = read_time(cli, "from", &f->from, err);
    if (rc == 0 && f->from >= f->to)
        rc = error_set(err, ERR_USAGE, "--from is not before --to");
    return rc;
}

static int choose_named(const struct cli *cli, enum history_kind kind, struct history_filter *f,
                        struct error *err)
{
    if (cli_value(cli, "last") || cli_value(cli, "from") || cli_value(cli, "to"))
        return error_set(err, ERR_USAGE, "--last, --from and --to are for 'report shift'");
    if (cli_value(cli, "product") && kind != HISTORY_SERIAL)
        return error_set(err, ERR_USAGE, "--product is for 'report unit'");
    *f = (struct history_filter){
        .kind = kind, .name = cli->args[1], .product = cli_value(cli, "product")};
    return 0;
}

static int choose(const struct cli *cli, struct history_filter *f, struct error *err)
{
    const char *what = cli->args[0];

    if (strcmp(what, "shift") == 0 && cli->arg_count == 1 && !cli_value(cli, "product"))
        return choose_shift(cli, f, err);
    if (strcmp(what, "unit") == 0 && cli->arg_count == 2)
        return choose_named(cli, HISTORY_SERIAL, f, err);
    if (strcmp(what, "lot") == 0 && cli->arg_count == 2)
        return choose_named(cli, HISTORY_ORDER, f, err);
    return error_set(err, ERR_USAGE,
                     "usage: imprint report unit SERIAL, imprint report lot NAME or imprint report "
                     "shift; see 'imprint help report'");
}

/* ---- what is verified ---- */

static int verify_ledger(struct cli *cli, const struct hsm_anchor *anchored,
                         struct report_verified *v, struct error *err)
{
    int rc = ledger_verify(cli->store, &v->entries, err);

    if (rc == 0)
        rc = ledger_check_anchor(cli->store, (int64_t)anchored->sequence, anchored->head, err);
    v->macs = rc == 0;
    return rc;
}

/* The rows that the unit's facts come from: reading them verifies their MACs. */
static int verify_unit(struct cli *cli, const struct report_unit *u, struct error *err)
{
    struct credential credential;
    struct claim claim;
    bool found = false;
    int rc;

    claim_init(&claim);
    credential_init(&credential);
    rc = claim_by_tx(cli->store, u->tx, &claim, &found, err);
    if (rc == 0 && !found)
        rc = error_set(err, ERR_INTEGRITY, "the claim of '%s' is gone", u->serial);
    if (rc == 0)
        rc = credential_get(cli->store, u->credential, &credential, err);
    claim_done(&claim);
    credential_done(&credential);
    return rc;
}

static int pass_record(void *context, const void *line, size_t line_len, const void *evidence,
                       size_t evidence_len, struct error *err)
{
    (void)context;
    (void)line;
    (void)line_len;
    (void)evidence;
    (void)evidence_len;
    (void)err;
    return 0;
}

/* Which units are of a lot is what all records say. */
static int verify_records(struct cli *cli, struct error *err)
{
    int64_t size = 0;
    int rc = whitelist_size(cli->store, &size, err);

    return rc ? rc : whitelist_each(cli->store, 0, size, pass_record, NULL, err);
}

static int verify(struct cli *cli, const struct hsm_anchor *anchored, struct report *r,
                  struct error *err)
{
    int rc = cli->hsm ? verify_ledger(cli, anchored, &r->verified, err)
                      : ledger_follow(cli->store, &r->verified.entries, err);

    if (rc == 0 && r->verified.macs && r->filter.kind == HISTORY_LOT)
        rc = verify_records(cli, err);
    for (size_t i = 0; rc == 0 && r->verified.macs && i < r->unit_count; i++)
        rc = verify_unit(cli, &r->units[i], err);
    return rc;
}

/* ---- entries about a unit ---- */

struct entries {
    struct page_entry *list;
    size_t count;
};

static void copy_member(const json_t *o, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(o, name));

    snprintf(out, size, "%s", text ? text : "");
}

static int take_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    struct entries *e = context;
    struct page_entry *moved = reallocarray(e->list, e->count + 1, sizeof *moved), *p;
    int64_t at;
    json_t *o;

    if (!moved)
        return error_set(err, ERR_INTERNAL, "out of memory for the report");
    e->list = moved;
    p = &e->list[e->count++];
    *p = (struct page_entry){.seq = entry->seq};
    o = json_loads(entry->body, JSON_REJECT_DUPLICATES, NULL);
    copy_member(o, "at", p->at, sizeof p->at);
    if (clock_parse(p->at, &at) == 0)
        table_time(at, p->at);
    copy_member(o, "event", p->event, sizeof p->event);
    copy_member(o, json_object_get(o, "operator") ? "operator" : "by", p->who, sizeof p->who);
    copy_member(o, "why", p->why, sizeof p->why);
    json_decref(o);
    return 0;
}

static int read_entries(struct cli *cli, const struct report *r, struct entries *e,
                        struct error *err)
{
    const struct ledger_filter filter = {.serial = r->filter.name};

    return r->filter.kind == HISTORY_SERIAL ? ledger_find(cli->store, &filter, take_entry, e, err)
                                            : 0;
}

/* ---- what is made of it ---- */

static int write_page(struct cli *cli, const char *path, const struct report *r,
                      const struct figures *f, struct error *err)
{
    struct entries entries = {NULL, 0};
    struct buf page;
    int rc = read_entries(cli, r, &entries, err);

    buf_init(&page, PAGE_MAX);
    if (rc == 0) {
        page_write(r, f, entries.list, entries.count, &page);
        rc = buf_check(&page, "the page", err);
    }
    if (rc == 0)
        rc = file_write(path, page.data, page.len, 0644, err);
    buf_done(&page);
    free(entries.list);
    return rc;
}

static void print_slot(const struct figures_slot *s)
{
    char yield[24];

    table_percent(figures_yield(&s->count), yield, sizeof yield);
    printf("  slot %-12s %6" PRId64 " passed, %4" PRId64 " failed  %s\n", s->slot, s->count.passed,
           s->count.failed, yield);
}

static void print_unit(const struct report_unit *u)
{
    char at[CLOCK_TEXT_SIZE];

    table_time(u->proven ? u->proven : u->claimed, at);
    printf("  %s %s, %s, slot %s, by %s, attempts %" PRId64 ", firmware %s, certificate %s\n",
           u->state, at, u->serial, u->slot, u->who, u->attempts, u->firmware,
           *u->number ? u->number : "none");
}

static void print_words(const struct report *r, const struct figures *f)
{
    char title[256], yield[24];

    page_title(r, title, sizeof title);
    table_percent(figures_yield(&f->all), yield, sizeof yield);
    printf("%s: %" PRId64 " units proven; attempts: %" PRId64 " passed, %" PRId64
           " passed again, %" PRId64 " failed; yield %s\n",
           title, f->proven, f->all.passed, f->all.again, f->all.failed, yield);
    for (size_t i = 0; r->filter.kind == HISTORY_SERIAL && i < r->unit_count; i++)
        print_unit(&r->units[i]);
    for (size_t i = 0; r->filter.kind != HISTORY_SERIAL && i < f->slot_count; i++)
        print_slot(&f->slots[i]);
    for (size_t i = 0; i < f->reason_count; i++)
        printf("  %" PRId64 " %s: %s\n", f->reasons[i].count, error_name(f->reasons[i].code),
               figures_meaning(f->reasons[i].code));
    printf("%s: %" PRId64 " ledger entries\n",
           r->verified.macs ? "verified, with the token" : "chain followed, MACs not verified",
           r->verified.entries);
}

static int make(struct cli *cli, const struct report *r, struct error *err)
{
    const char *path = cli_value(cli, "html");
    struct figures *f = malloc(sizeof *f); /* too large for the stack */
    int rc = f ? 0 : error_set(err, ERR_INTERNAL, "out of memory for the report");

    if (rc == 0) {
        figures_take(r, f);
        rc = path ? write_page(cli, path, r, f, err) : 0;
    }
    if (rc == 0 && cli->json)
        cli_print_json(report_json(r, f));
    else if (rc == 0)
        print_words(r, f);
    free(f);
    return rc;
}

/* An order's id, else the lot of a UDI. */
static int read_report(struct cli *cli, struct history_filter *f, struct report *r,
                       struct error *err)
{
    int rc = report_read(cli->store, f, r, err);

    if (rc != ERR_MISSING || f->kind != HISTORY_ORDER)
        return rc;
    report_done(r);
    *err = (struct error)ERROR_INIT;
    f->kind = HISTORY_LOT;
    return report_read(cli->store, f, r, err);
}

static int open_all(struct cli *cli, struct hsm_anchor *anchored, struct error *err)
{
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc || !cli_value(cli, "verify"))
        return rc;
    rc = vault_open_hsm(&cli->config, &cli->hsm, err);
    if (rc)
        return rc;
    vault_attach_reader(cli->hsm, cli->store);
    return hsm_anchor_read(cli->hsm, anchored, err);
}

/* The token's memory was read before: a command that writes beside this one adds entries meanwhile. */
static int read_and_make(struct cli *cli, struct history_filter *filter,
                         const struct hsm_anchor *anchored, struct error *err)
{
    struct report r = {.made = 0};
    int rc = read_report(cli, filter, &r, err);

    if (rc == 0)
        rc = verify(cli, anchored, &r, err);
    if (rc == 0) {
        snprintf(r.station, sizeof r.station, "%s", cli->config.name);
        snprintf(r.environment, sizeof r.environment, "%s", cli->config.environment);
        rc = make(cli, &r, err);
    }
    report_done(&r);
    return rc;
}

int cmd_report(struct cli *cli, struct error *err)
{
    struct hsm_anchor anchored = {.sequence = 0};
    struct history_filter filter;
    int rc = choose(cli, &filter, err);

    if (rc == 0)
        rc = open_all(cli, &anchored, err);
    if (rc == 0)
        rc = history_hold(cli->store, err);
    if (rc)
        return rc;
    rc = read_and_make(cli, &filter, &anchored, err);
    history_release(cli->store);
    return rc;
}
