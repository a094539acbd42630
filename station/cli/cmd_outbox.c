/* imprint outbox: results that the plant's systems have not taken yet, without a PIN. */
#include "base/clock.h"
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/store/outbox.h"
#include "station/vault/outgoing.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static json_t *time_or_null(int64_t at)
{
    char text[CLOCK_TEXT_SIZE];

    if (at == 0)
        return json_null();
    clock_text(at, text);
    return json_string(text);
}

static void print_json(const struct outbox_state *s, bool configured)
{
    cli_print_json(json_pack("{s:b, s:I, s:o, s:I, s:o, s:o}", "program", configured, "depth",
                             (json_int_t)s->depth, "oldest", time_or_null(s->oldest), "failures",
                             (json_int_t)s->failures, "failed", time_or_null(s->failed), "error",
                             *s->error ? json_string(s->error) : json_null()));
}

static void print_words(const struct outbox_state *s, bool configured)
{
    char at[CLOCK_TEXT_SIZE];

    if (!configured)
        printf("no program takes results: 'hooks: outbox' of station.yaml names one\n");
    clock_text(s->oldest, at);
    if (s->depth == 0)
        printf("nothing waits\n");
    else
        printf("%" PRId64 " result%s wait%s, the oldest since %s\n", s->depth, PLURAL(s->depth),
               s->depth == 1 ? "s" : "", at);
    clock_text(s->failed, at);
    if (s->failures)
        printf("the oldest was not taken %" PRId64 " time%s, the last time at %s: %s\n",
               s->failures, PLURAL(s->failures), at, s->error);
}

static int show(struct cli *cli, struct error *err)
{
    bool configured = cli->config.hooks.outbox.given > 0;
    struct outbox_state state;
    int rc = outbox_state(cli->store, &state, err);

    if (rc)
        return rc;
    if (cli->json)
        print_json(&state, configured);
    else
        print_words(&state, configured);
    return 0;
}

/* Nothing but what is sent is changed: no PIN is needed. */
static int send_all(struct cli *cli, struct hooks *hooks, int64_t *left, struct error *err)
{
    struct outgoing o;
    int rc;

    outgoing_init(&o, cli->store, hooks);
    rc = outgoing_finish(&o, INT32_MAX, left, err);
    outgoing_done(&o);
    return rc;
}

static int send_and_show(struct cli *cli, struct error *err)
{
    struct hooks *hooks = NULL;
    int64_t left = 0;
    int rc;

    if (!cli->config.hooks.outbox.given)
        return error_set(err, ERR_MISSING,
                         "no program takes results: name one as 'hooks: outbox' in station.yaml");
    rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = hooks_start(&cli->config, NULL, &hooks, err);
    if (rc == 0)
        rc = send_all(cli, hooks, &left, err);
    hooks_stop(hooks);
    if (rc == 0)
        rc = show(cli, err);
    if (rc == 0 && left > 0)
        rc = error_set(err, ERR_IO,
                       "the program did not take %" PRId64 " of the results: they stay", left);
    return rc;
}

int cmd_outbox(struct cli *cli, struct error *err)
{
    int rc;

    if (cli_value(cli, "send"))
        return send_and_show(cli, err);
    rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);
    return rc ? rc : show(cli, err);
}
