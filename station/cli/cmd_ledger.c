/* imprint ledger: verifies, shows or hands out what was recorded. */
#include "base/codec.h"
#include "base/plural.h"
#include "hsm/anchor.h"
#include "station/cli/cli.h"
#include "station/cli/progress.h"
#include "station/store/ledger.h"
#include "station/vault/export.h"
#include "station/vault/vault.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* The token's memory is read first: a command that writes beside this one adds entries meanwhile. */
static int verify_ledger(const struct cli *cli, int64_t *count, struct error *err)
{
    struct hsm_anchor anchored;
    int rc = hsm_anchor_read(cli->hsm, &anchored, err);

    if (rc == 0)
        rc = ledger_verify(cli->store, count, err);
    return rc ? rc
              : ledger_check_anchor(cli->store, (int64_t)anchored.sequence, anchored.head, err);
}

static int verify(struct cli *cli, struct error *err)
{
    struct people people = {NULL, 0};
    int64_t count;
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc == 0)
        rc = vault_open_hsm(&cli->config, &cli->hsm, err);
    if (rc == 0)
        vault_attach_reader(cli->hsm, cli->store);
    if (rc == 0)
        rc = verify_ledger(cli, &count, err);
    if (rc == 0)
        rc = people_load(cli->store, &people, err);
    people_done(&people);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I}", "event", "verified", "entries", (json_int_t)count));
    else
        printf("%" PRId64 " %s: the chain, every MAC and the counts of the database agree\n", count,
               count == 1 ? "entry" : "entries");
    return 0;
}

static int print_entry(void *context, const struct ledger_entry *entry, struct error *err)
{
    (void)context;
    (void)err;
    printf("%s\n", entry->body);
    return 0;
}

static int show(struct cli *cli, struct error *err)
{
    struct ledger_filter filter = {.event = cli_value(cli, "event"),
                                   .serial = cli_value(cli, "serial")};
    int rc = cli_number(cli, "last", 1, INT64_MAX, &filter.last, err);

    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);
    return rc ? rc : ledger_find(cli->store, &filter, print_entry, NULL, err);
}

static void show_progress(void *context, int64_t done, int64_t total)
{
    struct progress *progress = context;

    progress->total = total;
    progress_show(progress, done);
}

static void report(const struct cli *cli, const struct ledger_statement *s)
{
    char head[2 * SHA256_SIZE + 1];

    hex_encode(s->head, sizeof s->head, head);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:I, s:s, s:s}", "event", "exported", "first",
                                 (json_int_t)s->first, "last", (json_int_t)s->last, "head", head,
                                 "path", cli->args[1]));
    else
        printf("exported entries %" PRIu64 " to %" PRIu64 ", head %s: %s\n", s->first, s->last,
               head, cli->args[1]);
}

/* Attached as for writing, so that nothing is signed of an older database; a stopped clock does not
 * stop an audit. */
static int export(struct cli *cli, struct error *err)
{
    struct progress progress;
    struct export_watch watch = {show_progress, &progress};
    struct ledger_statement statement;
    int64_t first = 1;
    int rc = cli_number(cli, "from", 1, INT64_MAX, &first, err);

    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_attach(cli, vault_attach_store, err);
    if (rc)
        return rc;
    progress_start(&progress, "entries", 0, cli->quiet);
    rc = export_ledger(&cli->config, cli->store, cli->hsm, first, cli->args[1], &watch, &statement,
                       err);
    progress_end(&progress);
    if (rc == 0)
        report(cli, &statement);
    return rc;
}

int cmd_ledger(struct cli *cli, struct error *err)
{
    static const struct {
        const char *name;
        int args;
        int (*run)(struct cli *cli, struct error *err);
    } parts[] = {{"verify", 1, verify}, {"show", 1, show}, {"export", 2, export}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(cli->args[0], parts[i].name) == 0 && cli->arg_count == parts[i].args)
            return parts[i].run(cli, err);
    return error_set(err, ERR_USAGE,
                     "usage: imprint ledger verify, imprint ledger show or imprint ledger export "
                     "DIR; see 'imprint help ledger'");
}
