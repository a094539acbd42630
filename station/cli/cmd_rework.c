/* imprint rework: allows that a unit gets another identity under its serial. */
#include "station/cli/cli.h"
#include "station/vault/rework.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static int read_request(const struct cli *cli, struct voiding *what, struct error *err)
{
    *what = (struct voiding){
        .name = cli->args[0], .product = cli_value(cli, "product"), .reason = RECORD_SUPERSEDED};
    return cli_reason_code(cli, &what->reason, err);
}

static void report(const struct cli *cli, const struct reworked *r)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:b}", "event", "rework", "serial",
                                 r->serial, "product", r->product, "order", r->order, "new",
                                 !r->before));
    else if (r->before)
        printf("'%s' may get another identity already: nothing changed\n", r->serial);
    else
        printf("'%s' of order '%s' may get another identity, %" PRId64 " of %" PRId64
               "; its old one is revoked\n",
               r->serial, r->order, r->used, r->allowed);
    if (!cli->json)
        printf("next: put the unit in a slot, scan its label there, and run the job; where labels "
               "are not\nscanned, 'imprint run JOB --scan \"SLOT %s\"'\n",
               r->serial);
}

int cmd_rework(struct cli *cli, struct error *err)
{
    struct voiding what;
    struct reworked reworked;
    struct vault v;
    int rc = read_request(cli, &what, err);

    if (rc == 0)
        rc = cli_sign(cli, SIGNING_REWORK, err);
    if (rc)
        return rc;
    rc = vault_init(&v, &cli->config, NULL, cli->store, cli->hsm, err);
    if (rc == 0)
        rc = rework_run(&v, &what, &reworked, err);
    if (rc == 0)
        report(cli, &reworked);
    if (rc == 0 && !reworked.before)
        rc = cli_keep_revocations(cli, err);
    vault_done(&v);
    return rc;
}
