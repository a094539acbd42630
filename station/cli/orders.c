/* What commands say of an order. */
#include "station/cli/cli.h"

#include "base/clock.h"
#include "base/codec.h"
#include "station/store/inventory.h"
#include "station/vault/quota.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static const struct {
    unsigned bit;
    const char *name, *words;
} warnings_table[] = {
    {ORDER_NEAR_GOOD, "good", "95% or more of the ordered devices have their identity"},
    {ORDER_NEAR_MAX_ISSUED, "max_issued", "95% or more of the certificates are made"},
    {ORDER_NEAR_END, "until", "it ends within 72 hours, or has ended"},
};
#define WARNINGS (sizeof warnings_table / sizeof *warnings_table)

static json_t *warning_names(unsigned warnings)
{
    json_t *list = json_array();

    for (size_t i = 0; i < WARNINGS; i++)
        if (warnings & warnings_table[i].bit)
            json_array_append_new(list, json_string(warnings_table[i].name));
    return list;
}

void cli_warn_order(const struct cli *cli, const struct order *order, unsigned warnings)
{
    if (warnings && cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:o}", "event", "warning", "order", order->id,
                                 "warnings", warning_names(warnings)));
    for (size_t i = 0; i < WARNINGS && !cli->quiet; i++)
        if (warnings & warnings_table[i].bit)
            fprintf(stderr, "imprint: order '%s': %s; tell the owner in time\n", order->id,
                    warnings_table[i].words);
}

static const char *state_of(const struct cli_order *o, int64_t now)
{
    if (o->history.row.state != ORDER_OPEN)
        return o->history.row.state == ORDER_CLOSED ? "closed" : "closing";
    if (now < o->order->from)
        return "not begun";
    return now < o->order->until ? "open" : "ended";
}

int cli_order_open(const struct cli *cli, const char *id, struct cli_order *out, struct error *err)
{
    STACK_OF(X509) *pins = NULL;
    int64_t now = clock_utc();
    uint8_t key[32];
    int rc = vault_show_signers(&cli->config, &pins, err);

    *out = (struct cli_order){.order = NULL};
    if (rc == 0)
        rc = vault_station_key(&cli->config, key, err);
    if (rc == 0)
        rc = order_history_open(cli->store, pins, id, &out->history, err);
    if (rc == 0)
        rc = inventory_count(cli->store, out->history.row.id, &out->counts, err);
    signed_pins_free(pins);
    if (rc)
        return rc;
    out->order = order_in_force(&out->history);
    out->share = order_share_of(out->order, key);
    out->state = state_of(out, now);
    if (out->share && out->history.row.state == ORDER_OPEN)
        out->warnings = order_warnings(out->order, out->share, quota_live(&out->counts),
                                       quota_issued(&out->counts), now);
    return 0;
}

void cli_order_done(struct cli_order *o)
{
    order_history_done(&o->history);
}

static void add_share(json_t *out, const struct order_share *share)
{
    const struct order_counts *c = &share->counts;

    json_object_update_new(out,
                           json_pack("{s:I, s:I, s:I, s:I}", "good", (json_int_t)c->good,
                                     "max_issued", (json_int_t)c->max_issued, "spoilage",
                                     (json_int_t)c->spoilage, "rework", (json_int_t)c->rework));
}

json_t *cli_order_json(const struct cli_order *o)
{
    const int64_t *n = o->counts.by_state;
    char first[65], hash[65], from[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];
    json_t *out;

    hex_encode(o->history.row.hash, 32, first);
    hex_encode(o->order->hash, 32, hash);
    clock_text(o->order->from, from);
    clock_text(o->order->until, until);
    out = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:o}",
        "order", o->order->id, "hash", first, "in_force", hash, "version",
        (json_int_t)o->history.count, "product", o->order->product, "state", o->state, "from", from,
        "until", until, "generated", (json_int_t)quota_issued(&o->counts), "keys",
        (json_int_t)o->counts.spares, "requests", (json_int_t)o->counts.requests, "available",
        (json_int_t)n[CREDENTIAL_AVAILABLE], "unresolved", (json_int_t)n[CREDENTIAL_CLAIMED],
        "proven", (json_int_t)n[CREDENTIAL_PROVEN], "burned", (json_int_t)n[CREDENTIAL_BURNED],
        "scrapped", (json_int_t)n[CREDENTIAL_SCRAPPED], "revoked",
        (json_int_t)n[CREDENTIAL_REVOKED], "warnings", warning_names(o->warnings));
    if (o->share)
        add_share(out, o->share);
    return out;
}

static void print_counts(const struct cli_order *o)
{
    const int64_t *n = o->counts.by_state;

    printf("  generated   %10" PRId64, quota_issued(&o->counts));
    if (o->share)
        printf(" of %" PRId64, o->share->counts.max_issued);
    if (o->counts.spares)
        printf("\n  keys        %10" PRId64, o->counts.spares);
    if (o->counts.requests)
        printf("\n  requests    %10" PRId64, o->counts.requests);
    printf("\n  available   %10" PRId64 "\n  unresolved  %10" PRId64 "\n  proven      %10" PRId64,
           n[CREDENTIAL_AVAILABLE], n[CREDENTIAL_CLAIMED], n[CREDENTIAL_PROVEN]);
    if (o->share)
        printf(" of %" PRId64, o->share->counts.good);
    printf("\n  burned      %10" PRId64, n[CREDENTIAL_BURNED]);
    if (o->share)
        printf(" of %" PRId64, o->share->counts.spoilage);
    printf("\n  scrapped    %10" PRId64 "\n  revoked     %10" PRId64 "\n", n[CREDENTIAL_SCRAPPED],
           n[CREDENTIAL_REVOKED]);
}

void cli_order_print(const struct cli_order *o)
{
    char from[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];

    clock_text(o->order->from, from);
    clock_text(o->order->until, until);
    printf("order '%s', product %s, %s\n  valid       %s to %s\n", o->order->id, o->order->product,
           o->state, from, until);
    print_counts(o);
    for (size_t i = 0; i < WARNINGS; i++)
        if (o->warnings & warnings_table[i].bit)
            printf("  warning     %s\n", warnings_table[i].words);
}
