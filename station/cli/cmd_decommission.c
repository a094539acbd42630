/* imprint decommission: takes the identities of the devices in the slots away, as their owner signed. */
#include "station/cli/cli.h"

int cmd_decommission(struct cli *cli, struct error *err)
{
    const char *folder = cli_value(cli, "statements");

    if (!folder)
        return error_set(
            err, ERR_USAGE,
            "'imprint decommission' needs --statements: the folder with what the owner "
            "signed");
    return cli_run(cli, folder, err);
}
