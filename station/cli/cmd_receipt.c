/* imprint receipt: takes in what the owner answers to a manifest, and says what is missing. */
#include "station/cli/cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "station/vault/receipts.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

int cli_read_receipts(const struct cli *cli, struct receipts_state *state, struct error *err)
{
    STACK_OF(X509) *pins = NULL;
    int rc = vault_show_signers(&cli->config, &pins, err);

    if (rc == 0)
        rc = receipts_read(&cli->config, cli->store, pins, clock_utc(), state, err);
    signed_pins_free(pins);
    return rc;
}

void cli_warn_receipts(const struct cli *cli)
{
    struct receipts_state state = {.overdue = false};
    struct error err = ERROR_INIT;
    char since[CLOCK_TEXT_SIZE];
    int rc = cli_read_receipts(cli, &state, &err);

    if (rc == 0 && !state.overdue)
        return;
    clock_text(state.since, since);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:[s], s:I}", "event", "warning", "warnings", "receipt",
                                 "manifest", (json_int_t)state.received + 1));
    if (rc)
        error_tell("imprint", &err);
    else
        fprintf(stderr,
                "imprint: manifest %" PRId64 ", sealed %s, has no receipt of the owner yet: make "
                "sure that it arrived, and add the receipt with 'imprint receipt add'\n",
                state.received + 1, since);
}

static int add(struct cli *cli, struct error *err)
{
    struct receipt r;
    struct buf bytes;
    bool before = false;
    int rc;

    buf_init(&bytes, RECEIPT_MAX);
    rc = file_read(cli->args[1], &bytes, err);
    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc == 0)
        rc = receipts_add(&cli->config, cli->store, cli->args[1], &bytes, &r, &before, err);
    buf_done(&bytes);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:I, s:b}", "event", "receipt", "manifest",
                                 (json_int_t)r.seq, "closings", (json_int_t)r.closing_count, "new",
                                 !before));
    else
        printf("%s: the owner accepted manifest %" PRIu64 " and all before it%s\n",
               before ? "this receipt is here already" : "receipt taken in", r.seq,
               r.closing_count ? ", and a closing statement" : "");
    return 0;
}

static int show(struct cli *cli, struct error *err)
{
    struct receipts_state state;
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc == 0)
        rc = cli_read_receipts(cli, &state, err);
    if (rc)
        return rc;
    if (cli->json)
        cli_print_json(json_pack("{s:I, s:I, s:b}", "manifests", (json_int_t)state.published,
                                 "received", (json_int_t)state.received, "overdue", state.overdue));
    else
        printf("manifests: %" PRId64 " sealed, the owner's receipt is for %" PRId64 "%s\n",
               state.published, state.received,
               state.overdue ? "; the next one is missed for more than a day" : "");
    return 0;
}

int cmd_receipt(struct cli *cli, struct error *err)
{
    if (strcmp(cli->args[0], "add") == 0 && cli->arg_count == 2)
        return add(cli, err);
    if (strcmp(cli->args[0], "show") == 0 && cli->arg_count == 1)
        return show(cli, err);
    return error_set(err, ERR_USAGE, "usage: imprint receipt %s; see 'imprint help receipt'",
                     cli->command->arguments);
}
