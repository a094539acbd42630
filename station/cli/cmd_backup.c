/* imprint backup: copies the station, also while it runs. */
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/vault/backup.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static void show(void *context, int64_t done, int64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_show(progress, done);
}

int cmd_backup(struct cli *cli, struct error *err)
{
    struct progress progress;
    struct backup_watch watch = {show, &progress};
    struct ledger_head head;
    int rc;

    progress_start(&progress, "pages", 0, cli->quiet);
    rc = backup_make(&cli->config, cli->store, cli->args[0], &watch, &head, err);
    progress_end(&progress);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:I}", "event", "backup", "path", cli->args[0], "seq",
                                 (json_int_t)head.seq));
    else
        printf("backup of station '%s' up to ledger entry %" PRId64 ": %s\n"
               "the token is not in it, nor the PIN\n",
               cli->config.name, head.seq, cli->args[0]);
    return 0;
}
