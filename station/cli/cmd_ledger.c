/* imprint ledger: verifies or shows what was recorded. */
#include "station/cli/cli.h"
#include "station/store/ledger.h"
#include "station/vault/vault.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int verify(struct cli *cli, struct error *err)
{
    int64_t count;
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc == 0)
        rc = vault_open_hsm(&cli->config, &cli->hsm, err);
    if (rc == 0)
        vault_attach_reader(cli->hsm, cli->store);
    if (rc == 0)
        rc = ledger_verify(cli->store, &count, err);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I}", "event", "verified", "entries", (json_int_t)count));
    else
        printf("%" PRId64 " entries: the chain, every MAC and the counts of the database agree\n",
               count);
    return 0;
}

static int count_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    (void)err;
    *(int64_t *)context = entry->seq;
    return 0;
}

static int print_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    (void)err;
    if (entry->seq > *(const int64_t *)context)
        printf("%s\n", entry->body);
    return 0;
}

static int show(struct cli *cli, struct error *err)
{
    int64_t last = INT64_MAX, end = 0, after;
    int rc = cli_number(cli, "last", 1, INT64_MAX, &last, err);

    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);
    if (rc == 0)
        rc = ledger_each(cli->store, count_entry, &end, err);
    after = end > last ? end - last : 0;
    return rc ? rc : ledger_each(cli->store, print_entry, &after, err);
}

int cmd_ledger(struct cli *cli, struct error *err)
{
    if (strcmp(cli->args[0], "verify") == 0)
        return verify(cli, err);
    if (strcmp(cli->args[0], "show") == 0)
        return show(cli, err);
    return error_set(err, ERR_USAGE,
                     "'%s' is neither 'verify' nor 'show'; see 'imprint help ledger'",
                     cli->args[0]);
}
