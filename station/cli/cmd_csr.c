/* imprint csr: requests to a hosted CA, and the certificates that it sends back. */
#include "base/clock.h"
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/vault/hosted/dropping.h"
#include "station/vault/hosted/hosted_job.h"
#include "station/vault/hosted/making.h"
#include "station/vault/hosted/request_files.h"
#include "station/vault/hosted/taking.h"
#include "station/vault/quota.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX INT64_C(100000000)

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool stop(void *context)
{
    (void)context;
    return interrupted != 0;
}

/* The job, the database and the token, in the order in which every command opens them. */
static int open_vault(struct cli *cli, struct vault *v, struct error *err)
{
    int rc;

    if (cli->arg_count < 2)
        return error_set(err, ERR_USAGE, "'imprint csr %s' needs a job", cli->args[0]);
    cli->has_job = true;
    rc = job_read(cli->args[1], &cli->job, err);
    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc == 0)
        rc = vault_init(v, &cli->config, &cli->job, cli->store, cli->hsm, err);
    return rc;
}

/* ---- export ---- */

struct export_wish {
    const char *lot, *out;
    int64_t count;
    enum request_form form;
};

static int read_wish(const struct cli *cli, struct export_wish *w, struct error *err)
{
    const char *form = cli_value(cli, "form");

    *w = (struct export_wish){.lot = cli_value(cli, "lot"), .out = cli_value(cli, "out")};
    if (cli->arg_count != 2 || !w->lot || !w->out || !cli_value(cli, "count"))
        return error_set(err, ERR_USAGE,
                         "'imprint csr export JOB' needs --count N (requests that the lot is to "
                         "have), --lot NAME and --out PATH");
    if (!request_form_named(form ? form : "dir", &w->form))
        return error_set(err, ERR_USAGE, "--form is 'dir', 'tar' or 'csv', not '%s'", form);
    return cli_number(cli, "count", 1, COUNT_MAX, &w->count, err);
}

static void show_made(void *context, int64_t done)
{
    progress_show(context, done);
}

static void report_export(const struct cli *cli, const struct export_wish *w, int64_t made,
                          int64_t written)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:I, s:s, s:I}", "event", "csr_exported", "lot",
                                 w->lot, "made", (json_int_t)made, "path", w->out, "written",
                                 (json_int_t)written));
    else
        printf("lot '%s': %" PRId64 " key%s made, %" PRId64 " request%s written to %s\n"
               "next: the hosted CA signs them, then 'imprint csr import JOB FILE...'\n",
               w->lot, made, PLURAL(made), written, PLURAL(written), w->out);
    fflush(stdout);
}

static int export(struct cli *cli, struct error *err)
{
    struct progress progress;
    const struct generate_watch watch = {show_made, stop, &progress};
    struct vault v = {.config = NULL};
    int64_t made = 0, written = 0;
    struct export_wish wish;
    int rc = read_wish(cli, &wish, err);

    if (rc == 0)
        rc = making_check_lot(wish.lot, err);
    if (rc)
        return rc;
    rc = open_vault(cli, &v, err);
    if (rc == 0) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        progress_start(&progress, "requests", wish.count, cli->quiet);
        rc = making_run(&v, wish.lot, wish.count, &watch, &made, err);
        progress_end(&progress);
        if (rc == 0)
            rc = request_files_write(&v, wish.lot, wish.form, wish.out, stop, &written, err);
        if (rc == 0)
            report_export(cli, &wish, made, written);
        if (v.order)
            cli_warn_order(cli, v.order, quota_warnings(&v));
    }
    vault_done(&v);
    return rc;
}

/* ---- import ---- */

struct importing {
    const struct cli *cli;
    struct progress progress;
};

static void show_refused(void *context, enum taking_verdict verdict, const char *place,
                         const char *serial, const char *why)
{
    const struct importing *i = context;

    if (i->cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s*, s:s}", "event", "csr_refused", "verdict",
                                 taking_verdict_name(verdict), "place", place, "serial",
                                 *serial ? serial : NULL, "why", why));
    else
        printf("%s: %s%s%s: %s\n", taking_verdict_name(verdict), place, *serial ? ": " : "", serial,
               why);
}

static void show_read(void *context, int64_t done)
{
    struct importing *i = context;

    progress_show(&i->progress, done);
}

static int64_t count_refused(const struct taking_report *r)
{
    return r->of[TAKING_DOUBLED] + r->of[TAKING_FOREIGN] + r->of[TAKING_WRONG] +
           r->of[TAKING_BROKEN];
}

