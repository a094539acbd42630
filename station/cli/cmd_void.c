/* imprint void: ends one credential. */
#include "station/cli/cli.h"
#include "station/vault/voiding.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* What a credential is now, and what that means. */
static const struct {
    const char *name, *words;
} endings[] = {
    [CREDENTIAL_BURNED] = {"burned", "it may exist somewhere: the whitelist revokes it"},
    [CREDENTIAL_SCRAPPED] = {"scrapped", "no device ever got it"},
    [CREDENTIAL_REVOKED] = {"revoked", "the whitelist revokes it"},
};

int cli_reason_code(const struct cli *cli, enum record_reason *reason, struct error *err)
{
    const char *name = cli_value(cli, "reason-code");

    if (name)
        *reason = voiding_reason(name);
    return *reason ? 0
                   : error_set(err, ERR_USAGE,
                               "'%s' is not a reason for a revocation: keyCompromise, superseded, "
                               "cessationOfOperation and others are, see imprint(1)",
                               name);
}

static int read_request(const struct cli *cli, struct voiding *what, struct error *err)
{
    *what = (struct voiding){.name = cli->args[0],
                             .product = cli_value(cli, "product"),
                             .lost = cli_value(cli, "lost") != NULL,
                             .reason = RECORD_CESSATION_OF_OPERATION};
    if (!cli_value(cli, "reason"))
        return error_set(err, ERR_USAGE, "'imprint void' needs --reason: it stands in the ledger");
    return cli_reason_code(cli, &what->reason, err);
}

static void report(const struct cli *cli, const struct voided *voided)
{
    const char *name = endings[voided->state].name;

    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "event", "void", "serial",
                                 voided->serial, "product", voided->product, "order", voided->order,
                                 "state", name, "new", !voided->before));
    else if (voided->before)
        printf("'%s' was %s before: nothing changed\n", voided->serial, name);
    else
        printf("'%s' of order '%s' is %s: %s\n", voided->serial, voided->order, name,
               endings[voided->state].words);
}

int cmd_void(struct cli *cli, struct error *err)
{
    struct voiding what;
    struct voided voided;
    struct vault v;
    int rc = read_request(cli, &what, err);

    if (rc == 0)
        rc = cli_sign(cli, SIGNING_VOID, err);
    if (rc)
        return rc;
    rc = vault_init(&v, &cli->config, NULL, cli->store, cli->hsm, err);
    if (rc == 0)
        rc = voiding_run(&v, &what, &voided, err);
    if (rc == 0)
        report(cli, &voided);
    if (rc == 0 && !voided.before)
        rc = cli_keep_revocations(cli, err);
    vault_done(&v);
    return rc;
}
