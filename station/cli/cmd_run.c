/* imprint run: provisions the devices that are in the slots. */
#include "station/cli/cli.h"
#include "station/vault/quota.h"
#include "station/vault/server.h"

static int serve(struct cli *cli, struct server *server, struct error *err)
{
    struct vault v;
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);

    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc) {
        server_stop_line(server);
        return rc;
    }
    rc = vault_init(&v, &cli->config, &cli->job, cli->store, cli->hsm, err);
    if (rc == 0)
        rc = quota_check_run(&v, err);
    if (rc == 0)
        rc = vault_load_certificate(&v, err);
    if (rc) {
        server_stop_line(server);
    } else {
        rc = server_run(server, &v, err);
        cli_warn_order(cli, v.order, quota_warnings(&v));
    }
    vault_done(&v);
    return rc;
}

/* The line starts first: it must not inherit a module, a PIN or a database. */
int cmd_run(struct cli *cli, struct error *err)
{
    struct server server;
    const char *output = cli->json ? "json" : cli->quiet ? "quiet" : "words";
    int rc = server_start_line(&server, &cli->job, output, err);

    return rc ? rc : serve(cli, &server, err);
}
