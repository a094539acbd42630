/* imprint seal: signs the next manifest. */
#include "station/cli/cli.h"
#include "station/cli/progress.h"
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

int cmd_seal(struct cli *cli, struct error *err)
{
    struct progress progress;
    struct sealing_watch watch = {show, &progress};
    struct sealed sealed;
    int rc;

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
        printf("nothing new to seal: %" PRId64 " records are sealed already\n", sealed.size);
    else
        printf("sealed manifest %" PRId64 " with %" PRId64 " records (%" PRId64 " in all): %s\n",
               sealed.seq, sealed.count, sealed.size, sealed.dir);
    return sealed.seq ? cli_keep_revocations(cli, err) : 0;
}
