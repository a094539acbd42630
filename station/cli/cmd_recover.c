/* imprint recover: confirms the clock, restores a backup or makes a new counter, with a ticket of the
 * owner. */
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/vault/clock_stop.h"
#include "station/vault/recover.h"
#include "station/vault/restore.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static void show(void *context, int64_t done, int64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_show(progress, done);
}

static int confirm_clock(struct cli *cli, struct error *err)
{
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);

    if (rc == 0)
        rc = cli_attach(cli, vault_attach_store, err);
    if (rc == 0)
        rc = cli_sign(cli, SIGNING_CLOCK, err);
    if (rc == 0)
        rc = recover_clock(&cli->config, cli->store, cli->hsm, cli->args[0], err);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s}", "event", "clock_confirmed"));
    else
        printf("the clock is confirmed: the station goes on\n");
    return 0;
}

static int replace_counter(struct cli *cli, struct error *err)
{
    uint32_t index;
    int rc = cli_nv_index(cli_value(cli, "counter"), &index, err);

    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_attach(cli, vault_attach_anchor, err);
    if (rc == 0)
        rc = clock_stop_check(cli->store, err);
    if (rc == 0)
        rc = cli_sign(cli, SIGNING_COUNTER, err);
    if (rc == 0)
        rc = recover_counter(&cli->anchoring, cli->store, cli->args[0], index, err);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(
            json_pack("{s:s, s:I}", "event", "counter_replaced", "index", (json_int_t)index));
    else
        printf("the station counts with NV index 0x%08" PRIx32 " from now on\n", index);
    return 0;
}

static void report_restore(const struct cli *cli, const struct restore_result *r)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:I, s:I}", "event", "restored", "seq",
                                 (json_int_t)r->seq, "lost", (json_int_t)r->lost, "burned",
                                 (json_int_t)r->burned));
    else
        printf("restored: %" PRId64 " ledger %s lost, %" PRId64 " credential%s burned, which may "
               "have been given out in what is lost; run 'imprint seal' and hand the manifest "
               "over\n",
               r->lost, r->lost == 1 ? "entry" : "entries", r->burned, PLURAL(r->burned));
}

static int restore(struct cli *cli, struct error *err)
{
    struct progress progress;
    struct restore_request request = {cli->args[0],
                                      cli_value(cli, "backup"),
                                      cli_value(cli, "by"),
                                      cli_value(cli, "reason"),
                                      show,
                                      &progress};
    struct restore_result result;
    int rc;

    /* The people are in the database that is missing: here the ticket alone says who may. */
    if (!cli_value(cli, "by") || !cli_value(cli, "reason"))
        return error_set(err, ERR_USAGE,
                         "'imprint recover --backup' needs --by and --reason: both stand in the "
                         "ledger");
    rc = vault_open_hsm(&cli->config, &cli->hsm, err);
    if (rc)
        return rc;
    progress_start(&progress, "pages", 0, cli->quiet);
    rc = restore_run(&cli->config, cli->hsm, &request, &result, err);
    progress_end(&progress);
    if (rc == 0)
        report_restore(cli, &result);
    return rc;
}

int cmd_recover(struct cli *cli, struct error *err)
{
    if (cli_value(cli, "backup") && cli_value(cli, "counter"))
        return error_set(err, ERR_USAGE,
                         "--backup and --counter each need a ticket of their own: one after the "
                         "other");
    if (cli_value(cli, "counter"))
        return replace_counter(cli, err);
    return cli_value(cli, "backup") ? restore(cli, err) : confirm_clock(cli, err);
}
