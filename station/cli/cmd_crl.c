/* imprint crl: makes the issuing CA's revocation list. */
#include "base/clock.h"
#include "station/cli/cli.h"
#include "station/vault/revocations.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

int cli_keep_revocations(const struct cli *cli, struct error *err)
{
    struct revocations list;
    bool made;
    int rc = revocations_keep(&cli->config, cli->store, cli->hsm, &made, &list, err);

    if (rc == 0 && made && !cli->quiet)
        fprintf(stderr, "revocation list %" PRId64 " with %" PRIu64 " certificates: %s\n",
                list.number, list.entries, list.path);
    return rc;
}

static void report(const struct cli *cli, const struct revocations *list)
{
    char next[CLOCK_TEXT_SIZE];

    clock_text(list->next, next);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:I, s:s, s:s}", "event", "crl", "number",
                                 (json_int_t)list->number, "entries", (json_int_t)list->entries,
                                 "next", next, "path", list->path));
    else
        printf("revocation list %" PRId64 " with %" PRIu64 " certificates, the next one due by %s: "
               "%s\n",
               list->number, list->entries, next, list->path);
}

int cmd_crl(struct cli *cli, struct error *err)
{
    struct revocations list;
    int64_t days = REVOCATIONS_DAYS;
    int rc = cli_number(cli, "days", 1, REVOCATIONS_DAYS_MAX, &days, err);

    if (rc == 0)
        rc = revocations_write(&cli->config, cli->store, cli->hsm, days, &list, err);
    if (rc == 0)
        report(cli, &list);
    return rc;
}
