/* imprint order close: ends an order, and hands out the signed statement of what became of it. */
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/vault/closing.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static void show(void *context, int64_t done, int64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_show(progress, done);
}

static void report(const struct cli *cli, const struct closed *c)
{
    const struct manifest_totals *t = &c->totals;
    json_t *totals;

    if (!cli->json) {
        printf("order '%s' %s: %" PRIu64 " certificate%s, of which %" PRIu64 " good, %" PRIu64
               " revoked, %" PRIu64 " burned, %" PRIu64 " scrapped\n  statement   %s\n",
               cli->args[1], c->before ? "was closed before" : "is closed", t->issued,
               PLURAL(t->issued), t->good, t->revoked, t->burned, t->scrapped, c->dir);
        return;
    }
    totals = json_object();
#define ADD_TOTAL(name) json_object_set_new(totals, #name, json_integer((json_int_t)t->name));
    MANIFEST_TOTALS(ADD_TOTAL)
#undef ADD_TOTAL
    cli_print_json(json_pack("{s:s, s:s, s:b, s:I, s:s, s:o}", "event", "closed", "order",
                             cli->args[1], "new", !c->before, "manifest", (json_int_t)c->manifest,
                             "path", c->dir, "totals", totals));
}

static int close_order(struct cli *cli, struct closed *closed, struct error *err)
{
    struct progress progress;
    struct closing_watch watch = {show, &progress};
    struct vault v;
    int64_t count;
    int rc = vault_init(&v, &cli->config, NULL, cli->store, cli->hsm, err);

    progress_start(&progress, "credentials", 0, cli->quiet);
    if (rc == 0)
        rc = closing_run(&v, cli->args[1], &watch, closed, err);
    progress_end(&progress);
    if (rc == ERR_UNRESOLVED) {
        struct error listing = ERROR_INIT;

        if (cli_report_unresolved(cli, v.order_id, cli->args[1], &count, &listing))
            error_tell("imprint", &listing);
    }
    vault_done(&v);
    return rc;
}

int cmd_order_close(struct cli *cli, struct error *err)
{
    struct closed closed;
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc == 0)
        rc = cli_sign(cli, SIGNING_CLOSE, err);
    if (rc == 0)
        rc = close_order(cli, &closed, err);
    if (rc == 0)
        report(cli, &closed);
    return rc ? rc : cli_keep_revocations(cli, err);
}
