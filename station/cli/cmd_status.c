/* imprint status: counts, without a PIN. */
#include "base/plural.h"
#include "station/cli/cli.h"
#include "station/confine/confine.h"
#include "station/store/claims.h"
#include "station/store/orders.h"
#include "station/store/whitelist.h"
#include "station/vault/receipts.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

struct report {
    const struct cli *cli;
    json_t *orders; /* NULL: print words */
};

static int report_order(void *context, const struct order_row *row, struct error *err)
{
    struct report *report = context;
    struct cli_order o;
    int rc = cli_order_open(report->cli, row->name, &o, err);

    if (rc == 0 && report->orders)
        json_array_append_new(report->orders, cli_order_json(&o));
    else if (rc == 0)
        cli_order_print(&o);
    cli_order_done(&o);
    return rc;
}

/* Records in published manifests, and the number of the last of them. */
static int sealed(struct store *store, int64_t *seq, int64_t *size, struct error *err)
{
    struct sealing last;
    bool found;
    int rc;

    sealing_init(&last);
    rc = sealing_last(store, &last, &found, err);
    if (rc == 0 && found && !last.published)
        rc = sealing_get(store, last.seq - 1, &last, &found, err);
    *seq = rc == 0 && found ? last.seq : 0;
    *size = rc == 0 && found ? last.first + last.count : 0;
    sealing_done(&last);
    return rc;
}

int cmd_status(struct cli *cli, struct error *err)
{
    struct report report = {cli, cli->json ? json_array() : NULL};
    struct receipts_state receipts = {.received = 0};
    struct error why = ERROR_INIT;
    int64_t passed, failed, records, seq, size;
    int rc = order_each(cli->store, report_order, &report, err);

    if (rc == 0)
        rc = attempt_count(cli->store, &passed, &failed, err);
    if (rc == 0)
        rc = whitelist_size(cli->store, &records, err);
    if (rc == 0)
        rc = sealed(cli->store, &seq, &size, err);
    if (rc) {
        json_decref(report.orders);
        return rc;
    }
    /* what is wrong with them is said, and does not hide the rest */
    receipts.overdue = cli_read_receipts(cli, &receipts, &why) != 0 || receipts.overdue;
    if (cli->json)
        cli_print_json(json_pack(
            "{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b}", "station", cli->config.name,
            "orders", report.orders, "passed", (json_int_t)passed, "failed", (json_int_t)failed,
            "records", (json_int_t)records, "manifests", (json_int_t)seq, "sealed",
            (json_int_t)size, "received", (json_int_t)receipts.received, "receipt_overdue",
            receipts.overdue, "ca_ends_soon", cli_issuers_end_soon(cli), "memory_locked",
            confine_may_lock_memory()));
    else
        printf("attempts: %" PRId64 " passed, %" PRId64 " failed\n"
               "records: %" PRId64 ", of which %" PRId64 " are sealed in %" PRId64 " manifest%s\n",
               passed, failed, records, size, seq, PLURAL(seq));
    if (!cli->json) {
        cli_warn_receipts(cli);
        cli_warn_issuers(cli);
    }
    if (!cli->json && !confine_may_lock_memory())
        printf(
            "memory: only PINs are locked against swap; lift the limit 'memlock' of this user, or "
            "switch swap off\n");
    return 0;
}
