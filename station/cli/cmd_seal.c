/* imprint seal: signs the next manifest. */
#include "base/clock.h"
#include "base/plural.h"
#include "pki/envelope.h"
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/vault/exporting.h"
#include "station/vault/sealing.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static void show(void *context, int64_t done, int64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_show(progress, done);
}

static int seal(struct cli *cli, struct error *err)
{
    struct progress progress;
    struct sealing_watch watch = {show, &progress};
    struct sealed sealed;
    int rc;

    cli->config.compress = cli_value(cli, "compress") != NULL;
    progress_start(&progress, "records", 0, cli->quiet);
    rc = sealing_run(&cli->config, cli->store, cli->hsm, &watch, &sealed, err);
    progress_end(&progress);

    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:I, s:I, s:s?}", "event", "sealed", "manifest",
                                 (json_int_t)sealed.seq, "count", (json_int_t)sealed.count, "size",
                                 (json_int_t)sealed.size, "path", sealed.seq ? sealed.dir : NULL));
    else if (sealed.seq == 0)
        printf("nothing new to seal: all %" PRId64 " record%s sealed already\n", sealed.size,
               sealed.size == 1 ? " is" : "s are");
    else
        printf("sealed manifest %" PRId64 " with %" PRId64 " record%s (%" PRId64 " in all): %s\n",
               sealed.seq, sealed.count, PLURAL(sealed.count), sealed.size, sealed.dir);
    cli_warn_issuers(cli);
    return sealed.seq ? cli_keep_revocations(cli, err) : 0;
}

/* Format and settings, before anything is sealed. */
static int read_format(const struct cli *cli, struct platform_run *run, struct error *err)
{
    const char *format = cli_value(cli, "export");

    if (!format && (cli->set_count || cli_value(cli, "manifest") || cli_value(cli, "recipient")))
        return error_set(err, ERR_USAGE, "--set, --manifest and --recipient are for --export");
    if (!format)
        return 0;
    run->platform = platform_find(format);
    if (!run->platform)
        return error_set(err, ERR_USAGE, "there is no format '%s': there are %s", format,
                         platform_names());
    if (run->platform->secret != (cli_value(cli, "recipient") != NULL))
        return error_set(err, ERR_USAGE,
                         run->platform->secret
                             ? "the format '%s' holds secret keys: name with --recipient the "
                               "certificate of who may open them, which the order names"
                             : "the format '%s' holds no secret: leave out --recipient",
                         format);
    return export_settings(run, cli->sets, cli->set_count, err);
}

/* Judged before anything is sealed. */
static int read_recipients(const struct cli *cli, STACK_OF(X509) * *recipients, struct error *err)
{
    const char *path = cli_value(cli, "recipient");

    return path ? envelope_read_recipients(path, clock_utc(), recipients, err) : 0;
}

static int export_manifest(struct cli *cli, struct platform_run *run, struct error *err)
{
    struct exported out = {.manifest = 0};
    int64_t manifest = 0;
    int rc = cli_number(cli, "manifest", 1, INT64_MAX, &manifest, err);

    if (rc == 0)
        rc = exporting_run(&cli->config, cli->store, cli->hsm, manifest, run, &out, err);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:s, s:I, s:I, s:s}", "event", "exported", "manifest",
                                 (json_int_t)out.manifest, "format", run->platform->name, "devices",
                                 (json_int_t)out.report.devices, "files",
                                 (json_int_t)out.report.files, "path", out.dir));
    else
        printf("exported manifest %" PRId64 " for '%s', %" PRIu64 " device%s: %s\n", out.manifest,
               run->platform->name, out.report.devices, PLURAL(out.report.devices), out.dir);
    return 0;
}

int cmd_seal(struct cli *cli, struct error *err)
{
    struct platform_run run = {.platform = NULL};
    STACK_OF(X509) *recipients = NULL;
    int rc = read_format(cli, &run, err);

    if (rc == 0)
        rc = read_recipients(cli, &recipients, err);
    run.recipients = recipients;
    if (rc == 0)
        rc = seal(cli, err);
    if (rc == 0 && run.platform)
        rc = export_manifest(cli, &run, err);
    if (rc == 0)
        cli_warn_receipts(cli);
    envelope_recipients_free(recipients);
    return rc;
}
