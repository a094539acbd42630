/* imprint crl: makes the issuing CA's revocation list. */
#include "base/clock.h"
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/vault/revocations.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static int warn_skipped(const struct revocations *list)
{
    fprintf(stderr,
            "warning: the key of issuing CA %u is not on the token: its revocation list stays as "
            "it was; 'imprint ca destroy %u' ends it\n",
            list->issuer, list->issuer);
    return 0;
}

static int say_made(void *context, const struct revocations *list, struct error *err)
{
    const struct cli *cli = context;

    (void)err;
    if (list->without_key)
        return warn_skipped(list);
    if (!cli->quiet)
        fprintf(stderr, "revocation list %" PRId64 " with %" PRIu64 " certificate%s: %s\n",
                list->number, list->entries, PLURAL(list->entries), list->path);
    return 0;
}

int cli_keep_revocations(struct cli *cli, struct error *err)
{
    return revocations_keep(&cli->config, cli->store, cli->hsm, say_made, cli, err);
}

static int report(void *context, const struct revocations *list, struct error *err)
{
    const struct cli *cli = context;
    char next[CLOCK_TEXT_SIZE];

    (void)err;
    if (list->without_key)
        return warn_skipped(list);
    clock_text(list->next, next);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "event", "crl", "number",
                                 (json_int_t)list->number, "entries", (json_int_t)list->entries,
                                 "issuer", (json_int_t)list->issuer, "next", next, "path",
                                 list->path));
    else
        printf("revocation list %" PRId64 " with %" PRIu64
               " certificate%s, the next one due by %s: "
               "%s\n",
               list->number, list->entries, PLURAL(list->entries), next, list->path);
    return 0;
}

int cmd_crl(struct cli *cli, struct error *err)
{
    int64_t days = REVOCATIONS_DAYS;
    int rc = cli_number(cli, "days", 1, REVOCATIONS_DAYS_MAX, &days, err);

    return rc ? rc
              : revocations_write_all(&cli->config, cli->store, cli->hsm, days, report, cli, err);
}