static void report_import(const struct cli *cli, const struct taking_report *r)
{
    json_t *out;

    if (!cli->json) {
        printf("%" PRId64 " certificate%s taken, %" PRId64 " taken before, %" PRId64
               " refused; %" PRId64 " request%s still wait%s ('imprint csr list')\n",
               r->of[TAKING_TAKEN], PLURAL(r->of[TAKING_TAKEN]), r->of[TAKING_AGAIN],
               count_refused(r), r->waiting, PLURAL(r->waiting), r->waiting == 1 ? "s" : "");
        fflush(stdout);
        return;
    }
    out = json_pack("{s:s, s:I}", "event", "csr_imported", "waiting", (json_int_t)r->waiting);
    for (int i = 0; i < TAKING_VERDICTS; i++)
        json_object_set_new(out, taking_verdict_name((enum taking_verdict)i),
                            json_integer((json_int_t)r->of[i]));
    cli_print_json(out);
}

/* Everything good was taken all the same. */
static int end_import(const struct taking_report *r, struct error *err)
{
    int64_t refused = count_refused(r);

    if (refused == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "%" PRId64 " of what was read %s not taken, the lines above say why: all else "
                     "is in stock",
                     refused, refused == 1 ? "was" : "were");
}

static int import(struct cli *cli, struct error *err)
{
    struct importing importing = {.cli = cli};
    const struct taking_watch watch = {show_refused, show_read, stop, &importing};
    struct vault v = {.config = NULL};
    struct taking_report report;
    int rc;

    if (cli->arg_count < 3)
        return error_set(
            err, ERR_USAGE,
            "'imprint csr import' needs a job, and files or folders with certificates");
    rc = open_vault(cli, &v, err);
    if (rc == 0) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        progress_start(&importing.progress, "certificates", v.counts.requests, cli->quiet);
        rc = taking_run(&v, cli->args + 2, (size_t)cli->arg_count - 2, &watch, &report, err);
        progress_end(&importing.progress);
        report_import(cli, &report);
        if (rc == 0)
            rc = end_import(&report, err);
    }
    vault_done(&v);
    return rc;
}

/* ---- list ---- */

static int list_one(void *context, const struct request *r, struct error *err)
{
    const struct cli *cli = context;
    char made[CLOCK_TEXT_SIZE];

    (void)err;
    clock_text(r->made, made);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "event", "csr_waiting", "lot", r->lot,
                                 "made", made, "serial", r->serial));
    else
        printf("%s  lot '%s', asked for on %s\n", r->serial, r->lot, made);
    return 0;
}

/* With the token: rows are shown as they are only when their MAC is right. */
static int list(struct cli *cli, struct error *err)
{
    struct vault v = {.config = NULL};
    int rc = open_vault(cli, &v, err);

    if (rc == 0)
        rc =
            request_each_waiting(cli->store, v.order_id, cli_value(cli, "lot"), list_one, cli, err);
    vault_done(&v);
    return rc;
}

/* ---- drop ---- */

static int check_drop(const struct cli *cli, struct error *err)
{
    bool serials = cli->arg_count > 2, lot = cli_value(cli, "lot") != NULL;

    if (cli->arg_count >= 2 && serials != lot)
        return 0;
    return error_set(err, ERR_USAGE,
                     "'imprint csr drop' needs a job, and either serials or --lot NAME");
}

static void report_drop(const struct cli *cli, const struct dropped *d)
{
    if (cli->json)
        cli_print_json(json_pack("{s:I, s:I, s:s, s:I}", "before", (json_int_t)d->before, "dropped",
                                 (json_int_t)d->now, "event", "csr_dropped", "waiting",
                                 (json_int_t)d->waiting));
    else
        printf("%" PRId64 " request%s dropped, %" PRId64 " dropped before; %" PRId64
               " still wait%s\n",
               d->now, PLURAL(d->now), d->before, d->waiting, d->waiting == 1 ? "s" : "");
}

static int drop(struct cli *cli, struct error *err)
{
    struct vault v = {.config = NULL};
    struct dropped dropped;
    int rc = check_drop(cli, err);

    if (rc)
        return rc;
    rc = open_vault(cli, &v, err);
    if (rc == 0)
        rc = cli_sign(cli, SIGNING_DROP, err);
    if (rc == 0)
        rc = dropping_run(&v, cli_value(cli, "lot"), cli->args + 2, (size_t)cli->arg_count - 2,
                          &dropped, err);
    if (rc == 0)
        report_drop(cli, &dropped);
    vault_done(&v);
    return rc;
}

int cmd_csr(struct cli *cli, struct error *err)
{
    static const struct {
        const char *name;
        int (*run)(struct cli *cli, struct error *err);
    } actions[] = {{"export", export}, {"import", import}, {"list", list}, {"drop", drop}};

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(cli->args[0], actions[i].name) == 0)
            return actions[i].run(cli, err);
    return error_set(
        err, ERR_USAGE,
        "'imprint csr' exports requests, imports certificates, lists what is missing or drops it: "
        "'export JOB', 'import JOB PATH...', 'list JOB' or 'drop JOB SERIAL...', not '%s'",
        cli->args[0]);
}
