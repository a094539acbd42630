/* imprint order: takes in, lists, shows and closes the owner's orders. */
#include "station/cli/cli.h"

#include "base/codec.h"
#include "base/file.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- add ---- */

static void report_add(const struct cli *cli, const struct order *order, enum order_taken taken)
{
    const char *what = order->type == ORDER_AMENDMENT ? "amendment" : "order";
    char hash[65];

    hex_encode(order->hash, sizeof order->hash, hash);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:b}", "event", "order", "type", what,
                                 "order", order->id, "hash", hash, "new", taken == ORDER_TAKEN));
    else if (taken == ORDER_TAKEN_BEFORE)
        printf("this %s of order '%s' is here already: nothing changed\n", what, order->id);
    else
        printf("added the %s '%s': a job names it as 'order: %s'\n  hash        %s\n", what,
               order->id, order->id, hash);
}

static int take(struct cli *cli, const struct buf *bytes, struct order *order, struct error *err)
{
    enum order_taken taken;
    struct vault v;
    int rc = vault_init(&v, &cli->config, NULL, cli->store, cli->hsm, err);

    if (rc == 0)
        rc = orders_take(&v, cli->args[1], bytes, order, &taken, err);
    if (rc == 0)
        report_add(cli, order, taken);
    vault_done(&v);
    return rc;
}

static int add(struct cli *cli, struct error *err)
{
    static struct order order; /* large for a stack */
    struct buf bytes;
    int rc;

    buf_init(&bytes, ORDERS_SIGNED_MAX);
    rc = file_read(cli->args[1], &bytes, err);
    if (rc == 0)
        rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);
    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc == 0)
        rc = take(cli, &bytes, &order, err);
    buf_done(&bytes);
    return rc;
}

/* ---- list ---- */

static int list_one(void *context, const struct order_row *row, struct error *err)
{
    const struct cli *cli = context;
    struct cli_order o;
    int rc = cli_order_open(cli, row->name, &o, err);

    if (rc == 0 && cli->json)
        cli_print_json(cli_order_json(&o));
    else if (rc == 0)
        cli_order_print(&o);
    cli_order_done(&o);
    return rc;
}

static int list(struct cli *cli, struct error *err)
{
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    return rc ? rc : order_each(cli->store, list_one, cli, err);
}

/* ---- show ---- */

static const char *const auths[] = {"none", "enrolled", "attested"};

static json_t *json_terms(const struct cli_order *o)
{
    const struct order *order = o->order;
    json_t *suites = json_array(), *exports = json_array();

    for (size_t i = 0; i < order->suite_count; i++)
        json_array_append_new(suites, json_integer(order->suites[i]));
    for (size_t i = 0; i < order->export_count; i++)
        json_array_append_new(exports, json_string(order->exports[i]->name));
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:I}", "exports", exports, "profile",
                     order->profile, "use", order->use, "device_auth", auths[order->auth],
                     "environment", order->environment, "lock", order->lock, "software_hsm",
                     order->software_hsm, "suites", suites, "stations",
                     (json_int_t)order->station_count);
}

static void print_serials(const struct order_serials *s)
{
    char list[65];

    hex_encode(s->list, sizeof s->list, list);
    if (s->kind == ORDER_SERIALS_LIST)
        printf("  serials     those of the list %s\n", list);
    else if (s->kind == ORDER_SERIALS_PREFIX)
        printf("  serials     all that begin with '%s'\n", s->prefix);
    else
        printf("  serials     %s, %" PRId64 " digits, %" PRId64 " to %" PRId64 "\n", s->prefix,
               s->digits, s->first, s->last);
}

static void print_terms(const struct cli_order *o)
{
    const struct order_share *share = o->share;
    const struct order *order = o->order;
    char first[65], hash[65];

    hex_encode(o->history.row.hash, 32, first);
    hex_encode(order->hash, 32, hash);
    printf("  hash        %s\n  in force    %s, version %zu\n", first, hash, o->history.count);
    printf("  profile     %s\n", *order->profile
                                     ? order->profile
                                     : "none: keys are derived, and there are no certificates");
    printf("  terms       use %s, device_auth %s, %s, %s\n", order->use, auths[order->auth],
           order->lock ? "locked" : "not locked",
           order->software_hsm ? "a software HSM will do" : "no software HSM");
    for (size_t i = 0; i < order->export_count; i++)
        printf("%s%s%s", i ? ", " : "  exports     ", order->exports[i]->name,
               i + 1 == order->export_count ? "\n" : "");
    if (share)
        print_serials(&share->serials);
    else
        printf("  this station is not listed\n");
}

static int show(struct cli *cli, struct error *err)
{
    struct cli_order o = {.order = NULL};
    json_t *out;
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc == 0)
        rc = cli_order_open(cli, cli->args[1], &o, err);
    if (rc == 0 && cli->json) {
        out = cli_order_json(&o);
        json_object_update_new(out, json_terms(&o));
        cli_print_json(out);
    } else if (rc == 0) {
        cli_order_print(&o);
        print_terms(&o);
    }
    cli_order_done(&o);
    return rc;
}

/* ---- which of them ---- */

static const struct {
    const char *name;
    int arguments; /* with the name */
    int (*run)(struct cli *cli, struct error *err);
} actions[] = {
    {"add", 2, add}, {"list", 1, list}, {"show", 2, show}, {"close", 2, cmd_order_close}};

int cmd_order(struct cli *cli, struct error *err)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(cli->args[0], actions[i].name) == 0 && cli->arg_count == actions[i].arguments)
            return actions[i].run(cli, err);
    return error_set(err, ERR_USAGE, "usage: imprint order %s; see 'imprint help order'",
                     cli->command->arguments);
}
