/* Asks who signs for what the command is about to do. */
#include "station/cli/cli.h"
#include "station/vault/signing.h"

#include <stdio.h>
#include <string.h>

static int prompt(const char *question, struct secret **answer, struct error *err)
{
    int rc = secret_prompt_pin(question, answer, err);

    if (rc == ERR_MISSING)
        rc = error_set(err, ERR_PIN,
                       "no badge and PIN, and no terminal to ask at: name a file of mode 0600 that "
                       "holds them with --signer");
    return rc;
}

static int ask(const struct cli *cli, struct secret **badge, struct secret **pin, struct error *err)
{
    const char *file = cli_value(cli, "signer");
    int rc;

    if (file)
        return secret_read_badge_file(file, badge, pin, err);
    rc = prompt("badge of who signs: ", badge, err);
    return rc ? rc : prompt("PIN: ", pin, err);
}

static int sign(struct cli *cli, const struct people *people, enum signing_action action,
                struct error *err)
{
    struct secret *badge = NULL, *pin = NULL;
    int rc;

    if (cli_value(cli, "by"))
        return error_set(err, ERR_USAGE,
                         "'%s' is signed with badge and PIN here: leave --by out, the badge says "
                         "who works",
                         signing_rule(action)->command);
    if (!cli_value(cli, "reason"))
        return error_set(err, ERR_USAGE, "'%s' needs --reason: it stands in the ledger",
                         signing_rule(action)->command);
    rc = ask(cli, &badge, &pin, err);
    if (rc == 0)
        rc = signing_check(cli->store, people, badge, pin, action, &cli->signature, err);
    secret_free(badge);
    secret_free(pin);
    if (rc == 0)
        store_sign(cli->store, &cli->signature);
    return rc;
}

/* A station without people goes on with what somebody says of himself. */
static int go_on(const struct cli *cli, enum signing_action action, struct error *err)
{
    const struct signing_rule *rule = signing_rule(action);

    if (cli_value(cli, "signer"))
        return error_set(err, ERR_USAGE,
                         "nobody signs at this station yet, so --signer is good for nothing: add "
                         "people first with 'imprint people add'");
    if (strcmp(cli->config.people, "required") == 0 && action != SIGNING_PEOPLE)
        return error_set(err, ERR_REFUSED,
                         "station.yaml says 'people: required' and nobody signs here yet: add "
                         "people first with 'imprint people add'");
    if (rule->named && (!cli_value(cli, "by") || !cli_value(cli, "reason")))
        return error_set(err, ERR_USAGE,
                         "'%s' needs --by and --reason: somebody answers for it, and both stand in "
                         "the ledger",
                         rule->command);
    return 0;
}

int cli_sign_as(struct cli *cli, const struct people *people, enum signing_action action,
                struct error *err)
{
    return people->count ? sign(cli, people, action, err) : go_on(cli, action, err);
}

int cli_sign(struct cli *cli, enum signing_action action, struct error *err)
{
    struct people people;
    int rc = people_load(cli->store, &people, err);

    if (rc == 0)
        rc = cli_sign_as(cli, &people, action, err);
    people_done(&people);
    return rc;
}

const char *cli_who(const struct cli *cli)
{
    return cli->signature.person ? cli->signature.name : cli_value(cli, "by");
}
