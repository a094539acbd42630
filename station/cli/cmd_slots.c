/* imprint slots: how the slots of the fixtures do, and what people do about it. */
#include "station/cli/cli.h"
#include "station/vault/signing.h"
#include "station/vault/slots.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const states[WIRE_SLOT_STATES] = {[WIRE_SLOT_GOOD] = "good",
                                                     [WIRE_SLOT_WORN] = "worn",
                                                     [WIRE_SLOT_FAILING] = "disabled",
                                                     [WIRE_SLOT_WORN_OUT] = "worn out"};

/* ---- list ---- */

static void print_json(const struct cli *cli, const char *event, const struct slot_row *row)
{
    int64_t limit = config_contacts(&cli->config, row->label);
    struct wire_condition condition;
    size_t units;
    int yield = slots_yield(row, &units);
    json_t *o;

    slots_judge(&cli->config, row, &condition);
    o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "event", event, "slot", row->label,
                  "state", states[condition.state], "contacts", (json_int_t)row->contacts,
                  "failures", (json_int_t)row->failures, "units", (json_int_t)units, "why",
                  row->why);
    json_object_set_new(o, "limit", limit ? json_integer(limit) : json_null());
    json_object_set_new(o, "yield", yield < 0 ? json_null() : json_real(yield / 10.0));
    cli_print_json(o);
}

static void print_words(const struct cli *cli, const struct slot_row *row)
{
    int64_t limit = config_contacts(&cli->config, row->label);
    char good_for[32] = "", passed[48] = "no unit yet";
    struct wire_condition condition;
    size_t units;
    int yield = slots_yield(row, &units);

    slots_judge(&cli->config, row, &condition);
    if (limit)
        snprintf(good_for, sizeof good_for, " of %" PRId64, limit);
    if (yield >= 0)
        snprintf(passed, sizeof passed, "yield %d.%d %% of %zu", yield / 10, yield % 10, units);
    printf("slot %-6s %-8s  contacts %" PRId64 "%s  %s\n", row->label, states[condition.state],
           row->contacts, good_for, passed);
    if (*condition.text)
        printf("  %s\n", condition.text);
}

static int list_one(void *context, const struct slot_row *row, struct error *err)
{
    const struct cli *cli = context;

    (void)err;
    if (cli->json)
        print_json(cli, "slot", row);
    else
        print_words(cli, row);
    return 0;
}

static int list(struct cli *cli, struct error *err)
{
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    return rc ? rc : slot_row_each(cli->store, list_one, cli, err);
}

/* ---- what people sign for ---- */

static int care(struct cli *cli, enum slots_care care, struct error *err)
{
    bool renewed = care == SLOTS_RENEWED;
    struct slot_row row;
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);

    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    if (rc == 0)
        rc = cli_sign(cli, SIGNING_SLOTS, err);
    if (rc == 0)
        rc = slots_care_for(cli->store, cli->args[1], care, &row, err);
    if (rc)
        return rc;
    if (cli->json)
        print_json(cli, renewed ? "slot_renewed" : "slot_acknowledged", &row);
    else
        printf("slot '%s' %s\n", row.label,
               renewed ? "has new contacts: their count begins anew" : "goes on");
    return 0;
}

int cmd_slots(struct cli *cli, struct error *err)
{
    const char *what = cli->arg_count ? cli->args[0] : "list";

    if (strcmp(what, "list") == 0 && cli->arg_count < 2)
        return list(cli, err);
    if (strcmp(what, "acknowledge") == 0 && cli->arg_count == 2)
        return care(cli, SLOTS_ACKNOWLEDGED, err);
    if (strcmp(what, "renew") == 0 && cli->arg_count == 2)
        return care(cli, SLOTS_RENEWED, err);
    return error_set(err, ERR_USAGE,
                     "'imprint slots' takes 'list', 'acknowledge LABEL' or 'renew LABEL'");
}
